//! Properties of the frames: what is sent arrives, whatever comes before, and nothing else does.

use ocelli_link::{
    ALERTS, Counts, Deframer, FRAME_BYTES, FrameFault, Level, Packet, Reset, Seeing, Settings, Status, TEXT_BYTES,
    ToPanel, VERSION, clip, encode,
};
use proptest::prelude::*;

/// A message with a text of its own.
#[derive(Clone, Debug)]
struct Sample {
    session: u32,
    number: u32,
    which: u8,
    id: u64,
    text: String,
}

impl Sample {
    fn packet(&self) -> Packet<'_> {
        let level = [Level::Info, Level::Notice, Level::Alarm][usize::from(self.which % 3)];
        let settings = Settings {
            run: self.number,
            silent_after_s: self.session as u16,
            power_cycle_after_s: self.id.is_multiple_of(2).then_some(self.id as u16),
        };
        let message = match self.which % 6 {
            0 => ToPanel::Hello,
            1 => ToPanel::Settings(settings),
            2 => ToPanel::Beat,
            3 => ToPanel::Tell { level, id: self.id, age_s: self.session, text: &self.text },
            4 => ToPanel::Standing([self.id; ALERTS]),
            _ => ToPanel::Bye,
        };
        Packet { session: self.session, number: self.number, message }
    }
}

fn sample() -> impl Strategy<Value = Sample> {
    let text = "[\\x00-\\u{10ffff}]{0,160}".prop_map(|text: String| clip(&text, &mut [0; TEXT_BYTES]).to_owned());
    (any::<u32>(), any::<u32>(), any::<u8>(), any::<u64>(), text)
        .prop_map(|(session, number, which, id, text)| Sample { session, number, which, id, text })
}

fn frame(packet: &Packet<'_>) -> Vec<u8> {
    encode(packet, &mut [0; FRAME_BYTES]).expect("every message fits").to_vec()
}

/// What comes out, as text, for packets borrow from the deframer.
fn heard(deframer: &mut Deframer, bytes: &[u8]) -> Vec<Result<String, FrameFault>> {
    let mut heard = Vec::new();
    for byte in bytes {
        heard.extend(deframer.push::<Packet<'_>>(*byte).map(|packet| packet.map(|packet| format!("{packet:?}"))));
    }
    heard
}

proptest! {
    #[test]
    fn what_is_sent_arrives_behind_whatever_noise(sample in sample(), noise in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut deframer = Deframer::new();
        prop_assert!(heard(&mut deframer, &noise).iter().all(Result::is_err));
        let heard = heard(&mut deframer, &frame(&sample.packet()));
        prop_assert_eq!(heard.last(), Some(&Ok(format!("{:?}", sample.packet()))));
        prop_assert!(heard.len() <= 2, "the noise's last frame, and ours");
    }

    #[test]
    fn no_byte_can_be_changed_left_out_or_doubled(sample in sample(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let whole = frame(&sample.packet());
        let at = 1 + at.index(whole.len() - 2);
        let (mut changed, mut short, mut long) = (whole.clone(), whole.clone(), whole.clone());
        changed[at] = to;
        short.remove(at);
        long.insert(at, whole[at]);
        for bytes in [&changed, &short, &long] {
            let heard = heard(&mut Deframer::new(), bytes);
            prop_assert!(*bytes == whole || heard.iter().all(Result::is_err), "{heard:?}");
        }
    }

    #[test]
    fn a_deframer_never_panics_and_takes_nothing_from_noise(noise in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut deframer = Deframer::new();
        for byte in noise {
            prop_assert!(!matches!(deframer.push::<Packet<'_>>(byte), Some(Ok(_))));
        }
    }

    #[test]
    fn a_text_is_clipped_to_whole_characters(text in "\\PC{0,300}") {
        let mut buffer = [0; TEXT_BYTES];
        let clipped = clip(&text, &mut buffer);
        prop_assert!(text == clipped || text.starts_with(clipped.strip_suffix("...").expect("it says so")));
    }
}

#[test]
fn the_longest_messages_fit() {
    let text = "x".repeat(TEXT_BYTES);
    let message = ToPanel::Tell { level: Level::Alarm, id: u64::MAX, age_s: u32::MAX, text: &text };
    let longest = frame(&Packet { session: u32::MAX, number: u32::MAX, message });
    assert!(longest.len() <= FRAME_BYTES, "{}", longest.len());
    frame(&Packet { session: u32::MAX, number: u32::MAX, message: ToPanel::Standing([u64::MAX; ALERTS]) });
    let most = u32::MAX;
    let counts = Counts { damaged: most, overlong: most, unknown: most, replayed: most, lost_bytes: most };
    let status = Status {
        session: most,
        heard: most,
        beats: most,
        seeing: Seeing::Silent,
        uptime_s: most,
        reset: Reset::Watchdog,
        presses: most,
        pressed_id: u64::MAX,
        open: u8::MAX,
        counts,
        stack_left: Some(most),
    };
    let mut out = [0; FRAME_BYTES];
    let bytes = encode(&status, &mut out).expect("it fits");
    let mut deframer = Deframer::new();
    let mut heard = None;
    for byte in bytes {
        heard = deframer.push::<Status>(*byte).or(heard);
    }
    assert_eq!(heard, Some(Ok(status)));
}

/// Held in bytes, so that a change of the wire is seen, and raises the version.
#[test]
fn the_wire_of_version_1() {
    assert_eq!(VERSION, 1);
    let message = ToPanel::Tell { level: Level::Alarm, id: 300, age_s: 2, text: "Fall" };
    let bytes = frame(&Packet { session: 7, number: 1, message });
    let plain = [1, 7, 1, 3, 2, 0xac, 2, 2, 4, b'F', b'a', b'l', b'l'];
    assert_eq!(bytes[..2], [0, 18], "no zero in the {} bytes and the sum", plain.len());
    assert_eq!(bytes[2..15], plain);
    assert_eq!(bytes.len(), 20);
    assert_eq!(bytes[19], 0);
}

#[test]
fn another_version_is_told_apart_from_noise() {
    let mut plain = vec![VERSION + 1, 99, 99];
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&plain);
    plain.extend(sum.to_le_bytes());
    let mut coded = [0; 32];
    let count = cobs::encode(&plain, &mut coded);
    let coded = &coded[..=count];
    assert_eq!(heard(&mut Deframer::new(), coded), [Err(FrameFault::Version(VERSION + 1))]);
    let overlong = [vec![1; FRAME_BYTES + 1], vec![0]].concat();
    assert_eq!(heard(&mut Deframer::new(), &overlong), [Err(FrameFault::Overlong)]);
}

#[test]
fn what_the_fuzzer_begins_with_has_messages_for_both_ends() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/panel");
    let (mut packets, mut statuses) = (0, 0);
    for seed in std::fs::read_dir(seeds).expect("they are there") {
        let (mut at_panel, mut at_runtime) = (Deframer::new(), Deframer::new());
        for byte in std::fs::read(seed.expect("a file").path()).expect("it can be read") {
            packets += usize::from(matches!(at_panel.push::<Packet>(byte), Some(Ok(_))));
            statuses += usize::from(matches!(at_runtime.push::<Status>(byte), Some(Ok(_))));
        }
    }
    assert!(packets >= 6 && statuses >= 2, "{packets} {statuses}");
}
