//! Cameras of the network: the real program against a real RTSP server, and against ones that are worse.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ocelli_e2e::{Ran, ffmpeg, lines, ocelli, program, root, watched};
use serde_json::Value;

/// Random weights: fast, and no words matter here.
const TINY: &str = "models/tiny-test";

/// What must be in no output.
const PASSWORD: &str = "hunter2-of-the-camera";

/// A server by the library `GStreamer`, which ends with this value.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Plays each clip under its path; `None` if the library is absent.
    fn start(arguments: &[&str], clips: &[(&str, &str, &Path)]) -> Option<Self> {
        let import = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer";
        let is_there = Command::new("/usr/bin/python3").args(["-c", import]).output();
        if !is_there.is_ok_and(|ran| ran.status.success()) {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "the RTSP server should be there in CI");
            eprintln!("SKIPPED: gir1.2-gst-rtsp-server-1.0 and python3-gi are not installed: no server, no camera");
            return None;
        }
        let mut command = Command::new("/usr/bin/python3");
        command.arg("tests/e2e/rtsp/serve.py").args(arguments).current_dir(root());
        command.args(clips.iter().map(|(path, codec, clip)| format!("{path}={codec}={}", clip.display())));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("it writes");
        let port = line.trim().parse().expect("the server says its port");
        Some(Self { child, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn demo() -> PathBuf {
    root().join("tests/clips/demo.mp4")
}

/// A run of some seconds with one camera of this table.
fn run(folder: &Path, camera: &str, seconds: &str) -> Ran {
    let config = folder.join("ocelli.toml");
    fs::write(&config, format!("[camera]\nname = \"porch\"\n{camera}\n")).expect("it is writable");
    let config = config.to_str().expect("a plain path");
    ocelli(&["run", "--config", config, "--pack", TINY, "--json", "--seconds", seconds])
}

fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a str> {
    let mine = events.iter().filter(|event| event["type"] == kind);
    mine.filter_map(|event| event["text"].as_str()).collect()
}

/// Pictures that came and that the model saw, as the last line of a run says.
fn counted(ran: &Ran) -> (u32, u32) {
    let of = |word: &str| {
        let line = ran.err.lines().rev().find(|line| line.contains(" seen"));
        let part = line.and_then(|line| line.split(", ").find_map(|part| part.strip_suffix(word)));
        let number = part.and_then(|part| part.rsplit(' ').next()).and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("no count of{word}: {}", ran.err))
    };
    (of(" pictures"), of(" seen"))
}

fn secretless(ran: &Ran) {
    for text in [&ran.out, &ran.err] {
        assert!(!text.contains(PASSWORD) && !text.contains("vera"), "{text}");
    }
}

#[test]
fn h264_and_mjpeg_are_played_with_digest_and_basic_and_a_password_in_the_address_or_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["-i", "tests/clips/demo.mp4", "-t", "12", "-an", "-c:v", "mjpeg", "-q:v", "4"];
    let Some(jpeg) = ffmpeg(&folder.path().join("jpeg.mov"), &arguments) else { return };
    let demo = demo();
    let clips = [("h264", "h264", demo.as_path()), ("jpeg", "mjpeg", jpeg.as_path())];
    let secret = folder.path().join("password");
    fs::write(&secret, format!("{PASSWORD}\n")).expect("it is writable");
    for (method, path) in [(&[][..], "h264"), (&["--basic"][..], "jpeg")] {
        let who = ["--user", "vera", "--password", PASSWORD];
        let Some(server) = Server::start(&[&who[..], method].concat(), &clips) else { return };
        let port = server.port;
        let in_it = format!("rtsp = \"rtsp://vera:{PASSWORD}@127.0.0.1:{port}/{path}\"");
        let apart = format!(
            "rtsp = \"rtsp://127.0.0.1:{port}/{path}\"\nrtsp_username = \"vera\"\nrtsp_password_file = {secret:?}"
        );
        for camera in [in_it, apart] {
            let ran = run(folder.path(), &camera, "5");
            assert_eq!(ran.code, Some(0), "{path}: {}", ran.err);
            let events = lines(&ran.out);
            assert!(of_type(&events, "blind").is_empty(), "{path}: {}", ran.out);
            assert!(
                of_type(&events, "health").iter().any(|text| text.contains("watching; time 0 is 2")),
                "{}",
                ran.out
            );
            let (pictures, seen) = counted(&ran);
            // Ten a second, in real time: no more than what a clip would give at once.
            assert!((25..=60).contains(&pictures) && seen >= 10, "{path}: {}", ran.err);
            assert!(ran.err.contains(" 0 damaged") || !ran.err.contains("damaged"), "{path}: {}", ran.err);
            secretless(&ran);
        }
    }
}

