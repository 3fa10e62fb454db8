//! What the memory of a program adds to an answer: moments that looked like what was asked about and were not told, as with
//! `--verbosity quiet`.
//!
//! The tiers of a memory note of each scene the sentences that were most probable in it, and when. Of the scenes in the time that
//! was asked about the surest are taken first, and none that is less sure than its kind must be to be told (after `TimeSearch`:
//! windows, the most promising first, and a check of confidence). They are named beside an answer and never become it, for most of
//! what was not told was not told with reason (`tools/eval/language/memory.py` has figures).

use std::path::Path;

use ocelli_infer::Pack;
use ocelli_journal::ask::{Answer, Form, Value};
use ocelli_pipeline::Tier;

use crate::config::Config;
use crate::error::note;
use crate::state::{PLAUSIBLE_UNIX_MS, Store};
use crate::wiring;

/// Moments that are named beside an answer, at most.
const MOST: usize = 3;

/// How many of them are what was asked about: 29% of 31 at the verbosity `normal`, 27% of 59 where it is `quiet` (`cargo xtask eval
/// language --only memory`).
pub const RIGHT: f32 = 0.28;

/// What lies nearer than this is of one happening.
const APART_MS: u64 = 10_000;

/// A moment in which a kind was probable.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
    pub camera: String,
    pub kind: String,
    pub probability: f32,
    pub tier: Tier,
}

/// Moments of all cameras, the surest first.
#[derive(Debug, Default)]
pub struct Recollection(Vec<Moment>);

impl Recollection {
    /// What the memories hold that were saved last; of one that cannot be read nothing, which is said. Without `[memory] state`
    /// there are none.
    pub fn read(config: &Config, pack: &Pack) -> Self {
        let Some(folder) = &config.memory.state else { return Self::default() };
        let mut all = Vec::new();
        for camera in &config.cameras {
            match of_camera(folder, &camera.name, config, pack) {
                Ok(moments) => all.extend(moments),
                Err(why) => note(format_args!("the memory of the camera {} is not asked: {why}", camera.name)),
            }
        }
        all.sort_by(|one, other| other.probability.total_cmp(&one.probability));
        Self(all)
    }

    /// What may be meant where an answer says that it never was.
    pub fn beside(&self, answer: &Answer) -> Vec<&Moment> {
        let never = match (answer.form, &answer.value) {
            (Some(Form::First | Form::Last), None) => true,
            (Some(Form::Count), Some(Value::Count(count))) => *count == 0,
            (Some(Form::Duration), Some(Value::Seconds(seconds))) => *seconds <= 0.0,
            (Some(Form::Happened), Some(Value::Yes(yes))) => !yes,
            _ => false,
        };
        let (Some(kind), Some(period)) = (&answer.kind, answer.period) else { return Vec::new() };
        if !never || answer.abstained || !answer.evidence.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<&Moment> = Vec::new();
        for moment in &self.0 {
            let asked = moment.kind == *kind
                && (period.start_ms..period.end_ms).contains(&moment.at_ms)
                && answer.camera.as_ref().is_none_or(|camera| *camera == moment.camera);
            let near = |other: &&Moment| other.camera == moment.camera && other.at_ms.abs_diff(moment.at_ms) < APART_MS;
            if asked && !found.iter().any(near) {
                found.push(moment);
            }
            if found.len() == MOST {
                break;
            }
        }
        found
    }
}

fn of_camera(folder: &Path, camera: &str, config: &Config, pack: &Pack) -> Result<Vec<Moment>, String> {
    let Some(kept) = Store::peek(folder, camera, pack, wiring::memory(pack, config.profile))? else {
        return Ok(Vec::new());
    };
    if kept.saved_unix_ms < PLAUSIBLE_UNIX_MS {
        return Err("its dates are unknown, for the clock was not set when it was saved".into());
    }
    let (vocabulary, speak) = (&pack.vocabulary, &pack.manifest.speak);
    let moments = kept.memory.peaks().filter_map(|recalled| {
        let sentence = usize::from(recalled.peak.sentence);
        let entry = (sentence < vocabulary.of_pack()).then(|| vocabulary.entry(sentence))?;
        let kind = vocabulary.kind(entry.kind).into_owned();
        let least = speak.kinds.get(&kind).map_or(speak.threshold, |own| own.threshold);
        let ago_ms = kept.saved_us.since(recalled.peak.at_us).0 / 1000;
        let at_ms = kept.saved_unix_ms.checked_sub(ago_ms)?;
        let (camera, probability, tier) = (camera.to_owned(), recalled.peak.probability, recalled.tier);
        (probability >= least).then_some(Moment { at_ms, camera, kind, probability, tier })
    });
    Ok(moments.collect())
}

#[cfg(test)]
mod tests {
    use ocelli_journal::ask::Period;
    use ocelli_pipeline::MemoryRing;
    use ocelli_types::{Micros, PatchMask};

    use super::*;
    use crate::config::Profile;

    const SAVED_MS: u64 = 1_790_000_000_000;

    /// A minute of which a camera's memory was saved at this time, with this sentence at its most after 20 s.
    fn saved_at(unix_ms: u64, folder: &Path, pack: &Pack, sentence: usize, probability: f32) {
        let config = wiring::memory(pack, Profile::Home);
        let mut memory = MemoryRing::new(config).expect("a valid memory");
        let values = vec![1.0; pack.manifest.stab.tokens * pack.manifest.stab.token_width];
        for frame in 0..300 {
            memory.commit(&values, &PatchMask::first(64), Micros(frame * 200_000));
            let mut heard = vec![0.0; pack.vocabulary.len()];
            heard[sentence] = if frame == 100 { probability } else { 0.0 };
            memory.hear(&heard);
        }
        let store = Store::open(folder, "hall", pack, config).expect("a writable folder");
        let mut bytes = Vec::new();
        store.compose(&mut bytes, &memory, None, None, (Micros(60_000_000), unix_ms));
        store.write(&bytes).expect("there is room");
    }

