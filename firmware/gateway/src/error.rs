//! Why the gateway cannot start, in words that say what to do. None of them quotes a secret.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The address cannot be listened at.
    #[error("the gateway cannot listen at {address} ({source}); choose another `listen` in [gateway]")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The file of users or of the password is no good.
    #[error("{}: {why}", path.display())]
    Users {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Certificate or key are no good.
    #[error("{}: {why}; name a certificate and its key in PEM, or two files that are not there yet", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The audit log cannot be written.
    #[error("{}: the audit log cannot be written ({source}); choose another `audit` in [gateway]", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for the gateway's secrets ({0})")]
    Random(#[source] io::Error),
    /// The system refused what it should not.
    #[error("the gateway cannot start ({source})")]
    System {
        /// What the system said.
        source: io::Error,
    },
}
