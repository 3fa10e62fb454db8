//! Times as people write them, on the command line and in queries of the gateway.

use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ocelli_drivers::SystemClock;
use ocelli_types::Clock as _;

/// Milliseconds since 1970 of `2026-11-26`, `2026-11-26 18:30`, `2026-11-26T18:30:00Z` or anything between.
pub fn parse_time(text: &str) -> Result<u64, String> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        _ => text.to_owned(),
    };
    let time = humantime::parse_rfc3339_weak(&whole).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let time = time.ok_or_else(|| format!("`{text}` is no time; write it like 2026-11-26T18:30:00Z"))?;
    Ok(time.as_millis() as u64)
}

/// A time as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Milliseconds since 1970.
    At(u64),
    /// The same, as if the clocks here showed UTC.
    Shown(u64),
}

impl When {
    /// Milliseconds since 1970, where the clocks are those of a time zone.
    pub fn unix_ms(self, zone: &TimeZone) -> u64 {
        match self {
            Self::At(unix_ms) => unix_ms,
            Self::Shown(shown_ms) => {
                let shown = i64::try_from(shown_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
                let here = shown.and_then(|shown| zone.to_timestamp(TimeZone::UTC.to_datetime(shown)).ok());
                here.map_or(shown_ms, |here| here.as_millisecond().max(0).cast_unsigned())
            }
        }
    }
}

/// Some time until now.
pub fn parse_last(text: &str) -> Result<Duration, String> {
    let last = humantime::parse_duration(text).ok().filter(|last| !last.is_zero());
    last.ok_or_else(|| format!("`{text}` is no length of time; write it like 10s or 2min"))
}

/// A time, or how long ago it was.
pub fn parse_since(text: &str) -> Result<When, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(When::At(SystemClock::new().unix_ms().saturating_sub(ago.as_millis() as u64)));
    }
    let time = parse_time(text).map_err(|error| format!("{error}, or how long ago it was, like 2h"))?;
    Ok(if text.ends_with('Z') { When::At(time) } else { When::Shown(time) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them() {
        let noon = 1_795_867_200_000 - 6 * 3_600_000;
        for text in ["2026-11-28T06:00:00Z", "2026-11-28 06:00:00", "2026-11-28 06:00", "2026-11-28T06:00"] {
            assert_eq!(parse_time(text), Ok(noon), "{text}");
        }
        assert_eq!(parse_time("2026-11-28"), Ok(noon - 6 * 3_600_000));
        let now = SystemClock::new().unix_ms();
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        let ago = now - parse_since("2h").expect("a time span").unix_ms(&berlin);
        assert!((7_199_000..=7_200_000).contains(&ago), "{ago}");
        let here = |text| parse_since(text).expect("a time").unix_ms(&berlin);
        assert_eq!((here("2026-11-28 06:00"), here("2026-11-28T06:00:00Z")), (noon - 3_600_000, noon));
        for text in ["yesterday", "", "2026-13-01", "-2h", "2026-11-28T06:00:00+01:00"] {
            let error = parse_since(text).expect_err(text);
            assert!(error.contains("write it like 2026-11-26T18:30:00Z, or how long ago it was, like 2h"), "{error}");
        }
    }
}
