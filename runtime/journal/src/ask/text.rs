//! Words of a question.

/// Words in small letters, and commas; `8pm` is two, `p.m.` is one.
pub fn tokens(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace("p.m.", "pm").replace("a.m.", "am").replace(['’', '`'], "'");
    let mut tokens = Vec::new();
    for word in
        text.split(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '!' | '"' | ';' | '(' | ')'))
    {
        let mut rest = word.trim_start_matches(['.', '\'']);
        // `-5` is no 5.
        if !rest.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()) {
            rest = rest.trim_start_matches(['.', '\'', '-']);
        }
        let comma = rest.ends_with([',', ':']);
        rest = rest.trim_end_matches(['.', ',', '\'', ':']);
        let digits = rest.trim_end_matches("am").trim_end_matches("pm");
        if digits.len() < rest.len() && digits.starts_with(|c: char| c.is_ascii_digit()) {
            tokens.extend([digits.to_owned(), rest[digits.len()..].to_owned()]);
        } else if !rest.is_empty() {
            tokens.push(rest.to_owned());
        }
        if comma {
            tokens.push(",".into());
        }
    }
    tokens
}

/// Past tenses of what people do in a house, as far as they are irregular.
const IRREGULAR: [(&str, &str); 23] = [
    ("ate", "eat"),
    ("brought", "bring"),
    ("came", "com"),
    ("drank", "drink"),
    ("fell", "fall"),
    ("fallen", "fall"),
    ("gone", "go"),
    ("held", "hold"),
    ("knelt", "kneel"),
    ("lay", "lie"),
    ("lying", "lie"),
    ("left", "leav"),
    ("met", "meet"),
    ("ran", "run"),
    ("rose", "ris"),
    ("sat", "sit"),
    ("slept", "sleep"),
    ("stood", "stand"),
    ("threw", "throw"),
    ("took", "tak"),
    ("woke", "wak"),
    ("went", "go"),
    ("tv", "television"),
];

/// A word without its endings: enough for `falls`, `falling`, `fell` and `fall` to be the same. The rest is found by meaning.
pub fn stem(word: &str) -> &str {
    let word = word.strip_suffix("'s").unwrap_or(word);
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return stem;
    }
    for (ending, least) in [("ing", 3), ("ed", 3), ("s", 3)] {
        if let Some(stem) = word.strip_suffix(ending)
            && stem.chars().count() >= least
            && !(ending == "s" && stem.ends_with('s'))
        {
            // `sitting`: a doubled consonant is one.
            let doubled = stem.len() > 3
                && stem.as_bytes()[stem.len() - 1] == stem.as_bytes()[stem.len() - 2]
                && !stem.ends_with(['l', 's']);
            return bare(if doubled { &stem[..stem.len() - 1] } else { stem });
        }
    }
    bare(word)
}

fn bare(word: &str) -> &str {
    word.strip_suffix('e').filter(|stem| stem.len() >= 3).unwrap_or(word)
}

/// Who may be anyone.
pub const PERSON: [&str; 17] = [
    "someone",
    "somebody",
    "anyone",
    "anybody",
    "person",
    "persons",
    "people",
    "he",
    "she",
    "they",
    "man",
    "woman",
    "human",
    "visitor",
    "visitors",
    "everyone",
    "everybody",
];

/// Words that say nothing of what is asked about.
const EMPTY: [&str; 62] = [
    "a",
    "an",
    "the",
    "is",
    "are",
    "was",
    "were",
    "be",
    "been",
    "being",
    "did",
    "do",
    "does",
    "has",
    "have",
    "had",
    "it",
    "its",
    "that",
    "this",
    "there",
    "of",
    "to",
    "in",
    "at",
    "by",
    "with",
    "for",
    "from",
    "into",
    "and",
    "or",
    "my",
    "our",
    "their",
    "his",
    "her",
    "your",
    "get",
    "gets",
    "got",
    "go",
    "goes",
    "went",
    "going",
    "some",
    "any",
    "ever",
    "again",
    "about",
    "through",
    "round",
    "over",
    "while",
    "also",
    "one",
    "yet",
    "still",
    "just",
    "happen",
    "happened",
    "something",
];

/// Words by which one tells what is meant from what is not.
pub fn is_content(word: &str) -> bool {
    word != "," && !EMPTY.contains(&word) && !PERSON.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_falls_into_words() {
        assert_eq!(
            tokens("Did it RAIN at 8pm, or 9 p.m.?"),
            ["did", "it", "rain", "at", "8", "pm", ",", "or", "9", "pm"]
        );
        assert_eq!(tokens("-5 -- -so"), ["-5", "so"]);
        assert_eq!(tokens("  isn\u{2019}t it \"on\"?!  "), ["isn't", "it", "on"]);
        assert!(tokens("\u{0}?!. \n").is_empty());
        assert_eq!(tokens("Ist die Tür offen? 门开了吗"), ["ist", "die", "tür", "offen", "门开了吗"]);
    }

    #[test]
    fn forms_of_a_word_are_one() {
        for words in [
            &["fall", "falls", "falling", "fell", "fallen"][..],
            &["wave", "waves", "waved", "waving"],
            &["come", "comes", "coming", "came"],
            &["close", "closes", "closed"],
            &["sit", "sits", "sitting", "sat"],
            &["reach", "reaches", "reached"],
            &["lie", "lies", "lying"],
            &["leave", "leaves", "leaving", "left"],
        ] {
            assert!(words.iter().all(|word| stem(word) == stem(words[0])), "{words:?}");
        }
        assert_eq!((stem("glass"), stem("bed"), stem("us"), stem("is")), ("glass", "bed", "us", "is"));
    }
}
