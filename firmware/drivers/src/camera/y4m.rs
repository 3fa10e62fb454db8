//! YUV4MPEG2: uncompressed pictures with a one-line header, from a file or a pipe.

use std::io::{self, Read};

use ocelli_types::{Micros, PixelRange, SizePx};

use super::planes::{Layout, Picture, usual_matrix};
use crate::fit::MAX_AREA;

const MAX_LINE_BYTES: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chroma {
    Mono,
    C420,
    C422,
    C444,
}

/// A stream of pictures; chroma finer than 4:2:0 is averaged down to it.
#[derive(Debug)]
pub(super) struct Y4m<R> {
    input: R,
    chroma: Chroma,
    frame_rate: (u64, u64),
    frames: u64,
    fine: Vec<u8>,
    pub picture: Picture,
}

/// Why a stream does not begin or go on.
#[derive(Debug)]
pub(super) enum Refusal {
    Io(io::Error),
    /// It ends inside a picture.
    Cut,
    TooLarge(SizePx),
    Header(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Cut,
            _ => Self::Io(error),
        }
    }
}

impl<R: Read> Y4m<R> {
    /// Reads the header line.
    pub fn open(mut input: R) -> Result<Self, Refusal> {
        let line = read_line(&mut input)?.ok_or(Refusal::Cut)?;
        let mut words = line.split(' ');
        if words.next() != Some("YUV4MPEG2") {
            return Err(Refusal::Header("it does not begin with YUV4MPEG2".into()));
        }
        let (mut size_px, mut frame_rate) = (SizePx::default(), (25, 1));
        let (mut chroma, mut range) = (Chroma::C420, PixelRange::Limited);
        for word in words.filter(|word| !word.is_empty()) {
            let mut letters = word.chars();
            let (key, value) = (letters.next(), letters.as_str());
            match key {
                Some('W') => size_px.width = value.parse().unwrap_or(0),
                Some('H') => size_px.height = value.parse().unwrap_or(0),
                Some('F') => frame_rate = rate(value).unwrap_or(frame_rate),
                Some('C') => chroma = chroma_of(value)?,
                Some('X') if value == "COLORRANGE=FULL" => range = PixelRange::Full,
                _ => {}
            }
        }
        if size_px.area() == 0 {
            return Err(Refusal::Header("its header gives no width or height".into()));
        }
        if size_px.area() > MAX_AREA {
            return Err(Refusal::TooLarge(size_px));
        }
        let layout = if chroma == Chroma::Mono { Layout::Gray } else { Layout::I420 };
        let bytes = vec![0; layout.bytes(size_px) as usize];
        let picture = Picture { layout, size_px, range, matrix: usual_matrix(size_px), bytes };
        Ok(Self { input, chroma, frame_rate, frames: 0, fine: Vec::new(), picture })
    }

    /// Reads the next picture into `picture`; its time by the rate in the header, or `None` at the end.
    pub fn next(&mut self) -> Result<Option<Micros>, Refusal> {
        let Some(line) = read_line(&mut self.input)? else { return Ok(None) };
        if !line.starts_with("FRAME") {
            return Err(Refusal::Header("a picture does not begin with FRAME".into()));
        }
        match self.chroma {
            Chroma::Mono | Chroma::C420 => self.input.read_exact(&mut self.picture.bytes)?,
            Chroma::C422 | Chroma::C444 => self.read_fine()?,
        }
        let (count, seconds) = self.frame_rate;
        let time_us = u128::from(self.frames) * u128::from(seconds) * 1_000_000 / u128::from(count);
        self.frames += 1;
        Ok(Some(Micros(u64::try_from(time_us).unwrap_or(u64::MAX))))
    }

    fn read_fine(&mut self) -> Result<(), Refusal> {
        let SizePx { width, height } = self.picture.size_px;
        let (width, height) = (width as usize, height as usize);
        let fine_width = if self.chroma == Chroma::C444 { width } else { width.div_ceil(2) };
        self.fine.resize(fine_width * height * 2, 0);
        let (luma, chroma) = self.picture.bytes.split_at_mut(width * height);
        self.input.read_exact(luma)?;
        self.input.read_exact(&mut self.fine)?;
        let across = if self.chroma == Chroma::C444 { 2 } else { 1 };
        let plane_bytes = chroma.len() / 2;
        for (coarse, fine) in chroma.chunks_exact_mut(plane_bytes).zip(self.fine.chunks_exact(fine_width * height)) {
            average_down(fine, fine_width, across, coarse, width.div_ceil(2));
        }
        Ok(())
    }
}

