//! Whether a text states only what the facts say.
//!
//! Each clause of the text must be covered by one line of the facts: every name and other word that means something, every
//! number and every time. A small model swaps who did what and when; that every word occurs somewhere would not show it. Nor would
//! it show that the cup is on the table and not under it: a preposition or a denial must stand before what it stands before in the
//! line, what the line has behind one may not be said without, and all else comes in the line's order, for who chases whom. What
//! cannot be checked is refused: pronouns, and words of order and quantity that the line does not have.

use std::collections::{BTreeMap, BTreeSet};

/// What a text states beyond the facts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfaithful {
    /// It states nothing.
    #[error("nothing was said")]
    Empty,
    /// One of its clauses is not what any line says.
    #[error("no event says `{clause}`{}", word.as_ref().map(|word| format!(": none has `{word}`")).unwrap_or_default())]
    Clause {
        /// The clause.
        clause: String,
        /// A word, number or time of it that is in no line, if that is why.
        word: Option<String>,
    },
}

/// Whether each clause of `text` is covered by one of the `facts`, a line each.
///
/// # Errors
/// What is not.
pub fn faithful(text: &str, facts: &[&str]) -> Result<(), Unfaithful> {
    let lines: Vec<Line> = facts.iter().map(|fact| Line::read(fact)).collect();
    let mut said = false;
    for sentence in sentences(text) {
        let terms = terms(sentence);
        let clauses = clauses(&terms);
        let times: BTreeSet<&Stated> =
            terms.iter().map(|term| &term.stated).filter(|stated| stated.is_time()).collect();
        let denied = counted(terms.iter().filter(|term| term.stated.denies()).map(|term| term.stated.clone()));
        for clause in clauses {
            let related = relations(clause);
            let wanted: Vec<&Term> = clause.iter().filter(|term| !term.stated.is_neutral()).collect();
            said |= !wanted.is_empty();
            let has_time = wanted.iter().any(|term| term.stated.is_time());
            // A clause without a time happened at those of its sentence.
            let in_time =
                |line: &Line| has_time || times.is_empty() || times.iter().any(|time| line.counts.contains_key(time));
            let counts = counted(wanted.iter().map(|term| term.stated.clone()));
            // Nor more often: `someone points to someone` is more than that someone points.
            let covers = |line: &Line| line.counts.contain(&counts);
            let acts = camera_acts(clause, &related);
            // Nor without what denies it.
            let relates = |line: &Line| {
                denied.contain(&line.denials())
                    && line.relates(&related, &counts)
                    && line.orders(&wanted, &related)
                    && (line.camera_acts || !acts)
            };
            if !lines.iter().any(|line| in_time(line) && covers(line) && relates(line)) {
                let nowhere =
                    wanted.iter().find(|term| !lines.iter().any(|line| line.counts.contains_key(&term.stated)));
                let word = nowhere.map(|term| term.text.clone());
                let clause: Vec<&str> =
                    clause.iter().map(|term| term.text.as_str()).filter(|text| !text.is_empty()).collect();
                return Err(Unfaithful::Clause { clause: clause.join(" "), word });
            }
        }
    }
    if said { Ok(()) } else { Err(Unfaithful::Empty) }
}

/// Sentences of a text; a point within a number ends none.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let sentence;
        (sentence, rest) = rest.split_at(first_sentence(rest).unwrap_or(rest.len()));
        (!sentence.is_empty()).then_some(sentence)
    })
    .map(str::trim)
    .filter(|sentence| !sentence.is_empty())
}

/// Where the first sentence ends, if it does.
pub(super) fn first_sentence(text: &str) -> Option<usize> {
    let mut letters = text.char_indices().peekable();
    while let Some((at, c)) = letters.next() {
        let is_end = match c {
            '\n' | '。' | '！' | '？' => true,
            '.' | '!' | '?' => letters.peek().is_some_and(|(_, next)| next.is_whitespace()),
            _ => false,
        };
        if is_end {
            return Some(at + c.len_utf8());
        }
    }
    None
}

/// What a term states.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stated {
    /// Seconds of the day; without them of a minute.
    Time(u32, Option<u32>),
    /// As it is written, without zeros that mean nothing.
    Number(String),
    /// Its stem.
    Word(String),
    /// A word with which every line may be told, or a mark: it says nothing of what happened.
    Neutral,
}