#[test]
fn what_a_server_refuses_is_said_without_the_password_and_ends_with_3() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = [
        "-i",
        "tests/clips/demo.mp4",
        "-t",
        "3",
        "-an",
        "-c:v",
        "libx265",
        "-tag:v",
        "hvc1",
        "-x265-params",
        "log-level=none",
    ];
    let Some(other) = ffmpeg(&folder.path().join("other.mp4"), &arguments) else { return };
    let demo = demo();
    let arguments =
        ["-i", "tests/clips/demo.mp4", "-t", "3", "-an", "-c:v", "libx264", "-pix_fmt", "yuv422p", "-g", "10"];
    let Some(rich) = ffmpeg(&folder.path().join("rich.mp4"), &arguments) else { return };
    let clips =
        [("live", "h264", demo.as_path()), ("other", "h265", other.as_path()), ("rich", "h264", rich.as_path())];
    let Some(server) = Server::start(&["--user", "vera", "--password", "correct"], &clips) else { return };
    let port = server.port;
    for (user, path, said) in [
        (format!("vera:{PASSWORD}@"), "live", "it refuses this user and password"),
        (String::new(), "live", "it wants a user and a password"),
        ("vera:correct@".into(), "nothing", "it has no such stream"),
        ("vera:correct@".into(), "other", "its pictures are in H265; choose H.264"),
        ("vera:correct@".into(), "rich", "its H.264 is not 8-bit 4:2:0; choose another stream"),
    ] {
        let ran = run(folder.path(), &format!("rtsp = \"rtsp://{user}127.0.0.1:{port}/{path}\""), "20");
        assert_eq!(ran.code, Some(3), "{said}: {}", ran.err);
        let last = ran.err.lines().last().unwrap_or_default();
        assert!(last.contains(&format!("rtsp://127.0.0.1:{port}: {said}")), "{said}: {last}");
        secretless(&ran);
    }
    drop(server);
    let address = format!("rtsp://vera:{PASSWORD}@127.0.0.1:{port}/live");
    let ran = ocelli(&["run", "--rtsp", &address, "--pack", TINY, "--json", "--seconds", "20"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("Connection refused"), "{}", ran.err);
    secretless(&ran);
    for command in ["check", "run"] {
        let config = folder.path().join("ocelli.toml");
        fs::write(&config, format!("[camera]\nrtsp = \"rtps://vera:{PASSWORD}@h/\"\n")).expect("it is writable");
        let ran = ocelli(&[command, "--config", config.to_str().expect("a plain path"), "--pack", TINY]);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains("`rtsp`: it does not begin with rtsp://"), "{}", ran.err);
        secretless(&ran);
    }
    let config = folder.path().join("ocelli.toml");
    fs::write(&config, format!("[camera]\nrtsp = \"{address}\"\n")).expect("it is writable");
    let ran = ocelli(&["check", "--config", config.to_str().expect("a plain path"), "--pack", TINY]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains(&format!("camera  camera: rtsp://127.0.0.1:{port}, with a user\n")), "{}", ran.out);
    assert!(ran.out.contains("\n  network camera "), "{}", ran.out);
    secretless(&ran);
    let camera =
        "rtsp = \"rtsp://127.0.0.1/live\"\nrtsp_username = \"vera\"\nrtsp_password_file = \"/nowhere/password\"";
    fs::write(&config, format!("[camera]\n{camera}\n")).expect("it is writable");
    for command in ["check", "run"] {
        let ran = ocelli(&[command, "--config", config.to_str().expect("a plain path"), "--pack", TINY]);
        assert_eq!(ran.code, Some(2), "{command}: {}", ran.err);
        assert!(ran.err.contains("`rtsp_password_file`: ") && ran.err.contains("/nowhere/password"), "{}", ran.err);
    }
}

