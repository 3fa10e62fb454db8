//! What goes wrong with a model, in words for the person who installed it.

use std::path::PathBuf;

use ocelli_types::{Fault, Faulty};

/// Why a pack cannot be used. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// There is no pack of this name.
    #[error(
        "there is no pack `{name}`; `ocelli packs` lists those that there are, and OCELLI_PACKS may name a folder of more"
    )]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// There is no text encoder.
    #[error(
        "there is no text encoder `{name}` beside the packs; `cargo xtask pack text-encoder` makes it, and OCELLI_PACKS may \
         name the folder that it is in"
    )]
    NoEncoder {
        /// The folder that was looked for.
        name: &'static str,
    },
    /// There is no generative head.
    #[error(
        "there is no generative head `{name}` beside the packs; `cargo xtask pack smollm2` makes it, and OCELLI_PACKS may name \
         the folder that it is in"
    )]
    NoGenerator {
        /// The folder that was looked for.
        name: &'static str,
    },
    /// A file of the pack cannot be read.
    #[error("{}: cannot read this file of the pack ({source}); copy the pack again", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A TOML file does not say what it may say.
    #[error("{}:{line}: {why}; this pack was made for another version, or was edited", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The pack is of another format.
    #[error("{}: the pack has format {found}, and this program reads format {expected}; update the older of them", path.display())]
    Format {
        /// The manifest.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What we read.
        expected: u32,
    },
    /// A file is not the one that the manifest names.
    #[error("{}: the file is damaged or from another pack (its SHA-256 differs); copy the pack again", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
    },
    /// Numbers in the manifest do not go together.
    #[error("{}: {why}; make the pack anew", path.display())]
    Inconsistent {
        /// The manifest or vocabulary.
        path: PathBuf,
        /// What does not go together.
        why: String,
    },
}

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InferError {
    /// tract does not load the graph.
    #[error("{}: the graph cannot be loaded: {why}; make the pack anew", path.display())]
    Load {
        /// The ONNX file.
        path: PathBuf,
        /// What tract said, in one line.
        why: String,
    },
    /// The graph is not the one that the manifest describes.
    #[error("{}: {what} is {found}, and the manifest asks for {expected}; make the pack anew", path.display())]
    WrongShape {
        /// The ONNX file.
        path: PathBuf,
        /// Which input or output.
        what: String,
        /// By the manifest.
        expected: String,
        /// In the graph.
        found: String,
    },
    /// The caller's patches or tokens are not of the model's sizes.
    #[error("the {model} got {found} where it takes {expected}")]
    BadInput {
        /// STAB or narrator.
        model: &'static str,
        /// What it takes.
        expected: String,
        /// What it got.
        found: String,
    },
    /// tract failed on the way.
    #[error("the {model} failed: {why}")]
    Run {
        /// STAB or narrator.
        model: &'static str,
        /// What tract said, in one line.
        why: String,
    },
}

impl Faulty for InferError {
    /// A model that fails on one frame fails on the next: there is nothing to wait for.
    fn fault(&self) -> Fault {
        Fault::Stop
    }
}
