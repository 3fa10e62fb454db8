//! Packets of the first video track of a Matroska or `WebM` file, front to back.
//!
//! Read by hand for the same reason as MP4: `matroska-demuxer` looks up the index at the end before the first packet,
//! so it refuses every recording that was cut off. Front to back needs no index.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use ocelli_types::{ColorMatrix, PixelRange};

use super::avc::Avc;
use super::sps::matrix_of;

const EBML: u32 = 0x1A45_DFA3;
const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_A966;
const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
const TRACKS: u32 = 0x1654_AE6B;
const CLUSTER: u32 = 0x1F43_B675;
const TIMESTAMP: u32 = 0xE7;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;
const SIMPLE_BLOCK: u32 = 0xA3;

/// Track headers are a few hundred bytes.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// The first video track.
#[derive(Debug, Default)]
pub(super) struct Track {
    number: u64,
    pub codec: String,
    pub avc: Option<Avc>,
    pub range: Option<PixelRange>,
    pub matrix: Option<ColorMatrix>,
    /// Header bytes that the muxer took off every packet.
    stripped: Vec<u8>,
    /// Packets are compressed or encrypted.
    pub sealed: bool,
}

/// A file that is read from front to back.
#[derive(Debug)]
pub(super) struct Reader<R> {
    file: BufReader<R>,
    file_bytes: u64,
    at: u64,
    scale_ns: u64,
    cluster: i64,
    pub track: Track,
    pub cut: bool,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads up to the first cluster; `None` if there is no video track before it.
    pub fn open(file: R, file_bytes: u64) -> io::Result<Option<Self>> {
        let file = BufReader::new(file);
        let track = Track::default();
        let mut reader = Self { file, file_bytes, at: 0, scale_ns: 1_000_000, cluster: 0, track, cut: false };
        let mut found = false;
        while let Some((id, size)) = reader.element()? {
            match id {
                SEGMENT => {}
                CLUSTER => break,
                INFO | TRACKS => {
                    let Some(body) = reader.body(size, MAX_HEADER_BYTES)? else { break };
                    if id == INFO {
                        reader.scale_ns = find(&body, TIMESTAMP_SCALE).map_or(1_000_000, number).max(1);
                    } else if let Some(track) = video_track(&body) {
                        (reader.track, found) = (track, true);
                    }
                }
                _ => reader.skip(size)?,
            }
        }
        Ok(found.then_some(reader))
    }

    /// The next packet of the track, written over `packet`; its presentation time in microseconds. `None` at the end,
    /// and `cut` says whether it was a clean one.
    pub fn next(&mut self, packet: &mut Vec<u8>) -> io::Result<Option<i64>> {
        while let Some((id, size)) = self.element()? {
            match id {
                SEGMENT | CLUSTER | BLOCK_GROUP => {}
                TIMESTAMP => match self.body(size, 8)? {
                    Some(body) => self.cluster = number(&body).cast_signed(),
                    None => return Ok(None),
                },
                SIMPLE_BLOCK | BLOCK => {
                    let Some(body) = self.body(size, self.file_bytes)? else { return Ok(None) };
                    if let Some(time_us) = self.unpack(&body, packet) {
                        return Ok(Some(time_us));
                    }
                }
                _ => self.skip(size)?,
            }
        }
        Ok(None)
    }

    /// A block is a track number, a time in the cluster, flags and the packet; laced blocks are for sound.
    fn unpack(&self, block: &[u8], packet: &mut Vec<u8>) -> Option<i64> {
        let mut rest = block;
        let (track, _) = variable(&mut rest, true)?;
        let (head, data) = rest.split_at_checked(3)?;
        if track != self.track.number || head[2] & 0x06 != 0 {
            return None;
        }
        packet.clear();
        packet.extend_from_slice(&self.track.stripped);
        packet.extend_from_slice(data);
        let time = self.cluster.saturating_add(i64::from(i16::from_be_bytes([head[0], head[1]])));
        i64::try_from(i128::from(time) * i128::from(self.scale_ns) / 1000).ok()
    }

