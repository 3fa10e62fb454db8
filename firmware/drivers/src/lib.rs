//! Cameras, clips, pipes, clocks and sinks of Ocelli: one file per device, and no models.
//!
//! A [`Source`] lends frames in the pixel format in which they came; [`Sampler`] picks those that are due;
//! [`Fitter`] turns a frame into the model's letter-boxed input; [`ConsoleSink`] and [`JsonSink`] write events.

#[cfg(target_os = "linux")]
mod affinity;
#[cfg(all(feature = "display", target_os = "linux"))]
mod bus;
mod camera;
mod clock;
mod error;
mod fit;
mod gpio;
mod record;
mod sample;
mod sink;
mod thermal;

/// What reads from the network and is not reached from outside, for `tests/fuzz`.
#[doc(hidden)]
pub mod fuzz {
    pub use crate::camera::h264_fuzzed as h264;
}

#[cfg(target_os = "linux")]
pub use affinity::{MOST_CPUS, allowed_cpus, pin_thread};
#[cfg(target_os = "linux")]
pub use camera::{Camera, CameraConfig, CameraFormat, CameraInfo, list_cameras};
pub use camera::{
    Clip, Pipe, PipeConfig, PipeFormat, RESOLVER_STACK_BYTES, Release, Rtsp, RtspAddress, RtspConfig, Source,
    release_commands, released,
};
pub use clock::SystemClock;
pub use error::{DriverError, PeripheralError};
pub use fit::{Fitter, MAX_SIDE_PX};
pub use gpio::{InputLine, OutputLine, Pins, cdev_pins, header_chip, rppal_pins};
pub use record::{ClipWriter, ENCODER_BYTES, RecordError, Still};
pub use sample::Sampler;
pub use sink::{
    ConsoleSink, JsonSink, PANEL_STACK_BYTES, PanelConfig, PanelError, PanelReport, PanelSink, SIGNAL_STACK_BYTES,
    SignalSink, SinkError, probe_panel,
};
#[cfg(all(feature = "display", target_os = "linux"))]
pub use sink::{DISPLAY_STACK_BYTES, DisplaySink, Look, Panel, PanelKind, PanelPlace, Vitals, open_panel};
pub use thermal::SysfsThermometer;
