//! Questions about a small day, whose answers one can count.

use std::path::{Path, PathBuf};

use jiff::Zoned;
use jiff::civil::date;
use ocelli_journal::ask::{Answer, Asker, Form, MOST_CHAPTERS, Meaning, Sentence, Value};
use ocelli_journal::{About, Entry, Journal, Limits, Start, Told, Writer};
use ocelli_types::{EventKind, Micros, Severity};

const LIMITS: Limits = Limits { bytes: 16 << 20, keep_us: Micros(u64::MAX) };

/// Knows a few sentences, and of meaning nothing.
struct Words(Vec<Sentence>);

impl Meaning for Words {
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

fn words() -> Words {
    let all = [
        ("enter", "Someone comes in."),
        ("leave", "Someone leaves."),
        ("sit", "Someone is sitting."),
        ("drink", "Someone drinks from a cup."),
        ("fall", "Someone falls to the floor!"),
        ("light_on", "The light goes on."),
        ("light_off", "The light goes off."),
        ("nobody", "The room is empty."),
        ("wave", "Someone waves."),
    ];
    Words(all.map(|(kind, text)| Sentence { kind: kind.into(), text: text.into() }).to_vec())
}

fn now() -> Zoned {
    "2026-03-27T20:00:00+01:00[Europe/Berlin]".parse().expect("a date")
}

/// Milliseconds since 1970 of a local time of that day.
fn at(hour: i8, minute: i8) -> u64 {
    let moment = date(2026, 3, 27).at(hour, minute, 0, 0).to_zoned(now().time_zone().clone()).expect("it is there");
    moment.timestamp().as_millisecond().cast_unsigned()
}

/// Writes a day of 27 March: the kitchen from 07:00, blind from 10:00 to 11:00, the hall with one who falls, nothing watched from 13:00
/// to 14:00. Ids are the places in this list, from 1.
fn day(path: &Path) {
    let texts = words();
    let seen = |camera: &str, hour: i8, minute: i8, kind: &str| {
        let text = texts.0.iter().find(|sentence| sentence.kind == kind).expect("it is known").text.clone();
        (EventKind::Narration, camera.to_owned(), at(hour, minute), kind.to_owned(), text)
    };
    let first = vec![
        seen("kitchen", 8, 0, "light_on"),
        seen("kitchen", 8, 1, "enter"),
        seen("kitchen", 8, 5, "drink"),
        seen("kitchen", 8, 6, "sit"),
        seen("kitchen", 8, 36, "drink"),
        seen("kitchen", 9, 0, "leave"),
        seen("kitchen", 9, 1, "nobody"),
        (EventKind::Blind, "kitchen".into(), at(10, 0), String::new(), "the camera was lost".into()),
        seen("kitchen", 11, 30, "enter"),
        seen("hall", 12, 0, "fall"),
        (EventKind::Alert, "hall".into(), at(12, 1), "fall".into(), "Somebody fell and stays down".into()),
    ];
    let second =
        vec![seen("kitchen", 15, 0, "sit"), seen("kitchen", 15, 20, "light_off"), seen("kitchen", 15, 21, "sit")];
    let mut id = 0;
    for (events, start, end) in [(first, at(7, 0), at(13, 0)), (second, at(14, 0), at(20, 0))] {
        let stream = |ms: u64| Micros((ms - start) * 1000);
        let start_of = Start { unix_ms: Some(start), stream_us: Micros(0), least_id: 1 };
        let (mut writer, _) = Writer::open(path, LIMITS, start_of).expect("it can be written");
        for (kind, camera, at_ms, about, text) in events {
            id += 1;
            let blind = kind == EventKind::Blind;
            let severity = if about == "fall" { Severity::Alarm } else { Severity::Info };
            let about = (!blind).then_some(About { kind: about, severity, vector: None, entities: Vec::new() });
            let told = Told {
                id,
                kind,
                camera: camera.clone(),
                start_us: stream(at_ms),
                end_us: stream(at_ms) + if blind { Micros(0) } else { Micros(400_000) },
                start_ms: Some(at_ms),
                text,
                score: 0.8,
                entries: None,
                about,
                quiet: false,
            };
            writer.write(&[Entry::Told(told)]).expect("there is room");
            if blind {
                let sees = Entry::Sees { camera, at_us: stream(at(11, 0)) };
                writer.write(&[sees]).expect("there is room");
            }
        }
        writer.finish(id + 1, stream(end), Some(end)).expect("there is room");
    }
}

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("events.journal");
    Place { _folder: folder, path }
}