/// Averages `across` x 2 samples into one; at an odd edge those that there are.
fn average_down(fine: &[u8], fine_width: usize, across: usize, coarse: &mut [u8], coarse_width: usize) {
    let pairs = fine.chunks(fine_width * 2);
    for (rows, out) in pairs.zip(coarse.chunks_exact_mut(coarse_width)) {
        let (top, bottom) = rows.split_at(fine_width);
        let bottom = if bottom.is_empty() { top } else { bottom };
        for ((top, bottom), out) in top.chunks(across).zip(bottom.chunks(across)).zip(out) {
            let sum: u32 = top.iter().chain(bottom).map(|&value| u32::from(value)).sum();
            let count = (top.len() * 2) as u32;
            *out = ((sum + count / 2) / count) as u8;
        }
    }
}

/// A line without its end; `None` if there is nothing more.
fn read_line(input: &mut impl Read) -> Result<Option<String>, Refusal> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < MAX_LINE_BYTES {
        match input.read(&mut byte) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => return Err(Refusal::Cut),
            Ok(_) if byte[0] == b'\n' => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refusal::Header("a header line does not end".into()))
}

fn rate(value: &str) -> Option<(u64, u64)> {
    let (count, seconds) = value.split_once(':')?;
    let rate = (count.parse().ok()?, seconds.parse().ok()?);
    (rate.0 > 0 && rate.1 > 0).then_some(rate)
}

fn chroma_of(value: &str) -> Result<Chroma, Refusal> {
    match value {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(Chroma::C420),
        "422" => Ok(Chroma::C422),
        "444" => Ok(Chroma::C444),
        "mono" => Ok(Chroma::Mono),
        _ => Err(Refusal::Header(format!("pixels of the kind C{value} are not read; convert to C420jpeg"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(bytes: &[u8]) -> Result<Y4m<&[u8]>, Refusal> {
        Y4m::open(bytes)
    }

    #[test]
    fn one_pixel_and_irregular_rate() {
        let mut clip = open(b"YUV4MPEG2 W1 H1 F30000:1001 C420jpeg\nFRAME\nabcFRAME Ip\ndef").expect("a header");
        assert_eq!(clip.next().expect("whole"), Some(Micros(0)));
        assert_eq!(clip.next().expect("whole"), Some(Micros(33_366)));
        assert_eq!(clip.picture.bytes, b"def");
        assert_eq!(clip.next().expect("the end"), None);
    }

    #[test]
    fn a_cut_picture_is_told_from_the_end() {
        let mut clip = open(b"YUV4MPEG2 W2 H2 F5:1\nFRAME\nabcde").expect("a header");
        assert!(matches!(clip.next(), Err(Refusal::Cut)));
    }

    #[test]
    fn finer_chroma_is_averaged() {
        let mut clip = open(b"YUV4MPEG2 W3 H1 F5:1 C444\nFRAME\nyyy\x00\x0a\x14\x64\x64\x64").expect("a header");
        clip.next().expect("whole");
        assert_eq!(clip.picture.bytes, [b'y', b'y', b'y', 5, 20, 100, 100]);
        let mut clip = open(b"YUV4MPEG2 W2 H2 F5:1 C422\nFRAME\nyyyy\x00\x0a\x64\x64").expect("a header");
        clip.next().expect("whole");
        assert_eq!(clip.picture.bytes, [b'y', b'y', b'y', b'y', 5, 100]);
    }

    #[test]
    fn bad_headers_are_refused_in_words() {
        assert!(matches!(open(b"YUV4MPEG2 W2\n"), Err(Refusal::Header(_))));
        assert!(matches!(open(b"YUV4MPEG2 W2 H2 C420p10\n"), Err(Refusal::Header(_))));
        assert!(matches!(open(b"YUV4MPEG2 W99999 H99999\n"), Err(Refusal::TooLarge(_))));
        assert!(matches!(open(b"YUV4MPEG2 W4294967295 H4294967295\n"), Err(Refusal::TooLarge(_))));
        assert!(matches!(open(&[b'x'; 9000]), Err(Refusal::Header(_))));
    }
}
