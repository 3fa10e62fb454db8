//! What systemd is told of the program (`Type=notify`, `sd_notify(3)`): that it is ready when the first picture was thought
//! about, that it is alive as long as pictures are, and in a line how it is. Where nobody asks, nothing is told.

use std::env;
use std::ffi::OsString;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use ocelli_types::Micros;

use crate::error::note;

/// A watchdog is fed so many times in its interval, where there is something to feed it with.
const MEALS: u64 = 4;

/// The line to whoever started the program.
#[derive(Debug, Default)]
pub struct Supervisor {
    line: Option<UnixDatagram>,
    /// How often it wants to hear of us, if it does.
    every_us: Option<Micros>,
    ready: bool,
    fed_us: Micros,
}

impl Supervisor {
    /// The one that the environment names, if any: `NOTIFY_SOCKET`, and for a watchdog `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub fn of_environment() -> Self {
        let Some(place) = env::var_os("NOTIFY_SOCKET") else { return Self::default() };
        let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        Self::at(&place, number("WATCHDOG_USEC").filter(|_| ours))
    }

    fn at(place: &OsString, watchdog_us: Option<u64>) -> Self {
        let line = match connect(place) {
            Ok(line) => Some(line),
            Err(error) => {
                note(format_args!("NOTIFY_SOCKET={}: {error}; nobody is told how the program is", place.display()));
                None
            }
        };
        let every_us = watchdog_us.filter(|_| line.is_some()).map(|us| Micros(us / MEALS));
        Self { line, every_us, ..Self::default() }
    }

    /// A picture went all the way: the program is what it should be.
    pub fn ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.tell("READY=1\nSTATUS=watching");
        }
    }

    /// Feeds the watchdog when it is time to, if `alive` says so. `true` if it was fed.
    pub fn feed(&mut self, now_us: Micros, alive: impl FnOnce() -> bool) -> bool {
        let due = self.every_us.is_some_and(|every_us| now_us.since(self.fed_us) >= every_us);
        let fed = due && alive();
        if fed {
            self.fed_us = now_us;
            self.tell("WATCHDOG=1");
        }
        fed
    }

    /// How it is, in a line.
    pub fn status(&self, text: &str) {
        if self.line.is_some() {
            self.tell(&format!("STATUS={}", text.replace(char::is_control, " ")));
        }
    }

    /// The end has begun, and takes what it takes to save.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Somebody who does not listen is no reason to stop or to wait.
    fn tell(&self, text: &str) {
        if let Some(line) = &self.line {
            let _ = line.send(text.as_bytes());
        }
    }
}

fn connect(place: &OsString) -> io::Result<UnixDatagram> {
    let address = match place.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(place)?,
    };
    let line = UnixDatagram::unbound()?;
    line.connect_addr(&address)?;
    line.set_nonblocking(true)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(line: &UnixDatagram) -> Vec<String> {
        let mut bytes = [0; 256];
        std::iter::from_fn(|| line.recv(&mut bytes).ok().map(|n| String::from_utf8_lossy(&bytes[..n]).into_owned()))
            .collect()
    }

    #[test]
    fn it_is_ready_once_and_fed_as_long_as_there_is_something_to_feed_it_with() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let abstract_name = format!("@ocelli-test-{}", std::process::id());
        let at_path = UnixDatagram::bind(&path).expect("it is free");
        let address = SocketAddr::from_abstract_name(&abstract_name.as_bytes()[1..]).expect("it is short");
        let at_name = UnixDatagram::bind_addr(&address).expect("it is free");
        for (place, line) in [(path.into_os_string(), at_path), (abstract_name.into(), at_name)] {
            line.set_nonblocking(true).expect("it is a socket");
            let mut systemd = Supervisor::at(&place, Some(4_000_000));
            let fed = [0, 1, 1, 2, 3].map(|second| systemd.feed(Micros(second * 1_000_000), || second != 2));
            assert_eq!(
                fed,
                [false, true, false, false, true],
                "at most four times an interval, and only of what is alive"
            );
            systemd.ready();
            systemd.ready();
            systemd.status("a line\nREADY=1");
            systemd.stopping();
            let said = ["WATCHDOG=1", "WATCHDOG=1", "READY=1\nSTATUS=watching", "STATUS=a line READY=1", "STOPPING=1"];
            assert_eq!(heard(&line), said);
        }
    }

    #[test]
    fn one_that_is_not_there_and_one_that_does_not_listen_are_borne() {
        let mut nobody = Supervisor::at(&"/nowhere/at/all".into(), Some(1));
        nobody.ready();
        assert!(!nobody.feed(Micros(u64::MAX), || true), "nobody is fed");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let _deaf = UnixDatagram::bind(&path).expect("it is free");
        let deaf = Supervisor::at(&path.into_os_string(), None);
        (0..10_000).for_each(|_| deaf.status("not waited for"));
    }
}
