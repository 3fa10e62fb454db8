//! From a question in plain words to what it asks for. No model reads it: forms are few, and each is known by its first words.

use jiff::Zoned;

use super::subject::moves;
use super::text::{PERSON, is_content, tokens};
use super::when::{self, When};

/// What kind of answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// When something was last.
    Last,
    /// When it was first.
    First,
    /// How often.
    Count,
    /// For how long.
    Duration,
    /// Whether it happened.
    Happened,
    /// Whether something is so, or was at a moment.
    State,
    /// Since when it has been so.
    Since,
    /// What happened in a period.
    What,
    /// What came right after something.
    Next,
    /// What came right before.
    Previous,
    /// Which of two was first.
    Order,
}

impl Form {
    /// As it is written in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::First => "first",
            Self::Count => "count",
            Self::Duration => "duration",
            Self::Happened => "happened",
            Self::State => "state",
            Self::Since => "since",
            Self::What => "what",
            Self::Next => "next",
            Self::Previous => "previous",
            Self::Order => "order",
        }
    }
}

/// On which side of something else it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before it.
    Before,
    /// After it.
    After,
}

/// A question as it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The answer that is wanted.
    pub form: Form,
    /// What is asked about, in its own words; empty for anything.
    pub about: String,
    /// The other of two, for [`Form::Order`].
    pub other: String,
    /// Something that it is to be before or after.
    pub anchor: Option<(Side, String)>,
    /// When.
    pub when: When,
    /// The camera that is named.
    pub camera: Option<String>,
    /// `nobody`: the answer is turned round.
    pub nobody: bool,
    /// It asks whether something was so, and not whether it began.
    pub was: bool,
}

/// Words that ask which of two was first.
const ORDERS: [&str; 4] = ["first", "earlier", "sooner", "earliest"];

/// Why a question has no answer, as it is told.
pub type Refusal = String;

/// Reads a question.
///
/// # Errors
/// It is of a form that cannot be answered; the text says so and what can be asked.
pub fn read(text: &str, cameras: &[String], now: &Zoned) -> Result<Question, Refusal> {
    let mut words = tokens(text);
    if words.iter().all(|word| word == ",") {
        return Err("That is no question. Ask like: when did someone last come in?".into());
    }
    let camera = take_camera(&mut words, cameras);
    polite(&mut words);
    if let Some(but) =
        words.iter().find(|word| matches!(word.as_str(), "but" | "except" | "besides" | "unless" | "nor"))
    {
        return Err(format!("I do not understand `{but}`. Ask of one camera, or of all."));
    }
    let when = when::take(&mut words, now).map_err(|why| format!("I do not understand the time: {why}."))?;
    trim(&mut words);
    polite(&mut words);
    let mut question = Question {
        form: Form::Happened,
        about: String::new(),
        other: String::new(),
        anchor: None,
        when,
        camera,
        nobody: false,
        was: false,
    };
    // `Did it fall?`
    if words.len() > 2
        && matches!(words[0].as_str(), "did" | "does" | "has")
        && matches!(words[1].as_str(), "it" | "something" | "anything" | "everything")
        && !matches!(words[2].as_str(), "happen" | "happened" | "been" | "get" | "got" | "go" | "become")
    {
        return Err(format!("I do not know what `{}` is. {CANNOT}.", words[1]));
    }
    let rest = question.form_of(words)?;
    question.subject(rest)?;
    for phrase in [Some(&question.about), Some(&question.other), question.anchor.as_ref().map(|(_, phrase)| phrase)] {
        let words: Vec<String> = phrase.into_iter().flat_map(|phrase| phrase.split(' ')).map(str::to_owned).collect();
        if let Some(word) = when::strange(&words) {
            return Err(format!("I do not understand the time: `{word}`. Ask of a day, an hour or the last days."));
        }
    }
    Ok(question)
}

const CANNOT: &str = "I can tell when, how often and how long something was, whether it happened, what came before and after it, and \
what happened in a time";

fn cannot(what: &str) -> Refusal {
    format!("I cannot tell {what}. {CANNOT}.")
}

