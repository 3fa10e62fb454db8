//! The sample table of an MP4 or MOV file, whole or cut off.
//!
//! Read by hand because a recording whose writer died is just what a camera box meets: boxes may run past the end of
//! the file and tables may be short. `re_mp4` refuses the former and panics on the latter. Nothing is believed
//! beyond the bytes that are there, so sizes in the file never decide how much is allocated.

use std::io::{self, Read, Seek, SeekFrom};

use super::avc::Avc;

/// No real index is larger; a day of 30 frames a second takes 40 MB.
const MAX_INDEX_BYTES: u64 = 256 << 20;

/// One coded picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub offset: u64,
    pub bytes: u32,
    /// Presentation time in units of the track.
    pub time: i64,
}

/// The first video track.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// Sample entry, such as `avc1`.
    pub codec: [u8; 4],
    pub avc: Option<Avc>,
    /// Units of [`Sample::time`] per second.
    pub timescale: u32,
    pub samples: Vec<Sample>,
    /// Samples that the index promises and the file does not hold.
    pub missing: u64,
    /// Memory that reading the index took at most.
    pub index_bytes: u64,
    id: u32,
    /// Bytes of all samples: they lie side by side in a real file, so no more than the file has.
    sample_bytes: u64,
    next_decode: i64,
}

impl Track {
    /// Counts a sample; `false` if the file cannot hold it beside the others.
    fn takes(&mut self, bytes: u32, file_bytes: u64) -> bool {
        self.sample_bytes += u64::from(bytes);
        self.sample_bytes <= file_bytes
    }
}

/// Why there is no track to play.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The file ends before its index.
    NoIndex,
    NoVideo,
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the index of a file of `file_bytes`.
pub(super) fn read(file: &mut (impl Read + Seek), file_bytes: u64) -> Result<Track, Refusal> {
    let mut track = None;
    let mut defaults = Vec::new();
    let mut at = 0;
    let mut indexed = false;
    let mut boxes_bytes = 0;
    while at + 8 <= file_bytes {
        file.seek(SeekFrom::Start(at))?;
        let (name, header, bytes) = box_header(file)?;
        let bytes = if bytes == 0 { file_bytes - at } else { bytes };
        if bytes < header {
            break;
        }
        let body = (bytes - header).min(file_bytes.saturating_sub(at + header));
        if matches!(&name, b"moov" | b"moof") {
            boxes_bytes = body.max(boxes_bytes);
        }
        match &name {
            b"moov" if body <= MAX_INDEX_BYTES => {
                let moov = read_body(file, body)?;
                indexed = true;
                track = video_track(&moov, file_bytes);
                defaults = fragment_defaults(&moov);
            }
            b"moof" if body <= MAX_INDEX_BYTES => {
                if let Some(track) = &mut track {
                    let moof = read_body(file, body)?;
                    add_fragment(track, &moof, at, &defaults, file_bytes);
                }
            }
            _ => {}
        }
        let Some(next) = at.checked_add(bytes) else { break };
        at = next;
    }
    if !indexed {
        return Err(Refusal::NoIndex);
    }
    let mut track = track.ok_or(Refusal::NoVideo)?;
    track.samples.shrink_to_fit();
    // The vector doubles as it grows.
    track.index_bytes = boxes_bytes + 2 * size_of_val(&track.samples[..]) as u64;
    Ok(track)
}

fn box_header(file: &mut impl Read) -> io::Result<([u8; 4], u64, u64)> {
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    let name = [head[4], head[5], head[6], head[7]];
    match be32(&head, 0).unwrap_or(0) {
        1 => {
            let mut large = [0; 8];
            file.read_exact(&mut large)?;
            Ok((name, 16, u64::from_be_bytes(large)))
        }
        bytes => Ok((name, 8, bytes.into())),
    }
}

fn read_body(file: &mut impl Read, bytes: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    file.take(bytes).read_to_end(&mut body)?;
    Ok(body)
}

/// The boxes in a body; the last may be cut.
struct Boxes<'a>(&'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (bytes, name) = (be32(self.0, 0)? as usize, self.0.get(4..8)?);
        let (header, bytes) = match bytes {
            0 => (8, self.0.len()),
            1 => (16, usize::try_from(be64(self.0, 8)?).ok()?),
            bytes => (8, bytes),
        };
        let end = bytes.min(self.0.len());
        let body = self.0.get(header..end)?;
        let name = [name[0], name[1], name[2], name[3]];
        self.0 = &self.0[end..];
        Some((name, body))
    }
}

