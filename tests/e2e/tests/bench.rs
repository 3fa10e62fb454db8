//! `ocelli bench`: a report of this machine, and reports side by side.

use std::fs;

use ocelli_e2e::{lines, ocelli};
use serde_json::{Value, json};

/// Random weights: fast, and no words matter here.
const TINY: &str = "models/tiny-test";

#[test]
fn a_report_has_the_machine_and_each_case_and_can_be_compared() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
    let (here, there, page) = (at("here.json"), at("there.json"), at("boards.html"));
    let ran = ocelli(&["bench", "--pack", TINY, "--pictures", "12", "--json", &here]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let mut report: Value = serde_json::from_str(&fs::read_to_string(&here).expect("it was written")).expect("JSON");
    let names: Vec<_> = report["cases"].as_array().expect("cases").iter().map(|case| case["case"].clone()).collect();
    assert_eq!(names, ["still", "busy", "worst"]);
    let kept = |case: usize| report["cases"][case]["kept_share"].as_f64().expect("a share");
    // What the cases are called is what they are.
    assert!(kept(0) < 0.1 && (0.15..0.6).contains(&kept(1)) && kept(2) > 0.95, "{report}");
    for case in report["cases"].as_array().expect("cases") {
        let sum: f64 =
            case["stages"].as_object().expect("stages").values().map(|s| s["mean"].as_f64().unwrap_or(0.0)).sum();
        assert!(sum > 0.0 && (sum - case["total_ms"].as_f64().expect("a time")).abs() < 1e-9, "{case}");
        assert_eq!(case["pictures"], 12);
        assert!(ran.out.contains(case["case"].as_str().expect("a name")), "{}", ran.out);
    }
    assert_eq!(report["machine"]["arch"], std::env::consts::ARCH);
    assert!(report["rss_peak_bytes"].as_u64() > Some(8 << 20), "{report}");

    // Another machine, twice as slow in one case, whose name is no markup.
    report["machine"]["board"] = json!("A board <script>");
    let total = report["cases"][2]["total_ms"].as_f64().expect("a time");
    report["cases"][2]["total_ms"] = json!(2.0 * total);
    fs::write(&there, report.to_string()).expect("it is writable");
    let ran = ocelli(&["bench", "--compare", &here, &there, "--page", &page]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.out.lines().count(), 7, "{}", ran.out);
    assert!(
        ran.out.lines().last().is_some_and(|line| line.contains("2.00") && line.contains("A board")),
        "{}",
        ran.out
    );
    let page = fs::read_to_string(&page).expect("it was written");
    assert!(page.contains("A board &lt;script&gt;") && !page.contains("<script"), "{page}");
    assert!(!page.contains("http"), "a page needs nothing from elsewhere");

    // Two runs of one machine are told apart by their files, and a busy one is named.
    let again = at("again.json");
    report["machine"]["load"] = json!(3.0);
    fs::write(&again, report.to_string()).expect("it is writable");
    let ran = ocelli(&["bench", "--compare", &there, &again]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("there.json)") && ran.out.contains("again.json)"), "{}", ran.out);
    assert!(ran.err.lines().any(|line| line.contains("again.json) was busy")), "{}", ran.err);
}

#[test]
fn what_is_no_report_is_refused_by_its_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("odd.json");
    for (text, why) in [
        ("{", "EOF"),
        ("{}", "not what `ocelli bench --json` writes"),
        (r#"{"bench_version": 99}"#, "version 99 of the benchmark"),
        (r#"{"bench_version": 1}"#, "missing field"),
    ] {
        fs::write(&path, text).expect("it is writable");
        let ran = ocelli(&["bench", "--compare", path.to_str().expect("a plain path")]);
        assert_eq!(ran.code, Some(1), "{text}: {}", ran.err);
        assert!(ran.err.contains("odd.json") && ran.err.contains(why), "{text}: {}", ran.err);
        assert!(lines(&ran.out).is_empty());
    }
    let ran = ocelli(&["bench", "--pack", TINY, "--pictures", "1", "--json", "/nowhere/report.json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("/nowhere/report.json: ") && ran.err.contains("cannot be written"), "{}", ran.err);
    assert!(ran.out.is_empty(), "it is told before anything is measured: {}", ran.out);
}