/// `in the kitchen`, where there is a camera of that name.
fn take_camera(words: &mut Vec<String>, cameras: &[String]) -> Option<String> {
    // A camera without a name of its own is called so.
    for name in cameras.iter().filter(|name| *name != "camera") {
        let parts: Vec<String> = name.to_lowercase().split(['-', '_', ' ']).map(str::to_owned).collect();
        let led = |at: usize| {
            let before = |back: usize| at.checked_sub(back).map_or("", |at| words[at].as_str());
            let the = usize::from(matches!(before(1), "the" | "my" | "our"));
            matches!(before(1 + the), "in" | "at" | "by" | "from" | "into" | "inside" | "of" | "camera")
                || words.get(at + parts.len()).is_some_and(|word| word == "camera")
                // A floor, a door, a bed are things as well; a kitchen is not.
                || parts.len() > 1
                || ROOMS.contains(&parts[0].as_str())
        };
        let found = words.windows(parts.len()).enumerate().filter(|(_, window)| *window == parts);
        let Some(at) = found.map(|(at, _)| at).find(|at| led(*at)) else { continue };
        let leads = |word: &str| {
            matches!(
                word,
                "in" | "at" | "on" | "by" | "from" | "the" | "my" | "our" | "into" | "of" | "inside" | "to" | "camera"
            )
        };
        let start = at - words[..at].iter().rev().take_while(|word| leads(word)).count().min(3);
        let end = at + parts.len() + usize::from(words.get(at + parts.len()).is_some_and(|word| word == "camera"));
        let named = words.drain(start..end).any(|word| word == "camera");
        // `Was the kitchen camera panned?` is about the camera, and not what it saw.
        if named && words.iter().any(|word| moves(word)) && !words.iter().any(|word| PERSON.contains(&word.as_str())) {
            words.insert(start, "camera".into());
        }
        return Some(name.clone());
    }
    None
}

/// Names of rooms, which mean a camera of that name wherever they stand.
pub const ROOMS: [&str; 45] = [
    "attic",
    "backyard",
    "balcony",
    "basement",
    "bath",
    "bathroom",
    "bathtub",
    "bedroom",
    "cellar",
    "conservatory",
    "corridor",
    "courtyard",
    "driveway",
    "entrance",
    "garage",
    "garden",
    "gate",
    "hall",
    "hallway",
    "kitchen",
    "landing",
    "larder",
    "laundry",
    "library",
    "lobby",
    "loft",
    "lounge",
    "nursery",
    "office",
    "pantry",
    "patio",
    "playroom",
    "pool",
    "porch",
    "roof",
    "shed",
    "shop",
    "stable",
    "street",
    "study",
    "terrace",
    "toilet",
    "veranda",
    "workshop",
    "yard",
];

fn starts(words: &[String], with: &[&str]) -> bool {
    words.len() >= with.len() && words.iter().zip(with).all(|(word, with)| word == with)
}

/// Where these words are.
pub fn position(words: &[String], of: &[&str]) -> Option<usize> {
    words.windows(of.len()).position(|window| window.iter().zip(of).all(|(word, of)| word == of))
}

/// Takes these words out, wherever they are.
fn remove(words: &mut Vec<String>, what: &[&str]) -> bool {
    let found = position(words, what);
    if let Some(at) = found {
        words.drain(at..at + what.len());
    }
    found.is_some()
}

/// Takes commas, and words that lead to nothing any more, from both ends.
fn trim(words: &mut Vec<String>) {
    while words.first().is_some_and(|word| word == "," || word == "and") {
        words.remove(0);
    }
    while words.last().is_some_and(|word| matches!(word.as_str(), "," | "and" | "the")) {
        words.pop();
    }
}

/// `Can you tell me whether ...`
fn polite(words: &mut Vec<String>) {
    const FORMS: [&[&str]; 18] = [
        &["please"],
        &["can", "you", "tell", "me"],
        &["could", "you", "tell", "me"],
        &["can", "you", "say"],
        &["do", "you", "know"],
        &["i", "want", "to", "know"],
        &["i", "would", "like", "to", "know"],
        &["tell", "me"],
        &["show", "me"],
        &["whether"],
        &["if"],
        &["hey"],
        &["and"],
        &["so"],
        &["ok"],
        &[","],
        &["ocelli"],
        &["exactly"],
    ];
    while let Some(form) = FORMS.iter().find(|form| starts(words, form)) {
        words.drain(..form.len());
    }
}

