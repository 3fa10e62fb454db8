//! As much of V4L2 as it takes to work the test drivers' controls, to play a clip into a loopback camera, and to hold a
//! camera that another wants.
#![expect(unsafe_code, reason = "these are requests to a device")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

const TYPE_CAPTURE: u32 = 1;
const TYPE_OUTPUT: u32 = 2;
const MEMORY_MMAP: u32 = 1;
const FIELD_NONE: u32 = 1;
const NEXT_CONTROL: u32 = 0x8000_0000;

/// `struct v4l2_queryctrl`
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Query {
    id: u32,
    kind: u32,
    name: [u8; 32],
    range: [i32; 4],
    flags: u32,
    reserved: [u32; 2],
}

/// `struct v4l2_control`
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Control {
    id: u32,
    value: i32,
}

/// `struct v4l2_requestbuffers`
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Request {
    count: u32,
    kind: u32,
    memory: u32,
    more: [u32; 2],
}

/// `struct v4l2_format` with a `v4l2_pix_format` in its union of 200 bytes, which is aligned to 8.
#[repr(C, align(8))]
struct Format {
    kind: u32,
    _gap: u32,
    width: u32,
    height: u32,
    fourcc: [u8; 4],
    field: u32,
    stride: u32,
    size: u32,
    rest: [u32; 44],
}

/// A request and the structure that goes there and back with it.
trait Asked {
    const NUMBER: u32;
}

impl Asked for Query {
    const NUMBER: u32 = 36;
}

impl Asked for Control {
    const NUMBER: u32 = 28;
}

impl Asked for Request {
    const NUMBER: u32 = 8;
}

impl Asked for Format {
    const NUMBER: u32 = 5;
}

/// An open device node.
pub struct Node(File);

impl Node {
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).open(path).map(Self)
    }

    fn ask<T: Asked>(&self, value: &mut T) -> io::Result<()> {
        // As `_IOWR('V', number, T)` of <asm-generic/ioctl.h>: both directions, the size, the group, the number.
        let request = (3 << 30) | ((size_of::<T>() as u32) << 16) | (u32::from(b'V') << 8) | T::NUMBER;
        // SAFETY: the request's number has the size of `T`, a plain C struct, which is all that the kernel reads and writes.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, &raw mut *value) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Sets the control of this name; of a button any value presses it.
    pub fn set(&self, name: &str, value: i32) {
        let mut query = Query { id: NEXT_CONTROL, ..Query::default() };
        while self.ask(&mut query).is_ok() {
            let length = query.name.iter().position(|byte| *byte == 0).unwrap_or(query.name.len());
            if query.name[..length] == *name.as_bytes() {
                let mut control = Control { id: query.id, value };
                self.ask(&mut control).unwrap_or_else(|error| panic!("{name}: {error}"));
                return;
            }
            query = Query { id: query.id | NEXT_CONTROL, ..Query::default() };
        }
        panic!("the driver has no control `{name}`");
    }

    /// Becomes the owner of its buffers, until this is dropped.
    pub fn hold(&self) -> io::Result<()> {
        self.ask(&mut Request { count: 2, kind: TYPE_CAPTURE, memory: MEMORY_MMAP, more: [0; 2] })
    }

    /// Says that JPEG pictures of this size will be written.
    pub fn will_write_jpeg(&self, (width, height): (u32, u32)) {
        let (fourcc, size) = (*b"MJPG", width * height * 2);
        let rest = [0; 44];
        let mut format =
            Format { kind: TYPE_OUTPUT, _gap: 0, width, height, fourcc, field: FIELD_NONE, stride: 0, size, rest };
        self.ask(&mut format).expect("a loopback camera takes JPEG");
        assert_eq!(format.fourcc, *b"MJPG", "the driver put another format in its place");
    }

    /// One picture.
    pub fn write(&mut self, picture: &[u8]) {
        use std::io::Write as _;
        self.0.write_all(picture).expect("a loopback camera takes pictures");
    }
}

const _: () = {
    assert!(size_of::<Query>() == 68);
    assert!(size_of::<Request>() == 20);
    assert!(size_of::<Format>() == 208);
};
