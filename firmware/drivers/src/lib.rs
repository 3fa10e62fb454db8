//! Cameras, clips, pipes, clocks and sinks of Ocelli: one file per device, and no models.
//!
//! A [`Source`] lends frames in the pixel format in which they came; [`Sampler`] picks those that are due;
//! [`Fitter`] turns a frame into the model's letter-boxed input; [`ConsoleSink`] and [`JsonSink`] write events.

mod camera;
mod clock;
mod error;
mod fit;
mod sample;
mod sink;

#[cfg(target_os = "linux")]
pub use camera::{Camera, CameraConfig, CameraFormat, CameraInfo, list_cameras};
pub use camera::{Clip, Pipe, PipeConfig, PipeFormat, Release, Source, release_commands};
pub use clock::SystemClock;
pub use error::DriverError;
pub use fit::{Fitter, MAX_SIDE_PX};
pub use sample::Sampler;
pub use sink::{
    ConsoleSink, JsonSink, PANEL_STACK_BYTES, PanelConfig, PanelError, PanelReport, PanelSink, SinkError, probe_panel,
};
