//! What a question is about: a kind of happening, found by meaning and by words, or nothing that is known.
//!
//! A kind is as near as its sentences are: half the nearest one's cosine, half their mean. That alone would take "someone opens the
//! fridge" for a door, so each word that tells things apart must have a like among the words of that kind too, the more alike the
//! farther the sentence lies (the question's objects, taken apart, as `QuoTA` does before it scores frames; Luo and others 2025). Where two kinds
//! are equally near, it is asked which is meant.
//!
//! Thresholds were set on the wordings under `tune` of `tools/eval/language/wordings.py`.

use ocelli_types::EventKind;

use super::question::{ROOMS, position};
use super::text::{PERSON, is_content, stem, tokens};
use crate::{Journal, JournalError, Query};

/// One that can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Its kind.
    pub kind: String,
    /// The sentence.
    pub text: String,
}

/// What words mean: the vocabulary, and a text encoder where there is one.
pub trait Meaning {
    /// What can be said.
    fn sentences(&self) -> &[Sentence];

    /// The cosine of a phrase to each sentence; `None` where only words can be compared.
    fn near(&mut self, phrase: &str) -> Option<Vec<f32>>;

    /// The cosine of two phrases.
    fn alike(&mut self, one: &str, other: &str) -> Option<f32>;
}

/// No words, for what needs none.
impl Meaning for () {
    fn sentences(&self) -> &[Sentence] {
        &[]
    }

    fn near(&mut self, _phrase: &str) -> Option<Vec<f32>> {
        None
    }

    fn alike(&mut self, _one: &str, _other: &str) -> Option<f32> {
        None
    }
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// That somebody is there.
    Presence,
    /// A kind of the vocabulary.
    Kind(String),
    /// Events whose text has these words.
    Words(String),
    /// A type of event: alerts, blindness.
    Type(EventKind),
    /// Movements of a camera itself, whose texts have one of these.
    Motion(Vec<&'static str>),
}

/// How it was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Meant {
    /// What is asked about.
    pub subject: Subject,
    /// 0 to 1.
    pub confidence: f32,
}

/// Kinds of which one undoes the other, and words by which they are told apart: a text encoder takes "the light goes off" for
/// "the light goes on".
const OPPOSITES: [(&str, &str, &[&str], &[&str]); 6] = [
    ("light_on", "light_off", &["on", "lit", "bright"], &["off", "out", "dark", "unlit"]),
    ("door_opens", "door_closes", &["open", "ajar", "unlock"], &["clos", "shut", "slam", "lock"]),
    ("open", "close", &["open", "unpack"], &["clos", "shut", "cover"]),
    ("enter", "leave", &["in", "enter", "arriv", "com"], &["out", "leav", "depart", "away"]),
    ("sit_down", "get_up", &["down", "sit"], &["up", "ris", "stand"]),
    ("pick_up", "put_down", &["up", "tak"], &["down", "set", "plac"]),
];

/// Kinds that are over when they are said: none is so for a time.
const MOMENTS: [&str; 8] = ["enter", "leave", "sit_down", "get_up", "lie_down", "come_together", "pick_up", "put_down"];

/// Kinds that last, which nobody means who says `up` or `down`.
const POSTURES: [&str; 5] = ["sit", "stand", "lie", "lie_still", "kneel"];

/// Words of a place in which somebody is.
const PLACES: [&str; 14] = [
    "home", "here", "there", "room", "house", "view", "around", "inside", "present", "place", "picture", "flat",
    "moving", "anywhere",
];

/// Words that are understood with their verb.
const PARTICLES: [&str; 14] =
    ["up", "down", "off", "on", "out", "over", "by", "past", "back", "away", "along", "outside", "inside", "turn"];

/// Words that a question about alerts may have, and one about a blind camera.
const ALERT_WORDS: [&str; 19] = [
    "alert",
    "alerts",
    "alarm",
    "alarms",
    "new",
    "raised",
    "raise",
    "given",
    "give",
    "sent",
    "send",
    "told",
    "tell",
    "come",
    "came",
    "sounded",
    "sound",
    "triggered",
    "trigger",
];
const BLIND_WORDS: [&str; 6] = ["blind", "camera", "cameras", "lens", "view", "picture"];

