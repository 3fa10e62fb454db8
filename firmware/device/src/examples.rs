//! `ocelli teach`: what happened in a time, in words. What was seen then, which the journal has from moment to moment, becomes the
//! place of a sentence: one example is enough, and each further one, and each `ocelli yes` and `no`, moves it (`PVChat` learns a
//! person from one clip; a mean of examples as a class's prototype is that of Snell, Swersky and Zemel, 2017).

use std::path::Path;

use ocelli_drivers::SystemClock;
use ocelli_infer::{EMBEDDING, Evidence, Pack};
use ocelli_journal::{Journal, Ring, Seen};
use ocelli_types::{Clock as _, Micros};
use serde_json::json;

use crate::cli::TeachArgs;
use crate::config::{Config, ConfigError};
use crate::error::{Error, note};
use crate::events;
use crate::lessons;
use crate::moments::WRITTEN_US;
use crate::sentences::{self, SEEN_FLOOR, Sentence};
use crate::vocab::{Place, plain, usage, word};

/// From this probability of rest on nothing went on in a moment.
const REST: f32 = 0.5;

/// How near a moment must be to the one in the middle, to be of the same happening.
const SAME: f32 = 0.8;

/// The cosine from which what was taught by an example is meant, where the example itself is no broader. Of falls of eight real clips, by
/// a pack without words for them, one example finds 36% of the others as near as that, and 5% of seven clips without a fall are; a mean
/// of three 57% and 2%. From 0.9 on it is 23% and 2%, and 30% and none.
const FLOOR: f32 = 0.85;

/// A moment counts for so long at least and at most: what stands still for a minute is seen once.
const SHORTEST_S: f64 = 0.4;
const LONGEST_S: f64 = 2.0;

/// Teaches, or shows what was taught.
pub fn command(args: &TeachArgs) -> Result<(), Error> {
    let config = args.common.config()?;
    if args.list {
        return list(&config, args.json);
    }
    if let Some(text) = &args.export {
        return export(&config, text);
    }
    if let Some(text) = &args.delete {
        return delete(&config, text, args.what.as_deref());
    }
    let what = args.what.as_deref().unwrap_or_default();
    if args.last.is_none() && args.from.is_none() {
        return lessons::learn(&config, Path::new(what), args.was.as_deref(), args.wrong, lessons::events());
    }
    example(args, &config, what.trim())
}

/// Adds an example of a sentence.
fn example(args: &TeachArgs, config: &Config, text: &str) -> Result<(), Error> {
    let place = Place::of(config)?;
    let (kind, severity) = (args.kind.clone(), args.severity);
    let given = Sentence { kind, severity, ..plain(text) };
    given.check().map_err(usage)?;
    if place.knows(text) {
        let advice =
            format!("the pack says `{text}` already; teach where it is right with `ocelli no ID --was '{text}'`");
        return Err(usage(advice));
    }
    let journal = Journal::open(&events::file(args.journal.as_ref(), config)?)?;
    let moments = moments(&journal, args.camera.as_deref())?;
    let chosen = chosen(&moments, args)?;
    let Prototype { place: example, used, spread } = prototype(&chosen)
        .ok_or_else(|| usage("what was seen in that time has nothing in common; name a shorter time"))?;
    lessons::check("what was seen", &example, &place.pack)?;
    let _lock = sentences::lock(&place.path)?;
    let mut held = place.read()?;
    let old = held.whole(text)?;
    let near = old.as_ref().and_then(|old| old.prototype(&place.pack)).map(|(before, _)| before.cosine(&example));
    let mut sentence = match old {
        Some(old) => Sentence { kind: given.kind.or(old.kind), severity: given.severity.or(old.severity), ..old },
        None => given,
    };
    sentence.learn(&example, spread.min(FLOOR), true, &place.pack);
    place.settle(&mut sentence, &held);
    let (examples, floor) = (sentence.examples.unwrap_or(1), sentence.floor.unwrap_or(SEEN_FLOOR));
    let severity = word(sentence.severity.unwrap_or_default());
    let first =
        chosen.first().map_or_else(String::new, |seen| events::when(seen.start_ms, seen.start_us, &events::local()));
    held.put(sentence, &place.pack).map_err(usage)?;
    held.write()?;
    let moments = format!("{used} of {} moments from {}", chosen.len(), first.trim());
    note(format_args!(
        "`{text}` is known by {examples} example{}, severity {severity}, from a cosine of {floor:.2}: {moments}",
        if examples == 1 { "" } else { "s" }
    ));
    match near {
        Some(near) if near < SAME => {
            note(format_args!(
                "this example is little like those before (a cosine of {near:.2}); a sentence of its own may do better"
            ));
        }
        _ => {}
    }
    Ok(())
}

