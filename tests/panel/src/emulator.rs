//! A chip in QEMU: its serial line is a socket, its log is read, and its monitor tells what pins and screen show.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::build::{Board, log_reader};

/// No run lasts longer, whatever becomes of us.
const MOST_S: &str = "1500";

/// A board that runs. It ends with its owner.
#[derive(Debug)]
pub struct Emulator {
    qemu: Child,
    reader: Child,
    folder: TempDir,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Emulator {
    /// Starts a board with this firmware.
    ///
    /// # Errors
    /// QEMU or the reader of logs does not start.
    pub fn start(board: &Board, elf: &Path) -> Result<Self> {
        let (folder, log_reader) = (tempfile::tempdir()?, log_reader()?);
        let socket = |name: &str| format!("path={},server=on,wait=off", folder.path().join(name).display());
        let mut qemu = Command::new("timeout")
            .args(["-k", "5", MOST_S, "qemu-system-arm", "-display", "none", "-machine", board.name])
            .args(["-cpu", board.cpu.context("QEMU does not have this board")?])
            .args(["-chardev", &format!("socket,id=line,{}", socket("line")), "-serial", "chardev:line"])
            .args(["-chardev", &format!("socket,id=mon,{}", socket("monitor")), "-mon", "chardev=mon,mode=readline"])
            // Its time goes with its instructions, about as fast as ours: where this computer is busy no tick is lost.
            .args(["-icount", "shift=auto"])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(elf)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("QEMU does not start")?;
        let log = qemu.stdout.take().context("it was asked for")?;
        let mut reader = Command::new(log_reader).arg(elf).stdin(log).stdout(Stdio::piped()).spawn()?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (decoded, kept) = (reader.stdout.take().context("it was asked for")?, Arc::clone(&lines));
        thread::spawn(move || {
            for line in BufReader::new(decoded).lines().map_while(Result::ok) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let emulator = Self { qemu, reader, folder, lines };
        let until = Instant::now() + Duration::from_secs(20);
        while !(emulator.line().exists() && emulator.folder.path().join("monitor").exists()) {
            if Instant::now() > until {
                bail!("QEMU does not come up");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(emulator)
    }

    /// The serial line.
    pub fn line(&self) -> PathBuf {
        self.folder.path().join("line")
    }

    /// The log so far, decoded.
    pub fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the log has a line with this in it.
    pub fn told(&self, words: &str) -> bool {
        self.log().iter().any(|line| line.contains(words))
    }

    /// What the monitor answers.
    ///
    /// # Errors
    /// It does not answer within some seconds.
    pub fn monitor(&self, command: &str) -> Result<String> {
        let mut monitor = UnixStream::connect(self.folder.path().join("monitor"))?;
        monitor.set_read_timeout(Some(Duration::from_secs(20)))?;
        // A prompt before, and one behind the answer.
        read_prompt(&mut monitor)?;
        monitor.write_all(format!("{command}\n").as_bytes())?;
        read_prompt(&mut monitor)
    }

    /// A word of the chip's memory, as a debugger has it.
    ///
    /// # Errors
    /// The monitor does not tell.
    pub fn word(&self, address: u32) -> Result<u32> {
        let answer = self.monitor(&format!("xp /1wx {address:#x}"))?;
        let word = answer.rsplit("0x").next().and_then(|hex| hex.get(..8));
        let word = word.with_context(|| format!("no word at {address:#x}: {answer}"))?;
        Ok(u32::from_str_radix(word, 16)?)
    }

    /// What the screen shows.
    ///
    /// # Errors
    /// The board has no screen.
    pub fn picture(&self) -> Result<Picture> {
        let file = self.folder.path().join("screen.ppm");
        let answer = self.monitor(&format!("screendump {}", file.display()))?;
        let bytes = fs::read(&file).with_context(|| format!("no picture: {answer}"))?;
        Picture::from_screen(&bytes)
    }
}

fn read_prompt(monitor: &mut UnixStream) -> Result<String> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"(qemu) ") {
        let mut byte = [0];
        monitor.read_exact(&mut byte).context("the monitor does not answer")?;
        answer.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // The end of QEMU, whose parent hands the signal on, is the end of the log.
        let _ = Command::new("kill").arg(self.qemu.id().to_string()).status();
        let _ = self.qemu.wait();
        let _ = self.reader.wait();
    }
}

/// A picture of 128 x 64 pixels, lit or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    rows: Vec<Vec<bool>>,
}

impl Picture {
    const WIDTH: usize = 128;
    const HEIGHT: usize = 64;

    /// From a screen dump (PPM), which shows each pixel as a square.
    fn from_screen(bytes: &[u8]) -> Result<Self> {
        let header: Vec<&[u8]> = bytes.splitn(4, u8::is_ascii_whitespace).collect();
        let [b"P6", width, height, rest] = header[..] else { bail!("the screen dump is no PPM") };
        let number = |text: &[u8]| -> Result<usize> { Ok(std::str::from_utf8(text)?.parse()?) };
        let (width, height) = (number(width)?, number(height)?);
        let pixels = rest.strip_prefix(b"255\n").context("the screen dump has other colours")?;
        let scale = width / Self::WIDTH;
        if scale == 0
            || (width, height) != (scale * Self::WIDTH, scale * Self::HEIGHT)
            || pixels.len() != width * height * 3
        {
            bail!("the screen is of {width}x{height}");
        }
        let lit = |x: usize, y: usize| pixels[(y * scale * width + x * scale) * 3] > 127;
        let rows = (0..Self::HEIGHT).map(|y| (0..Self::WIDTH).map(|x| lit(x, y)).collect()).collect();
        Ok(Self { rows })
    }

    /// From a plain PBM, as [`fmt::Display`](std::fmt::Display) writes it.
    ///
    /// # Errors
    /// It is none of this size.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let rows = text.strip_prefix("P1\n128 64\n").context("this is no plain PBM of 128x64")?;
        let rows: Vec<Vec<bool>> = rows.lines().map(|row| row.bytes().map(|pixel| pixel == b'1').collect()).collect();
        if rows.len() != Self::HEIGHT || rows.iter().any(|row| row.len() != Self::WIDTH) {
            bail!("{}: this picture is not of 128x64", file.display());
        }
        Ok(Self { rows })
    }

    /// Pixels that are not the same.
    pub fn differences(&self, other: &Self) -> usize {
        self.rows.iter().flatten().zip(other.rows.iter().flatten()).filter(|(one, two)| one != two).count()
    }
}

impl std::fmt::Display for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "P1\n128 64")?;
        for row in &self.rows {
            let row: String = row.iter().map(|lit| if *lit { '1' } else { '0' }).collect();
            writeln!(f, "{row}")?;
        }
        Ok(())
    }
}
