//! Helpers of the end-to-end tests: the real program, started as a person would start it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// No run of these tests takes so long; a program that hangs fails its test.
const LIMIT: Duration = Duration::from_mins(4);

/// Root of the project.
///
/// # Panics
/// If this crate has moved.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root").to_path_buf()
}

/// The folder of shared clips beside the project.
///
/// # Panics
/// In CI, where it is expected, if it is absent.
pub fn shared_data() -> Option<PathBuf> {
    let folder = root().join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{} should be there in CI", folder.display());
    eprintln!("SKIPPED: {} is absent, so no real clip was narrated", folder.display());
    None
}

/// The program: the one that `OCELLI_E2E_PROGRAM` names, else built now, so that it is never stale.
///
/// # Panics
/// If it does not build.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = std::env::var_os("OCELLI_E2E_PROGRAM").map_or_else(build, PathBuf::from);
        forget(&path);
        path
    })
}

fn build() -> PathBuf {
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "ocelli"]).current_dir(root()).status();
    assert!(built.is_ok_and(|status| status.success()), "the program should build");
    // target/debug/deps/this-test -> target/debug/ocelli
    let test = std::env::current_exe().expect("a test knows where it is");
    test.ancestors().nth(2).expect("two folders up").join("ocelli")
}

/// Takes a file out of the system's cache, so that it is read from the disk as after a start of the machine.
///
/// What was written a moment ago lies there in large pieces, and Linux 6.18 maps each of them whole: a program fresh
/// from the linker shows 4 MiB of code that nothing has run.
fn forget(file: &Path) {
    if cfg!(target_os = "linux") {
        let written = Command::new("sync").arg(file).status();
        assert!(written.is_ok_and(|status| status.success()), "{} should be on the disk", file.display());
        let from = format!("if={}", file.display());
        let dropped = Command::new("dd").args([&from, "iflag=nocache", "count=0", "status=none"]).status();
        assert!(dropped.is_ok_and(|status| status.success()), "{} should leave the cache", file.display());
    }
}

/// A copy of the program in `folder`, with nothing of the project beside it.
///
/// Another process writes it: a test that starts a program at this moment hands on every file that is open
/// for writing here, and the system starts no program that somebody could still write ("Text file busy").
///
/// # Panics
/// If there is no room for it.
pub fn alone(folder: &Path) -> PathBuf {
    let copy = folder.join("ocelli");
    let done = Command::new("cp").arg(program()).arg(&copy).status();
    assert!(done.is_ok_and(|status| status.success()), "{} can be written", copy.display());
    copy
}

/// What a run of the program left.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs the program to its end, from the root of the project.
///
/// # Panics
/// If it does not start, or does not end.
pub fn ocelli(arguments: &[&str]) -> Ran {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(root());
    finish(command)
}

/// Runs the program to its end with `input` on standard input.
///
/// # Panics
/// If it does not start, or does not end.
pub fn ocelli_fed(arguments: &[&str], input: impl AsRef<[u8]>) -> Ran {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), input).expect("it is writable");
    let mut command = Command::new(program());
    command.args(arguments).current_dir(root());
    finish_fed(command, file.reopen().expect("it is there").into(), |_| {})
}

/// Runs a command to its end.
///
/// # Panics
/// If it does not start, or does not end within four minutes.
pub fn finish(command: Command) -> Ran {
    finish_watched(command, |_| {})
}

/// Runs a command to its end; `watch` gets its process number every few milliseconds.
fn finish_watched(command: Command, watch: impl FnMut(u32)) -> Ran {
    finish_fed(command, Stdio::null(), watch)
}

fn finish_fed(mut command: Command, input: Stdio, mut watch: impl FnMut(u32)) -> Ran {
    let (out, err) = (tempfile::NamedTempFile::new(), tempfile::NamedTempFile::new());
    let (out, err) = (out.expect("a temporary file"), err.expect("a temporary file"));
    command.stdin(input);
    command.stdout(out.reopen().expect("it is there")).stderr(err.reopen().expect("it is there"));
    let mut child = command.spawn().expect("the program starts");
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        watch(child.id());
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("{command:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = |file: &tempfile::NamedTempFile| {
        String::from_utf8_lossy(&std::fs::read(file.path()).expect("it is there")).into_owned()
    };
    Ran { code: status.code(), out: text(&out), err: text(&err) }
}

/// The most memory that a run of the program held, by the kernel's own marks.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Peak {
    /// The whole resident set: its high-water mark, or the sum that `smaps_rollup` shows, if that is more.
    pub bytes: u64,
    /// Pages of files among it, as far as they were seen.
    pub file_bytes: u64,
}

/// Runs the program to its end, from the root of the project, and looks at its memory from outside meanwhile.
///
/// # Panics
/// If it does not start, or does not end within four minutes.
#[cfg(target_os = "linux")]
pub fn watched(arguments: &[&str]) -> (Ran, Peak) {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(root());
    let mut peak = Peak::default();
    let ran = finish_watched(command, |pid| {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let of = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) << 10
        };
        let (status, rollup) = (read("status"), read("smaps_rollup"));
        peak.bytes = peak.bytes.max(of(&status, "VmHWM:")).max(of(&rollup, "Rss:"));
        peak.file_bytes = peak.file_bytes.max(of(&status, "RssFile:"));
    });
    (ran, peak)
}

/// The JSON lines of an output.
///
/// # Panics
/// If a line is no JSON.
pub fn lines(out: &str) -> Vec<serde_json::Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// Makes `clip` with ffmpeg, from the root of the project; `None` if ffmpeg is absent.
///
/// # Panics
/// If ffmpeg fails; in CI, where it is expected, also if it is absent.
pub fn ffmpeg(clip: &Path, arguments: &[&str]) -> Option<PathBuf> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]).args(arguments).arg(clip).current_dir(root()).stdin(Stdio::null());
    match command.status() {
        Ok(status) => {
            assert!(status.success(), "{command:?}");
            Some(clip.to_path_buf())
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "ffmpeg should be there in CI: {error}");
            eprintln!("SKIPPED: ffmpeg is not installed, so {} was not made", clip.display());
            None
        }
    }
}