/// What a camera saw lately.
fn moments(journal: &Journal, camera: Option<&str>) -> Result<Vec<Seen>, Error> {
    let moments: Vec<Seen> = journal.seen(Ring::Moments, camera)?.into_iter().map(|(_, seen)| seen).collect();
    let mut cameras: Vec<&str> = moments.iter().map(|seen| seen.camera.as_str()).collect();
    cameras.sort_unstable();
    cameras.dedup();
    match &cameras[..] {
        [] => {
            let whose = camera.map_or_else(String::new, |camera| format!(" of the camera `{camera}`"));
            Err(usage(format!("the journal has nothing that was seen{whose}; `ocelli run --journal FILE` keeps it")))
        }
        [_] => Ok(moments),
        several => Err(usage(format!("name the camera that saw it with --camera: {}", several.join(", ")))),
    }
}

/// The moments of the time that is meant. A clip without dates ends now.
fn chosen<'a>(moments: &'a [Seen], args: &TeachArgs) -> Result<Vec<&'a Seen>, Error> {
    let newest = moments.iter().max_by_key(|seen| seen.end_us).expect("there are some");
    // What goes on now may have been written some seconds ago.
    let slack = |seen: &Seen| if std::ptr::eq(seen, newest) { WRITTEN_US.0 / 1000 } else { 0 };
    let chosen: Vec<&Seen> = if let (Some(last), None) = (args.last, newest.start_ms) {
        let from_us = newest.end_us.since(Micros(last.as_micros() as u64));
        moments.iter().filter(|seen| seen.end_us >= from_us).collect()
    } else {
        let now_ms = SystemClock::new().unix_ms();
        let zone = events::local();
        let [from_ms, to_ms] = [args.from, args.to].map(|at| at.map(|at| at.unix_ms(&zone)));
        let from_ms = args.last.map(|last| now_ms.saturating_sub(last.as_millis() as u64)).or(from_ms);
        if from_ms.zip(to_ms).is_some_and(|(from_ms, to_ms)| to_ms <= from_ms) {
            return Err(usage("--to is no later than --from; name a time that ends after it begins"));
        }
        let (from_ms, to_ms) = (from_ms.unwrap_or(0), to_ms.unwrap_or(now_ms));
        let within = |seen: &&Seen| {
            seen.start_ms.zip(seen.end_ms()).is_some_and(|(start, end)| start <= to_ms && end + slack(seen) >= from_ms)
        };
        moments.iter().filter(within).collect()
    };
    if chosen.is_empty() {
        let oldest = moments.first().expect("there are some");
        let [from, to] = [oldest, newest].map(|seen| events::when(seen.start_ms, seen.start_us, &events::local()));
        let advice = "name a time between those with --from and --to";
        return Err(usage(format!(
            "nothing is kept of that time; there is {} to {}; {advice}",
            from.trim(),
            to.trim()
        )));
    }
    Ok(chosen)
}

/// Where most of what was chosen lay.
struct Prototype {
    place: Evidence,
    /// Of how many moments it is the mean.
    used: usize,
    /// The least of their cosines to it.
    spread: f32,
}