fn child(body: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    Boxes(body).find(|(found, _)| *found == name).map(|(_, body)| body)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let slice = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes([slice[0], slice[1], slice[2], slice[3]]))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(be32(bytes, at)?) << 32 | u64::from(be32(bytes, at + 4)?))
}

fn video_track(moov: &[u8], file_bytes: u64) -> Option<Track> {
    Boxes(moov).filter(|(name, _)| name == b"trak").find_map(|(_, trak)| {
        let mdia = child(trak, *b"mdia")?;
        if child(mdia, *b"hdlr")?.get(8..12)? != b"vide" {
            return None;
        }
        let tkhd = child(trak, *b"tkhd")?;
        let id = be32(tkhd, if tkhd.first()? == &1 { 20 } else { 12 })?;
        let mdhd = child(mdia, *b"mdhd")?;
        let timescale = be32(mdhd, if mdhd.first()? == &1 { 20 } else { 12 })?.max(1);
        let stbl = child(child(mdia, *b"minf")?, *b"stbl")?;
        let (codec, entry) = Boxes(child(stbl, *b"stsd")?.get(8..)?).next()?;
        // 78 bytes of a visual sample entry come before its boxes.
        let avc = entry.get(78..).and_then(|boxes| child(boxes, *b"avcC")).and_then(Avc::parse);
        let mut track = Track { codec, avc, timescale, id, ..Track::default() };
        add_table(&mut track, stbl, file_bytes);
        Some(track)
    })
}

/// The pairs of a table with a 4-byte count before them, as many as there are bytes for.
fn pairs(table: Option<&[u8]>) -> impl Iterator<Item = (u32, u32)> + '_ {
    let rows = table.and_then(|t| t.get(8..)).unwrap_or_default();
    rows.chunks_exact(8).map_while(|row| Some((be32(row, 0)?, be32(row, 4)?)))
}

/// Runs of equal values, one value a sample.
fn runs(table: Option<&[u8]>) -> impl Iterator<Item = u32> + '_ {
    pairs(table).flat_map(|(count, value)| std::iter::repeat_n(value, count as usize))
}

/// Chunk offsets with the number of samples in each.
fn chunks(stbl: &[u8]) -> impl Iterator<Item = (u64, u32)> + '_ {
    let narrow = child(stbl, *b"stco").and_then(|t| t.get(8..)).unwrap_or_default();
    let wide = child(stbl, *b"co64").and_then(|t| t.get(8..)).unwrap_or_default();
    let offsets = narrow.chunks_exact(4).filter_map(|row| be32(row, 0).map(u64::from));
    let offsets = offsets.chain(wide.chunks_exact(8).filter_map(|row| be64(row, 0)));
    let rows = child(stbl, *b"stsc").and_then(|t| t.get(8..)).unwrap_or_default();
    let mut rows = rows.chunks_exact(12).filter_map(|row| Some((be32(row, 0)?, be32(row, 4)?))).peekable();
    let mut per_chunk = 0;
    offsets.zip(1u32..).map(move |(offset, number)| {
        while let Some((_, samples)) = rows.next_if(|(first, _)| *first <= number) {
            per_chunk = samples;
        }
        (offset, per_chunk)
    })
}

fn add_table(track: &mut Track, stbl: &[u8], file_bytes: u64) {
    let Some(stsz) = child(stbl, *b"stsz") else { return };
    let (Some(fixed), Some(count)) = (be32(stsz, 4), be32(stsz, 8)) else { return };
    let count = u64::from(count);
    let listed = stsz.get(12..).unwrap_or_default();
    let mut sizes = listed.chunks_exact(4).filter_map(|row| be32(row, 0));
    let mut durations = runs(child(stbl, *b"stts"));
    let mut shifts = runs(child(stbl, *b"ctts"));
    let mut read = 0;
    let mut decode = 0i64;
    'chunks: for (chunk, samples) in chunks(stbl) {
        let mut offset = chunk;
        for _ in 0..samples {
            let bytes = if fixed > 0 { Some(fixed) } else { sizes.next() };
            let Some(bytes) = bytes.filter(|_| read < count) else { break 'chunks };
            read += 1;
            let time = decode + i64::from(shifts.next().unwrap_or(0).cast_signed());
            decode += i64::from(durations.next().unwrap_or(0));
            let end = offset.saturating_add(bytes.into());
            // A sample of no bytes repeats the picture before.
            if bytes == 0 {
                continue;
            }
            if end <= file_bytes && track.takes(bytes, file_bytes) {
                track.samples.push(Sample { offset, bytes, time });
            } else {
                track.missing += 1;
                if fixed > 0 {
                    break 'chunks;
                }
            }
            offset = end;
        }
    }
    track.missing += count.saturating_sub(read);
    track.next_decode = decode;
}