fn ask_at(path: &Path, question: &str, now: Zoned) -> Answer {
    let journal = Journal::open(path).expect("it is there");
    let mut words = words();
    let mut asker = Asker { journal: &journal, meaning: &mut words, now, camera: None };
    let answer = asker.ask(question).expect("it is readable");
    assert!((0.0..=1.0).contains(&answer.confidence), "{answer:?}");
    assert!(answer.evidence.iter().all(|id| journal.event(*id).expect("readable").is_some()), "{answer:?}");
    answer
}

fn ask(path: &Path, question: &str) -> Answer {
    ask_at(path, question, now())
}

#[test]
fn each_form_is_answered_with_what_it_rests_on() {
    let place = place();
    day(&place.path);
    for (question, form, value, evidence) in [
        ("When did someone last drink?", Form::Last, Some(Value::Time(at(8, 36))), &[5][..]),
        ("When did someone first drink?", Form::First, Some(Value::Time(at(8, 5))), &[3]),
        ("How often did someone drink today?", Form::Count, Some(Value::Count(2)), &[3, 5]),
        ("Did someone drink after someone came in today?", Form::Happened, Some(Value::Yes(true)), &[2, 3, 5]),
        ("How long was someone sitting this morning?", Form::Duration, Some(Value::Seconds(3240.0)), &[4]),
        ("Was the light on at 9:30?", Form::State, Some(Value::Yes(true)), &[1]),
        ("Was the light on at 12:30?", Form::State, None, &[1]),
        ("Was the light on at 18:00?", Form::State, Some(Value::Yes(false)), &[13]),
        ("Since when has the light been off?", Form::Since, Some(Value::Time(at(15, 20))), &[13]),
        ("Is anyone in the kitchen now?", Form::State, Some(Value::Yes(true)), &[14]),
        ("Was nobody in the kitchen at 9:30?", Form::State, Some(Value::Yes(true)), &[7]),
        ("Were there any alerts today?", Form::Happened, Some(Value::Yes(true)), &[11]),
        ("What happened right after someone fell?", Form::Next, None, &[]),
        ("What came right before someone left?", Form::Previous, Some(Value::Kind("drink".into())), &[6, 5, 4, 3]),
        (
            "What came first today, someone fell or someone left?",
            Form::Order,
            Some(Value::Kind("leave".into())),
            &[6, 10],
        ),
        ("Was someone sitting between 8:10 and 8:20?", Form::Happened, Some(Value::Yes(true)), &[4]),
    ] {
        let answer = ask(&place.path, question);
        assert_eq!((answer.form, &answer.value), (Some(form), &value), "{question}: {}", answer.text);
        assert_eq!(answer.evidence, evidence, "{question}: {}", answer.text);
        assert_eq!(answer.abstained, value.is_none(), "{question}: {}", answer.text);
        assert!(!answer.text.contains('\n') && answer.text.ends_with('.'), "{}", answer.text);
    }
}

#[test]
fn answers_are_sentences_with_local_times() {
    let place = place();
    day(&place.path);
    let text = |question: &str| ask(&place.path, question).text;
    assert_eq!(
        text("When did someone last drink?"),
        "Last today at 08:36, kitchen: \"Someone drinks from a cup\" (twice in all). But the camera kitchen was blind today from \
         10:00 to 11:00, nothing was watched today from 13:00 to 14:00."
    );
    assert_eq!(
        text("Did someone wave in the kitchen between 8 and 9?"),
        "No, not that I saw today from 08:00 to 09:00, by the camera kitchen."
    );
    let what = ask(&place.path, "What happened in the kitchen between 8 and 9?");
    assert_eq!(
        what.value,
        Some(Value::Kinds(
            [("drink", 2), ("enter", 1), ("light_on", 1), ("sit", 1)]
                .map(|(kind, count)| (kind.to_owned(), count))
                .to_vec()
        ))
    );
    assert!(
        what.text.starts_with("5 events today from 08:00 to 09:00: 08:00 kitchen: \"The light goes on\"; "),
        "{}",
        what.text
    );
}

