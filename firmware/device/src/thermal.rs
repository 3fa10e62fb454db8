//! What the program does when the board gets hot: it looks less often, and at less of each picture.
//!
//! It goes down at once, to where the temperature says, and comes back a step at a time, when it was cooler for a while: a board at
//! its limit would else swing between full work and none. A board that slows itself down has passed its limit, whatever the sensor
//! says. Each change is told as a `health` event, so it is in the output, the journal and on the display.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use ocelli_drivers::{SysfsThermometer, SystemClock};
use ocelli_types::{Clock, Heat, Micros, Thermometer};
use schemars::JsonSchema;
use serde::Deserialize;

/// Stack of the thread that reads the sensors.
pub const WARDEN_STACK_BYTES: usize = 64 << 10;

/// Where the kernel tells of sensors.
const SYSFS: &str = "/sys";

/// How often they are read.
const EVERY: Micros = Micros(2_000_000);

/// How long it must have been cooler before a step back.
const COOL_FOR: Micros = Micros(60_000_000);

/// Changes that may wait to be told.
const WAITING: usize = 4;

/// `[thermal]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThermalTable {
    /// One to three temperatures in degrees Celsius, rising: from each on less is watched (half, a fifth, a tenth of the pictures
    /// a second, and up to a half, a quarter, an eighth of each picture's patches at a time). Default: as the board says; without
    /// one none, and the temperature is not looked at.
    pub limits_c: Vec<f32>,
    /// How far below a limit the board must have been for a minute before more is watched again, 1 to 40. Default 5.
    pub cool_by_c: f32,
    /// Type of the thermal zone that counts, such as `cpu-thermal`. Default: the hottest one.
    pub zone: Option<String>,
}

impl Default for ThermalTable {
    fn default() -> Self {
        Self { limits_c: Vec::new(), cool_by_c: 5.0, zone: None }
    }
}

impl ThermalTable {
    /// What no type says.
    pub fn check(&self) -> Result<(), String> {
        let rising = self.limits_c.windows(2).all(|pair| pair[0] < pair[1]);
        if self.limits_c.len() > Pace::ALL.len() - 1 || !rising {
            return Err("`limits_c` wants up to three temperatures, each above the one before".into());
        }
        if let Some(limit) = self.limits_c.iter().find(|limit| !(20.0..=120.0).contains(*limit)) {
            return Err(format!("`limits_c` has {limit}; a limit may be 20 to 120 degrees Celsius"));
        }
        if !(1.0..=40.0).contains(&self.cool_by_c) {
            return Err(format!("`cool_by_c` is {}; it may be 1 to 40 degrees", self.cool_by_c));
        }
        Ok(())
    }

    /// Whether the temperature is looked at.
    pub fn watches(&self) -> bool {
        !self.limits_c.is_empty()
    }

    /// The sensors of this machine.
    pub fn thermometer(&self) -> SysfsThermometer {
        SysfsThermometer::open(Path::new(SYSFS), self.zone.as_deref())
    }

    /// For `ocelli check`: the limits, and what this machine can tell.
    pub fn line(&self) -> String {
        let limits: Vec<String> = self.limits_c.iter().map(f32::to_string).collect();
        let mut thermometer = self.thermometer();
        let now = match thermometer.read().celsius {
            Some(celsius) => format!("{celsius:.1} °C now"),
            None => "no temperature can be read here, so only throttling slows it down".into(),
        };
        format!("limits {} °C; {}; {now}", limits.join(", "), thermometer.describe())
    }
}

/// How much is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// All that the pack wants.
    #[default]
    Full,
    /// Half of the pictures a second, up to half of the patches.
    Eased,
    /// A fifth and a quarter.
    Slow,
    /// A tenth and an eighth.
    Least,
}

impl Pace {
    const ALL: [Self; 4] = [Self::Full, Self::Eased, Self::Slow, Self::Least];