/// Per track: default duration and size of a fragment's samples.
fn fragment_defaults(moov: &[u8]) -> Vec<(u32, u32, u32)> {
    let boxes = Boxes(child(moov, *b"mvex").unwrap_or_default()).filter(|(name, _)| name == b"trex");
    boxes.filter_map(|(_, trex)| Some((be32(trex, 4)?, be32(trex, 12)?, be32(trex, 16)?))).collect()
}

fn add_fragment(track: &mut Track, moof: &[u8], moof_offset: u64, defaults: &[(u32, u32, u32)], file_bytes: u64) {
    for (_, traf) in Boxes(moof).filter(|(name, _)| name == b"traf") {
        let Some(tfhd) = child(traf, *b"tfhd") else { continue };
        let ours = be32(tfhd, 4) == Some(track.id);
        if ours && add_track_fragment(track, traf, tfhd, moof_offset, defaults, file_bytes).is_none() {
            track.missing += 1;
        }
    }
}

/// `None` if something of it is missing; what comes before that is there.
fn add_track_fragment(
    track: &mut Track,
    traf: &[u8],
    tfhd: &[u8],
    moof_offset: u64,
    defaults: &[(u32, u32, u32)],
    file_bytes: u64,
) -> Option<()> {
    let known = defaults.iter().find(|d| d.0 == track.id);
    let (mut duration, mut size) = known.map_or((0, 0), |d| (d.1, d.2));
    let flags = be32(tfhd, 0)?;
    let mut at = 8;
    let mut base = moof_offset;
    if flags & 1 != 0 {
        base = be64(tfhd, at)?;
        at += 8;
    }
    at += if flags & 2 != 0 { 4 } else { 0 };
    if flags & 8 != 0 {
        duration = be32(tfhd, at)?;
        at += 4;
    }
    if flags & 0x10 != 0 {
        size = be32(tfhd, at)?;
    }
    if let Some(tfdt) = child(traf, *b"tfdt") {
        let start = if tfdt.first()? == &1 { be64(tfdt, 4)? } else { be32(tfdt, 4)?.into() };
        track.next_decode = i64::try_from(start).ok()?;
    }
    let mut offset = base;
    for (_, trun) in Boxes(traf).filter(|(name, _)| name == b"trun") {
        let flags = be32(trun, 0)?;
        let count = be32(trun, 4)?;
        let mut at = 8;
        if flags & 1 != 0 {
            offset = base.checked_add_signed(i64::from(be32(trun, at)?.cast_signed()))?;
            at += 4;
        }
        at += if flags & 4 != 0 { 4 } else { 0 };
        for _ in 0..count {
            let mut field = |bit: u32| {
                let present = flags & bit != 0;
                let value = if present { be32(trun, at) } else { None };
                at += if present { 4 } else { 0 };
                (present, value)
            };
            let given = [field(0x100), field(0x200), field(0x400), field(0x800)];
            if given.iter().any(|(present, value)| *present && value.is_none()) {
                return None;
            }
            let bytes = given[1].1.unwrap_or(size);
            let time = track.next_decode.checked_add(given[3].1.unwrap_or(0).cast_signed().into())?;
            track.next_decode = track.next_decode.checked_add(given[0].1.unwrap_or(duration).into())?;
            let end = offset.saturating_add(bytes.into());
            if bytes == 0 || end > file_bytes || !track.takes(bytes, file_bytes) {
                return None;
            }
            track.samples.push(Sample { offset, bytes, time });
            offset = end;
        }
    }
    Some(())
}
