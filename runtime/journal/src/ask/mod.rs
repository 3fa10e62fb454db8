//! Questions about the past, answered by rules from what was told, and the digest of a day.
//!
//! ```text
//! question -> words -> time (when.rs) -> form and phrases (question.rs) -> what is meant (subject.rs) -> search -> answer
//! ```
//!
//! No language model is asked: an answer is a template with a time, a count or a length that was counted in the journal, and the ids of
//! the events that it rests on. What is not known is not answered: a thing that no sentence is like, a time before the journal, a
//! camera that was blind. Where nobody looked for a part of the time, the answer says so.
//!
//! Time, the time zone and the text encoder come in from outside ([`Asker`], [`Meaning`]), so that one answer is always the same.

mod answer;
mod chapters;
mod question;
mod subject;
mod text;
mod timeline;
mod when;

pub use answer::{Answer, Asker, Value};
pub use chapters::{Chapter, Digest, MOST_CHAPTERS};
pub use question::Form;
pub use subject::{Meaning, Sentence};
pub use timeline::Gap;
pub use when::Period;