    /// The header of the next element; `None` at the end of the file. A size of `u64::MAX` is unknown.
    fn element(&mut self) -> io::Result<Option<(u32, u64)>> {
        let mut header = [0; 12];
        let mut read = 0;
        while read < header.len() {
            match self.file.read(&mut header[read..])? {
                0 => break,
                count => read += count,
            }
        }
        let mut rest = &header[..read];
        let parsed = variable(&mut rest, false).and_then(|(id, _)| Some((id, variable(&mut rest, true)?)));
        let Some((id, (size, unknown))) = parsed else {
            self.cut |= read > 0;
            return Ok(None);
        };
        self.file.seek_relative(-rest.len().cast_signed() as i64)?;
        self.at += (read - rest.len()) as u64;
        Ok(Some((id as u32, if unknown { u64::MAX } else { size })))
    }

    /// The body of an element; `None`, and the file counts as cut, if it runs past the end or over `limit`.
    fn body(&mut self, size: u64, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if size > limit || self.at.saturating_add(size) > self.file_bytes {
            self.cut = true;
            return Ok(None);
        }
        let mut body = vec![0; size as usize];
        self.file.read_exact(&mut body)?;
        self.at += size;
        Ok(Some(body))
    }

    fn skip(&mut self, size: u64) -> io::Result<()> {
        let end = self.at.saturating_add(size);
        self.cut |= end > self.file_bytes;
        self.at = end.min(self.file_bytes);
        match i64::try_from(size) {
            Ok(size) if end <= self.file_bytes => self.file.seek_relative(size),
            _ => self.file.seek(SeekFrom::Start(self.at)).map(drop),
        }
    }
}

/// Whether these first bytes of a file are EBML.
pub(super) fn is_ebml(head: &[u8]) -> bool {
    head.starts_with(&EBML.to_be_bytes())
}

/// A number of 1 to 8 bytes whose leading zeros tell the length, and whether all its bits are ones.
fn variable(bytes: &mut &[u8], strip_marker: bool) -> Option<(u64, bool)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let (head, rest) = bytes.split_at_checked(length).filter(|_| length <= 8)?;
    *bytes = rest;
    let value = head.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
    let mask = (1u64 << (7 * length)) - 1;
    Some((if strip_marker { value & mask } else { value }, value & mask == mask))
}

/// The elements in a body; the last may be cut.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, _) = variable(&mut self.0, false)?;
        let (size, _) = variable(&mut self.0, true)?;
        let (body, rest) = self.0.split_at_checked(usize::try_from(size).ok()?)?;
        self.0 = rest;
        Some((id as u32, body))
    }
}

fn find(body: &[u8], id: u32) -> Option<&[u8]> {
    Elements(body).find(|(found, _)| *found == id).map(|(_, body)| body)
}

fn number(body: &[u8]) -> u64 {
    body.iter().take(8).fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

fn video_track(tracks: &[u8]) -> Option<Track> {
    let entries = Elements(tracks).filter(|(id, _)| *id == 0xAE);
    let (_, entry) = entries.into_iter().find(|(_, entry)| find(entry, 0x83).map(number) == Some(1))?;
    let colour = find(entry, 0xE0).and_then(|video| find(video, 0x55B0)).unwrap_or_default();
    let mut track = Track {
        number: find(entry, 0xD7).map_or(0, number),
        codec: String::from_utf8_lossy(find(entry, 0x86)?).trim_end_matches('\0').to_owned(),
        avc: find(entry, 0x63A2).and_then(Avc::parse),
        range: match find(colour, 0x55B9).map(number) {
            Some(1) => Some(PixelRange::Limited),
            Some(2) => Some(PixelRange::Full),
            _ => None,
        },
        matrix: find(colour, 0x55B1).and_then(|code| matrix_of(number(code) as u32)),
        stripped: Vec::new(),
        sealed: false,
    };
    for (_, encoding) in Elements(find(entry, 0x6D80).unwrap_or_default()) {
        match find(encoding, 0x5034).map(|compression| (find(compression, 0x4254).map_or(0, number), compression)) {
            Some((3, compression)) => track.stripped = find(compression, 0x4255).unwrap_or_default().to_vec(),
            _ => track.sealed = true,
        }
    }
    Some(track)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_numbers_know_their_length() {
        let read = |mut bytes: &[u8]| variable(&mut bytes, true);
        assert_eq!(read(&[0x82]), Some((2, false)));
        assert_eq!(read(&[0x40, 0x02]), Some((2, false)));
        assert_eq!(read(&[0xff]), Some((0x7f, true)));
        assert_eq!(read(&[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).map(|v| v.1), Some(true));
        assert_eq!(read(&[0x40]), None);
        assert_eq!(read(&[0x00, 1, 2, 3, 4, 5, 6, 7, 8]), None);
    }
}
