//! From what is asked for to an answer with its evidence.

use std::cmp::Reverse;

use jiff::Zoned;
use jiff::civil::Date;
use ocelli_types::EventKind;

use super::chapters;
use super::question::{self, Form, Question, Side};
use super::subject::{self, Meaning, Meant, Subject, quoted};
use super::timeline::{self, Gap, State};
use super::when::{Period, When, clock, unix_ms, zoned};
use crate::{Found, Journal, JournalError, Query};

/// Most events that an answer names.
const MOST_EVIDENCE: usize = 64;

/// Sentences that tell what happened in a time, shared out among its parts.
const SENTENCES: usize = 8;

/// How far back it goes what happens `right now`.
const JUST_NOW_MS: u64 = 5 * 60_000;

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A moment, milliseconds since 1970.
    Time(u64),
    /// How often.
    Count(u64),
    /// How long, seconds.
    Seconds(f64),
    /// Yes or no.
    Yes(bool),
    /// One kind.
    Kind(String),
    /// Kinds with how often each was told, the most frequent first.
    Kinds(Vec<(String, u64)>),
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// In words.
    pub text: String,
    /// How the question was understood, where it was.
    pub form: Option<Form>,
    /// What it comes to; `None` where it never was, or is not known.
    pub value: Option<Value>,
    /// What the answer is about: from its first event, or where it begins, to its last.
    pub span: Option<Period>,
    /// The time that was searched.
    pub period: Option<Period>,
    /// The camera that was asked about.
    pub camera: Option<String>,
    /// The kind that was meant.
    pub kind: Option<String>,
    /// Ids of the events that it rests on, 64 of them at most.
    pub evidence: Vec<u64>,
    /// When nobody looked in that time.
    pub gaps: Vec<Gap>,
    /// 0 to 1: how surely it was understood, times how sure the events are that it rests on.
    pub confidence: f32,
    /// There is no answer; the text says why.
    pub abstained: bool,
}

impl Answer {
    /// None, because of this.
    pub fn refused(text: String) -> Self {
        Self {
            text,
            form: None,
            value: None,
            span: None,
            period: None,
            camera: None,
            kind: None,
            evidence: Vec::new(),
            gaps: Vec::new(),
            confidence: 0.0,
            abstained: true,
        }
    }
}

/// One who answers.
pub struct Asker<'a> {
    /// What was told.
    pub journal: &'a Journal,
    /// What words mean.
    pub meaning: &'a mut dyn Meaning,
    /// The date, in the time zone of the house.
    pub now: Zoned,
    /// The camera that all questions are about which name none.
    pub camera: Option<String>,
}

/// What was found of a subject, bounded whatever there is.
#[derive(Debug, Default)]
struct Tally {
    count: u64,
    first: Option<Found>,
    last: Option<Found>,
    ids: Vec<u64>,
    score: f64,
}

impl Tally {
    fn add(&mut self, event: &Found) {
        self.count += 1;
        self.score += f64::from(event.score);
        if self.ids.len() == MOST_EVIDENCE {
            self.ids.remove(0);
        }
        self.ids.push(event.id);
        if self.first.as_ref().is_none_or(|first| event.start_ms < first.start_ms) {
            self.first = Some(event.clone());
        }
        if self.last.as_ref().is_none_or(|last| event.start_ms >= last.start_ms) {
            self.last = Some(event.clone());
        }
    }

    fn sure(&self) -> f32 {
        if self.count == 0 { 1.0 } else { (self.score / self.count as f64) as f32 }
    }
}

/// A question with all that its answer is made of.
struct Case {
    question: Question,
    /// The time that is searched, up to now.
    period: Period,
    /// As the question names it, for the text; empty where it names none.
    said: String,
    cameras: Vec<String>,
    gaps: Vec<Gap>,
    confidence: f32,
    evidence: Vec<u64>,
}

impl std::fmt::Debug for Asker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("journal", &self.journal).field("now", &self.now).finish_non_exhaustive()
    }
}

