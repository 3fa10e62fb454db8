//! The W8A8 product: rows quantized on use, int8 weights, and what follows (scale, bias, activation, residual) in one go.

use crate::aligned::Aligned;
use crate::dot::{Blocks, Bytes, COLUMNS, DEPTH, Dot, STEP, TOGETHER, some};
use crate::isa::{Isa, for_each_isa};
use crate::{math, rows, team};

/// Rows that are quantized before the product begins; their bytes stay in the first cache.
const CHUNK: usize = 48;

/// Multiply-adds below which a product is not shared: some three microseconds of one thread. An interpreter (Miri) sees small ones
/// only.
const SHARED_MACS: u64 = if cfg!(miri) { 1 } else { 1 << 20 };

/// The deepest product whose sums fit into 32 bits whatever is multiplied: 2^17 times 128 times 127.
const MOST_DEEP: usize = 1 << 17;

/// A matrix of weights, `[groups][k, n]`, in the blocked layout of `models/OPS.md`.
#[derive(Clone, Debug)]
pub struct Linear {
    k: usize,
    n: usize,
    groups: usize,
    /// `[groups][n / 16][k / 4][16][4]`
    w: Aligned<i8>,
    /// Of each column, `[groups][n to the next 16]`.
    s: Aligned<f32>,
    b: Aligned<f32>,
    /// Minus 128 times the column's sum of weights: what sums start from where activations are unsigned.
    start: Aligned<i32>,
}

/// What is done to a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Act {
    /// Nothing.
    #[default]
    None,
    /// By the error function.
    Gelu,
    /// `x sigmoid(1.702 x)`
    QuickGelu,
}

/// The rows that a [`Linear`] is given.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// `[rows][groups][k]`
    Rows(&'a [f32]),
    /// `[rows][groups][k]`, of which each is normalized first.
    Normed(&'a [f32]),
    /// `[rows][groups][k]`, of which each is divided by its root mean square first.
    RootMeanSquared(&'a [f32]),
    /// `[rows][k]`, each value less 128.
    Pixels(&'a [u8]),
}

impl Input<'_> {
    fn len(&self) -> usize {
        match self {
            Input::Rows(x) | Input::Normed(x) | Input::RootMeanSquared(x) => x.len(),
            Input::Pixels(x) => x.len(),
        }
    }
}

/// Room for quantized rows. It is made when it is first used, so that what has not run yet holds none.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// Bytes and values that the largest product needs.
    q_bytes: usize,
    values: usize,
    q: Aligned<u8>,
    scales: Vec<f32>,
    normed: Aligned<f32>,
}

impl Scratch {
    /// Room for any of these.
    pub fn for_any<'a>(linears: impl IntoIterator<Item = &'a Linear>) -> Self {
        let mut scratch = Self::default();
        for linear in linears {
            scratch.fit(linear);
        }
        scratch
    }

    /// Bytes that it holds once it is used.
    pub const fn bytes(&self) -> usize {
        self.q_bytes + 4 * (CHUNK + self.values)
    }

    fn fit(&mut self, linear: &Linear) {
        self.q_bytes = self.q_bytes.max(CHUNK * linear.row_bytes());
        self.values = self.values.max(TOGETHER * linear.k);
    }

    /// Makes the room, and more of it where it was made for less than this product.
    fn make_for(&mut self, linear: &Linear) {
        self.fit(linear);
        if self.q.len() < self.q_bytes || self.normed.len() < self.values {
            self.q = Aligned::zeros(self.q_bytes);
            self.scales.resize(CHUNK, 1.0);
            self.normed = Aligned::zeros(self.values);
        }
    }
}

impl Linear {
    /// `w` `[groups, ceil(n/16), ceil(k/4), 16, 4]`, `s` and `b` `[groups * n]`; `None` if they are not of these sizes or not
    /// finite, or a weight is -128 (which no packer writes, and whose products would not fit where two are added up in 16 bits).
    pub fn new(groups: usize, k: usize, n: usize, w: &[i8], s: &[f32], b: &[f32]) -> Option<Self> {
        let (blocks, depth) = (n.div_ceil(COLUMNS), k.div_ceil(DEPTH));
        let columns = groups.checked_mul(n)?;
        let bytes = groups.checked_mul(blocks)?.checked_mul(depth)?.checked_mul(STEP)?;
        let fits = w.len() == bytes && s.len() == columns && b.len() == columns && bytes > 0 && k <= MOST_DEEP;
        let numbers = s.iter().chain(b).all(|value| value.is_finite());
        if !fits || !numbers || k == 0 || n == 0 || w.contains(&i8::MIN) {
            return None;
        }
        let width = blocks * COLUMNS;
        let padded = |values: &[f32]| {
            let mut out = Aligned::zeros(groups * width);
            out.chunks_exact_mut(width)
                .zip(values.chunks_exact(n))
                .for_each(|(to, from)| to[..n].copy_from_slice(from));
            out
        };
        let mut start = Aligned::<i32>::zeros(groups * width);
        for (sums, block) in start.chunks_exact_mut(COLUMNS).zip(w.chunks_exact(depth * STEP)) {
            for (index, weight) in block.iter().enumerate() {
                sums[index % STEP / DEPTH] -= 128 * i32::from(*weight);
            }
        }
        Some(Self { k, n, groups, w: w.into(), s: padded(s), b: padded(b), start })
    }

