//! An encoder without a model.

use ocelli_types::{Encoder, Fault, FrameSeq, FrameTokens, PatchBatch, PatchGrid};

use crate::FakeError;
use crate::failure::Appointments;

/// Writes into each window's token the mean level (0 to 255) of its four patches as they were last sent, and into the
/// frame token that of all: tokens that a test can work out in its head.
///
/// Stricter than a model: it panics at a batch of another grid, one whose pixels are not those of its sent patches, a
/// first batch that is not the whole frame, a frame that is not newer than the last, and tokens of another shape.
/// A call that fails changes nothing, so the same batch may come again. `encode` allocates nothing.
///
/// ```
/// use ocelli_testkit::FakeEncoder;
/// use ocelli_types::{Content, Encoder, Fault, FrameSeq, FrameTokens, Micros, PatchBatch, PatchGrid, PatchMask};
///
/// let grid = PatchGrid::new(4, 2).unwrap(); // 4 patches, 1 window
/// let mut encoder = FakeEncoder::new(grid, 3).fails_on(1, Fault::Retry);
/// let (all, patches) = (PatchMask::first(4), [80; 48]);
/// let batch = PatchBatch {
///     grid, sent: &all, patches: &patches, kept: &all, content: Content::whole(grid), seq: FrameSeq(0),
///     captured_us: Micros(0),
/// };
/// let mut values = [0.0; 6];
///
/// assert!(encoder.encode(&batch, &mut FrameTokens { width: 3, values: &mut values }).is_err());
/// encoder.encode(&batch, &mut FrameTokens { width: 3, values: &mut values }).unwrap();
/// assert_eq!((values, encoder.calls()), ([80.0; 6], 2));
/// ```
#[derive(Clone, Debug)]
pub struct FakeEncoder {
    grid: PatchGrid,
    token_width: usize,
    /// Mean level of each patch as last sent, `[patches]`.
    levels: Vec<f32>,
    last_seq: Option<FrameSeq>,
    appointments: Appointments,
}

impl FakeEncoder {
    /// An encoder for `grid` that writes tokens of `token_width` numbers.
    pub fn new(grid: PatchGrid, token_width: usize) -> Self {
        let levels = vec![0.0; grid.patches()];
        Self { grid, token_width, levels, last_seq: None, appointments: Appointments::new("the encoder") }
    }

    /// Fails on call `call`, counted from 1.
    #[must_use]
    pub fn fails_on(mut self, call: u64, fault: Fault) -> Self {
        self.appointments.add(call, fault);
        self
    }

    /// Forgets every frame, as a camera that was reopened asks for.
    pub fn reset(&mut self) {
        self.levels.fill(0.0);
        self.last_seq = None;
    }

    /// Calls of `encode` so far, failed ones included.
    pub const fn calls(&self) -> u64 {
        self.appointments.calls()
    }

    fn check(&self, batch: &PatchBatch<'_>, tokens: &FrameTokens<'_>) {
        let (grid, sent) = (self.grid, batch.sent.count());
        assert_eq!(batch.grid, grid, "the batch should be of the encoder's grid");
        assert_eq!(batch.patches.len(), sent * grid.patch_bytes(), "the batch should have the pixels of what it sends");
        assert!(batch.sent.iter().all(|index| index < grid.patches()), "the batch should send patches of the grid");
        assert_eq!(tokens.width, self.token_width, "tokens should have the encoder's width");
        let values = (1 + grid.windows()) * self.token_width;
        assert_eq!(tokens.values.len(), values, "there should be room for the frame token and each window");
        match self.last_seq {
            None => assert_eq!(sent, grid.patches(), "the first batch should be the whole frame"),
            Some(last) => assert!(batch.seq > last, "frame {} should not come after {}", batch.seq.0, last.0),
        }
    }

    fn window_level(&self, window: usize) -> f32 {
        let side = self.grid.window_side();
        let top_left = window / side * 2 * self.grid.side + window % side * 2;
        let corners = [0, 1, self.grid.side, self.grid.side + 1];
        corners.iter().map(|corner| self.levels[top_left + corner]).sum::<f32>() / 4.0
    }
}

impl Encoder for FakeEncoder {
    type Error = FakeError;

    fn encode(&mut self, batch: &PatchBatch<'_>, tokens: &mut FrameTokens<'_>) -> Result<(), FakeError> {
        self.check(batch, tokens);
        self.appointments.call()?;
        self.last_seq = Some(batch.seq);
        for (index, patch) in batch.sent.iter().zip(batch.patches.chunks_exact(self.grid.patch_bytes())) {
            let sum: u64 = patch.iter().map(|&byte| u64::from(byte)).sum();
            self.levels[index] = sum as f32 / patch.len() as f32;
        }
        let (frame_token, windows) = tokens.values.split_at_mut(self.token_width);
        frame_token.fill(self.levels.iter().sum::<f32>() / self.levels.len() as f32);
        for (window, token) in windows.chunks_exact_mut(self.token_width).enumerate() {
            token.fill(self.window_level(window));
        }
        Ok(())
    }
}