/// What a camera does when it moves, as its events say it: with the stem of the verb, and the way.
const MOTIONS: [(&str, &str, &str); 8] = [
    ("pans left", "pan", "left"),
    ("pans right", "pan", "right"),
    ("tilts up", "tilt", "up"),
    ("tilts down", "tilt", "down"),
    ("rolls to the left", "roll", "left"),
    ("rolls to the right", "roll", "right"),
    ("zooms in", "zoom", "in"),
    ("zooms out", "zoom", "out"),
];

/// Stems of verbs that may mean several of them, with those of what they mean.
const MOVES: [(&str, &[&str]); 6] = [
    ("mov", &["pan", "tilt", "roll", "zoom"]),
    ("movement", &["pan", "tilt", "roll", "zoom"]),
    ("motion", &["pan", "tilt", "roll", "zoom"]),
    ("shift", &["pan", "tilt"]),
    ("turn", &["pan", "tilt", "roll"]),
    ("rotat", &["pan", "roll"]),
];

/// Words that a question about a movement may have beside these.
const MOTION_WORDS: [&str; 10] =
    ["camera", "cameras", "left", "right", "up", "down", "out", "itself", "around", "side"];

/// Words that change what is asked, by their stems: they must be in a sentence that is meant. Negations, and what is nearly so; who it
/// was; what is only within a body; things and doings that an encoder takes for others.
const CHANGES: [&str; 109] = [
    "no",
    "not",
    "never",
    "nobody",
    "nothing",
    "none",
    "without",
    "unabl",
    "abl",
    "fail",
    "refus",
    "almost",
    "nearly",
    "hardly",
    "stop",
    "quit",
    "finish",
    "end",
    "avoid",
    "pretend",
    "try",
    "tri",
    "alon",
    "only",
    "might",
    "mother",
    "father",
    "mum",
    "mom",
    "dad",
    "mummy",
    "daddy",
    "grandma",
    "grandmother",
    "grandpa",
    "grandfather",
    "granny",
    "son",
    "daughter",
    "brother",
    "sister",
    "wif",
    "husband",
    "child",
    "children",
    "kid",
    "baby",
    "girl",
    "boy",
    "woman",
    "women",
    "man",
    "men",
    "lady",
    "nurs",
    "doctor",
    "neighbour",
    "neighbor",
    "postman",
    "uncl",
    "aunt",
    "friend",
    "burglar",
    "thief",
    "stranger",
    "carer",
    "cleaner",
    "aliv",
    "dead",
    "breath",
    "hurt",
    "injur",
    "ill",
    "happy",
    "sad",
    "angry",
    "drunk",
    "wak",
    "awak",
    "climb",
    "gun",
    "weapon",
    "pistol",
    "rifl",
    "camera",
    "stair",
    "staircas",
    "upstair",
    "downstair",
    "step",
    "ladder",
    "outdoor",
    "outsid",
    "lawn",
    "car",
    "road",
    "roof",
    "park",
    "shower",
    "tree",
    "window",
    "church",
    "school",
    "hospital",
    "work",
    "swim",
    "bik",
    "bicycl",
    "els",
];

/// Words that lead to a place.
const LEADS: [&str; 14] =
    ["in", "at", "on", "near", "under", "behind", "beside", "outside", "inside", "off", "down", "onto", "into", "upon"];

/// Nearer than this a kind is meant, whatever its words.
const SURE: f32 = 0.8;
/// Farther than this it is not, and below [`LIKELY`] only where its own words are said.
const LEAST: f32 = 0.42;
const LIKELY: f32 = 0.5;
/// What each word must have among the words of a kind from 0.6 on, and below.
const WORD_NEAR: f32 = 0.3;
const WORD_FAR: f32 = 0.45;
/// Two kinds that are nearer to one another than this cannot be told apart.
const MARGIN: f32 = 0.02;
/// What the word of a kind's own name counts.
const NAMED: f32 = 0.08;
/// What a text counts that has all the words, where only words are compared.
const WORDS: f32 = 0.9;
/// What a moment lacks where a state is asked about, and a posture where its beginning or end is.
const NO_STATE: f32 = 0.1;

