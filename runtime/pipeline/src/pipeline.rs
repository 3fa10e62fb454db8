//! From changed patches to words, one frame at a time. This is the page to read first.
//!
//! ```text
//! PatchBatch -> Encoder -> MemoryRing -> Head -> SpeakPolicy -> EventBuf
//!  (changed      (tokens     (recent      (P of    (when to
//!   patches)      written     tokens,      each     speak)
//!                 in place)   lent)        entry)
//! ```

use alloc::vec;
use alloc::vec::Vec;

use ocelli_types::{Clock, Encoder, EntryId, Fault, Faulty, FrameSeq, Head, Micros, PatchBatch};

use crate::{ConfigError, EventBuf, Lexicon, MemoryConfig, MemoryRing, Seen, SpeakPolicy};

/// The think side, whole: one encoder, one memory, one head, one policy.
#[derive(Debug)]
pub struct Pipeline<E, H> {
    encoder: E,
    memory: MemoryRing,
    head: H,
    policy: SpeakPolicy,
    /// Of the last frame that the head described, `[entries]`.
    probabilities: Vec<f32>,
}

/// What a [`Pipeline`] needs to know of board and pack.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// Size of the memory, and what the head sees of it.
    pub memory: MemoryConfig,
    /// What can be said, and when.
    pub lexicon: Lexicon,
}

impl<E: Encoder, H: Head> Pipeline<E, H> {
    /// A pipeline that has seen nothing. All that it will ever hold is allocated here.
    ///
    /// # Errors
    /// The memory is too small, or does not fit the head.
    pub fn new(encoder: E, head: H, config: PipelineConfig) -> Result<Self, ConfigError> {
        let memory = MemoryRing::new(config.memory)?;
        let probabilities = vec![0.0; config.lexicon.entries()];
        Ok(Self { encoder, memory, head, policy: SpeakPolicy::new(config.lexicon), probabilities })
    }

    /// Takes one frame all the way, and leaves in `events` what it made the policy say (what was there is removed).
    ///
    /// The clock is read for the report only.
    ///
    /// # Errors
    /// [`StepError::Encode`]: nothing is remembered, and the same batch may be given again; to give it up, have the
    /// gate [`forget`](crate::TokenGate::forget). [`StepError::Describe`] and [`StepError::NotANumber`]: the frame is
    /// remembered and nothing is said; go on with the next.
    ///
    /// # Panics
    /// If the batch is of another grid than the memory.
    pub fn step(
        &mut self,
        batch: &PatchBatch<'_>,
        clock: &impl Clock,
        events: &mut EventBuf,
    ) -> Result<StepReport, StepError<E::Error, H::Error>> {
        assert_eq!(batch.grid, self.memory.grid(), "the batch should be of the memory's grid");
        events.clear();
        let start_us = clock.now();
        let encoded = self.encoder.encode(batch, &mut self.memory.reserve());
        encoded.map_err(|error| StepError::Encode { seq: batch.seq, error })?;
        let entry = self.memory.commit(batch.kept, batch.captured_us);

        let encoded_us = clock.now();
        self.describe(entry)?;
        let described_us = clock.now();

        let seen = Seen { entry, captured_us: batch.captured_us };
        self.policy.hear(&self.probabilities, seen, events);
        Ok(StepReport {
            entry,
            kept_patches: batch.kept.count() as u32,
            encode_us: encoded_us - start_us,
            describe_us: described_us - encoded_us,
            ring_entries: self.memory.entries() as u32,
            ring_tokens: self.memory.tokens() as u32,
            evicted: self.memory.evicted(),
        })
    }

    fn describe(&mut self, entry: EntryId) -> Result<(), StepError<E::Error, H::Error>> {
        let view = self.memory.view().expect("a memory with a frame in it should have a view");
        let described = self.head.describe(&view, &mut self.probabilities);
        described.map_err(|error| StepError::Describe { entry, error })?;
        // A single NaN would stay in the policy's running sums for ever, and the device would never speak again.
        let is_number = self.probabilities.iter().all(|probability| probability.is_finite());
        is_number.then_some(()).ok_or(StepError::NotANumber { entry })
    }

    /// Probability of each vocabulary entry in the last frame, `[entries]`; zeros before the first.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// The encoder, to reset it.
    pub const fn encoder_mut(&mut self) -> &mut E {
        &mut self.encoder
    }

    /// The head.
    pub const fn head_mut(&mut self) -> &mut H {
        &mut self.head
    }
}

/// What one step did, and what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// The memory entry of this frame.
    pub entry: EntryId,
    /// Patches that the encoder got.
    pub kept_patches: u32,
    /// Time in the encoder.
    pub encode_us: Micros,
    /// Time in the head.
    pub describe_us: Micros,
    /// Frames remembered now.
    pub ring_entries: u32,
    /// Tokens remembered now.
    pub ring_tokens: u32,
    /// Frames evicted since the start.
    pub evicted: u64,
}

/// Why a step failed, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError<E, H> {
    /// The encoder failed: nothing was remembered.
    #[error("frame {}: the picture was not encoded: {error}", seq.0)]
    Encode {
        /// The frame.
        seq: FrameSeq,
        /// What the encoder said.
        error: E,
    },
    /// The head failed: the frame is remembered, nothing was said.
    #[error("entry {}: the memory was not described: {error}", entry.0)]
    Describe {
        /// The memory entry.
        entry: EntryId,
        /// What the head said.
        error: H,
    },
    /// The head's answer is not a number: nothing was said.
    #[error("entry {}: the model answered with what is not a number; install the model pack again", entry.0)]
    NotANumber {
        /// The memory entry.
        entry: EntryId,
    },
}

impl<E: Faulty, H: Faulty> Faulty for StepError<E, H> {
    fn fault(&self) -> Fault {
        match self {
            Self::Encode { error, .. } => error.fault(),
            Self::Describe { error, .. } => error.fault(),
            // The models' states may hold it too, and then every frame will fail.
            Self::NotANumber { .. } => Fault::Stop,
        }
    }
}
