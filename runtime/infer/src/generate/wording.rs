//! Notes in words: each event, or each sentence of a template's answer, told by the head in a sentence of its own, as far as it is
//! borne out (after `SiLVR`, Zhang et al. 2025: a language model over stored narrations alone).
//!
//! One note at a time, because a model of this size mixes up who did what where it has several before it; so a note is also
//! always told in the same words, whatever stands beside it. Where they say more than the note, the note itself is told.

use std::ops::ControlFlow;

use ocelli_types::Micros;

use super::faithful::{Unfaithful, faithful, first_sentence};
use super::{Bounds, End, Generator};
use crate::InferError;

/// Notes that are worded, at most; more make no text that anybody reads.
pub const MOST_NOTES: usize = 24;

/// Tokens of the sentence that a note becomes, at most.
const MOST_TOKENS: usize = 48;

/// Bytes of a note that is worded, at most.
const MOST_BYTES: usize = 300;

/// What the head is to do, shown: a small model follows examples better than rules.
const EXAMPLES: [(&str, &str); 5] = [
    ("system", "Rewrite each note of a home camera as one short sentence. Keep its words, place and time."),
    ("user", "18:05 hall: Someone sits down."),
    ("assistant", "At 18:05 someone sat down in the hall."),
    ("user", "07:30 kitchen: A person opens the fridge."),
    ("assistant", "At 07:30 a person opened the fridge in the kitchen."),
];

/// What is to be told.
#[derive(Clone, Copy, Debug)]
pub struct Wording<'a> {
    /// In order: events with time and place (`18:30 hall: Someone falls.`), or the sentences of a template's answer.
    pub notes: &'a [&'a str],
    /// What else is known, such as the events behind such an answer. A sentence may say what its note or one of these says.
    pub facts: &'a [&'a str],
}

/// Why a note was told as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fallback {
    /// The head said what is not borne out.
    #[error(transparent)]
    Unfaithful(#[from] Unfaithful),
    /// The sentence was not done in the tokens or the time that there were, or was cancelled.
    #[error("{}", match .0 {
        End::Time => "the time was up",
        End::Cancelled => "it was cancelled",
        _ => "no sentence came to an end",
    })]
    Unfinished(End),
    /// It is too long, or one too many.
    #[error("it is too long")]
    Long,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worded {
    /// All of it.
    pub text: String,
    /// Of each note why it is told as it is; `None` where the words are the head's.
    pub told: Vec<Option<Fallback>>,
    /// What the head said to each note that it was asked about, borne out or not.
    pub raw: Vec<String>,
    /// Tokens that it read, and said.
    pub tokens: [usize; 2],
}

impl Worded {
    /// How many notes are in the head's words.
    pub fn worded(&self) -> usize {
        self.told.iter().filter(|told| told.is_none()).count()
    }
}

impl Wording<'_> {
    /// Tells the notes. Each sentence goes to `on_text` once it is whole and found borne out, or else the note. `bounds` are for
    /// all notes together; what they leave out is told as it is.
    ///
    /// # Errors
    /// The model fails. What was said before has been handed on.
    pub fn word(
        &self,
        generator: &mut Generator,
        bounds: &Bounds<'_>,
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Worded, InferError> {
        let start = bounds.clock.now();
        let mut done = Worded { text: String::new(), told: Vec::new(), raw: Vec::new(), tokens: [0; 2] };
        for (index, note) in self.notes.iter().enumerate() {
            let sentence = if index >= MOST_NOTES || note.len() > MOST_BYTES {
                Err(Fallback::Long)
            } else {
                let left = Bounds {
                    tokens: MOST_TOKENS.min(bounds.tokens.saturating_sub(done.tokens[1])),
                    time: Micros(bounds.time.0.saturating_sub(bounds.clock.now().since(start).0)),
                    ..*bounds
                };
                self.sentence(note, generator, &left, &mut done)?
            };
            let (said, told) = match &sentence {
                Ok(sentence) => (sentence.as_str(), None),
                Err(why) => (*note, Some(why.clone())),
            };
            if index > 0 {
                on_text(" ");
                done.text.push(' ');
            }
            on_text(said);
            done.text += said;
            done.told.push(told);
        }
        Ok(done)
    }

    /// The first sentence that the head makes of a note, if it is borne out.
    fn sentence(
        &self,
        note: &str,
        generator: &mut Generator,
        bounds: &Bounds<'_>,
        done: &mut Worded,
    ) -> Result<Result<String, Fallback>, InferError> {
        let mut turns = EXAMPLES.to_vec();
        turns.push(("user", note));
        let prompt = generator.chat(&turns);
        let mut end = None;
        let mut said = String::new();
        let generated = generator.generate(&prompt, None, bounds, &mut |text| {
            said += text;
            end = first_sentence(&said);
            if end.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        done.tokens[0] += generated.read;
        done.tokens[1] += generated.tokens;
        let whole = end.or((generated.end == End::Whole).then_some(said.len()));
        let sentence = whole.map(|end| said[..end].trim().to_owned());
        done.raw.push(said);
        let Some(sentence) = sentence else { return Ok(Err(Fallback::Unfinished(generated.end))) };
        let facts: Vec<&str> = std::iter::once(note).chain(self.facts.iter().copied()).collect();
        Ok(faithful(&sentence, &facts).map(|()| sentence).map_err(Fallback::from))
    }
}
