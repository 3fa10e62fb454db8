//! `ocelli check` and `ocelli packs`: what is there, and whether it fits.

use std::path::Path;

use ocelli_drivers::list_cameras;
use ocelli_infer::{PackInfo, list_packs};
use ocelli_journal::{Journal, JournalError};
use serde_json::json;

use crate::alerts;
use crate::cli::{CheckArgs, PacksArgs};
use crate::config::{Config, ConfigError};
use crate::courier;
use crate::error::{Error, note};
use crate::events;
use crate::plain;
use crate::plan::{Plan, mebibytes};
use crate::signs;
use crate::wiring;

/// Checks config, pack, board, cameras and memory plan.
pub fn command(args: &CheckArgs) -> Result<(), Error> {
    if args.schema {
        return events::print(&schema());
    }
    let mut config = args.common.config()?;
    for left_out in &config.left_out {
        if args.camera.is_some() && left_out.camera == args.camera {
            return Err(ConfigError::Usage(left_out.why.clone()).into());
        }
        note(left_out);
    }
    if args.journal.is_some() {
        config.journal.file.clone_from(&args.journal);
    }
    let pack = wiring::open(&config)?;
    plain::understand(&mut config, &pack)?;
    let (pack, stab, narrator) = wiring::load_models(pack)?;
    let budget_bytes = config.budget_bytes(pack.manifest.budget.memory_bytes);
    let plan = Plan::new(budget_bytes, &config, &pack, &stab, &narrator, config.cameras[0].size_px)
        .with_further(&config.cameras[1..], &pack);
    let macs = stab.macs() + narrator.macs();
    // What these refuse, `run` would refuse.
    alerts::check_kept(&config)?;
    for camera in &config.cameras {
        // Its password is read, and not shown.
        camera.rtsp().map_err(ConfigError::Usage)?;
    }
    wiring::Eye::new(&pack)?;
    wiring::thinking(&pack, config.profile, stab, narrator)?;
    for camera in 0..config.cameras.len() {
        alerts::of_camera(&config, camera, &pack)?;
    }
    let signs = signs::lines(&config)?;
    if args.json {
        events::print(&format!("{}\n", json!(plan)))?;
    } else {
        let manifest = &pack.manifest;
        let mut text = format!(
            "pack    {} {} in {}: {} sentences, {:.0} M multiply-adds a picture\n",
            manifest.name,
            manifest.version,
            pack.folder.display(),
            pack.vocabulary.len(),
            macs as f64 / 1e6,
        );
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        text += &format!("machine {}, {cores} cores, {} of memory\n", std::env::consts::ARCH, memory_text());
        if let Some(line) = config.layers.line() {
            text += &format!("{line}\n");
        }
        if let Some(line) = config.threads.here(note).line() {
            text += &format!("threads {line}\n");
        }
        if config.thermal.watches() {
            text += &format!("thermal {}\n", config.thermal.line());
        }
        text += &camera_lines(&config);
        if let Some(file) = &config.journal.file {
            text += &format!("journal {}\n", journal_text(file, config.journal.size)?);
        }
        if let Some(line) = config.recording.line() {
            text += &format!("record  {line}\n");
        }
        text += &courier::lines(&config);
        if let Some(panel) = config.panel.line() {
            text += &format!("panel   {panel}\n");
        }
        text += &alerts::lines(&config, &pack)?;
        text += &signs;
        if !config.layers.origins.is_empty() {
            text += &format!("set\n{}", config.layers.table());
        }
        text += &format!("memory\n{plan}\n");
        events::print(&text)?;
    }
    Ok(plan.require()?)
}

/// The commands and addresses that are cameras, and where one is to be a device, the devices that there are.
fn camera_lines(config: &Config) -> String {
    let mut lines = String::new();
    let mut is_device = false;
    for camera in &config.cameras {
        match (&camera.command, camera.address()) {
            (Some(command), _) => {
                lines += &format!("camera  {}: the output of `{}`\n", camera.name, camera.pipe(command).program());
            }
            (None, Ok(Some(address))) => {
                let user = if address.has_user() { ", with a user" } else { "" };
                lines += &format!("camera  {}: {address}{user}\n", camera.name);
            }
            (None, _) => is_device = true,
        }
    }
    if !is_device {
        return lines;
    }
    let cameras: Vec<_> = list_cameras().into_iter().filter(|camera| camera.captures).collect();
    if cameras.is_empty() {
        lines += "camera  none found; plug one in, or use `ocelli run --command` or `ocelli replay CLIP`\n";
    }
    for camera in cameras {
        lines += &format!("camera  {} ({})\n", camera.path.display(), camera.name);
    }
    lines
}