/// The kind that undoes this one, where there is one.
pub fn opposite(kind: &str) -> Option<&'static str> {
    let of = |(one, other, ..): &(&'static str, &'static str, &[&str], &[&str])| match kind {
        _ if kind == *one => Some(*other),
        _ if kind == *other => Some(*one),
        _ => None,
    };
    // Who comes and goes is not undone: several may be there.
    OPPOSITES.iter().filter(|pair| pair.0 != "enter" && pair.0 != "sit_down").find_map(of)
}

/// Finds what a phrase means. `state` is asked of what is so for a time.
///
/// # Errors
/// The journal cannot be read. The inner error says what is not known.
pub fn resolve(
    phrase: &str,
    state: bool,
    journal: &Journal,
    meaning: &mut dyn Meaning,
) -> Result<Result<Meant, String>, JournalError> {
    let words = tokens(phrase);
    let content: Vec<&str> = words.iter().map(String::as_str).filter(|word| is_content(word)).collect();
    let somebody = words.iter().any(|word| PERSON.contains(&word.as_str()));
    let sure = |subject| Ok(Ok(Meant { subject, confidence: 1.0 }));
    if content.iter().any(|word| matches!(*word, "alert" | "alerts" | "alarm" | "alarms")) {
        // `Did the alarm go off` is that it began; `is the alarm off` is not.
        let goes = words.iter().any(|word| stem(word) == "go");
        let other = content.iter().find(|word| !(ALERT_WORDS.contains(word) || goes && **word == "off"));
        return match other {
            Some(other) => Ok(Err(format!(
                "I do not understand `{other}` of an alert: I can tell whether, when and how often one was raised. `ocelli events \
                 --kind alert` has its end and who acknowledged it."
            ))),
            None => sure(Subject::Type(EventKind::Alert)),
        };
    }
    // A blind may be one of a window.
    if content.contains(&"blind") && !somebody && content.iter().all(|word| BLIND_WORDS.contains(word)) {
        return sure(Subject::Type(EventKind::Blind));
    }
    if !somebody && let Some(motion) = motion(&words, &content) {
        return Ok(motion.map(|motion| Meant { subject: motion, confidence: 1.0 }));
    }
    if somebody && content.iter().all(|word| PLACES.contains(word)) {
        if let Some(word) = strange(&words, &[]) {
            return Ok(Err(not_understood(phrase, word)));
        }
        return sure(Subject::Presence);
    }
    if let Some(kind) = worded(&content, state, meaning) {
        return Ok(guarded(phrase, &words, kind, 1.0, meaning));
    }
    let (ranked, by_meaning) = rank(&words, &content, state, meaning);
    let best = ranked.first().cloned();
    if let Some((kind, score)) = best.clone().filter(|(_, score)| *score >= SURE) {
        if let Some(other) = tie(&ranked, meaning) {
            return Ok(Err(other));
        }
        return Ok(guarded(phrase, &words, kind, score.min(1.0), meaning));
    }
    let least = |score: f32| match score {
        _ if score < LIKELY => f32::INFINITY,
        _ if score < 0.6 => WORD_FAR,
        _ => WORD_NEAR,
    };
    let near = best.filter(|(_, score)| by_meaning && *score >= LEAST);
    let near = near.filter(|(kind, score)| covered(&content, kind, least(*score), meaning));
    let other = near.as_ref().and_then(|_| tie(&ranked, meaning));
    if let Some((kind, score)) = near.filter(|_| other.is_none()) {
        return Ok(guarded(phrase, &words, kind, score, meaning));
    }
    // A text that has all these words, such as that of a condition of one's own. What it says beside them is not asked: it may be that
    // something was not so.
    let wanted = content.join(" ");
    if !wanted.is_empty() {
        let mut found = false;
        journal.each(&Query { words: &wanted, ..Query::default() }, true, &mut |event| {
            let told = matches!(event.kind, EventKind::Narration | EventKind::Alert);
            let of = tokens(&event.text);
            let more = |word: &String| is_content(word) && !content.iter().any(|asked| stem(asked) == stem(word));
            let whole = event.kind == EventKind::Narration || !of.iter().any(more);
            found = told
                && whole
                && strange(&of, &words).is_none()
                && !meaning.sentences().iter().any(|sentence| sentence.text == event.text);
            !found
        })?;
        if found {
            return sure(Subject::Words(wanted));
        }
    }
    if let Some(other) = other {
        return Ok(Err(other));
    }
    Ok(Err(unknown(phrase, ranked.first().map(|(kind, _)| kind.as_str()), meaning)))
}

