//! One line a narration, for a person at a terminal.

use std::io::Write;

use ocelli_types::{Event, EventKind, Sink};

use super::SinkError;

/// Writes `12:03:45   1.4 s  0.88  a person falls to the floor` and flushes each line.
#[derive(Debug)]
pub struct ConsoleSink<W> {
    out: W,
    /// Wall clock at stream time zero; `None` shows the time in the clip.
    start_unix_ms: Option<u64>,
    /// Whether each line says which camera it is of.
    named: bool,
}

impl<W: Write> ConsoleSink<W> {
    /// For a clip: times count from its first frame.
    pub fn clip(out: W) -> Self {
        Self { out, start_unix_ms: None, named: false }
    }

    /// For a camera: local time of day, where the stream's time zero was at `start_unix_ms`.
    pub fn live(out: W, start_unix_ms: u64) -> Self {
        Self { out, start_unix_ms: Some(start_unix_ms), named: false }
    }

    /// With the camera's name before each text, for one of several: `hall: a person falls to the floor`.
    #[must_use]
    pub fn naming_cameras(self) -> Self {
        Self { named: true, ..self }
    }
}

impl<W: Write> Sink for ConsoleSink<W> {
    type Error = SinkError;

    fn emit(&mut self, event: &Event<'_>) -> Result<(), SinkError> {
        let second = match self.start_unix_ms {
            Some(start) => local_second_of_day((start + event.start_us.0 / 1000) / 1000),
            None => event.start_us.0 / 1_000_000,
        };
        let mark = match event.kind {
            EventKind::Narration | EventKind::Camera => "",
            EventKind::Alert => "ALERT ",
            EventKind::AlertEnd => "alert over: ",
            EventKind::Update => "alert: ",
            EventKind::Blind => "blind: ",
            EventKind::Health => "device: ",
        };
        let lasted_s = event.end_us.since(event.start_us).seconds();
        // One write a line, so that lines of several programs do not mix; and what comes from a pack or a command must
        // not break the line or steer the terminal.
        let mut line = format!(
            "{:02}:{:02}:{:02} {lasted_s:5.1} s  {:.2}  {mark}",
            second / 3600,
            second / 60 % 60,
            second % 60,
            event.score,
        );
        let name = if self.named { [event.camera, ": "] } else { ["", ""] };
        let relation = event.relation.and_then(|relation| relation.words(event.language)).unwrap_or_default();
        let words = name.into_iter().chain([relation, event.text]).flat_map(str::chars);
        line.extend(words.map(|c| if c.is_control() { ' ' } else { c }));
        line.push('\n');
        self.out.write_all(line.as_bytes())?;
        Ok(self.out.flush()?)
    }
}

/// Second of the local day; of the UTC day where the system has no time zone for it.
pub(super) fn local_second_of_day(unix_s: u64) -> u64 {
    // SAFETY: `tm` is a plain C struct for which all zeros is a valid value.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    let time = libc::time_t::try_from(unix_s).unwrap_or(libc::time_t::MAX);
    // SAFETY: both pointers are to live values of the right type, and `localtime_r` keeps neither.
    let known = unsafe { !libc::localtime_r(&raw const time, &raw mut local).is_null() };
    if known {
        (local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec).unsigned_abs().into()
    } else {
        unix_s % 86_400
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Broken, falls};
    use super::*;
    use ocelli_types::Relation;

    #[test]
    fn a_clip_shows_its_own_time() {
        let mut out = Vec::new();
        let mut sink = ConsoleSink::clip(&mut out);
        sink.emit(&falls()).expect("a Vec takes everything");
        sink.emit(&Event { kind: EventKind::Alert, ..falls() }).expect("a Vec takes everything");
        let expected = "00:01:02   1.4 s  0.88  a person falls to the floor\n\
                        00:01:02   1.4 s  0.88  ALERT a person falls to the floor\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn a_narration_says_how_it_stands_to_those_before_where_its_language_has_words_for_it() {
        let mut out = Vec::new();
        let mut sink = ConsoleSink::clip(&mut out);
        for (relation, language) in [(Relation::Still, "en"), (Relation::Also, "en"), (Relation::Again, "zh")] {
            let event = Event { text: "X.", relation: Some(relation), language, ..falls() };
            sink.emit(&event).expect("a Vec takes everything");
        }
        let said: Vec<String> = String::from_utf8_lossy(&out).lines().map(|line| line[24..].to_owned()).collect();
        assert_eq!(said, ["still: X.", "now also: X.", "X."]);
    }

    #[test]
    fn one_of_several_cameras_is_named() {
        let mut out = Vec::new();
        let mut sink = ConsoleSink::clip(&mut out).naming_cameras();
        sink.emit(&Event { camera: "ha\nll", kind: EventKind::Alert, ..falls() }).expect("a Vec takes everything");
        let expected = "00:01:02   1.4 s  0.88  ALERT ha ll: a person falls to the floor\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn a_text_stays_on_its_line_and_does_not_steer_the_terminal() {
        let mut out = Vec::new();
        let text = "a\nb\u{1b}[2J";
        ConsoleSink::clip(&mut out).emit(&Event { text, ..falls() }).expect("a Vec takes everything");
        assert!(String::from_utf8_lossy(&out).ends_with("  a b [2J\n"));
    }

    #[test]
    fn a_camera_shows_the_time_of_day() {
        let mut out = Vec::new();
        ConsoleSink::live(&mut out, 1_700_000_000_000).emit(&falls()).expect("a Vec takes everything");
        let line = String::from_utf8_lossy(&out).into_owned();
        // 1 700 000 062 s is 22:14:22 UTC; every time zone keeps the second, and quarter hours the rest.
        assert!(line[5..].starts_with(":22   1.4 s"), "{line}");
    }

    #[test]
    fn a_closed_pipe_is_no_failure_of_ours() {
        let error = ConsoleSink::clip(Broken(std::io::ErrorKind::BrokenPipe)).emit(&falls()).expect_err("broken");
        assert!(matches!(error, SinkError::Closed));
    }
}
