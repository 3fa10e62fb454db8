//! Cameras and zones that are set up on the gateway's page: a file of their own beside the config, one JSON object a line, for its owner
//! alone, because a camera's address may have a password in it.
//!
//! ```text
//! {"camera": {"name": "porch", "rtsp": "rtsp://user:password@camera.lan/stream", "size_px": "640x480"}}
//! {"zone": {"camera": "porch", "name": "gate", "corners": [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0]]}}
//! ```
//!
//! A zone is in force at once. A camera has the keys of a `[[camera]]` and is there from the next start on, for memory, threads and slots
//! of all cameras are planned and made at the start. Before it is kept it has given a picture, and `ocelli check` has found that the
//! config is right and the memory plan fits with it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, fs, io};

use ocelli_gateway::HouseError;
use ocelli_gateway::setup::{NewSource, Source, Zone};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::additions::{self, Additions};
use crate::config::{CameraTable, Config};
use crate::sentences::{self, Readers, Stamp};
use crate::wish;

/// The most cameras and zones that are set up here.
const MOST_CAMERAS: usize = 8;
const MOST_ZONES: usize = 32;

/// The largest file.
const MOST_FILE_BYTES: u64 = 128 << 10;

/// What all of it holds, as it is and while it is changed.
pub const BYTES: u64 = 2 * MOST_FILE_BYTES;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    /// As it was written, so that keys which the page has no words for stay.
    Camera(Map<String, Value>),
    Zone(Zone),
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    cameras: Vec<Map<String, Value>>,
    zones: Vec<Arc<Zone>>,
    /// Lines that are not understood, and why.
    damaged: Vec<(String, String)>,
}

fn name_of(camera: &Map<String, Value>) -> &str {
    camera.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn table_of(camera: &Map<String, Value>) -> Result<CameraTable, String> {
    // What is wrong with an address is told without it, and what else serde says names types and keys.
    serde_json::from_value(Value::Object(camera.clone()))
        .map_err(|_| "it has keys or values that no [[camera]] has".into())
}

impl Kept {
    /// Reads a file, which need not be there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = additions::read(path, MOST_FILE_BYTES)?;
        let mut kept = Self::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            if let Err(why) = kept.take(line) {
                kept.damaged
                    .push((line.to_owned(), format!("line {} of what was set up is left out: {why}", number + 1)));
            }
        }
        Ok(kept)
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        // A line may have a password in it, so that nothing of it is told.
        match serde_json::from_str(line).map_err(|_| "it is not understood")? {
            Line::Zone(zone) => self.put_zone(zone).map(drop),
            Line::Camera(camera) => {
                let name = wish::check_name(name_of(&camera))?;
                if self.cameras.iter().any(|other| name_of(other) == name) {
                    return Err(format!("`{name}` is there already"));
                }
                table_of(&camera).and_then(|table| table.check()).map_err(|why| format!("camera `{name}`: {why}"))?;
                self.put_camera(camera).map(drop)
            }
        }
    }

    /// Says whether there was one.
    fn put_zone(&mut self, zone: Zone) -> Result<bool, String> {
        wish::check_zone(&zone)?;
        let is_it = |other: &&mut Arc<Zone>| (&other.camera, &other.name) == (&zone.camera, &zone.name);
        let before = self.zones.iter_mut().find(is_it);
        if let Some(before) = before {
            *before = Arc::new(zone);
            return Ok(true);
        }
        if self.zones.len() == MOST_ZONES {
            return Err(format!("there are {MOST_ZONES} zones, which is the most; remove one first"));
        }
        self.zones.push(Arc::new(zone));
        Ok(false)
    }

    fn put_camera(&mut self, camera: Map<String, Value>) -> Result<bool, String> {
        let before = self.cameras.iter_mut().find(|other| name_of(other) == name_of(&camera));
        if let Some(before) = before {
            *before = camera;
            return Ok(true);
        }
        if self.cameras.len() == MOST_CAMERAS {
            return Err(format!("{MOST_CAMERAS} cameras are added, which is the most"));
        }
        self.cameras.push(camera);
        Ok(false)
    }

    fn text(&self) -> String {
        let cameras = self.cameras.iter().map(|camera| json!({ "camera": camera }));
        let zones = self.zones.iter().map(|zone| json!({ "zone": **zone }));
        cameras.chain(zones).map(|line| line.to_string() + "\n").collect()
    }
}