/// Whether a verb may be that of a camera which moves.
pub fn moves(word: &str) -> bool {
    MOTIONS.iter().any(|motion| motion.1 == stem(word)) || MOVES.iter().any(|of| of.0 == stem(word))
}

/// What a phrase asks of a camera's own movements, `the camera panned left`; `None` where it is of something else.
fn motion(words: &[String], content: &[&str]) -> Option<Result<Subject, String>> {
    let at = words.iter().position(|word| moves(word))?;
    if !content.iter().any(|word| matches!(*word, "camera" | "cameras")) {
        return None;
    }
    let verb = stem(&words[at]);
    let of = MOVES.iter().find(|of| of.0 == verb).map_or(&[][..], |of| of.1);
    // `in` leads to other things than a way.
    let goes = |way: &str| {
        words.iter().any(|word| word == way && way != "in") || words.get(at + 1).is_some_and(|word| word == way)
    };
    let is_way = |way: &str| MOTIONS.iter().any(|motion| motion.2 == way && goes(way));
    let none = !["left", "right", "up", "down", "in", "out"].into_iter().any(is_way);
    let meant = MOTIONS
        .iter()
        .filter(|motion| motion.1 == verb || of.contains(&motion.1))
        .filter(|motion| none || goes(motion.2));
    let meant: Vec<&str> = meant.map(|motion| motion.0).collect();
    let other = content.iter().find(|word| !MOTION_WORDS.contains(word) && stem(word) != verb);
    let other = other.copied().or_else(|| meant.is_empty().then(|| words.last().map_or("", String::as_str)));
    Some(match other {
        Some(other) => Err(format!(
            "I do not understand `{other}` of a camera's movement: I can tell whether, when, how often and for how long a camera panned \
             left or right, tilted up or down, rolled, or moved or zoomed in or out."
        )),
        None => Ok(Subject::Motion(meant)),
    })
}

/// A word of the phrase that changes its sense and is not in these others.
fn strange<'a>(words: &'a [String], known: &[String]) -> Option<&'a str> {
    let knows = |word: &str| known.iter().any(|other| stem(other) == stem(word));
    let changes = |word: &str| CHANGES.contains(&stem(word)) || ROOMS.contains(&word) || word.ends_with("n't");
    let strange = words.iter().find(|word| changes(word) && !PLACES.contains(&word.as_str()) && !knows(word));
    if let Some(word) = strange {
        return Some(word);
    }
    let pair = |one: &str, other: &[&str]| {
        let found = words.windows(2).find(|pair| stem(&pair[0]) == one && other.contains(&pair[1].as_str()));
        found.map(|pair| pair[1].as_str()).filter(|word| !knows(word) || one != "fall")
    };
    // What falls asleep does not fall, and who gets out of bed does not go there.
    if let Some(word) = pair("fall", &["asleep", "ill", "sick", "silent", "apart", "behind"]) {
        return Some(word);
    }
    position(words, &["out", "of", "bed"]).filter(|_| !knows("out")).map(|at| words[at].as_str())
}

/// A place of the phrase, `at the lake`, that no sentence of the vocabulary has.
fn nowhere<'a>(words: &'a [String], meaning: &dyn Meaning) -> Option<&'a str> {
    for (at, lead) in words.iter().enumerate().filter(|(_, word)| LEADS.contains(&word.as_str())) {
        let skip =
            |word: &&String| matches!(word.as_str(), "the" | "a" | "an" | "my" | "our" | "his" | "her" | "their");
        let skipped = words[at + 1..].iter().take_while(skip).count();
        let Some(place) = words.get(at + 1 + skipped).filter(|place| is_content(place)) else { continue };
        // `switch on the lamp`
        let verb = at.checked_sub(1).map(|before| stem(&words[before]));
        let particle = matches!(lead.as_str(), "on" | "off" | "down" | "in")
            && verb.is_some_and(|verb| matches!(verb, "switch" | "turn" | "put" | "set" | "tak" | "lay" | "plac"));
        if particle || PLACES.contains(&place.as_str()) || LEADS.contains(&place.as_str()) {
            continue;
        }
        let known = |text: &str| tokens(text).iter().any(|word| stem(word) == stem(place));
        if !meaning.sentences().iter().any(|sentence| known(&sentence.text)) {
            return Some(place);
        }
    }
    None
}

