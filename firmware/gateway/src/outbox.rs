//! What is on its way to others, kept on disk until each of them has it.
//!
//! One queue for all targets, and for each target the number up to which it has everything. A message is a line in a file:
//!
//! ```text
//! CRC32 (of all behind it, in hex)   number   run (in hex)   0 or 1, whether it goes last   event (JSON)
//! ```
//!
//! Lines are only ever appended and brought to the disk before they are handed out, in files of an eighth of the queue's size
//! (a file of its own for each run). A power cut can therefore tear the last line only: it is left out, as any line is
//! whose checksum is wrong. Files that every target is through with are deleted. Beside them the file `cursors` has the targets' numbers. It is written
//! seldom, so a target may be sent again what it had before a power cut, under the [`Message::uid`] of before, by which it
//! knows it: a number and the program run that gave it, so that no two messages have the same, whatever the disk or the
//! clock did. Neither order nor age of a message comes from a clock.
//!
//! *Full.* Where there is no more room, the oldest messages go first, alerts last. Where the disk takes nothing, or there is
//! no folder, the newest [`HELD`] messages wait in memory. What goes before its target has it is counted for that target.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::Event;

/// The most messages that wait in memory.
pub const HELD: usize = 256;

/// No message is longer: an event has less than 4 KiB.
const MOST_LINE_BYTES: usize = 16 << 10;

/// Files that a full queue has.
const FILES: u64 = 8;

/// The smallest queue on disk.
pub const LEAST_BYTES: u64 = 64 << 10;

/// Why there is no outbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// Another program has it.
    #[error("{}: another program sends from this outbox; give each its own `folder`", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
}

/// One event on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its place in the queue; these only grow.
    pub number: u64,
    /// The run of the program that told it.
    pub run: u64,
    /// What is told.
    pub event: Event,
}

impl Message {
    /// What no other message has, and this one has however often it is sent.
    pub fn uid(&self) -> String {
        format!("{:016x}-{}", self.run, self.number)
    }

    /// An alert, and what belongs to one, goes after all else has gone.
    fn goes_last(&self) -> bool {
        matches!(self.event.r#type.as_str(), "alert" | "alert_end" | "update")
    }

    fn line(&self) -> String {
        let event = serde_json::to_string(&self.event).expect("an event should be JSON");
        let body = format!("{} {:016x} {} {event}", self.number, self.run, u8::from(self.goes_last()));
        format!("{:08x} {body}\n", crc32fast::hash(body.as_bytes()))
    }

    /// `None` for what is torn.
    fn read(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (sum, body) = line.strip_suffix('\n')?.split_once(' ')?;
        if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(body.as_bytes()) {
            return None;
        }
        let mut parts = body.splitn(4, ' ');
        let (number, run, _last, event) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let run = u64::from_str_radix(run, 16).ok()?;
        Some(Self { number: number.parse().ok()?, run, event: serde_json::from_str(event).ok()? })
    }
}

/// A file of the queue.
#[derive(Clone, Debug)]
struct Segment {
    /// The smallest number that may be in it, which is also its name.
    first: u64,
    last: u64,
    bytes: u64,
    /// Whether only alerts are left.
    thin: bool,
}

#[derive(Debug)]
struct Store {
    folder: PathBuf,
    most_bytes: u64,
    segments: VecDeque<Segment>,
    /// Whether the last segment is appended to.
    open: bool,
    /// The largest number on disk.
    last: u64,
    _lock: File,
}

#[derive(Debug)]
struct Target {
    name: String,
    /// It has everything up to here.
    done: u64,
    /// It was handed everything up to here.
    read: u64,
    /// Where the next one to read may lie: segment and offset.
    place: Option<(u64, u64)>,
    /// Messages that it does not have.
    waiting: u64,
    /// Messages that it will never have.
    dropped: u64,
    /// Of them those that it was handed before they went: it may have them yet.
    gone: Vec<u64>,
}

/// The queue.
#[derive(Debug)]
pub struct Outbox {
    run: u64,
    next: u64,
    /// Messages since the start.
    told: u64,
    /// `None` without a folder, or where that cannot be used.
    store: Option<Store>,
    /// Not on disk yet, in order; their numbers are above all that are.
    held: VecDeque<Message>,
    targets: Vec<Target>,
    unsaved: bool,
    trouble: Option<String>,
}

impl Outbox {
    /// Opens the queue of these targets in a folder, which is made where it is not there. One that was not there before
    /// gets what comes from now on. `run` is a number that no other start of the program has had, a random one.
    ///
    /// A folder that cannot be used is told by [`trouble`](Self::trouble); all waits in memory then.
    ///
    /// # Errors
    /// Another program has the folder.
    pub fn open(folder: Option<(&Path, u64)>, targets: &[String], run: u64) -> Result<Self, OutboxError> {
        let target = |name: &String| Target {
            name: name.clone(),
            done: 0,
            read: 0,
            place: None,
            waiting: 0,
            dropped: 0,
            gone: Vec::new(),
        };
        let mut outbox = Self {
            run,
            next: 1,
            told: 0,
            store: None,
            held: VecDeque::new(),
            targets: targets.iter().map(target).collect(),
            unsaved: false,
            trouble: None,
        };
        let Some((folder, bytes)) = folder else { return Ok(outbox) };
        match outbox.load(folder, bytes.max(LEAST_BYTES)) {
            Err(Failed::Taken) => return Err(OutboxError::Taken { path: folder.to_path_buf() }),
            Err(Failed::Disk(error)) => outbox.trouble = Some(format!("{}: {error}", folder.display())),
            Ok(()) => {}
        }
        Ok(outbox)
    }

