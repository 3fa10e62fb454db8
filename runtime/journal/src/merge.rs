//! When a narration goes on with an event in place of beginning one.
//!
//! AVA (Yan and others, 2025) describes a video every 3 s and makes one event of neighbours while what they say is alike, a mean
//! pairwise BERTScore recall of 0.65 or more, for 8 neighbours at most. Here a narration is one of a vocabulary's sentences, so:
//!
//! - same camera, same kind, and no blindness between them;
//! - a cosine of 0.65 or more between their embeddings. Of narrations of 13 clips that are within 24 s of one another those of one
//!   kind have 0.71 and more, but so have half of those of different kinds: likeness alone would not do;
//! - at most 3 s, one of AVA's chunks, from the end of the one to the start of the other. The policy says a kind when it begins,
//!   so there is always another kind, or silence, between two of a kind: what flickers becomes one event, and who comes in twice
//!   comes in twice;
//! - at most 8 narrations.
//!
//! The event ends with the last of them. Its sentence, embedding and entries are those of the one with the best score.

use crate::sense::Vector;

/// Least cosine.
pub const ALIKE: f32 = 0.65;

/// Longest time between.
pub const LONGEST_GAP_US: u64 = 3_000_000;

/// Most narrations of an event.
pub const MOST_PARTS: u32 = 8;

/// A narration that may go on, or the event that it may go on with.
#[derive(Clone, Debug)]
pub struct Piece {
    pub id: u64,
    pub camera: u16,
    pub kind: u16,
    pub start_us: u64,
    pub end_us: u64,
    pub score: f32,
    /// Narrations in it.
    pub parts: u32,
    pub vector: Vector,
    pub slot: u64,
}

/// Events that may still go on: of each camera as many as narrations within the longest gap have kinds.
#[derive(Debug, Default)]
pub struct Open {
    pieces: Vec<Piece>,
}

impl Open {
    /// The event that this narration goes on with, the newest of those that fit, and whether the narration is the surer one. It is
    /// changed as the narration makes it.
    pub fn join(&mut self, new: &Piece) -> Option<(&Piece, bool)> {
        self.pieces.retain(|old| old.camera != new.camera || new.start_us <= old.end_us.saturating_add(LONGEST_GAP_US));
        let fits = |old: &&mut Piece| {
            (old.camera, old.kind) == (new.camera, new.kind)
                && old.parts < MOST_PARTS
                && old.vector.mark == new.vector.mark
                && old.vector.cosine(&new.vector.values) >= ALIKE
        };
        let old = self.pieces.iter_mut().rev().find(fits)?;
        old.end_us = old.end_us.max(new.end_us);
        old.parts += 1;
        let surer = new.score > old.score;
        if surer {
            (old.score, old.vector) = (new.score, new.vector.clone());
        }
        Some((old, surer))
    }

    /// Adds an event that others may go on with, in place of one of its kind.
    pub fn begin(&mut self, new: Piece) {
        self.pieces.retain(|old| (old.camera, old.kind) != (new.camera, new.kind));
        self.pieces.push(new);
    }

    /// Events with smaller ids are no longer there.
    pub fn keep_from(&mut self, id: u64) {
        self.pieces.retain(|old| old.id >= id);
    }