/// What is in a journal; where there is none yet, whether there can be one.
fn journal_text(file: &Path, size: u64) -> Result<String, Error> {
    let place = file.display();
    match Journal::open(file) {
        Ok(journal) => {
            let count = journal.count()?;
            let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
            Ok(format!("{place}: {count} events in {} of {}", mebibytes(bytes), mebibytes(size)))
        }
        Err(JournalError::Absent { .. }) => {
            let mut tried = file.as_os_str().to_owned();
            tried.push(".tried");
            let tried = Path::new(&tried);
            let made = std::fs::File::create_new(tried).and_then(|_| std::fs::remove_file(tried));
            made.map_err(|error| JournalError::Disk { path: file.to_path_buf(), why: error.to_string() })?;
            Ok(format!("{place}: none yet, and there can be one"))
        }
        Err(JournalError::Older { found, .. }) => {
            Ok(format!("{place}: of format {found}, which the next `ocelli run` brings up to date"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Lists the packs of all folders that are searched.
pub fn packs(args: &PacksArgs) -> Result<(), Error> {
    let mut lines = String::new();
    let mut seen = Vec::new();
    for PackInfo { folder, pack } in wiring::pack_roots().iter().flat_map(|root| list_packs(root)) {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        if seen.contains(&real) {
            continue;
        }
        seen.push(real);
        let path = folder.display().to_string();
        lines += &match (&pack, args.json) {
            (Ok(pack), true) => {
                let (name, version) = (&pack.manifest.name, &pack.manifest.version);
                let (entries, bytes) = (pack.vocabulary.len(), pack.file_bytes());
                format!(
                    "{}\n",
                    json!({"name": name, "version": version, "folder": path, "entries": entries, "bytes": bytes})
                )
            }
            (Ok(pack), false) => {
                let (name, version) = (&pack.manifest.name, &pack.manifest.version);
                let (entries, size) = (pack.vocabulary.len(), mebibytes(pack.file_bytes()));
                format!("{name:<12} {version:<8} {entries:>5} sentences  {size:>9}  {path}\n")
            }
            (Err(error), true) => format!("{}\n", json!({"folder": path, "error": error.to_string()})),
            (Err(error), false) => format!("broken: {error}\n"),
        };
    }
    if lines.is_empty() && !args.json {
        lines = "no packs found; set OCELLI_PACKS to the folder that holds them\n".into();
    }
    events::print(&lines)
}

/// The JSON schema of the config file.
fn schema() -> String {
    let schema = schemars::schema_for!(Config);
    format!("{}\n", serde_json::to_string_pretty(&schema).expect("a schema should be JSON"))
}

fn memory_text() -> String {
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kib = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<u64>()
            .ok()?;
        Some(mebibytes(kib << 10))
    });
    total.unwrap_or_else(|| "unknown size".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CameraTable;

    #[test]
    fn a_command_or_an_address_is_a_camera() {
        let mut config = Config::default();
        config.cameras[0].command = Some("cat x.y4m".into());
        assert_eq!(camera_lines(&config), "camera  camera: the output of `cat ...`\n");
        let rtsp = Some("rtsp://vera:hunter2@camera.lan/live?key=7".into());
        config.cameras.push(CameraTable { name: "porch".into(), rtsp, ..CameraTable::default() });
        let wanted = "camera  camera: the output of `cat ...`\ncamera  porch: rtsp://camera.lan, with a user\n";
        assert_eq!(camera_lines(&config), wanted);
    }

    /// Rewritten with `ocelli check --schema > firmware/device/ocelli.schema.json`.
    #[test]
    fn the_published_schema_is_that_of_the_program() {
        assert_eq!(schema(), include_str!("../ocelli.schema.json"));
    }
}
