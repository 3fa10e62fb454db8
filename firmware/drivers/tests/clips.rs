//! Clips as they should not be: cut, damaged, empty, tiny, huge, or no clips at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ocelli_drivers::{Clip, DriverError, Fitter};
use ocelli_types::{ColorMatrix, Frame, FrameSeq, FrameSource, Micros, PatchGrid, PixelRange, Pixels, SizePx};

fn written(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("the temporary folder takes files");
    path
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("there is a temporary folder")
}

/// Plays to the end: the number of pictures, and the error at the end if there was one.
fn play(path: &Path) -> (u64, Option<DriverError>) {
    let mut clip = match Clip::open(path) {
        Ok(clip) => clip,
        Err(error) => return (0, Some(error)),
    };
    let mut frames = 0;
    loop {
        match clip.next() {
            Ok(Some(_)) => frames += 1,
            Ok(None) => return (frames, None),
            Err(error) => {
                assert!(matches!(clip.next(), Ok(None)), "after an error a clip is over");
                return (frames, Some(error));
            }
        }
        assert!(frames < 10_000, "a clip ends");
    }
}

fn y4m(size: (usize, usize), frames: usize) -> Vec<u8> {
    let mut bytes = format!("YUV4MPEG2 W{} H{} F10:1 C420jpeg\n", size.0, size.1).into_bytes();
    for _ in 0..frames {
        bytes.extend_from_slice(b"FRAME\n");
        bytes.extend(std::iter::repeat_n(126, size.0 * size.1));
        bytes.extend(std::iter::repeat_n(128, size.0.div_ceil(2) * size.1.div_ceil(2) * 2));
    }
    bytes
}

#[test]
fn nothing_to_play_is_said_in_words() {
    let folder = folder();
    let error = |path: &Path| play(path).1.expect("no clip");
    assert!(matches!(error(&folder.path().join("absent.mp4")), DriverError::Missing { .. }));
    assert!(matches!(error(folder.path()), DriverError::NotVideo { .. }));
    assert!(matches!(error(&written(&folder, "empty.mp4", b"")), DriverError::Empty { .. }));
    let address = error(Path::new("rtsp://vera:hunter2@camera.lan/live"));
    assert_eq!(address.to_string(), "the clip: it is an address, and no file; `ocelli run` takes one with --rtsp");
    let text = error(&written(&folder, "text.mp4", b"this is only called a clip, it is a text\n"));
    assert!(matches!(text, DriverError::NotVideo { .. } | DriverError::NeedsFfmpeg { .. }), "{text}");
    assert_eq!(text.to_string().lines().count(), 1, "{text}");
}

#[test]
fn y4m_of_one_pixel_and_of_8k_reach_the_model() {
    let folder = folder();
    let grid = PatchGrid::new(224, 14).expect("the home grid");
    for (size, name) in [((1, 1), "dot.y4m"), ((7680, 4320), "8k.y4m")] {
        let mut clip = Clip::open(&written(&folder, name, &y4m(size, 2))).expect("a clip");
        let mut out = vec![0; grid.bytes()];
        let frame = clip.next().expect("whole").expect("a picture");
        Fitter::new(grid, 114).fit(&frame, &mut out).expect("it fits");
        let middle = out[(8 * 16 + 8) * 588];
        assert!(middle.abs_diff(128) <= 2, "{name}: {middle}");
        assert_eq!(clip.next().expect("whole").expect("a picture").captured_us.0, 100_000);
        assert!(clip.next().expect("the end").is_none());
    }
}

#[test]
fn a_cut_y4m_gives_its_whole_pictures_first() {
    let folder = folder();
    let mut bytes = y4m((64, 48), 3);
    bytes.truncate(bytes.len() - 1);
    let (frames, error) = play(&written(&folder, "cut.y4m", &bytes));
    assert_eq!(frames, 2);
    assert!(matches!(error, Some(DriverError::Truncated { .. })));
}

#[test]
fn noise_behind_every_magic_ends() {
    let folder = folder();
    let mut state = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(60_000)
    .collect();
    let magics: [&[u8]; 5] = [
        b"\0\0\0\x18ftypisom\0\0\0\0isommp41\0\0\xff\xffmoov",
        b"\0\0\0\0moov",
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff",
        b"\xff\xd8\xff\xdb",
        b"YUV4MPEG2 W64 H48 F1:1\nFRAME\n",
    ];
    for (i, magic) in magics.into_iter().enumerate() {
        let path = written(&folder, &format!("noise{i}"), &[magic, &noise].concat());
        assert!(play(&path).1.is_some(), "{i}: noise is no clean clip");
    }
}

/// A real recording from beside the project.
fn shared(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    let bytes = fs::read(&path).ok();
    if bytes.is_none() {
        eprintln!("SKIPPED: {} is absent", path.display());
    }
    bytes
}

