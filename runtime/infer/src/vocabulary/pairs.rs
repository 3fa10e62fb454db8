//! Narration pair encoding (VLog, section 3.2): of many sentences those that go on where another ends are kept as that one and
//! what they add. The prefixes are the sentences that go on with nothing, the postfixes what the others add, each once.
//!
//! *Someone picks up a cup.* is a prefix; *Someone picks up a cup from the table.* is that and *from the table.*, which many
//! share. A sentence goes on with another where it begins with its words; the stop at the end of those is the other's postfix.

use std::cmp::Ordering;
use std::collections::HashMap;

/// What ends a sentence and no word.
const STOPS: [char; 3] = ['.', '!', '?'];

/// Texts, one behind the other: 4 GiB at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    all: String,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Texts {
    /// Adds one behind the others.
    pub fn push(&mut self, text: &str) {
        self.all.push_str(text);
        self.ends.push(self.all.len() as u32);
    }

    /// The one of this number.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start as usize..self.ends[index] as usize]
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all of them.
    pub const fn text_bytes(&self) -> usize {
        self.all.len()
    }

    /// The number of this one, where they are sorted.
    fn find_sorted(&self, text: &str) -> Option<usize> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match self.get(middle).cmp(text) {
                Ordering::Equal => return Some(middle),
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
            }
        }
        None
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
    /// `texts` of the sentence `i`. Sorts and looks up by halves: beside its answer it holds twelve bytes a sentence and the
    /// postfixes.
    pub fn new(texts: &Texts) -> (Self, Vec<u32>) {
        let mut order: Vec<u32> = (0..texts.len() as u32).collect();
        let stem_of = |index: u32| stem(texts.get(index as usize));
        order.sort_unstable_by(|&a, &b| stem_of(a).cmp(stem_of(b)));
        let is_stem = |text: &str| order.binary_search_by(|&index| stem_of(index).cmp(text)).is_ok();
        // The shortest sentence that a text goes on with goes on with nothing itself.
        let prefix = |text: &str| ends(text).find(|&at| is_stem(&text[..at])).unwrap_or(stem(text).len()) as u32;
        let lengths: Vec<u32> = (0..texts.len()).map(|index| prefix(texts.get(index))).collect();
        let prefix_of = |index: u32| &texts.get(index as usize)[..lengths[index as usize] as usize];
        order.sort_unstable_by(|&a, &b| prefix_of(a).cmp(prefix_of(b)).then(a.cmp(&b)));
        let mut pairs = Self::default();
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        for (sentence, &index) in order.iter().enumerate() {
            let prefix = prefix_of(index);
            if sentence == 0 || prefix_of(order[sentence - 1]) != prefix {
                pairs.firsts.push(sentence as u32);
                pairs.prefixes.push(prefix);
            }
            let postfix = &texts.get(index as usize)[prefix.len()..];
            let number = *numbers.entry(postfix).or_insert_with(|| {
                pairs.postfixes.push(postfix);
                pairs.postfixes.len() as u32 - 1
            });
            pairs.postfix.push(number);
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
        (self.prefixes.len(), self.postfixes.len())
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

    /// The number of this sentence.
    pub fn find(&self, text: &str) -> Option<usize> {
        ends(text).chain([text.len(), 0]).find_map(|at| {
            let (prefix, postfix) = text.split_at(at);
            let found = self.prefixes.find_sorted(prefix)?;
            self.of_prefix(found).find(|&sentence| self.postfixes.get(self.postfix[sentence] as usize) == postfix)
        })
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.prefixes.bytes() + self.postfixes.bytes() + (self.firsts.len() + self.postfix.len()) * size_of::<u32>()
    }
}

fn stem(text: &str) -> &str {
    text.trim_end_matches(STOPS)
}

/// Where words of a text end, but for its own end.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().skip(1).map(|(at, _)| at).filter(|&at| is_end(text, at))
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

    fn texts(all: &[&str]) -> Texts {
        let mut texts = Texts::default();
        all.iter().for_each(|text| texts.push(text));
        texts
    }

    #[test]
    fn sentences_become_prefixes_and_postfixes_and_come_back() {
        let (pairs, order) = Pairs::new(&texts(&TEXTS));
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
        for all in
            [&[][..], &["x"], &["."], &["a", "a.", "a. b", "a b", "a b c.", "a-b", "ab"], &["é", "é e", "e\u{301}"]]
        {
            let (pairs, order) = Pairs::new(&texts(all));
            assert_eq!(
                (decoded(&pairs, &order, all.len()), pairs.is_empty()),
                (all.iter().map(ToString::to_string).collect(), all.is_empty())
            );
            for (sentence, index) in order.iter().enumerate() {
                assert_eq!(pairs.find(all[*index as usize]), Some(sentence));
            }
            assert_eq!((pairs.find(""), pairs.find("a b c d")), (None, None));
        }
    }
}
