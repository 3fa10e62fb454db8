//! What systemd hears of the program, by its own protocol.
#![cfg(target_os = "linux")]

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ocelli_e2e::{program, root};

/// Random weights: fast, and no words matter here.
const TINY: &str = "models/tiny-test";

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program with a command as its camera, and the socket on which it tells how it is. Its watchdog wants to hear of it each
/// second.
fn start(folder: &Path, camera: &str, timeout_s: &str) -> (Running, UnixDatagram) {
    let (socket, config) = (folder.join("notify"), folder.join("camera.toml"));
    std::fs::write(&config, format!("[camera]\ncommand = '''{camera}'''\ntimeout_s = {timeout_s}\n"))
        .expect("writable");
    let systemd = UnixDatagram::bind(&socket).expect("it is free");
    systemd.set_read_timeout(Some(Duration::from_secs(30))).expect("it is a socket");
    let mut command = Command::new(program());
    command.args(["run", "--json", "--pack", TINY, "--config"]).arg(config).current_dir(root());
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "1000000").env_remove("WATCHDOG_PID");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    (Running(child.expect("the program starts")), systemd)
}

fn hear(systemd: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let length = systemd.recv(&mut bytes).expect("the program says something within half a minute");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Hears it until it says this.
fn until(systemd: &UnixDatagram, word: &str) {
    while !hear(systemd).starts_with(word) {}
}

/// One picture.
const HEAD: &str = "echo YUV4MPEG2 W64 H48 F10:1; picture() { echo FRAME; head -c 4608 /dev/zero; }";

#[test]
fn it_is_ready_with_its_first_picture_and_alive_while_there_are_more_or_the_camera_is_known_to_be_lost() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ends = folder.path().join("ends");
    let ends = ends.display();
    // Pictures until a file is there; then the command ends, and does not come back.
    let camera =
        format!("{HEAD}; test -e {ends} && exit 3; while ! test -e {ends}; do picture; sleep 0.1; done; exit 7");
    let (mut running, systemd) = start(folder.path(), &camera, "5");
    assert_eq!(hear(&systemd), "READY=1\nSTATUS=watching", "before anything else");
    (0..3).for_each(|_| until(&systemd, "WATCHDOG=1"));
    std::fs::write(folder.path().join("ends"), "").expect("it is writable");
    until(&systemd, "STATUS=blind: the command");
    (0..3).for_each(|_| until(&systemd, "WATCHDOG=1"));
    let killed = Command::new("kill").arg(running.0.id().to_string()).status().expect("there is a kill");
    assert!(killed.success());
    until(&systemd, "STOPPING=1");
    assert!(running.0.wait().expect("a child can be waited for").success());
}

#[test]
fn a_camera_that_hangs_starves_the_watchdog() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_running, systemd) = start(folder.path(), &format!("{HEAD}; picture; picture; sleep 600"), "3600");
    until(&systemd, "READY=1");
    // The picture that made it ready may feed it, and the one after; nothing does later.
    systemd.set_read_timeout(Some(Duration::from_secs(5))).expect("it is a socket");
    let (mut bytes, start, mut meals) = ([0; 1024], Instant::now(), 0);
    while systemd.recv(&mut bytes).is_ok() {
        meals += 1;
        assert!(meals <= 2, "fed {meals} times in {:?} by a camera that shows nothing", start.elapsed());
    }
}
