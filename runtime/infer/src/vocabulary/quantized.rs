//! Product quantization (Jegou, Douze and Schmid, TPAMI 2011): an embedding as 48 bytes, each the nearest of 256 centroids of
//! eight of its numbers. The products of what is looked up with all centroids are computed once; a row is then 48 additions.

use crate::rows::EMBEDDING;

/// Bytes of a row, and numbers that each of them stands for.
const CODE_BYTES: usize = 48;
const PART: usize = EMBEDDING / CODE_BYTES;

/// Centroids of a part.
const CENTROIDS: usize = 256;

/// Rows from which the centroids are learnt at most, and how often they are moved (Lloyd's algorithm).
const MOST_LEARNT: usize = 1 << 14;
const ROUNDS: usize = 10;

/// Rows as codes.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// `[CODE_BYTES][CENTROIDS][PART]`
    centroids: Vec<f32>,
    /// `[rows][CODE_BYTES]`
    codes: Vec<u8>,
}

impl Quantized {
    /// Learns centroids from unit rows, `[rows][EMBEDDING]`, and encodes all of them. The same rows give the same codes.
    pub fn new(rows: &[[f32; EMBEDDING]]) -> Self {
        let step = rows.len().div_ceil(MOST_LEARNT).max(1);
        let learnt: Vec<&[f32; EMBEDDING]> = rows.iter().step_by(step).collect();
        let mut centroids = Vec::with_capacity(EMBEDDING * CENTROIDS);
        for part in 0..CODE_BYTES {
            let points: Vec<[f32; PART]> = learnt.iter().map(|row| part_of(row, part)).collect();
            centroids.extend(cluster(&points).into_iter().flatten());
        }
        let mut quantized = Self { centroids, codes: Vec::with_capacity(rows.len() * CODE_BYTES) };
        for row in rows {
            for part in 0..CODE_BYTES {
                let code = nearest(quantized.of_part(part), &part_of(row, part));
                quantized.codes.push(code as u8);
            }
        }
        quantized
    }

    /// About the cosine of each row to a unit vector `z`, `[EMBEDDING]`.
    pub fn cosines(&self, z: &[f32; EMBEDDING]) -> impl Iterator<Item = f32> {
        let mut products = vec![[0.0f32; CENTROIDS]; CODE_BYTES];
        for (part, products) in products.iter_mut().enumerate() {
            let z = part_of(z, part);
            for (product, centroid) in products.iter_mut().zip(self.of_part(part)) {
                *product = centroid.iter().zip(&z).map(|(a, b)| a * b).sum();
            }
        }
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
        self.centroids.len() * size_of::<f32>() + self.codes.len()
    }

    fn of_part(&self, part: usize) -> &[[f32; PART]] {
        let each = CENTROIDS * PART;
        self.centroids[part * each..(part + 1) * each].as_chunks().0
    }
}

fn part_of(row: &[f32; EMBEDDING], part: usize) -> [f32; PART] {
    *row[part * PART..].first_chunk().expect("parts should make up a row")
}

fn nearest(centroids: &[[f32; PART]], point: &[f32; PART]) -> usize {
    let distance = |centroid: &[f32; PART]| centroid.iter().zip(point).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    let distances = centroids.iter().map(distance).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
}

/// Centroids of points, begun with points that lie evenly among them.
fn cluster(points: &[[f32; PART]]) -> Vec<[f32; PART]> {
    let begin = |index: usize| points.get(index * points.len() / CENTROIDS).copied().unwrap_or_default();
    let mut centroids: Vec<[f32; PART]> = (0..CENTROIDS).map(begin).collect();
    for _ in 0..ROUNDS {
        let mut sums = vec![([0.0f64; PART], 0u32); CENTROIDS];
        for point in points {
            let (sum, count) = &mut sums[nearest(&centroids, point)];
            sum.iter_mut().zip(point).for_each(|(sum, value)| *sum += f64::from(*value));
            *count += 1;
        }
        for (centroid, (sum, count)) in centroids.iter_mut().zip(&sums) {
            // One that is nobody's stays, for a point may come to it.
            if *count > 0 {
                *centroid = sum.map(|sum| (sum / f64::from(*count)) as f32);
            }
        }
    }
    centroids
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
        let rows = rows(600);
        let quantized = Quantized::new(&rows);
        assert_eq!(quantized.bytes(), EMBEDDING * CENTROIDS * 4 + 600 * CODE_BYTES);
        assert_eq!(quantized.codes, Quantized::new(&rows).codes);
        let mut worst = 0.0f32;
        for z in rows.iter().step_by(50) {
            for (row, near) in rows.iter().zip(quantized.cosines(z)) {
                let cosine: f32 = row.iter().zip(z).map(|(a, b)| a * b).sum();
                worst = worst.max((cosine - near).abs());
            }
        }
        assert!(worst < 0.2, "{worst}");
        assert_eq!(Quantized::new(&[]).cosines(&rows[0]).count(), 0);
    }
}
