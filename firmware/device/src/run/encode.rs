//! The thread between capture and thinking: patches in, tokens out.

use std::sync::mpsc::{Receiver, SyncSender};

use ocelli_drivers::SystemClock;
use ocelli_infer::{InferError, Stab, Team};
use ocelli_pipeline::{PatchSlot, StepError, TokenSlot};

use super::{Message, Sent};
use crate::error::Error;
use crate::plan::TEAM_STACK_BYTES;

pub(super) struct Encode {
    /// One a camera.
    pub(super) stabs: Vec<Stab>,
    pub(super) pictures: Receiver<Sent<PatchSlot>>,
    /// One a camera.
    pub(super) gives: Vec<SyncSender<PatchSlot>>,
    pub(super) slots: Receiver<TokenSlot>,
    pub(super) tell: SyncSender<Sent<TokenSlot>>,
    pub(super) clock: SystemClock,
    /// How many threads share large products, this one among them.
    pub(super) team: u8,
}

impl Encode {
    /// Until one of its neighbours has gone.
    pub(super) fn run(mut self) -> Result<(), Error> {
        let team = Team::new(self.team.into(), "stab", TEAM_STACK_BYTES);
        let mut team = team.map_err(|source| Error::System { what: "to start a thread", source })?;
        while let Ok((camera, message)) = self.pictures.recv() {
            let message = match message {
                Message::Picture { slot: patches, look, captured_us, counts } => {
                    let Ok(mut slot) = self.slots.recv() else { break };
                    let filled: Result<(), StepError<InferError, InferError>> =
                        team.lead(|| slot.fill(&mut self.stabs[camera], &patches.batch(), &self.clock));
                    filled?;
                    // The capture thread may have ended with its stream: then nobody wants the slot.
                    let _ = self.gives[camera].try_send(patches);
                    Message::Picture { slot, look, captured_us, counts }
                }
                Message::Lost { seen_us, at_us, why } => Message::Lost { seen_us, at_us, why },
                Message::StillLost { at_us, why } => Message::StillLost { at_us, why },
                Message::Back { seen_us, at_us } => {
                    self.stabs[camera].reset()?;
                    Message::Back { seen_us, at_us }
                }
            };
            if self.tell.send((camera, message)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::sync_channel;

    use ocelli_types::{ColorMatrix, Frame, FrameSeq, Micros, PixelRange, Pixels, SizePx};

    use super::super::Counts;
    use super::*;
    use crate::config::Profile;
    use crate::wiring::{self, Eye, Look};

    /// What STAB remembers of the time before a loss must not show in the pictures after it.
    #[test]
    fn stab_forgets_what_it_saw_before_a_loss() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root");
        let tiny = root.join("models/tiny-test");
        let tiny = tiny.to_str().expect("a plain path");
        let mut eye = Eye::new(&wiring::load(tiny).expect("the pack of the tests").0).expect("it is consistent");
        let mut tokens_after = |before: &[Message<()>], levels: &[u8], team: u8| {
            let (pack, stab, narrator) = wiring::load(tiny).expect("the pack of the tests");
            let (stab, mind) =
                wiring::thinking(&pack, Profile::Home, stab, narrator).expect("it is consistent").split();
            let (tell_patches, pictures) = sync_channel(20);
            let (tell, messages) = sync_channel(20);
            let (give, _patches) = sync_channel(20);
            let (give_tokens, slots) = sync_channel(20);
            (0..20).for_each(|_| give_tokens.send(mind.slot()).expect("there is room"));
            let mut picture = |level: u8| {
                eye.forget();
                let grey = [level; 64 * 48];
                let frame = Frame {
                    pixels: Pixels::Gray { data: &grey, stride: 64 },
                    size_px: SizePx::new(64, 48),
                    range: PixelRange::Full,
                    matrix: ColorMatrix::Bt601,
                    seq: FrameSeq(0),
                    captured_us: Micros(0),
                };
                let mut slot = PatchSlot::new(pack.grid);
                let look = eye.look(&frame, Micros(0), &mut slot, &SystemClock::new()).expect("a plain picture");
                Message::Picture { slot, look, captured_us: Micros(0), counts: Counts::default() }
            };
            for message in before {
                let message = match message {
                    Message::Picture { .. } => picture(200),
                    Message::Lost { .. } => Message::Lost { seen_us: Micros(0), at_us: Micros(0), why: "gone".into() },
                    Message::StillLost { .. } => Message::StillLost { at_us: Micros(0), why: "gone".into() },
                    Message::Back { .. } => Message::Back { seen_us: Micros(0), at_us: Micros(0) },
                };
                tell_patches.send((0, message)).expect("there is room");
            }
            levels.iter().for_each(|level| tell_patches.send((0, picture(*level))).expect("there is room"));
            drop(tell_patches);
            let (stabs, gives) = (vec![stab], vec![give]);
            Encode { stabs, pictures, gives, slots, tell, clock: SystemClock::new(), team }
                .run()
                .expect("nothing fails");
            let slots = messages.iter().filter_map(|(_, message)| match message {
                Message::Picture { slot, .. } => Some(slot.values().to_vec()),
                _ => None,
            });
            slots.collect::<Vec<_>>().split_off(before.iter().filter(|m| matches!(m, Message::Picture { .. })).count())
        };
        let look = Look {
            picture: SizePx::default(),
            gate: ocelli_pipeline::GateReport::default(),
            fit_us: Micros(0),
            gate_us: Micros(0),
            allocations: [0; 2],
        };
        let seen = || Message::Picture { slot: (), look, captured_us: Micros(0), counts: Counts::default() };
        let lost = Message::Lost { seen_us: Micros(0), at_us: Micros(0), why: String::new() };
        let back = Message::Back { seen_us: Micros(0), at_us: Micros(0) };
        let fresh = tokens_after(&[], &[90, 91], 1);
        assert_eq!(tokens_after(&[seen(), seen(), lost, back], &[90, 91], 1), fresh);
        assert_ne!(tokens_after(&[seen(), seen()], &[90, 91], 1), fresh, "without a loss it remembers");
        assert_eq!(tokens_after(&[], &[90, 91], 3), fresh, "a team computes the same");
    }
}
