//! From changed patches to words, one frame at a time. This is the page to read first.
//!
//! ```text
//! PatchBatch -> Encoder -> TokenSlot -> MemoryRing -> Head -> SpeakPolicy -> EventBuf
//!  (changed      (STAB)     (f32)       (int8, three  (P of    (when to
//!   patches)                             tiers; the    each     speak)
//!                                        recent lent)  entry)
//! ```

use alloc::vec;
use alloc::vec::Vec;

use ocelli_types::{
    Clock, Content, Encoder, EntryId, Fault, Faulty, FrameSeq, FrameTokens, Head, Micros, PatchBatch, PatchGrid,
    PatchMask,
};

use crate::{
    AlertBuf, AlertRule, AlertRules, Alerted, ConfigError, DeviationBuf, EventBuf, GateReport, Lexicon, MemoryConfig,
    MemoryReport, MemoryRing, Normal, Seen, Sight, SpeakPolicy, Spoken, Verbosity,
};

/// The think side, whole: one encoder, and the mind behind it.
///
/// [`step`](Self::step) does all of it in one thread, as a replay does. For two threads [`split`](Self::split) it: the
/// encoder fills a [`TokenSlot`] in one, and the mind [`take`](Mind::take)s it in the other.
#[derive(Debug)]
pub struct Pipeline<E, H> {
    encoder: E,
    slot: TokenSlot,
    mind: Mind<H>,
}

/// What comes after the encoder: one memory, one head, one policy.
#[derive(Debug)]
pub struct Mind<H> {
    memory: MemoryRing,
    head: H,
    policy: SpeakPolicy,
    alerts: AlertRules,
    /// What is normal here, where that is learnt.
    normal: Option<Normal>,
    /// Of the last frame that the head described, `[entries]`.
    probabilities: Vec<f32>,
    /// The last frame of which the policy heard.
    seen: Option<Seen>,
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
        Ok(Self::with_memory(encoder, head, MemoryRing::new(config.memory)?, config.lexicon))
    }

    /// A pipeline that remembers.
    pub fn with_memory(encoder: E, head: H, memory: MemoryRing, lexicon: Lexicon) -> Self {
        let mind = Mind::new(head, memory, lexicon);
        Self { encoder, slot: mind.slot(), mind }
    }

    /// Takes one frame all the way, and leaves in `events` what it made the policy say (what was there is removed).
    ///
    /// The clock is read for the report only.
    ///
    /// # Errors
    /// [`StepError::Encode`]: nothing is remembered. To go on, reset the encoder and have the gate
    /// [`forget`](crate::TokenGate::forget), so that the next batch is whole. [`StepError::Describe`]: the frame is remembered
    /// and nothing is said; go on with the next. [`StepError::NotANumber`]: nothing is said.
    ///
    /// # Panics
    /// If the batch is of another grid than the memory.
    pub fn step(
        &mut self,
        batch: &PatchBatch<'_>,
        clock: &impl Clock,
        events: &mut EventBuf,
    ) -> Result<StepReport, StepError<E::Error, H::Error>> {
        assert_eq!(batch.grid, self.mind.memory.grid(), "the batch should be of the memory's grid");
        self.slot.fill(&mut self.encoder, batch, clock)?;
        self.mind.take(&self.slot, clock, events)
    }

    /// The two halves.
    pub fn split(self) -> (E, Mind<H>) {
        (self.encoder, self.mind)
    }

    /// Probability of each vocabulary entry in the last frame, `[entries]`; zeros before the first.
    pub fn probabilities(&self) -> &[f32] {
        &self.mind.probabilities
    }

    /// The encoder, to reset it.
    pub const fn encoder_mut(&mut self) -> &mut E {
        &mut self.encoder
    }

    /// The head.
    pub const fn head_mut(&mut self) -> &mut H {
        &mut self.mind.head
    }

    /// What comes after the encoder.
    pub const fn mind(&self) -> &Mind<H> {
        &self.mind
    }

    /// What comes after the encoder.
    pub const fn mind_mut(&mut self) -> &mut Mind<H> {
        &mut self.mind
    }
}

impl<H: Head> Mind<H> {
    /// A mind with a memory, for an encoder that is elsewhere.
    pub fn new(head: H, memory: MemoryRing, lexicon: Lexicon) -> Self {
        let probabilities = vec![0.0; lexicon.entries()];
        let (alerts, normal) = (AlertRules::default(), None);
        Self { memory, head, policy: SpeakPolicy::new(lexicon), alerts, normal, probabilities, seen: None }
    }

    /// One that learns what is normal, and goes on from this.
    #[must_use]
    pub fn learning(self, normal: Option<Normal>) -> Self {
        Self { normal, ..self }
    }

