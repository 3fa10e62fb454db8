//! Narration pair encoding (VLog, section 3.2): of many sentences those that go on where another ends are kept as that one and
//! what they add. The prefixes are the sentences that go on with nothing, the postfixes what the others add, each once.
//!
//! *Someone picks up a cup.* is a prefix; *Someone picks up a cup from the table.* is that and *from the table.*, which many
//! share. A sentence goes on with another where it begins with its words; the stop at the end of those is the other's postfix.

use std::collections::{HashMap, HashSet};

/// What ends a sentence and no word.
const STOPS: [char; 3] = ['.', '!', '?'];

/// Texts, one behind the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Texts {
    all: String,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.all.push_str(text);
        self.ends.push(self.all.len() as u32);
    }

    fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start as usize..self.ends[index] as usize]
    }

    fn bytes(&self) -> usize {
        self.all.len() + self.ends.len() * size_of::<u32>()
    }
}

/// Sentences as pairs of a prefix and a postfix, those of a prefix side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    prefixes: Texts,
    postfixes: Texts,
    /// The first sentence of each prefix, and behind the last the number of sentences, `[prefixes + 1]`.
    firsts: Vec<u32>,
    /// Postfix of each sentence, `[sentences]`.
    postfix: Vec<u32>,
}

impl Pairs {
    /// Encodes sentences, of which each is there once. Also gives where each of them came to lie: `order[i]` is the index in
    /// `texts` of the sentence `i`.
    ///
    /// # Panics
    /// If the texts have more than 4 GiB.
    pub fn new<T: AsRef<str>>(texts: &[T]) -> (Self, Vec<u32>) {
        assert!(texts.iter().map(|text| text.as_ref().len()).sum::<usize>() < u32::MAX as usize, "too many texts");
        let stems: HashSet<&str> = texts.iter().map(|text| stem(text.as_ref())).collect();
        // The shortest sentence that a text goes on with goes on with nothing itself.
        let prefix = |text: &'_ str| {
            let ends = text
                .char_indices()
                .skip(1)
                .map(|(at, _)| at)
                .find(|&at| is_end(text, at) && stems.contains(&text[..at]));
            ends.unwrap_or(stem(text).len())
        };
        let mut of_prefix: HashMap<&str, Vec<u32>> = HashMap::new();
        for (index, text) in texts.iter().enumerate() {
            let text = text.as_ref();
            of_prefix.entry(&text[..prefix(text)]).or_default().push(index as u32);
        }
        let mut sorted: Vec<(&str, Vec<u32>)> = of_prefix.into_iter().collect();
        sorted.sort_unstable();
        let (mut pairs, mut order) = (Self::default(), Vec::with_capacity(texts.len()));
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        for (prefix, indices) in sorted {
            pairs.firsts.push(order.len() as u32);
            pairs.prefixes.push(prefix);
            for index in indices {
                let postfix = &texts[index as usize].as_ref()[prefix.len()..];
                let number = *numbers.entry(postfix).or_insert_with(|| {
                    pairs.postfixes.push(postfix);
                    pairs.postfixes.ends.len() as u32 - 1
                });
                pairs.postfix.push(number);
                order.push(index);
            }
        }
        pairs.firsts.push(order.len() as u32);
        (pairs, order)
    }

    /// How many sentences.
    pub const fn len(&self) -> usize {
        self.postfix.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.postfix.is_empty()
    }

    /// How many prefixes and postfixes.
    pub const fn counts(&self) -> (usize, usize) {
        (self.prefixes.ends.len(), self.postfixes.ends.len())
    }

    /// The sentences of a prefix.
    pub fn of_prefix(&self, prefix: usize) -> std::ops::Range<usize> {
        self.firsts[prefix] as usize..self.firsts[prefix + 1] as usize
    }

    /// The sentence of this number.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, sentence: usize) -> String {
        let prefix = self.firsts.partition_point(|first| *first as usize <= sentence) - 1;
        [self.prefixes.get(prefix), self.postfixes.get(self.postfix[sentence] as usize)].concat()
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.prefixes.bytes() + self.postfixes.bytes() + (self.firsts.len() + self.postfix.len()) * size_of::<u32>()
    }
}

fn stem(text: &str) -> &str {
    text.trim_end_matches(STOPS)
}

/// Whether a word ends here: of what is written without spaces each character is one.
fn is_end(text: &str, at: usize) -> bool {
    let [before, after] = [text[..at].chars().next_back(), text[at..].chars().next()];
    let joins = |c: char| c.is_alphanumeric() && (c as u32) < 0x0e00 || c == '\'' || c == '-';
    !(before.is_some_and(joins) && after.is_some_and(joins))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 9] = [
        "Someone picks up a cup.",
        "Someone picks up a cup from the table.",
        "Someone picks up a book from the table.",
        "Someone picks up a book.",
        "Someone picks up a bookcase.",
        "有人摔倒了。",
        "有人摔倒了。在门口",
        "شخص يقف",
        "شخص يقف أمام الباب",
    ];

    fn decoded(pairs: &Pairs, order: &[u32], count: usize) -> Vec<String> {
        let mut texts = vec![String::new(); count];
        for (sentence, index) in order.iter().enumerate() {
            texts[*index as usize] = pairs.get(sentence);
        }
        texts
    }

    #[test]
    fn sentences_become_prefixes_and_postfixes_and_come_back() {
        let (pairs, order) = Pairs::new(&TEXTS);
        assert_eq!(decoded(&pairs, &order, TEXTS.len()), TEXTS);
        let prefixes: Vec<&str> = (0..pairs.counts().0).map(|index| pairs.prefixes.get(index)).collect();
        let wanted = [
            "Someone picks up a book",
            "Someone picks up a bookcase",
            "Someone picks up a cup",
            "شخص يقف",
            "有人摔倒了。",
        ];
        assert_eq!(prefixes, wanted);
        // "from the table." is there once, a stop and nothing too.
        assert_eq!(pairs.counts(), (5, 5));
        assert_eq!(pairs.of_prefix(0).map(|sentence| pairs.get(sentence)).collect::<Vec<_>>().len(), 2);
    }

    #[test]
    fn none_and_one_and_odd_ones_come_back() {
        for texts in
            [&[][..], &["x"], &["."], &["a", "a.", "a. b", "a b", "a b c.", "a-b", "ab"], &["é", "é e", "e\u{301}"]]
        {
            let (pairs, order) = Pairs::new(texts);
            assert_eq!(
                (decoded(&pairs, &order, texts.len()), pairs.is_empty()),
                (texts.iter().map(ToString::to_string).collect(), texts.is_empty())
            );
        }
    }
}
