//! Product quantization (Jegou, Douze and Schmid, TPAMI 2011): an embedding as 48 bytes, each the nearest of 256 centroids of
//! eight of its numbers. The products of what is looked up with all centroids are computed once; a row is then 48 additions.

use crate::rows::{EMBEDDING, Rows};

/// Bytes of a row, and numbers that each of them stands for.
const CODE_BYTES: usize = 48;
const PART: usize = EMBEDDING / CODE_BYTES;

/// Centroids of a part.
const CENTROIDS: usize = 256;

/// Rows from which the centroids are learnt at most, and how often they are moved (Lloyd's algorithm).
const MOST_LEARNT: usize = 1 << 13;
const ROUNDS: usize = 6;

/// The centroids of a part, number by number, so that all are computed side by side.
#[derive(Clone, Debug)]
struct Part {
    /// `[PART][CENTROIDS]`
    values: [[f32; CENTROIDS]; PART],
    /// Half of each one's squared length: what its product lacks of a distance.
    half: [f32; CENTROIDS],
}

/// Rows as codes.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// `[CODE_BYTES]`
    parts: Vec<Part>,
    /// `[rows][CODE_BYTES]`
    codes: Vec<u8>,
}

impl Quantized {
    /// Learns centroids from rows, of which it looks at 8,192. The same rows give the same centroids.
    pub fn learn(rows: &Rows) -> Self {
        let step = rows.len().div_ceil(MOST_LEARNT).max(1);
        let learn = |part: usize| {
            let points = (0..rows.len()).step_by(step).map(|index| rows.part(index, part * PART));
            Part::of(&points.collect::<Vec<_>>())
        };
        Self { parts: (0..CODE_BYTES).map(learn).collect(), codes: Vec::new() }
    }

    /// Makes room for so many rows, which are zeros until they are [`set`](Self::set).
    pub fn resize(&mut self, rows: usize) {
        self.codes = vec![0; rows * CODE_BYTES];
    }

    /// Encodes a unit row as this one.
    pub fn set(&mut self, index: usize, unit: &[f32; EMBEDDING]) {
        let codes = &mut self.codes[index * CODE_BYTES..][..CODE_BYTES];
        for (index, (part, code)) in self.parts.iter().zip(codes).enumerate() {
            *code = part.nearest(&part_of(unit, index)) as u8;
        }
    }

    /// About the row of this number.
    pub fn unit(&self, index: usize) -> [f32; EMBEDDING] {
        let codes = &self.codes[index * CODE_BYTES..][..CODE_BYTES];
        let unit = std::array::from_fn(|i| self.parts[i / PART].values[i % PART][codes[i / PART] as usize]);
        normalized(&unit)
    }

    /// About the cosine of each row to a unit vector `z`, `[EMBEDDING]`.
    pub fn cosines(&self, z: &[f32; EMBEDDING]) -> impl Iterator<Item = f32> {
        let products = self.parts.iter().enumerate().map(|(index, part)| part.products(&part_of(z, index)));
        let products: Vec<[f32; CENTROIDS]> = products.collect();
        self.codes.as_chunks::<CODE_BYTES>().0.iter().map(move |codes| {
            // Four sums side by side: one chain of additions would wait for each.
            let mut sums = [0.0f32; 4];
            for (codes, products) in codes.as_chunks::<4>().0.iter().zip(products.as_chunks::<4>().0) {
                for lane in 0..4 {
                    sums[lane] += products[lane][codes[lane] as usize];
                }
            }
            sums.iter().sum()
        })
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        Self::bytes_of(self.codes.len() / CODE_BYTES)
    }

    /// Bytes that so many rows take.
    pub const fn bytes_of(rows: usize) -> usize {
        CODE_BYTES * (size_of::<Part>() + rows)
    }
}

