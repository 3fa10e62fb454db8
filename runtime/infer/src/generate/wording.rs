//! An answer in words: what a template says, told by the head, as far as the events bear it out (after SiLVR, Zhang et al. 2025:
//! answers from stored narrations alone).

use std::ops::ControlFlow;

use super::faithful::{Unfaithful, faithful, first_sentence};
use super::{Bounds, End, Generator};
use crate::InferError;

/// Lines of events that the head gets to read, at most: the newest ones.
pub const MOST_EVENTS: usize = 24;

/// Bytes of a line or question that it gets to read.
const MOST_BYTES: usize = 400;

/// What the head is told to do. The example is what a small model follows.
const SYSTEM: &str = "You retell the notes of a home camera. Use only the words, names and times of the notes. Answer in one or two \
                      short sentences.";

/// A question, and all that may be said to it.
#[derive(Clone, Copy, Debug)]
pub struct Wording<'a> {
    /// What was asked. Nothing of it counts as known.
    pub question: &'a str,
    /// The answer of a template, which is said where the head's is not borne out.
    pub answer: &'a str,
    /// What happened, oldest first, a line each with its time: `18:30 hall: Someone falls.`
    pub events: &'a [&'a str],
}

/// Whose words were said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The head's, all of them checked.
    Head,
    /// The template's, for this reason; what of the head's had passed was said before.
    Template(Fallback),
}

/// Why the template was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fallback {
    /// There is nothing to word.
    #[error("there are no events")]
    NoEvents,
    /// What the head said is not what the events say.
    #[error(transparent)]
    Unfaithful(#[from] Unfaithful),
    /// It was not done in the tokens or the time that it had, or was cancelled.
    #[error("the head did not finish ({0:?})")]
    Unfinished(End),
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worded {
    /// All of it.
    pub text: String,
    /// Whose words.
    pub source: Source,
    /// What the head said, passed or not.
    pub raw: String,
    /// Tokens that it read, and said.
    pub tokens: [usize; 2],
}

impl Wording<'_> {
    /// Words the answer. Each sentence goes to `on_text` once it is whole and found borne out; then, where the rest is not, the
    /// template's answer.
    ///
    /// # Errors
    /// The model fails; say the template's answer then.
    pub fn word(
        &self,
        generator: &mut Generator,
        bounds: &Bounds<'_>,
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Worded, InferError> {
        if self.events.is_empty() {
            on_text(self.answer);
            let source = Source::Template(Fallback::NoEvents);
            return Ok(Worded { text: self.answer.into(), source, raw: String::new(), tokens: [0; 2] });
        }
        let facts: Vec<&str> = self.events.iter().copied().chain([self.answer]).collect();
        let prompt = generator.chat(SYSTEM, &self.prompt());
        let (mut said, mut open, mut found) = (String::new(), String::new(), Ok(()));
        let mut say = |text: &str| {
            if !said.is_empty() {
                said.push(' ');
                on_text(" ");
            }
            said += text;
            on_text(text);
        };
        let mut check = |open: &mut String, end: usize| {
            let sentence: String = open.drain(..end).collect();
            match (sentence.trim(), faithful(&sentence, &facts)) {
                ("", _) => Ok(()),
                (sentence, Ok(())) => {
                    say(sentence);
                    Ok(())
                }
                (_, Err(error)) => Err(error),
            }
        };
        let generated = generator.generate(&prompt, None, bounds, &mut |text| {
            open += text;
            while let Some(end) = first_sentence(&open) {
                if let Err(error) = check(&mut open, end) {
                    found = Err(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        let outcome = match (found, generated.end) {
            (Err(error), _) => Err(error.into()),
            (Ok(()), End::Whole) => {
                let end = open.len();
                check(&mut open, end).map_err(Fallback::from)
            }
            (Ok(()), end) => Err(Fallback::Unfinished(end)),
        };
        let outcome = outcome.and_then(|()| if said_nothing(&said) { Err(Unfaithful::Empty.into()) } else { Ok(()) });
        let source = match outcome {
            Ok(()) => Source::Head,
            Err(why) => {
                let space = if said.is_empty() { "" } else { " " };
                on_text(space);
                on_text(self.answer);
                said = said + space + self.answer;
                Source::Template(why)
            }
        };
        Ok(Worded { text: said, source, raw: generated.text, tokens: [generated.read, generated.tokens] })
    }

    /// What the head reads.
    pub fn prompt(&self) -> String {
        let mut prompt = String::from("Notes:\n");
        for event in &self.events[self.events.len().saturating_sub(MOST_EVENTS)..] {
            prompt += cut(event);
            prompt.push('\n');
        }
        prompt + "Question: " + cut(self.question)
    }
}

fn said_nothing(said: &str) -> bool {
    said.trim().is_empty()
}

/// The first bytes, whole characters, in one line.
fn cut(text: &str) -> &str {
    let line = text.lines().next().unwrap_or("");
    &line[..line.floor_char_boundary(MOST_BYTES)]
}
