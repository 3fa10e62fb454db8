//! What goes wrong at the edge of the device, in words for the person in front of it.

use std::io;
use std::path::{Path, PathBuf};

use ocelli_types::{Fault, Faulty, SizePx};

/// An error of a camera, a clip, a pipe or a picture. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// There is no device or file at this path.
    #[error("{}: there is nothing here; check the path, or plug the camera in", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The node exists, but does not capture video.
    #[error("{}: this is no camera that streams video; `ocelli check` lists those that do", path.display())]
    NoCamera {
        /// The device node.
        path: PathBuf,
    },
    /// Another program is capturing from the camera.
    #[error("{}: another program is using this camera; close it, or choose another camera", path.display())]
    Busy {
        /// The device node.
        path: PathBuf,
    },
    /// We may not open the device or file.
    #[error("{}: permission denied; for a camera, add the user to the group `video`", path.display())]
    Denied {
        /// The device node or file.
        path: PathBuf,
    },
    /// The camera went away while it was in use.
    #[error("{}: the camera was unplugged", path.display())]
    Unplugged {
        /// The device node.
        path: PathBuf,
    },
    /// The camera does not deliver a pixel format that we read.
    #[error("{}: the camera refused {wanted} and offers {offered}; choose another camera or format", path.display())]
    FormatRefused {
        /// The device node.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
        /// What the camera answered.
        offered: String,
    },
    /// No picture came for too long.
    #[error("{from}: no picture for {waited_ms} ms")]
    Timeout {
        /// The device or command.
        from: String,
        /// How long was waited.
        waited_ms: u64,
    },
    /// The source ended before its first picture.
    #[error("{from}: it ended without a picture that can be read")]
    NoPicture {
        /// The clip, device or command.
        from: String,
    },
    /// The bytes are no video that we know.
    #[error("{}: this is not a video that can be read: {why}", path.display())]
    NotVideo {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file has no bytes.
    #[error("{}: the file is empty; record or copy it again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The video ends before its own index says, or is damaged on the way.
    #[error("{}: the video is cut off or damaged: {why}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// Only ffmpeg can read this, and it is not installed.
    #[error("{}: {why}; install ffmpeg (apt-get install ffmpeg), or convert the clip to H.264", path.display())]
    NeedsFfmpeg {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read without.
        why: String,
    },
    /// A command that should deliver pictures failed.
    #[error("the command `{command}` failed: {why}")]
    Command {
        /// Its program, for others may read this and in the rest may be a password.
        command: String,
        /// Its exit status and the last line of its standard error, with addresses cut to their servers.
        why: String,
    },
    /// A camera of the network cannot be reached, refuses, or sends what cannot be read.
    #[error("{from}: {why}")]
    Network {
        /// Its address, without what is secret in it.
        from: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// The picture is larger than we are prepared to hold.
    #[error("a picture of {size_px} is too large; the limit is {limit}: choose a smaller size")]
    TooLarge {
        /// The picture.
        size_px: SizePx,
        /// The limit, in words.
        limit: &'static str,
    },
    /// One picture is damaged; the next may be whole.
    #[error("a picture could not be read: {why}; going on with the next")]
    BadPicture {
        /// What is wrong with it.
        why: String,
    },
    /// The system refused a read or a write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The device or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DriverError {
    /// What `source` means at `path`: errors that people meet get a name of their own.
    pub(crate) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.raw_os_error() {
            Some(libc::ENOENT | libc::ENXIO) => Self::Missing { path },
            Some(libc::ENODEV) => Self::Unplugged { path },
            Some(libc::EBUSY) => Self::Busy { path },
            Some(libc::EACCES | libc::EPERM) => Self::Denied { path },
            Some(libc::EISDIR) => Self::NotVideo { path, why: "it is a folder".into() },
            _ => Self::Io { path, source },
        }
    }
}