    /// Columns of the result, for each group.
    pub const fn n(&self) -> usize {
        self.n
    }

    /// Values of an input row, for each group.
    pub const fn k(&self) -> usize {
        self.k
    }

    /// Groups.
    pub const fn groups(&self) -> usize {
        self.groups
    }

    /// Multiply-adds of one row.
    pub const fn macs(&self) -> u64 {
        (self.groups * self.k * self.n) as u64
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.w.len() + 4 * (self.s.len() + self.b.len() + self.start.len())
    }

    const fn row_bytes(&self) -> usize {
        self.k.div_ceil(DEPTH) * DEPTH
    }

    const fn blocks(&self) -> usize {
        self.n.div_ceil(COLUMNS)
    }

    /// So many blocks of a group, from the first on: their weights, and what makes values of their sums.
    #[inline(always)]
    fn part(&self, group: usize, first: usize, count: usize) -> (&[i8], Blocks<'_>) {
        let (first, step) = (group * self.blocks() + first, self.k.div_ceil(DEPTH) * STEP);
        let blocks = first..first + count;
        let made = Blocks {
            start: &self.start.as_chunks().0[blocks.clone()],
            s: &self.s.as_chunks().0[blocks.clone()],
            b: &self.b.as_chunks().0[blocks],
        };
        (&self.w[first * step..][..count * step], made)
    }
}

/// Computes the rows `to` of `out`, `[rows][groups][n]`, from the rows `from` of `input`; `residual`, of the shape of
/// `out`, is added last. Other rows are neither read nor written. A [`Team`](crate::Team) that this thread leads helps with large
/// ones, to the same bits.
///
/// # Panics
/// If a row is beyond `input`, `residual` or `out`.
pub fn linear(
    isa: Isa,
    linear: &Linear,
    input: Input<'_>,
    from: &[u32],
    to: &[u32],
    act: Act,
    residual: Option<&[f32]>,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    team::with(|team| {
        let large = linear.macs() * to.len() as u64 >= SHARED_MACS;
        let Some(team) = team.filter(|_| large && from.len() == to.len() && to.is_sorted_by(|a, b| a < b)) else {
            return some_rows(isa, linear, input, from, to, 0, act, residual, scratch, out);
        };
        let width = linear.groups * linear.n;
        let end = height(to) * width;
        assert!(out.len() >= end, "every row should be in the output");
        assert!(residual.is_none_or(|residual| residual.len() >= end), "every row should be in the residual");
        // Portions as even as can be, of no more rows than are quantized at once.
        let portions = to.len().div_ceil(CHUNK).next_multiple_of(team.threads());
        let rows = to.len().div_ceil(portions);
        let place = Place(out.as_mut_ptr());
        team.each(to.len().div_ceil(rows), scratch, &|portion, scratch| {
            let portion = portion * rows..to.len().min((portion + 1) * rows);
            let (from, to) = (&from[portion.clone()], &to[portion]);
            let first = to[0] as usize;
            let here = first * width..(to[to.len() - 1] as usize + 1) * width;
            // SAFETY: `to` ascends, so that what one portion spans, none of the others does; the last ends within `out`, which nobody
            // else uses for as long as it is borrowed.
            let out = unsafe { std::slice::from_raw_parts_mut(place.get().add(here.start), here.len()) };
            let residual = residual.map(|residual| &residual[here]);
            some_rows(isa, linear, input, from, to, first, act, residual, scratch, out);
        });
    });
}

/// Where the result begins.
struct Place(*mut f32);

// SAFETY: portions, which write to places of their own, get it.
unsafe impl Sync for Place {}

impl Place {
    const fn get(&self) -> *mut f32 {
        self.0
    }
}

for_each_isa! {
    /// The rows `to`; `out` and `residual` begin with row `first`, before which none of them lies.
    fn some_rows(
        linear: &Linear,
        input: Input<'_>,
        from: &[u32],
        to: &[u32],
        first: usize,
        act: Act,
        residual: Option<&[f32]>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) = body
}