    fn load(&mut self, folder: &Path, most_bytes: u64) -> Result<(), Failed> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Failed::Taken,
            TryLockError::Error(error) => Failed::Disk(error),
        })?;
        let cursors = read_cursors(&folder.join("cursors"));
        let mut names: Vec<u64> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(first) = name.strip_suffix(".log").and_then(|first| first.parse().ok()) {
                names.push(first);
            }
        }
        names.sort_unstable();
        let mut store = Store {
            folder: folder.to_path_buf(),
            most_bytes,
            segments: VecDeque::new(),
            open: false,
            last: 0,
            _lock: lock,
        };
        let mut numbers = Vec::new();
        for first in names {
            let mut segment = Segment { first, last: 0, bytes: 0, thin: true };
            let mut lines = Lines::open(&store.path(first), 0)?;
            while let Some(message) = lines.next()? {
                if message.number > store.last {
                    store.last = message.number;
                    segment.last = message.number;
                    segment.thin &= message.goes_last();
                    numbers.push(message.number);
                }
            }
            segment.bytes = lines.offset;
            if segment.last == 0 {
                // Nothing of it can be read, and its name may be that of the next.
                fs::remove_file(store.path(first))?;
            } else {
                store.segments.push_back(segment);
            }
        }
        let newest = cursors.iter().flatten().map(|(_, done)| *done).max().unwrap_or(0).max(store.last);
        for target in &mut self.targets {
            let known =
                cursors.as_ref().map(|all| all.iter().find(|(name, _)| *name == target.name).map(|(_, done)| *done));
            target.done = match known {
                Some(Some(done)) => done,
                // One that is new.
                Some(None) => newest,
                // Rather twice than not at all.
                None => 0,
            };
            target.read = target.done;
            target.waiting = numbers.iter().filter(|number| **number > target.done).count() as u64;
        }
        self.next = newest + 1;
        self.store = Some(store);
        self.unsaved = true;
        self.forget_delivered();
        self.save();
        Ok(())
    }

    /// Takes an event for all targets; [`flush`](Self::flush) brings it to the disk.
    pub fn push(&mut self, event: Event) {
        let message = Message { number: self.next, run: self.run, event };
        self.next += 1;
        self.told += 1;
        if message.line().len() > MOST_LINE_BYTES {
            self.targets.iter_mut().for_each(|target| target.dropped += 1);
            return;
        }
        self.held.push_back(message);
        self.targets.iter_mut().for_each(|target| target.waiting += 1);
        if self.held.len() > HELD {
            self.flush();
        }
    }

    /// Brings what was pushed to the disk. What that refuses waits in memory, and is tried again with the next call.
    pub fn flush(&mut self) {
        self.forget_held();
        if !self.held.is_empty() && self.store.is_some() {
            let lines: String = self.held.iter().map(Message::line).collect();
            let (first, last) = (self.held[0].number, self.held[self.held.len() - 1].number);
            let thin = self.held.iter().all(Message::goes_last);
            self.make_room(lines.len() as u64);
            match self.store.as_mut().map(|store| store.append(lines.as_bytes(), first, last, thin)) {
                None => {}
                Some(Ok(())) => {
                    self.held.clear();
                    self.trouble = None;
                }
                Some(Err(error)) => self.trouble = Some(self.place(&error)),
            }
        }
        while self.held.len() > HELD {
            let oldest = self.held.iter().position(|message| !message.goes_last()).unwrap_or(0);
            if let Some(message) = self.held.remove(oldest) {
                count_dropped(&mut self.targets, message.number);
            }
        }
    }

    /// What went wrong, and where.
    fn place(&self, error: &io::Error) -> String {
        let folder = self.store.as_ref().map(|store| store.folder.display().to_string());
        format!("{}: {error}", folder.unwrap_or_default())
    }

    /// The next message that this target was not handed yet.
    pub fn next(&mut self, target: usize) -> Option<Message> {
        let Self { store, targets, held, trouble, .. } = self;
        let target = &mut targets[target];
        if let Some(store) = store
            && store.last > target.read
        {
            match store.read_after(target) {
                Ok(Some(message)) => {
                    target.read = message.number;
                    return Some(message);
                }
                Ok(None) => {}
                Err(error) => {
                    *trouble = Some(format!("{}: {error}", store.folder.display()));
                    return None;
                }
            }
        }
        let message = held.iter().find(|message| message.number > target.read)?;
        target.read = message.number;
        Some(message.clone())
    }

    /// Whether the target has this one.
    pub fn has(&self, target: usize, number: u64) -> bool {
        number <= self.targets[target].done
    }

    /// The target has it, or does not want it. Messages are done in the order in which they were handed out.
    pub fn done(&mut self, target: usize, number: u64) {
        let target = &mut self.targets[target];
        if number > target.done {
            target.done = number;
            target.read = target.read.max(number);
            if target.gone.contains(&number) {
                target.dropped -= 1;
            } else {
                target.waiting = target.waiting.saturating_sub(1);
            }
            target.gone.retain(|gone| *gone > number);
            self.unsaved = true;
        }
    }

    /// The target refused it for good: it is done, and counts as dropped.
    pub fn refused(&mut self, target: usize, number: u64) {
        self.done(target, number);
        self.targets[target].dropped += 1;
    }

    /// Hands this target again what it was handed and is not done.
    pub fn rewind(&mut self, target: usize) {
        let target = &mut self.targets[target];
        (target.read, target.place) = (target.done, None);
        target.gone.clear();
    }

    /// Messages since the start, with those that never came here.
    pub const fn told(&self) -> u64 {
        self.told
    }

    /// Messages that a target does not have yet.
    pub fn waiting(&self, target: usize) -> u64 {
        self.targets[target].waiting
    }

    /// Messages since the start that a target will never have.
    pub fn dropped(&self, target: usize) -> u64 {
        self.targets[target].dropped
    }

    /// Messages that never came here: they count as dropped for every target.
    pub fn missed(&mut self, count: u64) {
        self.told += count;
        self.targets.iter_mut().for_each(|target| target.dropped += count);
    }

    /// Why messages wait in memory, where they do.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Notes which messages are done, where that has changed, and lets go what all targets have.
    pub fn save(&mut self) {
        self.forget_delivered();
        let Some(store) = self.store.as_ref().filter(|_| self.unsaved) else { return };
        let lines: String = self.targets.iter().map(|target| cursor_line(&target.name, target.done)).collect();
        let (file, new) = (store.folder.join("cursors"), store.folder.join("cursors.new"));
        match fs::write(&new, lines).and_then(|()| fs::rename(&new, &file)) {
            Ok(()) => self.unsaved = false,
            Err(error) => self.trouble = Some(format!("{}: {error}", store.folder.display())),
        }
    }

    /// Files that all targets are through with.
    fn forget_delivered(&mut self) {
        self.forget_held();
        let least = self.targets.iter().map(|target| target.done).min().unwrap_or(u64::MAX);
        let Some(store) = &mut self.store else { return };
        // The one that is appended to stays; its end may be the only place that has the newest number.
        while store.segments.len() > 1 && store.segments[0].last <= least {
            store.remove_oldest();
        }
    }

    fn forget_held(&mut self) {
        let least = self.targets.iter().map(|target| target.done).min().unwrap_or(u64::MAX);
        while self.held.front().is_some_and(|message| message.number <= least) {
            self.held.pop_front();
        }
    }

    /// Lets the oldest go until so many bytes fit.
    fn make_room(&mut self, bytes: u64) {
        let Self { store: Some(store), targets, trouble, .. } = self else { return };
        while !store.segments.is_empty() && store.bytes() + bytes > store.most_bytes {
            let closed = store.segments.len() - usize::from(store.open);
            let thick = store.segments.iter().take(closed).position(|segment| !segment.thin);
            let gone = match thick {
                // It takes room for a moment, which there may not be.
                Some(index) => store.thin(index).or_else(|_| store.take_oldest()),
                None => store.take_oldest(),
            };
            match gone {
                Ok(gone) => gone.into_iter().for_each(|number| count_dropped(targets, number)),
                Err(error) => {
                    *trouble = Some(format!("{}: {error}", store.folder.display()));
                    return;
                }
            }
            targets.iter_mut().for_each(|target| target.place = None);
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.flush();
        self.save();
    }
}