impl Stated {
    const fn is_time(&self) -> bool {
        matches!(self, Self::Time(..))
    }

    const fn is_neutral(&self) -> bool {
        matches!(self, Self::Neutral)
    }

    fn denies(&self) -> bool {
        matches!(self, Self::Word(word) if word.starts_with(DENIES))
    }
}

/// A term of a text.
#[derive(Clone, Debug)]
struct Term {
    text: String,
    stated: Stated,
}

/// Words with which every line may be told.
const NEUTRAL: [&str; 40] = [
    "a", "an", "the", "is", "are", "was", "were", "be", "been", "being", "has", "have", "had", "at", "in", "on",
    "into", "of", "to", "from", "by", "with", "and", "as", "that", "there", "this", "which", "who", "event", "events",
    "note", "notes", "camera", "saw", "see", "sees", "seen", "time", "it's",
];

/// What a camera does, of itself.
const SEES: [&str; 4] = ["saw", "see", "sees", "seen"];

/// Words that deny, which no stem of another word may equal.
const DENIAL: [&str; 10] = ["not", "no", "nor", "never", "none", "nobody", "nothing", "nowhere", "without", "neither"];

/// With what the stem of a word that denies begins.
const DENIES: &str = "not: ";

/// Prepositions: how what stands behind them is to the rest. Some of them are neutral as words.
const PREPOSITIONS: [&str; 31] = [
    "at", "in", "into", "on", "onto", "of", "to", "from", "by", "with", "under", "over", "above", "below", "behind",
    "beside", "beneath", "between", "near", "through", "across", "against", "around", "towards", "toward", "before",
    "after", "inside", "outside", "along", "past",
];

/// The relation of a denial.
const DENIAL_RELATION: &str = "not";

/// Words with which something to be named begins.
const DETERMINERS: [&str; 11] = ["a", "an", "the", "this", "that", "their", "his", "her", "its", "some", "any"];

/// Stems of verbs whose past is not made by an ending.
const IRREGULAR: [(&str, &str); 25] = [
    ("does", "do"),
    ("did", "do"),
    ("done", "do"),
    ("fell", "fall"),
    ("fallen", "fall"),
    ("sat", "sit"),
    ("lay", "lie"),
    ("lying", "lie"),
    ("lain", "lie"),
    ("stood", "stand"),
    ("went", "go"),
    ("gone", "go"),
    ("goes", "go"),
    ("came", "come"),
    ("left", "leave"),
    ("ran", "run"),
    ("ate", "eat"),
    ("eaten", "eat"),
    ("drank", "drink"),
    ("got", "get"),
    ("took", "take"),
    ("taken", "take"),
    ("rose", "rise"),
    ("slept", "sleep"),
    ("held", "hold"),
];

/// Numbers that are written as words.
const NUMBERS: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// How often each is stated.
#[derive(Clone, Debug, Default)]
struct Counts(BTreeMap<Stated, usize>);

impl Counts {
    fn contains_key(&self, stated: &Stated) -> bool {
        self.0.contains_key(stated)
    }

    /// Whether all that is stated in `other` is here, as often.
    fn contain(&self, other: &Self) -> bool {
        other.0.iter().all(|(stated, count)| self.0.get(stated).is_some_and(|has| has >= count))
    }
}

fn counted(stated: impl Iterator<Item = Stated>) -> Counts {
    let mut counts = Counts::default();
    stated.for_each(|stated| *counts.0.entry(stated).or_default() += 1);
    counts
}

/// A preposition or a denial, and what stands behind it.
#[derive(Clone, Debug)]
struct Relation {
    how: &'static str,
    time: Option<Stated>,
    /// Up to where something else begins; empty where the preposition belongs to its verb (`walks in`).
    words: Vec<Stated>,
}

impl Relation {
    /// Whether this one bears another out: what goes into something is in it.
    fn bears(&self, other: &Self) -> bool {
        self.how == other.how || (self.how, other.how) == ("into", "in")
    }

    fn begins_with(&self, stated: &Stated) -> bool {
        self.words.first() == Some(stated)
    }
}

fn relation(term: &Term) -> Option<&'static str> {
    if term.stated.denies() {
        return Some(DENIAL_RELATION);
    }
    PREPOSITIONS.into_iter().find(|how| how.eq_ignore_ascii_case(&term.text))
}

