//! The decoder configuration that MP4 and Matroska both carry for H.264, and the way from their packets to a stream
//! with start codes.

use super::sps::Sps;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// `AVCDecoderConfigurationRecord`.
#[derive(Clone, Debug)]
pub(super) struct Avc {
    /// Bytes of the length before each unit, 1 to 4.
    length_bytes: usize,
    /// Parameter sets with start codes.
    pub headers: Vec<u8>,
    pub sps: Option<Sps>,
}

impl Avc {
    /// `None` if the record is cut short.
    pub fn parse(record: &[u8]) -> Option<Self> {
        let length_bytes = usize::from(record.get(4)? & 3) + 1;
        let mut headers = Vec::new();
        let mut sps = None;
        let mut at = 5;
        for mask in [0x1f, 0xff] {
            let count = record.get(at)? & mask;
            at += 1;
            for _ in 0..count {
                let length = usize::from(*record.get(at)?) << 8 | usize::from(*record.get(at + 1)?);
                let unit = record.get(at + 2..at + 2 + length)?;
                sps = sps.or_else(|| Sps::parse(unit));
                headers.extend_from_slice(&START_CODE);
                headers.extend_from_slice(unit);
                at += 2 + length;
            }
        }
        Some(Self { length_bytes, headers, sps })
    }

    /// Appends the units of `packet` to `stream` with start codes. `false` if one runs past the end: it is left out.
    pub fn append(&self, packet: &[u8], stream: &mut Vec<u8>) -> bool {
        let mut rest = packet;
        while rest.len() > self.length_bytes {
            let (length, after) = rest.split_at(self.length_bytes);
            let length = length.iter().fold(0usize, |sum, &byte| sum << 8 | usize::from(byte));
            let Some(unit) = after.get(..length) else { return false };
            stream.extend_from_slice(&START_CODE);
            stream.extend_from_slice(unit);
            rest = &after[length..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_record_and_packets_or_none(record in any::<Vec<u8>>(), packet in any::<Vec<u8>>()) {
            if let Some(avc) = Avc::parse(&record) {
                let mut stream = Vec::new();
                avc.append(&packet, &mut stream);
                // A start code in place of each length: at worst four bytes for one.
                prop_assert!(stream.len() <= 4 * packet.len() + 4);
            }
        }
    }

    #[test]
    fn packets_get_start_codes_and_a_lying_length_ends_them() {
        let avc = Avc { length_bytes: 2, headers: Vec::new(), sps: None };
        let mut stream = Vec::new();
        assert!(avc.append(&[0, 1, 9, 0, 2, 7, 7], &mut stream));
        stream.clear();
        assert!(!avc.append(&[0, 1, 9, 0, 2, 7, 7, 255, 255, 1], &mut stream));
        assert_eq!(stream, [0, 0, 0, 1, 9, 0, 0, 0, 1, 7, 7]);
    }

    #[test]
    fn a_record_that_is_cut_is_none() {
        let record = [1, 66, 0, 30, 0xff, 0xe1, 0, 2, 0x67, 1, 1, 0, 1, 0x68];
        assert!(Avc::parse(&record).is_some_and(|avc| avc.length_bytes == 4 && avc.headers.len() == 11));
        assert!((0..record.len()).all(|cut| Avc::parse(&record[..cut]).is_none()));
    }
}
