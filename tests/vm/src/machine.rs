//! The machine: QEMU's `virt` with a core of a Raspberry Pi, and what its first process reports.
//!
//! Its time is counted in instructions, one a nanosecond, and not in seconds of whoever emulates it: a core at 1 GHz that does
//! one instruction in each cycle. What a busy host does is so no part of any result. A machine without a disk also skips the
//! time in which it has nothing to do, and then does the same each time.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::kernel::Kernel;

/// Memory that the machine has.
pub const MEMORY_MIB: u64 = 256;

/// For a scene without a disk, in our time, which says nothing but that the machine's own stands still: where it goes on `limit_s=` ends
/// the scene. A host with much else to do took longer than 20 minutes.
pub const LIMIT: Duration = Duration::from_mins(40);

/// What its time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Instructions; while it has nothing to do no time of ours goes by. For machines without a disk, which would seem slow.
    Instructions,
    /// Instructions, and our seconds while it has nothing to do.
    InstructionsOrHost,
}

/// A line that its first process wrote for us.
pub struct Report {
    /// Seconds since it was switched on, in its own time.
    pub at_s: f64,
    pub what: String,
    pub more: Value,
}

/// A running machine; dropped, it is as if somebody pulled its plug.
pub struct Machine {
    qemu: Child,
    lines: Receiver<String>,
    until: Instant,
    /// The newest lines that were not for us, where it ends badly.
    console: Vec<String>,
}

impl Machine {
    /// Switches one on, which may take so long in time of the host. `words` are for its first process.
    pub fn start(
        kernel: &Kernel,
        initrd: &Path,
        words: &str,
        disk: Option<&Path>,
        clock: Clock,
        limit: Duration,
    ) -> Result<Self> {
        let mut command = bound("qemu-system-aarch64");
        command.args(["-M", "virt", "-cpu", "cortex-a72", "-net", "none", "-no-reboot"]);
        command.args(["-m", &format!("{MEMORY_MIB}M"), "-display", "none", "-monitor", "none", "-serial", "stdio"]);
        command.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(initrd);
        command.args(["-append", &format!("console=ttyAMA0 loglevel=1 panic=-1 {words}")]);
        match clock {
            Clock::Instructions => {
                command.args(["-icount", "shift=0,sleep=off", "-rtc", "base=2026-06-01T12:00:00,clock=vm"]);
                // What the kernel is given as chance, by which it and the program lay out their memory.
                command.args(["-seed", "1"])
            }
            Clock::InstructionsOrHost => command.args(["-icount", "shift=0,sleep=on"]),
        };
        if let Some(disk) = disk {
            // The host's own disk need not be waited for: QEMU is killed, and never the host.
            command.args(["-drive", &format!("if=none,id=disk,format=raw,cache=unsafe,file={}", disk.display())]);
            command.args(["-device", "virtio-blk-device,drive=disk"]);
        }
        Self::of(command, limit)
    }

    /// The machine that this command is.
    pub fn of(mut command: Command, limit: Duration) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut qemu = command.spawn().context("setpriv of util-linux does not start")?;
        let out = BufReader::new(qemu.stdout.take().context("it has an output")?);
        let (tell, lines) = channel();
        thread::spawn(move || {
            // What a kernel prints is not always text.
            for line in out.split(b'\n').map_while(std::result::Result::ok) {
                if tell.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    break;
                }
            }
        });
        Ok(Self { qemu, lines, until: Instant::now() + limit, console: Vec::new() })
    }

    /// Its next report before `until`; `None` when the machine is off or that time has come.
    pub fn hear(&mut self, until: Instant) -> Result<Option<Report>> {
        loop {
            let left = until.min(self.until).saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => match line.split_once("@ {") {
                    Some((_, json)) => {
                        let mut line: Value = serde_json::from_str(&format!("{{{json}"))
                            .with_context(|| format!("the console is garbled: {json}"))?;
                        let what = line["what"].as_str().unwrap_or_default().to_owned();
                        if what == "failed" {
                            bail!("the machine's first process failed: {}{}", line["more"]["why"], self.tail());
                        }
                        let at_s = line["at_s"].as_f64().unwrap_or_default();
                        return Ok(Some(Report { at_s, what, more: line["more"].take() }));
                    }
                    None => self.console.push(line),
                },
                Err(RecvTimeoutError::Timeout) if Instant::now() >= self.until => {
                    bail!("the machine does not come to its end in time{}", self.tail())
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// All reports until it is switched off, each also given to `tell`.
    pub fn finish(mut self, mut tell: impl FnMut(&Report)) -> Result<Vec<Report>> {
        let mut reports = Vec::new();
        while let Some(report) = self.hear(self.until)? {
            tell(&report);
            reports.push(report);
        }
        if reports.last().is_none_or(|report| report.what != "done") {
            bail!("the machine went off before it was done{}", self.tail());
        }
        Ok(reports)
    }

    fn tail(&self) -> String {
        let first = self.console.len().saturating_sub(20);
        self.console[first..].iter().flat_map(|line| ["\n  ", line]).collect()
    }
}

/// A program that is killed when the thread that starts it ends, in whatever way.
pub fn bound(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    /// This test again, in a process that is killed.
    const AGAIN: &str = "OCELLI_VM_BOUND";

    #[test]
    fn a_machine_does_not_outlive_who_started_it() {
        if std::env::var_os(AGAIN).is_some() {
            let mut command = bound("sh");
            command.args(["-c", "echo \"@ {\\\"at_s\\\":0,\\\"what\\\":\\\"on\\\",\\\"more\\\":$$}\"; exec sleep 300"]);
            let mut machine = Machine::of(command, Duration::from_mins(1)).expect("it starts");
            let on = machine.hear(Instant::now() + Duration::from_mins(1)).expect("it is on").expect("it tells");
            println!("machine {}", on.more);
            // As somebody kills it who waits no longer: nothing is dropped.
            let _ = Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
            unreachable!("it was killed");
        }
        let mut again = Command::new(std::env::current_exe().expect("it runs"));
        again.args(["--exact", "machine::tests::a_machine_does_not_outlive_who_started_it", "--nocapture"]);
        let mut again = again.env(AGAIN, "1").stdout(Stdio::piped()).spawn().expect("it starts");
        let mut said = String::new();
        again.stdout.take().expect("a pipe").read_to_string(&mut said).expect("it is text");
        let status = again.wait().expect("it is ours");
        assert_eq!(status.signal(), Some(9), "{said}");
        let machine = said.lines().find_map(|line| line.split_once("machine ")).expect("it was on").1;
        // Gone, or dead and not yet waited for by who takes over what lost its parent.
        let lives = || {
            let state = std::fs::read_to_string(format!("/proc/{machine}/stat")).unwrap_or_default();
            state.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
        };
        let until = Instant::now() + Duration::from_secs(10);
        while lives() && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!lives(), "the machine {machine} lives on");
    }
}
