//! The gateway of a running program, with a browser, `OpenAI`'s client and a tester of APIs, with brokers, cameras of the network and a
//! fleet's database; what it costs, and what a kill costs.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;

use crate::bench::{checked, environment, finish, target};
use crate::{cargo, fuzz, root, setup};

/// Tests in Rust that have real servers: HTTP, brokers, fleets, webhooks, cameras of the network, recordings.
const SERVED: [&str; 9] =
    ["--test", "gateway", "--test", "courier", "--test", "rtsp", "--test", "recording", "--no-fail-fast"];

/// How long each fuzz target runs here; `cargo xtask fuzz` runs them for longer.
const FUZZ_SECONDS: u64 = 10;

/// The Python that has what these import.
fn python() -> Result<PathBuf> {
    environment(&root().join("data/web-venv"), "tests/web/requirements.txt")
}

/// Cargo in the fleet's own workspace, which shares no dependency with the program.
fn of_fleet(arguments: &[&str]) -> Command {
    let mut job = cargo(arguments);
    job.current_dir(root().join("tools/fleet")).arg("--target-dir").arg(target().join("fleet"));
    job
}

/// Builds what takes a fleet's events, and says where it is.
fn fleet() -> Result<PathBuf> {
    finish(&mut of_fleet(&["build"]))?;
    Ok(target().join("fleet/debug/ocelli-fleet"))
}

/// Runs all of it, whatever fails, and counts.
pub fn test() -> Result<()> {
    setup::run(setup::For::Gateway)?;
    let program = checked("ocelli")?;
    let fleet = fleet()?;
    let mut web = Command::new(python()?);
    web.current_dir(root()).args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/web"]);
    let jobs = [cargo(&[&["test", "--workspace"], &SERVED[..]].concat()), of_fleet(&["test"]), web];
    let (mut passed, mut failed) = (0, 0);
    for mut job in jobs {
        job.env("OCELLI_E2E_PROGRAM", &program).env("OCELLI_FLEET_PROGRAM", &fleet).env("CI", "true");
        let (of_passed, of_failed, success) = count(&mut job)?;
        passed += of_passed;
        // What did not get as far as its tests failed too.
        failed += of_failed.max(u32::from(!success));
    }
    let targets = fuzz::Target::value_variants().len() as u32;
    let found = fuzz::build().and_then(|programs| fuzz::each(&programs, None, FUZZ_SECONDS)).unwrap_or_else(|error| {
        println!("fuzz: {error:#}");
        targets
    });
    passed += targets - found;
    failed += found;
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} failed; the lines above say which");
    }
    Ok(())
}

/// Runs tests, shows what they say, and counts those that passed and failed; and whether all is well.
fn count(job: &mut Command) -> Result<(u32, u32, bool)> {
    let name = job.get_program().display().to_string();
    let mut running = job.stdout(Stdio::piped()).spawn().with_context(|| format!("{name} does not start"))?;
    let output = running.stdout.take().context("its output is piped")?;
    let (mut passed, mut failed) = (0, 0);
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        passed += said(&line, "passed");
        failed += said(&line, "failed");
    }
    Ok((passed, failed, running.wait()?.success()))
}

/// How many tests a line of cargo's or pytest's says to have passed, or failed; 0 of any other.
fn said(line: &str, what: &str) -> u32 {
    let sums = line.starts_with("test result: ")
        || (line.contains(" passed") || line.contains(" failed")) && line.contains(" in ");
    let words: Vec<&str> = line.split([' ', ',', ';']).filter(|word| !word.is_empty()).collect();
    let number = words.windows(2).find(|two| two[1] == what).and_then(|two| two[0].parse().ok());
    number.filter(|_| sums).unwrap_or(0)
}

/// Measures it, and kills it.
pub fn bench(json: Option<&Path>, kills: u32) -> Result<()> {
    setup::run(setup::For::Gateway)?;
    let program = checked("ocelli")?;
    let mut job = Command::new(python()?);
    job.current_dir(root()).arg("tools/bench/gateway.py").arg("--program").arg(program);
    job.env("OCELLI_FLEET_PROGRAM", fleet()?).arg("--kills").arg(kills.to_string());
    if let Some(json) = json {
        job.arg("--json").arg(std::path::absolute(json)?);
    }
    finish(&mut job)
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn sums_of_cargo_and_pytest_are_read_and_nothing_else() {
        for (line, passed, failed) in [
            (
                "test result: FAILED. 11 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 3.10s",
                11,
                2,
            ),
            ("14 passed in 26.75s", 14, 0),
            ("1 failed, 2 passed, 1 warning in 22.11s", 2, 1),
            ("2 passed, 1 warning in 61.00s (0:01:01)", 2, 0),
            ("it said: 3 passed", 0, 0),
            ("", 0, 0),
        ] {
            assert_eq!((said(line, "passed"), said(line, "failed")), (passed, failed), "{line}");
        }
    }
}
