//! Text as tokens and back: byte-level BPE (Sennrich et al. 2016; Radford et al. 2019), as SmolLM2 does it.
//!
//! Every digit stands alone; the rest is cut by GPT-2's rule into words with the space before them, marks and spaces. In each of
//! those bytes are joined, the pair that was learnt first before all others. What a text writes like a mark of the model
//! (`<|im_end|>`) is text.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// The tokens of a model, and which of them join.
#[derive(Debug)]
pub struct Tokenizer {
    /// Bytes of all tokens one after the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<u32>,
    /// Bytes that were rare when the model learnt have no token, and are left out as by those who made it.
    of_byte: [Option<u32>; 256],
    /// Two tokens, the rank of their joining, and what they become; in order of the two.
    joins: Vec<Join>,
}

#[derive(Clone, Copy, Debug)]
struct Join {
    pair: (u32, u32),
    rank: u32,
    whole: u32,
}

impl Tokenizer {
    /// Tokens, one a line and numbered from 0, and joins, two tokens a line and in order of rank; bytes are written as GPT-2
    /// writes them. The first `special` tokens are marks, which stand for no text.
    ///
    /// # Errors
    /// The lists do not go together; in words for whoever made them.
    pub fn new(tokens: &str, joins: &str, special: usize) -> Result<Self, String> {
        let letters = alphabet();
        let byte_of: HashMap<char, u8> = (0..=255).zip(letters).map(|(byte, letter)| (letter, byte)).collect();
        let ids: HashMap<&str, u32> = tokens.lines().zip(0..).collect();
        if ids.len() != tokens.lines().count() {
            return Err("it has a token twice".into());
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (id, token) in tokens.lines().enumerate() {
            if id >= special {
                for letter in token.chars() {
                    let byte = byte_of.get(&letter).ok_or_else(|| format!("token {id} is not written as bytes"))?;
                    bytes.push(*byte);
                }
            }
            ends.push(bytes.len() as u32);
        }
        let id = |text: &str| ids.get(text).copied().ok_or_else(|| format!("it has no token `{text}`"));
        let of_byte = letters.map(|letter| ids.get(&*letter.encode_utf8(&mut [0; 4])).copied());
        let mut found = Vec::new();
        for (line, rank) in joins.lines().zip(0..) {
            let (left, right) = line.split_once(' ').ok_or_else(|| format!("join {rank} is not of two tokens"))?;
            found.push(Join { pair: (id(left)?, id(right)?), rank, whole: id(&format!("{left}{right}"))? });
        }
        found.sort_unstable_by_key(|join| (join.pair, join.rank));
        Ok(Self { bytes, ends, of_byte, joins: found })
    }

    /// How many tokens there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of a token; none of a mark, and of one that there is not.
    pub fn bytes(&self, token: u32) -> &[u8] {
        let at = token as usize;
        let start = if at == 0 { 0 } else { self.ends.get(at - 1).copied().unwrap_or(0) };
        self.ends.get(at).map_or(&[], |end| &self.bytes[start as usize..*end as usize])
    }

    /// Adds the tokens of a text.
    pub fn encode(&self, text: &str, to: &mut Vec<u32>) {
        let mut rest = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| c.is_numeric()) {
            self.words(&text[rest..at], to);
            rest = at + c.len_utf8();
            self.join(&text.as_bytes()[at..rest], to);
        }
        self.words(&text[rest..], to);
    }

    fn words(&self, text: &str, to: &mut Vec<u32>) {
        let mut start = 0;
        while start < text.len() {
            let end = start + first_word(&text[start..]);
            self.join(&text.as_bytes()[start..end], to);
            start = end;
        }
    }

    fn join_of(&self, left: u32, right: u32) -> Option<Join> {
        let at = self.joins.partition_point(|join| join.pair < (left, right));
        self.joins.get(at).copied().filter(|join| join.pair == (left, right))
    }

    /// Joins the bytes of a word. A queue of pairs, so that a word without end costs little more than its length.
    fn join(&self, word: &[u8], to: &mut Vec<u32>) {
        let known = word.iter().filter_map(|byte| self.of_byte[usize::from(*byte)]);
        let mut parts: Vec<Option<u32>> = known.map(Some).collect();
        // Neighbours of each part that is left.
        let mut before: Vec<usize> = (0..parts.len()).map(|at| at.wrapping_sub(1)).collect();
        let mut after: Vec<usize> = (1..=parts.len()).collect();
        let mut queue = BinaryHeap::new();
        let offer = |queue: &mut BinaryHeap<_>, parts: &[Option<u32>], left: usize, right: usize| {
            if let (Some(Some(a)), Some(Some(b))) = (parts.get(left), parts.get(right)) {
                queue.extend(self.join_of(*a, *b).map(|join| Reverse((join.rank, left, right, join.pair))));
            }
        };
        for right in 1..parts.len() {
            offer(&mut queue, &parts, right - 1, right);
        }
        while let Some(Reverse((_, left, right, pair))) = queue.pop() {
            let is_there = after[left] == right && (parts[left], parts[right]) == (Some(pair.0), Some(pair.1));
            let Some(join) = self.join_of(pair.0, pair.1).filter(|_| is_there) else { continue };
            (parts[left], parts[right]) = (Some(join.whole), None);
            let next = after[right];
            after[left] = next;
            if next < parts.len() {
                before[next] = left;
            }
            offer(&mut queue, &parts, before[left], left);
            offer(&mut queue, &parts, left, next);
        }
        to.extend(parts.into_iter().flatten());
    }
}