    /// What is normal here, where that is learnt.
    pub const fn normal(&self) -> Option<&Normal> {
        self.normal.as_ref()
    }

    /// Compares the frame that was just [`take`](Self::take)n with what is normal at this minute of the week (local time), and leaves
    /// in `told` what begins and ends.
    pub fn wonder(&mut self, minute: Option<u16>, told: &mut DeviationBuf) {
        told.clear();
        if let (Some(normal), Some(seen)) = (&mut self.normal, self.seen) {
            normal.judge(seen, self.policy.smoothed(), minute, told);
        }
    }

    /// With standing conditions, which [`judge`](Self::judge) judges.
    #[must_use]
    pub fn watching(self, alerts: AlertRules) -> Self {
        Self { alerts, ..self }
    }

    /// A slot of the size that [`take`](Self::take) expects.
    pub fn slot(&self) -> TokenSlot {
        TokenSlot::new(self.memory.grid(), self.memory.token_width())
    }

    /// Takes a frame that was encoded elsewhere the rest of the way, as [`Pipeline::step`] does.
    ///
    /// # Errors
    /// See [`Pipeline::step`]; never [`StepError::Encode`], so that `E` is whatever the caller's errors are.
    ///
    /// # Panics
    /// If the slot is of another size than the memory.
    pub fn take<E>(
        &mut self,
        slot: &TokenSlot,
        clock: &impl Clock,
        events: &mut EventBuf,
    ) -> Result<StepReport, StepError<E, H::Error>> {
        events.clear();
        let TokenSlot { values, kept, captured_us, encode_us, .. } = slot;
        // The largest bits of an absolute value: those of what is no number are above all others. A loop without a branch.
        let most = values.iter().fold(0, |most, value| most.max(value.abs().to_bits()));
        if !f32::from_bits(most).is_finite() {
            return Err(StepError::NotANumber { model: "STAB" });
        }
        let dropped = self.memory.report().dropped;
        let entry = self.memory.commit(values, kept, *captured_us);
        let start_us = clock.now();
        self.describe(entry)?;
        let describe_us = clock.now() - start_us;
        self.memory.hear(&self.probabilities[..self.policy.lasting()]);
        self.policy.finds(self.head.worth());
        let seen = Seen { entry, captured_us: *captured_us };
        self.policy.hear(&self.probabilities, seen, |entry, other| self.head.likeness(entry, other), events);
        self.seen = Some(seen);
        let memory = self.memory.report();
        Ok(StepReport {
            entry,
            kept_patches: kept.count() as u32,
            kept_tokens: self.memory.newest_windows().count() as u32,
            dropped_tokens: (memory.dropped - dropped) as u32,
            encode_us: *encode_us,
            describe_us,
            memory,
        })
    }

    /// Says whether the camera itself moves in the pictures that come, and whether a new scene begins with the next; see
    /// [`SpeakPolicy::moves`], [`SpeakPolicy::begins`] and [`MemoryRing::begin_scene`].
    pub fn looks(&mut self, gate: &GateReport) {
        self.policy.moves(gate.moving);
        if gate.new_scene {
            self.memory.begin_scene();
            self.policy.begins();
        }
    }

    /// Judges the standing conditions on the frame that was just [`take`](Self::take)n from `slot`, at this minute of the week
    /// (local time, where it is known), and leaves in `alerts` what begins and ends.
    pub fn judge(&mut self, slot: &TokenSlot, minute: Option<u16>, alerts: &mut AlertBuf) {
        alerts.clear();
        if let Some(seen) = self.seen {
            let (kinds, changed) = (self.policy.smoothed(), &slot.changed());
            let (grid, content) = (self.memory.grid(), slot.content);
            self.alerts.judge(&Sight { seen, kinds, changed, grid, content, minute }, alerts);
        }
    }

    /// The camera was blind until now: standing conditions begin anew.
    pub fn blind(&mut self) {
        self.alerts.blind();
        if let Some(normal) = &mut self.normal {
            normal.blind();
        }
    }

    /// Tells so much from now on; see [`SpeakPolicy::tell_by`].
    pub const fn tell_by(&mut self, verbosity: Verbosity) {
        self.policy.tell_by(verbosity);
    }

    /// Goes on with another vocabulary, which the head has by then; see [`SpeakPolicy::relearn`]. Allocates.
    pub fn relearn(
        &mut self,
        lexicon: Lexicon,
        kinds: &[Option<usize>],
        entries: &[Option<usize>],
        at_us: Micros,
    ) -> Option<Spoken> {
        self.probabilities = vec![0.0; lexicon.entries()];
        self.alerts.relearn(kinds);
        self.policy.relearn(lexicon, kinds, entries, at_us)
    }