impl Question {
    /// Finds the form, and gives the words that are left.
    fn form_of(&mut self, mut words: Vec<String>) -> Result<Vec<String>, Refusal> {
        negation(&mut words)?;
        // `After someone came in, did someone drink?`
        if let Some(side) = words.get(..1).and_then(side_of)
            && let Some(comma) = words.iter().position(|word| word == ",")
        {
            self.anchor = Some((side, clause(&words[1..comma])));
            words.drain(..=comma);
        }
        polite(&mut words);
        let first = words.first().cloned().unwrap_or_default();
        let all = words.clone();
        let has = |what: &[&str]| position(&all, what).is_some();
        let asks_when = first == "when" || has(&["what", "time"]) || has(&["at", "what", "time"]);
        if has(&["since", "when"])
            || has(&["since", "what", "time"])
            || ((has(&["how", "long"])) && (has(&["has"]) || has(&["have"])) && !has(&["since"]))
        {
            self.form = Form::Since;
            for what in [&["since", "when"][..], &["since", "what", "time"], &["for", "how", "long"], &["how", "long"]]
            {
                remove(&mut words, what);
            }
            return Ok(words);
        }
        if has(&["how", "long", "ago"]) || (has(&["how", "long"]) && has(&["since"])) {
            self.form = Form::Last;
            if !remove(&mut words, &["how", "long", "ago"]) {
                words.drain(..=position(&words, &["since"]).unwrap_or(0));
            }
            for what in [&["the", "last", "time"][..], &["last"]] {
                remove(&mut words, what);
            }
            return Ok(words);
        }
        if matches!(first.as_str(), "what" | "which") && has(&["or"]) {
            let at = words.iter().position(|word| ORDERS.contains(&word.as_str()));
            let at = at.ok_or_else(|| cannot("which of two it is, but for which was first"))?;
            let or = position(&words, &["or"]).filter(|or| *or > at);
            let or = or.ok_or_else(|| cannot("which of two it is, but for which was first"))?;
            self.form = Form::Order;
            self.other = clause(&words[or + 1..]);
            return Ok(words[at + 1..or].to_vec());
        }
        if asks_when || has(&["last", "time"]) || has(&["first", "time"]) || has(&["most", "recently"]) {
            let firsts: [&[&str]; 7] = [
                &["for", "the", "first", "time"],
                &["the", "first", "time"],
                &["first", "time"],
                &["the", "earliest", "moment"],
                &["the", "earliest", "time"],
                &["earliest"],
                &["first"],
            ];
            let lasts: [&[&str]; 7] = [
                &["for", "the", "last", "time"],
                &["the", "last", "time"],
                &["last", "time"],
                &["the", "latest", "time"],
                &["most", "recently"],
                &["latest"],
                &["last"],
            ];
            let anchored = self.split(&mut words, &[]);
            let is_first = firsts.iter().any(|what| remove(&mut words, what));
            let is_last = lasts.iter().any(|what| remove(&mut words, what));
            if asks_when || is_first || is_last {
                // `What happened after the last time someone fell?` has it behind the anchor, and is not meant here.
                self.form = if is_first { Form::First } else { Form::Last };
                for what in [&["at", "what", "time"][..], &["what", "time"], &["when"], &["what"]] {
                    if remove(&mut words, what) {
                        break;
                    }
                }
                return Ok(words);
            }
            if let Some((side, _)) = anchored {
                return self.what(&words, Some(side));
            }
        }
        let counts: [&[&str]; 9] = [
            &["how", "often"],
            &["how", "many", "times"],
            &["on", "how", "many", "occasions"],
            &["how", "many", "occasions"],
            &["count", "the", "times"],
            &["count", "how", "often"],
            &["what", "is", "the", "number", "of", "times"],
            &["the", "number", "of", "times"],
            &["count"],
        ];
        if let Some(what) = counts.iter().find(|what| has(what)) {
            self.form = Form::Count;
            remove(&mut words, what);
            self.split(&mut words, &[]);
            return Ok(words);
        }
        let durations: [&[&str]; 8] = [
            &["for", "how", "long"],
            &["how", "long"],
            &["how", "much", "time"],
            &["how", "many", "minutes"],
            &["how", "many", "hours"],
            &["what", "is", "the", "total", "time", "with"],
            &["what", "was", "the", "total", "time", "with"],
            &["the", "total", "time", "with"],
        ];
        if let Some(what) = durations.iter().find(|what| has(what)) {
            self.form = Form::Duration;
            remove(&mut words, what);
            self.split(&mut words, &[]);
            return Ok(words);
        }
        if starts(&words, &["how", "many", "alerts"]) || starts(&words, &["how", "many", "alarms"]) {
            self.form = Form::Count;
            return Ok(words[2..3].to_vec());
        }
        match first.as_str() {
            "how" => return Err(cannot("how it was, or how many there were")),
            "who" | "whose" | "whom" => return Err(cannot("who it was: I do not know people apart")),
            "why" => return Err(cannot("why")),
            "what" | "which" | "summarise" | "summarize" | "summary" | "anything" | "list" => {
                let anchored = self.split(&mut words, &["followed", "preceded"]);
                return self.what(&words, anchored.map(|(side, _)| side));
            }
            "where" => return Err(cannot("where, but for which camera saw it; ask when it was")),
            _ => {}
        }
        self.split(&mut words, &[]);
        let there = [
            &["was", "there", "a", "time", "when"][..],
            &["was", "there", "a", "moment", "when"],
            &["was", "there", "a", "moment", "that"],
            &["was", "there", "a", "time", "that"],
            &["has", "it", "happened", "that"],
            &["did", "it", "happen", "that"],
        ];
        if there.iter().any(|what| starts(&words, what) && remove(&mut words, what)) {
            return Ok(words);
        }
        let any = position(&words, &["alert"]).or(position(&words, &["alerts"])).or(position(&words, &["alarms"]));
        let verb = matches!(first.as_str(), "is" | "are" | "was" | "were" | "isn't" | "wasn't" | "aren't" | "weren't");
        self.was = verb;
        if any.is_none() && (verb || (matches!(self.when, When::Now) && self.anchor.is_none())) {
            let present = matches!(first.as_str(), "is" | "are" | "isn't" | "aren't");
            // `Is someone sitting there` is about now, whatever else is not said.
            if present && self.when == When::Ever {
                self.when = When::Now;
            }
            if matches!(self.when, When::Now | When::At(_)) {
                self.form = Form::State;
            }
        }
        Ok(words)
    }

