//! What anybody may have said: how long it may be and of what, and how much it matters.

use ocelli_types::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest sentence, in bytes of UTF-8.
const MOST_TEXT_BYTES: usize = 400;

/// How much a sentence matters, as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SeverityName {
    /// Worth saying, no more.
    None,
    /// Good to know.
    #[default]
    Info,
    /// Wants a look.
    Notice,
    /// Wants help: raises an alert.
    Alarm,
}

impl From<SeverityName> for Severity {
    fn from(name: SeverityName) -> Self {
        match name {
            SeverityName::None => Self::None,
            SeverityName::Info => Self::Info,
            SeverityName::Notice => Self::Notice,
            SeverityName::Alarm => Self::Alarm,
        }
    }
}

impl From<Severity> for SeverityName {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::None => Self::None,
            Severity::Info => Self::Info,
            Severity::Notice => Self::Notice,
            Severity::Alarm => Self::Alarm,
        }
    }
}

/// What goes to terminals and displays must not steer them, nor turn round what others wrote beside it.
pub fn check_text(text: &str) -> Result<(), String> {
    let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.trim().is_empty() || text.trim() != text {
        return Err("it is empty, or has white space around it".into());
    }
    if text.chars().all(is_invisible) {
        return Err("it has nothing that can be seen".into());
    }
    if text.len() > MOST_TEXT_BYTES {
        return Err(format!("it has {} bytes; the most are {MOST_TEXT_BYTES}", text.len()));
    }
    if text.contains(steers) {
        return Err("it has characters that break lines or steer displays".into());
    }
    Ok(())
}

/// White space, blank Braille, and what Unicode lets displays leave out (`Default_Ignorable_Code_Point`).
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{2800}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_see_is_no_text() {
        for unseen in ["\u{200b}", "\u{2800}", "\u{feff}\u{200d}", "\u{ad}", "\u{e0041}", "\u{3164} \u{2060}"] {
            let why = check_text(unseen).expect_err("there is nothing to see");
            assert!(why.contains("nothing that can be seen"), "{unseen:?}: {why}");
        }
        for seen in ["\u{1f469}\u{200d}\u{1f680}", "a\u{200b}", "\u{5e7}\u{5d0}\u{5d8}", "."] {
            assert_eq!(check_text(seen), Ok(()), "{seen:?}");
        }
    }
}
