//! The messages.

use serde::{Deserialize, Serialize};

/// The longest text of a message, in bytes of UTF-8.
pub const TEXT_BYTES: usize = 160;

/// Alerts that a panel holds, and the runtime names, at a time.
pub const ALERTS: usize = 8;

/// How much something matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Shown.
    #[default]
    Info,
    /// Wants a look: the light is on, one beep.
    Notice,
    /// Wants help: light and buzzer until somebody presses the button.
    Alarm,
}

/// A message to the panel with its place in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet<'a> {
    /// That of the panel's last [`Status`].
    pub session: u32,
    /// Above all that were taken before in this session.
    pub number: u32,
    /// What is said.
    #[serde(borrow)]
    pub message: ToPanel<'a>,
}

/// From the runtime.
///
/// `Settings`, `Tell` and `Standing` are said again from time to time, which changes nothing where they were heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToPanel<'a> {
    /// Asks for a [`Status`]. It may come with any session and number, and changes nothing.
    Hello,
    /// How to be.
    Settings(Settings),
    /// The runtime thinks.
    Beat,
    /// What was seen, or an alert.
    Tell {
        /// How much it matters.
        level: Level,
        /// Of an alert, in this run of the runtime; 0 for what is only shown.
        id: u64,
        /// How long ago it was, in seconds.
        age_s: u32,
        /// One line, of [`TEXT_BYTES`] at most.
        text: &'a str,
    },
    /// Which alerts of this run nobody has acknowledged, zeros behind them. All others are over.
    Standing([u64; ALERTS]),
    /// The runtime ends in order. Nobody watches from now on, and that is no alarm.
    Bye,
}

/// How the panel is to be. It keeps them until it is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Which run of the runtime this is. Ids of alerts begin anew with it; alerts of a run before stay until the button is pressed.
    pub run: u32,
    /// After how many seconds without a frame the panel raises its own alarm.
    pub silent_after_s: u16,
    /// After how many seconds of silence the power-cycle line is pulsed; never where it is `None`.
    pub power_cycle_after_s: Option<u16>,
}

impl Default for Settings {
    /// Ten seconds, and no power is cut.
    fn default() -> Self {
        Self { run: 0, silent_after_s: 10, power_cycle_after_s: None }
    }
}

/// What the panel knows of the runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seeing {
    /// Nothing came since the reset.
    #[default]
    Waiting,
    /// It thinks.
    Watching,
    /// It ended in order.
    Ended,
    /// Nothing comes any more.
    Silent,
}

/// Why the panel began anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reset {
    /// Power, the reset button, or the board cannot tell.
    #[default]
    Start,
    /// Its watchdog was not fed.
    Watchdog,
}

/// What the panel received and did not take. They wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Frames with a wrong check sum or coding.
    pub damaged: u32,
    /// Frames longer than any can be.
    pub overlong: u32,
    /// Whole frames of another version, or with a message that is none.
    pub unknown: u32,
    /// Frames that came before, or are of another session.
    pub replayed: u32,
    /// Bytes for which there was no room.
    pub lost_bytes: u32,
}

/// From the panel, every second and when something changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Drawn at each reset.
    pub session: u32,
    /// Number of the last frame that was taken; 0 before the first.
    pub heard: u32,
    /// Heartbeats that were taken since the reset.
    pub beats: u32,
    /// What it knows of the runtime.
    pub seeing: Seeing,
    /// Seconds since the reset.
    pub uptime_s: u32,
    /// Why it began anew.
    pub reset: Reset,
    /// How often the button was pressed since the reset.
    pub presses: u32,
    /// The newest alert of this run when it was pressed last; 0 for none. It and all before are acknowledged.
    pub pressed_id: u64,
    /// Alerts that are not over.
    pub open: u8,
    /// What was received and not taken.
    pub counts: Counts,
    /// The least bytes of stack that were ever left; `None` where they are not counted.
    pub stack_left: Option<u32>,
}

/// As much of a text as a message holds: whole characters, with an ellipsis where some are left out.
pub fn clip<'b>(text: &str, buffer: &'b mut [u8; TEXT_BYTES]) -> &'b str {
    const MORE: &str = "...";
    let whole = text.len() <= TEXT_BYTES;
    let most = if whole { TEXT_BYTES } else { TEXT_BYTES - MORE.len() };
    let kept = &text[..text.floor_char_boundary(most)];
    let end = if whole { "" } else { MORE };
    buffer[..kept.len()].copy_from_slice(kept.as_bytes());
    buffer[kept.len()..kept.len() + end.len()].copy_from_slice(end.as_bytes());
    core::str::from_utf8(&buffer[..kept.len() + end.len()]).unwrap_or_default()
}