    /// What happened, or what came next.
    fn what(&mut self, words: &[String], side: Option<Side>) -> Result<Vec<String>, Refusal> {
        const KNOWN: [&str; 13] = [
            "happened",
            "happen",
            "happening",
            "going",
            "went",
            "see",
            "seen",
            "came",
            "was",
            "did",
            "missed",
            "miss",
            "been",
        ];
        const BESIDE: [&str; 26] = [
            "what",
            "which",
            "anything",
            "on",
            "in",
            "next",
            "came",
            "you",
            "have",
            "has",
            "i",
            "there",
            "summary",
            "summarise",
            "summarize",
            "list",
            "events",
            "everything",
            "all",
            "followed",
            "preceded",
            "just",
            "right",
            "is",
            "of",
            "the",
        ];
        let other = words
            .iter()
            .find(|word| !KNOWN.contains(&word.as_str()) && !BESIDE.contains(&word.as_str()) && *word != ",");
        if let Some(other) = other {
            return Err(cannot(&format!("what you ask with `{other}`")));
        }
        self.form = match side {
            None => Form::What,
            Some(Side::After) => Form::Next,
            Some(Side::Before) => Form::Previous,
        };
        Ok(Vec::new())
    }

    /// Takes what it should be before or after away from the words.
    fn split(&mut self, words: &mut Vec<String>, more: &[&str]) -> Option<(Side, usize)> {
        let is_side = |at: usize| {
            side_of(&words[at..]).filter(|_| {
                !matches!(words[at].as_str(), "followed" | "preceded") || more.contains(&words[at].as_str())
            })
        };
        let (at, side) = (1..words.len()).find_map(|at| is_side(at).map(|side| (at, side)))?;
        let skip = usize::from(words.get(at + 1).is_some_and(|word| word == "than" || word == "by" || word == "on"));
        let behind = clause(&words[at + 1 + skip..]);
        if behind.split(' ').any(is_content) {
            self.anchor = Some((side, behind));
            words.truncate(at);
            while words.last().is_some_and(|word| {
                matches!(word.as_str(), "right" | "just" | "shortly" | "soon" | "directly" | "immediately")
            }) {
                words.pop();
            }
            return Some((side, at));
        }
        None
    }