    fn saved(folder: &Path, pack: &Pack, sentence: usize, probability: f32) {
        saved_at(SAVED_MS, folder, pack, sentence, probability);
    }

    #[test]
    fn what_was_not_told_is_named_where_it_was_sure_enough_and_in_that_time() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test");
        let pack = Pack::open(&root).expect("the pack of the tests");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config::default();
        config.memory.state = Some(folder.path().to_path_buf());
        config.cameras[0].name = "hall".into();
        assert!(Recollection::read(&config, &pack).0.is_empty(), "nothing was saved yet");
        let entry = pack.vocabulary.entry(0).into_owned();
        let kind = pack.vocabulary.kind(entry.kind).into_owned();
        let speak = &pack.manifest.speak;
        let least = speak.kinds.get(&kind).map_or(speak.threshold, |own| own.threshold);

        saved(folder.path(), &pack, 0, least - 0.01);
        assert!(Recollection::read(&config, &pack).0.is_empty(), "not as sure as it must be to be told");
        saved(folder.path(), &pack, 0, least);
        let memory = Recollection::read(&config, &pack);
        let period = |start_s: u64, end_s: u64| {
            let start_ms = SAVED_MS - 60_000;
            Some(Period { start_ms: start_ms + start_s * 1000, end_ms: start_ms + end_s * 1000 })
        };
        let never = Answer {
            form: Some(Form::Happened),
            value: Some(Value::Yes(false)),
            period: period(0, 60),
            kind: Some(kind.clone()),
            abstained: false,
            ..Answer::refused(String::new())
        };
        let found = memory.beside(&never);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].at_ms, &*found[0].camera, &found[0].kind), (SAVED_MS - 40_000, "hall", &kind));
        let none = |answer: Answer| assert_eq!(memory.beside(&answer), Vec::<&Moment>::new(), "{answer:?}");
        assert_eq!(memory.beside(&Answer { period: period(20, 21), ..never.clone() }).len(), 1);
        none(Answer { period: period(0, 20), ..never.clone() });
        none(Answer { period: period(21, 60), ..never.clone() });
        none(Answer { kind: Some("another".into()), ..never.clone() });
        none(Answer { camera: Some("kitchen".into()), ..never.clone() });
        none(Answer { value: Some(Value::Yes(true)), evidence: vec![7], ..never.clone() });
        none(Answer { abstained: true, ..never.clone() });
        for (form, value) in
            [(Form::Last, None), (Form::Count, Some(Value::Count(0))), (Form::Duration, Some(Value::Seconds(0.0)))]
        {
            assert_eq!(memory.beside(&Answer { form: Some(form), value, ..never.clone() }).len(), 1, "{form:?}");
        }
    }
    #[test]
    fn a_memory_of_unknown_dates_or_a_damaged_one_is_not_asked() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test");
        let pack = Pack::open(&root).expect("the pack of the tests");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config::default();
        config.memory.state = Some(folder.path().to_path_buf());
        config.cameras[0].name = "hall".into();
        saved_at(PLAUSIBLE_UNIX_MS - 1, folder.path(), &pack, 0, 1.0);
        assert!(Recollection::read(&config, &pack).0.is_empty());
        saved(folder.path(), &pack, 0, 1.0);
        assert_eq!(Recollection::read(&config, &pack).0.len(), 1);
        let files = std::fs::read_dir(folder.path()).expect("it is there").map(|entry| entry.expect("readable").path());
        for path in files {
            let mut bytes = std::fs::read(&path).expect("it was written");
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 1;
            }
            std::fs::write(&path, bytes).expect("there is room");
        }
        assert!(Recollection::read(&config, &pack).0.is_empty(), "its checksum does not hold");
    }

    #[test]
    fn the_surest_three_are_named_each_happening_once() {
        let moment = |camera: &str, kind: &str, at_s: u64, probability: f32| Moment {
            at_ms: at_s * 1000,
            camera: camera.into(),
            kind: kind.into(),
            probability,
            tier: Tier::Segment,
        };
        let hall = |at_s, probability| moment("hall", "walk", at_s, probability);
        let all = [
            moment("hall", "sit", 40, 0.95),
            hall(110, 0.9),
            moment("kitchen", "walk", 112, 0.85),
            hall(101, 0.8),
            hall(119, 0.75),
            hall(120, 0.7),
            hall(150, 0.6),
        ];
        let memory = Recollection(all.to_vec());
        let never = Answer {
            form: Some(Form::Count),
            value: Some(Value::Count(0)),
            period: Some(Period { start_ms: 0, end_ms: 200_000 }),
            kind: Some("walk".into()),
            abstained: false,
            ..Answer::refused(String::new())
        };
        let at = |answer: &Answer| memory.beside(answer).iter().map(|moment| moment.at_ms / 1000).collect::<Vec<_>>();
        assert_eq!(at(&never), [110, 112, 120]);
        assert_eq!(at(&Answer { camera: Some("hall".into()), ..never.clone() }), [110, 120, 150]);
        assert_eq!(at(&Answer { value: Some(Value::Count(1)), ..never.clone() }), []);
        assert_eq!(at(&Answer { form: Some(Form::Duration), value: Some(Value::Seconds(0.1)), ..never }), []);
    }
}
