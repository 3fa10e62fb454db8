//! Conditions in plain words: `when` of an `[[alert]]`, understood as kinds of the vocabulary.
//!
//! The text encoder holds 16 MiB beside code, so it runs in a process of its own, `ocelli embed`, which has ended before the models
//! are loaded. What was understood is said, for a sentence and its opposite may lie near each other.

use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};

use ocelli_drivers::SinkError;
use ocelli_infer::{Evidence, Pack};

use crate::config::{Config, ConfigError};
use crate::error::{Error, note};
use crate::vocab;

/// The cosine from which a sentence of the vocabulary says what is meant. Of 21 wishes for what `home` 0.3.0 knows 20 are from here
/// on, at 0.55 to 0.97, and of 16 for what it does not know none, 0.54 at most.
const ALIKE: f32 = 0.55;

/// Kinds so near to the nearest are meant as well.
const NEARLY: f32 = 0.05;

/// A text encoder hardly hears these, so that "nobody has fallen" lies beside "somebody has fallen".
const NEGATIONS: [&str; 10] =
    ["no", "not", "nobody", "none", "never", "nothing", "without", "neither", "nor", "cannot"];

/// Neither has a sentence on what is seen a time: these say for how long, or when.
const LENGTHS: [&str; 5] = ["seconds", "minute", "minutes", "hour", "hours"];
const TIMES: [&str; 17] = [
    "morning",
    "noon",
    "afternoon",
    "evening",
    "night",
    "midnight",
    "nights",
    "weekend",
    "weekdays",
    "pm",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// So many kinds of those that are meant are shown.
const SHOWN: usize = 20;

/// Gives each alert that has `when` the kinds that it means in this pack, with the user's sentences in it.
///
/// # Errors
/// Nothing that can be said is alike enough, or there is no text encoder.
pub fn understand(config: &mut Config, pack: &Pack) -> Result<(), Error> {
    let whens: Vec<String> = config.alerts.iter().filter_map(|alert| alert.when.clone()).collect();
    if whens.is_empty() {
        return Ok(());
    }
    let mut places = embedded(&whens)?.into_iter();
    let cameras: Vec<String> = config.cameras.iter().map(|camera| camera.name.to_lowercase()).collect();
    for alert in &mut config.alerts {
        let Some(when) = &alert.when else { continue };
        let place = places.next().filter(|place| place.is_of_text(when)).ok_or_else(|| failed("it gave no answer"))?;
        let length = place.values().iter().map(|&value| f32::from(value).powi(2)).sum::<f32>().sqrt();
        let z = place.values().map(|value| f32::from(value) / length);
        let near = pack.vocabulary.nearest_of_kinds(&z);
        let said = |entry: usize| pack.vocabulary.entry(entry).into_owned();
        let most = near.first().map_or(0.0, |(_, cosine)| *cosine);
        let meant: Vec<_> = near.iter().filter(|(_, cosine)| *cosine >= ALIKE.max(most - NEARLY)).collect();
        if meant.is_empty() {
            let nearest = near.first().map_or_else(String::new, |(entry, _)| said(*entry).text);
            return Err(ConfigError::Usage(format!(
                "alert `{when}`: nothing that can be said is like it (the nearest is `{nearest}`, at a cosine of {most:.2}); \
                 write `kinds`, or let it be said: ocelli vocab add '{when}'"
            ))
            .into());
        }
        if let Some(advice) = unheard(when, &said(near[0].0).text, if alert.camera.is_none() { &cameras } else { &[] })
        {
            return Err(ConfigError::Usage(format!("alert `{when}`: {advice}")).into());
        }
        let kind = |index: usize| pack.vocabulary.kind(said(index).kind).into_owned();
        let told = meant
            .iter()
            .take(SHOWN)
            .map(|(entry, cosine)| format!("{} (`{}`, {cosine:.2})", kind(*entry), said(*entry).text));
        let more = if meant.len() > SHOWN { format!(", and {} more", meant.len() - SHOWN) } else { String::new() };
        note(format_args!("alert `{when}` is understood as {}{more}", told.collect::<Vec<_>>().join(", ")));
        alert.kinds = meant.iter().map(|(entry, _)| kind(*entry)).collect();
    }
    Ok(())
}

/// What would be left out of a wish without a word where it is taken for this sentence, and how it is written instead.
fn unheard(when: &str, sentence: &str, cameras: &[String]) -> Option<String> {
    let words = |text: &str| -> Vec<String> {
        let text = text.to_lowercase().replace('\u{2019}', "'");
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
        words.map(ToOwned::to_owned).collect()
    };
    let (wish, said) = (words(when), words(sentence));
    let is_negation = |word: &String| word.ends_with("n't") || NEGATIONS.contains(&word.as_str());
    let only_in_wish = |of: &[&str]| wish.iter().find(|word| of.contains(&word.as_str()) && !said.contains(word));
    if wish.iter().any(is_negation) && !said.iter().any(is_negation) {
        return Some(format!(
            "it would be taken for `{sentence}`, without its negation; write `kinds`, or for what is not to be seen `absent`"
        ));
    }
    if let Some(word) = only_in_wish(&LENGTHS) {
        return Some(format!("`{word}` would not be heard; how long is written as `for`, such as for = \"10min\""));
    }
    if let Some(word) = only_in_wish(&TIMES) {
        return Some(format!("`{word}` would not be heard; when is written as `times`, such as [\"22:00-06:00\"]"));
    }
    let several: Vec<&str> = cameras.iter().map(String::as_str).filter(|_| cameras.len() > 1).collect();
    only_in_wish(&several)
        .map(|word| format!("`{word}` would not be heard; which camera is written as `camera = \"{word}\"`"))
}

/// `ocelli embed`: where each line of standard input lies in the vocabulary's space, a line each.
pub fn embed() -> Result<(), Error> {
    let failed = |source: io::Error| Error::System { what: "standard input", source };
    let (mut text, mut lines) = (String::new(), String::new());
    // All of it first, so that neither side waits for the other.
    io::stdin().read_to_string(&mut text).map_err(failed)?;
    let mut encoder = vocab::load_encoder()?;
    for sentence in text.lines() {
        lines += &format!("{}\n", encoder.embed(sentence)?.place);
    }
    let printed = io::stdout().write_all(lines.as_bytes()).and_then(|()| io::stdout().flush());
    printed.map_err(|error| Error::Output { path: "standard output".into(), source: SinkError::from(error) })
}

/// Where sentences lie, by a process of its own.
fn embedded(sentences: &[String]) -> Result<Vec<Evidence>, Error> {
    let system = |source: io::Error| Error::System { what: "a process for the text encoder", source };
    let mut encoder = Command::new(std::env::current_exe().map_err(system)?);
    encoder.arg("embed").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut encoder = encoder.spawn().map_err(system)?;
    if let Some(mut input) = encoder.stdin.take() {
        // One that has ended says why.
        let _ = input.write_all(format!("{}\n", sentences.join("\n")).as_bytes());
    }
    let ended = encoder.wait_with_output().map_err(system)?;
    if !ended.status.success() {
        let why = String::from_utf8_lossy(&ended.stderr).trim().trim_start_matches("ocelli: ").to_owned();
        return Err(failed(if why.is_empty() { "it was ended" } else { &why }));
    }
    let places = String::from_utf8_lossy(&ended.stdout).lines().map(str::parse).collect::<Result<Vec<Evidence>, _>>();
    places.map_err(|error| failed(&error.to_string()))
}

fn failed(why: &str) -> Error {
    let why = format!("`when` of an [[alert]] cannot be understood: {why}; `kinds` needs no text encoder");
    ConfigError::Usage(why).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_encoder_does_not_hear_is_refused_with_what_to_write() {
        let cameras = ["hall".to_owned(), "kitchen".to_owned()];
        for (when, sentence, advice) in [
            ("nobody has fallen", "A person has fallen.", Some("`absent`")),
            ("somebody does not get up", "Someone gets up.", Some("`absent`")),
            ("the door isn\u{2019}t opened", "The door opens.", Some("`absent`")),
            ("somebody lies motionless", "A person on the floor does not move.", None),
            ("a second person comes in", "Someone comes in.", None),
            ("nobody is in the room", "Nobody is there.", None),
            ("someone lies there for ten minutes", "Someone is lying.", Some("`for`")),
            ("someone walks at Night", "Someone walks.", Some("`times`")),
            ("the night lamp burns", "The night lamp is on.", None),
            ("someone falls in the kitchen", "Someone falls.", Some("camera = \"kitchen\"")),
            ("someone knocks", "Someone knocks.", None),
        ] {
            let said = unheard(when, sentence, &cameras);
            assert_eq!(said.is_some(), advice.is_some(), "{when}: {said:?}");
            assert!(said.as_ref().is_none_or(|said| said.contains(advice.unwrap_or_default())), "{when}: {said:?}");
        }
        assert_eq!(unheard("someone falls in the kitchen", "Someone falls.", &cameras[1..]), None, "there is but one");
    }
}