    /// What is left is what is asked about.
    fn subject(&mut self, mut words: Vec<String>) -> Result<(), Refusal> {
        if matches!(self.form, Form::What | Form::Next | Form::Previous) {
            return Ok(());
        }
        // `nobody` of something that plays to nobody is part of it.
        if let Some(at) = position(&words, &["nobody"])
            && words[..at].iter().all(|word| !is_content(word))
        {
            words[at] = "someone".into();
            self.nobody = true;
        }
        self.about = clause(&words);
        if self.about.is_empty() || (self.form == Form::Order && self.other.is_empty()) {
            return Err(format!("I do not understand what is asked about. {CANNOT}."));
        }
        Ok(())
    }
}

/// `nobody` is asked about in the other sense; other negations are not understood, which is said.
fn negation(words: &mut Vec<String>) -> Result<(), Refusal> {
    if let Some(at) = position(words, &["no", "one"]) {
        words.splice(at..at + 2, ["nobody".to_owned()]);
    }
    let not = |word: &String| matches!(word.as_str(), "not" | "never" | "without" | "neither" | "cannot");
    let negated = words.iter().skip(1).any(|word| word.ends_with("n't")) || words.iter().any(not);
    if negated {
        return Err("I do not understand `not`. Ask whether it did happen.".into());
    }
    if let Some(word) = words.first_mut().filter(|word| word.ends_with("n't")) {
        word.truncate(word.len() - 3);
    }
    Ok(())
}

fn side_of(words: &[String]) -> Option<Side> {
    Some(match words.first()?.as_str() {
        "before" | "preceded" => Side::Before,
        "after" | "since" | "following" | "followed" => Side::After,
        "later" if words.get(1).is_some_and(|word| word == "than") => Side::After,
        "earlier" if words.get(1).is_some_and(|word| word == "than") => Side::Before,
        _ => return None,
    })
}

