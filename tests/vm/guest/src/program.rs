//! The program under test: started as a board starts it, heard line by line.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::machine::{report, uptime_s};

/// Where the program is, and where it looks for packs.
pub const PROGRAM: &str = "/bin/ocelli";
const PACKS: &str = "/models";

/// How long a program that was asked to end may take.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// What it says.
enum Line {
    /// On standard output: one event.
    Event(Value),
    /// On standard error.
    Note(String),
}

/// The running program.
pub struct Program {
    child: Child,
    lines: Receiver<(f64, Line)>,
    notes: Vec<String>,
    rss_peak_bytes: u64,
    cgroup_peak_bytes: Option<u64>,
    cgroup_max_bytes: Option<u64>,
}

/// How it ended.
pub struct Ended {
    pub code: Option<i32>,
    /// Everything on standard error.
    pub notes: Vec<String>,
    /// The most that was resident, as far as it was looked at.
    pub rss_peak_bytes: u64,
    /// The most that its cgroup was charged for, files that were read included; none where it is in none of its own.
    pub cgroup_peak_bytes: Option<u64>,
    /// The limit of that cgroup, as far as it is one.
    pub cgroup_max_bytes: Option<u64>,
}

impl Program {
    /// `ocelli run` with this config, whose events come as JSON.
    pub fn run(config: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--json", "--config", config]).env("OCELLI_PACKS", PACKS).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let (tell, lines) = channel();
        let (out, err) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
        let say = tell.clone();
        hear(out, move |line| {
            let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            report("event", &event);
            let _ = say.send((uptime_s(), Line::Event(event)));
        });
        hear(err, move |line| {
            report("note", &json!(line));
            let _ = tell.send((uptime_s(), Line::Note(line)));
        });
        Self { child, lines, notes: Vec::new(), rss_peak_bytes: 0, cgroup_peak_bytes: None, cgroup_max_bytes: None }
    }

    /// The next event that is `wanted`, with the time at which it was heard; `None` after `patience_s` or where it ended.
    pub fn wait_for(&mut self, patience_s: f64, wanted: impl Fn(&Value) -> bool) -> Option<(f64, Value)> {
        let until = Instant::now() + Duration::from_secs_f64(patience_s);
        loop {
            self.look();
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left.min(Duration::from_millis(250))) {
                Ok((at_s, Line::Event(event))) if wanted(&event) => return Some((at_s, event)),
                Ok((_, Line::Note(note))) => self.notes.push(note),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return None,
                Ok((_, Line::Event(_))) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Hears all that is said for so long.
    pub fn listen(&mut self, seconds: f64) -> Vec<Value> {
        let (until, mut heard) = (Instant::now() + Duration::from_secs_f64(seconds), Vec::new());
        while let Some((_, event)) =
            self.wait_for(until.saturating_duration_since(Instant::now()).as_secs_f64(), |_| true)
        {
            heard.push(event);
        }
        heard
    }

    /// What is resident, from what the kernel knows exactly: `VmHWM` lags behind on this kernel.
    fn look(&mut self) {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).unwrap_or_default();
        let rss = text.lines().find_map(|line| line.strip_prefix("Rss:"));
        let kib = rss.and_then(|rss| rss.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0);
        self.rss_peak_bytes = self.rss_peak_bytes.max(kib << 10);
        let folder = format!("/sys/fs/cgroup/ocelli-{}", self.child.id());
        let of_cgroup = |name: &str| fs::read_to_string(format!("{folder}/{name}")).ok()?.trim().parse().ok();
        self.cgroup_peak_bytes = of_cgroup("memory.peak").or(self.cgroup_peak_bytes);
        self.cgroup_max_bytes = of_cgroup("memory.max").or(self.cgroup_max_bytes);
    }

    /// Asks it to end, as systemd does.
    pub fn stop(mut self) -> Ended {
        crate::machine::terminate(self.child.id());
        self.end()
    }

    /// Waits until it has ended; a program that does not is killed, and has no code.
    pub fn end(&mut self) -> Ended {
        let until = Instant::now() + LAST_WORDS;
        let status: Option<ExitStatus> = loop {
            match self.child.try_wait().expect("a child can be waited for") {
                Some(status) => break Some(status),
                None if Instant::now() > until => break None,
                None => drop(self.wait_for(0.05, |_| false)),
            }
        };
        let _ = self.child.kill();
        let _ = self.child.wait();
        while self.wait_for(0.05, |_| true).is_some() {}
        Ended {
            code: status.and_then(|status| status.code()),
            notes: std::mem::take(&mut self.notes),
            rss_peak_bytes: self.rss_peak_bytes,
            cgroup_peak_bytes: self.cgroup_peak_bytes,
            cgroup_max_bytes: self.cgroup_max_bytes,
        }
    }
}

impl Ended {
    /// A count of the last pulse, which the program writes when it ends: "12 lost".
    pub fn count(&self, of: &str) -> u64 {
        let pulse = self.notes.iter().rev().find(|note| note.contains(" pictures, ")).expect("it sums up at its end");
        let word = pulse.split([',', ';', ':']).find_map(|part| part.trim().strip_suffix(of)).expect("it counts them");
        word.trim().trim_start_matches("ocelli").trim().parse().unwrap_or_else(|_| panic!("{pulse}"))
    }
}

fn hear(from: impl Read + Send + 'static, tell: impl Fn(String) + Send + 'static) {
    thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).for_each(tell));
}

/// Whether an event is of this type.
pub fn is(event: &Value, kind: &str) -> bool {
    event["type"] == kind
}
