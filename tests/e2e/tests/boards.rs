//! Boards, bound threads, a screen and pins, looked at from outside the program.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ocelli_e2e::{lines, ocelli, program, root};

const DEMO: &str = "tests/clips/demo.mp4";
const TINY: &str = "models/tiny-test";
const BOARDS: [&str; 5] = ["host", "rpi-zero2w", "rpi4", "rpi5", "jetson-orin-nano"];

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// The unit with each drop-in of the package, as systemd reads them: it says nothing of what it knows.
#[test]
fn systemd_understands_the_service_with_each_of_its_drop_ins() {
    let drop_ins = ["network.conf", "pins.conf", "rpicam.conf"];
    let packed = fs::read_dir(root().join("boards/debian")).expect("it is there").flatten();
    let packed = packed.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "conf"));
    assert_eq!(packed.count(), drop_ins.len(), "each is tried");
    let unit = fs::read_to_string(root().join("boards/ocelli.service")).expect("it is there");
    // What it starts must be there.
    let unit = unit.replace("/usr/bin/ocelli ", "/bin/true ");
    for (drop_in, line) in
        drop_ins.map(|name| (name, "")).into_iter().chain([("pins.conf", "SuplementaryGroups=gpio\n")])
    {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let (service, given) = (folder.path().join("ocelli.service"), folder.path().join("ocelli.service.d"));
        fs::create_dir(&given).expect("it is writable");
        fs::write(&service, &unit).expect("it is writable");
        let known = fs::read_to_string(root().join("boards/debian").join(drop_in)).expect("it is there");
        fs::write(given.join(drop_in), known + line).expect("it is writable");
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no"]).arg(&service);
        // That folder, and those of this system.
        verify.env("SYSTEMD_UNIT_PATH", format!("{}:", text(folder.path())));
        let Ok(verified) = verify.output() else { return eprintln!("SKIPPED: systemd-analyze is not installed") };
        let said = String::from_utf8_lossy(&verified.stderr);
        let ours: Vec<&str> = said.lines().filter(|line| line.contains(text(folder.path()))).collect();
        assert_eq!(ours.is_empty(), line.is_empty(), "{drop_in}: {said}");
    }
}

#[test]
fn check_plans_every_board_and_says_what_comes_from_where() {
    for board in BOARDS {
        assert!(root().join(format!("boards/{board}.toml")).is_file());
        let ran = ocelli(&["check", "--board", board]);
        assert_eq!(ran.code, Some(0), "{board}: {}", ran.err);
        assert!(ran.out.contains(&format!("\nboard {board}: ")), "{board}: {}", ran.out);
        let planned = lines(&ocelli(&["check", "--board", board, "--json"]).out).remove(0);
        assert_eq!(planned["fits"], true, "{board}: {planned}");
        let budget_mib = if board == "rpi-zero2w" { 64 } else { 128 };
        assert_eq!(planned["budget_bytes"], budget_mib << 20, "{board}");
    }
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let config = folder.path().join("ocelli.toml");
    fs::write(&config, "board = \"rpi4\"\n[camera]\nfps = 7\n").expect("it is writable");
    let ran = ocelli(&["check", "--config", text(&config), "--pack", TINY]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let set: BTreeMap<&str, Vec<&str>> =
        ran.out.split("\nset\n").nth(1).expect("what is set").lines().map(words).collect();
    assert_eq!(set["camera.fps"], ["7", text(&config)]);
    assert_eq!(set["camera.size_px"], ["\"640x480\"", "board", "rpi4"]);
    assert_eq!(set["pack"], [&format!("\"{TINY}\"")[..], "command", "line"]);
}

fn words(line: &str) -> (&str, Vec<&str>) {
    let mut words = line.split_whitespace();
    (words.next().unwrap_or_default(), words.collect())
}

#[test]
fn a_board_that_is_not_known_and_a_file_that_is_none_end_the_program_with_2() {
    let ran = ocelli(&["run", DEMO, "--board", "rpi44"]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.err, "ocelli: there is no board `rpi44`; did you mean `rpi4`?\n");
    let ran = ocelli(&["check", "--board", "models/home/pack.toml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("models/home/pack.toml:1: this is no board file"), "{}", ran.err);
}

/// CPUs of the threads of a process, by their names.
fn bound(pid: u32) -> BTreeMap<String, String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    let of = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let value = |key: &str| Some(status.lines().find_map(|line| line.strip_prefix(key))?.trim().to_owned());
        Some((value("Name:")?, value("Cpus_allowed_list:")?))
    };
    tasks.filter_map(of).collect()
}

#[test]
fn threads_run_where_the_board_says_and_a_screen_shows_the_run() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let (board, config) = (folder.path().join("own.toml"), folder.path().join("ocelli.toml"));
    let screen = folder.path().join("screen.ppm");
    let (first, last) = {
        let own = &bound(std::process::id()).into_values().next().expect("this test has a thread")[..];
        let ends = |at: Option<&str>| at.expect("a list of CPUs").to_owned();
        (ends(own.split([',', '-']).next()), ends(own.split([',', '-']).next_back()))
    };
    let facts = "[board]\ntitle = \"a test\"\ntier = 3\ntarget = \"x\"\nmemory = \"1GiB\"\ncpus = 2\nmodels = []\n";
    let threads = format!("[threads]\ncapture = [{last}]\nstab = [{first}]\nthink = [{last}, 1023]\n");
    fs::write(&board, format!("{facts}{threads}")).expect("it is writable");
    let display = format!("pack = \"{TINY}\"\n[display]\nkind = \"file\"\nfile = \"{}\"\n", screen.display());
    fs::write(&config, display).expect("it is writable");
    let mut child = Command::new(program())
        .args(["run", DEMO, "--seconds", "4", "--board", text(&board), "--config", text(&config)])
        .current_dir(root())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let wanted = [("capture", &last), ("stab", &first), ("ocelli", &last)];
    let until = Instant::now() + Duration::from_mins(2);
    loop {
        let now = bound(child.id());
        if wanted.iter().all(|(name, cpus)| now.get(*name) == Some(*cpus)) {
            assert!(now.contains_key("display"), "{now:?}");
            break;
        }
        assert!(Instant::now() < until && child.try_wait().expect("it is ours").is_none(), "{now:?}, {wanted:?}");
        thread::sleep(Duration::from_millis(20));
    }
    let ran = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{err}");
    assert!(err.contains("ocelli: board ") && err.contains(": a test, tier 3, x\n"), "{err}");
    assert!(
        err.contains(&format!("think names CPUs that are not for this program here, [1023]; it runs on [{last}]")),
        "{err}"
    );
    let picture = fs::read(&screen).expect("the last picture");
    assert!(picture.starts_with(b"P6\n240 240\n255\n") && picture.len() == 15 + 240 * 240 * 3);
    let used = picture[15..].chunks(3).filter(|pixel| *pixel == [255; 3]).count();
    assert!(used > 500, "{used} pixels of ink");
}

