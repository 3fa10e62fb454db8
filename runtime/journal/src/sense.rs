//! Embeddings: int8 in slots, 256 slots a chunk, so that all are read one after the other and compared with one that is asked.
//!
//! ```text
//! a slot    values    i8 [384]
//!           to_unit   f32, what makes the values a unit vector
//!           text      u32, camera u16, kind u16, severity u8, 3 bytes of nothing
//!           id        u64, 0 where nothing is
//!           start     i64, milliseconds since 1970, NEVER where that is not known
//! ```
//!
//! Numbers are little-endian. What a search may ask for lies beside the values, so that no row of another table is read for what
//! is not found.

use ocelli_types::Severity;

/// Width of an embedding.
pub const EMBEDDING: usize = 384;

/// Slots of a chunk.
pub const CHUNK: u64 = 256;

/// Bytes of a slot: see above.
pub const SLOT_BYTES: usize = EMBEDDING + 4 + 4 + 2 + 2 + 1 + 3 + 8 + 8;

/// The start of what has no date.
pub const NEVER: i64 = i64::MIN;

/// Where in the space of the text encoder something lies, by the models of a pack. Only its direction counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// What tells these models from others.
    pub mark: String,
    /// `[384]`
    pub values: Box<[i8; EMBEDDING]>,
}

impl Vector {
    /// Its cosine to another, which means something where their marks are the same; 0 where one has no direction.
    pub fn cosine(&self, other: &[i8; EMBEDDING]) -> f32 {
        dot(&self.values, other) as f32 * to_unit(&self.values) * to_unit(other)
    }
}

/// Values of a vector of any length, `[384]`; `None` where it has no direction.
pub fn quantized(values: &[f32; EMBEDDING]) -> Option<Box<[i8; EMBEDDING]>> {
    let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let finite = values.iter().all(|value| value.is_finite());
    (finite && largest > 0.0).then(|| Box::new(values.map(|value| (value / largest * 127.0).round() as i8)))
}

/// What makes a vector one of length 1; 0 for zeros.
pub fn to_unit(values: &[i8; EMBEDDING]) -> f32 {
    match dot(values, values) {
        0 => 0.0,
        square => 1.0 / (square as f32).sqrt(),
    }
}

/// Sum of products. Sixteen sums side by side, without checks of overflow, so that the compiler uses vectors: 384 products of two
/// bytes are far from it.
pub fn dot(a: &[i8; EMBEDDING], b: &[i8; EMBEDDING]) -> i32 {
    let mut sums = [0i32; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        for lane in 0..16 {
            sums[lane] = sums[lane].wrapping_add(i32::from(i16::from(a[lane]).wrapping_mul(i16::from(b[lane]))));
        }
    }
    sums.iter().sum()
}

/// What lies in a slot beside the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub id: u64,
    pub text: u32,
    pub camera: u16,
    pub kind: u16,
    pub severity: u8,
    pub start_ms: i64,
}

/// A slot as it is written.
pub fn slot(values: &[i8; EMBEDDING], label: &Label) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    let (held, rest) = slot.split_at_mut(EMBEDDING);
    held.iter_mut().zip(values).for_each(|(to, value)| *to = value.cast_unsigned());
    rest[0..4].copy_from_slice(&to_unit(values).to_le_bytes());
    rest[4..8].copy_from_slice(&label.text.to_le_bytes());
    rest[8..10].copy_from_slice(&label.camera.to_le_bytes());
    rest[10..12].copy_from_slice(&label.kind.to_le_bytes());
    rest[12] = label.severity;
    rest[16..24].copy_from_slice(&label.id.to_le_bytes());
    rest[24..32].copy_from_slice(&label.start_ms.to_le_bytes());
    slot
}

/// What a slot holds: values, what makes them a unit vector, and the label.
pub struct Held {
    pub values: [i8; EMBEDDING],
    pub to_unit: f32,
    pub label: Label,
}

impl Held {
    pub fn read(slot: &[u8; SLOT_BYTES]) -> Self {
        let (values, rest) = slot.split_first_chunk::<EMBEDDING>().expect("a slot should have room for its values");
        let rest: &[u8; SLOT_BYTES - EMBEDDING] = rest.try_into().expect("the rest should be as long as it is");
        let short = |at: usize| u16::from_le_bytes([rest[at], rest[at + 1]]);
        let four = |at: usize| [rest[at], rest[at + 1], rest[at + 2], rest[at + 3]];
        let eight =
            |at: usize| u64::from(u32::from_le_bytes(four(at + 4))) << 32 | u64::from(u32::from_le_bytes(four(at)));
        Self {
            values: values.map(u8::cast_signed),
            to_unit: f32::from_le_bytes(four(0)),
            label: Label {
                text: u32::from_le_bytes(four(4)),
                camera: short(8),
                kind: short(10),
                severity: rest[12],
                id: eight(16),
                start_ms: eight(24).cast_signed(),
            },
        }
    }
}

pub const fn severity_number(severity: Severity) -> u8 {
    severity as u8
}

pub const fn severity_of(number: u8) -> Severity {
    match number {
        0 => Severity::None,
        1 => Severity::Info,
        2 => Severity::Notice,
        _ => Severity::Alarm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(seed: usize) -> [i8; EMBEDDING] {
        std::array::from_fn(|i| (((i * 37 + seed * 101) % 255) as u8).cast_signed())
    }

    #[test]
    fn a_slot_survives_being_written() {
        let label = Label { id: u64::MAX - 5, text: 70_000, camera: 3, kind: 65_535, severity: 3, start_ms: NEVER };
        let held = Held::read(&slot(&vector(1), &label));
        assert_eq!((held.values, held.label), (vector(1), label));
        assert!((held.to_unit - to_unit(&vector(1))).abs() < 1e-9);
        assert_eq!(SLOT_BYTES, 416);
    }

    #[test]
    fn a_dot_product_is_the_sum_of_products_also_at_its_largest() {
        let (a, b) = (vector(1), vector(2));
        let plain: i32 = a.iter().zip(&b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
        assert_eq!(dot(&a, &b), plain);
        assert_eq!(dot(&[-128; EMBEDDING], &[-128; EMBEDDING]), 128 * 128 * 384);
    }

    #[test]
    fn a_direction_survives_being_quantized_and_what_has_none_is_refused() {
        let values: [f32; EMBEDDING] = std::array::from_fn(|i| ((i * 31 % 97) as f32 - 48.0) * 1e-3);
        let small = Vector { mark: String::new(), values: quantized(&values).expect("it has one") };
        let large = quantized(&values.map(|value| value * 1e6)).expect("it has one");
        assert!((small.cosine(&large) - 1.0).abs() < 1e-6);
        assert!(quantized(&[0.0; EMBEDDING]).is_none() && quantized(&[f32::NAN; EMBEDDING]).is_none());
        assert!(small.cosine(&[0; EMBEDDING]).abs() < 1e-9);
    }
}