    /// Its name in events and on displays.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Eased => "eased",
            Self::Slow => "slow",
            Self::Least => "least",
        }
    }

    /// Pictures a second, of a pack that wants `fps`.
    pub fn fps(self, fps: f64) -> f64 {
        fps / [1.0, 2.0, 5.0, 10.0][self as usize]
    }

    /// The most patches of a picture that are sent at a time, of `all`.
    pub const fn patches(self, all: usize) -> usize {
        all >> self as usize
    }

    fn of(step: usize) -> Self {
        Self::ALL[step.min(Self::ALL.len() - 1)]
    }
}

/// The pace of all cameras, which one thread sets and the others read.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<AtomicU8>);

impl Shared {
    /// The pace now.
    pub fn get(&self) -> Pace {
        Pace::of(self.0.load(Ordering::Relaxed).into())
    }

    fn set(&self, pace: Pace) {
        self.0.store(pace as u8, Ordering::Relaxed);
    }
}

/// Decides the pace by what the sensors say.
#[derive(Debug)]
pub struct Governor {
    limits_c: Vec<f32>,
    cool_by_c: f32,
    pace: Pace,
    /// Since when it could go back a step.
    cool_since: Option<Micros>,
    /// Whether it was told that the power is weak.
    weak: bool,
}

impl Governor {
    /// At full pace.
    pub fn new(table: &ThermalTable) -> Self {
        let ThermalTable { limits_c, cool_by_c, .. } = table.clone();
        Self { limits_c, cool_by_c, pace: Pace::Full, cool_since: None, weak: false }
    }

    /// The pace now.
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// Takes a reading. What should be told, if something has changed.
    pub fn step(&mut self, heat: Heat, now: Micros) -> Option<String> {
        let before = self.pace;
        let slowed = heat.throttled || heat.undervoltage;
        let wanted = self.steps(heat.celsius, 0.0).max(slowed.into());
        // The step below must have been left by as much as `cool_by_c`.
        let held = self.steps(heat.celsius, self.cool_by_c).max(slowed.into());
        if wanted > before as usize {
            (self.pace, self.cool_since) = (Pace::of(wanted), None);
        } else if held < before as usize {
            let since = *self.cool_since.get_or_insert(now);
            if now.since(since) >= COOL_FOR {
                (self.pace, self.cool_since) = (Pace::of(before as usize - 1), None);
            }
        } else {
            self.cool_since = None;
        }
        let weak = std::mem::replace(&mut self.weak, heat.undervoltage);
        let power = match (weak, heat.undervoltage) {
            (false, true) => Some("the power supply is too weak"),
            (true, false) => Some("the power supply is strong enough again"),
            _ => None,
        };
        let pace = (self.pace != before).then(|| self.told(heat));
        match (power, pace) {
            (Some(power), Some(pace)) => Some(format!("{power}; {pace}")),
            (Some(power), None) => Some(power.into()),
            (None, pace) => pace,
        }
    }

    /// How many limits are reached, were each so much lower.
    fn steps(&self, celsius: Option<f32>, lower_by: f32) -> usize {
        let celsius = celsius.unwrap_or(f32::NEG_INFINITY);
        self.limits_c.iter().filter(|limit| celsius >= **limit - lower_by).count()
    }

    fn told(&self, heat: Heat) -> String {
        let celsius = heat.celsius.map_or_else(|| "temperature unknown".into(), |celsius| format!("{celsius:.1} °C"));
        let throttled = if heat.throttled { ", the board slows itself down" } else { "" };
        let does = match self.pace {
            Pace::Full => "all pictures and patches",
            Pace::Eased => "half of the pictures, up to half of the patches",
            Pace::Slow => "a fifth of the pictures, up to a quarter of the patches",
            Pace::Least => "a tenth of the pictures, up to an eighth of the patches",
        };
        format!("pace {}: {celsius}{throttled}; {does}", self.pace.name())
    }
}

