//! `[panel]`: the companion microcontroller, from the words of the config to its driver.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ocelli_drivers::{PanelConfig, PanelSink, probe_panel};
use ocelli_types::Micros;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::alerts::parse_duration;
use crate::config::Config;

/// Speeds that serial ports and panels have.
const BAUDS: [u32; 6] = [9600, 19_200, 38_400, 57_600, 115_200, 230_400];

/// `[panel]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PanelTable {
    /// The serial port of a panel (`firmware/panel`), such as `/dev/ttyACM0`. Default: none.
    pub device: Option<PathBuf>,
    /// Bits a second. Default 115200, which the firmware has.
    pub baud: u32,
    /// After how long without a heartbeat the panel raises its own alarm, `"3s"` to `"1h"`. Default `"10s"`.
    pub silent_after: String,
    /// After how long a silence the panel cuts the power of this computer for five seconds, `"1min"` to `"12h"`; a relay at its
    /// power-cycle line does it. Default: never.
    pub power_cycle_after: Option<String>,
}

impl Default for PanelTable {
    fn default() -> Self {
        Self { device: None, baud: 115_200, silent_after: "10s".into(), power_cycle_after: None }
    }
}

impl PanelTable {
    /// What no type says.
    pub fn check(&self) -> Result<(), String> {
        self.driver().map(|_| ()).map_err(|why| format!("[panel]: {why}"))
    }

    /// What its driver is told; `None` without a panel.
    fn driver(&self) -> Result<Option<PanelConfig>, String> {
        if !BAUDS.contains(&self.baud) {
            return Err(format!(
                "`baud` is {}; it may be {}",
                self.baud,
                BAUDS.map(|baud| baud.to_string()).join(", ")
            ));
        }
        let silent_after = between("silent_after", &self.silent_after, ("3s", 3), ("1h", 3600))?;
        let cycle = |text| between("power_cycle_after", text, ("1min", 60), ("12h", 12 * 3600));
        let power_cycle_after = self.power_cycle_after.as_deref().map(cycle).transpose()?;
        let Some(device) = &self.device else { return Ok(None) };
        if device.as_os_str().is_empty() {
            return Err("`device` is empty; write a serial port".into());
        }
        Ok(Some(PanelConfig { baud: self.baud, silent_after, power_cycle_after, ..PanelConfig::new(device) }))
    }

    /// How the panel is, for `ocelli check`; `None` without one.
    pub fn line(&self) -> Option<String> {
        let driver = self.driver().ok().flatten()?;
        Some(match probe_panel(&driver) {
            Ok(status) => {
                let place = driver.device.display();
                let counts = status.counts;
                let wrong = u64::from(counts.damaged) + u64::from(counts.overlong) + u64::from(counts.unknown);
                format!("{place}: there, running for {} s; {wrong} frames were damaged", status.uptime_s)
            }
            Err(error) => error.to_string(),
        })
    }
}

/// Starts the driver of the panel, where the config has one. It looks for the panel until it is there.
///
/// # Errors
/// The system has no thread.
pub fn start(config: &Config) -> io::Result<Option<PanelSink>> {
    // It was checked.
    let Some(driver) = config.panel.driver().ok().flatten() else { return Ok(None) };
    PanelSink::start(driver).map(Some)
}

fn between(key: &str, text: &str, least: (&str, u64), most: (&str, u64)) -> Result<Duration, String> {
    let Micros(us) = parse_duration(key, text)?;
    if !(least.1..=most.1).contains(&(us / 1_000_000)) {
        return Err(format!("`{key}` is `{text}`; it may be \"{}\" to \"{}\"", least.0, most.0));
    }
    Ok(Duration::from_micros(us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_panel_is_said_with_what_may_be() {
        let table = PanelTable { device: Some("/dev/ttyACM0".into()), ..PanelTable::default() };
        assert_eq!(table.driver(), Ok(Some(PanelConfig::new("/dev/ttyACM0"))));
        for (wrong, said) in [
            (PanelTable { baud: 1200, ..table.clone() }, "[panel]: `baud` is 1200; it may be 9600, "),
            (PanelTable { silent_after: "1s".into(), ..table.clone() }, "`silent_after` is `1s`; it may be \"3s\" to"),
            (PanelTable { silent_after: "soon".into(), ..table.clone() }, "write it like \"30s\""),
            (PanelTable { power_cycle_after: Some("13h".into()), ..table.clone() }, "\"1min\" to \"12h\""),
            (PanelTable { device: Some("".into()), ..table.clone() }, "write a serial port"),
        ] {
            let error = wrong.check().expect_err(said);
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_panel_that_is_not_there_is_a_line_of_the_check() {
        let table = PanelTable { device: Some("/no/such/port".into()), ..PanelTable::default() };
        let line = table.line().expect("there should be a panel");
        assert_eq!(line, "/no/such/port: there is no panel here; check the path, or plug it in");
        assert_eq!(PanelTable::default().line(), None);
    }
}
