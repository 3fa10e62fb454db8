//! The board's temperature and power, as the kernel tells them in sysfs.

use std::fs;
use std::path::{Path, PathBuf};

use ocelli_types::{Heat, Thermometer};

/// Bits of the Raspberry Pi firmware's `get_throttled` that hold now: the low ones; those from 16 on say what was since boot.
const UNDERVOLTAGE: u32 = 1 << 0;
const FREQUENCY_CAPPED: u32 = 1 << 1;
const THROTTLED: u32 = 1 << 2;
const SOFT_LIMIT: u32 = 1 << 3;

/// Names of cooling devices that slow the CPU down.
const CPU_COOLING: [&str; 3] = ["thermal-cpufreq", "cpufreq-cpu", "cpufreq"];

/// Reads the files of sysfs below a root, which a test makes.
///
/// The temperature is that of the hottest thermal zone, or of one that is named. That the CPU is slowed down is told, by what there
/// is first: `get_throttled` of a Raspberry Pi's firmware; cooling devices of the CPU that are at work; a limit of the CPU's
/// frequency that is below the highest that was seen since the start. That the power is weak is told by `get_throttled`, or by the
/// alarm of `rpi_volt`. Kernels of a Raspberry Pi that have no `get_throttled` any more (those of 2025, raspberrypi/linux #6697) do not
/// tell of throttling: its firmware slows the CPU down without regard to limits of the kernel.
#[derive(Debug)]
pub struct SysfsThermometer {
    zones: Vec<PathBuf>,
    throttled: Option<PathBuf>,
    undervoltage: Option<PathBuf>,
    cooling: Vec<PathBuf>,
    /// Limits of the frequency, and the highest that was seen of each, in kHz.
    limits: Vec<(PathBuf, u32)>,
}

impl SysfsThermometer {
    /// Looks for sensors below `root` (`/sys`); of thermal zones only for those of this type, where one is named.
    pub fn open(root: &Path, zone: Option<&str>) -> Self {
        let thermal = root.join("class/thermal");
        let of_type = |folder: &PathBuf| text(&folder.join("type")).unwrap_or_default();
        let zones = folders(&thermal, "thermal_zone").filter(|folder| zone.is_none_or(|zone| of_type(folder) == zone));
        let zones = zones.map(|folder| folder.join("temp")).filter(|file| file.exists()).collect();
        let cooling = folders(&thermal, "cooling_device")
            .filter(|folder| CPU_COOLING.iter().any(|name| of_type(folder).starts_with(name)))
            .map(|folder| folder.join("cur_state"))
            .collect();
        // `soc/soc:firmware`, and on a Raspberry Pi 5 `soc@107c000000/soc@107c000000:firmware`.
        let firmware = folders(&root.join("devices/platform"), "soc")
            .flat_map(|soc| folders(&soc, "soc").collect::<Vec<_>>())
            .find(|folder| folder.to_string_lossy().ends_with(":firmware"));
        let limits = folders(&root.join("devices/system/cpu/cpufreq"), "policy")
            .filter(|_| firmware.is_none())
            .map(|folder| (folder.join("scaling_max_freq"), 0))
            .collect();
        let throttled = firmware.map(|folder| folder.join("get_throttled")).filter(|file| file.exists());
        let undervoltage = folders(&root.join("class/hwmon"), "hwmon")
            .find(|folder| text(&folder.join("name")).is_some_and(|name| name == "rpi_volt"))
            .map(|folder| folder.join("in0_lcrit_alarm"));
        Self { zones, throttled, undervoltage, cooling, limits }
    }

    /// What is looked at, for people.
    pub fn describe(&self) -> String {
        let zones = match self.zones.len() {
            0 => "no thermal zone".to_owned(),
            1 => "1 thermal zone".to_owned(),
            count => format!("{count} thermal zones"),
        };
        let slowed = match (&self.throttled, &self.cooling[..], &self.limits[..]) {
            (Some(_), ..) => "throttling by the firmware",
            (None, [_, ..], _) => "throttling by cooling devices",
            (None, [], [_, ..]) => "throttling by cpufreq",
            _ => "throttling unknown",
        };
        format!("{zones}, {slowed}")
    }

    /// Whether there is any temperature to read.
    pub fn has_sensor(&self) -> bool {
        !self.zones.is_empty()
    }

    fn firmware(&self) -> Option<u32> {
        let text = text(self.throttled.as_ref()?)?;
        u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    }

    fn is_slowed(&mut self) -> bool {
        if !self.cooling.is_empty() {
            return self.cooling.iter().any(|file| number(file).is_some_and(|state| state > 0));
        }
        let mut slowed = false;
        for (file, highest) in &mut self.limits {
            let Some(limit) = number(file).and_then(|khz| u32::try_from(khz).ok()) else { continue };
            *highest = limit.max(*highest);
            slowed |= limit < *highest;
        }
        slowed
    }
}

impl Thermometer for SysfsThermometer {
    fn read(&mut self) -> Heat {
        let millicelsius = self.zones.iter().filter_map(|file| number(file)).max();
        let celsius = millicelsius.map(|value| value as f32 / 1000.0);
        if let Some(bits) = self.firmware() {
            return Heat {
                celsius,
                throttled: bits & (FREQUENCY_CAPPED | THROTTLED | SOFT_LIMIT) != 0,
                undervoltage: bits & UNDERVOLTAGE != 0,
            };
        }
        let undervoltage = self.undervoltage.as_ref().and_then(|file| number(file)).is_some_and(|alarm| alarm > 0);
        Heat { celsius, throttled: self.is_slowed(), undervoltage }
    }
}

