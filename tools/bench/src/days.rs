//! A journal of simulated days, for an evaluation that knows what happened: lines of JSON in, a journal as a program would have written
//! it out.

use std::io::BufRead;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ocelli_infer::Pack;
use ocelli_journal::{About, EMBEDDING, Entry, Limits, Start, Told, Vector, Writer};
use ocelli_types::{EventKind, Micros, Severity};
use serde_json::Value;

/// Bytes of an embedding in a pack: a scale and i8.
const ROW_BYTES: usize = 4 + EMBEDDING;

/// What tells these embeddings, those of the sentences, from those of models.
const MARK: &str = "of the words";

/// Writes a journal of what `lines` tell, with ids from 1 in their order, and gives the number of events.
///
/// A line is `{"type": "narration", "camera", "kind", "text", "start_ms", "end_ms", "score"}`, where kind and text are the pack's; an
/// `alert` (`text`, `kind`), `alert_end` or `blind` (`text`) in the same way; `{"type": "sees", "camera", "at_ms"}` after a `blind`;
/// `{"type": "start", "at_ms"}` before all else and after each `{"type": "stop", "at_ms"}`, which a hole lies between; and a `stop` at
/// the end. Times are milliseconds since 1970 and do not go back.
///
/// # Errors
/// A line is not such a one, or the journal cannot be written.
pub fn write_days(lines: impl BufRead, pack: &Pack, path: &Path) -> Result<u64> {
    let embeddings = pack.folder.join("vocabulary.bin");
    let embeddings = std::fs::read(&embeddings).with_context(|| embeddings.display().to_string())?;
    let (mut writer, mut began_ms, mut id) = (None::<Writer>, 0, 0);
    let mut batch = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let line: Value = serde_json::from_str(&line?).with_context(|| format!("line {}", number + 1))?;
        let at = |key: &str| line[key].as_u64().with_context(|| format!("line {}: `{key}` is no number", number + 1));
        let text = |key: &str| line[key].as_str().with_context(|| format!("line {}: `{key}` is no text", number + 1));
        let what = text("type")?;
        if what == "start" {
            began_ms = at("at_ms")?;
            let limits = Limits { bytes: 64 << 20, keep_us: Micros(u64::MAX) };
            let start = Start { unix_ms: Some(began_ms), stream_us: Micros(0), least_id: 1 };
            writer = Some(Writer::open(path, limits, start)?.0);
            continue;
        }
        let Some(open) = &mut writer else { bail!("line {}: nothing was started", number + 1) };
        let stream = |ms: u64| Micros(ms.saturating_sub(began_ms) * 1000);
        match what {
            "stop" => {
                let at_ms = at("at_ms")?;
                open.write(&batch)?;
                batch.clear();
                writer.take().context("it is open")?.finish(id + 1, stream(at_ms), Some(at_ms))?;
                continue;
            }
            "sees" => batch.push(Entry::Sees { camera: text("camera")?.into(), at_us: stream(at("at_ms")?) }),
            _ => {
                let kinds = [EventKind::Narration, EventKind::Alert, EventKind::AlertEnd, EventKind::Blind];
                let kind = kinds.into_iter().find(|kind| kind.name() == what);
                let kind = kind.with_context(|| format!("line {}: no type `{what}`", number + 1))?;
                id += 1;
                let (start_ms, end_ms) = (at("start_ms")?, at("end_ms")?);
                let said = text("text")?;
                let about = match kind {
                    EventKind::Narration => {
                        let index = pack.vocabulary.find(said);
                        let index = index.with_context(|| format!("the pack does not say `{said}`"))?;
                        let entry = pack.vocabulary.entry(index);
                        let row = &embeddings[index * ROW_BYTES + 4..][..EMBEDDING];
                        let values: Box<[i8; EMBEDDING]> = Box::new(std::array::from_fn(|at| row[at].cast_signed()));
                        let kind = pack.vocabulary.kind(entry.kind).into_owned();
                        let entities = pack.vocabulary.about(entry.kind).to_vec();
                        let vector = Some(Vector { mark: MARK.into(), values });
                        Some(About { kind, severity: entry.severity, vector, entities })
                    }
                    EventKind::Blind => None,
                    _ => {
                        let (kind, entities) = (text("kind")?.into(), Vec::new());
                        Some(About { kind, severity: Severity::Alarm, vector: None, entities })
                    }
                };
                batch.push(Entry::Told(Told {
                    id,
                    kind,
                    camera: text("camera")?.into(),
                    start_us: stream(start_ms),
                    end_us: stream(end_ms),
                    start_ms: Some(start_ms),
                    text: said.into(),
                    score: line["score"].as_f64().unwrap_or(1.0) as f32,
                    entries: None,
                    about,
                    quiet: false,
                }));
            }
        }
        if batch.len() >= 64 {
            open.write(&batch)?;
            batch.clear();
        }
    }
    if writer.is_some() {
        bail!("the last line should be a `stop`");
    }
    Ok(id)
}