#[test]
fn what_nobody_saw_is_admitted() {
    let place = place();
    day(&place.path);
    // A part of the time.
    let answer = ask(&place.path, "Did someone wave in the kitchen between 9:30 and 10:30?");
    assert_eq!((answer.value, answer.gaps.len()), (Some(Value::Yes(false)), 1));
    assert_eq!(
        answer.text,
        "No, not that I saw today from 09:30 to 10:30, by the camera kitchen. But the camera kitchen was blind today from 10:00 to 10:30."
    );
    assert!(answer.confidence < 0.6, "half of it was seen");
    // All of it, by one camera and by all.
    let answer = ask(&place.path, "How often did someone wave in the kitchen between 10:10 and 10:50?");
    assert!(answer.abstained && answer.text.contains("kitchen was blind today from 10:10 to 10:50"), "{}", answer.text);
    let answer = ask(&place.path, "Did someone wave between 13:10 and 13:50?");
    assert!(
        answer.abstained && answer.text.contains("nothing was watched today from 13:10 to 13:50"),
        "{}",
        answer.text
    );
    // The hall saw what the kitchen could not.
    assert!(!ask(&place.path, "Did someone wave between 10:10 and 10:50?").abstained);
    // What lasted into it is not known behind it.
    let answer = ask(&place.path, "How long was the light on between 11:10 and 12:00?");
    assert!(answer.abstained && answer.text.contains("blind today from 10:00 to 11:00"), "{}", answer.text);
    let answer = ask(&place.path, "How long was the light on between 9:30 and 12:00?");
    assert_eq!(answer.value, Some(Value::Seconds(1800.0)), "{}", answer.text);
    let answer = ask(&place.path, "How long was the light off between 15:00 and 16:00?");
    assert_eq!(answer.value, Some(Value::Seconds(2400.0)), "{}", answer.text);
    // A state in such a time, and after it.
    assert!(ask(&place.path, "Was someone in the kitchen at 10:30?").abstained);
    let long_after = "2026-03-27T23:00:00+01:00[Europe/Berlin]".parse().expect("a date");
    let answer = ask_at(&place.path, "Is anyone in the kitchen now?", long_after);
    assert!(
        answer.abstained && answer.text.contains("nothing was watched today from 20:00 to 23:00"),
        "{}",
        answer.text
    );
    assert!(
        answer.text.contains("Before that it was so: \"Someone is sitting\", kitchen, today at 15:21"),
        "{}",
        answer.text
    );
    let before = ask(&place.path, "Did someone drink yesterday?");
    assert!(before.abstained && before.text.contains("the journal begins today at 08:00"), "{}", before.text);
}

#[test]
fn what_is_not_known_is_not_answered() {
    let place = place();
    day(&place.path);
    for (question, why) in [
        ("Did someone open the fridge?", "I do not know of \"someone open the fridge\""),
        ("Did someone drink after someone opened the fridge?", "I do not know of \"someone opened the fridge\""),
        ("Did someone drink after someone waved?", "I did not see that someone waved"),
        ("Did someone fall tomorrow?", "`tomorrow`"),
        ("Who drank?", "who it was"),
        ("", "no question"),
        ("\u{1b}[31m \u{202e} %s %n ' OR 1=1 --", "I do not know of"),
        ("did someone drink on 31 february", "I do not understand the time"),
        ("Did someone drink between 21:00 and 22:00 today?", "still to come"),
    ] {
        let answer = ask(&place.path, question);
        assert!(answer.abstained && answer.text.contains(why), "{question}: {}", answer.text);
        assert!(answer.value.is_none(), "{question}");
    }
    let never = ask(&place.path, "When did someone last wave?");
    assert!(
        !never.abstained
            && never.value.is_none()
            && never.text.starts_with("Never, that I saw since the journal began today")
    );
}