/// Of the moments in which something went on the one that is most like all, and the mean of those that are like it.
fn prototype(chosen: &[&Seen]) -> Option<Prototype> {
    let busy: Vec<&Seen> = chosen.iter().copied().filter(|seen| seen.rest < REST).collect();
    let of = if busy.is_empty() { chosen } else { &busy[..] };
    let seen: Vec<(Evidence, f32)> = of
        .iter()
        .map(|seen| {
            let lasted_s = seen.end_us.since(seen.start_us).seconds().clamp(SHORTEST_S, LONGEST_S);
            (Evidence::kept(&seen.vector.mark, &seen.vector.values), lasted_s as f32)
        })
        .collect();
    let units: Vec<[f32; EMBEDDING]> = seen.iter().map(|(evidence, _)| evidence.unit()).collect();
    let cosine = |a: usize, b: usize| units[a].iter().zip(&units[b]).map(|(a, b)| a * b).sum::<f32>();
    let like_all = |a: usize| seen.iter().enumerate().map(|(b, (_, weight))| weight * cosine(a, b)).sum::<f32>();
    let scores = (0..seen.len()).map(|index| (index, like_all(index)));
    let (middle, _) = scores.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let near = seen.iter().enumerate().filter(|(index, _)| cosine(*index, middle) >= SAME).map(|(_, seen)| seen);
    let near: Vec<&(Evidence, f32)> = near.collect();
    let place = Evidence::mean(near.iter().map(|(evidence, weight)| (evidence, *weight)))?;
    let spread = near.iter().map(|(evidence, _)| evidence.cosine(&place)).fold(1.0, f32::min);
    Some(Prototype { place, used: near.len(), spread })
}

/// What a user says of an event also teaches the sentences that were taught by examples: the one that was said, and the one that
/// it was. Gives whether there were any.
pub fn correct(
    config: &Config,
    said: &str,
    was: Option<&str>,
    wrong: bool,
    evidence: &Evidence,
) -> Result<bool, Error> {
    if config.vocabulary.is_none() {
        return Ok(false);
    }
    let place = Place::of(config)?;
    let _lock = sentences::lock(&place.path)?;
    let mut held = place.read()?;
    let of_said = (said, !wrong && was.is_none_or(|was| was == said));
    let mut changed = false;
    for (text, right) in [Some(of_said), was.filter(|was| *was != said).map(|was| (was, true))].into_iter().flatten() {
        let Some(mut sentence) = held.taught()?.into_iter().find(|sentence| sentence.says(text)) else { continue };
        sentence.learn(evidence, 1.0, right, &place.pack);
        let (examples, floor) = (sentence.examples.unwrap_or(1), sentence.floor.unwrap_or(SEEN_FLOOR));
        note(format_args!("`{}` is known by {examples} examples, from a cosine of {floor:.2}", sentence.text));
        held.put(sentence, &place.pack).map_err(usage)?;
        changed = true;
    }
    if changed {
        held.write()?;
    }
    Ok(changed)
}

/// The sentences that were taught by examples.
fn taught(config: &Config) -> Result<(Pack, Vec<Sentence>), Error> {
    let place = Place::of(config)?;
    let taught = place.read()?.taught()?;
    Ok((place.pack, taught))
}

fn list(config: &Config, as_json: bool) -> Result<(), Error> {
    let (_, taught) = taught(config)?;
    if taught.is_empty() {
        note("nothing was taught by examples yet; see `ocelli teach --help`");
    }
    let mut lines = String::new();
    for Sentence { text, kind, severity, floor, examples, .. } in &taught {
        let (examples, floor) = (examples.unwrap_or(1), floor.unwrap_or(SEEN_FLOOR));
        let severity = word(severity.unwrap_or_default());
        if as_json {
            let floor = (f64::from(floor) * 1000.0).round() / 1000.0;
            let kind = kind.as_ref().unwrap_or(text);
            let line = json!({"text": text, "kind": kind, "severity": severity, "examples": examples, "floor": floor});
            lines += &line.to_string();
        } else {
            lines += &format!("{examples:>3} examples  from {floor:.2}  {severity:<7} {text}");
        }
        lines.push('\n');
    }
    events::print(&lines)
}