/// A message goes: whoever has not had it will not.
fn count_dropped(targets: &mut [Target], number: u64) {
    for target in targets.iter_mut().filter(|target| target.done < number) {
        target.dropped += 1;
        target.waiting = target.waiting.saturating_sub(1);
        if target.read >= number {
            target.gone.push(number);
        }
    }
}

enum Failed {
    Taken,
    Disk(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl Store {
    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(format!("{first:020}.log"))
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Appends whole lines, or nothing.
    fn append(&mut self, lines: &[u8], first: u64, last: u64, thin: bool) -> io::Result<()> {
        let share = self.most_bytes / FILES;
        if self.segments.back().is_none_or(|segment| segment.bytes >= share) {
            self.open = false;
        }
        let new = !self.open;
        let at = if new { first } else { self.segments.back().map_or(first, |segment| segment.first) };
        let path = self.path(at);
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        let before = file.metadata()?.len();
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // What is torn is left out when it is read; the room is wanted.
            let _ = file.set_len(before);
            if new {
                let _ = fs::remove_file(&path);
            }
            return Err(error);
        }
        if new {
            // The name must reach the disk too.
            File::open(&self.folder)?.sync_all()?;
            self.segments.push_back(Segment { first: at, last, bytes: 0, thin: true });
            self.open = true;
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.last = last;
            segment.bytes = before + lines.len() as u64;
            segment.thin &= thin;
        }
        self.last = last;
        Ok(())
    }

    /// The first message behind what the target was handed.
    fn read_after(&self, target: &mut Target) -> io::Result<Option<Message>> {
        for segment in self.segments.iter().filter(|segment| segment.last > target.read) {
            let offset = target.place.filter(|(first, _)| *first == segment.first).map_or(0, |(_, offset)| offset);
            let mut lines = match Lines::open(&self.path(segment.first), offset) {
                // Somebody took the file away.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            while let Some(message) = lines.next()? {
                if message.number > target.read {
                    target.place = Some((segment.first, lines.offset));
                    return Ok(Some(message));
                }
            }
        }
        Ok(None)
    }

    /// Leaves only alerts in a file. Gives the numbers that went.
    fn thin(&mut self, index: usize) -> io::Result<Vec<u64>> {
        let path = self.path(self.segments[index].first);
        let new = path.with_extension("new");
        let mut gone = Vec::new();
        let mut kept = File::create(&new)?;
        let (mut lines, mut bytes) = (Lines::open(&path, 0)?, 0);
        while let Some(message) = lines.next()? {
            if message.goes_last() {
                let line = message.line();
                kept.write_all(line.as_bytes())?;
                bytes += line.len() as u64;
            } else {
                gone.push(message.number);
            }
        }
        if bytes == 0 {
            fs::remove_file(&new)?;
            fs::remove_file(&path)?;
            self.segments.remove(index);
            return Ok(gone);
        }
        kept.sync_data()?;
        fs::rename(&new, &path)?;
        let segment = &mut self.segments[index];
        (segment.bytes, segment.thin) = (bytes, true);
        Ok(gone)
    }

    /// Deletes the oldest file. Gives the numbers that went.
    fn take_oldest(&mut self) -> io::Result<Vec<u64>> {
        let path = self.path(self.segments[0].first);
        let mut gone = Vec::new();
        let mut lines = Lines::open(&path, 0)?;
        while let Some(message) = lines.next()? {
            gone.push(message.number);
        }
        fs::remove_file(&path)?;
        self.segments.pop_front();
        self.open &= !self.segments.is_empty();
        Ok(gone)
    }

    fn remove_oldest(&mut self) {
        let path = self.path(self.segments[0].first);
        // One that stays is found again at the next start, where all are through with it.
        let _ = fs::remove_file(path);
        self.segments.pop_front();
    }
}

/// Messages of a file, without what is torn.
struct Lines {
    file: BufReader<File>,
    line: Vec<u8>,
    /// Behind the line that was read last.
    offset: u64,
}

impl Lines {
    fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(4096, File::open(path)?);
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file, line: Vec::new(), offset })
    }

    fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            self.line.clear();
            let most = MOST_LINE_BYTES as u64;
            let read = self.file.by_ref().take(most).read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(None);
            }
            self.offset += read as u64;
            if let Some(message) = Message::read(&self.line) {
                return Ok(Some(message));
            }
        }
    }
}

fn cursor_line(name: &str, done: u64) -> String {
    let body = format!("{done} {name}");
    format!("{:08x} {body}\n", crc32fast::hash(body.as_bytes()))
}

/// `None` where there is none, or a line of it is torn.
fn read_cursors(path: &Path) -> Option<Vec<(String, u64)>> {
    let text = fs::read_to_string(path).ok()?;
    let read = |line: &str| {
        let (sum, body) = line.split_once(' ')?;
        let (done, name) = body.split_once(' ')?;
        let sum = u32::from_str_radix(sum, 16).ok()?;
        (sum == crc32fast::hash(body.as_bytes())).then(|| Some((name.to_owned(), done.parse().ok()?)))?
    };
    let cursors: Option<Vec<_>> = text.lines().map(read).collect();
    cursors.filter(|cursors| !cursors.is_empty())
}
