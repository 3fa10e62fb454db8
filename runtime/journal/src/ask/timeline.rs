//! What lay between events: how long a state lasted, and when nobody looked.

use ocelli_types::EventKind;

use super::subject::{Meaning, Subject, opposite};
use super::text::{PERSON, tokens};
use super::when::Period;
use crate::{Found, Journal, JournalError, Query};

/// A time of which the journal knows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The camera that was blind; `None` where nothing was watched at all.
    pub camera: Option<String>,
    /// When.
    pub period: Period,
}

/// How long nobody needs to say anything before it counts as a gap: a program in which nothing happens says every 10 minutes that it
/// runs.
const SILENT_MS: u64 = 15 * 60_000;

/// How soon after a program ended in order one may still ask what is so now.
const ENDED_MS: u64 = 60_000;

/// How far back a state is looked for that lasted into a period.
const STATE_MS: u64 = 24 * 3_600_000;

/// Kinds by which nobody is there: who leaves, and what is seen of an empty room.
const ABSENT: [&str; 4] = ["nobody", "leave", "television", "pet"];

/// What somebody is who is down, however he came to be.
const DOWN: [&str; 3] = ["lie", "lie_still", "fall"];

/// Postures and ways to move, with those by which each begins: one is so until another is. Drinking, waving, a lamp end none.
const POSTURES: [(&str, &[&str]); 10] = [
    ("sit", &["sit_down"]),
    ("stand", &["get_up"]),
    ("kneel", &[]),
    ("walk", &["enter"]),
    ("run", &["enter"]),
    ("lie", &["lie_down"]),
    ("lie_still", &["lie_down"]),
    ("fall", &["lie_down"]),
    ("lie_down", &[]),
    ("get_up", &[]),
];

/// Kinds after which nobody of whom it was told is there.
const GONE: [&str; 3] = ["nobody", "leave", "television"];

/// Words by which a sentence tells of people.
const PEOPLE: [&str; 4] = ["hand", "hands", "group", "visitor"];

/// Whether what this kind tells of lasts, so that one can say since when it is not so; a fall is over.
pub fn lasts(kind: &str) -> bool {
    let moment = matches!(kind, "fall" | "lie_down" | "get_up");
    kind == "nobody" || opposite(kind).is_some() || (!moment && POSTURES.iter().any(|posture| posture.0 == kind))
}

/// When a narration ends that an event says.
pub fn end_ms(event: &Found) -> u64 {
    event.start_ms.unwrap_or(0) + event.end_us.since(event.start_us).0 / 1000
}

/// Gaps that lie in a period, the oldest first: holes, blind cameras (of this one, or any), what was before the journal began, and
/// what is after the last sign of life.
///
/// # Errors
/// The journal cannot be read.
pub fn gaps(
    journal: &Journal,
    watched: Period,
    period: Period,
    camera: Option<&str>,
) -> Result<Vec<Gap>, JournalError> {
    let mut found = Vec::new();
    let mut add = |camera: Option<String>, gap: Period| {
        found.extend(gap.with(period).map(|period| Gap { camera, period }));
    };
    if watched.start_ms > period.start_ms {
        add(None, Period { start_ms: 0, end_ms: watched.start_ms });
    }
    // A program that ended in order has said when; one that was killed says nothing more.
    let silent_ms = if journal.ended()? { ENDED_MS } else { SILENT_MS };
    if period.end_ms > watched.end_ms + silent_ms {
        add(None, Period { start_ms: watched.end_ms, end_ms: u64::MAX });
    }
    for hole in journal.holes(Some(period.start_ms), Some(period.end_ms))? {
        add(None, Period { start_ms: hole.start_ms, end_ms: hole.end_ms });
    }
    let mut blind = Vec::new();
    let query =
        Query { camera, kind: Some(EventKind::Blind.name()), until_ms: Some(period.end_ms), ..Query::default() };
    journal.each(&query, true, &mut |event| {
        // Those that ended before are of no interest, but one that never ended may still last.
        let old = event.start_ms.is_some_and(|start_ms| start_ms + STATE_MS * 7 < period.start_ms);
        blind.push(event);
        !old
    })?;
    for event in blind {
        let start_ms = event.start_ms.unwrap_or(0);
        let mut end_ms = end_ms(&event);
        if end_ms <= start_ms {
            // It did not end in its uptime: until something else is seen by this camera.
            let query = Query { camera: Some(&event.camera), since_ms: Some(start_ms + 1), ..Query::default() };
            end_ms = watched.end_ms;
            journal.each(&query, false, &mut |next| {
                end_ms = next.start_ms.unwrap_or(end_ms);
                next.kind == EventKind::Blind
            })?;
        }
        add(Some(event.camera), Period { start_ms, end_ms });
    }
    found.sort_by_key(|gap| (gap.period.start_ms, gap.camera.clone()));
    Ok(found)
}

