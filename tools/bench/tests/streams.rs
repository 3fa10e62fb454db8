//! What is measured is what is said to be: the canvases that the other engine gets, and how much of them moves.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array3, Axis, s};
use ndarray_npy::read_npy;
use ocelli_bench::{Case, Play, Server, Shot, WARM_UP, answer, cases};
use ocelli_heap::{CountingAlloc, Tally};
use ocelli_infer::Pack;
use ocelli_types::PatchMask;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pack() -> Pack {
    Pack::open(&root().join("models/home")).expect("the pack is whole")
}

fn demo_cases(pack: &Pack) -> Vec<Case> {
    cases(pack, None, &root().join("tests/clips/demo.mp4"), true).expect("the clip is there")
}

fn of<'a>(cases: &'a [Case], name: &str) -> &'a Play {
    &cases.iter().find(|case| case.name == name).expect(name).plays[0]
}

/// The same stream as whole canvases, each patch of them given anew.
fn whole(play: &Play, canvases: &Array3<u8>) -> Play {
    let shots = canvases.outer_iter().zip(&play.shots).map(|(canvas, shot)| Shot {
        sent: PatchMask::first(play.grid.patches()),
        kept: shot.kept,
        patches: canvas.iter().copied().collect(),
        captured_us: shot.captured_us,
    });
    Play { name: play.name.clone(), grid: play.grid, shots: shots.collect() }
}

#[test]
fn the_canvases_that_are_written_are_those_that_our_encoder_sees() {
    let pack = pack();
    let cases = demo_cases(&pack);
    let folder = tempfile::tempdir().expect("a folder");
    let play = of(&cases, "fixed_camera").clone();
    let mut server = Server::new(pack, cases, true).expect("it loads");
    let said = server.introduce(folder.path()).expect("it writes");
    let fixed = said["cases"].as_array().expect("cases").iter().find(|case| case["case"] == "fixed_camera");
    let path = fixed.expect("the case")["plays"][0]["canvases"].as_str().expect("a path").to_owned();
    let written: Array3<u8> = read_npy(path).expect("a file of canvases");
    assert_eq!(written.dim(), (play.shots.len(), 256, 588));
    let sent: usize = play.shots[1..].iter().map(|shot| shot.sent.count()).sum();
    assert!(sent > 0 && sent < (play.shots.len() - 1) * 256, "the gate left something out");
    // Bit for bit: what was left out is the same in both, or the tokens would differ.
    assert_eq!(server.tokens(2, &play).expect("it runs"), server.tokens(1, &whole(&play, &written)).expect("it runs"));
}

#[test]
fn each_case_moves_as_much_as_it_should() {
    let pack = pack();
    let cases = demo_cases(&pack);
    let all = pack.grid.patches();
    for name in ["dense", "worst"] {
        let play = of(&cases, name);
        assert!(play.changes().iter().all(|changed| *changed == all), "{name} computes every row of every frame");
        assert!(play.shots.iter().all(|shot| shot.sent.count() == all), "{name} paints every patch of every frame");
    }
    let still = of(&cases, "static");
    assert_eq!((still.changes()[0], still.changes()[1..].iter().sum::<usize>()), (all, 0));
    assert!(still.shots[WARM_UP..].iter().any(|shot| shot.sent.count() == all), "the gate still sends it anew");
    for name in ["fixed_camera", "busy"] {
        let play = of(&cases, name);
        let sent = play.shots.iter().map(|shot| shot.sent.count());
        assert!(play.changes().into_iter().zip(sent).all(|(changed, sent)| changed <= sent), "{name}");
    }
}

#[test]
fn a_scene_at_rest_gives_the_same_tokens_again_and_one_that_moves_does_not() {
    let pack = pack();
    let cases = demo_cases(&pack);
    let (still, worst) = (of(&cases, "static").clone(), of(&cases, "worst").clone());
    let mut server = Server::new(pack, cases, true).expect("it loads");
    let tokens = server.tokens(1, &still).expect("it runs");
    let settled = tokens.index_axis(Axis(0), WARM_UP);
    assert!(tokens.slice(s![WARM_UP.., .., ..]).outer_iter().all(|frame| frame == settled));
    // The first frame moves until the fifth, and GSTRA looks three frames back.
    assert_ne!(tokens.index_axis(Axis(0), 6), settled);
    let tokens = server.tokens(2, &worst).expect("it runs");
    assert!(tokens.outer_iter().zip(tokens.outer_iter().skip(1)).all(|(a, b)| a != b));
}

#[test]
fn requests_are_answered_and_wrong_ones_refused() {
    let pack = pack();
    let cases = demo_cases(&pack);
    let frames = of(&cases, "dense").shots.len();
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::new(pack, cases, true).expect("it loads");
    let played = answer(&mut server, "play dense 0 2").expect("it runs");
    let times = played["us"].as_array().expect("times");
    assert!(times.len() == frames && times.iter().all(|us| us.as_f64().is_some_and(|us| us > 0.0)));
    let path = folder.path().join("tokens.npy");
    answer(&mut server, &format!("tokens dense 0 1 {}", path.display())).expect("it runs");
    let tokens: Array3<f32> = read_npy(&path).expect("a file of tokens");
    assert_eq!(tokens.dim(), (frames, 65, 192));
    let allocations = answer(&mut server, "allocations").expect("it counts");
    assert_eq!(allocations["allocations"].as_array().map(Vec::len), Some(5));
    let wrong = ["", "play", "play dense 0", "play dense 1 1", "play nothing 0 1", "play dense 0 3", "play dense 0 0"];
    for wrong in wrong.into_iter().chain(["tokens dense 0 1", "sing"]) {
        assert!(answer(&mut server, wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_allocated_is_counted_with_what_is_freed_again() {
    let counted = CountingAlloc::count(|| {
        drop(vec![1_u8; 1000]);
        Array1::<u8>::zeros(24)
    });
    assert_eq!((counted.allocations, counted.asked_bytes), (2, 1024));
    assert_eq!(CountingAlloc::count(|| 1 + 1).tally(), Tally::default());
}
