//! The kernel's I2C and SPI devices as buses of `embedded-hal`, as far as displays use them.
//!
//! `linux-embedded-hal` would do as well, but each of the three versions of `nix` below it makes tract be compiled with other
//! features of `libc`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{self, I2c};
use embedded_hal::spi::{self, SpiDevice};

use crate::PeripheralError;

// linux/i2c-dev.h and linux/spi/spidev.h.
const I2C_SLAVE: libc::Ioctl = 0x0703;
const SPI_IOC_WR_MODE: libc::Ioctl = 0x4001_6b01;
const SPI_IOC_WR_MAX_SPEED_HZ: libc::Ioctl = 0x4004_6b04;

/// What spidev takes at a time (`bufsiz`, unless it is set otherwise). A display takes the rest of its data after a pause.
const SPI_MOST_BYTES: usize = 4096;

/// What the system refused on a bus.
#[derive(Debug)]
pub struct BusError(io::Error);

impl std::fmt::Display for BusError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl i2c::Error for BusError {
    fn kind(&self) -> i2c::ErrorKind {
        match self.0.raw_os_error() {
            Some(libc::ENXIO | libc::EREMOTEIO) => i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Unknown),
            _ => i2c::ErrorKind::Other,
        }
    }
}

impl spi::Error for BusError {
    fn kind(&self) -> spi::ErrorKind {
        spi::ErrorKind::Other
    }
}

/// `/dev/i2c-1`
#[derive(Debug)]
pub struct I2cBus {
    file: File,
    address: Option<u8>,
}

impl I2cBus {
    /// Opens the bus.
    ///
    /// # Errors
    /// It is not there, or may not be used.
    pub fn open(path: &Path) -> Result<Self, PeripheralError> {
        Ok(Self { file: open(path, "i2c")?, address: None })
    }
}

impl i2c::ErrorType for I2cBus {
    type Error = BusError;
}

impl I2c for I2cBus {
    /// One message at a time: several in one would need to stay together on the bus, and no display here asks for that.
    fn transaction(&mut self, address: u8, operations: &mut [i2c::Operation<'_>]) -> Result<(), BusError> {
        if self.address != Some(address) {
            // SAFETY: the request takes a number, and the file is open.
            let set = unsafe { libc::ioctl(self.file.as_raw_fd(), I2C_SLAVE, libc::c_ulong::from(address)) };
            if set < 0 {
                return Err(BusError(io::Error::last_os_error()));
            }
            self.address = Some(address);
        }
        let whole = |count: usize, length: usize| {
            (count == length).then_some(()).ok_or_else(|| BusError(io::ErrorKind::UnexpectedEof.into()))
        };
        match operations {
            [i2c::Operation::Write(bytes)] => whole(self.file.write(bytes).map_err(BusError)?, bytes.len()),
            [i2c::Operation::Read(bytes)] => whole(self.file.read(bytes).map_err(BusError)?, bytes.len()),
            _ => Err(BusError(io::ErrorKind::Unsupported.into())),
        }
    }
}

/// `/dev/spidev0.0`
#[derive(Debug)]
pub struct SpiBus {
    file: File,
}

impl SpiBus {
    /// Opens the device, in mode 0.
    ///
    /// # Errors
    /// It is not there, may not be used, or does not take this speed.
    pub fn open(path: &Path, speed_hz: u32) -> Result<Self, PeripheralError> {
        let file = open(path, "spi")?;
        let mode = 0u8;
        // SAFETY: the request reads one byte from a live pointer, and the file is open.
        let mode_set = unsafe { libc::ioctl(file.as_raw_fd(), SPI_IOC_WR_MODE, &raw const mode) };
        // SAFETY: the request reads four bytes from a live pointer, and the file is open.
        let speed_set = unsafe { libc::ioctl(file.as_raw_fd(), SPI_IOC_WR_MAX_SPEED_HZ, &raw const speed_hz) };
        if mode_set < 0 || speed_set < 0 {
            let why = format!("it is no SPI device of {speed_hz} Hz: {}", io::Error::last_os_error());
            return Err(PeripheralError::Chip { place: path.display().to_string(), why });
        }
        Ok(Self { file })
    }
}

impl spi::ErrorType for SpiBus {
    type Error = BusError;
}

impl SpiDevice for SpiBus {
    /// Writes only. The chip is deselected after each of them, which a display bears.
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), BusError> {
        for operation in operations {
            match operation {
                spi::Operation::Write(bytes) => {
                    bytes.chunks(SPI_MOST_BYTES).try_for_each(|chunk| self.file.write_all(chunk)).map_err(BusError)?;
                }
                spi::Operation::DelayNs(ns) => Sleep.delay_ns(*ns),
                _ => return Err(BusError(io::ErrorKind::Unsupported.into())),
            }
        }
        Ok(())
    }
}

/// Waits as long as it is told to, or a little longer.
#[derive(Clone, Copy, Debug)]
pub struct Sleep;

impl DelayNs for Sleep {
    fn delay_ns(&mut self, ns: u32) {
        std::thread::sleep(std::time::Duration::from_nanos(ns.into()));
    }
}

fn open(path: &Path, group: &'static str) -> Result<File, PeripheralError> {
    let file = File::options().read(true).write(true).open(path);
    file.map_err(|error| PeripheralError::from_io(path, &error, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_that_is_not_there_or_is_none_is_said_so() {
        let error = I2cBus::open(Path::new("/dev/i2c-none")).expect_err("there is none");
        assert_eq!(
            error.to_string(),
            "/dev/i2c-none: there is nothing here; check the path, and that the bus is switched on (a Raspberry Pi: sudo raspi-config, Interface Options)"
        );
        let file = tempfile::NamedTempFile::new().expect("there is a temporary folder");
        let error = SpiBus::open(file.path(), 1_000_000).expect_err("a file is no bus").to_string();
        assert!(error.contains("it is no SPI device of 1000000 Hz") && error.lines().count() == 1, "{error}");
        let mut bus = I2cBus::open(file.path()).expect("it can be opened");
        assert!(bus.write(0x3c, &[0]).is_err());
    }
}