#[inline(always)]
fn body<A: Dot>(
    linear: &Linear,
    input: Input<'_>,
    from: &[u32],
    to: &[u32],
    first: usize,
    act: Act,
    residual: Option<&[f32]>,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let (width_in, width_out) = (linear.groups * linear.k, linear.groups * linear.n);
    assert!(from.len() == to.len(), "every row should come from one");
    assert!(input.len() >= height(from) * width_in, "every row should be in the input");
    let height = height(to) - first;
    assert!(out.len() >= height * width_out, "every row should be in the output");
    assert!(residual.is_none_or(|r| r.len() >= height * width_out), "every row should be in the residual");
    let direct = match input {
        Input::Pixels(_) => {
            assert!(linear.groups == 1 && linear.row_bytes() == linear.k, "a row of pixels should come out even");
            // Pixels are unsigned as they are: nothing to do.
            A::FLIP == 0x80
        }
        _ => false,
    };
    scratch.make_for(linear);
    for (from, to) in from.chunks(CHUNK).zip(to.chunks(CHUNK)) {
        for group in 0..linear.groups {
            let chunk = prepare::<A>(linear, group, input, direct, (from, to, first), scratch);
            multiply::<A>(linear, group, &chunk, act, residual, out);
        }
    }
}

/// Rows up to the last of these.
#[inline(always)]
fn height(rows: &[u32]) -> usize {
    let mut height = 0;
    for row in rows {
        height = height.max(*row as usize + 1);
    }
    height
}

/// Some rows of a group, ready to be multiplied.
struct Chunk<'a> {
    /// What their bytes lie in, and where each begins.
    bytes: &'a [u8],
    starts: [usize; CHUNK],
    scales: &'a [f32],
    /// Where each row of the result begins.
    places: [usize; CHUNK],
    len: usize,
}

/// Quantizes the rows `from` side by side into the scratch; pixels are taken as they are if `direct`.
#[inline(always)]
fn prepare<'a, A: Dot>(
    linear: &Linear,
    group: usize,
    input: Input<'a>,
    direct: bool,
    (from, to, first): (&[u32], &[u32], usize),
    scratch: &'a mut Scratch,
) -> Chunk<'a> {
    let (k, groups, row_bytes) = (linear.k, linear.groups, linear.row_bytes());
    let (mut starts, mut places) = ([0; CHUNK], [0; CHUNK]);
    for i in 0..from.len() {
        starts[i] = i * row_bytes;
        places[i] = ((to[i] as usize - first) * groups + group) * linear.n;
    }
    let mut bytes = None;
    if let Input::Pixels(x) = input {
        scratch.scales[..from.len()].fill(1.0);
        for i in 0..from.len() {
            let at = from[i] as usize * k;
            if direct {
                starts[i] = at;
            } else {
                // A pixel less 128 is the pixel with its highest bit turned.
                for (q, x) in scratch.q[starts[i]..][..k].iter_mut().zip(&x[at..at + k]) {
                    *q = x ^ 0x80 ^ A::FLIP;
                }
            }
        }
        bytes = direct.then_some(x);
    } else {
        for (index, from) in from.chunks(TOGETHER).enumerate() {
            quantize::<A>(linear, group, input, from, index * TOGETHER, scratch);
        }
    }
    Chunk { bytes: bytes.unwrap_or(&scratch.q), starts, scales: &scratch.scales, places, len: from.len() }
}

/// Quantizes the rows `from` of a group, of which the scratch holds the first as its row `first`.
#[inline(always)]
fn quantize<A: Dot>(
    linear: &Linear,
    group: usize,
    input: Input<'_>,
    from: &[u32],
    first: usize,
    scratch: &mut Scratch,
) {
    let (k, row_bytes) = (linear.k, linear.row_bytes());
    let (Input::Rows(x) | Input::Normed(x) | Input::RootMeanSquared(x)) = input else { return };
    let Scratch { q, scales, normed, .. } = scratch;
    let mut rows = [&[][..]; TOGETHER];
    let mut rest = &mut normed[..];
    for r in 0..from.len() {
        rows[r] = &x[(from[r] as usize * linear.groups + group) * k..][..k];
        if let Input::Normed(_) | Input::RootMeanSquared(_) = input {
            let row;
            (row, rest) = rest.split_at_mut(k);
            match input {
                Input::Normed(_) => rows::normalize(rows[r], row),
                _ => rows::divide_by_root_mean_square(rows[r], row),
            }
            rows[r] = row;
        }
    }
    let (q, scales) = (&mut q[first * row_bytes..], &mut scales[first..]);
    // SAFETY: the CPU has the instructions: `A` was chosen by an `Isa`.
    unsafe { A::quantize(&rows[..from.len()], &mut q[..from.len() * row_bytes], &mut scales[..from.len()]) };
}