/// What of a period is in no gap of all cameras, or of this one.
pub fn seen_ms(period: Period, gaps: &[Gap], cameras: usize) -> u64 {
    let mut unseen = 0;
    let cameras = i64::try_from(cameras).unwrap_or(i64::MAX);
    let mut edges: Vec<(u64, i64)> = Vec::new();
    for gap in gaps {
        // A hole is one of each camera.
        let weight = if gap.camera.is_none() { cameras } else { 1 };
        edges.extend([(gap.period.start_ms, weight), (gap.period.end_ms, -weight)]);
    }
    edges.sort_unstable();
    let (mut open, mut from) = (0, 0);
    for (at, weight) in edges {
        let before = open >= cameras;
        open += weight;
        match (before, open >= cameras) {
            (false, true) => from = at,
            (true, false) => unseen += at - from,
            _ => {}
        }
    }
    period.length_ms().saturating_sub(unseen)
}

/// What a narration says of whether the subject is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// It is so from here on.
    Yes,
    /// It is over.
    No,
    /// Nothing.
    Nothing,
}

/// Tells what events say of a subject as a state.
#[derive(Debug)]
pub struct State {
    subject: Subject,
    /// Kinds that tell of people.
    people: Vec<String>,
}

impl State {
    /// That of a subject, with what its vocabulary says.
    pub fn of(subject: &Subject, meaning: &dyn Meaning) -> Self {
        let of_people = |text: &str| {
            tokens(text).iter().any(|word| PERSON.contains(&word.as_str()) || PEOPLE.contains(&word.as_str()))
        };
        let mut people = Vec::new();
        for sentence in meaning.sentences() {
            let kind = &sentence.kind;
            if of_people(&sentence.text) && !people.contains(kind) && !ABSENT.contains(&kind.as_str()) {
                people.push(kind.clone());
            }
        }
        Self { subject: subject.clone(), people }
    }

    /// What one event says.
    pub fn says(&self, event: &Found) -> Says {
        let kind = event.about.as_deref().filter(|_| event.kind == EventKind::Narration);
        match (&self.subject, kind) {
            (Subject::Presence, Some(kind)) if ABSENT.contains(&kind) => Says::No,
            (Subject::Presence, Some(kind)) if self.people.iter().any(|people| people == kind) => Says::Yes,
            (Subject::Kind(wanted), Some(kind)) => self.kind(wanted, kind),
            (Subject::Type(EventKind::Alert), _) => match event.kind {
                EventKind::Alert => Says::Yes,
                EventKind::AlertEnd => Says::No,
                _ => Says::Nothing,
            },
            (Subject::Words(_), Some(_)) => Says::No,
            _ => Says::Nothing,
        }
    }

    /// What a narration of one kind says of another. A lamp is on until it goes out, and somebody sits until he does something else with
    /// his whole body or is gone; what he does with his hands is over when something else is told of people.
    fn kind(&self, wanted: &str, kind: &str) -> Says {
        let of_people = |kind: &str| self.people.iter().any(|people| people == kind);
        if wanted == kind || (DOWN.contains(&wanted) && DOWN.contains(&kind)) {
            return Says::Yes;
        }
        if let Some(opposite) = opposite(wanted) {
            return if opposite == kind { Says::No } else { Says::Nothing };
        }
        if let Some((_, begins)) = POSTURES.iter().find(|posture| posture.0 == wanted) {
            let other = POSTURES.iter().chain(&[("sit_down", &[][..])]).any(|posture| posture.0 == kind);
            let over = GONE.contains(&kind) || (other && !begins.contains(&kind));
            return if over { Says::No } else { Says::Nothing };
        }
        match wanted {
            "nobody" if ABSENT.contains(&kind) => Says::Yes,
            _ if ABSENT.contains(&kind) || of_people(kind) => Says::No,
            _ => Says::Nothing,
        }
    }

    /// Whether lying is asked about and a fall is told.
    fn only_fell(&self, event: &Found) -> bool {
        self.subject == Subject::Kind("lie".into()) && event.about.as_deref() == Some("fall")
    }

