//! Commands leave the limits of the program: a process of its own, because that is said once.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::sync::Arc;
use std::time::Duration;

use ocelli_drivers::{Pipe, PipeConfig, PipeFormat, Release, release_commands};
use ocelli_types::{FrameSource, SizePx};

#[test]
fn a_command_gets_its_limit_and_its_cgroup_before_it_runs() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let [procs, seen] = ["cgroup.procs", "seen"].map(|name| folder.path().join(name));
    let cgroup = Some(File::create(&procs).expect("it is writable"));
    release_commands(Release { cgroup, data_limit: Some(1 << 40) });
    let command = format!("ulimit -S -d > {}; head -c 16 /dev/zero", seen.display());
    let format = PipeFormat::I420(SizePx::new(2, 2));
    let config = PipeConfig { command, format, timeout: Duration::from_secs(20), stop: Arc::default() };
    let mut pipe = Pipe::open(&config).expect("a shell starts");
    assert!(pipe.next().expect("it writes pictures").is_some());
    assert_eq!(fs::read_to_string(seen).expect("it was written").trim(), ((1_u64 << 40) / 1024).to_string());
    assert_eq!(fs::read_to_string(procs).expect("it is there"), "0", "which is the process that writes");
}
