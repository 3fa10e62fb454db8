//! What is refused at start, so that nothing needs refusing later.

use alloc::string::String;

/// A pack or board that does not fit together. Each message is one line that says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number of the gate that must not be zero is.
    #[error("[gate] {key} is 0; set it to 1 or more in pack.toml")]
    Gate {
        /// The key in pack.toml.
        key: &'static str,
    },
    /// The head has fewer slots than it must fill.
    #[error("[narrator] slots = {slots} cannot hold {least}; use a narrator exported for this input size")]
    Slots {
        /// Slots of the head.
        slots: usize,
        /// Windows plus frame tokens.
        least: usize,
    },
    /// The memory would forget what the head still needs.
    #[error("a memory of {tokens} tokens is too small; give it room for {least} or more")]
    SmallMemory {
        /// Tokens asked for.
        tokens: usize,
        /// See [`MemoryConfig::least_tokens`](crate::MemoryConfig::least_tokens).
        least: usize,
    },
    /// A part of the memory has no room for anything.
    #[error("the memory has {value} {what}; give it {least} or more")]
    Memory {
        /// Which part.
        what: &'static str,
        /// Its size.
        value: usize,
        /// The smallest that works.
        least: usize,
    },
    /// A number of the speak policy is out of its range.
    #[error("[speak] {key} = {value} is not {range}; correct it in pack.toml")]
    Speak {
        /// The key in pack.toml.
        key: &'static str,
        /// Its value.
        value: f32,
        /// What is allowed, in words.
        range: &'static str,
    },
    /// There is nothing to say.
    #[error("the vocabulary has no entries; add at least one to vocabulary.toml")]
    EmptyVocabulary,
    /// An entry's kind is not among the kinds.
    #[error("vocabulary entry {entry} is of kind {kind}, and there are {kinds}; load the pack again")]
    NoSuchKind {
        /// Index of the entry.
        entry: usize,
        /// Its kind.
        kind: usize,
        /// Number of kinds.
        kinds: usize,
    },
    /// A kind that no entry is of, so that it could never be said.
    #[error("[speak.kinds.{kind}]: no vocabulary entry is of this kind; add one, or remove the table")]
    UnknownKind {
        /// Name of the kind.
        kind: String,
    },
}
