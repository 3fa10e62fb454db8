//! Boards as data: a file of defaults for one kind of board, which lies under what the user's config says.
//!
//! A board file has a table `[board]` of facts and beside it the keys of a config. The files of `boards/` are part of the program;
//! one of one's own is named by its path. Which board this is, a machine with a device tree says itself.

use std::path::Path;

use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use crate::config::{Config, ConfigError, parse_bytes};
use crate::events::near;

/// The boards that come with the program, by name.
const BOARDS: [(&str, &str); 5] = [
    ("host", include_str!("../../../boards/host.toml")),
    ("rpi-zero2w", include_str!("../../../boards/rpi-zero2w.toml")),
    ("rpi4", include_str!("../../../boards/rpi4.toml")),
    ("rpi5", include_str!("../../../boards/rpi5.toml")),
    ("jetson-orin-nano", include_str!("../../../boards/jetson-orin-nano.toml")),
];

/// Where a machine with a device tree says what it is.
const MODEL: &str = "/proc/device-tree/model";

/// Asks the machine which board it is; what holds where nothing is asked for.
const AUTO: &str = "auto";

/// No board at all, whatever the machine says.
const NONE: &str = "none";

/// What is known of a board: the table `[board]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Its name for people.
    pub title: String,
    /// 1: the tests run on it each time; 2: it was measured on it; 3: nobody has run it there yet.
    pub tier: u8,
    /// What the program is compiled for.
    pub target: String,
    /// Memory of the smallest one that is sold.
    #[serde(deserialize_with = "memory")]
    pub memory: u64,
    /// How many CPUs it has.
    pub cpus: u16,
    /// How the text that such a machine has in its device tree begins; several, where several boards are alike.
    pub models: Vec<String>,
}

fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    parse_bytes(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// A board, and what it sets.
#[derive(Clone, Debug)]
pub struct Board {
    /// Its name, or the path of its file.
    pub name: String,
    /// What is known of it.
    pub facts: Facts,
    /// The model that the machine told, where the board was found by it.
    pub found: Option<String>,
    defaults: Table,
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its key, with those of its tables before it: `camera.fps`.
    pub key: String,
    /// As it would be written.
    pub value: String,
    /// The board, the config file or the command line.
    pub from: String,
}

/// The layers that a config is made of, the program's own defaults aside.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The lowest.
    pub board: Option<Board>,
    /// What the machine says it is, where no board is known for it.
    pub unknown_model: Option<String>,
    /// All that is set.
    pub origins: Vec<Origin>,
}

impl Board {
    /// The board of this name, or of the file at this path.
    ///
    /// # Errors
    /// There is none of this name; or the file cannot be read, or does not say what a board file says.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        if let Some((name, text)) = BOARDS.iter().find(|(known, _)| *known == name) {
            return Self::parse(name, Path::new(&format!("boards/{name}.toml")), text);
        }
        let path = Path::new(name);
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_path_buf(), source })?;
            return Self::parse(name, path, &text);
        }
        let names = BOARDS.map(|(name, _)| name);
        let advice = match near(name, names.into_iter()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}, and the path of a file of your own (.toml)", names.join(", ")),
        };
        Err(ConfigError::Usage(format!("there is no board `{name}`; {advice}")))
    }

    /// The board whose model begins `model`.
    fn of_model(model: &str) -> Option<Self> {
        BOARDS.iter().find_map(|(name, _)| {
            let board = Self::named(name).ok()?;
            let known = board.facts.models.iter().any(|known| begins(model, known));
            known.then(|| Self { found: Some(model.to_owned()), ..board })
        })
    }

    fn parse(name: &str, path: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |why: String| ConfigError::Invalid { path: path.to_path_buf(), line: 1, why };
        let mut defaults: Table = Config::read(path, text)?;
        let Some(facts) = defaults.remove("board") else {
            return Err(invalid("this is no board file, for it has no table [board]".into()));
        };
        let facts: Facts = facts.try_into().map_err(|error| invalid(format!("[board]: {}", error.message())))?;
        // What is wrong in the rest is told with its line.
        let (above, below) = text.split_once("[board]").unwrap_or((text, ""));
        let rest = below.find("\n[").map_or("", |start| &below[start..]);
        let gap = "\n".repeat(below[..below.len() - rest.len()].matches('\n').count());
        Config::parse(path, &format!("{above}{gap}{rest}"))?;
        Ok(Self { name: name.to_owned(), facts, found: None, defaults })
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let Facts { title, tier, target, .. } = &self.facts;
        let found = self.found.as_ref().map(|model| format!(", found by its device tree (`{model}`)"));
        format!("{}: {title}, tier {tier}, {target}{}", self.name, found.unwrap_or_default())
    }
}

