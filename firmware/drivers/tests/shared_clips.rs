//! Real recordings, where the folder of shared clips lies beside the project: each plays to its end with rising times.
//!
//! `OCELLI_ALL_CLIPS=1` plays all of them and, with ffprobe installed, compares the number of pictures.

use std::path::{Path, PathBuf};
use std::process::Command;

use ocelli_drivers::{Clip, Fitter};
use ocelli_types::{FrameSource, PatchGrid};

/// One of each kind: tolerant MP4, B-frames, variable rate, Matroska.
const SAMPLE: [&str; 4] = [
    "assist-iot/adl/10_collapsing_onto_chair.mp4",
    "gmdcsa24/subject-1/fall/13.mp4",
    "gmdcsa24/subject-3/fall/20.mp4",
    "intel-samples/asl_gestures/eat.mkv",
];

/// Number of pictures by ffprobe.
const SAMPLE_FRAMES: [u64; 4] = [166, 128, 94, 47];

fn shared_data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if root.is_dir() {
        return Some(root);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{} should be there in CI", root.display());
    eprintln!("SKIPPED: {} is absent, so no real recording was played", root.display());
    None
}

/// Plays a clip to its end.
fn play(path: &Path) -> (u64, f64) {
    let mut clip = Clip::open(path).unwrap_or_else(|error| panic!("{error}"));
    let (mut frames, mut last_us) = (0, None);
    while let Some(frame) = clip.next().unwrap_or_else(|error| panic!("{error}")) {
        assert_eq!(frame.seq.0, frames, "{}: no picture is lost", path.display());
        assert!(last_us < Some(frame.captured_us), "{}: times rise", path.display());
        last_us = Some(frame.captured_us);
        frames += 1;
    }
    (frames, last_us.map_or(0.0, ocelli_types::Micros::seconds))
}

#[test]
fn a_recording_of_each_kind_plays_whole() {
    let Some(root) = shared_data() else { return };
    for (name, expected) in SAMPLE.iter().zip(SAMPLE_FRAMES) {
        let (frames, seconds) = play(&root.join(name));
        assert_eq!(frames, expected, "{name}");
        assert!((0.5..60.0).contains(&seconds), "{name} lasts {seconds} s");
    }
}

#[test]
fn a_real_picture_fills_the_middle_of_the_input() {
    let Some(root) = shared_data() else { return };
    let grid = PatchGrid::new(224, 14).expect("the home grid");
    let mut clip = Clip::open(&root.join(SAMPLE[0])).expect("the clip opens");
    let frame = clip.next().expect("a picture").expect("a picture");
    let mut out = vec![0; grid.bytes()];
    let content = Fitter::new(grid, 114).fit(&frame, &mut out).expect("it fits");
    // 1280x720 becomes 224x126 with 49 grey rows above: patch rows 3 to 12.
    assert_eq!((content.x0, content.x1, content.y0, content.y1), (0, 16, 3, 13));
    assert!(out[..3 * 16 * grid.patch_bytes()].iter().all(|&byte| byte == 114));
}

#[test]
fn every_shared_recording_plays_whole() {
    if std::env::var_os("OCELLI_ALL_CLIPS").is_none() {
        eprintln!("SKIPPED: set OCELLI_ALL_CLIPS=1 to play all shared recordings (minutes)");
        return;
    }
    let Some(root) = shared_data() else { return };
    let mut folders = vec![root];
    let mut clips = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a readable folder").flatten() {
            let path = entry.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("mp4" | "mkv" | "mov") => clips.push(path),
                _ => {}
            }
        }
    }
    clips.sort();
    for path in clips {
        let started = std::time::Instant::now();
        let (frames, seconds) = play(&path);
        let took_ms = started.elapsed().as_secs_f64() * 1000.0 / frames as f64;
        eprintln!("{}: {frames} pictures, {seconds:.3} s, {took_ms:.2} ms each", path.display());
        if let Some(expected) = ffprobe_count(&path) {
            assert_eq!(frames, expected, "{}", path.display());
        }
    }
}

fn ffprobe_count(path: &Path) -> Option<u64> {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-select_streams", "v:0", "-count_frames"]);
    ffprobe.args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]).arg(path);
    String::from_utf8(ffprobe.output().ok()?.stdout).ok()?.trim().parse().ok()
}