fn export(config: &Config, text: &str) -> Result<(), Error> {
    let (_, taught) = taught(config)?;
    let sentence =
        taught.iter().find(|sentence| sentence.text == text.trim()).ok_or_else(|| not_taught(text, &taught))?;
    events::print(&(serde_json::to_string(sentence).map_err(|error| usage(error.to_string()))? + "\n"))
}

/// Forgets a sentence that was taught, and what the lessons of the cameras say of it.
fn delete(config: &Config, text: &str, more: Option<&str>) -> Result<(), Error> {
    let place = Place::of(config)?;
    let lock = sentences::lock(&place.path)?;
    let mut held = place.read()?;
    let taught = held.taught()?;
    let sentence =
        taught.iter().find(|sentence| sentence.text == text.trim()).ok_or_else(|| not_taught(text, &taught))?;
    held.remove(&sentence.text);
    held.write()?;
    // Lessons may lie in the same folder, which is what is locked.
    drop(lock);
    // Of a kind that others share the lessons stay.
    let own = sentence.kind.as_ref().is_none_or(|kind| *kind == sentence.text);
    let files = config.cameras.iter().filter_map(|camera| camera.lessons.as_deref()).chain(more.map(Path::new));
    let files: Vec<&Path> = files.filter(|_| own).collect();
    let gone = files.into_iter().map(|path| lessons::forget(path, &sentence.text)).sum::<Result<usize, _>>()?;
    note(format_args!("`{}` is forgotten, with {gone} lessons on it", sentence.text));
    Ok(())
}

fn not_taught(text: &str, taught: &[Sentence]) -> Error {
    let near = events::near(text, taught.iter().map(|sentence| sentence.text.as_str()));
    let near =
        near.map_or_else(|| "`ocelli teach --list` shows what was".into(), |near| format!("did you mean `{near}`?"));
    ConfigError::Usage(format!("`{text}` was not taught by examples; {near}")).into()
}

#[cfg(test)]
mod tests {
    use ocelli_journal::Vector;

    use super::*;

    fn seen(second: u64, seconds: u64, rest: f32, radians: f32) -> Seen {
        let mut values = Box::new([0; EMBEDDING]);
        (values[0], values[1]) = ((radians.cos() * 127.0) as i8, (radians.sin() * 127.0) as i8);
        Seen {
            camera: "hall".into(),
            start_us: Micros(second * 1_000_000),
            end_us: Micros((second + seconds) * 1_000_000),
            start_ms: Some(1_767_225_600_000 + second * 1000),
            rest,
            nearest: 0.3,
            vector: Vector { mark: "0badcafe".into(), values },
        }
    }

    /// The empty room before and after, and a moment of something else, have no part in it.
    #[test]
    fn a_prototype_is_of_what_went_on() {
        let told = [
            seen(0, 30, 0.9, 1.5),
            seen(30, 1, 0.1, 0.0),
            seen(31, 1, 0.1, 0.2),
            seen(32, 1, 0.2, 2.5),
            seen(33, 9, 0.8, 1.5),
        ];
        let Prototype { place, used, spread } = prototype(&told.iter().collect::<Vec<_>>()).expect("it has one");
        let at = |radians: f32| {
            let vector = seen(0, 1, 0.0, radians).vector;
            Evidence::kept(&vector.mark, &vector.values)
        };
        assert!(used == 2 && place.cosine(&at(0.1)) > 0.999, "{used}");
        assert!((spread - 0.1f32.cos()).abs() < 0.001, "{spread}");
        // Where nothing went on, that is what was meant.
        let Prototype { place, used, .. } = prototype(&[&told[0], &told[4]]).expect("it has one");
        assert!(used == 2 && place.cosine(&at(1.5)) > 0.999);
        assert_eq!(prototype(&[&told[1]]).expect("one example is enough").used, 1);
    }
}