/// The letter that stands for each byte: itself where it can be printed, else one from 256 on.
fn alphabet() -> [char; 256] {
    let mut next = 256;
    std::array::from_fn(|byte| {
        let shown = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let letter = if shown { byte as u32 } else { next };
        next += u32::from(!shown);
        char::from_u32(letter).expect("these are letters")
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Letter,
    Space,
    Mark,
}

fn class(c: char) -> Class {
    if c.is_whitespace() {
        Class::Space
    } else if c.general_category_group() == GeneralCategoryGroup::Letter {
        Class::Letter
    } else {
        Class::Mark
    }
}

/// Bytes of the first word: `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, numbers being cut out before.
fn first_word(text: &str) -> usize {
    if let Some(rest) = text.strip_prefix('\'') {
        let found = ["s", "t", "re", "ve", "m", "ll", "d"].iter().find(|end| rest.starts_with(**end));
        if let Some(end) = found {
            return 1 + end.len();
        }
    }
    let run = |text: &str, of: Class| -> Range<usize> {
        0..text.char_indices().find(|(_, c)| class(*c) != of).map_or(text.len(), |(at, _)| at)
    };
    let spaced = usize::from(text.starts_with(' '));
    if let Some(kind) = text[spaced..].chars().next().map(class).filter(|kind| *kind != Class::Space) {
        return spaced + run(&text[spaced..], kind).end;
    }
    let spaces = run(text, Class::Space).end;
    // The last of several spaces belongs to what follows.
    let last = text[..spaces].char_indices().next_back().map_or(0, |(at, _)| at);
    if spaces < text.len() && last > 0 { last } else { spaces }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The bytes, and some joins.
    pub fn small() -> Tokenizer {
        let mut tokens: Vec<String> = vec!["<end>".into()];
        tokens.extend(alphabet().iter().map(char::to_string));
        let joins = ["t h", "Ġ th", "th e", "Ġth e", "i n", "a a", "aa aa"];
        tokens.extend(joins.iter().map(|join| join.replace(' ', "")));
        Tokenizer::new(&tokens.join("\n"), &joins.join("\n"), 1).expect("it is a list")
    }

    fn words(text: &str) -> Vec<&str> {
        let (mut rest, mut words) = (text, Vec::new());
        while !rest.is_empty() {
            let word;
            (word, rest) = rest.split_at(first_word(rest));
            words.push(word);
        }
        words
    }

    #[test]
    fn words_are_those_of_gpt_2() {
        assert_eq!(words("Hello  world, it's"), ["Hello", " ", " world", ",", " it", "'s"]);
        assert_eq!(words("a\n\n b \t"), ["a", "\n\n", " b", " \t"]);
        assert_eq!(words("'tis ''ll"), ["'t", "is", " ''", "ll"]);
        assert_eq!(words("猫が 跳ぶ。قطة"), ["猫が", " 跳ぶ", "。", "قطة"]);
        assert_eq!(words("\n\nx"), ["\n", "\n", "x"]);
    }

    #[test]
    fn what_was_learnt_first_joins_first_and_bytes_come_back() {
        let tokenizer = small();
        let encode = |text: &str| {
            let mut tokens = Vec::new();
            tokenizer.encode(text, &mut tokens);
            tokens
        };
        let shown = |text: &str| {
            let tokens = encode(text);
            let texts = tokens.iter().map(|token| String::from_utf8_lossy(tokenizer.bytes(*token)).into_owned());
            texts.collect::<Vec<_>>().join("|")
        };
        assert_eq!(shown("the the tin"), "the| the| |t|in");
        assert_eq!(shown("aaaaaaa"), "aaaa|aa|a");
        for text in ["", "<end>", "naïve 12:30", "猫 🙂\u{0}\u{fffd}", &"a".repeat(50_000), "  \u{3000} x"] {
            let bytes: Vec<u8> = encode(text).iter().flat_map(|token| tokenizer.bytes(*token)).copied().collect();
            assert_eq!(String::from_utf8(bytes).as_deref(), Ok(text));
        }
        assert!(tokenizer.bytes(0).is_empty() && tokenizer.bytes(9999).is_empty());
    }

    #[test]
    fn damaged_lists_are_refused() {
        let error = |tokens: &str, joins: &str| Tokenizer::new(tokens, joins, 0).expect_err("it is damaged");
        assert!(error("a\na", "").contains("twice"));
        assert!(error("a b", "").contains("not written as bytes"));
        let all: Vec<String> = alphabet().iter().map(char::to_string).collect();
        assert!(error(&all.join("\n"), "ab").contains("two tokens"));
        assert!(error(&all.join("\n"), "a b").contains("no token `ab`"));
    }

    #[test]
    fn a_byte_that_has_no_token_is_left_out() {
        let tokenizer = Tokenizer::new("a\nb\nab", "a b", 0).expect("it is a list");
        let mut tokens = Vec::new();
        tokenizer.encode("acb\u{4}", &mut tokens);
        assert_eq!(tokens, [2]);
    }
}
