//! The W8A8 product: rows quantized on use, int8 weights, and what follows (scale, bias, activation, residual) in one go.

use crate::aligned::Aligned;
use crate::dot::{COLUMNS, Columns, DEPTH, Dot, STEP};
use crate::isa::for_each_isa;
use crate::{math, rows};

/// Rows that are quantized before the product begins; their bytes stay in the first cache.
const CHUNK: usize = 48;

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
    /// `[rows][k]`, each value less 128.
    Pixels(&'a [u8]),
}

impl Input<'_> {
    fn len(&self) -> usize {
        match self {
            Input::Rows(x) | Input::Normed(x) => x.len(),
            Input::Pixels(x) => x.len(),
        }
    }
}

/// Room for quantized rows. It is made when it is first used, so that what has not run yet holds none.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// Bytes, rows and values that the largest product needs.
    q_bytes: usize,
    rows: usize,
    values: usize,
    q: Vec<u8>,
    scales: Vec<f32>,
    row: Vec<f32>,
}

impl Scratch {
    /// Room for any of these.
    pub fn for_any<'a>(linears: impl IntoIterator<Item = &'a Linear>) -> Self {
        let mut scratch = Self::default();
        for linear in linears {
            let rows = CHUNK * linear.groups;
            scratch.q_bytes = scratch.q_bytes.max(rows * linear.row_bytes());
            scratch.rows = scratch.rows.max(rows);
            scratch.values = scratch.values.max(linear.k);
        }
        scratch
    }

    /// Bytes that it holds once it is used.
    pub const fn bytes(&self) -> usize {
        self.q_bytes + 4 * (self.rows + self.values)
    }

    fn make(&mut self) {
        if self.q.is_empty() {
            self.q.resize(self.q_bytes, 0);
            self.scales.resize(self.rows, 1.0);
            self.row.resize(self.values, 0.0);
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
}

for_each_isa! {
    /// Computes the rows `to` of `out`, `[rows][groups][n]`, from the rows `from` of `input`; `residual`, of the shape of
    /// `out`, is added last. Other rows are neither read nor written.
    ///
    /// # Panics
    /// If a row is beyond `input`, `residual` or `out`, or `scratch` was made without this `linear`.
    pub fn linear(
        linear: &Linear,
        input: Input<'_>,
        from: &[u32],
        to: &[u32],
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
    act: Act,
    residual: Option<&[f32]>,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let (width_in, width_out) = (linear.groups * linear.k, linear.groups * linear.n);
    let height = |rows: &[u32]| rows.iter().max().map_or(0, |row| *row as usize + 1);
    assert!(from.len() == to.len(), "every row should come from one");
    assert!(input.len() >= height(from) * width_in, "every row should be in the input");
    let height = height(to);
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
    scratch.make();
    for (from, to) in from.chunks(CHUNK).zip(to.chunks(CHUNK)) {
        prepare::<A>(linear, input, direct, from, scratch);
        for group in 0..linear.groups {
            let mut block = 0;
            while block < linear.blocks() {
                let at = Place { linear, group, block };
                let wide = A::BLOCKS == 4 && (block + 4) * COLUMNS <= linear.n;
                let column = block * COLUMNS;
                let width = if wide { 4 * COLUMNS } else { COLUMNS.min(linear.n - column) };
                let mut first = 0;
                while first < to.len() {
                    let here =
                        Tile { from, to, first, direct: if direct { Some(input) } else { None }, scratch: &*scratch };
                    let m = A::ROWS.min(to.len() - first);
                    macro_rules! tile {
                        ($m:literal) => {
                            if wide {
                                tile::<A, $m, 4>(&at, &here, out);
                            } else {
                                tile::<A, $m, 1>(&at, &here, out);
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
                        for row in &to[first..first + m] {
                            let at = (*row as usize * linear.groups + group) * linear.n + column;
                            finish(act, residual.map(|residual| &residual[at..at + width]), &mut out[at..at + width]);
                        }
                    }
                    first += m;
                }
                block += if wide { 4 } else { 1 };
            }
        }
    }
}

/// Quantizes `rows` side by side into the scratch.
#[inline(always)]
fn prepare<A: Dot>(linear: &Linear, input: Input<'_>, direct: bool, rows: &[u32], scratch: &mut Scratch) {
    let (k, groups, row_bytes) = (linear.k, linear.groups, linear.row_bytes());
    assert!(
        scratch.q.len() >= CHUNK * groups * row_bytes && scratch.row.len() >= k,
        "the scratch should be made for this product"
    );
    let Scratch { q, scales, row: normed, .. } = scratch;
    let slots = q.chunks_exact_mut(row_bytes).zip(scales).enumerate().take(rows.len() * groups);
    for (slot, (q, scale)) in slots {
        let at = (rows[slot / groups] as usize * groups + slot % groups) * k;
        *scale = match input {
            // SAFETY: the CPU has the instructions: `A` was chosen by an `Isa`.
            Input::Rows(x) => unsafe { A::quantize(&x[at..at + k], q) },
            Input::Normed(x) => {
                rows::normalize(&x[at..at + k], &mut normed[..k]);
                // SAFETY: as above.
                unsafe { A::quantize(&normed[..k], q) }
            }
            Input::Pixels(x) => {
                if !direct {
                    // A pixel less 128 is the pixel with its highest bit turned.
                    for (q, x) in q.iter_mut().zip(&x[at..at + k]) {
                        *q = x ^ 0x80 ^ A::FLIP;
                    }
                }
                1.0
            }
        };
    }
}

/// Which columns.
struct Place<'a> {
    linear: &'a Linear,
    group: usize,
    block: usize,
}

/// Which rows, and where their bytes lie.
struct Tile<'a> {
    from: &'a [u32],
    to: &'a [u32],
    first: usize,
    direct: Option<Input<'a>>,
    scratch: &'a Scratch,
}

#[inline(always)]
fn tile<A: Dot, const M: usize, const B: usize>(at: &Place<'_>, here: &Tile<'_>, out: &mut [f32]) {
    let Place { linear, group, block } = *at;
    let (row_bytes, depth) = (linear.row_bytes(), linear.k.div_ceil(DEPTH));
    let bytes = |m: usize| match here.direct {
        Some(Input::Pixels(x)) => &x[here.from[here.first + m] as usize * row_bytes..][..row_bytes],
        _ => &here.scratch.q[((here.first + m) * linear.groups + group) * row_bytes..][..row_bytes],
    };
    let first = group * linear.blocks() + block;
    let w = &linear.w[first * depth * STEP..][..B * depth * STEP];
    let columns = Columns::<B> {
        start: blocks_of(&linear.start, first),
        s: blocks_of(&linear.s, first),
        b: blocks_of(&linear.b, first),
    };
    let column = block * COLUMNS;
    let width = if B == 1 { COLUMNS.min(linear.n - column) } else { B * COLUMNS };
    let (mut rows, mut scales, mut places) = ([std::ptr::null(); M], [0.0; M], [0; M]);
    for m in 0..M {
        let slot = here.first + m;
        rows[m] = bytes(m).as_ptr();
        scales[m] = here.scratch.scales[slot * linear.groups + group];
        places[m] = (here.to[slot] as usize * linear.groups + group) * linear.n + column;
        assert!(places[m] + width <= out.len(), "every row should be in the output");
    }
    let mut ragged = [[0.0; COLUMNS]; M];
    let mut to = [std::ptr::null_mut(); M];
    let start = out.as_mut_ptr();
    for m in 0..M {
        to[m] = if width == B * COLUMNS { start.wrapping_add(places[m]) } else { ragged[m].as_mut_ptr() };
    }
    // SAFETY: every row was cut to 4 * depth bytes and the weights to B blocks of `depth` steps, just above, where the places
    // in `out` were looked at too; only a single block is ragged. The CPU has the instructions: `A` was chosen by an `Isa`.
    unsafe { A::tile::<M, B>(rows, w.as_ptr(), depth, &columns, scales, to) };
    if width < B * COLUMNS {
        for m in 0..M {
            out[places[m]..][..width].copy_from_slice(&ragged[m][..width]);
        }
    }
}

/// `B` blocks of 16 columns, from block `first` on.
#[inline(always)]
fn blocks_of<T, const B: usize>(values: &[T], first: usize) -> &[[T; COLUMNS]; B] {
    values[first * COLUMNS..].as_chunks().0.first_chunk().expect("every column should have its numbers")
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
