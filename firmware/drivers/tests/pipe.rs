//! Commands as cameras: what they write, how they fail, and that nothing of them is left.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ocelli_drivers::{DriverError, Pipe, PipeConfig, PipeFormat};
use ocelli_types::{Fault, Faulty, FrameSource, Pixels, SizePx};

fn pipe(command: &str, format: PipeFormat, timeout_ms: u64) -> Pipe {
    let timeout = Duration::from_millis(timeout_ms);
    Pipe::open(&PipeConfig { command: command.into(), format, timeout, stop: Arc::default() })
        .expect("there is a shell")
}

fn error(pipe: &mut Pipe) -> DriverError {
    pipe.next().map(|_| ()).expect_err("an error")
}

#[test]
fn raw_and_y4m_pictures_come_out_as_they_went_in() {
    let mut raw = pipe("printf abcdefghijkl", PipeFormat::Rgb(SizePx::new(2, 1)), 5000);
    for expected in [b"abcdef", b"ghijkl"] {
        let frame = raw.next().expect("whole").expect("a picture");
        assert!(matches!(frame.pixels, Pixels::Rgb { data, stride: 6 } if data == expected));
    }
    assert!(raw.next().expect("a clean end").is_none());

    let mut y4m = pipe(r"printf 'YUV4MPEG2 W2 H2 F5:1\nFRAME\nabcdef'", PipeFormat::Y4m, 5000);
    let frame = y4m.next().expect("whole").expect("a picture");
    assert!(matches!(frame.pixels, Pixels::I420 { y: b"abcd", u: b"e", v: b"f", .. }));
    assert!(y4m.next().expect("a clean end").is_none());

    let mut jpeg = pipe(r"printf '\377\330\377\332\000\002xyz\377\331'", PipeFormat::Mjpeg, 5000);
    assert!(matches!(jpeg.next().expect("whole").expect("a picture").pixels, Pixels::Jpeg(bytes) if bytes.len() == 11));
}

#[test]
fn a_failing_command_is_quoted_in_its_own_last_words() {
    let mut failing = pipe("echo first >&2; echo 'no route to camera' >&2; exit 7", PipeFormat::Mjpeg, 5000);
    let error = error(&mut failing);
    assert_eq!(error.fault(), Fault::Reopen);
    assert!(error.to_string().contains("exit status: 7: no route to camera"), "{error}");
}

#[test]
fn wrong_and_cut_output_are_errors() {
    let wrong = error(&mut pipe("echo this is no video", PipeFormat::Y4m, 5000));
    assert!(wrong.to_string().contains("YUV4MPEG2"), "{wrong}");
    let cut = error(&mut pipe("printf abcd", PipeFormat::Rgb(SizePx::new(2, 1)), 5000));
    assert!(cut.to_string().contains("ends inside a picture"), "{cut}");
    let absent = error(&mut pipe("no-such-camera-tool", PipeFormat::Y4m, 5000));
    assert!(absent.to_string().contains("not found"), "{absent}");
}

#[test]
fn silence_is_a_timeout_and_the_children_end_too() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let note = folder.path().join("alive");
    // The shell has a child of its own that would write the note after the pipe is gone.
    let command = format!("(sleep 1; touch {}) & sleep 60", note.display());
    let started = Instant::now();
    let mut silent = pipe(&command, PipeFormat::Mjpeg, 200);
    let error = error(&mut silent);
    assert!(matches!(error, DriverError::Timeout { waited_ms: 200, .. }), "{error}");
    drop(silent);
    assert!(started.elapsed() < Duration::from_millis(900), "dropping does not wait for the command");
    std::thread::sleep(Duration::from_millis(1300));
    assert!(!note.exists(), "a child of the command outlived the pipe");
}

#[test]
fn bytes_that_are_no_pictures_are_a_timeout_too() {
    let mut drip =
        pipe(r"printf 'YUV4MPEG2 W64 H64 F5:1\nFRAME\n'; while :; do printf x; sleep 0.05; done", PipeFormat::Y4m, 400);
    assert!(matches!(error(&mut drip), DriverError::Timeout { .. }));
    let mut noise = pipe("yes", PipeFormat::Mjpeg, 400);
    assert!(matches!(error(&mut noise), DriverError::Timeout { .. }));
    // Closes its output and stays.
    let mut mute = pipe("exec >&-; sleep 60", PipeFormat::Mjpeg, 400);
    assert!(matches!(error(&mut mute), DriverError::Timeout { .. }));
}

#[test]
fn a_wait_ends_when_it_is_told_to() {
    let config = PipeConfig {
        command: "sleep 60".into(),
        format: PipeFormat::Mjpeg,
        timeout: Duration::from_mins(1),
        stop: Arc::default(),
    };
    let mut pipe = Pipe::open(&config).expect("there is a shell");
    let stop = Arc::clone(&config.stop);
    let started = Instant::now();
    let teller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
    });
    assert!(pipe.next().is_err());
    assert!(started.elapsed() < Duration::from_secs(5));
    teller.join().expect("it only sleeps");
}
