//! Embeddings of pieces of words, which stay on disk: of tens of thousands a text has some.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::InferError;

/// For each piece a little-endian f32 scale and `[width]` i8.
#[derive(Debug)]
pub struct Table {
    file: File,
    path: PathBuf,
    row: Box<[u8]>,
}

impl Table {
    /// Opens a table of so many rows.
    pub fn open(path: &Path, rows: usize, width: usize) -> Result<Self, InferError> {
        let failed = |why: String| InferError::Load { path: path.to_path_buf(), why };
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let wanted = (rows * (4 + width)) as u64;
        if bytes != wanted {
            return Err(failed(format!("it has {bytes} bytes, and the list of pieces asks for {wanted}")));
        }
        Ok(Self { file, path: path.to_path_buf(), row: vec![0; 4 + width].into() })
    }

    /// Reads a row, `[width]`, for this model.
    pub fn row(&mut self, piece: u32, model: &'static str, to: &mut [f32]) -> Result<(), InferError> {
        let start = u64::from(piece) * self.row.len() as u64;
        self.file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.read_exact(&mut self.row))
            .map_err(|error| InferError::Run { model, why: format!("{}: {error}", self.path.display()) })?;
        let (scale, values) = self.row.split_at(4);
        let scale = f32::from_le_bytes(scale.try_into().expect("four bytes were split off"));
        to.iter_mut().zip(values).for_each(|(to, value)| *to = scale * f32::from(value.cast_signed()));
        Ok(())
    }
}