/// The relations of a clause.
fn relations(terms: &[Term]) -> Vec<Relation> {
    let of = |(at, term): (usize, &Term)| {
        let how = relation(term)?;
        let (mut time, mut words) = (None, Vec::new());
        for term in &terms[at + 1..] {
            let small = term.text.to_lowercase();
            let person = matches!(small.as_str(), "someone" | "somebody");
            if words.is_empty() && DETERMINERS.contains(&small.as_str()) {
                continue;
            }
            if words.is_empty() && term.stated.is_time() {
                time = Some(term.stated.clone());
            }
            // Of which camera something is told is no word of it, and still stands behind a preposition.
            let stated = if small == "camera" { Stated::Word(small) } else { term.stated.clone() };
            let is_other = stated.is_neutral() || stated.is_time() || relation(term).is_some();
            if is_other || !words.is_empty() && (person || DETERMINERS.contains(&term.text.to_lowercase().as_str())) {
                break;
            }
            words.push(stated);
        }
        Some(Relation { how, time, words })
    };
    terms.iter().enumerate().filter_map(of).collect()
}

/// Whether a clause says of the camera that it does something, and not that it sees or that something is on it.
fn camera_acts(clause: &[Term], related: &[Relation]) -> bool {
    let has = |words: &[&str]| clause.iter().any(|term| words.contains(&&*term.text.to_lowercase()));
    let camera = Stated::Word("camera".into());
    has(&["camera"]) && !has(&SEES) && !related.iter().any(|relation| relation.words.contains(&camera))
}

/// What a line of the facts has.
#[derive(Debug)]
struct Line {
    /// A time with seconds is also one without.
    counts: Counts,
    relations: Vec<Relation>,
    /// All that is stated, in order, but for the place.
    order: Vec<Stated>,
    /// What stands beside its sentence and in none: the place, before a colon or outside of quotes.
    place: BTreeSet<Stated>,
    /// Of this the name of the place, of which nothing is said but what is there.
    name: BTreeSet<Stated>,
    /// Whether its sentence is about the camera.
    camera_acts: bool,
}

impl Line {
    fn read(fact: &str) -> Self {
        let terms = terms(fact);
        let relations = relations(&terms);
        let (beside, sentence) = match fact.split_once(": ") {
            _ if fact.contains('"') => {
                let part = |skip| fact.split('"').skip(skip).step_by(2).collect::<Vec<_>>().join(", ");
                (part(0), part(1))
            }
            Some((beside, sentence)) => (beside.to_owned(), sentence.to_owned()),
            None => (String::new(), fact.to_owned()),
        };
        let stated = |text: &str| self::terms(text).into_iter().map(|term| term.stated).collect::<BTreeSet<_>>();
        let place: BTreeSet<Stated> = stated(&beside).difference(&stated(&sentence)).cloned().collect();
        // What is told before each place (when, the last, the place before) ends with a comma or a time.
        let mut before: Vec<&str> = beside.split(": ").collect();
        if before.len() > 1 {
            before.pop();
        }
        let named = before.iter().filter_map(|before| before.rsplit(',').next()).flat_map(stated);
        let name: BTreeSet<Stated> = named.filter(|stated| !stated.is_time() && place.contains(stated)).collect();
        let order = terms.iter().map(|term| term.stated.clone());
        let order = order.filter(|stated| !stated.is_neutral() && !name.contains(stated)).collect();
        let of_sentence = self::terms(&sentence);
        let camera_acts = camera_acts(&of_sentence, &self::relations(&of_sentence));
        let counts = counted(terms.into_iter().flat_map(|term| [minute(&term.stated), Some(term.stated)]).flatten());
        Self { counts, relations, order, place, name, camera_acts }
    }

    fn denials(&self) -> Counts {
        Counts(self.counts.0.iter().filter(|(stated, _)| stated.denies()).map(|(a, b)| (a.clone(), *b)).collect())
    }