#[test]
fn nobody_is_the_other_way_round_or_refused() {
    let place = place();
    day(&place.path);
    // He left at 9:00, and the camera was blind from 10:00.
    let answer = ask(&place.path, "How long was nobody in the kitchen between 8:30 and 10:30?");
    assert_eq!(answer.value, Some(Value::Seconds(3600.0)), "{}", answer.text);
    let answer = ask(&place.path, "How long was nobody there between 13:10 and 13:50?");
    assert!(answer.abstained && answer.text.contains("nothing was watched"), "{}", answer.text);
    let early = "2026-03-27T09:40:00+01:00[Europe/Berlin]".parse().expect("a date");
    let answer = ask_at(&place.path, "Since when has nobody been in the kitchen?", early);
    assert_eq!(answer.value, Some(Value::Time(at(9, 0))), "{}", answer.text);
    for question in [
        "How often did nobody come in?",
        "When did nobody last come in?",
        "How long has nobody fallen?",
        "When did nobody first drink?",
    ] {
        let answer = ask(&place.path, question);
        assert!(answer.abstained && answer.text.contains("`nobody`"), "{question}: {}", answer.text);
    }
    let long_after = "2026-03-27T23:00:00+01:00[Europe/Berlin]".parse().expect("a date");
    let answer = ask_at(&place.path, "Is nobody in the kitchen now?", long_after);
    assert!(answer.abstained && answer.text.contains("Before that it was not so"), "{}", answer.text);
}

#[test]
fn a_program_that_ended_watches_no_more() {
    let place = place();
    day(&place.path);
    let after = "2026-03-27T20:10:00+01:00[Europe/Berlin]".parse().expect("a date");
    let answer = ask_at(&place.path, "Did someone wave in the last 5 minutes?", after);
    assert!(answer.abstained && answer.text.contains("nothing was watched"), "{}", answer.text);
    // One that runs says every ten minutes that it does.
    let start = Start { unix_ms: Some(at(20, 0)), stream_us: Micros(0), least_id: 1 };
    let (_writer, _) = Writer::open(&place.path, LIMITS, start).expect("it can be written");
    let after = "2026-03-27T20:10:00+01:00[Europe/Berlin]".parse().expect("a date");
    assert!(!ask_at(&place.path, "Did someone wave in the last 5 minutes?", after).abstained);
}

#[test]
fn somebody_who_fell_lies_whatever_else_is_told() {
    let place = place();
    day(&place.path);
    let early = "2026-03-27T12:30:00+01:00[Europe/Berlin]".parse().expect("a date");
    let answer = ask_at(&place.path, "Is somebody sitting in the kitchen now?", early);
    assert_eq!(answer.value, None, "it was blind: {}", answer.text);
    let early = "2026-03-27T08:50:00+01:00[Europe/Berlin]".parse().expect("a date");
    let answer = ask_at(&place.path, "Is somebody sitting in the kitchen now?", early);
    assert_eq!((answer.value, answer.evidence), (Some(Value::Yes(true)), vec![4]), "{}", answer.text);
    let soon = "2026-03-27T12:10:00+01:00[Europe/Berlin]".parse().expect("a date");
    let mut meaning = Near(words(), vec![("fall", 0.85)], 0.9);
    let journal = Journal::open(&place.path).expect("it is there");
    let mut asker = Asker { journal: &journal, meaning: &mut meaning, now: soon, camera: None };
    let answer = asker.ask("Is no one on the floor?").expect("it is readable");
    assert_eq!(answer.value, Some(Value::Yes(false)), "{}", answer.text);
}

#[test]
fn what_happens_now_is_not_all_that_was() {
    let place = place();
    day(&place.path);
    let soon = "2026-03-27T15:21:30+01:00[Europe/Berlin]".parse().expect("a date");
    let answer = ask_at(&place.path, "What is happening right now?", soon);
    assert!(answer.text.starts_with("2 events today from 15:16 to 15:21: "), "{}", answer.text);
    let all = ask(&place.path, "What happened today?");
    assert!(all.text.contains("; and ") && all.text.contains(" more."), "{}", all.text);
}