/// Whether a model is this one: `Raspberry Pi 5` is not `Raspberry Pi 500`.
fn begins(model: &str, known: &str) -> bool {
    model.strip_prefix(known).is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
}

/// What a device tree says its machine is.
fn model(file: &Path) -> Option<String> {
    let bytes = std::fs::read(file).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(text.trim_end_matches('\0').trim().to_owned()).filter(|model| !model.is_empty())
}

impl Layers {
    /// The board that is wished for, or that this machine is.
    ///
    /// # Errors
    /// As [`Board::named`].
    pub fn of_board(wish: Option<&str>) -> Result<Self, ConfigError> {
        Self::of_board_at(wish, Path::new(MODEL))
    }

    fn of_board_at(wish: Option<&str>, device_tree: &Path) -> Result<Self, ConfigError> {
        match wish {
            Some(NONE) => Ok(Self::default()),
            None | Some(AUTO) => {
                let Some(model) = model(device_tree) else { return Ok(Self::default()) };
                let board = Board::of_model(&model);
                let unknown_model = board.is_none().then_some(model);
                Ok(Self { board, unknown_model, ..Self::default() })
            }
            Some(name) => Ok(Self { board: Some(Board::named(name)?), ..Self::default() }),
        }
    }

    /// What the board says, and over it what the config file at `path` says.
    pub fn merge(&mut self, user: Table, path: Option<&Path>) -> Table {
        let mut user_keys = Vec::new();
        flatten("", &user, &mut user_keys);
        let defaults = self.board.as_ref().map(|board| board.defaults.clone()).unwrap_or_default();
        let merged = over(defaults, user);
        let of_board = self.board.as_ref().map(|board| format!("board {}", board.name)).unwrap_or_default();
        let of_user = path.map(|path| path.display().to_string()).unwrap_or_default();
        let mut all = Vec::new();
        flatten("", &merged, &mut all);
        self.origins = all
            .into_iter()
            .map(|(key, value)| {
                let by_user = user_keys.iter().any(|(known, _)| *known == key);
                Origin { key, value, from: if by_user { of_user.clone() } else { of_board.clone() } }
            })
            .collect();
        merged
    }

    /// Notes what the command line sets over all.
    pub fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        self.origins.retain(|origin| origin.key != key);
        self.origins.push(Origin { key: key.into(), value: value.to_string(), from: "command line".into() });
    }

    /// One line for who starts the program, where there is something to say.
    pub fn line(&self) -> Option<String> {
        match (&self.board, &self.unknown_model) {
            (Some(board), _) => Some(format!("board {}", board.line())),
            (None, Some(model)) => Some(format!(
                "no board is known for this machine (`{model}`); the program's own defaults hold, or name one with --board"
            )),
            (None, None) => None,
        }
    }

    /// What is set and by whom, for `ocelli check`.
    pub fn table(&self) -> String {
        let width = self.origins.iter().map(|origin| origin.key.len()).max().unwrap_or(0);
        let mut table = String::new();
        for Origin { key, value, from } in &self.origins {
            // An address may hold a password or be a secret itself.
            let value = if value.contains("://") { "(an address)" } else { value.as_str() };
            table += &format!("  {key:<width$}  {value:<24}  {from}\n");
        }
        table
    }
}

/// A table laid over another one. What the user says of a camera's source takes the place of all that the board says of it.
fn over(mut below: Table, above: Table) -> Table {
    for (key, value) in above {
        let laid = match (key.as_str(), below.remove(&key), value) {
            ("camera", Some(Value::Table(board)), Value::Table(user)) => Value::Table(camera_over(board, user)),
            ("camera", Some(Value::Table(board)), Value::Array(users)) => {
                let each = users.into_iter().map(|user| match user {
                    Value::Table(user) => Value::Table(camera_over(board.clone(), user)),
                    other => other,
                });
                Value::Array(each.collect())
            }
            (_, Some(Value::Table(below)), Value::Table(above)) => Value::Table(over(below, above)),
            (_, _, value) => value,
        };
        below.insert(key, laid);
    }
    below
}