/// The kind, unless a word of the phrase makes another thing of it.
fn guarded(
    phrase: &str,
    words: &[String],
    kind: String,
    confidence: f32,
    meaning: &dyn Meaning,
) -> Result<Meant, String> {
    let of_kind = || meaning.sentences().iter().filter(|sentence| sentence.kind == kind);
    let known: Vec<String> = of_kind().flat_map(|sentence| tokens(&sentence.text)).collect();
    // `something fell`: of people only people are known.
    let people = of_kind().all(|sentence| tokens(&sentence.text).iter().any(|word| PERSON.contains(&word.as_str())));
    let thing = words.first().filter(|word| people && matches!(word.as_str(), "something" | "anything" | "it"));
    // `is the television off`
    let off = words.iter().find(|word| *word == "off" && opposite(&kind).is_none() && known.contains(&"on".to_owned()));
    let off = off.filter(|_| !known.contains(&"off".to_owned()));
    let word = strange(words, &known).or(thing.or(off).map(String::as_str)).or_else(|| nowhere(words, meaning));
    match word {
        Some(word) => Err(not_understood(phrase, word)),
        None => Ok(Meant { subject: Subject::Kind(kind), confidence }),
    }
}

fn not_understood(phrase: &str, word: &str) -> String {
    format!(
        "I do not know of \"{phrase}\": no camera has the name `{word}`, and no sentence that it may mean has that word."
    )
}

/// The kind of which a sentence has just these words, two of them at least.
fn worded(content: &[&str], state: bool, meaning: &dyn Meaning) -> Option<String> {
    let stems = |words: &mut dyn Iterator<Item = &str>| {
        let mut stems: Vec<String> = words.map(|word| stem(word).to_owned()).collect();
        stems.sort_unstable();
        stems.dedup();
        stems
    };
    let asked = stems(&mut content.iter().copied());
    if asked.len() < 2 {
        return None;
    }
    let same = |text: &str| {
        let of = tokens(text);
        stems(&mut of.iter().map(String::as_str).filter(|word| is_content(word))) == asked
    };
    let mut kinds = meaning.sentences().iter().filter(|sentence| same(&sentence.text)).map(|sentence| &sentence.kind);
    let kind = kinds.next()?;
    (kinds.all(|other| other == kind) && !(state && MOMENTS.contains(&kind.as_str()))).then(|| kind.clone())
}

/// Kinds with how near they are, the nearest first, and whether that is by meaning.
fn rank(words: &[String], content: &[&str], state: bool, meaning: &mut dyn Meaning) -> (Vec<(String, f32)>, bool) {
    let plain = plain(words);
    let near = meaning.near(&plain);
    let by_meaning = near.is_some();
    let mut kinds: Vec<(String, f32, f32, f32)> = Vec::new();
    for (index, sentence) in meaning.sentences().iter().enumerate() {
        let score = match &near {
            Some(near) => near.get(index).copied().unwrap_or(-1.0),
            None => shared(content, &sentence.text),
        };
        match kinds.iter_mut().find(|kind| kind.0 == sentence.kind) {
            Some(kind) => (kind.1, kind.2, kind.3) = (kind.1.max(score), kind.2 + score, kind.3 + 1.0),
            None => kinds.push((sentence.kind.clone(), score, score, 1.0)),
        }
    }
    let stems: Vec<&str> = words.iter().map(|word| stem(word)).collect();
    let mut ranked: Vec<(String, f32)> = kinds
        .into_iter()
        .map(|(kind, most, sum, count)| {
            let named = content.iter().any(|word| kind.split('_').any(|part| stem(part) == stem(word)));
            let of = if state { &MOMENTS[..] } else { &POSTURES[..] };
            let moment =
                (state || words.iter().any(|word| word == "up" || word == "down")) && of.contains(&kind.as_str());
            let score = if by_meaning { f32::midpoint(most, sum / count) } else { most };
            let named = named && (by_meaning || score >= WORDS);
            let score = score + if named { NAMED } else { 0.0 } - if moment { NO_STATE } else { 0.0 };
            (kind, score)
        })
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    // Of two opposites the words tell which.
    if let Some((first, _)) = ranked.first()
        && let Some((one, other, ones, others)) = OPPOSITES.iter().find(|pair| pair.0 == first || pair.1 == first)
    {
        let says = |words: &[&str]| stems.iter().any(|stem| words.contains(stem));
        let swapped = match (says(ones), says(others)) {
            (true, false) if first == other => Some(*one),
            (false, true) if first == one => Some(*other),
            _ => None,
        };
        if let Some(at) = swapped.and_then(|kind| ranked.iter().position(|known| known.0 == kind)) {
            let score = ranked[0].1;
            ranked.swap(0, at);
            // What the words decide is no tie.
            (ranked[0].1, ranked[at].1) = (score, score - 2.0 * MARGIN);
        }
    }
    (ranked, by_meaning)
}

