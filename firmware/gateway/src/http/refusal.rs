//! What somebody is told who does not get what they asked for: one shape for all, that of `OpenAI`'s and llama.cpp's servers.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::HouseError;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub kind: &'static str,
    pub message: String,
    pub retry_after_s: Option<u64>,
}

/// As JSON.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct ErrorBody {
    /// What was wrong.
    pub error: ErrorPart,
}

/// What was wrong.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct ErrorPart {
    /// HTTP status.
    pub code: u16,
    /// In words that say what to do.
    pub message: String,
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `not_found_error`, `unavailable_error`, ...
    pub r#type: String,
}

impl Refusal {
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), retry_after_s: None }
    }

    pub fn wrong(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    pub fn absent(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found_error", message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission_error", message)
    }

    pub fn stranger(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "authentication_error", message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable_error", message);
        Self { retry_after_s: Some(5), ..refusal }
    }

    pub fn busy() -> Self {
        Self::unavailable("too much is asked at once; try again")
    }

    pub fn failed() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "this failed, and should not have")
    }

    pub fn wait(seconds: u64) -> Self {
        let message = format!("too many wrong passwords; wait {seconds} s");
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
        Self { retry_after_s: Some(seconds), ..refusal }
    }

    pub fn long(most: usize) -> Self {
        let message = format!("the body has more than {most} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", message)
    }

    pub fn late() -> Self {
        let message = "the request took too long to come in, or its answer to be found";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout_error", message)
    }
}

impl From<HouseError> for Refusal {
    fn from(error: HouseError) -> Self {
        match error {
            HouseError::Absent(why) => Self::absent(why),
            HouseError::Refused(why) => Self::wrong(why),
            HouseError::Unavailable(why) => Self::unavailable(why),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, message, r#type) = (self.status.as_u16(), self.message, self.kind.to_owned());
        let body = ErrorBody { error: ErrorPart { code, message, r#type } };
        let mut response = Response::new(Body::from(serde_json::to_vec(&body).unwrap_or_default()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
