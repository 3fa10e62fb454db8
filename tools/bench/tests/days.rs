//! Journals of simulated days, as the evaluation of questions makes them.

use std::path::Path;

use ocelli_bench::write_days;
use ocelli_infer::Pack;
use ocelli_journal::{Journal, Query};
use ocelli_types::EventKind;

fn pack() -> Pack {
    Pack::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/home")).expect("the pack is whole")
}

#[test]
fn what_is_told_lies_in_the_journal_and_what_is_wrong_is_said_with_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, pack) = (folder.path().join("days.journal"), pack());
    let start = 1_774_501_200_000u64;
    let lines = format!(
        r#"{{"type":"start","at_ms":{start}}}
{{"type":"narration","camera":"hall","text":"Someone comes in.","start_ms":{},"end_ms":{},"score":0.7}}
{{"type":"blind","camera":"hall","text":"the camera was lost","start_ms":{},"end_ms":{}}}
{{"type":"sees","camera":"hall","at_ms":{}}}
{{"type":"stop","at_ms":{}}}
{{"type":"start","at_ms":{}}}
{{"type":"alert","camera":"hall","kind":"fall","text":"Somebody fell","start_ms":{},"end_ms":{}}}
{{"type":"stop","at_ms":{}}}
"#,
        start + 1000,
        start + 1400,
        start + 5000,
        start + 5000,
        start + 9000,
        start + 10_000,
        start + 70_000,
        start + 71_000,
        start + 72_000,
        start + 80_000,
    );
    assert_eq!(write_days(lines.as_bytes(), &pack, &path).expect("it is right"), 3);
    let journal = Journal::open(&path).expect("it is there");
    let mut found = journal.search(&Query { limit: 10, ..Query::default() }).expect("it is readable");
    found.reverse();
    let kinds: Vec<EventKind> = found.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Narration, EventKind::Blind, EventKind::Alert]);
    assert_eq!((found[0].id, found[0].about.as_deref(), found[0].start_ms), (1, Some("enter"), Some(start + 1000)));
    assert_eq!(found[1].end_us.since(found[1].start_us).0, 4_000_000, "it sees again after 4 s");
    assert!(
        journal.vector(1).expect("it is readable").is_some_and(|vector| vector.values.iter().any(|value| *value != 0))
    );
    let holes = journal.holes(None, None).expect("it is readable");
    assert_eq!((holes.len(), holes[0].start_ms, holes[0].end_ms), (1, start + 10_000, start + 70_000));
    for (lines, why) in [
        ("{", "line 1"),
        (r#"{"type":"stop","at_ms":1}"#, "nothing was started"),
        (r#"{"type":"start"}"#, "`at_ms` is no number"),
        (r#"{"type":"start","at_ms":1774501200000}"#, "the last line should be a `stop`"),
    ] {
        let error = write_days(lines.as_bytes(), &pack, &folder.path().join(why.len().to_string())).expect_err(why);
        assert!(format!("{error:#}").contains(why), "{error:#}");
    }
}
