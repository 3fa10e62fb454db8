//! Directions in the space of the text encoder, int8, compared by their cosine.

/// Width of an embedding of all-MiniLM-L6-v2.
pub const EMBEDDING: usize = 384;

/// Unit vectors, `[rows][EMBEDDING]`.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    values: Vec<i8>,
    /// What makes a row a unit vector, `[rows]`.
    to_unit: Vec<f32>,
}

impl Rows {
    pub fn with_capacity(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows * EMBEDDING), to_unit: Vec::with_capacity(rows) }
    }

    /// Adds one, `[EMBEDDING]` in any scale; `false` where it is zero, which has no direction.
    pub fn push(&mut self, row: impl Iterator<Item = i8>) -> bool {
        let start = self.values.len();
        self.values.extend(row);
        let row = &self.values[start..];
        assert_eq!(row.len(), EMBEDDING, "a row should have the width of an embedding");
        let square: i64 = row.iter().map(|&value| i64::from(value) * i64::from(value)).sum();
        if square == 0 {
            self.values.truncate(start);
            return false;
        }
        self.to_unit.push(1.0 / (square as f32).sqrt());
        true
    }

    /// The rows as they were added, `[EMBEDDING]` each.
    pub fn iter(&self) -> impl Iterator<Item = &[i8]> {
        self.values.chunks_exact(EMBEDDING)
    }

    /// Cosine of each row to a unit vector `z`, `[EMBEDDING]`.
    pub fn cosines(&self, z: &[f32]) -> impl Iterator<Item = f32> {
        self.values.chunks_exact(EMBEDDING).zip(&self.to_unit).map(move |(row, to_unit)| dot(row, z) * to_unit)
    }

    /// One row as it was added.
    pub fn values(&self, index: usize) -> &[i8; EMBEDDING] {
        self.values[index * EMBEDDING..].first_chunk().expect("a row should have the width of an embedding")
    }

    /// How many rows.
    pub const fn len(&self) -> usize {
        self.to_unit.len()
    }

    /// Cosine of one row to a unit vector `z`, `[EMBEDDING]`.
    pub fn cosine(&self, index: usize, z: &[f32]) -> f32 {
        dot(&self.values[index * EMBEDDING..][..EMBEDDING], z) * self.to_unit[index]
    }

    /// Some of the numbers of one row as a unit vector.
    pub fn part<const N: usize>(&self, index: usize, from: usize) -> [f32; N] {
        std::array::from_fn(|i| f32::from(self.values[index * EMBEDDING + from + i]) * self.to_unit[index])
    }

    /// One row as a unit vector.
    pub fn unit(&self, index: usize) -> [f32; EMBEDDING] {
        self.part(index, 0)
    }

    /// Leaves out every second one.
    pub fn halve(&mut self) {
        let mut halved = Self::with_capacity(self.len());
        for (row, to_unit) in self.iter().zip(&self.to_unit).step_by(2) {
            halved.values.extend_from_slice(row);
            halved.to_unit.push(*to_unit);
        }
        *self = halved;
    }

    #[cfg(test)]
    pub fn row(&self, index: usize) -> Vec<f32> {
        let row = &self.values[index * EMBEDDING..][..EMBEDDING];
        row.iter().map(|&value| f32::from(value) * self.to_unit[index]).collect()
    }
}

/// Eight sums side by side, so that the compiler may use vectors: a single chain of f32 additions may not be reordered.
fn dot(row: &[i8], z: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for (a, b) in row.chunks_exact(8).zip(z.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += f32::from(a[lane]) * b[lane];
        }
    }
    sums.iter().sum()
}
