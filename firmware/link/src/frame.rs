//! From messages to bytes and back.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use serde::{Deserialize, Serialize};

use crate::VERSION;

/// Without a table, which would be a quarter of what the smallest chips keep for us; lines are slow enough.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// A frame at its longest, zeros included.
pub const FRAME_BYTES: usize = 224;

/// Version, message and check sum at their longest: COBS adds a byte for each 254.
const PLAIN_BYTES: usize = FRAME_BYTES - 3;

const CRC_BYTES: usize = 4;

/// A message does not fit into a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the message is longer than a frame of {FRAME_BYTES} bytes")
    }
}

impl core::error::Error for TooLong {}

/// Writes the frame of a message.
///
/// # Errors
/// It is too long.
pub fn encode<'o>(message: &impl Serialize, out: &'o mut [u8; FRAME_BYTES]) -> Result<&'o [u8], TooLong> {
    let mut plain = [0; PLAIN_BYTES];
    plain[0] = VERSION;
    let room = &mut plain[1..PLAIN_BYTES - CRC_BYTES];
    let end = 1 + postcard::to_slice(message, room).map_err(|_| TooLong)?.len();
    let sum = CRC.checksum(&plain[..end]).to_le_bytes();
    plain[end..end + CRC_BYTES].copy_from_slice(&sum);
    let coded = cobs::encode(&plain[..end + CRC_BYTES], &mut out[1..FRAME_BYTES - 1]);
    (out[0], out[1 + coded]) = (0, 0);
    Ok(&out[..coded + 2])
}

/// Why what came between two zeros is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// It is longer than a frame can be.
    Overlong,
    /// Its coding or check sum is wrong.
    Damaged,
    /// It is whole, and of this other version.
    Version(u8),
    /// It is whole and of our version, and still no message.
    Unknown,
}

/// Collects bytes to frames. It has room for one.
#[derive(Clone, Debug)]
pub struct Deframer {
    bytes: [u8; FRAME_BYTES],
    /// Bytes since the last zero; what is above the room was not kept.
    count: usize,
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

impl Deframer {
    /// One that has seen nothing.
    pub const fn new() -> Self {
        Self { bytes: [0; FRAME_BYTES], count: 0 }
    }

    /// Takes the next byte. Gives a message, or what is wrong, with the zero that ends it; two zeros have nothing between them.
    pub fn push<'d, T: Deserialize<'d>>(&'d mut self, byte: u8) -> Option<Result<T, FrameFault>> {
        if byte != 0 {
            if let Some(room) = self.bytes.get_mut(self.count) {
                *room = byte;
            }
            self.count = self.count.saturating_add(1);
            return None;
        }
        match core::mem::take(&mut self.count) {
            0 => None,
            count => Some(self.bytes.get_mut(..count).ok_or(FrameFault::Overlong).and_then(open)),
        }
    }
}

fn open<'d, T: Deserialize<'d>>(coded: &'d mut [u8]) -> Result<T, FrameFault> {
    let count = cobs::decode_in_place(coded).map_err(|_| FrameFault::Damaged)?;
    let (plain, sum) = coded[..count].split_last_chunk::<CRC_BYTES>().ok_or(FrameFault::Damaged)?;
    if CRC.checksum(plain) != u32::from_le_bytes(*sum) {
        return Err(FrameFault::Damaged);
    }
    match plain.split_first() {
        Some((&VERSION, message)) => match postcard::take_from_bytes(message) {
            Ok((message, [])) => Ok(message),
            _ => Err(FrameFault::Unknown),
        },
        Some((&version, _)) => Err(FrameFault::Version(version)),
        None => Err(FrameFault::Damaged),
    }
}
