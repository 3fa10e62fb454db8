//! A sentence as pieces of words: BERT's uncased `WordPiece`, as the reference tokenizer of all-MiniLM-L6-v2 does it.
//!
//! Control characters go, white space and punctuation part words, ideographs are words of their own, accents and capitals are
//! left out; then each word is cut into the longest pieces that are known. What the tokenizer takes for its own marks when it is
//! written out (`[SEP]`) is text here.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Characters of the longest word that is cut; one beyond is unknown as a whole.
const MOST_CHARACTERS: usize = 100;

/// The known pieces, and their numbers.
#[derive(Debug)]
pub struct Pieces {
    /// One after the other; thirty thousand strings by themselves, in a map, take five times as much.
    list: String,
    /// Where each begins and ends, by its number.
    places: Vec<(u32, u32)>,
    /// Their numbers, by text.
    sorted: Vec<u32>,
    unknown: u32,
    start: u32,
    end: u32,
}

impl Pieces {
    /// One piece a line, numbered from 0; those that do not begin a word are written `##so`.
    pub fn new(list: &str) -> Result<Self, String> {
        let start = list.as_ptr().addr();
        let place = |piece: &str| {
            let first = piece.as_ptr().addr() - start;
            (first as u32, (first + piece.len()) as u32)
        };
        let places: Vec<(u32, u32)> = list.lines().map(place).collect();
        let sorted = (0..places.len() as u32).collect();
        let mut pieces = Self { list: list.to_owned(), places, sorted, unknown: 0, start: 0, end: 0 };
        let mut sorted = std::mem::take(&mut pieces.sorted);
        sorted.sort_unstable_by_key(|id| pieces.text(*id));
        if sorted.windows(2).any(|two| pieces.text(two[0]) == pieces.text(two[1])) {
            return Err("it has a piece twice".into());
        }
        pieces.sorted = sorted;
        let special = |name: &str| pieces.id(name).ok_or_else(|| format!("it has no piece {name}"));
        let (unknown, start, end) = (special("[UNK]")?, special("[CLS]")?, special("[SEP]")?);
        Ok(Self { unknown, start, end, ..pieces })
    }

    fn text(&self, id: u32) -> &str {
        let (first, end) = self.places[id as usize];
        &self.list[first as usize..end as usize]
    }

    fn id(&self, piece: &str) -> Option<u32> {
        self.sorted.binary_search_by_key(&piece, |id| self.text(*id)).ok().map(|at| self.sorted[at])
    }

    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Numbers of the pieces of a text, `most` at most with its two ends, and how many were left out.
    pub fn of(&self, text: &str, most: usize) -> (Vec<u32>, usize) {
        let mut pieces = vec![self.start];
        words(text).iter().for_each(|word| self.cut(word, &mut pieces));
        let left_out = (pieces.len() + 1).saturating_sub(most);
        pieces.truncate(most - 1);
        pieces.push(self.end);
        (pieces, left_out)
    }

    /// Adds the pieces of one word, longest first.
    fn cut(&self, word: &str, pieces: &mut Vec<u32>) {
        let before = pieces.len();
        let mut rest = word;
        if word.chars().nth(MOST_CHARACTERS).is_some() {
            pieces.push(self.unknown);
            return;
        }
        while !rest.is_empty() {
            let mark = if rest.len() == word.len() { "" } else { "##" };
            let mut ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
            let longest = ends.find_map(|end| Some((end, self.id(&format!("{mark}{}", &rest[..end]))?)));
            let Some((end, id)) = longest else {
                pieces.truncate(before);
                pieces.push(self.unknown);
                return;
            };
            pieces.push(id);
            rest = &rest[end..];
        }
    }
}

/// The words of a text, plain and small; a punctuation mark or ideograph is one of its own.
fn words(text: &str) -> Vec<String> {
    let spaced = text.chars().filter(|c| !is_left_out(*c)).flat_map(|c| {
        let around = is_ideograph(c).then_some(' ');
        around.into_iter().chain([c]).chain(around)
    });
    let plain = spaced.nfd().filter(|c| c.general_category() != GeneralCategory::NonspacingMark);
    let mut words = vec![String::new()];
    for c in plain.flat_map(char::to_lowercase) {
        let word = words.last_mut().expect("there is one from the start");
        if c.is_whitespace() {
            words.push(String::new());
        } else if is_punctuation(c) {
            words.extend([c.into(), String::new()]);
        } else {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_left_out(c: char) -> bool {
    let other = || {
        use GeneralCategory::{Control, Format, PrivateUse};
        matches!(c.general_category(), Control | Format | PrivateUse)
    };
    matches!(c, '\0' | '\u{fffd}') || !matches!(c, '\t' | '\n' | '\r') && other()
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || c.general_category_group() == GeneralCategoryGroup::Punctuation
}

/// The blocks that the reference takes for Chinese; kana and hangul are not among them.
fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}' | '\u{2a700}'..='\u{2b73f}'
        | '\u{2b740}'..='\u{2b81f}' | '\u{2b920}'..='\u{2ceaf}' | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Sentence {
        text: String,
        pieces: Vec<u32>,
    }

    /// Recorded by `tools/train/text.py` from the reference tokenizer.
    #[test]
    fn pieces_are_those_of_the_reference() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/minilm");
        let read = |file: &str| std::fs::read_to_string(folder.join(file)).expect("the encoder is whole");
        let pieces = Pieces::new(&read("pieces.txt")).expect("it is a list");
        let sentences = read("golden/sentences.jsonl");
        assert!(sentences.lines().count() >= 50);
        for line in sentences.lines() {
            let wanted: Sentence = serde_json::from_str(line).expect("JSON");
            let (found, left_out) = pieces.of(&wanted.text, 128);
            assert_eq!(found, wanted.pieces, "{}", wanted.text);
            assert!(left_out == 0 || found.len() == 128);
        }
    }

    #[test]
    fn words_are_plain_and_small_and_marks_stand_alone() {
        assert_eq!(words("Él\tdon't\u{200b} GO!"), ["el", "don", "'", "t", "go", "!"]);
        assert_eq!(words("猫跳 قطة"), ["猫", "跳", "قطة"]);
        assert!(words(" \u{7} ").is_empty());
    }

    #[test]
    fn the_longest_piece_comes_first_and_a_word_with_an_unknown_rest_is_unknown() {
        let list = "[UNK]\n[CLS]\n[SEP]\na\nab\n##c\n##cd\nb\n";
        let pieces = Pieces::new(list).expect("it is a list");
        assert_eq!(pieces.of("abcd", 9), (vec![1, 4, 6, 2], 0));
        assert_eq!(pieces.of("abce a", 9), (vec![1, 0, 3, 2], 0));
        assert_eq!(pieces.of("a b a b", 4), (vec![1, 3, 7, 2], 2));
        assert_eq!(pieces.of("", 4), (vec![1, 2], 0));
        assert_eq!(pieces.of(&"a".repeat(101), 4), (vec![1, 0, 2], 0));
        assert!(Pieces::new("[UNK]\n[CLS]\n").is_err_and(|why| why.contains("[SEP]")));
        assert!(Pieces::new(&format!("{list}b\n")).is_err_and(|why| why.contains("twice")));
    }
}
