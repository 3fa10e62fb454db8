//! One JSON object a line, with the keys always in the same order.

use std::io::Write;

use ocelli_types::{Event, Sink};

use super::SinkError;

/// Writes `{"id","type","camera","t_start_s","t_end_s","text","score","entries"}` lines and flushes each.
///
/// Times are seconds since the start of the stream with 3 decimals; `entries` is `[oldest,newest]` or `null`. Behind them come
/// `severity` (of alerts), `relation` and `evidence`, where an event has them. `text` is the sentence of the vocabulary, whatever its relation.
#[derive(Debug)]
pub struct JsonSink<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> JsonSink<W> {
    /// A sink that writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, line: Vec::with_capacity(256) }
    }
}

impl<W: Write> Sink for JsonSink<W> {
    type Error = SinkError;

    fn emit(&mut self, event: &Event<'_>) -> Result<(), SinkError> {
        write_line(&mut self.line, event)?;
        self.out.write_all(&self.line)?;
        Ok(self.out.flush()?)
    }
}

fn write_line(line: &mut Vec<u8>, event: &Event<'_>) -> std::io::Result<()> {
    line.clear();
    write!(line, r#"{{"id":{},"type":"{}","camera":"#, event.id, event.kind.name())?;
    serde_json::to_writer(&mut *line, event.camera)?;
    write!(line, r#","t_start_s":{:.3},"t_end_s":{:.3},"text":"#, event.start_us.seconds(), event.end_us.seconds())?;
    serde_json::to_writer(&mut *line, event.text)?;
    // JSON has no NaN: what is not a number was not estimated.
    let score = if event.score.is_finite() { event.score } else { 0.0 };
    write!(line, r#","score":{score:.3},"entries":"#)?;
    match event.entries {
        Some((from, to)) => write!(line, "[{},{}]", from.0, to.0)?,
        None => line.extend_from_slice(b"null"),
    }
    if let Some(severity) = event.severity {
        write!(line, r#","severity":"{}""#, severity.name())?;
    }
    if let Some(relation) = event.relation {
        write!(line, r#","relation":"{}""#, relation.name())?;
    }
    if let Some(evidence) = event.evidence {
        line.extend_from_slice(br#","evidence":"#);
        serde_json::to_writer(&mut *line, evidence)?;
    }
    line.extend_from_slice(b"}\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Broken, falls};
    use super::*;
    use ocelli_types::{Relation, Severity};
    use std::io::ErrorKind;

    fn line(event: &Event<'_>) -> String {
        let mut out = Vec::new();
        JsonSink::new(&mut out).emit(event).expect("a Vec takes everything");
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn keys_come_in_the_documented_order() {
        assert_eq!(
            line(&falls()),
            concat!(
                r#"{"id":7,"type":"narration","camera":"hall","t_start_s":62.400,"t_end_s":63.800,"#,
                r#""text":"a person falls to the floor","score":0.875,"entries":[312,319]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn severity_relation_and_evidence_come_last_and_change_no_text() {
        let alert = line(&Event { severity: Some(Severity::Alarm), ..falls() });
        assert!(alert.ends_with("\"entries\":[312,319],\"severity\":\"alarm\"}\n"), "{alert}");
        let relation = Some(Relation::Again);
        let line = line(&Event { relation, evidence: Some("0badcafe.7f00"), ..falls() });
        let end = "\"entries\":[312,319],\"relation\":\"again\",\"evidence\":\"0badcafe.7f00\"}\n";
        assert!(line.ends_with(end) && line.contains("\"text\":\"a person falls to the floor\""), "{line}");
    }

    #[test]
    fn awkward_text_stays_one_valid_line() {
        let event =
            Event { text: "a \"b\"\nc \\ \u{7}", camera: "r\u{e9}z", score: f32::NAN, entries: None, ..falls() };
        let line = line(&event);
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).expect("the line should parse");
        assert_eq!(value["text"], event.text);
        assert!(value["entries"].is_null());
    }

    #[test]
    fn a_reader_that_left_is_told_apart_from_a_full_disk() {
        let emit = |kind| JsonSink::new(Broken(kind)).emit(&falls()).expect_err("the writer is broken");
        assert!(matches!(emit(ErrorKind::BrokenPipe), SinkError::Closed));
        assert!(matches!(emit(ErrorKind::StorageFull), SinkError::Io(_)));
    }
}