/// The phrase as sentences of a vocabulary are: whoever it is, it is someone.
fn plain(words: &[String]) -> String {
    let mut said: Vec<&str> = Vec::with_capacity(words.len());
    for word in words {
        let person =
            matches!(word.as_str(), "anyone" | "anybody" | "somebody" | "someone" | "person" | "he" | "she" | "they");
        if person && said.last().is_some_and(|last| matches!(*last, "a" | "the" | "any")) {
            said.pop();
        }
        said.push(if person { "someone" } else { word });
    }
    said.join(" ")
}

/// How near words alone are to a text: the share of them that it has, and a little for the share of it that they are.
fn shared(content: &[&str], text: &str) -> f32 {
    let of: Vec<String> = tokens(text).into_iter().filter(|word| is_content(word)).collect();
    let common = content.iter().filter(|word| of.iter().any(|other| stem(other) == stem(word))).count() as f32;
    if common == 0.0 {
        return 0.0;
    }
    WORDS * common / content.len() as f32 + (1.0 - WORDS) * (common / of.len() as f32).min(1.0)
}

/// Whether each word has its like among the words of the kind's sentences and name.
fn covered(content: &[&str], kind: &str, least: f32, meaning: &mut dyn Meaning) -> bool {
    let texts =
        meaning.sentences().iter().filter(|sentence| sentence.kind == kind).flat_map(|sentence| tokens(&sentence.text));
    let mut known: Vec<String> =
        texts.chain(kind.split('_').map(str::to_owned)).filter(|word| is_content(word)).collect();
    known.sort_unstable();
    known.dedup();
    content.iter().filter(|word| !PARTICLES.contains(word)).all(|word| {
        let same = |other: &String| stem(other) == stem(word);
        known.iter().any(same)
            || known.iter().any(|other| meaning.alike(word, other).is_some_and(|cosine| cosine >= least))
    })
}

/// The question back, where two kinds are equally near.
fn tie(ranked: &[(String, f32)], meaning: &dyn Meaning) -> Option<String> {
    let [(one, most), (other, next), ..] = ranked else { return None };
    (most - next < MARGIN).then(|| {
        let (one, other) = (example(one, meaning), example(other, meaning));
        format!("I am not sure what is meant: {} or {}?", quoted(&one), quoted(&other))
    })
}

/// A sentence within another.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.trim_end_matches(['.', '。']))
}

/// A sentence of a kind.
pub fn example(kind: &str, meaning: &dyn Meaning) -> String {
    let found = meaning.sentences().iter().find(|sentence| sentence.kind == kind);
    found.map_or_else(|| kind.to_owned(), |sentence| sentence.text.clone())
}

fn unknown(phrase: &str, nearest: Option<&str>, meaning: &dyn Meaning) -> String {
    let nearest = nearest.map(|kind| example(kind, meaning));
    let tell = nearest
        .map_or_else(String::new, |nearest| format!(" The nearest that I can tell about is {}.", quoted(&nearest)));
    format!("I do not know of \"{phrase}\".{tell}")
}