/// Whether somebody is connected to a port of this machine.
fn is_visited(port: u16) -> bool {
    let (port, established) = (format!(":{port:04X}"), "01");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|table| fs::read_to_string(table).ok()).any(|table| {
        let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row.len() > 3).any(|row| row[1].ends_with(&port) && row[3] == established)
    })
}

#[test]
fn a_server_that_is_gone_and_back_is_told_once_each_and_memory_is_as_planned() {
    let demo = demo();
    let clips = [("live", "h264", demo.as_path())];
    let who = ["--user", "vera", "--password", PASSWORD];
    let Some(server) = Server::start(&who, &clips) else { return };
    let (port, folder) = (server.port, tempfile::tempdir().expect("a temporary folder"));
    let config = folder.path().join("ocelli.toml");
    let table = format!("[camera]\nname = \"porch\"\nrtsp = \"rtsp://vera:{PASSWORD}@127.0.0.1:{port}/live\"\n");
    fs::write(&config, table).expect("it is writable");
    let config = config.to_str().expect("a plain path");
    let again = demo.clone();
    let gone = std::thread::spawn(move || {
        // On a busy machine the program takes its time until it is there.
        let until = Instant::now() + Duration::from_mins(5);
        while !is_visited(port) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(Duration::from_secs(5));
        drop(server);
        std::thread::sleep(Duration::from_secs(3));
        let port = port.to_string();
        let back =
            Server::start(&["--user", "vera", "--password", PASSWORD, "--port", &port], &[("live", "h264", &again)]);
        std::thread::sleep(Duration::from_secs(20));
        drop(back);
    });
    let (ran, peak) = watched(&["run", "--config", config, "--pack", "models/home", "--json", "--seconds", "24"]);
    gone.join().expect("nobody panicked");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let events = lines(&ran.out);
    let (blind, health) = (of_type(&events, "blind"), of_type(&events, "health"));
    assert!(blind.len() == 1 && blind[0].contains(&format!("rtsp://127.0.0.1:{port}: ")), "{}", ran.out);
    assert!(blind[0].ends_with("; trying again"), "{}", ran.out);
    assert_eq!(health.iter().filter(|text| text.starts_with("seeing again after ")).count(), 1, "{}", ran.out);
    secretless(&ran);
    let plan = lines(&ocelli(&["check", "--json", "--config", config, "--pack", "models/home"]).out).remove(0);
    let planned = plan["planned_bytes"].as_u64().expect("a number");
    eprintln!("peak {} of {planned} planned, {} of files", peak.bytes, peak.file_bytes);
    assert!(peak.bytes <= planned, "{peak:?} of {planned}");
}

/// A medium as it should be described.
const MEDIUM: &str =
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:one\r\n";

/// A server that answers as one should, and then sends what it is told to.
fn worse(play: impl Fn(&mut TcpStream) + Send + 'static) -> u16 {
    described(MEDIUM, play)
}

/// The same with this description of what it has.
fn described(media: &'static str, play: impl Fn(&mut TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            if answered(&mut stream, media).is_ok() {
                play(&mut stream);
            }
        }
    });
    port
}