#[test]
fn a_word_that_is_not_understood_is_named() {
    let place = place();
    day(&place.path);
    let journal = Journal::open(&place.path).expect("it is there");
    for (question, word) in [
        ("Did someone fall to the floor in the garden?", "`garden`"),
        ("Did someone fall to the floor at the lake?", "`lake`"),
        ("Did someone fall to the floor on camera 2?", "`camera`"),
        ("Did someone fall down the stairs to the floor?", "`stairs`"),
        ("Did my mother fall to the floor?", "`mother`"),
        ("Was someone unable to drink from a cup?", "`unable`"),
        ("When did someone stop drinking from a cup?", "`stop`"),
        ("Did something fall to the floor?", "`something`"),
        ("Was the alert acknowledged?", "`acknowledged`"),
        ("When did the alarm end?", "`end`"),
        ("Did someone hear the alarm clock?", "`hear`"),
        ("Did the smoke alarm go off?", "`smoke`"),
        ("Did someone close the blind?", "close the blind"),
    ] {
        // An encoder finds all of them near to what is known.
        let near = if question.contains("drink") { "drink" } else { "fall" };
        let near = Some((near, 0.85)).filter(|_| !question.contains("blind"));
        let mut meaning = Near(words(), near.into_iter().collect(), 0.9);
        let mut asker = Asker { journal: &journal, meaning: &mut meaning, now: now(), camera: None };
        let answer = asker.ask(question).expect("it is readable");
        assert!(answer.abstained && answer.text.contains(word), "{question}: {}", answer.text);
    }
    for question in
        ["Did the alarm go off?", "Was the camera blind today?", "Did someone fall to the floor in the hall?"]
    {
        assert_eq!(ask(&place.path, question).value, Some(Value::Yes(true)), "{question}");
    }
    // A sentence's own words need no encoder, and an encoder does not talk one out of them.
    let mut meaning = Near(words(), vec![("drink", 0.1)], 0.0);
    let mut asker = Asker { journal: &journal, meaning: &mut meaning, now: now(), camera: None };
    let answer = asker.ask("Did someone drink from a cup?").expect("it is readable");
    assert_eq!(answer.value, Some(Value::Yes(true)), "{}", answer.text);
}

#[test]
fn the_text_of_an_alert_is_no_fact_about_its_words() {
    let place = place();
    let start = Start { unix_ms: Some(at(9, 0)), stream_us: Micros(0), least_id: 1 };
    let (mut writer, _) = Writer::open(&place.path, LIMITS, start).expect("it can be written");
    for (id, text) in
        [(1, "Grandpa did not rise again"), (2, "Nobody moved, and the stove may be on"), (3, "The bin is full")]
    {
        let told = Told {
            id,
            kind: EventKind::Alert,
            camera: "hall".into(),
            start_us: Micros(id * 1_000_000),
            end_us: Micros(id * 1_000_000),
            start_ms: Some(at(9, 0) + id * 1000),
            text: text.into(),
            score: 0.5,
            entries: None,
            about: None,
            quiet: false,
        };
        writer.write(&[Entry::Told(told)]).expect("there is room");
    }
    drop(writer);
    assert!(ask(&place.path, "Did grandpa rise?").abstained);
    assert!(ask(&place.path, "Was the stove on?").abstained);
    assert_eq!(ask(&place.path, "Was the bin full?").value, Some(Value::Yes(true)));
}

