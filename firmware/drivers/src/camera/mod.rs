//! Where frames come from: a camera, one of the network, a recording, a command.

mod avc;
mod file;
mod h264;
mod mjpeg;
mod mkv;
mod mp4;
mod pipe;
mod planes;
mod rtsp;
mod sps;
#[cfg(target_os = "linux")]
mod v4l;
mod y4m;

pub use file::Clip;
pub use h264::fuzzed as h264_fuzzed;
pub use pipe::{Pipe, PipeConfig, PipeFormat, Release, release_commands, released};
pub use rtsp::{RESOLVER_STACK_BYTES, Rtsp, RtspAddress, RtspConfig};
#[cfg(target_os = "linux")]
pub use v4l::{Camera, CameraConfig, CameraFormat, CameraInfo, list_cameras};

use ocelli_types::{Frame, FrameSource};

use crate::DriverError;

/// Any of the sources, for a program that chooses at run time.
#[derive(Debug)]
#[non_exhaustive]
pub enum Source {
    /// A camera.
    #[cfg(target_os = "linux")]
    Camera(Camera),
    /// A recording.
    Clip(Clip),
    /// A command.
    Pipe(Pipe),
    /// A camera of the network.
    Rtsp(Rtsp),
}

impl FrameSource for Source {
    type Error = DriverError;

    fn next(&mut self) -> Result<Option<Frame<'_>>, DriverError> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Camera(camera) => camera.next(),
            Self::Clip(clip) => clip.next(),
            Self::Pipe(pipe) => pipe.next(),
            Self::Rtsp(rtsp) => rtsp.next(),
        }
    }
}
