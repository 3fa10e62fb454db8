//! The file system that a kernel unpacks into memory: a cpio archive of the kind "newc".

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const END: &str = "TRAILER!!!";

/// An archive that grows.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

impl Archive {
    /// Adds a file with its folders. `place` has no `/` in front.
    pub fn add(&mut self, place: &str, content: &[u8]) {
        for (at, _) in place.match_indices('/') {
            let folder = &place[..at];
            if self.folders.insert(folder.to_owned()) {
                self.entry(folder, FOLDER, &[]);
            }
        }
        self.entry(place, PROGRAM, content);
    }

    /// Adds a file as it lies on this disk.
    pub fn copy(&mut self, place: &str, from: &Path) -> Result<()> {
        self.add(place, &fs::read(from).with_context(|| from.display().to_string())?);
        Ok(())
    }

    /// Adds each file of a folder, but not its folders.
    pub fn copy_files(&mut self, place: &str, from: &Path) -> Result<()> {
        for file in fs::read_dir(from).with_context(|| from.display().to_string())? {
            let file = file?;
            if file.file_type()?.is_file() {
                self.copy(&format!("{place}/{}", file.file_name().to_string_lossy()), &file.path())?;
            }
        }
        Ok(())
    }

    /// Writes it.
    pub fn finish(mut self, to: &Path) -> Result<()> {
        self.entry(END, 0, &[]);
        fs::write(to, self.bytes).with_context(|| to.display().to_string())
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let (length, name_length) = (content.len() as u32, name.len() as u32 + 1);
        // inode, mode, user, group, links, time, length, device, its own device, length of the name, no checksum
        let fields = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_length, 0];
        write!(self.bytes, "070701").expect("memory takes everything");
        for field in fields {
            write!(self.bytes, "{field:08X}").expect("memory takes everything");
        }
        write!(self.bytes, "{name}\0").expect("memory takes everything");
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn cpio_reads_what_is_written() {
        let path = std::env::temp_dir().join(format!("ocelli-archive-{}", std::process::id()));
        let mut archive = Archive::default();
        archive.add("init", b"first");
        archive.add("etc/a/b", b"odd");
        archive.add("etc/c", b"");
        archive.finish(&path).expect("it is writable");
        let file = fs::File::open(&path).expect("it is there");
        let listed = Command::new("cpio").args(["-t", "--quiet"]).stdin(Stdio::from(file)).output();
        fs::remove_file(&path).expect("it is there");
        let Ok(listed) = listed else { return eprintln!("SKIPPED: cpio is not installed") };
        assert_eq!(String::from_utf8_lossy(&listed.stdout), "init\netc\netc/a\netc/a/b\netc/c\n");
    }
}
