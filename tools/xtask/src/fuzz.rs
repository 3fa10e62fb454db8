//! The fuzz targets of `tests/fuzz`: built with libFuzzer's counters and checks of addresses by the toolchain that builds all
//! else, so that neither a nightly one nor cargo-fuzz is asked for.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::bench::{finish, target};
use crate::{cargo, root, setup};

/// What cargo-fuzz gives the compiler too: a counter for each edge, what is compared with what, and checks of each address.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-trace-compares \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Zsanitizer=address -Ccodegen-units=1 --cfg fuzzing";

/// A second without an end, and memory without a bound, are found too.
const LIMITS: [&str; 3] = ["-timeout=60", "-rss_limit_mb=2560", "-max_len=65536"];

/// What each target reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// MQTT: topics and payloads of what a broker delivers, retained or not.
    Command,
    /// Conditions in JSON, with times, lengths and zones; times of queries; what may be said.
    Condition,
    /// What `ocelli-fleet` takes from NATS: subjects and events.
    Fleet,
    /// H.264 of a camera of the network, to the decoded picture.
    H264,
    /// Whatever a client sends to the gateway: heads, cookies, tokens, ranges, bodies.
    Http,
    /// JPEG of a chat or a camera of the network, to the model's input.
    Jpeg,
    /// The panel's line, at both of its ends.
    Panel,
    /// Questions in plain words, and searches, over a journal.
    Question,
    /// Requests of an admin: each route with queries and bodies, chats and their schemas among them.
    Request,
    /// What a camera of the network answers: RTSP, SDP, RTP.
    Rtsp,
    /// What the target of a webhook answers.
    Webhook,
    /// Cameras and zones that are wished for, in JSON, to the keys of the config.
    Wish,
}

impl Target {
    fn name(self) -> String {
        self.to_possible_value().expect("none is skipped").get_name().to_owned()
    }
}

/// Gives what the network may send to the program's own code, with changes that reach more of it: a panic, a wrong address,
/// 60 seconds without an end or 2.5 GiB of memory is a finding.
///
/// Begins with tests/fuzz/seeds and with what earlier runs kept in target/fuzz/corpus. A finding lies in target/fuzz/found; give
/// it with --input to see it again, mend it, and put it beside the seeds.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask fuzz                        each target for a minute
  cargo xtask fuzz http --seconds 3600    one for an hour
  cargo xtask fuzz http --input target/fuzz/found/http-crash-...")]
pub struct Fuzz {
    /// Only this one.
    target: Option<Target>,
    /// How long each runs; 0 tries what is there already and changes nothing.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this file, once.
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
}

pub fn run(fuzz: &Fuzz) -> Result<()> {
    setup::run(setup::For::Build)?;
    let programs = build()?;
    if let (Some(input), Some(target)) = (&fuzz.input, fuzz.target) {
        return finish(command(&programs, target).arg(std::path::absolute(input)?));
    }
    let failed = each(&programs, fuzz.target, fuzz.seconds)?;
    if failed > 0 {
        bail!("{failed} of them found something; the lines above say what");
    }
    Ok(())
}

/// Compiles them, and says where they are.
pub fn build() -> Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let host = Command::new(rustc).args(["--print", "host-tuple"]).current_dir(root()).output()?;
    let host = String::from_utf8(host.stdout)?.trim().to_owned();
    let folder = target().join("fuzz");
    let mut job = cargo(&["build", "--release", "--locked", "--target", &host, "--target-dir"]);
    // Checks of addresses are the compiler's own, and unstable: they need the word and no other compiler.
    job.arg(&folder).current_dir(root().join("tests/fuzz")).env("RUSTFLAGS", FLAGS).env("RUSTC_BOOTSTRAP", "1");
    eprintln!("xtask: building the fuzz targets (the first time takes some minutes)");
    finish(&mut job)?;
    Ok(folder.join(host).join("release"))
}

fn command(programs: &Path, target: Target) -> Command {
    let mut command = Command::new(programs.join(target.name()));
    // Looking for leaks takes a right to trace that containers often lack.
    command.current_dir(root()).args(LIMITS).env("ASAN_OPTIONS", "detect_leaks=0");
    command
}