/// Everything up to PLAY.
fn answered(stream: &mut TcpStream, media: &str) -> std::io::Result<()> {
    let sdp = format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n{media}");
    let mut head = String::new();
    loop {
        head.clear();
        while !head.ends_with("\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0].into());
        }
        let sequence = head.lines().find(|line| line.to_lowercase().starts_with("cseq:")).unwrap_or_default();
        let (more, body) = match head.split(' ').next() {
            Some("DESCRIBE") => (format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", sdp.len()), &*sdp),
            Some("SETUP") => ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n".into(), ""),
            _ => ("Session: 1\r\n".into(), ""),
        };
        write!(stream, "RTSP/1.0 200 OK\r\n{sequence}\r\n{more}\r\n{body}")?;
        if head.starts_with("PLAY") {
            return Ok(());
        }
    }
}

/// A packet of RTP in a connection of RTSP.
fn packet(sequence: u16, time: u32, is_last: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![b'$', 0];
    packet.extend(u16::try_from(12 + payload.len()).expect("it is small").to_be_bytes());
    packet.extend([0x80, u8::from(is_last) << 7 | 0x60]);
    packet.extend(sequence.to_be_bytes());
    packet.extend(time.to_be_bytes());
    packet.extend([1, 2, 3, 4]);
    packet.extend(payload);
    packet
}

#[test]
fn a_picture_that_is_lost_on_the_way_costs_those_that_refer_to_it_and_no_more() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Ten a second, and one a second that stands alone.
    let arguments =
        ["-i", "tests/clips/demo.mp4", "-t", "8", "-an", "-c:v", "libx264", "-g", "10", "-bf", "0", "-x264-params"];
    let arguments = [&arguments[..], &["keyint=10:scenecut=0:slices=1:aud=0", "-f", "h264"]].concat();
    let Some(clip) = ffmpeg(&folder.path().join("clip.h264"), &arguments) else { return };
    let bytes = fs::read(&clip).expect("it was made");
    let port = worse(move |stream| {
        let (mut sequence, mut picture) = (0_u16, 0_u32);
        let starts: Vec<usize> =
            (0..bytes.len() - 3).filter(|&at| bytes[at..at + 3] == [0, 0, 1]).map(|at| at + 3).collect();
        for (index, &start) in starts.iter().enumerate() {
            let end = starts.get(index + 1).map_or(bytes.len(), |next| next - 3);
            let unit = &bytes[start..end];
            let unit = &unit[..unit.len() - unit.iter().rev().take_while(|byte| **byte == 0).count()];
            let is_picture = matches!(unit[0] & 0x1f, 1 | 5);
            // The fifth of each ten is gone, and its number.
            let gone = is_picture && picture % 10 == 4;
            let packet = packet(sequence, picture * 9000, is_picture, unit);
            sequence += 1;
            picture += u32::from(is_picture);
            if !gone && stream.write_all(&packet).is_err() {
                return;
            }
            if is_picture {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        std::thread::sleep(Duration::from_secs(5));
    });
    let ran = run(folder.path(), &format!("rtsp = \"rtsp://127.0.0.1:{port}/x\""), "7");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(of_type(&lines(&ran.out), "blind").is_empty(), "{}", ran.out);
    let (pictures, seen) = counted(&ran);
    // Four of ten are whole; the model wants every second.
    assert!((15..=35).contains(&pictures) && seen >= 8, "{}", ran.err);
    assert!(!ran.err.contains(" 0 damaged"), "{}", ran.err);
}

#[test]
fn garbage_is_said_and_a_server_that_says_nothing_is_not_waited_for_for_ever() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let noise = worse(|stream| {
        let _ = stream.write_all(&[0x55; 4096]);
    });
    // Packets as they should be, with pictures that are none.
    let pictures = worse(|stream| {
        for sequence in 0..2000_u16 {
            let picture: Vec<u8> =
                (0..100_u32).map(|at| if at == 0 { 0x65 } else { (at * 7 + u32::from(sequence)) as u8 }).collect();
            if stream.write_all(&packet(sequence, u32::from(sequence) * 3000, true, &picture)).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    // A line that is none before the medium, at which the library that reads it panics.
    let strange = described("dvmio=e 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n", |_| ());
    let silent = worse(|_| std::thread::sleep(Duration::from_secs(30)));
    let mute = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mute = (mute.local_addr().expect("it is bound").port(), mute);
    for (port, said) in [
        (noise, ""),
        (pictures, ""),
        (strange, "it sends what cannot be understood"),
        (silent, "no picture for 1500 ms"),
        (mute.0, "no picture for 1500 ms"),
    ] {
        let ran =
            run(folder.path(), &format!("timeout_s = 1.5\nrtsp = \"rtsp://vera:{PASSWORD}@127.0.0.1:{port}/x\""), "40");
        assert_eq!(ran.code, Some(3), "{}", ran.err);
        let last = ran.err.lines().last().unwrap_or_default();
        eprintln!("{last}");
        assert!(last.contains(said) && !last.contains("panicked"), "{last}");
        secretless(&ran);
    }
}

#[test]
fn a_stop_does_not_wait_for_a_server_that_says_nothing() {
    let silent = worse(|_| std::thread::sleep(Duration::from_mins(1)));
    let mut child = Command::new(program())
        .args(["run", "--rtsp", &format!("rtsp://127.0.0.1:{silent}/x"), "--pack", TINY])
        .current_dir(root())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    std::thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    let killed = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
    assert!(killed.success());
    let status = child.wait().expect("it ends");
    assert!(began.elapsed() < Duration::from_secs(3), "{status}: {:?}", began.elapsed());
}