    /// Nothing of this camera goes on.
    pub fn close(&mut self, camera: u16) {
        self.pieces.retain(|old| old.camera != camera);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sense::EMBEDDING;
    use proptest::prelude::*;

    fn piece(id: u64, start_us: u64, angle: f32) -> Piece {
        let mut values = Box::new([0; EMBEDDING]);
        values[0] = (angle.cos() * 127.0) as i8;
        values[1] = (angle.sin() * 127.0) as i8;
        let vector = Vector { mark: "a".into(), values };
        Piece { id, camera: 1, kind: 1, start_us, end_us: start_us + 400_000, score: 0.5, parts: 1, vector, slot: id }
    }

    fn joined(old: Piece, new: &Piece) -> bool {
        let mut open = Open::default();
        open.begin(old);
        open.join(new).is_some()
    }

    #[test]
    fn what_is_alike_and_near_goes_on() {
        let old = || piece(1, 0, 0.0);
        assert!(joined(old(), &piece(2, 3_400_000, 0.8)));
        assert!(!joined(old(), &piece(2, 3_400_001, 0.8)), "too late");
        assert!(!joined(old(), &piece(2, 1_000_000, 0.9)), "its cosine is 0.62");
        assert!(!joined(old(), &Piece { kind: 2, ..piece(2, 1_000_000, 0.0) }));
        assert!(!joined(old(), &Piece { camera: 2, ..piece(2, 1_000_000, 0.0) }));
        let foreign = Vector { mark: "b".into(), ..piece(2, 0, 0.0).vector };
        assert!(!joined(old(), &Piece { vector: foreign, ..piece(2, 1_000_000, 0.0) }), "other models");
        assert!(!joined(Piece { parts: MOST_PARTS, ..old() }, &piece(2, 1_000_000, 0.0)));
    }

    #[test]
    fn another_kind_between_ends_no_event_and_blindness_ends_all_of_its_camera() {
        let mut open = Open::default();
        open.begin(piece(1, 0, 0.0));
        open.begin(Piece { kind: 2, ..piece(2, 1_000_000, 0.0) });
        open.begin(Piece { camera: 2, ..piece(3, 2_000_000, 0.0) });
        assert_eq!(open.join(&piece(4, 3_000_000, 0.0)).map(|(old, _)| old.id), Some(1));
        open.close(1);
        assert!(open.join(&piece(5, 5_000_000, 0.0)).is_none());
        assert!(open.join(&Piece { camera: 2, ..piece(6, 5_000_000, 0.0) }).is_some());
    }

    #[test]
    fn the_surer_one_is_what_stays() {
        let mut open = Open::default();
        open.begin(piece(1, 0, 0.0));
        let (old, surer) = open.join(&Piece { score: 0.4, ..piece(2, 1_000_000, 0.1) }).expect("it goes on");
        assert!(!surer && old.vector == piece(1, 0, 0.0).vector && (old.score - 0.5).abs() < 1e-6);
        let (old, surer) = open.join(&Piece { score: 0.6, ..piece(3, 2_000_000, 0.1) }).expect("it goes on");
        assert!(surer && old.vector == piece(3, 0, 0.1).vector && (old.score - 0.6).abs() < 1e-6);
        assert_eq!((old.id, old.parts, old.end_us), (1, 3, 2_400_000));
    }

    proptest! {
        /// Whatever is narrated: nothing is lost or counted twice, and no event is longer than it may be.
        #[test]
        fn every_narration_is_in_one_event(
            told in prop::collection::vec((1u16..4, 1u16..4, 0u64..4_000_000, 0.0f32..3.0, 0.0f32..1.0), 1..120)
        ) {
            let (mut open, mut now_us) = (Open::default(), 0);
            let mut events: Vec<Piece> = Vec::new();
            for (id, (camera, kind, after_us, angle, score)) in told.iter().copied().enumerate() {
                now_us += after_us;
                let new = Piece { camera, kind, score, ..piece(id as u64, now_us, angle) };
                if let Some((old, _)) = open.join(&new) {
                    prop_assert_eq!((old.camera, old.kind), (camera, kind));
                    prop_assert!(old.end_us >= new.end_us && old.score >= score && old.parts <= MOST_PARTS);
                    let event = events.iter_mut().find(|event| event.id == old.id).expect("it was begun");
                    prop_assert!(new.start_us <= event.end_us + LONGEST_GAP_US);
                    *event = old.clone();
                } else {
                    events.push(new.clone());
                    open.begin(new);
                }
                prop_assert!(open.pieces.len() <= 9, "one of each kind and camera at most");
            }
            prop_assert_eq!(events.iter().map(|event| event.parts as usize).sum::<usize>(), told.len());
        }
    }
}
