//! JPEG pictures one after the other, from a file or a pipe.

use std::io::{self, Read};

use ocelli_types::SizePx;

/// A JPEG of 4K at the best quality stays below.
const MAX_PICTURE_BYTES: usize = 16 << 20;

const CHUNK_BYTES: usize = 64 << 10;

/// Cuts a stream of bytes into pictures.
#[derive(Debug)]
pub(super) struct Mjpeg<R> {
    input: R,
    buffer: Vec<u8>,
    /// End of the picture last returned, to be dropped at the next call.
    done: usize,
}

/// What came of looking for a picture.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is now `picture()`.
    Picture,
    End,
    /// The stream ends inside a picture, or one has no end.
    Cut,
}

impl<R: Read> Mjpeg<R> {
    pub fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), done: 0 }
    }

    /// The picture last found, from its first marker to its last.
    pub fn picture(&self) -> &[u8] {
        &self.buffer[..self.done]
    }

    /// Reads until a picture is whole; bytes between pictures are skipped.
    pub fn next(&mut self) -> io::Result<Found> {
        self.buffer.drain(..self.done);
        self.done = 0;
        let mut scan = Scan::default();
        loop {
            if let Some(range) = scan.advance(&self.buffer) {
                self.buffer.drain(..range.start);
                self.done = range.len();
                return Ok(Found::Picture);
            }
            if self.buffer.len() >= MAX_PICTURE_BYTES {
                return Ok(Found::Cut);
            }
            if scan.start.is_none() {
                // Nothing has begun: keep the last byte, it may be half a marker.
                let keep = self.buffer.len().min(1);
                self.buffer.drain(..self.buffer.len() - keep);
                scan = Scan::default();
            }
            let filled = self.buffer.len();
            self.buffer.resize(filled + CHUNK_BYTES, 0);
            let read = read_some(&mut self.input, &mut self.buffer[filled..]);
            self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Ok(if scan.start.is_some() { Found::Cut } else { Found::End });
            }
        }
    }
}

fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The size in the frame header of a picture; zero if it has none.
pub(super) fn size_of(picture: &[u8]) -> SizePx {
    let be16 = |at: usize| picture.get(at..at + 2).map_or(0, |pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let mut at = 2;
    while let Some(&[0xff, marker]) = picture.get(at..at + 2) {
        match marker {
            // Start of frame; C4, C8 and CC are tables.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return SizePx::new(be16(at + 7), be16(at + 5)),
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xd9 | 0xda => break,
            _ => at += 2 + (be16(at + 2) as usize).max(2),
        }
    }
    SizePx::default()
}

/// Where we are in the markers of a picture that is still coming in.
#[derive(Debug, Default)]
struct Scan {
    start: Option<usize>,
    at: usize,
}

impl Scan {
    /// Goes on as far as the bytes reach; the range of a whole picture once its end marker was seen.
    fn advance(&mut self, bytes: &[u8]) -> Option<std::ops::Range<usize>> {
        if self.start.is_none() {
            let start = self.at + bytes[self.at..].windows(2).position(|pair| pair == [0xff, 0xd8])?;
            self.start = Some(start);
            self.at = start + 2;
        }
        let start = self.start?;
        loop {
            let found = bytes.get(self.at..)?.iter().position(|&byte| byte == 0xff);
            let Some(found) = found else {
                self.at = bytes.len();
                return None;
            };
            let marker = self.at + found;
            match *bytes.get(marker + 1)? {
                0xd9 => return Some(start..marker + 2),
                // Stuffing, fill bytes, restarts and a second start carry no length.
                0x00 | 0x01 | 0xd0..=0xd8 => self.at = marker + 2,
                0xff => self.at = marker + 1,
                // A segment with a length; thumbnails with markers of their own hide in these.
                _ => {
                    let length = usize::from(*bytes.get(marker + 2)?) << 8 | usize::from(*bytes.get(marker + 3)?);
                    self.at = marker + 2 + length.max(2);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_pictures_or_none(bytes in prop::collection::vec(prop_oneof![Just(0xff_u8), Just(0xd8), Just(0xd9), any::<u8>()], 0..300)) {
            let mut pictures = Mjpeg::new(&bytes[..]);
            let mut left = bytes.len();
            while let Ok(Found::Picture) = pictures.next() {
                prop_assert!(pictures.picture().starts_with(&[0xff, 0xd8]) && pictures.picture().ends_with(&[0xff, 0xd9]));
                left = left.checked_sub(pictures.picture().len()).expect("pictures are parts of what came");
                size_of(pictures.picture());
            }
            size_of(&bytes);
        }
    }

    /// Hands out one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    /// A segment that holds an end marker of a thumbnail, then scan data with stuffing and a restart.
    const JPEG: [u8; 18] = [0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd9, 1, 2, 0xff, 0xda, 0, 2, 0xff, 0x00, 0xff, 0xd9];

    #[test]
    fn pictures_are_cut_at_their_own_ends() {
        let stream = [&[0, 0xff, 7][..], &JPEG, &[0x0d, 0x0a], &JPEG].concat();
        let mut pictures = Mjpeg::new(Drip(&stream));
        for _ in 0..2 {
            assert_eq!(pictures.next().expect("no error"), Found::Picture);
            assert_eq!(pictures.picture(), JPEG);
        }
        assert_eq!(pictures.next().expect("no error"), Found::End);
        assert_eq!(pictures.next().expect("no error"), Found::End);
    }

    #[test]
    fn the_size_is_that_of_the_frame_header() {
        // A segment with a thumbnail's header in it, then a table, then the header: 480 rows of 640.
        let head =
            [0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xc0, 0, 1, 0xff, 0xc4, 0, 2, 0xff, 0xc2, 0, 17, 8, 1, 224, 2, 128];
        assert_eq!(size_of(&head), SizePx::new(640, 480));
        assert!((0..head.len()).all(|cut| size_of(&head[..cut]) != SizePx::new(640, 480)));
        assert_eq!(size_of(&JPEG), SizePx::default());
    }

    #[test]
    fn a_picture_without_an_end_is_cut() {
        let mut pictures = Mjpeg::new(&JPEG[..16]);
        assert_eq!(pictures.next().expect("no error"), Found::Cut);
    }
}