impl Asker<'_> {
    /// Answers a question in plain words.
    ///
    /// # Errors
    /// The journal cannot be read. What cannot be answered is an answer too.
    pub fn ask(&mut self, text: &str) -> Result<Answer, JournalError> {
        let Some(watched) = self.watched()? else {
            let none =
                "The journal knows of no date: nothing is in it yet, or only clips that were replayed without one.";
            return Ok(Answer::refused(none.into()));
        };
        let all = self.journal.cameras()?;
        let mut question = match question::read(text, &all, &self.now) {
            Ok(question) => question,
            Err(refusal) => return Ok(Answer::refused(refusal)),
        };
        if question.camera.is_none() {
            question.camera.clone_from(&self.camera);
        }
        let now_ms = unix_ms(&self.now);
        let ever = Period { start_ms: watched.start_ms, end_ms: now_ms.max(watched.start_ms) + 1 };
        if question.form == Form::What && question.when == When::Now {
            question.when = When::In(Period { start_ms: now_ms.saturating_sub(JUST_NOW_MS), end_ms: now_ms + 1 });
        }
        let asked = question.when.period(now_ms);
        let period = match asked {
            None => ever,
            Some(period) => Period { end_ms: period.end_ms.min(now_ms + 1), ..period },
        };
        let form = question.form;
        let blank = |answer: Answer| Answer {
            form: Some(form),
            period: Some(period),
            camera: question.camera.clone(),
            ..answer
        };
        if period.start_ms > now_ms || period.length_ms() == 0 {
            return Ok(blank(Answer::refused("That time is still to come.".into())));
        }
        if period.end_ms <= watched.start_ms {
            let begins = self.moment(watched.start_ms);
            return Ok(blank(Answer::refused(format!("I do not know: the journal begins {begins}."))));
        }
        let cameras = question.camera.as_ref().map_or(all, |camera| vec![camera.clone()]);
        let gaps = timeline::gaps(self.journal, watched, period, question.camera.as_deref())?;
        let said = asked.map_or_else(String::new, |period| format!(" {}", self.period(period)));
        let mut case = Case { question, period, said, cameras, gaps, confidence: 1.0, evidence: Vec::new() };
        let answer = self.answer(&mut case)?;
        // What was refused for its words has no gaps of its own.
        let kept =
            Answer { form: Some(form), period: Some(case.period), camera: case.question.camera.clone(), ..answer };
        Ok(kept)
    }

    /// The digest of a day.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn digest(&mut self, day: Date) -> Result<chapters::Digest, JournalError> {
        let bound = |date: Date| date.to_zoned(self.now.time_zone().clone()).map_or(u64::MAX, |at| unix_ms(&at));
        let end_ms = bound(day.tomorrow().unwrap_or(Date::MAX)).min(unix_ms(&self.now) + 1);
        let period = Period { start_ms: bound(day), end_ms };
        let gaps = match self.watched()? {
            Some(watched) if period.length_ms() > 0 => {
                timeline::gaps(self.journal, watched, period, self.camera.as_deref())?
            }
            _ => Vec::new(),
        };
        chapters::digest(self.journal, period, self.camera.as_deref(), gaps)
    }

    fn watched(&self) -> Result<Option<Period>, JournalError> {
        let watched = self.journal.watched()?;
        Ok(watched.map(|(start_ms, end_ms)| Period { start_ms, end_ms: end_ms.max(start_ms) }))
    }

    fn answer(&mut self, case: &mut Case) -> Result<Answer, JournalError> {
        let seen = timeline::seen_ms(case.period, &case.gaps, case.cameras.len());
        let anchor = case.question.anchor.clone();
        if let Some((side, phrase)) = &anchor
            && let Some(refused) = self.hang_on(case, *side, phrase)?
        {
            return Ok(refused);
        }
        match case.question.form {
            Form::What => return self.what(case, seen),
            Form::Next | Form::Previous => return self.beside(case),
            Form::Order => return self.order(case),
            _ => {}
        }
        let form = case.question.form;
        let about = case.question.about.clone();
        let state = matches!(form, Form::State | Form::Duration | Form::Since);
        let Meant { subject, confidence } = match self.resolve(&about, state)? {
            Ok(meant) => meant,
            Err(refusal) => return Ok(Answer::refused(refusal)),
        };
        case.confidence *= confidence;
        if case.question.nobody
            && let Some(refused) = turned(form, &subject)
        {
            return Ok(Answer::refused(refused.into()));
        }
        let kind = if let Subject::Kind(kind) = &subject { Some(kind.clone()) } else { None };
        let moment = matches!(case.question.when, When::At(_));
        if matches!(subject, Subject::Motion(_)) && (form == Form::Since || form == Form::State && !moment) {
            let why = "I cannot tell whether a camera moves now, for that is told when it is over. Ask whether it moved, in a time.";
            return Ok(Answer::refused(why.into()));
        }
        let answer = match form {
            Form::State if matches!(subject, Subject::Motion(_)) => self.happened(case, &subject, seen),
            Form::State => self.state(case, &subject),
            Form::Since => self.since(case, &subject),
            Form::Duration => self.duration(case, &subject, seen),
            Form::Count => self.count(case, &subject, seen),
            Form::Happened => self.happened(case, &subject, seen),
            _ => self.moment_of(case, &subject, seen),
        }?;
        Ok(Answer { kind: answer.kind.or(kind), ..answer })
    }

    fn resolve(&mut self, phrase: &str, state: bool) -> Result<Result<Meant, String>, JournalError> {
        subject::resolve(phrase, state, self.journal, self.meaning)
    }

    /// Cuts the time to what is before or after something else: after the first of a time that is named, else after the last; before the
    /// last.
    fn hang_on(&mut self, case: &mut Case, side: Side, phrase: &str) -> Result<Option<Answer>, JournalError> {
        let Meant { subject, confidence } = match self.resolve(phrase, false)? {
            Ok(meant) => meant,
            Err(refusal) => return Ok(Some(Answer::refused(refusal))),
        };
        case.confidence *= confidence;
        let tally = self.tally(case, &subject, case.period)?;
        let beside = matches!(case.question.form, Form::Next | Form::Previous);
        let first = side == Side::After && !case.said.is_empty() && !beside;
        let event = if first { tally.first } else { tally.last };
        let Some(event) = event else {
            let text = format!("I did not see that {phrase}{}{}.", case.said, self.admitted(&case.gaps));
            return Ok(Some(Answer::refused(text)));
        };
        let at_ms = event.start_ms.unwrap_or(0);
        case.evidence.push(event.id);
        case.period = match side {
            Side::After => Period { start_ms: at_ms + 1, ..case.period },
            Side::Before => Period { end_ms: at_ms, ..case.period },
        };
        // What came next is asked of the camera that saw it.
        if beside {
            case.cameras = vec![event.camera.clone()];
        }
        let when = self.moment(at_ms);
        case.said = format!(" {} that ({when})", if side == Side::After { "after" } else { "before" });
        case.gaps = case
            .gaps
            .iter()
            .filter_map(|gap| gap.period.with(case.period).map(|period| Gap { period, ..gap.clone() }))
            .collect();
        Ok(None)
    }

    /// Events of the subject that began in a period.
    fn tally(&self, case: &Case, subject: &Subject, period: Period) -> Result<Tally, JournalError> {
        let state = State::of(subject, self.meaning);
        let mut tally = Tally::default();
        let query = Query {
            since_ms: Some(period.start_ms),
            until_ms: Some(period.end_ms),
            camera: case.question.camera.as_deref(),
            ..Query::default()
        };
        let query = match subject {
            Subject::Presence => query,
            Subject::Kind(kind) => Query { kind: Some(kind), ..query },
            Subject::Words(words) => Query { words, ..query },
            Subject::Type(of) => Query { kind: Some(of.name()), ..query },
            Subject::Motion(_) => Query { kind: Some(EventKind::Camera.name()), ..query },
        };
        self.journal.each(&query, false, &mut |event| {
            let fits = match subject {
                Subject::Presence => state.says(&event) == timeline::Says::Yes,
                Subject::Kind(_) => event.kind == EventKind::Narration,
                Subject::Words(_) => event.kind != EventKind::AlertEnd,
                Subject::Type(_) => true,
                Subject::Motion(texts) => texts.iter().any(|text| event.text.contains(text)),
            };
            if fits {
                tally.add(&event);
            }
            true
        })?;
        Ok(tally)
    }

    fn moment_of(&self, case: &Case, subject: &Subject, seen_ms: u64) -> Result<Answer, JournalError> {
        let tally = self.tally(case, subject, case.period)?;
        let first = case.question.form == Form::First;
        let event = if first { &tally.first } else { &tally.last };
        let Some(event) = event else { return Ok(self.never(case, seen_ms, None)) };
        let at_ms = event.start_ms.unwrap_or(0);
        let which = match (first, tally.count) {
            (_, 1) => "",
            (true, _) => "First ",
            (false, _) => "Last ",
        };
        let more =
            if tally.count > 1 { format!(" ({} in all{})", times(tally.count), case.said) } else { String::new() };
        // What nobody saw may have been earlier than the first, or later than the last.
        let open = case.gaps.iter().filter(|gap| {
            case.said.is_empty() && if first { gap.period.start_ms < at_ms } else { gap.period.end_ms > at_ms }
        });
        let open = self.aside(&open.cloned().collect::<Vec<_>>());
        let text = format!(
            "{}, {}: {}{more}.{open}",
            capital(&format!("{which}{}", self.moment(at_ms))),
            event.camera,
            quoted(&event.text)
        );
        Ok(Answer {
            span: Some(of_event(event)),
            ..self.found(case, text, Value::Time(at_ms), vec![event.id], event.score)
        })
    }

    fn count(&self, case: &Case, subject: &Subject, seen_ms: u64) -> Result<Answer, JournalError> {
        let tally = self.tally(case, subject, case.period)?;
        let (Some(first), Some(last)) = (&tally.first, &tally.last) else {
            return Ok(self.never(case, seen_ms, Some(Value::Count(0))));
        };
        let (from, to) = (first.start_ms.unwrap_or(0), last.start_ms.unwrap_or(0));
        let between = if tally.count == 1 {
            self.moment(from)
        } else {
            format!("first {}, last {}", self.moment(from), self.moment(to))
        };
        let text = format!("{}{}: {}, {between}.", capital(&times(tally.count)), case.said, quoted(&last.text));
        let answer = self.found(case, text, Value::Count(tally.count), tally.ids.clone(), tally.sure());
        Ok(Answer { span: Some(Period { start_ms: from, end_ms: timeline::end_ms(last) }), ..answer })
    }

    fn happened(&self, case: &Case, subject: &Subject, seen_ms: u64) -> Result<Answer, JournalError> {
        let mut tally = self.tally(case, subject, case.period)?;
        // It may have begun before and lasted.
        if tally.count == 0 && case.question.was && case.question.anchor.is_none() {
            self.stretches(case, subject, &mut |event, _| tally.add(event))?;
            if let Some(unknown) = self.unknown_before(case, subject, tally.count)? {
                return Ok(unknown);
            }
        }
        let nobody = case.question.nobody;
        let Some(first) = &tally.first else { return Ok(self.never(case, seen_ms, Some(Value::Yes(nobody)))) };
        let more = if tally.count > 1 { format!(", {}", times(tally.count)) } else { String::new() };
        let at_ms = first.start_ms.unwrap_or(0);
        let when = if tally.count > 1 { format!("first {}", self.moment(at_ms)) } else { self.moment(at_ms) };
        let yes = if nobody { "No" } else { "Yes" };
        let text = format!(
            "{yes}{}{}{more}: {}, {}, {when}.",
            comma(&case.said),
            case.said,
            quoted(&first.text),
            first.camera
        );
        let answer = self.found(case, text, Value::Yes(!nobody), tally.ids.clone(), tally.sure());
        Ok(Answer { span: Some(of_event(first)), ..answer })
    }

    fn duration(&self, case: &Case, subject: &Subject, seen_ms: u64) -> Result<Answer, JournalError> {
        let (mut tally, mut total_ms, mut stretches) = (Tally::default(), 0, 0);
        let mut span: Option<Period> = None;
        let mut periods = Vec::new();
        self.stretches(case, subject, &mut |event, stretch| {
            tally.add(event);
            periods.push(stretch);
            total_ms += stretch.length_ms();
            stretches += u64::from(span.is_none_or(|span| span.end_ms != stretch.start_ms));
            let start_ms = span.map_or(stretch.start_ms, |span| span.start_ms.min(stretch.start_ms));
            span = Some(Period { start_ms, end_ms: span.map_or(0, |span| span.end_ms).max(stretch.end_ms) });
        })?;
        if *subject == Subject::Type(EventKind::Blind) {
            return self.blind(case, seen_ms);
        }
        if let Some(unknown) = self.unknown_before(case, subject, tally.count)? {
            return Ok(unknown);
        }
        if case.question.nobody {
            return Ok(self.without(case, periods, &tally, seen_ms));
        }
        let Some(last) = &tally.last else { return Ok(self.never(case, seen_ms, Some(Value::Seconds(0.0)))) };
        let often = if stretches > 1 { format!(" in {stretches} stretches") } else { String::new() };
        let text = format!("{}{often}{}: {}.", capital(&length(total_ms)), case.said, quoted(&last.text));
        let value = Value::Seconds(total_ms as f64 / 1000.0);
        Ok(Answer { span, ..self.found(case, text, value, tally.ids.clone(), tally.sure()) })
    }

    /// For how long cameras were blind, each for itself.
    fn blind(&self, case: &Case, seen_ms: u64) -> Result<Answer, JournalError> {
        let tally = self.tally(case, &Subject::Type(EventKind::Blind), case.period)?;
        let blind: Vec<Gap> = case.gaps.iter().filter(|gap| gap.camera.is_some()).cloned().collect();
        let (Some(first), Some(last)) = (blind.first(), blind.last()) else {
            return Ok(self.never(case, seen_ms, Some(Value::Seconds(0.0))));
        };
        let span = Period { start_ms: first.period.start_ms, end_ms: last.period.end_ms };
        let total_ms = blind.iter().map(|gap| gap.period.length_ms()).sum::<u64>();
        let text = format!("{}{}.", capital(&length(total_ms)), case.said);
        let value = Value::Seconds(total_ms as f64 / 1000.0);
        Ok(Answer { span: Some(span), ..self.found(case, text, value, tally.ids, 1.0) })
    }

    /// For how long nobody was so: what of the time is in no stretch of any camera, and was watched by all.
    fn without(&self, case: &Case, mut periods: Vec<Period>, tally: &Tally, seen_ms: u64) -> Answer {
        if seen_ms == 0 {
            return self.never(case, seen_ms, None);
        }
        periods.extend(case.gaps.iter().filter_map(|gap| gap.period.with(case.period)));
        periods.sort_unstable_by_key(|period| period.start_ms);
        let (mut left_ms, mut until) = (0, case.period.start_ms);
        for period in periods {
            left_ms += period.start_ms.saturating_sub(until);
            until = until.max(period.end_ms);
        }
        left_ms += case.period.end_ms.saturating_sub(until);
        let text = format!("{}{}, that I saw.", capital(&length(left_ms)), case.said);
        let value = Value::Seconds(left_ms as f64 / 1000.0);
        self.found(case, text, value, tally.ids.clone(), tally.sure())
    }

    /// Stretches of the time in which the subject was so.
    fn stretches(
        &self,
        case: &Case,
        subject: &Subject,
        see: &mut dyn FnMut(&Found, Period),
    ) -> Result<(), JournalError> {
        let Some(watched) = self.watched()? else { return Ok(()) };
        State::of(subject, self.meaning).stretches(self.journal, watched, case.period, &case.cameras, see)
    }

    /// Where nothing tells in the time whether it was so, and nobody looked shortly before, that is not known.
    fn unknown_before(&self, case: &Case, subject: &Subject, told: u64) -> Result<Option<Answer>, JournalError> {
        let told = told > 0 || matches!(subject, Subject::Motion(_) | Subject::Type(EventKind::Blind));
        let Some(watched) = self.watched()?.filter(|watched| !told && case.period.start_ms > watched.start_ms) else {
            return Ok(None);
        };
        let before = self.state_at(case, subject, case.period.start_ms, false)?;
        // A word of the time itself counts for more.
        let mut word = false;
        let state = State::of(subject, self.meaning);
        for camera in &case.cameras {
            let last = state.last_word(self.journal, case.period.end_ms, camera)?;
            word |= last.is_some_and(|(event, _)| event.start_ms >= Some(case.period.start_ms.max(watched.start_ms)));
        }
        Ok(Some(before).filter(|before| before.abstained && !before.gaps.is_empty() && !word))
    }

    /// Whether it is so now, or was at a moment.
    fn state(&self, case: &Case, subject: &Subject) -> Result<Answer, JournalError> {
        let (at_ms, now) = match case.question.when {
            When::At(at_ms) => (at_ms, false),
            _ => (unix_ms(&self.now), true),
        };
        self.state_at(case, subject, at_ms, now)
    }

    /// By the last word of each camera before a moment.
    fn state_at(&self, case: &Case, subject: &Subject, at_ms: u64, now: bool) -> Result<Answer, JournalError> {
        let now_ms = unix_ms(&self.now);
        let Some(watched) = self.watched()? else { return Ok(Answer::refused("Nothing was watched.".into())) };
        if at_ms > now_ms || at_ms < watched.start_ms {
            let begins = self.moment(watched.start_ms);
            return Ok(Answer::refused(format!("I do not know: the journal begins {begins}.")));
        }
        let state = State::of(subject, self.meaning);
        let (mut words, mut unseen) = (Vec::new(), Vec::new());
        for camera in &case.cameras {
            let word = state.last_word(self.journal, at_ms, camera)?;
            let start_ms = word.as_ref().and_then(|(event, _)| event.start_ms).unwrap_or(at_ms);
            let since = Period { start_ms, end_ms: at_ms + 1 };
            let since = timeline::gaps(self.journal, watched, since, Some(camera))?;
            match word {
                Some((event, yes)) => words.push((event, yes, since)),
                None => unseen.extend(since),
            }
        }
        let when = if now { String::new() } else { format!(" {}", self.moment(at_ms)) };
        // One camera that sees it is enough; that no camera does takes all of them.
        words.sort_by_key(|(event, yes, since)| (!*yes, !since.is_empty(), Reverse(event.start_ms)));
        let sure = words.first().is_some_and(|(_, yes, since)| *yes && since.is_empty());
        let blind = if words.is_empty() { unseen } else { words.iter().flat_map(|word| word.2.clone()).collect() };
        let blind = Some(blind).filter(|blind| !sure && !blind.is_empty());
        let of = if let Some((event, yes, _)) = words.first() {
            let so = if *yes == case.question.nobody { "not so" } else { "so" };
            let at = self.moment(event.start_ms.unwrap_or(0));
            format!(" Before that it was {so}: {}, {}, {at}.", quoted(&event.text), event.camera)
        } else {
            String::new()
        };
        if let Some(blind) = blind {
            let text = format!("I do not know{when}{}.{of}", self.admitted(&blind));
            let evidence = words.first().map(|word| word.0.id).into_iter().collect();
            return Ok(Answer { gaps: blind, evidence, ..Answer::refused(text) });
        }
        let Some((event, yes, _)) = words.first() else {
            let text = format!("I do not know{when}: nothing was told of it before.");
            return Ok(Answer::refused(text));
        };
        let answer = *yes != case.question.nobody;
        let at = self.moment(event.start_ms.unwrap_or(0));
        let word = if answer { "Yes" } else { "No" };
        let text = format!("{word}{}{when}: {}, {}, {at}.", comma(&when), quoted(&event.text), event.camera);
        let ids = if *yes { vec![event.id] } else { words.iter().map(|word| word.0.id).collect() };
        let found = self.found(case, text, Value::Yes(answer), ids, event.score);
        Ok(Answer {
            span: Some(Period { start_ms: event.start_ms.unwrap_or(0), end_ms: at_ms }),
            gaps: Vec::new(),
            ..found
        })
    }

    fn since(&self, case: &mut Case, subject: &Subject) -> Result<Answer, JournalError> {
        case.question.when = When::Now;
        let state = self.state(case, subject)?;
        let (Some(Value::Yes(true)), Some(span), Some(event)) = (&state.value, state.span, state.evidence.first())
        else {
            if state.abstained {
                return Ok(state);
            }
            let text = state.text.replacen("No:", "Not now:", 1);
            return Ok(Answer { value: None, text, ..state });
        };
        if case.question.nobody {
            return self.since_nobody(case, subject, state);
        }
        // What lasts until it is undone may have been told again meanwhile.
        let mut began = span.start_ms;
        let mut from = *event;
        if let Some(event) = self.journal.event(from)? {
            let of = State::of(subject, self.meaning);
            let query = Query {
                camera: Some(&event.camera),
                since_ms: Some(0),
                until_ms: Some(span.start_ms),
                ..Query::default()
            };
            self.journal.each(&query, true, &mut |event| match of.says(&event) {
                timeline::Says::Yes => {
                    (began, from) = (event.start_ms.unwrap_or(began), event.id);
                    true
                }
                timeline::Says::No => false,
                timeline::Says::Nothing => true,
            })?;
        }
        let long = length(span.end_ms.saturating_sub(began));
        let said = self
            .journal
            .event(from)?
            .map_or_else(String::new, |event| format!(", {}: {}", event.camera, quoted(&event.text)));
        let text = format!("Since {}, for {long}{said}.", self.moment(began));
        Ok(Answer {
            text,
            value: Some(Value::Time(began)),
            span: Some(Period { start_ms: began, ..span }),
            evidence: vec![from],
            ..state
        })
    }

    /// Since when it has been so for nobody: since the last camera to see it told that it was over.
    fn since_nobody(&self, case: &Case, subject: &Subject, state: Answer) -> Result<Answer, JournalError> {
        let of = State::of(subject, self.meaning);
        let mut began: Option<Found> = None;
        for camera in &case.cameras {
            let mut over = None;
            let until_ms = Some(unix_ms(&self.now) + 1);
            let query = Query { camera: Some(camera), since_ms: Some(0), until_ms, ..Query::default() };
            self.journal.each(&query, true, &mut |event| match of.says(&event) {
                timeline::Says::No => {
                    over = Some(event);
                    true
                }
                timeline::Says::Yes => false,
                timeline::Says::Nothing => true,
            })?;
            began = began.into_iter().chain(over).max_by_key(|event| event.start_ms);
        }
        let Some(event) = began else { return Ok(state) };
        let began_ms = event.start_ms.unwrap_or(0);
        let now_ms = unix_ms(&self.now);
        let text = format!(
            "Since {}, for {}, {}: {}.",
            self.moment(began_ms),
            length(now_ms.saturating_sub(began_ms)),
            event.camera,
            quoted(&event.text)
        );
        Ok(Answer {
            text,
            value: Some(Value::Time(began_ms)),
            span: Some(Period { start_ms: began_ms, end_ms: now_ms }),
            evidence: vec![event.id],
            ..state
        })
    }

    /// What happened: a sentence or more of each part of the time.
    fn what(&self, case: &Case, seen_ms: u64) -> Result<Answer, JournalError> {
        let camera = case.question.camera.as_deref();
        let digest = chapters::digest(self.journal, case.period, camera, case.gaps.clone())?;
        if digest.events == 0 {
            return Ok(self.never(case, seen_ms, Some(Value::Kinds(Vec::new()))));
        }
        let told: Vec<chapters::Telling> = digest.tell(SENTENCES);
        let sentences: Vec<String> = told
            .iter()
            .map(|telling| {
                let often = if telling.count > 1 { format!(" ({})", times(telling.count)) } else { String::new() };
                format!(
                    "{} {}: {}{often}",
                    self.clock(telling.start_ms, case.period),
                    telling.camera,
                    quoted(&telling.text)
                )
            })
            .collect();
        let left = digest.events - told.iter().map(|telling| telling.count).sum::<u64>().min(digest.events);
        let left = if left > 0 { format!("; and {left} more") } else { String::new() };
        let text = format!("{}{}: {}{left}.", events(digest.events), case.said, sentences.join("; "));
        let evidence: Vec<u64> = told.iter().map(|telling| telling.id).take(MOST_EVIDENCE).collect();
        let span = digest.span();
        Ok(Answer { span, ..self.found(case, text, Value::Kinds(digest.kinds), evidence, digest.score) })
    }

    /// What came right before or after.
    fn beside(&self, case: &mut Case) -> Result<Answer, JournalError> {
        let after = case.question.form == Form::Next;
        let query = Query {
            camera: case.cameras.first().map(String::as_str),
            since_ms: Some(case.period.start_ms),
            until_ms: Some(case.period.end_ms),
            ..Query::default()
        };
        let mut beside: Vec<Found> = Vec::new();
        self.journal.each(&query, !after, &mut |event| {
            // What came behind a time in which nobody looked did not come right after.
            if let Some(last) = beside.last().and_then(|last| last.start_ms).zip(event.start_ms)
                && case.gaps.iter().any(|gap| {
                    gap.camera.as_ref().is_none_or(|camera| *camera == event.camera)
                        && gap.period.start_ms < last.0.max(last.1)
                        && gap.period.end_ms > last.0.min(last.1)
                })
            {
                return false;
            }
            if event.kind == EventKind::Narration {
                beside.push(event);
            }
            beside.len() < 3
        })?;
        let Some(event) = beside.first() else {
            let text = format!("Nothing was told{}{}.", case.said, self.admitted(&case.gaps));
            return Ok(Answer::refused(text));
        };
        // Only what lies between counts.
        let at_ms = event.start_ms.unwrap_or(0);
        let between =
            if after { Period { end_ms: at_ms, ..case.period } } else { Period { start_ms: at_ms, ..case.period } };
        let gaps: Vec<Gap> = case
            .gaps
            .iter()
            .filter(|gap| gap.camera.as_ref().is_none_or(|camera| *camera == event.camera))
            .filter_map(|gap| gap.period.with(between).map(|period| Gap { period, ..gap.clone() }))
            .collect();
        let told: Vec<String> = beside
            .iter()
            .map(|event| format!("{} {}", self.moment(event.start_ms.unwrap_or(0)), quoted(&event.text)))
            .collect();
        let said = case.said.trim_start();
        let text = format!("{}, {}: {}.", capital(said), event.camera, told.join("; "));
        let value = Value::Kind(event.about.clone().unwrap_or_default());
        let (ids, sure) = (beside.iter().map(|event| event.id).collect(), event.score);
        case.gaps = gaps;
        Ok(Answer { span: Some(of_event(event)), ..self.found(case, text, value, ids, sure) })
    }

    fn order(&mut self, case: &mut Case) -> Result<Answer, JournalError> {
        let mut firsts = Vec::new();
        for phrase in [case.question.about.clone(), case.question.other.clone()] {
            let Meant { subject, confidence } = match self.resolve(&phrase, false)? {
                Ok(meant) => meant,
                Err(refusal) => return Ok(Answer::refused(refusal)),
            };
            case.confidence *= confidence;
            let tally = self.tally(case, &subject, case.period)?;
            let Some(event) = tally.first else {
                let text = format!("I did not see that {phrase}{}{}.", case.said, self.admitted(&case.gaps));
                return Ok(Answer::refused(text));
            };
            firsts.push(event);
        }
        firsts.sort_by_key(|event| event.start_ms);
        let [first, second] = &firsts[..] else { return Ok(Answer::refused(String::new())) };
        let at = |event: &Found| {
            format!("{}, {}, {}", quoted(&event.text), event.camera, self.moment(event.start_ms.unwrap_or(0)))
        };
        let text = format!("First{}: {}; then: {}.", case.said, at(first), at(second));
        let value = Value::Kind(first.about.clone().unwrap_or_default());
        let found = self.found(case, text, value, vec![first.id, second.id], first.score.min(second.score));
        Ok(Answer {
            span: Some(Period { start_ms: first.start_ms.unwrap_or(0), end_ms: timeline::end_ms(second) }),
            ..found
        })
    }

    /// An answer that rests on something. What nobody saw is admitted.
    fn found(&self, case: &Case, text: String, value: Value, evidence: Vec<u64>, sure: f32) -> Answer {
        let counted = matches!(case.question.form, Form::Count | Form::Duration);
        let admitted = if case.said.is_empty() && !counted { String::new() } else { self.aside(&case.gaps) };
        let evidence = case.evidence.iter().copied().chain(evidence).take(MOST_EVIDENCE).collect();
        Answer {
            text: text + &admitted,
            value: Some(value),
            evidence,
            gaps: case.gaps.clone(),
            confidence: (case.confidence * sure).clamp(0.0, 1.0),
            abstained: false,
            ..Answer::refused(String::new())
        }
    }

    /// It never was, as far as anybody looked; where nobody did, that is not known.
    fn never(&self, case: &Case, seen_ms: u64, value: Option<Value>) -> Answer {
        if seen_ms == 0 {
            let text = format!("I do not know{}{}.", case.said, self.admitted(&case.gaps));
            return Answer { gaps: case.gaps.clone(), ..Answer::refused(text) };
        }
        let (text, evidence) = match &value {
            Some(Value::Yes(true)) => (format!("Yes: nobody was seen{}", case.said), case.evidence.clone()),
            Some(Value::Kinds(_)) => (format!("Nothing was told{}", case.said), case.evidence.clone()),
            Some(Value::Yes(false)) => (format!("No, not that I saw{}", case.said), case.evidence.clone()),
            _ => (format!("Never, that I saw{}", case.said), case.evidence.clone()),
        };
        let since = if case.said.is_empty() {
            format!(" since the journal began {}", self.moment(case.period.start_ms))
        } else {
            String::new()
        };
        let by = case.question.camera.as_ref().map_or_else(String::new, |camera| format!(", by the camera {camera}"));
        let text = text + &since + &by + "." + &self.aside(&case.gaps);
        Answer {
            value,
            evidence,
            gaps: case.gaps.clone(),
            confidence: case.confidence * (seen_ms as f32 / case.period.length_ms().max(1) as f32).min(1.0),
            abstained: false,
            ..Answer::refused(text)
        }
    }

    /// `: the camera kitchen was blind from ...`, as far as there is something to admit.
    fn admitted(&self, gaps: &[Gap]) -> String {
        if gaps.is_empty() { String::new() } else { format!(": {}", self.gaps(gaps)) }
    }

    /// The same as a sentence of its own.
    fn aside(&self, gaps: &[Gap]) -> String {
        if gaps.is_empty() { String::new() } else { format!(" But {}.", self.gaps(gaps)) }
    }

    fn gaps(&self, gaps: &[Gap]) -> String {
        const TOLD: usize = 3;
        let one = |gap: &Gap| {
            let what = gap
                .camera
                .as_ref()
                .map_or("nothing was watched".into(), |camera| format!("the camera {camera} was blind"));
            format!("{what} {}", self.period(gap.period))
        };
        let mut told: Vec<String> = gaps.iter().take(TOLD).map(one).collect();
        if gaps.len() > TOLD {
            told.push(format!("{} more such times", gaps.len() - TOLD));
        }
        told.join(", ")
    }

    /// `today at 14:05`
    pub fn moment(&self, at_ms: u64) -> String {
        let at = zoned(at_ms, &self.now);
        format!("{} at {}", self.day(at.date()), clock(&at, false))
    }

    /// `14:05`, with its day where the time is longer than one.
    pub fn clock(&self, at_ms: u64, within: Period) -> String {
        // A day has 25 hours at most.
        if within.length_ms() > 90_000_000 { self.moment(at_ms) } else { clock(&zoned(at_ms, &self.now), false) }
    }

    fn day(&self, date: Date) -> String {
        let today = self.now.date();
        if date == today {
            "today".into()
        } else if today.yesterday().is_ok_and(|yesterday| yesterday == date) {
            "yesterday".into()
        } else if date.year() == today.year() {
            date.strftime("on %A %-d %B").to_string()
        } else {
            date.strftime("on %-d %B %Y").to_string()
        }
    }

    /// `today from 08:00 to 09:00`
    pub fn period(&self, period: Period) -> String {
        let (start, end) = (zoned(period.start_ms, &self.now), zoned(period.end_ms, &self.now));
        let midnight = |at: &Zoned| at.hour() == 0 && at.minute() == 0 && at.second() == 0;
        let [mut from, mut to] = [&start, &end].map(|at| clock(at, false));
        if from == to && period.length_ms() < 60_000 {
            [from, to] = [&start, &end].map(|at| clock(at, true));
        }
        if period.start_ms == 0 {
            return format!("before {}", self.moment(period.end_ms));
        }
        if period.end_ms > unix_ms(&self.now) + 86_400_000 * 400 {
            return format!("since {}", self.moment(period.start_ms));
        }
        let next = start.date().tomorrow().ok();
        if midnight(&start) && midnight(&end) && next == Some(end.date()) {
            return self.day(start.date());
        }
        // A program that was started anew at once.
        if from == to && period.length_ms() < 1000 {
            return format!("{} at {from}", self.day(start.date()));
        }
        if start.date() == end.date() || (midnight(&end) && next == Some(end.date())) {
            let to = if midnight(&end) { "24:00".to_owned() } else { to };
            return format!("{} from {from} to {to}", self.day(start.date()));
        }
        format!("from {} to {}", self.moment(period.start_ms), self.moment(period.end_ms))
    }
}

