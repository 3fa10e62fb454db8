//! Packs, STAB, narrator and vocabulary: everything that runs a model, and the only crate that names tract.
//!
//! A [`Pack`] is a folder of data. [`Stab`] is the pipeline's encoder, [`Narrator`] its head; both run one fixed graph
//! through tract. [`Taught`] is a narrator that was told what it got right and wrong at one camera. [`TextEncoder`] places
//! a sentence that a user adds among those of the pack. [`Generator`] words what is known already, and [`faithful`]
//! says whether it kept to it. [`StabShape`] counts what a STAB costs, in the published and in the folded form.

mod canvas;
mod engine;
mod error;
mod generate;
mod lessons;
mod macs;
mod narrator;
mod ops;
mod pack;
mod pieces;
mod reference;
mod rows;
mod stab;
mod table;
mod text;
mod vocabulary;

pub use engine::{Backend, read_graph};
pub use error::{InferError, PackError};
pub use generate::{
    Bounds, End, Fallback, Generated, Generator, GeneratorPack, MOST_NOTES, Schema, Tokenizer, Unfaithful, Worded,
    Wording, faithful,
};
pub use lessons::{Evidence, Lessons, MOST_LESSONS, Taught};
pub use macs::{Form, Macs, StabShape};
pub use narrator::Narrator;
pub use ocelli_kernels::Team;
pub use pack::{
    CalibrationPart, DropPart, DropReference, GatePart, GoldenFile, GoldenPart, InputPart, KindSpeak, LessonsPart,
    Manifest, NarratorPart, NewsPart, Pack, PackInfo, ReferencePart, SpeakPart, StabPart, VocabularyPart, list_packs,
};
pub use reference::ReferenceStab;
pub use rows::EMBEDDING;
pub use stab::Stab;
pub use text::{Embedded, MOST_PIECES, TextEncoder, TextPack};
pub use vocabulary::{
    Added, Binding, Book, BookBytes, Composer, Entry, FLOOR, MOST_EXACT, Renumbering, Scenes, Vocabulary,
};