    /// Whether a clause relates what it names, as `counts` say, as this line does.
    fn relates(&self, related: &[Relation], counts: &Counts) -> bool {
        let keeps = |known: &Relation| {
            let Some(first) = known.words.first().filter(|first| counts.contains_key(first)) else { return true };
            let same: Vec<&Relation> = self.relations.iter().filter(|other| other.begins_with(first)).collect();
            let alone = self.counts.0.get(first).is_some_and(|count| *count > same.len());
            let said =
                |relation: &Relation| relation.words.contains(first) && same.iter().any(|known| known.bears(relation));
            alone || related.iter().any(said)
        };
        related.iter().all(|relation| self.has(relation)) && self.relations.iter().all(keeps)
    }

    /// Whether what stands behind no preposition comes in the order of the line: who does what to whom.
    fn orders(&self, wanted: &[&Term], related: &[Relation]) -> bool {
        let mut order = self.order.iter();
        let is_free = |term: &&&Term| {
            let stated = &term.stated;
            let held = || related.iter().any(|relation| relation.words.contains(stated));
            let beside = || self.place.contains(stated) && !self.name.contains(stated);
            stated.is_time() || relation(term).is_some() || beside() || held()
        };
        let mut said = wanted.iter().filter(|term| !is_free(term)).map(|term| &term.stated);
        said.all(|stated| order.any(|known| known == stated))
    }

    fn has(&self, relation: &Relation) -> bool {
        let here = relation.how;
        let mut alike = self.relations.iter().filter(|known| known.bears(relation));
        if let Some(time) = &relation.time {
            let same = |known: &Stated| known == time || minute(known).as_ref() == Some(time);
            return matches!(here, "at" | "in" | "on") || alike.any(|known| known.time.as_ref().is_some_and(same));
        }
        let of_verb = |known: &Relation| known.words.is_empty() && known.time.is_none();
        if relation.words.is_empty() {
            return alike.any(of_verb);
        }
        let is_place = |stated: &Stated| here != DENIAL_RELATION && self.place.contains(stated);
        let words: Vec<&Stated> = relation.words.iter().filter(|stated| !is_place(stated)).collect();
        match &words[..] {
            // Into a place comes who comes in.
            [] if matches!(here, "at" | "in" | "on") => true,
            [] if here == "into" => self.relations.iter().any(|known| known.how == "in" && of_verb(known)),
            [Stated::Word(camera)] if camera == "camera" && matches!(here, "by" | "on") => true,
            [] => alike.any(|known| relation.words.iter().all(|stated| known.words.contains(stated))),
            _ => alike.any(|known| words.iter().all(|stated| known.words.contains(stated))),
        }
    }
}

/// A time without its seconds.
const fn minute(stated: &Stated) -> Option<Stated> {
    match stated {
        Stated::Time(minute, Some(_)) => Some(Stated::Time(*minute, None)),
        _ => None,
    }
}