/// The hall's camera is turned twice and the kitchen's once nearer, each for ten seconds.
fn moved(path: &Path) {
    let start = Start { unix_ms: Some(at(9, 0)), stream_us: Micros(0), least_id: 1 };
    let (mut writer, _) = Writer::open(path, LIMITS, start).expect("it can be written");
    let of = [("hall", 10, "pans left"), ("hall", 11, "tilts up"), ("kitchen", 12, "moves or zooms in")];
    for (id, (camera, hour, what)) in (1..).zip(of) {
        let start_us = Micros((at(hour, 0) - at(9, 0)) * 1000);
        let told = Told {
            id,
            kind: EventKind::Camera,
            camera: camera.into(),
            start_us,
            end_us: start_us + Micros(10_000_000),
            start_ms: Some(at(hour, 0)),
            text: format!("The camera {what}."),
            score: 1.0,
            entries: None,
            about: None,
            quiet: false,
        };
        writer.write(&[Entry::Told(told)]).expect("there is room");
    }
    let end = at(19, 59);
    writer.finish(4, Micros((end - at(9, 0)) * 1000), Some(end)).expect("there is room");
}

#[test]
fn a_camera_that_was_moved_is_told_of_and_can_be_asked() {
    let place = place();
    moved(&place.path);
    for (question, value, evidence) in [
        ("Was the camera moved today?", Value::Yes(true), &[1, 2, 3][..]),
        ("Was the camera panned?", Value::Yes(true), &[1]),
        ("Was the camera panned to the right today?", Value::Yes(false), &[]),
        ("Did the hall camera turn left?", Value::Yes(true), &[1]),
        ("Did the kitchen camera turn?", Value::Yes(false), &[]),
        ("Was the camera in the kitchen moved?", Value::Yes(true), &[3]),
        ("How often was the camera turned today?", Value::Count(2), &[1, 2]),
        ("When did the camera last zoom in?", Value::Time(at(12, 0)), &[3]),
        ("Was the camera moving at 11?", Value::Yes(true), &[2]),
        ("How long was the camera moving between 9 and 13?", Value::Seconds(30.0), &[1, 2, 3]),
    ] {
        let answer = ask(&place.path, question);
        assert_eq!(
            (answer.value.as_ref(), &answer.evidence[..]),
            (Some(&value), evidence),
            "{question}: {}",
            answer.text
        );
    }
    for (question, why) in [
        ("Is the camera moving?", "when it is over"),
        ("Since when has the camera been moving?", "when it is over"),
        ("Was the camera moved by the cat?", "`cat`"),
        ("Was the camera panned up?", "of a camera's movement"),
        ("Did someone move the camera?", "someone move the camera"),
        ("Was the garden camera moved?", "`garden`"),
    ] {
        let answer = ask(&place.path, question);
        assert!(answer.abstained && answer.text.contains(why), "{question}: {}", answer.text);
    }
    let what = ask(&place.path, "What happened today?");
    assert_eq!(what.value, Some(Value::Kinds(vec![("camera".into(), 3)])), "{}", what.text);
    assert!(what.text.starts_with("3 events today: 10:00 hall: \"The camera pans left\"; "), "{}", what.text);
    let journal = Journal::open(&place.path).expect("it is there");
    let mut asker = Asker { journal: &journal, meaning: &mut (), now: now(), camera: None };
    let digest = asker.digest(date(2026, 3, 27)).expect("readable");
    assert_eq!((digest.events, &digest.chapters[0].title[..]), (3, "The camera pans left"));
}

/// A program that was killed at 08:00:00.4 and ran again 0.3 s later.
#[test]
fn a_gap_that_is_shorter_than_a_second_is_told_as_a_moment() {
    let place = place();
    for (start, end) in [(at(7, 0), at(8, 0)), (at(8, 0) + 700, at(9, 0))] {
        let start_of = Start { unix_ms: Some(start), stream_us: Micros(0), least_id: 1 };
        let (mut writer, _) = Writer::open(&place.path, LIMITS, start_of).expect("it can be written");
        let start_us = Micros((end - start) * 1000);
        let told = Told {
            id: writer.next_id(),
            kind: EventKind::Narration,
            camera: "kitchen".into(),
            start_us,
            end_us: start_us + Micros(400_000),
            start_ms: Some(end),
            text: "Someone waves.".into(),
            score: 0.8,
            entries: None,
            about: Some(About { kind: "wave".into(), severity: Severity::Info, vector: None, entities: Vec::new() }),
            quiet: false,
        };
        writer.write(&[Entry::Told(told)]).expect("there is room");
    }
    let answer = ask(&place.path, "Did someone sit between 7:30 and 8:30?");
    assert!(answer.text.ends_with(", nothing was watched today at 08:00:00."), "{}", answer.text);
}

