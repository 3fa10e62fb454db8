//! What an init does: file systems, modules, the end; and how the host is told.
#![expect(unsafe_code, reason = "the first process asks the kernel for what no library does")]

use std::ffi::CString;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::Duration;
use std::{fs, io, ptr, thread};

use serde_json::{Value, json};

/// Where the host has put modules: in `order` a line each, the file and its parameters, in the order of their needs.
const MODULES: &str = "/modules";

/// Seconds since the machine was switched on.
pub fn uptime_s() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a live timespec that the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Waits in the machine's own time.
pub fn sleep_s(seconds: f64) {
    thread::sleep(Duration::from_secs_f64(seconds));
}

/// Ends a scene that takes longer than the host allows, in the machine's own time: how busy the host is has no part in it.
pub fn limit() {
    let Ok(limit_s) = std::env::var("limit_s") else { return };
    let limit_s: f64 = limit_s.parse().expect("the host says seconds");
    thread::spawn(move || {
        sleep_s(limit_s);
        panic!("not done {limit_s} s after the machine was switched on");
    });
}

/// Tells the host. One write a line, so that lines of two threads do not mix.
pub fn report(what: &str, more: &Value) {
    use std::io::Write as _;
    let line = json!({"at_s": (uptime_s() * 1000.0).round() / 1000.0, "what": what, "more": more});
    let _ = io::stdout().write_all(format!("@ {line}\n").as_bytes());
}

/// File systems and modules, as far as every scene needs them.
pub fn boot() {
    for (kind, place) in
        [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp"), ("cgroup2", "/sys/fs/cgroup")]
    {
        mount(kind, place, kind);
    }
    report("boot", &json!({"memory": memory_mib()}));
    let order = fs::read_to_string(Path::new(MODULES).join("order")).expect("the host writes it");
    for line in order.lines() {
        let (file, parameters) = line.split_once(' ').unwrap_or((line, ""));
        load(file, parameters);
    }
    // Modules are in the kernel now, and their files only take memory.
    fs::remove_dir_all(MODULES).expect("it is ours");
}

/// Mounts `what` on a folder, which is made.
pub fn mount(what: &str, place: &str, kind: &str) {
    fs::create_dir_all(place).expect("the root is writable");
    let [what, at, kind] = [what, place, kind].map(plain);
    // SAFETY: the strings are live and end with zero, and no data is given.
    let done = unsafe { libc::mount(what.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, ptr::null()) };
    assert!(done == 0, "{place}: {}", io::Error::last_os_error());
}

/// Makes a mounted folder the root of this process and all later ones.
pub fn become_root(folder: &Path) {
    std::env::set_current_dir(folder).expect("it is there");
    let [here, root] = [".", "/"].map(plain);
    // SAFETY: the strings are live and end with zero, and no data is given.
    let done = unsafe { libc::mount(here.as_ptr(), root.as_ptr(), ptr::null(), libc::MS_MOVE, ptr::null()) };
    assert!(done == 0, "{}: {}", folder.display(), io::Error::last_os_error());
    std::os::unix::fs::chroot(".").and_then(|()| std::env::set_current_dir("/")).expect("it is the root now");
}

fn plain(text: &str) -> CString {
    CString::new(text).expect("no zero is in it")
}

fn load(file: &str, parameters: &str) {
    let module = fs::File::open(Path::new(MODULES).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let parameters = plain(parameters);
    // SAFETY: the file is open and the string is live.
    let done = unsafe { libc::syscall(libc::SYS_finit_module, module.as_raw_fd(), parameters.as_ptr(), 0) };
    assert!(done == 0, "{file}: {}", io::Error::last_os_error());
}

/// Memory of this machine as its kernel has it, after its own code.
fn memory_mib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("it is mounted");
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).expect("the kernel has it");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") >> 10
}

/// Asks a child that was not waited for to end.
pub fn terminate(pid: u32) {
    // SAFETY: it takes two numbers.
    unsafe { libc::kill(pid.cast_signed(), libc::SIGTERM) };
}

/// The end.
pub fn power_off() -> ! {
    // SAFETY: it takes nothing.
    unsafe { libc::sync() };
    // What was written to the console must have left it.
    sleep_s(0.2);
    // SAFETY: it takes a number, and does not come back.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
    loop {
        thread::park();
    }
}