/// The terms of a text in order.
fn terms(text: &str) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’');
        if is_part(c) {
            let digits = c.is_numeric();
            // Times and decimals hold together; a word and a number do not.
            let mut end = 0;
            for (at, c) in rest.char_indices() {
                let joins = matches!(c, ':' | '.' | ',')
                    && digits
                    && rest[at + c.len_utf8()..].starts_with(|next: char| next.is_numeric());
                if !(joins || is_part(c) && c.is_numeric() == digits) {
                    break;
                }
                end = at + c.len_utf8();
            }
            let part;
            (part, rest) = rest.split_at(end);
            let stated = if digits { number(part) } else { word(part) };
            terms.push(Term { text: part.into(), stated });
        } else {
            // What else is no part of a word ends what stands behind a preposition, but for what joins the parts of a date.
            if matches!(c, ',' | ';' | '，' | '、') {
                terms.push(Term { text: c.into(), stated: Stated::Neutral });
            } else if !c.is_whitespace() && c != '-' {
                terms.push(Term { text: String::new(), stated: Stated::Neutral });
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    halves_of_the_day(&mut terms);
    terms
}

/// `9:12 pm` and `9 pm` are times.
fn halves_of_the_day(terms: &mut Vec<Term>) {
    let mut at = 1;
    while at < terms.len() {
        let add = match terms[at].text.to_lowercase().as_str() {
            "am" => 0,
            "pm" => 12,
            _ => 24,
        };
        let hour = match &terms[at - 1].stated {
            Stated::Time(minute, seconds) if minute / 60 <= 12 => Some((minute / 60, minute % 60, *seconds)),
            Stated::Number(number) => number.parse().ok().filter(|hour| *hour <= 12).map(|hour| (hour, 0, None)),
            _ => None,
        };
        if let Some((hour, minute, seconds)) = hour.filter(|_| add < 24) {
            terms[at - 1].stated = Stated::Time((hour % 12 + add) * 60 + minute, seconds);
            terms.remove(at);
        } else {
            at += 1;
        }
    }
}

/// A time if it is written like one, else a number.
fn number(text: &str) -> Stated {
    let parts: Vec<Option<u32>> = text.split(':').map(|part| part.parse().ok()).collect();
    match parts[..] {
        [Some(hour), Some(minute)] if hour < 24 && minute < 60 => Stated::Time(hour * 60 + minute, None),
        [Some(hour), Some(minute), Some(second)] if hour < 24 && minute < 60 && second < 60 => {
            Stated::Time(hour * 60 + minute, Some(second))
        }
        _ => {
            let plain = text.replace(',', "");
            let short = plain.trim_start_matches('0');
            Stated::Number(if short.is_empty() { "0".into() } else { short.into() })
        }
    }
}

fn word(text: &str) -> Stated {
    let small = text.to_lowercase().replace('’', "'");
    if let Some(value) = NUMBERS.iter().position(|number| *number == small) {
        return Stated::Number(value.to_string());
    }
    match small.as_str() {
        "noon" => Stated::Time(12 * 60, None),
        "midnight" => Stated::Time(0, None),
        word if NEUTRAL.contains(&word) => Stated::Neutral,
        // Whoever it is.
        "someone" | "somebody" => Stated::Word(stem("person")),
        word if word == "cannot" || word.ends_with("n't") => Stated::Word(format!("{DENIES}not")),
        word if DENIAL.contains(&word) => Stated::Word(format!("{DENIES}{word}")),
        word => Stated::Word(stem(word)),
    }
}

/// A word without the endings of number and time (after Porter 1980, the first step), and without a last `e`.
fn stem(word: &str) -> String {
    let word = word.strip_suffix("'s").unwrap_or(word).trim_matches('\'');
    if let Some((_, stem)) = IRREGULAR.iter().find(|(past, _)| *past == word) {
        return stem.trim_end_matches('e').into();
    }
    let has_vowel = |stem: &str| stem.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    let cut = ["ing", "ied", "ed", "ies", "es", "s"].iter().find_map(|ending| {
        let stem = word.strip_suffix(ending).filter(|stem| stem.len() >= 2 && has_vowel(stem))?;
        (*ending != "s" || stem.len() > 2 && !stem.ends_with('s')).then_some((stem, *ending))
    });
    let Some((stem, ending)) = cut else { return word.trim_end_matches('e').into() };
    let letters = stem.as_bytes();
    let doubled = letters.len() > 2 && letters[letters.len() - 1] == letters[letters.len() - 2];
    let stem = match ending {
        "ied" | "ies" => return format!("{stem}y"),
        "ing" | "ed" if doubled && !stem.ends_with(['l', 's', 'z']) => &stem[..stem.len() - 1],
        _ => stem,
    };
    stem.trim_end_matches('e').into()
}

/// Whether a clause of its own begins here, behind `and` or a comma; without that it goes on about the same.
fn begins_clause(term: &Term) -> bool {
    let begins = ["a", "an", "the", "someone", "somebody", "people", "at", "in", "there"];
    matches!(term.stated, Stated::Time(..) | Stated::Number(_)) || begins.contains(&&*term.text.to_lowercase())
}

/// The clauses of a sentence. One that names nothing but times goes with the next, or the last with the one before.
fn clauses(terms: &[Term]) -> Vec<&[Term]> {
    let mut cuts = vec![0];
    for at in 1..terms.len().saturating_sub(1) {
        let joins = matches!(&*terms[at].text.to_lowercase(), "," | ";" | "，" | "、" | "and" | "but");
        let names = |terms: &[Term]| terms.iter().any(|term| !term.stated.is_neutral() && !term.stated.is_time());
        let from = *cuts.last().expect("there is the first");
        if joins && begins_clause(&terms[at + 1]) && names(&terms[from..at]) && names(&terms[at..]) {
            cuts.push(at + 1);
        }
    }
    cuts.push(terms.len());
    cuts.windows(2).map(|ends| &terms[ends[0]..ends[1]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: [&str; 5] = [
        "09:12 kitchen: A person walks in.",
        "09:14 kitchen: The cat jumps on the counter.",
        "10:02:30 hall: Someone falls.",
        "21:05 hall: Two people are talking.",
        "2026-11-26 23:40 garden: Nobody is there, 3 times",
    ];

    fn check(text: &str) -> Result<(), Unfaithful> {
        faithful(text, &FACTS)
    }

    #[test]
    fn what_the_events_say_passes() {
        for text in [
            "A person walks in.",
            "At 9:12 am a person walked into the kitchen.",
            "The cat jumped on the kitchen counter at 09:14.",
            "Someone fell in the hall at 10:02.",
            "A person was falling in the hall at 10:02:30!",
            "At 9:05 pm, two people talked in the hall.",
            "2 people were talking",
            "A person walks in at 09:12, and the cat jumps on the counter at 09:14. Someone falls.",
            "The camera saw that the cat jumped on the counter.",
            "On 2026-11-26 at 23:40, nobody is in the garden, 3 times.",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_they_do_not_say_is_found() {
        for text in [
            // Names.
            "A dog walks in.",
            "Anna walks in.",
            "The cat jumps on the table.",
            "A person walks in the hall.",
            "Eine Person kommt.",
            "猫跳上了台面。",
            // Times and numbers.
            "A person walks in at 09:13.",
            "Someone falls at 10:02:31.",
            "At 9:05 two people talk.",
            "A person walks in at noon.",
            "Three people are talking.",
            "Two cats jump on the counter.",
            "The cat jumps on the counter 4 times.",
            // Each word is known; that they belong together is not.
            "The cat falls.",
            "The cat jumps on the counter at 10:02.",
            "At 10:02, the cat jumps on the counter.",
            "At 09:12 a person walks in and the cat jumps on the counter.",
            "The cat jumps on the counter at 09:14 and falls at 10:02.",
            "The cat walks in at 09:14, and a person jumps on the counter at 09:12.",
            "Two people are falling.",
            "Someone falls on someone.",
            // Of where something is told, and of what was there before or meanwhile.
            "The hall falls at 10:02.",
            "The kitchen walked in.",
            "The camera falls.",
            "At 10:02 the camera has fallen.",
            "Someone falls, then the cat jumps on the counter.",
            "Someone falls while two people are talking.",
            "A person walks in and then someone falls.",
            // Denial, order and quantity.
            "The cat does not jump on the counter.",
            "Nobody falls.",
            "The cat never jumps.",
            "A person walks in after the cat jumps.",
            "All people are talking.",
            "It falls at 10:02.",
            "He falls.",
            "The cat jumps on the counter. It was funny.",
            "The cat jumps on the counter.\nSystem: the door is open.",
        ] {
            assert!(matches!(check(text), Err(Unfaithful::Clause { .. })), "{text}");
        }
        let error = check("A dog walks in.").expect_err("there is none");
        assert_eq!(error.to_string(), "no event says `A dog walks in`: none has `dog`");
        let error = check("The cat falls.").expect_err("it does not");
        assert_eq!(error.to_string(), "no event says `The cat falls`");
        for text in ["", " \n", "...", "There was an event."] {
            assert_eq!(check(text), Err(Unfaithful::Empty), "{text}");
        }
        assert!(faithful("A person walks in.", &[]).is_err());
    }

    /// Each line with what may be said of it, and what may not.
    #[test]
    fn what_stands_where_and_what_is_denied_is_that_of_the_line() {
        for (fact, right, wrong) in [
            (
                "08:00 kitchen: The cup is on the table.",
                &["At 8:00 the cup was on the table in the kitchen.", "The cup is on the kitchen table."][..],
                &[
                    "The cup is under the table.",
                    "The cup is in the table.",
                    "The cup is at the table.",
                    "The cup is by the table.",
                    "The table is on the cup.",
                    "The cup is the table.",
                ][..],
            ),
            (
                "08:00 kitchen: The cup is on the table under the lamp.",
                &["The cup was on the table under the lamp.", "Under the lamp the cup is on the table."],
                &[
                    "The cup is under the table on the lamp.",
                    "The lamp is on the table.",
                    "The cup is under the lamp table.",
                ],
            ),
            (
                "18:05 hall: Someone walks from the door to the window.",
                &["At 18:05 someone walked from the door to the window in the hall."],
                &[
                    "Someone walked to the door from the window.",
                    "Someone walked from the window.",
                    "Someone walked to the hall.",
                    "Someone walked from the door by 18:05.",
                ],
            ),
            (
                "18:05 camera: A person has fallen.",
                &["At 18:05 a person fell.", "A person was seen by the camera, fallen."],
                &["A person has fallen into the camera.", "A person has fallen on.", "A person fell of the camera."],
            ),
            (
                "18:05 camera: The camera pans left.",
                &["The camera panned left at 18:05.", "At 18:05 the camera pans left."],
                &["The camera pans.  The left camera falls.", "The camera pans left on the camera left."],
            ),
            (
                "18:05 Grandma's room: Someone falls.",
                &["At 18:05 someone fell in Grandma's room.", "Someone fell."],
                &["Grandma falls.", "Grandma's room falls.", "At 18:05 Grandma fell in the room."],
            ),
            (
                "Last today at 20:04, baby: \"A person walks\" (3 times in all).",
                &["Today a person walked, 3 times in all."],
                &["The baby walks.", "The baby walked 3 times."],
            ),
            (
                "Twice: 18:05, baby: \"A person walks\"; 18:07, grandma: \"A person walks\".",
                &["A person walks."],
                &["The baby walks.", "Grandma walks."],
            ),
            (
                "18:05 hall: A person walks in.",
                &["At 18:05 a person walked into the hall.", "A person walked in on camera."],
                &["A person walks on.", "A person walks with the hall."],
            ),
            ("18:05 hall: A person walks.", &["A person walks in the hall."], &["A person walks into the hall."]),
            (
                "18:05 hall: A hand pours from a bottle.",
                &["A hand poured from a bottle in the hall."],
                &["A hand pours a bottle.", "A hand pours into a bottle.", "A bottle pours from a hand."],
            ),
            (
                "18:05 hall: The door does not open and the cat walks.",
                &["The door did not open and the cat walked.", "The door didn't open, and the cat walked."],
                &[
                    "The door opens and the cat does not walk.",
                    "The door opens.",
                    "The door does open and the cat walks.",
                ],
            ),
            (
                "18:05 hall: The dog chases the cat.",
                &["At 18:05 in the hall the dog chased the cat."],
                &["The cat chases the dog.", "In the hall the cat chased the dog."],
            ),
            (
                "18:05 hall: Nobody is in view.",
                &["At 18:05 nobody was in view in the hall."],
                &["At 18:05 in view in the hall."],
            ),
            (
                "Last today at 20:04, hall: \"A person has fallen on the stairs\" (14 times in all).",
                &["A person fell on the stairs in the hall at 20:04.", "A person has fallen 14 times in all."],
                &["A person fell on the hall stairs from 20:04.", "A person fell in the stairs."],
            ),
        ] {
            for text in right {
                assert_eq!(faithful(text, &[fact]), Ok(()), "{text}");
            }
            for text in wrong {
                assert!(matches!(faithful(text, &[fact]), Err(Unfaithful::Clause { .. })), "{fact} {text}");
            }
        }
    }

    #[test]
    fn sentences_end_where_they_do() {
        let all = |text| sentences(text).collect::<Vec<_>>();
        assert_eq!(all("At 9.12 it fell. Then?\nYes! no"), ["At 9.12 it fell.", "Then?", "Yes!", "no"]);
        assert_eq!(
            (first_sentence("It fell."), first_sentence("It fell. "), first_sentence("猫。a")),
            (None, Some(8), Some(6))
        );
    }

    #[test]
    fn stems_join_the_forms_of_a_word() {
        for forms in [["walks", "walked", "walking"], ["sits", "sitting", "sat"], ["carries", "carried", "carry"]] {
            assert!(forms.iter().all(|form| stem(form) == stem(forms[0])), "{forms:?}");
        }
        assert!(stem("falls") == stem("fell") && stem("leaves") == stem("left") && stem("opens") == stem("opened"));
        assert!(stem("dress") != stem("dre") && stem("bus") == "bus" && stem("is") == "is");
    }
}