/// What was set up and has no part in this start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The camera; none of a line that is not understood, or of all of the file.
    pub camera: Option<String>,
    /// A sentence.
    pub why: String,
}

impl LeftOut {
    /// A camera.
    pub fn camera(name: &str, why: impl fmt::Display) -> Self {
        Self { camera: Some(name.into()), why: format!("the camera `{name}` that was set up is left out: {why}") }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Lays what was set up over a config: its cameras stand behind those of the config, in the place of one that says not where its pictures
/// come from. One that does not go with the config is left out, and so are all where the command line names the camera of this start.
/// Gives what was left out.
pub fn lay_over(config: &mut Config, named_by: Option<&'static str>) -> Vec<LeftOut> {
    config.named_by = named_by;
    let Some(path) = config.gateway.setup.clone() else { return Vec::new() };
    let kept = match Kept::read(&path) {
        Ok(kept) => kept,
        Err(error) => {
            return vec![LeftOut { camera: None, why: format!("`setup` of [gateway], {}: {error}", path.display()) }];
        }
    };
    let mut faults: Vec<LeftOut> =
        kept.damaged.iter().map(|(_, why)| LeftOut { camera: None, why: why.clone() }).collect();
    if let Some(what) = named_by {
        let why = format!("{what} is given, which is for the one camera of this start");
        faults.extend(kept.cameras.iter().map(|camera| LeftOut::camera(name_of(camera), &why)));
        return faults;
    }
    let own = std::mem::take(&mut config.cameras);
    let stands = |camera: &CameraTable| camera.device.is_some() || camera.command.is_some() || camera.rtsp.is_some();
    // Without one of its own the first camera of the machine is meant.
    let replaced = own.len() == 1 && !stands(&own[0]) && !kept.cameras.is_empty();
    config.cameras = if replaced { Vec::new() } else { own.clone() };
    config.added = 0;
    for camera in &kept.cameras {
        let Ok(table) = table_of(camera) else { continue };
        let name = table.name.clone();
        config.cameras.push(table);
        match config.check() {
            Ok(()) => config.added += 1,
            Err(why) => {
                config.cameras.pop();
                faults.push(LeftOut::camera(&name, why));
            }
        }
    }
    if config.cameras.is_empty() {
        config.cameras = own;
    }
    faults
}

/// What was set up, of a running program.
#[derive(Debug)]
pub struct Registry {
    path: PathBuf,
    /// The cameras of the config that runs, and how many of them, the last, are of the file.
    running: Vec<CameraTable>,
    added: usize,
    at_start: Vec<Map<String, Value>>,
    left_out: Vec<LeftOut>,
    named_by: Option<&'static str>,
    /// Why nothing can be changed: the file cannot be read.
    unread: Option<String>,
    /// Held no longer than it takes to look, for who watches does not wait for a disk.
    kept: Mutex<Kept>,
    /// The file as it was read or written last; held by whoever changes it.
    stamp: Mutex<Option<Stamp>>,
}

impl Registry {
    /// Of a config over which the file was laid.
    ///
    /// # Errors
    /// There cannot be such a file. One that cannot be read is told by [`lay_over`], and nothing is changed then.
    pub fn open(path: &Path, config: &Config) -> Result<Self, String> {
        let wrong = |why: String| format!("`setup` of [gateway], {}: {why}", path.display());
        additions::possible(path).map_err(wrong)?;
        // Where the power went while it was checked, its passwords do not stay.
        let _ = fs::remove_file(tried(path));
        let stamp = Stamp::of(path);
        let (kept, unread) = match Kept::read(path) {
            Ok(kept) => (kept, None),
            Err(error) => (Kept::default(), Some(format!("what was set up cannot be read: {error}"))),
        };
        Ok(Self {
            path: path.into(),
            running: config.cameras.clone(),
            added: config.added,
            at_start: kept.cameras.clone(),
            left_out: config.left_out.clone(),
            named_by: config.named_by,
            unread,
            kept: Mutex::new(kept),
            stamp: Mutex::new(stamp),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The zones of all cameras.
    pub fn zones(&self) -> Vec<Zone> {
        self.kept().zones.iter().map(|zone| Zone::clone(zone)).collect()
    }

    /// The zone of this name.
    pub fn zone(&self, camera: &str, name: &str) -> Option<Arc<Zone>> {
        let kept = self.kept();
        kept.zones.iter().find(|zone| (zone.camera.as_str(), zone.name.as_str()) == (camera, name)).cloned()
    }

    /// Keeps a zone; says whether there was one of this name. Conditions that are in it follow.
    ///
    /// # Errors
    /// It makes no sense, there are too many, or it cannot be kept: then all is as it was.
    pub fn put_zone(&self, zone: &Zone, conditions: Option<&Additions>) -> Result<bool, HouseError> {
        let changed = self.change(|kept| kept.put_zone(zone.clone()).map_err(HouseError::Refused))?;
        if let Some(conditions) = conditions {
            conditions.follow(&zone.camera, &zone.name);
        }
        Ok(changed)
    }

    /// Forgets a zone that no condition needs.
    ///
    /// # Errors
    /// There is none, a condition is in it, or it cannot be kept.
    pub fn remove_zone(&self, camera: &str, name: &str, conditions: Option<&Additions>) -> Result<(), HouseError> {
        if let Some(text) = conditions.and_then(|conditions| conditions.in_zone(camera, name)) {
            return Err(HouseError::Refused(format!("the condition `{text}` is about this zone; change that first")));
        }
        self.change(|kept| {
            let before = kept.zones.len();
            kept.zones.retain(|zone| (zone.camera.as_str(), zone.name.as_str()) != (camera, name));
            let absent = || HouseError::Absent("there is no such zone".into());
            (kept.zones.len() < before).then_some(()).ok_or_else(absent)
        })
    }

    /// The camera that is wished for, with the keys of the config.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn table(&self, wish: &NewSource) -> Result<Map<String, Value>, HouseError> {
        let table = wish::camera(wish).map_err(HouseError::Refused)?;
        table_of(&table).and_then(|table| table.check()).map_err(HouseError::Refused)?;
        if self.of_config(&wish.camera) {
            return Err(HouseError::Refused(format!("`{}` is a camera of the config; change it there", wish.camera)));
        }
        if let Some(other) = self.looks_like(&wish.camera) {
            let why = format!("there is a camera `{other}`, which is the same name in topics; take another");
            return Err(HouseError::Refused(why));
        }
        Ok(table)
    }

    /// Another camera whose name comes to the same in topics, or differs in capital letters alone.
    fn looks_like(&self, name: &str) -> Option<String> {
        let plain = |name: &str| -> String {
            name.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
        };
        let kept = self.kept();
        let mut others = self.running.iter().map(|camera| &camera.name[..]).chain(kept.cameras.iter().map(name_of));
        others.find(|other| *other != name && plain(other) == plain(name)).map(str::to_owned)
    }

    fn of_config(&self, name: &str) -> bool {
        self.running[..self.running.len() - self.added].iter().any(|camera| camera.name == name)
            && !self.kept().cameras.iter().any(|camera| name_of(camera) == name)
    }

    /// Keeps a camera for the next start, once `check` finds the file right that would be; says whether there was one of this name.
    ///
    /// # Errors
    /// `check` refuses, there are too many, or it cannot be kept: then all is as it was.
    pub fn put_camera(
        &self,
        camera: &Map<String, Value>,
        check: impl FnOnce(&Path) -> Result<(), HouseError>,
    ) -> Result<bool, HouseError> {
        self.readable()?;
        if let Some(what) = self.named_by {
            let why = format!(
                "this start has {what}, which is for one camera: write that one into the config, and start without it"
            );
            return Err(HouseError::Refused(why));
        }
        let mut next = self.kept().clone();
        next.put_camera(camera.clone()).map_err(HouseError::Refused)?;
        let tried = tried(&self.path);
        let refused = |error: io::Error| HouseError::Unavailable(format!("what was set up cannot be written: {error}"));
        let checked = write(&tried, &next.text()).map_err(refused).and_then(|()| check(&tried));
        let _ = fs::remove_file(&tried);
        checked?;
        self.change(|kept| kept.put_camera(camera.clone()).map_err(HouseError::Refused))
    }

    /// Takes a camera away from the next start on.
    ///
    /// # Errors
    /// It was not added, or it cannot be kept.
    pub fn remove_camera(&self, name: &str) -> Result<(), HouseError> {
        if self.of_config(name) {
            return Err(HouseError::Refused(format!("`{name}` is a camera of the config; take it out there")));
        }
        self.change(|kept| {
            let before = kept.cameras.len();
            kept.cameras.retain(|camera| name_of(camera) != name);
            let absent = || HouseError::Absent("no such camera was added".into());
            (kept.cameras.len() < before).then_some(()).ok_or_else(absent)
        })
    }

    /// The cameras that run, and those of the next start.
    pub fn sources(&self) -> Vec<Source> {
        let kept = self.kept();
        let (of_config, of_file) = self.running.split_at(self.running.len() - self.added);
        let change = |what: &str| Some(what.to_owned());
        let mut sources: Vec<Source> = of_config.iter().map(|camera| source(camera, false, None)).collect();
        for camera in of_file {
            let now = kept.cameras.iter().find(|other| name_of(other) == camera.name);
            let before = self.at_start.iter().find(|other| name_of(other) == camera.name);
            let next = now.and_then(|now| table_of(now).ok());
            sources.push(match next {
                None => source(camera, true, change("removed")),
                Some(_) if now == before => source(camera, true, None),
                Some(next) => source(&next, true, change("changed")),
            });
        }
        let is_new = |camera: &&Map<String, Value>| !of_file.iter().any(|other| other.name == name_of(camera));
        for camera in kept.cameras.iter().filter(is_new) {
            let Ok(table) = table_of(camera) else { continue };
            // As it is, the next start leaves it out too.
            let left_out = self.left_out.iter().find(|left_out| left_out.camera.as_ref() == Some(&table.name));
            sources.push(match left_out.filter(|_| self.at_start.contains(camera)) {
                Some(left_out) => {
                    Source { why: Some(left_out.why.clone()), ..source(&table, true, change("left_out")) }
                }
                None => source(&table, true, change("added")),
            });
        }
        sources
    }

    fn readable(&self) -> Result<(), HouseError> {
        self.unread.clone().map_or(Ok(()), |why| Err(HouseError::Unavailable(why)))
    }

    /// What is there becomes what the file says only when that is on the disk.
    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> Result<T, HouseError>) -> Result<T, HouseError> {
        self.readable()?;
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = self.kept().clone();
        let done = change(&mut next)?;
        if next.text().len() as u64 > MOST_FILE_BYTES {
            return Err(HouseError::Refused("that is too much to keep; make it shorter".into()));
        }
        if *stamp != Stamp::of(&self.path) {
            let why = "somebody else changed the file of cameras and zones since it was read; the next start reads it, and then they can be \
                       changed here";
            return Err(HouseError::Refused(why.into()));
        }
        let damaged: Vec<&str> = next.damaged.iter().map(|(line, _)| line.as_str()).collect();
        additions::set_aside(&self.path, &damaged)
            .and_then(|()| write(&self.path, &next.text()))
            .map_err(|error| HouseError::Unavailable(format!("what was set up cannot be written: {error}")))?;
        next.damaged.clear();
        *stamp = Stamp::of(&self.path);
        *self.kept() = next;
        Ok(done)
    }
}

/// What would be kept, for as long as it is checked.
fn tried(path: &Path) -> PathBuf {
    let mut tried = path.as_os_str().to_owned();
    tried.push(".tried");
    tried.into()
}

/// Whole or as it was, and nobody else's to read.
fn write(path: &Path, text: &str) -> io::Result<()> {
    sentences::replace(path, text.as_bytes(), Readers::Owner)
}

/// Where a camera is, without what may be secret of it.
pub fn place(camera: &CameraTable) -> String {
    if camera.command.is_some() {
        // It may have an address with a password in it.
        return "a command".into();
    }
    match camera.address() {
        Ok(Some(address)) => address.to_string(),
        _ => camera
            .device
            .as_ref()
            .map_or_else(|| "the first camera of this machine".into(), |device| device.display().to_string()),
    }
}

fn source(camera: &CameraTable, own: bool, change: Option<String>) -> Source {
    Source {
        camera: camera.name.clone(),
        from: place(camera),
        has_user: camera.address().is_ok_and(|address| address.is_some_and(|address| address.has_user())),
        size: camera.size_px.to_string(),
        own,
        change,
        why: None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::alerts::AlertTable;
    use crate::wiring;

    const HALF: [[f32; 2]; 3] = [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0]];

    fn zone(camera: &str, name: &str, corners: &[[f32; 2]]) -> Zone {
        Zone { camera: camera.into(), name: name.into(), corners: corners.to_vec() }
    }

    fn far(camera: &str) -> NewSource {
        let rtsp = Some(ocelli_gateway::Secret::new("rtsp://camera.lan/stream"));
        NewSource { camera: camera.into(), rtsp, ..NewSource::default() }
    }

    /// A config with a camera of its own, over which the file was laid.
    fn laid(path: &Path) -> (Config, Vec<LeftOut>) {
        let text = format!("[camera]\nname = \"hall\"\ndevice = \"/dev/video0\"\n[gateway]\nsetup = {path:?}\n");
        let mut config = Config::parse(Path::new("ocelli.toml"), &text).expect("a config");
        let faults = lay_over(&mut config, None);
        (config, faults)
    }

    fn opened(path: &Path) -> Registry {
        Registry::open(path, &laid(path).0).expect("it can be read")
    }

    fn names(config: &Config) -> Vec<&str> {
        config.cameras.iter().map(|camera| camera.name.as_str()).collect()
    }

    fn put(registry: &Registry, wish: &NewSource) -> Result<bool, HouseError> {
        registry.put_camera(&registry.table(wish)?, |_| Ok(()))
    }

    #[test]
    fn zones_are_there_after_a_restart_and_what_makes_no_sense_changes_nothing() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("setup.jsonl");
        let registry = opened(&path);
        assert!(!registry.put_zone(&zone("hall", "stairs", &HALF), None).expect("it makes sense"));
        let other = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        assert!(registry.put_zone(&zone("hall", "stairs", &other), None).expect("it is changed"));
        let before = fs::read_to_string(&path).expect("it is there");
        let round = |count: usize| -> Vec<[f32; 2]> {
            let angle = |at: usize| at as f32 / count as f32 * std::f32::consts::TAU;
            (0..count).map(|at| [0.5 + 0.4 * angle(at).cos(), 0.5 + 0.4 * angle(at).sin()]).collect()
        };
        assert!(registry.put_zone(&zone("hall", "round", &round(32)), None).is_ok());
        registry.remove_zone("hall", "round", None).expect("it is there");
        for (zone, word) in [
            (zone("hall", "", &HALF), "the name of a zone"),
            (zone("hall", "a\nb", &HALF), "break lines"),
            (zone("hall", &"x".repeat(65), &HALF), "64 characters"),
            (zone("hall", "x", &[]), "three corners"),
            (zone("hall", "x", &HALF[..2]), "three corners"),
            (zone("hall", "x", &[[0.0, 0.0], [2.0, 0.0], [1.0, 1.0]]), "0 to 1"),
            (zone("hall", "x", &[[f32::NAN, 0.0], [1.0, 0.0], [1.0, 1.0]]), "0 to 1"),
            (zone("hall", "x", &[[0.5, 0.5]; 3]), "nothing is inside"),
            (zone("hall", "x", &round(33)), "32 corners"),
        ] {
            let Err(HouseError::Refused(why)) = registry.put_zone(&zone, None) else { panic!("refused: {word}") };
            assert!(why.contains(word) && why.lines().count() == 1, "{why}");
        }
        assert!(matches!(registry.remove_zone("porch", "stairs", None), Err(HouseError::Absent(_))));
        assert_eq!(fs::read_to_string(&path).expect("it is there"), before);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert_eq!(opened(&path).zones(), [zone("hall", "stairs", &other)]);
        for number in 1..MOST_ZONES {
            registry.put_zone(&zone("hall", &number.to_string(), &HALF), None).expect("there is room");
        }
        assert!(
            matches!(registry.put_zone(&zone("hall", "y", &HALF), None), Err(HouseError::Refused(why)) if why.contains("the most"))
        );
    }

    #[test]
    fn a_condition_is_in_its_zone_and_follows_it() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("setup.jsonl");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root");
        let pack = wiring::open_pack(root.join("models/home").to_str().expect("a plain path")).expect("it is there");
        let registry = Arc::new(opened(&path));
        let (config, conditions) = (laid(&path).0, folder.path().join("conditions.jsonl"));
        let additions =
            || Additions::open(&conditions, &config, &pack, Some(Arc::clone(&registry))).expect("readable").0;
        let (added, kinds) = (additions(), vec!["walk".into()]);
        let table = |text: &str, camera: Option<&str>, name: &str| AlertTable {
            text: text.into(),
            kinds: kinds.clone(),
            camera: camera.map(Into::into),
            in_zone: Some(name.into()),
            ..AlertTable::default()
        };
        for (refused, word) in [
            (table("x", Some("hall"), "stairs"), "there is no zone `stairs` of `hall`"),
            (table("x", None, "stairs"), "which is to be named"),
            (AlertTable { zone: HALF.to_vec(), ..table("x", Some("hall"), "stairs") }, "in place of a `zone`"),
        ] {
            assert!(matches!(added.put(refused), Err(HouseError::Refused(why)) if why.contains(word)), "{word}");
        }
        registry.put_zone(&zone("hall", "stairs", &HALF), Some(&added)).expect("it makes sense");
        added.put(table("On the stairs", Some("hall"), "stairs")).expect("there is such a zone");
        let slot = || added.now().expect("nobody writes")[0].clone().expect("it is there");
        let (before, version) = (slot(), added.version());
        let corners = |table: &AlertTable| added.placed(table).expect("there is such a zone").zone.clone();
        assert_eq!(corners(&before), HALF);
        assert!(added.rule(&before).expect("it can be judged").zone.is_some());
        let wide = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]];
        registry.put_zone(&zone("hall", "stairs", &wide), Some(&added)).expect("it makes sense");
        assert_eq!(corners(&slot()), wide);
        assert!(!Arc::ptr_eq(&before, &slot()) && added.version() > version, "who watches takes it up anew");
        let kept = registry.remove_zone("hall", "stairs", Some(&added));
        assert!(matches!(kept, Err(HouseError::Refused(why)) if why.contains("`On the stairs` is about this zone")));
        assert_eq!(additions().list()[0].1, None, "in force after a restart");
        added.remove("On the stairs").expect("it was added");
        registry.remove_zone("hall", "stairs", Some(&added)).expect("nothing needs it");
        fs::write(&conditions, serde_json::to_string(&table("x", Some("hall"), "gone")).expect("plain"))
            .expect("writable");
        assert!(
            additions().list()[0].1.as_ref().is_some_and(|why| why.contains("no zone `gone`")),
            "it waits, and says so"
        );
        let of_config = Config { alerts: vec![table("x", Some("hall"), "stairs")], ..config.clone() };
        assert!(of_config.check().is_err_and(|why| why.contains("`in_zone` is for conditions of the page")));
    }

    #[test]
    fn a_camera_is_there_from_the_next_start_on_and_its_password_is_nobodys() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("setup.jsonl");
        let registry = opened(&path);
        let secret = |text: &str| Some(ocelli_gateway::Secret::new(text));
        let porch = NewSource { username: Some("vera".into()), password: secret("12#4@/:"), ..far("porch") };
        assert!(!put(&registry, &porch).expect("it makes sense"));
        let told = format!("{:?}", registry.sources());
        assert!(told.contains("rtsp://camera.lan\"") && !told.contains("12") && !told.contains("vera"), "{told}");
        let changes = |registry: &Registry| -> Vec<_> {
            let sources = registry.sources();
            sources.into_iter().map(|of| (of.camera, of.own, of.has_user, of.change.unwrap_or_default())).collect()
        };
        let hall = || ("hall".to_owned(), false, false, String::new());
        let porch = |change: &str| ("porch".to_owned(), true, true, change.to_owned());
        assert_eq!(changes(&registry), [hall(), porch("added")]);
        let (config, faults) = laid(&path);
        assert!(faults.is_empty() && names(&config) == ["hall", "porch"] && config.added == 1, "{faults:?}");
        let address = config.cameras[1].rtsp().expect("it is one").expect("of the network").address;
        let whole = ocelli_drivers::RtspAddress::parse("rtsp://camera.lan/stream").expect("it is one");
        assert_eq!(address, whole.with_user("vera", "12#4@/:"));
        let registry = opened(&path);
        assert_eq!(changes(&registry), [hall(), porch("")]);
        assert!(put(&registry, &NewSource { username: Some("vera".into()), ..far("porch") }).expect("it is changed"));
        assert_eq!(changes(&registry), [hall(), porch("changed")]);
        registry.remove_camera("porch").expect("it was added");
        assert_eq!(changes(&registry), [hall(), porch("removed")]);
        assert!(matches!(registry.remove_camera("porch"), Err(HouseError::Absent(_))));
        assert!(
            matches!(registry.remove_camera("hall"), Err(HouseError::Refused(why)) if why.contains("of the config"))
        );
        assert_eq!((names(&laid(&path).0), changes(&opened(&path))), (vec!["hall"], vec![hall()]));
    }

    #[test]
    fn a_camera_that_makes_no_sense_or_is_refused_is_not_kept() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("setup.jsonl");
        let registry = opened(&path);
        let secret = |text: &str| Some(ocelli_gateway::Secret::new(text));
        let at = |device: &str| NewSource { camera: "x".into(), device: Some(device.into()), ..NewSource::default() };
        for (wish, word) in [
            (far(""), "1 to 32 letters"),
            (far("a/b"), "1 to 32 letters"),
            (far(" x"), "1 to 32 letters"),
            (far(&"x".repeat(33)), "1 to 32 letters"),
            (far("hall"), "is a camera of the config"),
            (NewSource { camera: "x".into(), ..NewSource::default() }, "either `device` or `rtsp`"),
            (NewSource { device: Some("/dev/video0".into()), ..far("x") }, "either `device` or `rtsp`"),
            (at("/etc/passwd"), "such as /dev/video0"),
            (at("/dev/video0/../sda"), "such as /dev/video0"),
            (at("/dev/video"), "such as /dev/video0"),
            (NewSource { password: secret("hunter2"), ..at("/dev/video1") }, "are of `rtsp`"),
            (NewSource { password: secret("hunter2"), ..far("x") }, "of a `username`"),
            (NewSource { rtsp: secret("http://h/hunter2"), ..far("x") }, "does not begin with rtsp://"),
            (NewSource { rtsp: secret("hunter2"), username: Some("v".into()), ..far("x") }, "rtsp://"),
            (
                NewSource { rtsp: secret("rtsp://a:hunter2@h/"), username: Some("v".into()), ..far("x") },
                "has a user in it",
            ),
            (
                NewSource { rtsp: secret("rtsp://h/s@hunter2"), username: Some("v".into()), ..far("x") },
                "behind its host; write %40",
            ),
        ] {
            let Err(HouseError::Refused(why)) = put(&registry, &wish) else { panic!("refused: {word}") };
            assert!(why.contains(word) && !why.contains("hunter2") && why.lines().count() == 1, "{why}");
        }
        let mut asked = None;
        let refused = registry.put_camera(&registry.table(&far("x")).expect("it makes sense"), |tried| {
            let text = fs::read_to_string(tried).expect("it is there to be checked");
            asked = Some((text, fs::metadata(tried).expect("it is there").permissions().mode() & 0o777));
            Err(HouseError::Refused("the plan has no room".into()))
        });
        assert!(matches!(refused, Err(HouseError::Refused(why)) if why == "the plan has no room"));
        let (text, mode) = asked.expect("it was checked");
        assert!(text.contains("camera.lan") && mode == 0o600, "{mode:o} {text}");
        assert!(!path.exists() && registry.sources().len() == 1);
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0, "nothing is left lying about");
    }

    #[test]
    fn what_does_not_go_with_the_config_is_left_out_and_the_rest_runs() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("setup.jsonl");
        let lines = [
            r#"{"camera":{"name":"hall","rtsp":"rtsp://h/1"}}"#,
            r#"{"camera":{"name":"door","device":"/dev/video0"}}"#,
            r#"{"camera":{"name":"porch","rtsp":"rtsp://vera:hunter2@h/1","fps":5}}"#,
            r#"{"camera":{"name":"bath","rtsp":"rtsp://vera:hunter2@"}}"#,
            r#"{"camera":{"name":"shed","rtps":"rtsp://vera:hunter2@h/"}}"#,
            r#"{"camera":{"name":"shed"hunter2"#,
        ];
        fs::write(&path, lines.join("\n")).expect("it is writable");
        let (config, faults) = laid(&path);
        assert_eq!((names(&config), config.added, config.cameras[1].fps), (vec!["hall", "porch"], 1, 5));
        assert_eq!(faults.len(), 5, "{faults:?}");
        assert!(faults.iter().all(|fault| !fault.why.contains("hunter2")), "{faults:?}");
        let registry = opened(&path);
        registry.put_zone(&zone("hall", "stairs", &HALF), None).expect("it makes sense");
        let aside =
            fs::read_to_string(folder.path().join("setup.jsonl.damaged")).expect("what was not understood is kept");
        assert_eq!(aside.lines().count(), 3, "{aside}");
        let again = fs::read_to_string(&path).expect("it is there");
        assert!(again.lines().count() == 4 && again.contains("\"fps\":5"), "{again}");
        fs::write(&path, "by hand").expect("it is writable");
        let kept = registry.put_zone(&zone("hall", "x", &HALF), None);
        assert!(matches!(kept, Err(HouseError::Refused(why)) if why.contains("the next start reads it")));
    }

    #[test]
    fn a_camera_that_says_not_where_it_is_gives_way() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("setup.jsonl");
        let gateway = crate::config::GatewayTable { setup: Some(path.clone()), ..Default::default() };
        let mut config = Config { gateway, ..Config::default() };
        assert!(lay_over(&mut config, None).is_empty() && names(&config) == ["camera"] && config.added == 0);
        fs::write(&path, "{\"camera\":{\"name\":\"porch\",\"rtsp\":\"rtsp://h/1\"}}\n").expect("it is writable");
        assert!(lay_over(&mut config, None).is_empty() && names(&config) == ["porch"] && config.added == 1);
    }

    #[test]
    fn cameras_that_were_set_up_have_no_part_in_a_start_that_names_its_own() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("setup.jsonl");
        fs::write(&path, "{\"camera\":{\"name\":\"porch\",\"rtsp\":\"rtsp://h/1\"}}\n").expect("it is writable");
        let gateway = crate::config::GatewayTable { setup: Some(path.clone()), ..Default::default() };
        let mut config = Config { gateway, ..Config::default() };
        config.left_out = lay_over(&mut config, Some("--command"));
        assert_eq!((names(&config), config.added, config.left_out.len()), (vec!["camera"], 0, 1));
        let registry = Registry::open(&path, &config).expect("it can be read");
        let told: Vec<_> =
            registry.sources().into_iter().map(|source| (source.camera, source.change, source.why)).collect();
        assert_eq!(told[0], ("camera".into(), None, None));
        assert_eq!((&told[1].0[..], told[1].1.as_deref()), ("porch", Some("left_out")));
        assert!(told[1].2.as_ref().is_some_and(|why| why.contains("--command is given")), "{told:?}");
        assert!(
            matches!(put(&registry, &far("shed")), Err(HouseError::Refused(why)) if why.contains("this start has --command"))
        );
        registry.put_zone(&zone("camera", "stairs", &HALF), None).expect("zones are of any camera");
        registry.remove_camera("porch").expect("what was set up can be taken away");
        assert_eq!(registry.sources().len(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_keeps_nobody_from_starting_and_is_not_written_over() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("setup.jsonl");
        fs::write(&path, "x".repeat(MOST_FILE_BYTES as usize + 1)).expect("it is writable");
        let (config, faults) = laid(&path);
        assert!(config.added == 0 && faults.len() == 1 && faults[0].why.contains("it has more than"), "{faults:?}");
        let registry = opened(&path);
        let refused = |done: Result<(), HouseError>| matches!(done, Err(HouseError::Unavailable(why)) if why.contains("cannot be read"));
        assert!(refused(registry.put_zone(&zone("hall", "stairs", &HALF), None).map(drop)));
        assert!(refused(put(&registry, &far("shed")).map(drop)));
        assert_eq!(fs::metadata(&path).expect("it is there").len(), MOST_FILE_BYTES + 1);
    }

    #[test]
    fn eight_cameras_are_the_most_and_what_cannot_be_written_changes_nothing() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("setup.jsonl");
        let registry = opened(&path);
        for number in 0..MOST_CAMERAS {
            assert!(matches!(put(&registry, &far(&format!("camera {number}"))), Ok(false)));
        }
        let Err(HouseError::Refused(why)) = put(&registry, &far("one more")) else { panic!("that is one too many") };
        assert!(why.contains("8 cameras"), "{why}");
        assert!(matches!(put(&registry, &far("camera 7")), Ok(true)), "one that is there may change");
        let before = (fs::read(&path).expect("it is there"), registry.sources());
        // A folder has its place.
        fs::create_dir(tried(&path)).expect("there is room");
        let Err(HouseError::Unavailable(why)) = put(&registry, &far("camera 7")) else { panic!("it is not written") };
        assert!(why.contains("cannot be written"), "{why}");
        assert!((fs::read(&path).expect("it is there"), registry.sources()) == before, "all is as it was");
    }

    #[test]
    fn names_that_are_one_in_topics_are_not_two_cameras() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("setup.jsonl");
        fs::write(&path, "{\"camera\":{\"name\":\"the porch\",\"rtsp\":\"rtsp://h/1\"}}\n").expect("it is writable");
        let registry = opened(&path);
        for name in ["The porch", "the-porch", "the_porch"] {
            assert!(
                matches!(registry.table(&far(name)), Err(HouseError::Refused(why)) if why.contains("`the porch`")),
                "{name}"
            );
        }
        for name in ["the porch", "porch"] {
            assert!(registry.table(&far(name)).is_ok(), "{name}");
        }
    }
}
