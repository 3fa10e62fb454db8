//! Cameras and zones, as others set them up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Secret;
use crate::house::{Answered, Done};

/// What is set up of a running program, where its config names a file for that.
pub trait SetUp: Send + Sync {
    /// The zones of all cameras.
    fn zones(&self) -> Vec<Zone>;

    /// Keeps a zone, or changes the one of this name, from now on.
    ///
    /// # Errors
    /// It makes no sense, there are too many, or it cannot be kept.
    fn put_zone(&self, zone: &Zone) -> Answered<Done>;

    /// Forgets a zone.
    ///
    /// # Errors
    /// There is none, or a condition needs it.
    fn remove_zone(&self, camera: &str, name: &str) -> Answered<Done>;

    /// The cameras of the config and those that were added.
    fn sources(&self) -> Sources;

    /// Takes a picture of a camera.
    ///
    /// # Errors
    /// It gives none.
    fn try_source(&self, wish: &NewSource) -> Answered<Shot>;

    /// Adds a camera, or changes one that was added, from the next start on.
    ///
    /// # Errors
    /// It gives no picture, the memory plan has no room for it, or it cannot be kept.
    fn put_source(&self, wish: &NewSource) -> Answered<Done>;

    /// Takes a camera away that was added, from the next start on.
    ///
    /// # Errors
    /// It was not added.
    fn remove_source(&self, camera: &str) -> Answered<Done>;
}

/// A part of what a camera sees, with a name for conditions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// The camera.
    #[schemars(length(min = 1))]
    pub camera: String,
    /// Its name, which no other zone of the camera has.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Corners of a polygon: x and y in shares of the picture.
    #[schemars(length(min = 3, max = 32))]
    pub corners: Vec<[f32; 2]>,
}

/// Cameras, as they are set up.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Sources {
    /// Each of them.
    pub sources: Vec<Source>,
    /// What is plugged into this machine.
    pub devices: Vec<Device>,
}

/// Where a camera's pictures come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The camera.
    pub camera: String,
    /// A device node, `rtsp://` and a server, or `a command`: nothing in it is secret.
    pub from: String,
    /// Whether a user is sent to it.
    pub has_user: bool,
    /// Wanted size, `640x480`.
    pub size: String,
    /// Whether it was added, and not written in the config.
    pub own: bool,
    /// What the next start changes: `added`, `changed`, `removed`; or `left_out`, of one that neither this start has nor the next, as it is.
    pub change: Option<String>,
    /// Why it is left out.
    pub why: Option<String>,
}

/// A camera that is plugged in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// Its node.
    pub device: String,
    /// Its name, as its driver says it.
    pub name: String,
}

/// A camera that is tried or added: at a device or in the network.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSource {
    /// Its name: letters, digits, spaces, `-` and `_`.
    #[schemars(length(min = 1, max = 32))]
    pub camera: String,
    /// One of the devices, such as `/dev/video0`,
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub device: Option<String>,
    /// or an address, such as `rtsp://camera.lan/stream`.
    #[serde(default)]
    #[schemars(length(max = 1024), with = "Option<String>")]
    pub rtsp: Option<Secret>,
    /// The user whom that camera knows.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub username: Option<String>,
    /// Its password, which nobody is told.
    #[serde(default)]
    #[schemars(length(max = 256), with = "Option<String>")]
    pub password: Option<Secret>,
}

/// A picture of a camera that was tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shot {
    /// Size of its pictures, `640x480`.
    pub size: String,
    /// Pictures a second.
    pub fps: f64,
    /// The picture, where the config lets pictures be shown.
    pub jpeg: Option<Vec<u8>>,
}

/// What a camera gave.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Tried {
    /// Size of its pictures, `640x480`.
    pub size: String,
    /// Pictures a second.
    pub fps: f64,
    /// One of them as the model would get it, a `data:` URL; `null` where the config does not let pictures be shown.
    pub picture: Option<String>,
}