/// Multiplies the rows with a group of columns.
#[inline(always)]
fn multiply<A: Dot>(
    linear: &Linear,
    group: usize,
    chunk: &Chunk<'_>,
    act: Act,
    residual: Option<&[f32]>,
    out: &mut [f32],
) {
    let mut block = 0;
    if chunk.len == 1 {
        block = linear.n / COLUMNS;
        row::<A>(linear, group, block, chunk, out);
        let at = chunk.places[0]..chunk.places[0] + block * COLUMNS;
        finish(act, residual.map(|residual| &residual[at.clone()]), &mut out[at]);
    }
    while block < linear.blocks() {
        let wide = A::BLOCKS == 4 && (block + 4) * COLUMNS <= linear.n;
        let mut first = 0;
        while first < chunk.len {
            let m = A::ROWS.min(chunk.len - first);
            macro_rules! tile {
                ($m:literal) => {
                    if wide {
                        tile::<A, $m, 4>(linear, group, block, chunk, first, out);
                    } else {
                        tile::<A, $m, 1>(linear, group, block, chunk, first, out);
                    }
                };
            }
            match m {
                1 => tile!(1),
                2 => tile!(2),
                // Taller tiles than a CPU has registers for are not compiled for it.
                3 if A::ROWS >= 3 => tile!(3),
                4 if A::ROWS >= 4 => tile!(4),
                5 if A::ROWS >= 5 => tile!(5),
                6 if A::ROWS >= 6 => tile!(6),
                _ => unreachable!("a tile has at most ROWS rows"),
            }
            if act != Act::None || residual.is_some() {
                let column = block * COLUMNS;
                let width = if wide { 4 * COLUMNS } else { COLUMNS.min(linear.n - column) };
                for place in &chunk.places[first..first + m] {
                    let at = place + column..place + column + width;
                    finish(act, residual.map(|residual| &residual[at.clone()]), &mut out[at]);
                }
            }
            first += m;
        }
        block += if wide { 4 } else { 1 };
    }
}

/// Multiplies the only row with the first blocks.
#[inline(always)]
fn row<A: Dot>(linear: &Linear, group: usize, blocks: usize, chunk: &Chunk<'_>, out: &mut [f32]) {
    let (w, blocks) = linear.part(group, 0, blocks);
    let a = Bytes { base: chunk.bytes.as_ptr(), starts: some(&chunk.starts, 0), scales: some(chunk.scales, 0) };
    let depth = linear.k.div_ceil(DEPTH);
    // SAFETY: as in `tile`.
    unsafe { A::row(&a, w.as_ptr(), depth, &blocks, out.as_mut_ptr(), chunk.places[0]) };
}

/// Multiplies `M` rows from row `first` on with `B` blocks from `block` on.
#[inline(always)]
fn tile<A: Dot, const M: usize, const B: usize>(
    linear: &Linear,
    group: usize,
    block: usize,
    chunk: &Chunk<'_>,
    first: usize,
    out: &mut [f32],
) {
    let (w, blocks) = linear.part(group, block, B);
    let (depth, columns) = (linear.k.div_ceil(DEPTH), blocks.columns(0));
    let column = block * COLUMNS;
    let width = if B == 1 { COLUMNS.min(linear.n - column) } else { B * COLUMNS };
    let a = Bytes { base: chunk.bytes.as_ptr(), starts: some(&chunk.starts, first), scales: some(chunk.scales, first) };
    let places = some(&chunk.places, first);
    if width == B * COLUMNS {
        // SAFETY: `body` made sure of all rows of input and output, and the weights were cut to B blocks of `depth` steps. The CPU
        // has the instructions: `A` was chosen by an `Isa`.
        unsafe { A::tile::<M, B>(&a, w.as_ptr(), depth, &columns, out.as_mut_ptr().add(column), places) };
        return;
    }
    let mut ragged = [[0.0; COLUMNS]; M];
    let mut ragged_places = [0; M];
    for m in 0..M {
        ragged_places[m] = m * COLUMNS;
    }
    // SAFETY: as above, and only a single block is ragged.
    unsafe { A::tile::<M, B>(&a, w.as_ptr(), depth, &columns, ragged.as_mut_ptr().cast(), &ragged_places) };
    for m in 0..M {
        out[places[m] + column..][..width].copy_from_slice(&ragged[m][..width]);
    }
}

/// What is done to values of a row.
#[inline(always)]
fn finish(act: Act, residual: Option<&[f32]>, values: &mut [f32]) {
    match act {
        Act::None => {}
        Act::Gelu => {
            for v in &mut *values {
                *v = math::gelu(*v);
            }
        }
        Act::QuickGelu => {
            for v in &mut *values {
                *v = math::quick_gelu(*v);
            }
        }
    }
    if let Some(residual) = residual {
        for (v, residual) in values.iter_mut().zip(residual) {
            *v += residual;
        }
    }
}
