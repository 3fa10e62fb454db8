//! A camera that moves says so.

use ocelli_e2e::{ffmpeg, lines, ocelli};
use serde_json::Value;

const DEMO: &str = "tests/clips/demo.mp4";

/// Half of the picture, as a window that stands for two seconds, goes over the picture for three, and stands.
#[test]
fn a_window_that_goes_to_the_right_pans_right_and_one_that_stands_does_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (way, told) in [("64*min(max(t-2\\,0)\\,3)", Some("The camera pans right.")), ("64", None)] {
        let clip = folder.path().join("window.mp4");
        let crop = format!("crop=iw/2:ih/2:{way}:ih/4");
        if ffmpeg(&clip, &["-i", DEMO, "-t", "8", "-vf", &crop]).is_none() {
            return;
        }
        let ran = ocelli(&["replay", clip.to_str().expect("a plain path"), "--json", "--pack", "models/tiny-test"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let moves: Vec<Value> = lines(&ran.out).into_iter().filter(|event| event["type"] == "camera").collect();
        let texts: Vec<&str> = moves.iter().filter_map(|event| event["text"].as_str()).collect();
        assert_eq!(texts, Vec::from_iter(told), "{moves:?}");
        for event in moves {
            let at = |name: &str| event[name].as_f64().expect("a number");
            assert!((1.5..2.7).contains(&at("t_start_s")) && (3.5..5.5).contains(&at("t_end_s")), "{event}");
            assert!(event["entries"].is_null() && event["score"] == 1.0, "{event}");
        }
    }
}