#[test]
fn blindness_has_a_length() {
    let place = place();
    day(&place.path);
    let answer = ask(&place.path, "How long was the kitchen camera blind today?");
    assert_eq!((answer.value, &answer.evidence[..]), (Some(Value::Seconds(3600.0)), &[8][..]), "{}", answer.text);
    assert_eq!(ask(&place.path, "How long was the hall camera blind today?").value, Some(Value::Seconds(0.0)));
}

/// An encoder that finds these sentences near, and words like one another as told.
struct Near(Words, Vec<(&'static str, f32)>, f32);

impl Meaning for Near {
    fn sentences(&self) -> &[Sentence] {
        self.0.sentences()
    }

    fn near(&mut self, _phrase: &str) -> Option<Vec<f32>> {
        let cosine = |kind: &str| self.1.iter().find(|near| near.0 == kind).map_or(0.1, |near| near.1);
        Some(self.0.sentences().iter().map(|sentence| cosine(&sentence.kind)).collect())
    }

    fn alike(&mut self, _one: &str, _other: &str) -> Option<f32> {
        Some(self.2)
    }
}

#[test]
fn what_is_meant_must_be_near_lead_and_be_told_of_in_its_own_words() {
    let place = place();
    day(&place.path);
    let journal = Journal::open(&place.path).expect("it is there");
    let kind = |question: &str, near: &[(&'static str, f32)], alike: f32| {
        let mut meaning = Near(words(), near.to_vec(), alike);
        let mut asker = Asker { journal: &journal, meaning: &mut meaning, now: now(), camera: None };
        let answer = asker.ask(question).expect("it is readable");
        if answer.abstained { answer.text } else { answer.kind.expect("a kind") }
    };
    assert_eq!(kind("Did someone tumble?", &[("fall", 0.7), ("sit", 0.3)], 0.35), "fall");
    // Nothing is alike enough; a word that nobody says; two that are as near; opposites, which words tell.
    assert!(kind("Did someone tumble?", &[("fall", 0.4)], 0.9).starts_with("I do not know of"));
    assert!(
        kind("Did someone open the fridge?", &[("enter", 0.55)], 0.4)
            .contains("nearest that I can tell about is \"Someone comes in\"")
    );
    assert!(
        kind("Did someone slump?", &[("fall", 0.7), ("sit", 0.69)], 0.9).starts_with("I am not sure what is meant: ")
    );
    assert_eq!(kind("Did the lamp go off?", &[("light_on", 0.76), ("light_off", 0.63)], 0.6), "light_off");
    assert_eq!(kind("Was the lamp lit at 9:30?", &[("light_off", 0.7), ("light_on", 0.65)], 0.6), "light_on");
}

#[test]
fn an_empty_journal_and_one_of_clips_know_no_date() {
    let place = place();
    let start = Start { unix_ms: None, stream_us: Micros(0), least_id: 1 };
    drop(Writer::open(&place.path, LIMITS, start).expect("it can be written"));
    let answer = ask(&place.path, "What happened today?");
    assert!(answer.abstained && answer.text.contains("no date"), "{}", answer.text);
}

#[test]
fn a_day_has_chapters() {
    let place = place();
    day(&place.path);
    let journal = Journal::open(&place.path).expect("it is there");
    let mut asker = Asker { journal: &journal, meaning: &mut (), now: now(), camera: None };
    let digest = asker.digest(date(2026, 3, 27)).expect("readable");
    let parts: Vec<(u64, u64)> = digest.chapters.iter().map(|part| (part.period.start_ms, part.events)).collect();
    assert_eq!(parts, [(at(8, 0), 7), (at(11, 30), 3), (at(15, 0), 3)]);
    assert!(digest.chapters[1].title.contains("Someone falls to the floor"), "{:?}", digest.chapters);
    assert_eq!((digest.events, digest.alerts.len(), digest.gaps.len()), (13, 1, 3), "{:?}", digest.gaps);
    assert_eq!(digest.kinds[0], ("sit".to_owned(), 3));
    let told = digest.tell(4);
    assert_eq!(told.len(), 4);
    assert!(
        told.is_sorted_by_key(|telling| telling.start_ms) && told.iter().any(|telling| telling.text.contains("falls"))
    );
    assert!(digest.tell(1000).len() <= 13 && digest.tell(0).is_empty());
    let empty = asker.digest(date(2026, 3, 26)).expect("readable");
    assert!(empty.chapters.is_empty() && empty.tell(3).is_empty() && empty.gaps.len() == 1);
    assert!(asker.digest(date(2027, 1, 1)).expect("readable").chapters.is_empty());
}

#[test]
fn an_alert_that_says_what_was_narrated_is_told_once() {
    let place = place();
    let start = Start { unix_ms: Some(at(9, 0)), stream_us: Micros(0), least_id: 1 };
    let (mut writer, _) = Writer::open(&place.path, LIMITS, start).expect("it can be written");
    for (id, kind, text) in [
        (1, EventKind::Narration, "Someone falls."),
        (2, EventKind::Alert, "Someone falls."),
        (3, EventKind::Alert, "The stove is on."),
    ] {
        let about = About { kind: "fall".into(), severity: Severity::Alarm, vector: None, entities: Vec::new() };
        let told = Told {
            id,
            kind,
            camera: "hall".into(),
            start_us: Micros(id * 1_000_000),
            end_us: Micros(id * 1_000_000),
            start_ms: Some(at(9, 0) + id * 1000),
            text: text.into(),
            score: 0.5,
            entries: None,
            about: Some(about),
            quiet: false,
        };
        writer.write(&[Entry::Told(told)]).expect("there is room");
    }
    drop(writer);
    let journal = Journal::open(&place.path).expect("it is there");
    let mut asker = Asker { journal: &journal, meaning: &mut (), now: now(), camera: None };
    let digest = asker.digest(date(2026, 3, 27)).expect("readable");
    assert_eq!((digest.events, digest.alerts.len()), (2, 2));
    assert_eq!(digest.chapters[0].title, "Someone falls; The stove is on");
}

#[test]
fn a_long_day_has_no_more_chapters_than_one_can_read() {
    let place = place();
    let start = Start { unix_ms: Some(at(0, 30)), stream_us: Micros(0), least_id: 1 };
    let (mut writer, _) = Writer::open(&place.path, LIMITS, start).expect("it can be written");
    // Each with a pause before it that would end a chapter.
    for id in 1..=36u64 {
        let at_us = Micros(id * 31 * 60_000_000);
        let told = Told {
            id,
            kind: EventKind::Narration,
            camera: "hall".into(),
            start_us: at_us,
            end_us: at_us,
            start_ms: Some(at(0, 30) + at_us.0 / 1000),
            text: format!("Text {}.", id % 7),
            score: 0.5,
            entries: None,
            about: Some(About {
                kind: format!("kind{}", id % 7),
                severity: Severity::Info,
                vector: None,
                entities: Vec::new(),
            }),
            quiet: false,
        };
        writer.write(&[Entry::Told(told)]).expect("there is room");
    }
    drop(writer);
    let journal = Journal::open(&place.path).expect("it is there");
    let mut asker = Asker { journal: &journal, meaning: &mut (), now: now(), camera: None };
    let digest = asker.digest(date(2026, 3, 27)).expect("readable");
    assert_eq!(digest.chapters.len(), MOST_CHAPTERS);
    assert_eq!(digest.chapters.iter().map(|part| part.events).sum::<u64>(), digest.events);
}

#[test]
fn what_the_fuzzer_begins_with_is_answered() {
    let place = place();
    day(&place.path);
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/question");
    for seed in std::fs::read_dir(seeds).expect("they are there") {
        let question = std::fs::read_to_string(seed.expect("a file").path()).expect("it is text");
        assert!(!ask(&place.path, &question).text.is_empty(), "{question}");
    }
}
