//! A camera that moves says so, and one that is said to may show something else.

use std::fs;
use std::path::Path;

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

/// What is told of a clip with this in the config's `[camera]`, and the percent of patches that were kept.
fn replayed(clip: &Path, setting: &str, pack: &str) -> (Vec<Value>, u32) {
    let config = clip.with_extension("toml");
    fs::write(&config, format!("[camera]\n{setting}\n")).expect("it is writable");
    let [clip, config] = [clip, &config].map(|path| path.to_str().expect("a plain path"));
    let ran = ocelli(&["replay", clip, "--json", "--pack", pack, "--config", config]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let (before, _) = ran.err.split_once("% of patches kept").expect("the pulse says it");
    let percent = before.rsplit(' ').next().and_then(|percent| percent.parse().ok()).expect("a number");
    (lines(&ran.out), percent)
}

#[test]
fn compensated_a_pan_keeps_less_and_is_told_as_before() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = folder.path().join("window.mp4");
    let crop = "crop=iw/2:ih/2:64*min(max(t-2\\,0)\\,3):ih/4";
    if ffmpeg(&clip, &["-i", DEMO, "-t", "8", "-vf", crop]).is_none() {
        return;
    }
    let [(told, kept), (told_so, kept_so)] = ["motion_compensation = false", "motion_compensation = true"]
        .map(|set| replayed(&clip, set, "models/tiny-test"));
    assert!(kept_so * 3 < kept * 2, "{kept_so}% in the place of {kept}%");
    let moves = |told: &[Value]| -> Vec<Value> {
        told.iter().filter(|event| event["type"] == "camera").map(|event| event["text"].clone()).collect()
    };
    assert_eq!(moves(&told_so), ["The camera pans right."]);
    assert_eq!(moves(&told), moves(&told_so));
}

/// An empty room, and after twelve seconds its mirror image.
#[test]
fn what_another_view_shows_is_told_anew_where_scenes_change() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = folder.path().join("views.mp4");
    let still = "select='eq(n\\,5)',loop=loop=-1:size=1,fps=5,trim=duration=18,setpts=N/5/TB";
    if ffmpeg(&clip, &["-i", DEMO, "-vf", &format!("{still},hflip=enable='gte(t\\,12)'"), "-t", "18"]).is_none() {
        return;
    }
    let nobody = |setting: &str| -> Vec<(bool, Value)> {
        let (told, _) = replayed(&clip, setting, "models/home");
        let nobody = told.into_iter().filter(|event| event["text"] == "Nobody is in view.");
        nobody.map(|event| (event["t_end_s"].as_f64() > Some(12.0), event["relation"].clone())).collect()
    };
    assert_eq!(nobody("scene_changes = true"), [(false, Value::Null), (true, Value::Null)]);
    // As of one room: that it is empty was told, and is no news.
    assert!(nobody("").iter().all(|(later, relation)| !later || *relation == "again"));
}