    /// Watches for this from now on in the place of what has this index among the alerts, or for nothing there; see
    /// [`AlertRules::put`]. Allocates.
    pub fn watch(&mut self, index: usize, rule: Option<AlertRule>) -> Option<Alerted> {
        // Nothing is open before a picture was seen.
        let now = self.seen.unwrap_or(Seen { entry: EntryId(0), captured_us: Micros(0) });
        self.alerts.put(index, rule, now)
    }

    /// Whether something is watched for at this index.
    pub fn watches(&self, index: usize) -> bool {
        self.alerts.has(index)
    }

    /// The head.
    pub const fn head(&self) -> &H {
        &self.head
    }

    /// The head, to tell it something.
    pub const fn head_mut(&mut self) -> &mut H {
        &mut self.head
    }

    /// What is remembered.
    pub const fn memory(&self) -> &MemoryRing {
        &self.memory
    }

    /// Probability of each vocabulary entry in the last frame, `[entries]`; zeros before the first.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// Smoothed probability of each kind in the last frame, by which the policy decides, `[kinds]`; empty before the first.
    pub fn kind_probabilities(&self) -> &[f32] {
        self.policy.smoothed()
    }

    /// What is remembered, to record a hole in it.
    pub const fn memory_mut(&mut self) -> &mut MemoryRing {
        &mut self.memory
    }

    fn describe<E>(&mut self, entry: EntryId) -> Result<(), StepError<E, H::Error>> {
        let view = self.memory.view().expect("a memory with a frame in it should have a view");
        let described = self.head.describe(&view, &mut self.probabilities);
        described.map_err(|error| StepError::Describe { entry, error })?;
        // A single NaN would stay in the policy's running sums for ever, and the device would never speak again.
        let is_number = self.probabilities.iter().all(|probability| probability.is_finite());
        is_number.then_some(()).ok_or(StepError::NotANumber { model: "the narrator" })
    }
}

/// The tokens of one frame on their way from the encoder's thread to the mind's.
#[derive(Debug)]
pub struct TokenSlot {
    width: usize,
    /// `[1 + windows][width]`
    values: Vec<f32>,
    sent: PatchMask,
    kept: PatchMask,
    content: Content,
    captured_us: Micros,
    encode_us: Micros,
}

impl TokenSlot {
    fn new(grid: PatchGrid, width: usize) -> Self {
        Self {
            width,
            values: vec![0.0; (1 + grid.windows()) * width],
            sent: PatchMask::empty(),
            content: Content::whole(grid),
            kept: PatchMask::empty(),
            captured_us: Micros(0),
            encode_us: Micros(0),
        }
    }

    /// The tokens, `[1 + windows][width]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Patches in which something moved; none where everything was sent, for its refresh or as the first picture.
    fn changed(&self) -> PatchMask {
        let whole = self.sent.count() == 4 * (self.values.len() / self.width - 1);
        if whole { PatchMask::empty() } else { self.sent }
    }

    /// What a slot allocates.
    pub const fn bytes(grid: PatchGrid, width: usize) -> usize {
        (1 + grid.windows()) * width * size_of::<f32>()
    }

    /// Encodes a batch into the slot.
    ///
    /// # Errors
    /// [`StepError::Encode`]; the slot is then good for another batch only.
    pub fn fill<E: Encoder, H>(
        &mut self,
        encoder: &mut E,
        batch: &PatchBatch<'_>,
        clock: &impl Clock,
    ) -> Result<(), StepError<E::Error, H>> {
        let start_us = clock.now();
        let encoded = encoder.encode(batch, &mut FrameTokens { width: self.width, values: &mut self.values });
        encoded.map_err(|error| StepError::Encode { seq: batch.seq, error })?;
        (self.sent, self.kept) = (*batch.sent, *batch.kept);
        (self.content, self.captured_us) = (batch.content, batch.captured_us);
        self.encode_us = clock.now() - start_us;
        Ok(())
    }
}

/// What one step did, and what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// The memory entry of this frame.
    pub entry: EntryId,
    /// Patches whose windows are remembered.
    pub kept_patches: u32,
    /// Tokens of windows that are remembered of it.
    pub kept_tokens: u32,
    /// Tokens of windows that were dropped because STAB found them unchanged.
    pub dropped_tokens: u32,
    /// Time in the encoder.
    pub encode_us: Micros,
    /// Time in the head.
    pub describe_us: Micros,
    /// What is remembered now.
    pub memory: MemoryReport,
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
    /// A model's answer is not a number: nothing was said, and if it was the encoder's nothing remembered.
    #[error("{model} answered with what is not a number; install the model pack again")]
    NotANumber {
        /// Which model.
        model: &'static str,
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