impl Part {
    /// Centroids of points, begun with points that lie evenly among them.
    fn of(points: &[[f32; PART]]) -> Self {
        let mut part = Self { values: [[0.0; CENTROIDS]; PART], half: [0.0; CENTROIDS] };
        for centroid in 0..CENTROIDS {
            let point = points.get(centroid * points.len() / CENTROIDS).copied().unwrap_or_default();
            part.set(centroid, &point);
        }
        for _ in 0..ROUNDS {
            let mut sums = vec![([0.0f64; PART], 0u32); CENTROIDS];
            for point in points {
                let (sum, count) = &mut sums[part.nearest(point)];
                sum.iter_mut().zip(point).for_each(|(sum, value)| *sum += f64::from(*value));
                *count += 1;
            }
            // One that is nobody's stays, for a point may come to it.
            for (centroid, (sum, count)) in sums.iter().enumerate().filter(|(_, (_, count))| *count > 0) {
                part.set(centroid, &sum.map(|sum| (sum / f64::from(*count)) as f32));
            }
        }
        part
    }

    fn set(&mut self, centroid: usize, point: &[f32; PART]) {
        for (values, value) in self.values.iter_mut().zip(point) {
            values[centroid] = *value;
        }
        self.half[centroid] = point.iter().map(|value| value * value).sum::<f32>() / 2.0;
    }

    /// Product with each centroid.
    fn products(&self, point: &[f32; PART]) -> [f32; CENTROIDS] {
        let mut products = [0.0; CENTROIDS];
        for (values, value) in self.values.iter().zip(point) {
            products.iter_mut().zip(values).for_each(|(product, centroid)| *product += centroid * value);
        }
        products
    }

    fn nearest(&self, point: &[f32; PART]) -> usize {
        let nearness = self.products(point).into_iter().zip(&self.half).map(|(product, half)| product - half);
        let nearest =
            nearness.enumerate().fold(
                (0, f32::NEG_INFINITY),
                |best, (index, nearness)| {
                    if nearness > best.1 { (index, nearness) } else { best }
                },
            );
        nearest.0
    }
}

/// The same direction with length 1; zeros as they are.
fn normalized(row: &[f32; EMBEDDING]) -> [f32; EMBEDDING] {
    let length = row.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    row.map(|value| value / length)
}

fn part_of(row: &[f32; EMBEDDING], part: usize) -> [f32; PART] {
    *row[part * PART..].first_chunk().expect("parts should make up a row")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unit vectors around sixteen directions.
    fn rows(count: usize) -> Vec<[f32; EMBEDDING]> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut dice = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        let themes: Vec<[f32; EMBEDDING]> = (0..16).map(|_| std::array::from_fn(|_| dice())).collect();
        let row = |index: usize, dice: &mut dyn FnMut() -> f32| {
            let mut row: [f32; EMBEDDING] = std::array::from_fn(|i| themes[index % 16][i] + 0.5 * dice());
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            row.iter_mut().for_each(|value| *value /= length);
            row
        };
        (0..count).map(|index| row(index, &mut dice)).collect()
    }

    #[test]
    fn codes_are_near_to_what_they_stand_for_and_are_the_same_each_time() {
        let units = rows(600);
        let mut rows = Rows::with_capacity(600);
        units.iter().for_each(|unit| assert!(rows.push(unit.iter().map(|value| (value * 500.0) as i8))));
        let coded = || {
            let mut quantized = Quantized::learn(&rows);
            quantized.resize(600);
            (0..600).for_each(|index| quantized.set(index, &rows.unit(index)));
            quantized
        };
        let quantized = coded();
        assert_eq!(quantized.bytes(), (EMBEDDING + CODE_BYTES) * CENTROIDS * 4 + 600 * CODE_BYTES);
        assert_eq!(quantized.codes, coded().codes);
        let mut worst = 0.0f32;
        for asked in (0..600).step_by(50) {
            let z = rows.unit(asked);
            for (index, near) in quantized.cosines(&z).enumerate() {
                worst = worst.max((rows.cosine(index, &z) - near).abs());
            }
            let decoded: f32 = quantized.unit(asked).iter().zip(&z).map(|(a, b)| a * b).sum();
            assert!(decoded > 0.9, "{asked}: {decoded}");
        }
        assert!(worst < 0.2, "{worst}");
        assert_eq!(Quantized::learn(&Rows::default()).cosines(&units[0]).count(), 0);
    }
}