/// The thread that reads the sensors, which may take their time.
#[derive(Debug)]
pub struct Warden {
    news: Receiver<String>,
}

impl Warden {
    /// Starts the thread; it ends with the program, or when this is dropped.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(table: &ThermalTable, pace: &Shared) -> io::Result<Self> {
        let (tell, news) = sync_channel(WAITING);
        let (mut thermometer, governor, pace) = (table.thermometer(), Governor::new(table), pace.clone());
        let watch = move || {
            // Who does not listen for so long has no need to hear all.
            let mut tell = |text| !matches!(tell.try_send(text), Err(std::sync::mpsc::TrySendError::Disconnected(_)));
            watch(&mut thermometer, governor, &SystemClock::new(), &pace, &mut tell);
        };
        thread::Builder::new().name("thermal".into()).stack_size(WARDEN_STACK_BYTES).spawn(watch)?;
        Ok(Self { news })
    }

    /// What has changed.
    pub fn news(&self) -> Option<String> {
        self.news.try_recv().ok()
    }
}

/// Until nobody listens.
fn watch(
    thermometer: &mut impl Thermometer,
    mut governor: Governor,
    clock: &impl Clock,
    pace: &Shared,
    tell: &mut dyn FnMut(String) -> bool,
) {
    loop {
        let news = governor.step(thermometer.read(), clock.now());
        pace.set(governor.pace());
        if news.is_some_and(|text| !tell(text)) {
            return;
        }
        clock.sleep(EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_testkit::{ScriptedThermometer, SimClock};

    const MINUTE: u64 = 60_000_000;

    fn table() -> ThermalTable {
        ThermalTable { limits_c: vec![70.0, 75.0, 79.0], ..ThermalTable::default() }
    }

    fn heat(celsius: f32) -> Heat {
        Heat { celsius: Some(celsius), ..Heat::default() }
    }

    /// Readings of a day, each two seconds: cool nights, and an afternoon in the sun that gets to 81 degrees.
    fn day() -> impl Iterator<Item = Heat> {
        (0..43_200).map(|reading| {
            let hour = reading as f32 / 1800.0;
            let sun = (1.0 - ((hour - 15.0) / 6.0).powi(2)).max(0.0);
            // A sensor is never still.
            heat(45.0 + 36.0 * sun + if reading % 2 == 0 { 0.8 } else { -0.8 })
        })
    }

    #[test]
    fn a_day_of_temperatures_goes_down_in_steps_and_comes_back_in_steps() {
        let (clock, pace) = (SimClock::new(), Shared::default());
        let mut told = Vec::new();
        let mut tell = |text: String| {
            told.push((clock.now().0 / (60 * MINUTE), pace.get(), text));
            clock.now() < Micros(24 * 60 * MINUTE)
        };
        // The fire at midnight ends the test.
        let mut readings = ScriptedThermometer::new(day().chain(std::iter::once(heat(200.0))));
        watch(&mut readings, Governor::new(&table()), &clock, &pace, &mut tell);
        assert_eq!(told.pop().map(|(hour, pace, _)| (hour, pace)), Some((24, Pace::Least)));
        let steps: Vec<(u64, Pace)> = told.iter().map(|(hour, pace, _)| (*hour, *pace)).collect();
        let wanted = [
            (11, Pace::Eased),
            (12, Pace::Slow),
            (13, Pace::Least),
            (17, Pace::Slow),
            (18, Pace::Eased),
            (19, Pace::Full),
        ];
        assert_eq!(steps, wanted, "once each way, whatever the sensor's noise: {told:?}");
        assert!(told[0].2.starts_with("pace eased: 70."), "{}", told[0].2);
        assert!(told[0].2.ends_with(" °C; half of the pictures, up to half of the patches"), "{}", told[0].2);
        assert!(told[5].2.ends_with("; all pictures and patches"), "{}", told[5].2);
    }

    #[test]
    fn the_thread_ends_when_nobody_listens() {
        let (clock, pace) = (SimClock::new(), Shared::default());
        let hot = std::iter::repeat_n(heat(50.0), 10).chain(std::iter::once(heat(90.0)));
        let mut told = 0;
        let mut deaf = |_| {
            told += 1;
            false
        };
        watch(&mut ScriptedThermometer::new(hot), Governor::new(&table()), &clock, &pace, &mut deaf);
        assert_eq!((told, pace.get(), clock.now()), (1, Pace::Least, Micros(20_000_000)));
    }

    #[test]
    fn it_goes_down_at_once_and_back_only_after_a_minute_below_by_enough() {
        let mut governor = Governor::new(&table());
        let mut at = |second: u64, celsius: f32| {
            governor.step(heat(celsius), Micros(second * 1_000_000));
            governor.pace()
        };
        assert_eq!(at(0, 69.9), Pace::Full);
        assert_eq!(at(2, 76.0), Pace::Slow, "two steps at once");
        assert_eq!(at(4, 70.5), Pace::Slow, "not by enough");
        assert_eq!(at(6, 69.0), Pace::Slow);
        assert_eq!(at(64, 69.0), Pace::Slow);
        assert_eq!(at(65, 70.5), Pace::Slow, "the minute begins anew");
        assert_eq!(at(70, 69.0), Pace::Slow);
        assert_eq!(at(130, 69.0), Pace::Eased, "one step");
        assert_eq!(at(500, 69.0), Pace::Eased, "65 is not reached");
        assert_eq!(at(502, 64.0), Pace::Eased);
        assert_eq!(at(562, 64.0), Pace::Full);
    }

    #[test]
    fn a_board_that_slows_itself_down_has_passed_its_limit() {
        let mut governor = Governor::new(&table());
        let throttled = Heat { celsius: None, throttled: true, undervoltage: false };
        let said = governor.step(throttled, Micros(0)).expect("it has changed");
        assert_eq!(
            said,
            "pace eased: temperature unknown, the board slows itself down; half of the pictures, up to half of the patches"
        );
        assert_eq!(governor.step(throttled, Micros(100 * MINUTE)), None);
        assert_eq!(governor.step(Heat::default(), Micros(101 * MINUTE)), None);
        assert!(governor.step(Heat::default(), Micros(102 * MINUTE)).is_some_and(|said| said.starts_with("pace full")));
        let weak = Heat { undervoltage: true, ..heat(40.0) };
        let said = governor.step(weak, Micros(103 * MINUTE)).expect("the power is weak");
        assert!(said.starts_with("the power supply is too weak; pace eased: 40.0 °C"), "{said}");
        let said = governor.step(heat(40.0), Micros(104 * MINUTE)).expect("it is strong");
        assert_eq!(said, "the power supply is strong enough again");
        assert_eq!(governor.pace(), Pace::Eased);
    }

    #[test]
    fn each_step_watches_less() {
        let rates: Vec<(f64, usize)> = Pace::ALL.iter().map(|pace| (pace.fps(5.0), pace.patches(256))).collect();
        assert_eq!(rates, [(5.0, 256), (2.5, 128), (1.0, 64), (0.5, 32)]);
        assert_eq!(Pace::of(9), Pace::Least);
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        for (limits_c, cool_by_c, word) in [
            (vec![70.0, 70.0], 5.0, "each above"),
            (vec![60.0, 65.0, 70.0, 75.0], 5.0, "up to three"),
            (vec![7.0], 5.0, "20 to 120"),
            (vec![f32::NAN], 5.0, "20 to 120"),
            (vec![70.0], 0.0, "1 to 40"),
        ] {
            let table = ThermalTable { limits_c, cool_by_c, zone: None };
            let why = table.check().expect_err(word);
            assert!(why.contains(word), "{why}");
        }
        assert!(table().check().is_ok() && ThermalTable::default().check().is_ok());
    }
}