#[test]
fn recordings_that_were_cut_off_never_hang_or_panic() {
    let folder = folder();
    for (name, whole) in [("assist-iot/adl/18_multiple_jumps.mp4", 99), ("intel-samples/asl_gestures/eat.mkv", 47)] {
        let Some(bytes) = shared(name) else { continue };
        let mut most = 0;
        for eighths in 1..8 {
            let cut = &bytes[..bytes.len() * eighths / 8];
            let (frames, error) = play(&written(&folder, "cut", cut));
            let error = error.unwrap_or_else(|| panic!("{name} cut to {eighths}/8 is not whole"));
            assert!(matches!(error, DriverError::Truncated { .. }), "{name} {eighths}/8: {error}");
            assert!(frames < whole && frames >= most, "{name} {eighths}/8: {frames}");
            most = frames;
        }
        // The MP4 has its index at the end; Matroska needs none.
        assert!(name.ends_with("mp4") || most > whole * 3 / 4, "{name}: {most} of {whole}");
    }
}

#[test]
fn damage_in_the_middle_costs_only_what_it_hits() {
    let folder = folder();
    for name in ["gmdcsa24/subject-1/fall/13.mp4", "intel-samples/asl_gestures/eat.mkv"] {
        let Some(mut bytes) = shared(name) else { continue };
        let middle = bytes.len() / 2;
        bytes[middle..middle + 3000].fill(0xa5);
        let (frames, error) = play(&written(&folder, "hurt", &bytes));
        assert!(frames > 0, "{name}: {frames} pictures, {error:?}");
    }
}

#[test]
fn every_table_of_an_mp4_may_lie() {
    let folder = folder();
    let Some(bytes) = shared("gmdcsa24/subject-3/fall/20.mp4") else { return };
    for name in [b"stsz", b"stsc", b"stco", b"stts", b"ctts", b"stss", b"mdhd", b"avcC", b"stsd", b"trak", b"hdlr"] {
        let Some(at) = bytes.windows(4).position(|window| window == name) else { continue };
        for (offset, lie) in [(-4, [0; 4]), (-4, [0xff; 4]), (-4, [0, 0, 0, 9]), (8, [0xff; 4]), (12, [0xff; 4])] {
            let mut bytes = bytes.clone();
            let at = at.checked_add_signed(offset).expect("a box has a header");
            bytes[at..at + 4].copy_from_slice(&lie);
            play(&written(&folder, "lie.mp4", &bytes));
        }
    }
}

/// `false`, loudly, where ffmpeg is not installed.
fn ffmpeg(arguments: &[&str]) -> bool {
    let made = Command::new("ffmpeg").args(["-v", "error", "-y"]).args(arguments).status();
    if made.is_err() {
        eprintln!("SKIPPED: ffmpeg is not installed");
    }
    made.is_ok_and(|status| status.success())
}

#[test]
fn other_containers_and_codecs_are_read() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
    let source = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=10:duration=2"];
    for (name, options) in [
        ("pictures.mjpeg", &["-c:v", "mjpeg"][..]),
        ("other.avi", &["-c:v", "mpeg4"]),
        ("other.mkv", &["-c:v", "mpeg4"]),
        ("other.mp4", &["-c:v", "mpeg4"]),
        ("fragments.mp4", &["-c:v", "libx264", "-g", "5", "-movflags", "+frag_keyframe+empty_moov"]),
        ("plain.mov", &["-c:v", "libx264", "-bf", "3", "-pix_fmt", "yuv420p"]),
        ("piped.mkv", &["-c:v", "libx264", "-pix_fmt", "yuv420p", "-live", "1"]),
        ("fine.mp4", &["-c:v", "libx264", "-pix_fmt", "yuv444p"]),
    ] {
        let path = at(name);
        if !ffmpeg(&[&source[..], options, &[&path]].concat()) {
            return;
        }
        let mut clip = Clip::open(Path::new(&path)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut times_us = Vec::new();
        while let Some(frame) = clip.next().unwrap_or_else(|error| panic!("{name}: {error}")) {
            times_us.push(frame.captured_us.0);
            assert!(matches!(frame.pixels, Pixels::Jpeg(_)) || frame.size_px == SizePx::new(96, 64), "{name}");
        }
        let step = if name.ends_with("mjpeg") { 40_000 } else { 100_000 };
        let expected: Vec<u64> = (0..20).map(|i| i * step).collect();
        assert_eq!(times_us, expected, "{name}");
    }
}

#[test]
fn what_the_fuzzer_begins_with_is_a_picture() {
    let seeds = |target: &str| -> Vec<Vec<u8>> {
        let folder = format!("{}/../../tests/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let files = fs::read_dir(folder).expect("they are there");
        files.map(|file| fs::read(file.expect("a file").path()).expect("it can be read")).collect()
    };
    let (grid, mut fitted) = (PatchGrid { side: 4, patch_px: 14 }, 0);
    for jpeg in seeds("jpeg") {
        let frame = Frame {
            pixels: Pixels::Jpeg(&jpeg),
            size_px: SizePx::new(1, 1),
            range: PixelRange::Full,
            matrix: ColorMatrix::Bt601,
            seq: FrameSeq(0),
            captured_us: Micros(0),
        };
        fitted += u32::from(Fitter::new(grid, 128).fit(&frame, &mut vec![0; grid.bytes()]).is_ok());
    }
    assert!(fitted >= 4, "all but, perhaps, the one in the colours of print: {fitted}");
    seeds("h264").iter().for_each(|stream| ocelli_drivers::fuzz::h264(stream));
}