impl Faulty for DriverError {
    fn fault(&self) -> Fault {
        match self {
            Self::BadPicture { .. } => Fault::Retry,
            Self::Missing { .. }
            | Self::Busy { .. }
            | Self::Unplugged { .. }
            | Self::Timeout { .. }
            | Self::Command { .. }
            | Self::Network { .. }
            | Self::Io { .. } => Fault::Reopen,
            Self::NoCamera { .. }
            | Self::Denied { .. }
            | Self::FormatRefused { .. }
            | Self::NotVideo { .. }
            | Self::Empty { .. }
            | Self::Truncated { .. }
            | Self::NoPicture { .. }
            | Self::NeedsFfmpeg { .. }
            | Self::TooLarge { .. } => Fault::Stop,
        }
    }
}

/// Where a Raspberry Pi's buses are switched on, which are off at first.
fn raspi_config(bus: &Path) -> &'static str {
    let is_bus = bus.to_str().is_some_and(|bus| bus.starts_with("/dev/i2c") || bus.starts_with("/dev/spidev"));
    if is_bus { " (a Raspberry Pi: sudo raspi-config, Interface Options)" } else { "" }
}

/// An error of a display or of a pin. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeripheralError {
    /// There is no such bus or chip.
    #[error("{}: there is nothing here; check the path, and that the bus is switched on{}", path.display(), raspi_config(path))]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// We may not use the bus or chip.
    #[error("{}: permission denied; add the user to the group `{group}` (a service: /usr/share/ocelli/pins.conf)", path.display())]
    Denied {
        /// The device.
        path: PathBuf,
        /// Whose it usually is.
        group: &'static str,
    },
    /// The bus or the chip does not answer as it should.
    #[error("{place}: {why}")]
    Chip {
        /// The device, with the address.
        place: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// A pin cannot be used.
    #[error("pin {pin} of {of}: {why}")]
    Pin {
        /// The chip or board.
        of: String,
        /// Its number.
        pin: u32,
        /// What is wrong.
        why: String,
    },
    /// The pins of a Raspberry Pi are asked for elsewhere.
    #[error("this is no Raspberry Pi that rppal knows; write driver = \"cdev\" in [gpio]")]
    NoRaspberryPi,
    /// The program has no code for it.
    #[error("this program was built without {what}; build it with `--features {feature}`")]
    NotBuilt {
        /// What is missing.
        what: &'static str,
        /// The feature that has it.
        feature: &'static str,
    },
}

impl PeripheralError {
    /// What `source` means at `path`, whose user should be in `group`.
    #[cfg(all(target_os = "linux", any(feature = "gpio", feature = "display")))]
    pub(crate) fn from_io(path: &Path, source: &io::Error, group: &'static str) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path: path.to_path_buf() },
            io::ErrorKind::PermissionDenied => Self::Denied { path: path.to_path_buf(), group },
            _ => Self::Chip { place: path.display().to_string(), why: source.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_becomes_a_word_and_a_decision() {
        let at = |errno| DriverError::from_io(Path::new("/dev/video0"), io::Error::from_raw_os_error(errno));
        assert!(matches!(at(libc::ENOENT), DriverError::Missing { .. }));
        assert!(matches!(at(libc::ENODEV), DriverError::Unplugged { .. }));
        assert!(matches!(at(libc::EBUSY), DriverError::Busy { .. }));
        assert!(matches!(at(libc::EACCES), DriverError::Denied { .. }));
        assert!(matches!(at(libc::EIO), DriverError::Io { .. }));
        assert_eq!(at(libc::ENODEV).fault(), Fault::Reopen);
        assert_eq!(at(libc::EACCES).fault(), Fault::Stop);
    }

    #[test]
    fn every_message_is_one_line_with_the_path() {
        let path = PathBuf::from("/clips/door.mp4");
        for error in [
            DriverError::Empty { path: path.clone() },
            DriverError::NotVideo { path: path.clone(), why: "it is text".into() },
            DriverError::NeedsFfmpeg { path, why: "the codec is hvc1".into() },
        ] {
            let line = error.to_string();
            assert!(line.starts_with("/clips/door.mp4: ") && !line.contains('\n'), "{line}");
        }
    }
}