    /// Shows `see` each stretch of a period in which it was so, with the event that began it, camera by camera. A gap ends a stretch:
    /// what was within it nobody knows.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn stretches(
        &self,
        journal: &Journal,
        watched: Period,
        period: Period,
        cameras: &[String],
        see: &mut dyn FnMut(&Found, Period),
    ) -> Result<(), JournalError> {
        let since_ms = period.start_ms.saturating_sub(STATE_MS);
        if let Subject::Motion(texts) = &self.subject {
            // A movement has an end of its own.
            for camera in cameras {
                let kind = Some(EventKind::Camera.name());
                let (since_ms, until_ms) = (Some(since_ms), Some(period.end_ms));
                let query = Query { camera: Some(camera), kind, since_ms, until_ms, ..Query::default() };
                journal.each(&query, false, &mut |event| {
                    let whole = Period { start_ms: event.start_ms.unwrap_or(0), end_ms: end_ms(&event) };
                    if let Some(stretch) =
                        whole.with(period).filter(|_| texts.iter().any(|text| event.text.contains(text)))
                    {
                        see(&event, stretch);
                    }
                    true
                })?;
            }
            return Ok(());
        }
        for camera in cameras {
            let gaps = gaps(journal, watched, Period { start_ms: since_ms, ..period }, Some(camera))?;
            let mut open: Option<Found> = None;
            let mut close = |open: &mut Option<Found>, at_ms: u64| {
                let Some(event) = open.take() else { return };
                let start_ms = event.start_ms.unwrap_or(0);
                let gap = gaps.iter().map(|gap| gap.period.start_ms).filter(|gap| *gap >= start_ms).min();
                let whole = Period { start_ms, end_ms: gap.map_or(at_ms, |gap| gap.min(at_ms)) };
                if let Some(stretch) = whole.with(period) {
                    see(&event, stretch);
                }
            };
            let query = Query {
                camera: Some(camera),
                since_ms: Some(since_ms),
                until_ms: Some(period.end_ms),
                ..Query::default()
            };
            journal.each(&query, false, &mut |event| {
                match self.says(&event) {
                    // Who falls is down, but how long somebody lay begins when it is told that he lies.
                    Says::Yes if self.only_fell(&event) => {}
                    Says::Yes => {
                        // Somebody is still there: one stretch, but of another event.
                        close(&mut open, event.start_ms.unwrap_or(0));
                        open = Some(event);
                    }
                    Says::No => close(&mut open, event.start_ms.unwrap_or(0)),
                    Says::Nothing => {}
                }
                true
            })?;
            close(&mut open, period.end_ms);
        }
        Ok(())
    }

    /// The last event at or before a moment that says whether it is so, by this camera.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn last_word(
        &self,
        journal: &Journal,
        at_ms: u64,
        camera: &str,
    ) -> Result<Option<(Found, bool)>, JournalError> {
        let mut word = None;
        let query = Query { camera: Some(camera), since_ms: Some(0), until_ms: Some(at_ms + 1), ..Query::default() };
        journal.each(&query, true, &mut |event| {
            match self.says(&event) {
                Says::Nothing => return true,
                says => word = Some((event, says == Says::Yes)),
            }
            false
        })?;
        Ok(word)
    }
}

#[cfg(test)]
mod tests {
    use super::super::subject::Sentence;
    use super::*;

    struct Few(Vec<Sentence>);

    impl Meaning for Few {
        fn sentences(&self) -> &[Sentence] {
            &self.0
        }

        fn near(&mut self, _phrase: &str) -> Option<Vec<f32>> {
            None
        }

        fn alike(&mut self, _one: &str, _other: &str) -> Option<f32> {
            None
        }
    }

    #[test]
    fn a_posture_lasts_until_another_and_down_is_down() {
        let all = [("drink", "Someone drinks."), ("wave", "Someone waves."), ("light_on", "The light goes on.")];
        let few = Few(all.map(|(kind, text)| Sentence { kind: kind.into(), text: text.into() }).to_vec());
        let says = |wanted: &str, kind: &str| State::of(&Subject::Kind(wanted.into()), &few).kind(wanted, kind);
        for (wanted, kind, expected) in [
            ("fall", "lie", Says::Yes),
            ("lie", "lie_still", Says::Yes),
            ("lie", "fall", Says::Yes),
            ("fall", "get_up", Says::No),
            ("sit", "drink", Says::Nothing),
            ("sit", "light_on", Says::Nothing),
            ("sit", "pet", Says::Nothing),
            ("sit", "walk", Says::No),
            ("sit", "leave", Says::No),
            ("sit", "sit_down", Says::Nothing),
            ("stand", "sit_down", Says::No),
            ("drink", "wave", Says::No),
            ("drink", "light_on", Says::Nothing),
            ("television", "light_on", Says::Nothing),
            ("nobody", "light_off", Says::Nothing),
            ("nobody", "drink", Says::No),
            ("nobody", "leave", Says::Yes),
            ("light_on", "leave", Says::Nothing),
        ] {
            assert_eq!(says(wanted, kind), expected, "{wanted} after {kind}");
        }
    }
}