/// Threads of a process that have this name.
fn named(pid: u32, name: &str) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)).count()
}

#[test]
fn a_team_is_as_large_as_is_told() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let (config, events) = (folder.path().join("ocelli.toml"), folder.path().join("events.jsonl"));
    let own = bound(std::process::id()).into_values().next().expect("this test has a thread");
    let first = own.split([',', '-']).next().expect("a list of CPUs");
    let threads = format!("pack = \"{TINY}\"\n[threads]\nstab = [{first}]\nstab_team = 4\n");
    fs::write(&config, threads).expect("it is writable");
    let mut child = Command::new(program())
        .args(["run", DEMO, "--seconds", "4", "--board", "none", "--config", text(&config), "--out", text(&events)])
        .current_dir(root())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut most = 0;
    while child.try_wait().expect("it is ours").is_none() {
        most = most.max(named(child.id(), "stab"));
        thread::sleep(Duration::from_millis(20));
    }
    let ran = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{err}");
    assert!(err.contains("[threads] stab_team is 4, and there are CPUs for 1"), "{err}");
    assert_eq!(most, 1, "threads called stab");
}

#[test]
fn a_chip_or_a_bus_that_is_missing_is_told_by_run_and_by_check() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let config = folder.path().join("ocelli.toml");
    for (table, said) in [
        (
            "[gpio]\ndriver = \"cdev\"\nchip = \"/dev/gpiochip-x\"\nalert = [4]\n",
            "ocelli: /dev/gpiochip-x: there is nothing here",
        ),
        ("[display]\nkind = \"ssd1306\"\ni2c = \"/dev/i2c-x\"\n", "ocelli: /dev/i2c-x: there is nothing here"),
        ("[display]\nkind = \"st7789\"\nspi = \"/dev/spi-x\"\n", "ocelli: /dev/spi-x: there is nothing here"),
    ] {
        fs::write(&config, table).expect("it is writable");
        for command in [&["run", DEMO][..], &["check"]] {
            let ran = ocelli(&[command, &["--pack", TINY, "--config", text(&config)]].concat());
            assert_eq!(ran.code, Some(1), "{command:?} {table}: {}", ran.err);
            assert!(ran.err.contains(said) && !ran.err.contains("panicked"), "{command:?} {table}: {}", ran.err);
        }
    }
}