/// Why `nobody` cannot be turned round in this form, if it cannot.
fn turned(form: Form, subject: &Subject) -> Option<&'static str> {
    let lasts = match subject {
        Subject::Presence => true,
        Subject::Kind(kind) => timeline::lasts(kind),
        Subject::Words(_) | Subject::Type(_) | Subject::Motion(_) => false,
    };
    match form {
        Form::Count | Form::First | Form::Last => Some(
            "I do not understand `nobody` here. Ask when or how often somebody did, or for how long nobody was there.",
        ),
        Form::Since | Form::Duration if !lasts => Some("I do not understand `nobody` here. Ask when it last happened."),
        _ => None,
    }
}

fn of_event(event: &Found) -> Period {
    Period { start_ms: event.start_ms.unwrap_or(0), end_ms: timeline::end_ms(event) }
}

fn times(count: u64) -> String {
    match count {
        1 => "once".into(),
        2 => "twice".into(),
        _ => format!("{count} times"),
    }
}

fn events(count: u64) -> String {
    if count == 1 { "One event".into() } else { format!("{count} events") }
}

/// `2 h 5 min`, `40 s`
pub fn length(length_ms: u64) -> String {
    let seconds = length_ms.div_ceil(1000);
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) if minutes < 10 && !seconds.is_multiple_of(60) => format!("{minutes} min {} s", seconds % 60),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// Between an answer and the time that it is of, where it names one.
fn comma(said: &str) -> &'static str {
    if said.is_empty() { "" } else { "," }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
