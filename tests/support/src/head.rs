//! A head that says what it is told.

use ocelli_types::{EntryId, Fault, Head, MemoryView};

use crate::FakeError;
use crate::failure::Appointments;

/// Answers with scripted probabilities; when the script is over its last line holds, or it begins again
/// ([`over_and_over`](Self::over_and_over)).
///
/// Stricter than a model: it panics at a view that is not newer than the last, that has no token of the newest frame,
/// or a token that is outside the storage or its own time range or not a number. `describe` allocates nothing.
///
/// ```
/// use ocelli_testkit::FakeHead;
/// use ocelli_types::{EntryId, Head, MemoryView, Micros, TokenRef};
///
/// let mut head = FakeHead::new(3).says(1, 0.8, 2).unsure(1);
/// let slots = [Some(TokenRef { token: 0, age_frames: 0, position: 0 })];
/// let mut probabilities = [0.0; 3];
/// for id in 1..=2 {
///     let (from, to) = (EntryId(id), EntryId(id));
///     let view = MemoryView { width: 2, storage: &[5; 2], scales: &[0.1], slots: &slots, from, to, captured_us: Micros(id) };
///     head.describe(&view, &mut probabilities).unwrap();
/// }
/// assert_eq!(probabilities[1], 0.8);
/// assert!((probabilities[0] - 0.1).abs() < 1e-6);
/// ```
#[derive(Clone, Debug)]
pub struct FakeHead {
    entries: usize,
    script: Vec<Line>,
    repeats: bool,
    /// Which line, and for how many frames it was already said.
    line: usize,
    said: u64,
    last: EntryId,
    appointments: Appointments,
}

#[derive(Clone, Debug)]
struct Line {
    probabilities: Vec<f32>,
    frames: u64,
}

impl FakeHead {
    /// A head with a vocabulary of `entries`, unsure of all of them until it is given a script.
    ///
    /// # Panics
    /// If there are no entries.
    pub fn new(entries: usize) -> Self {
        assert!(entries > 0, "a head needs a vocabulary");
        Self {
            entries,
            script: Vec::new(),
            repeats: false,
            line: 0,
            said: 0,
            last: EntryId(0),
            appointments: Appointments::new("the head"),
        }
    }

    /// Gives `entry` this probability for so many frames; the others share the rest.
    ///
    /// # Panics
    /// If there is no such entry.
    #[must_use]
    pub fn says(self, entry: usize, probability: f32, frames: u64) -> Self {
        let others = (self.entries - 1).max(1) as f32;
        let mut probabilities = vec![(1.0 - probability) / others; self.entries];
        probabilities[entry] = probability;
        self.answers(probabilities, frames)
    }

    /// All entries alike for so many frames.
    #[must_use]
    pub fn unsure(self, frames: u64) -> Self {
        let probabilities = vec![1.0 / self.entries as f32; self.entries];
        self.answers(probabilities, frames)
    }

    /// These very numbers, `[entries]`, for so many frames, be they probabilities or not.
    ///
    /// # Panics
    /// If there is not one per entry, or no frame.
    #[must_use]
    pub fn answers(mut self, probabilities: Vec<f32>, frames: u64) -> Self {
        assert_eq!(probabilities.len(), self.entries, "there should be one number per entry");
        assert!(frames > 0, "a line should last for a frame at least");
        self.script.push(Line { probabilities, frames });
        self
    }

    /// Begins again when the script is over.
    #[must_use]
    pub const fn over_and_over(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// Fails on call `call`, counted from 1.
    #[must_use]
    pub fn fails_on(mut self, call: u64, fault: Fault) -> Self {
        self.appointments.add(call, fault);
        self
    }

    /// Calls of `describe` so far, failed ones included.
    pub const fn calls(&self) -> u64 {
        self.appointments.calls()
    }

    fn check(&self, view: &MemoryView<'_>) {
        assert!(view.to > self.last, "entry {} should not be described after {}", view.to.0, self.last.0);
        assert!(view.from <= view.to, "a view should go from old to new");
        let chosen = || view.slots.iter().flatten();
        assert!(chosen().any(|chosen| chosen.age_frames == 0), "a view should have a token of the newest frame");
        for &chosen in chosen() {
            assert!(
                u64::from(chosen.age_frames) <= view.to.0 - view.from.0,
                "{chosen:?} should be in the view's range"
            );
            assert!(view.token(chosen).all(f32::is_finite), "{chosen:?} should be numbers");
        }
    }

    /// The line for this frame.
    fn next_line(&mut self) -> Option<&Line> {
        if self.script.get(self.line)?.frames == self.said {
            let next = self.line + 1;
            if next < self.script.len() {
                (self.line, self.said) = (next, 0);
            } else if self.repeats {
                (self.line, self.said) = (0, 0);
            } else {
                return self.script.get(self.line);
            }
        }
        self.said += 1;
        self.script.get(self.line)
    }
}

impl Head for FakeHead {
    type Error = FakeError;

    fn describe(&mut self, view: &MemoryView<'_>, probabilities: &mut [f32]) -> Result<(), FakeError> {
        assert_eq!(probabilities.len(), self.entries, "there should be room for one probability per entry");
        self.check(view);
        self.last = view.to;
        self.appointments.call()?;
        let equal_share = 1.0 / self.entries as f32;
        match self.next_line() {
            Some(line) => probabilities.copy_from_slice(&line.probabilities),
            None => probabilities.fill(equal_share),
        }
        Ok(())
    }
}
