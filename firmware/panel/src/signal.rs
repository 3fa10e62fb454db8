//! What light and buzzer do.

/// What is to be told, the most urgent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// The runtime ended in order: all is dark.
    Ended,
    /// It watches: a short flash every four seconds shows that the panel lives.
    Watching,
    /// It was not heard since the panel's reset: slow blinking.
    Waiting,
    /// Something wants a look: the light is on, after one beep.
    Notice,
    /// The runtime is silent: two flashes a second, three beeps every five.
    Silent,
    /// Something wants help: fast blinking, and half of each second the buzzer.
    Alarm,
}

/// Levels of the pins; `true` is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// The light.
    pub led: bool,
    /// The buzzer.
    pub buzzer: bool,
    /// Whether the camera computer's power is cut.
    pub power_cut: bool,
}

/// How long a signal sounds in full before it only reminds.
const LOUD_MS: u64 = 120_000;

impl Signal {
    /// The light, at this time.
    pub fn led(self, now_ms: u64) -> bool {
        match self {
            Self::Ended => false,
            Self::Watching => now_ms % 4000 < 30,
            Self::Waiting => now_ms % 1000 < 500,
            Self::Notice => true,
            Self::Silent => matches!(now_ms % 1000, 0..100 | 200..300),
            Self::Alarm => now_ms % 250 < 125,
        }
    }

    /// The buzzer, this long after the signal began.
    pub fn buzzer(self, for_ms: u64) -> bool {
        match self {
            Self::Ended | Self::Watching | Self::Waiting => false,
            Self::Notice => for_ms < 200,
            Self::Silent => {
                let every_ms = if for_ms < LOUD_MS { 5000 } else { 30_000 };
                matches!(for_ms % every_ms, 0..100 | 200..300 | 400..500)
            }
            Self::Alarm => for_ms % (if for_ms < LOUD_MS { 1000 } else { 10_000 }) < 500,
        }
    }
}