/// Folders (or links to some) whose names begin so, in the order of their names.
fn folders(of: &Path, prefix: &str) -> impl Iterator<Item = PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(of)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    found.sort();
    found.into_iter()
}

fn text(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

fn number(file: &Path) -> Option<i64> {
    text(file)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysfs(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("there is a temporary folder");
        write(&root, files);
        root
    }

    fn write(root: &tempfile::TempDir, files: &[(&str, &str)]) {
        for (file, content) in files {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().expect("it has a folder")).expect("it can be made");
            fs::write(file, format!("{content}\n")).expect("it is writable");
        }
    }

    const ZONE: &str = "class/thermal/thermal_zone0/temp";

    #[test]
    fn a_raspberry_pi_tells_by_its_firmware() {
        let file = "devices/platform/soc/soc:firmware/get_throttled";
        let root = sysfs(&[(ZONE, "48312"), (file, "0")]);
        let mut thermometer = SysfsThermometer::open(root.path(), None);
        assert_eq!(thermometer.read(), Heat { celsius: Some(48.312), ..Heat::default() });
        // 0x50005: weak power and throttled now and before; 0x50000: only before.
        for (bits, throttled, undervoltage) in
            [("50005", true, true), ("0x80008", true, false), ("50000", false, false)]
        {
            write(&root, &[(file, bits)]);
            assert_eq!(thermometer.read(), Heat { celsius: Some(48.312), throttled, undervoltage }, "{bits}");
        }
        assert_eq!(thermometer.describe(), "1 thermal zone, throttling by the firmware");
    }

    #[test]
    fn a_raspberry_pi_5_has_its_firmware_elsewhere_and_a_kernel_without_throttling_says_that_it_is_unknown() {
        let firmware = "devices/platform/soc@107c000000/soc@107c000000:firmware";
        let limit = "devices/system/cpu/cpufreq/policy0/scaling_max_freq";
        let root = sysfs(&[(ZONE, "84000"), (&format!("{firmware}/get_throttled"), "50005"), (limit, "2400000")]);
        let mut thermometer = SysfsThermometer::open(root.path(), None);
        assert_eq!(thermometer.read(), Heat { celsius: Some(84.0), throttled: true, undervoltage: true });
        fs::remove_file(root.path().join(firmware).join("get_throttled")).expect("it is there");
        let mut thermometer = SysfsThermometer::open(root.path(), None);
        assert_eq!(thermometer.read(), Heat { celsius: Some(84.0), ..Heat::default() });
        // Somebody's limit: the firmware has none.
        write(&root, &[(limit, "1500000")]);
        assert_eq!(thermometer.read(), Heat { celsius: Some(84.0), ..Heat::default() });
        assert_eq!(thermometer.describe(), "1 thermal zone, throttling unknown");
    }

    #[test]
    fn others_tell_by_cooling_devices_and_the_hottest_zone_counts() {
        let (cpu, fan) = ("class/thermal/cooling_device0", "class/thermal/cooling_device1");
        let root = sysfs(&[
            (ZONE, "51000"),
            ("class/thermal/thermal_zone1/temp", "63500"),
            ("class/thermal/thermal_zone1/type", "gpu-thermal"),
            (&format!("{cpu}/type"), "thermal-cpufreq-0"),
            (&format!("{cpu}/cur_state"), "0"),
            (&format!("{fan}/type"), "pwm-fan"),
            (&format!("{fan}/cur_state"), "3"),
            ("class/hwmon/hwmon0/name", "rpi_volt"),
            ("class/hwmon/hwmon0/in0_lcrit_alarm", "1"),
        ]);
        let mut thermometer = SysfsThermometer::open(root.path(), None);
        let heat = Heat { celsius: Some(63.5), throttled: false, undervoltage: true };
        assert_eq!(thermometer.read(), heat, "a fan at work slows nothing down");
        write(&root, &[(&format!("{cpu}/cur_state"), "2")]);
        assert!(thermometer.read().throttled);
        assert_eq!(thermometer.describe(), "2 thermal zones, throttling by cooling devices");
        assert_eq!(SysfsThermometer::open(root.path(), Some("gpu-thermal")).read().celsius, Some(63.5));
        assert!(!SysfsThermometer::open(root.path(), Some("cpu")).has_sensor());
    }

    #[test]
    fn a_limit_below_the_one_at_the_start_is_throttling_and_a_lasting_one_is_not() {
        let limit = "devices/system/cpu/cpufreq/policy0/scaling_max_freq";
        let root = sysfs(&[(limit, "1500000")]);
        let mut thermometer = SysfsThermometer::open(root.path(), None);
        assert_eq!(thermometer.read(), Heat::default());
        write(&root, &[(limit, "1000000")]);
        assert!(thermometer.read().throttled);
        write(&root, &[(limit, "1500000")]);
        assert!(!thermometer.read().throttled);
        assert!(!SysfsThermometer::open(root.path(), None).read().throttled);
    }

    #[test]
    fn a_machine_without_sensors_and_a_file_without_a_number_are_no_errors() {
        let root = sysfs(&[]);
        let mut nothing = SysfsThermometer::open(root.path(), None);
        assert_eq!((nothing.read(), nothing.has_sensor()), (Heat::default(), false));
        assert_eq!(nothing.describe(), "no thermal zone, throttling unknown");
        write(&root, &[(ZONE, "hot")]);
        assert_eq!(SysfsThermometer::open(root.path(), None).read(), Heat::default());
    }
}