fn camera_over(mut board: Table, user: Table) -> Table {
    if ["device", "command", "rtsp"].iter().any(|key| user.contains_key(*key)) {
        ["device", "command", "command_format", "rtsp", "rtsp_username", "rtsp_password_file"]
            .into_iter()
            .for_each(|key| drop(board.remove(key)));
    }
    over(board, user)
}

/// All keys with their values, each list one value but those of tables.
fn flatten(prefix: &str, table: &Table, into: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(table) => flatten(&key, table, into),
            Value::Array(tables) if tables.iter().any(Value::is_table) => {
                for (index, table) in tables.iter().filter_map(Value::as_table).enumerate() {
                    flatten(&format!("{key}[{index}]"), table, into);
                }
            }
            value => into.push((key, value.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::wiring;

    fn laid(board: &str, text: &str) -> (Config, Layers) {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("ocelli.toml");
        std::fs::write(&path, text).expect("it is writable");
        let config = Config::load(Some(&path), Some(board)).expect("both are right");
        let layers = config.layers.clone();
        (config, layers)
    }

    fn from<'a>(layers: &'a Layers, key: &str) -> &'a str {
        &layers.origins.iter().find(|origin| origin.key == key).unwrap_or_else(|| panic!("{key}: {layers:?}")).from
    }

    /// Each file of the folder is part of the program, and the other way round.
    #[test]
    fn every_board_file_is_known_says_its_board_and_fits_into_its_memory() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root");
        let mut files: Vec<String> = std::fs::read_dir(root.join("boards"))
            .expect("the folder is there")
            .map(|entry| entry.expect("it can be listed").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .map(|path| path.file_stem().expect("it has a name").to_string_lossy().into_owned())
            .collect();
        let mut names = BOARDS.map(|(name, _)| name.to_owned()).to_vec();
        files.sort();
        names.sort();
        assert_eq!(files, names);
        for name in names {
            let (config, _) = laid(&name, "");
            config.check().unwrap_or_else(|why| panic!("{name}: {why}"));
            let board = config.layers.board.clone().expect("it was asked for");
            let pack = root.join("models").join(&config.pack);
            let (pack, stab, narrator) = wiring::load(pack.to_str().expect("a plain path")).expect("its pack");
            let budget_bytes = config.budget_bytes(pack.manifest.budget.memory_bytes);
            let plan = Plan::new(budget_bytes, &config, &pack, &stab, &narrator, config.cameras[0].size_px);
            plan.require().unwrap_or_else(|over| panic!("{name}: {over}"));
            // Linux and what else runs take 200 MB of a small board.
            assert!(plan.planned_bytes + (200 << 20) <= board.facts.memory, "{name}: {plan}");
            let threads = &config.threads;
            let cpus = [&threads.capture, &threads.stab, &threads.think].into_iter().flatten();
            cpus.for_each(|cpu| assert!(*cpu < board.facts.cpus, "{name} has no CPU {cpu}"));
        }
    }

    #[test]
    fn the_host_changes_nothing() {
        let (config, layers) = laid("host", "");
        let plain = Config { layers, ..Config::default() };
        assert_eq!(format!("{config:?}"), format!("{plain:?}"));
    }

    #[test]
    fn a_board_lies_under_the_config_and_it_is_told_what_comes_from_where() {
        let text = "profile = \"home\"\n[camera]\ncommand = \"cat\"\n[thermal]\ncool_by_c = 3.0\n";
        let (config, mut layers) = laid("rpi-zero2w", text);
        assert_eq!((config.profile, config.cameras[0].fps), (crate::config::Profile::Home, 10));
        assert_eq!((config.thermal.limits_c.len(), config.thermal.cool_by_c), (3, 3.0));
        assert!(from(&layers, "profile").ends_with("ocelli.toml") && from(&layers, "camera.fps") == "board rpi-zero2w");
        assert!(from(&layers, "thermal.cool_by_c").ends_with("ocelli.toml"));
        assert_eq!(from(&layers, "thermal.limits_c"), "board rpi-zero2w");
        layers.set("pack", "tiny-test");
        assert_eq!(from(&layers, "pack"), "command line");
        assert!(layers.table().lines().any(|line| line.starts_with("  threads.stab") && line.contains("[1, 2]")));
    }

    #[test]
    fn each_of_several_cameras_has_the_boards_defaults_and_its_own_source() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let own = folder.path().join("own.toml");
        let board = "[camera]\ndevice = \"/dev/video9\"\nfps = 7\n[board]\ntitle = \"a board\"\ntier = 3\n\
                     target = \"aarch64-unknown-linux-gnu\"\nmemory = \"1GiB\"\ncpus = 4\nmodels = []\n";
        std::fs::write(&own, board).expect("it is writable");
        let own = own.to_str().expect("a plain path");
        let (config, layers) =
            laid(own, "[[camera]]\ncommand = \"a\"\n[[camera]]\nname = \"b\"\ncommand = \"b\"\nfps = 3\n");
        let [a, b] = &config.cameras[..] else { panic!("two cameras: {config:?}") };
        assert_eq!((a.command.as_deref(), &a.device, a.fps), (Some("a"), &None, 7));
        assert_eq!((b.command.as_deref(), &b.device, b.fps), (Some("b"), &None, 3));
        assert_eq!(from(&layers, "camera[0].fps"), format!("board {own}"));
        assert_eq!(laid(own, "").0.cameras[0].device.as_deref(), Some(Path::new("/dev/video9")));
    }

    #[test]
    fn a_machine_says_by_its_device_tree_which_board_it_is() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let file = folder.path().join("model");
        for (model, name) in [
            ("Raspberry Pi Zero 2 W Rev 1.0\0", Some("rpi-zero2w")),
            ("Raspberry Pi 4 Model B Rev 1.4\0", Some("rpi4")),
            ("Raspberry Pi 5 Model B Rev 1.0\0", Some("rpi5")),
            ("NVIDIA Jetson Orin Nano Developer Kit\0", Some("jetson-orin-nano")),
            ("Raspberry Pi 3 Model B\0", None),
            ("Raspberry Pi 500x\0", None),
            ("linux,dummy-virt\0", None),
        ] {
            std::fs::write(&file, model).expect("it is writable");
            let layers = Layers::of_board_at(None, &file).expect("nothing is asked for");
            assert_eq!(layers.board.as_ref().map(|board| board.name.as_str()), name, "{model}");
            let model = model.trim_end_matches('\0');
            assert!(layers.line().expect("there is something to say").contains(&format!("`{model}`")));
            let none = Layers::of_board_at(Some("none"), &file).expect("it is asked for");
            assert!(none.board.is_none() && none.line().is_none());
        }
        let layers = Layers::of_board_at(None, &folder.path().join("no-such-file")).expect("a PC has no device tree");
        assert!(layers.board.is_none() && layers.line().is_none());
    }

    #[test]
    fn what_is_wrong_with_a_board_is_said_in_one_line() {
        let said = |name: &str| Board::named(name).expect_err(name).to_string();
        assert_eq!(said("rpi-zero2"), "there is no board `rpi-zero2`; did you mean `rpi-zero2w`?");
        assert!(said("toaster").ends_with(
            "there are: host, rpi-zero2w, rpi4, rpi5, jetson-orin-nano, and the path of a file of your own (.toml)"
        ));
        assert!(said("no/such.toml").starts_with("no/such.toml: cannot read the config"));
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("own.toml");
        let facts = "[board]\ntitle = \"a\"\ntier = 3\ntarget = \"t\"\nmemory = \"1GiB\"\ncpus = 4\nmodels = []\n";
        for (text, word) in [
            ("profile = \"pico\"\n".to_owned(), "has no table [board]"),
            (facts.replace("tier = 3", "tire = 3"), "[board]: unknown field `tire`"),
            (facts.replace("1GiB", "much"), "128MiB"),
            (format!("profile = \"picco\"\n{facts}"), ":1: unknown value `picco`; did you mean `pico`?"),
            (format!("{facts}[camera]\nfpss = 1\n"), ":9: unknown key `fpss`; did you mean `fps`?"),
            ("[board\n".into(), ":1: "),
        ] {
            std::fs::write(&path, &text).expect("it is writable");
            let said = said(path.to_str().expect("a plain path"));
            assert!(said.contains(word) && said.lines().count() == 1, "{text}: {said}");
        }
    }
}
