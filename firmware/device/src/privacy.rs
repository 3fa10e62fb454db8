//! Privacy mode: no picture ever leaves the memory of this program. What would let one out is refused with its key, what saves the memory
//! leaves the picture out, and a program that dies leaves no core file.
//!
//! What it cannot hold is a system that swaps memory to a disk: that is told at the start.

use std::fs;
use std::io;

use crate::config::Config;
use crate::error::{Error, note};

/// Refuses what would let a picture out.
///
/// # Errors
/// In words for whoever wrote it.
pub fn check(config: &Config) -> Result<(), String> {
    if !config.privacy {
        return Ok(());
    }
    let images = config.mqtt.as_ref().is_some_and(|mqtt| mqtt.images);
    let out = [
        ("live = true of [gateway]", config.gateway.live),
        ("`folder` of [recording]", config.recording.folder.is_some()),
        ("images = true of [mqtt]", images),
    ];
    match out.iter().find(|(_, set)| *set) {
        Some((key, _)) => Err(format!("`privacy` lets no picture out, and {key} would; take one of them out")),
        None => Ok(()),
    }
}

/// Holds it, as far as the system lets a program.
///
/// # Errors
/// The system does not let it go without core files.
#[expect(unsafe_code, reason = "the limits of a process are set by a system call")]
pub fn hold() -> Result<(), Error> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `none` is a live rlimit; lowering this one touches no memory.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) } != 0 {
        return Err(Error::System { what: "to go without core files", source: io::Error::last_os_error() });
    }
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    if let Some(place) = swapped_to(&swaps) {
        note(format_args!(
            "privacy: this system swaps memory to {place}, pictures too; switch it off (swapoff), or start with MemorySwapMax=0"
        ));
    }
    Ok(())
}

/// Where memory is swapped to that is no memory itself, from `/proc/swaps`.
fn swapped_to(swaps: &str) -> Option<&str> {
    let places = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    places.into_iter().find(|place| !place.starts_with("/dev/zram"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_would_let_a_picture_out_is_refused_with_its_key() {
        let parse = |text: &str| Config::parse(Path::new("ocelli.toml"), text).map_err(|error| error.to_string());
        let private = "privacy = true\n[memory]\nstate = \"state\"\n[journal]\nfile = \"j\"\n";
        assert!(parse(private).expect("text may go where it will").privacy);
        let recording = "[recording]\nfolder = \"r\"\n";
        for (more, key) in [
            ("[gateway]\nlisten = \"127.0.0.1:0\"\nlive = true\n", "live = true of [gateway]"),
            (recording, "`folder` of [recording]"),
        ] {
            assert!(parse(more).is_ok(), "{more}");
            let why = parse(&format!("privacy = true\n{more}")).expect_err(more);
            assert!(why.contains(&format!("lets no picture out, and {key} would")), "{why}");
        }
        let images = "[mqtt]\nbroker = \"mqtt://h\"\nimages = true\n";
        let why = parse(images).expect_err("there is none to be told");
        assert!(why.contains("`images` of [mqtt] is the snapshot of a [recording], which is not there"), "{why}");
        assert!(parse(&format!("{images}{recording}")).is_ok());
    }

    #[test]
    fn swap_in_memory_is_no_disk() {
        let head = "Filename\tType\tSize\tUsed\tPriority\n";
        assert_eq!(swapped_to(head), None);
        assert_eq!(swapped_to(&format!("{head}/dev/zram0 partition 1 0 100\n")), None);
        assert_eq!(
            swapped_to(&format!("{head}/dev/zram0 partition 1 0 9\n/var/swap file 1 0 -2\n")),
            Some("/var/swap")
        );
    }
}