/// Runs one or each, a line for each, and says how many found something.
pub fn each(programs: &Path, only: Option<Target>, seconds: u64) -> Result<u32> {
    let mut failed = 0;
    for target in Target::value_variants().iter().filter(|target| only.is_none_or(|only| only == **target)) {
        failed += u32::from(!one(programs, *target, seconds)?);
    }
    Ok(failed)
}

fn one(programs: &Path, of: Target, seconds: u64) -> Result<bool> {
    let (name, folder) = (of.name(), target().join("fuzz"));
    let (kept, found, log) =
        (folder.join("corpus").join(&name), folder.join("found"), folder.join(format!("{name}.log")));
    for folder in [&kept, &found] {
        fs::create_dir_all(folder)?;
    }
    let mut job = command(programs, of);
    job.arg(format!("-artifact_prefix={}/{name}-", found.display())).arg("-print_final_stats=1");
    // No runs at all would be for ever.
    job.arg(if seconds == 0 { "-runs=0".into() } else { format!("-max_total_time={seconds}") });
    let words = root().join("tests/fuzz/words").join(&name);
    if words.exists() {
        job.arg(format!("-dict={}", words.display()));
    }
    job.arg(&kept).arg(root().join("tests/fuzz/seeds").join(&name));
    let ended = job.stderr(File::create(&log)?).status().with_context(|| format!("{name} does not start"))?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if ended.success() && text.contains("stat::number_of_executed_units: 0\n") {
        bail!("{name} tried nothing, see {}", log.display());
    }
    println!(
        "fuzz {name}: {}",
        if ended.success() { summary(&text) } else { format!("FOUND SOMETHING, see {}", log.display()) }
    );
    if !ended.success() {
        let lines: Vec<&str> = text.lines().collect();
        println!("{}", lines[lines.len().saturating_sub(40)..].join("\n"));
    }
    Ok(ended.success())
}

/// What libFuzzer says at its end: how many inputs were tried, how many edges of how many were reached, and how many inputs are kept.
fn summary(log: &str) -> String {
    let behind = |what: &str| log.rsplit_once(what).and_then(|(_, rest)| rest.split_whitespace().next());
    let edges = log
        .split_once(" inline 8-bit counters")
        .and_then(|(before, _)| before.rsplit_once('('))
        .map(|(_, count)| count);
    let [tried, reached, kept] =
        ["stat::number_of_executed_units:", "cov: ", "corp: "].map(|what| behind(what).unwrap_or("?"));
    let kept = kept.split('/').next().unwrap_or_default();
    format!("{tried} inputs tried, {reached} edges of {} reached, {kept} inputs kept", edges.unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_a_file_and_seeds_and_each_file_is_one() {
        let folder = root().join("tests/fuzz");
        let mut files: Vec<String> = fs::read_dir(folder.join("fuzz_targets"))
            .expect("it is there")
            .map(|file| {
                file.expect("it can be read").path().file_stem().expect("a name").to_string_lossy().into_owned()
            })
            .collect();
        files.sort();
        let targets: Vec<String> = Target::value_variants().iter().map(|target| target.name()).collect();
        assert_eq!(files, targets);
        for target in targets {
            assert!(fs::read_dir(folder.join("seeds").join(&target)).expect(&target).count() > 0, "{target}");
        }
    }

    #[test]
    fn what_the_fuzzer_says_at_its_end_is_read() {
        let log = "INFO: Loaded 1 modules   (1234 inline 8-bit counters): 1234 [0x1, 0x2),\n#2\tINITED cov: 5 ft: 6 corp: 1/1b\n\
                   #900\tDONE   cov: 56 ft: 78 corp: 9/120b lim: 4 exec/s: 90 rss: 50Mb\nstat::number_of_executed_units: 900\n";
        assert_eq!(summary(log), "900 inputs tried, 56 edges of 1234 reached, 9 inputs kept");
    }
}