/// Words without what leads to them.
fn clause(words: &[String]) -> String {
    const LEAD: [&str; 26] = [
        "did", "does", "do", "was", "were", "is", "are", "has", "have", "had", "been", "be", "that", "when", "the",
        "time", "last", "moment", "of", "there", "it", "you", "see", "any", ",", "with",
    ];
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    // `the` before what is asked about stays, for the text encoder reads it too.
    while let Some((first, rest)) = words.split_first()
        && LEAD.contains(first)
        && !(*first == "the" && rest.first().is_none_or(|next| !matches!(*next, "last" | "time" | "moment")))
        && !rest.is_empty()
    {
        words.remove(0);
    }
    while words.last().is_some_and(|last| matches!(*last, "," | "the" | "happen" | "happened" | "there" | "been"))
        && words.len() > 1
    {
        words.pop();
    }
    // `has the light been on`
    words.retain(|word| !matches!(*word, "," | "been"));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-03-29T20:00:00+02:00[Europe/Berlin]".parse().expect("a date")
    }

    fn of(text: &str) -> Result<Question, Refusal> {
        read(text, &["kitchen".into(), "front-door".into(), "camera".into()], &now())
    }

    #[test]
    fn forms_are_known_by_their_words() {
        for (text, form, about) in [
            ("When did someone last open the fridge?", Form::Last, "someone open the fridge"),
            ("When was the last time someone came in?", Form::Last, "someone came in"),
            ("how long ago did anyone fall", Form::Last, "anyone fall"),
            ("How long has it been since someone fell?", Form::Last, "someone fell"),
            ("When did someone first come in today?", Form::First, "someone come in"),
            ("How often did the door open today?", Form::Count, "the door open"),
            ("How long was someone sitting yesterday?", Form::Duration, "someone sitting"),
            ("Did anyone fall in the last 3 hours?", Form::Happened, "anyone fall"),
            ("Can you tell me if anyone fell?", Form::Happened, "anyone fell"),
            ("Is the light on?", Form::State, "the light on"),
            ("Was the light on at 9 pm?", Form::State, "the light on"),
            ("Was someone asleep this morning?", Form::Happened, "someone asleep"),
            ("Since when has the light been on?", Form::Since, "the light on"),
            ("How long has the light been on?", Form::Since, "the light on"),
            ("What happened between 8 and 9?", Form::What, ""),
            ("Were there any alerts today?", Form::Happened, "alerts"),
        ] {
            let question = of(text).expect(text);
            assert_eq!((question.form, question.about.as_str()), (form, about), "{text}");
        }
    }

    #[test]
    fn one_thing_may_hang_on_another() {
        for (text, form, about, side, anchor) in [
            ("What happened after the last time someone fell?", Form::Next, "", Side::After, "someone fell"),
            ("What came right before someone fell in the kitchen?", Form::Previous, "", Side::Before, "someone fell"),
            ("Did anyone drink after someone came in?", Form::Happened, "anyone drink", Side::After, "someone came in"),
            (
                "After the door opened, did anyone come in?",
                Form::Happened,
                "anyone come in",
                Side::After,
                "the door opened",
            ),
            (
                "How often did the door open since the light went off?",
                Form::Count,
                "the door open",
                Side::After,
                "the light went off",
            ),
            (
                "When did someone last drink before someone fell?",
                Form::Last,
                "someone drink",
                Side::Before,
                "someone fell",
            ),
        ] {
            let question = of(text).expect(text);
            assert_eq!((question.form, question.about.as_str()), (form, about), "{text}");
            assert_eq!(question.anchor, Some((side, anchor.to_owned())), "{text}");
        }
        let order = of("Which came first today, someone fell or the door opened?").expect("an order");
        assert_eq!(
            (order.form, order.about.as_str(), order.other.as_str()),
            (Form::Order, "someone fell", "the door opened")
        );
    }

    #[test]
    fn cameras_and_nobody_are_heard() {
        let question = of("Was nobody in the kitchen at 9?").expect("a question");
        assert_eq!((question.camera.as_deref(), question.nobody), (Some("kitchen"), true));
        let question = of("did anyone come to the front door today").expect("a question");
        assert_eq!(question.camera.as_deref(), Some("front-door"));
        assert_eq!(of("is the camera blind now").expect("a question").camera, None);
        let things: Vec<String> = ["floor", "door", "today"].map(str::to_owned).to_vec();
        for (text, camera) in [
            ("Did someone fall to the floor?", None),
            ("Did the door open today?", None),
            ("Did someone wave at the door?", Some("door")),
            ("Did someone wave on camera door?", Some("door")),
            ("Did the floor camera see that someone fell?", Some("floor")),
        ] {
            let question = read(text, &things, &now()).expect(text);
            assert_eq!(question.camera.as_deref(), camera, "{text}");
            assert!(!question.about.contains("camera"), "{text}: {}", question.about);
        }
    }

    #[test]
    fn what_cannot_be_answered_is_said() {
        for (text, why) in [
            ("", "no question"),
            ("?!,", "no question"),
            ("Who was there?", "who it was"),
            ("Why did he fall?", "cannot tell why"),
            ("What colour was the cup?", "`colour`"),
            ("How did he feel?", "how it was"),
            ("Did anyone not fall?", "`not`"),
            ("Did anyone fall on 2026-02-30?", "the time"),
            ("when", "what is asked about"),
            ("Did someone fall in October?", "`october`"),
            ("Did someone get up within a minute after the fall?", "`minute`"),
            ("Did someone fall in the last -5 minutes?", "`minutes`"),
            ("Did someone fall anywhere but the kitchen?", "`but`"),
            ("Did it fall?", "`it`"),
            ("\u{0}\u{7}", "no question"),
        ] {
            let refusal = of(text).expect_err(text);
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
    }
}
