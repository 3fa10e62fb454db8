//! Time expressions of a question, in the house's own time zone.
//!
//! Calendar, time zones, dates and lengths of time are jiff's, which also parses `2026-11-26`, `26 November 2026` and `3 hours`. What is
//! written here is how people combine them into a period: crates that parse such words (`interim` is the best kept one) know points in
//! time and not `between 8 and 9 yesterday evening`, and do not find them within a sentence.
//!
//! What is ambiguous is read so:
//!
//! - an hour without am, pm or a part of the day is that of a clock with 24 hours: 8 is 08:00;
//! - morning is 05:00 to 12:00, afternoon to 18:00, evening to 23:00, night 21:00 to 06:00 of the next day; `last night` and `tonight`
//!   begin at 18:00;
//! - a time without a day is today's, or yesterday's where today's is still to come; a weekday is the last one before today;
//! - what happened `at` a time happened within ten minutes of it, and within half of what has passed since.

use jiff::civil::{Date, DateTime, Weekday, time};
use jiff::tz::AmbiguousOffset;
use jiff::{Span as Length, Timestamp, ToSpan as _, Unit, Zoned};

/// A period, milliseconds since 1970, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// When it begins.
    pub start_ms: u64,
    /// When it ends.
    pub end_ms: u64,
}

impl Period {
    /// What it shares with another; `None` where that is nothing.
    pub fn with(self, other: Self) -> Option<Self> {
        let (start_ms, end_ms) = (self.start_ms.max(other.start_ms), self.end_ms.min(other.end_ms));
        (start_ms < end_ms).then_some(Self { start_ms, end_ms })
    }

    /// Whether this moment is in it.
    pub const fn has(self, at_ms: u64) -> bool {
        self.start_ms <= at_ms && at_ms < self.end_ms
    }

    /// How long it is.
    pub const fn length_ms(self) -> u64 {
        self.end_ms.saturating_sub(self.start_ms)
    }
}

/// The time that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// None was said.
    Ever,
    /// This moment.
    Now,
    /// A moment, milliseconds since 1970.
    At(u64),
    /// A period.
    In(Period),
}

/// How far from a moment something may be that happened at it.
const ABOUT_MS: u64 = 600_000;
const SOON_MS: u64 = 60_000;

impl When {
    /// As a period, as far as one was said.
    pub fn period(self, now_ms: u64) -> Option<Period> {
        match self {
            Self::Ever | Self::Now => None,
            Self::At(at_ms) => {
                // `5 minutes ago` is not `now`.
                let about_ms = (now_ms.saturating_sub(at_ms) / 2).clamp(SOON_MS, ABOUT_MS);
                Some(Period {
                    start_ms: at_ms.saturating_sub(about_ms),
                    end_ms: (at_ms + about_ms).min(now_ms.max(at_ms)),
                })
            }
            Self::In(period) => Some(period),
        }
    }
}

/// A part of the day, with the hours from its date's midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Morning,
    Afternoon,
    Evening,
    Night,
    Tonight,
}

impl Part {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "morning" | "forenoon" => Self::Morning,
            "afternoon" => Self::Afternoon,
            "evening" => Self::Evening,
            "night" => Self::Night,
            "tonight" => Self::Tonight,
            _ => return None,
        })
    }

    const fn hours(self) -> (i32, i32) {
        match self {
            Self::Morning => (5, 12),
            Self::Afternoon => (12, 18),
            Self::Evening => (18, 23),
            Self::Night => (21, 30),
            Self::Tonight => (18, 30),
        }
    }
}

/// Minutes of a day, and whether it was said which half of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hour {
    minute: i32,
    sure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    At(Hour),
    Between(Hour, Hour),
    Before(Hour),
    After(Hour),
}

/// What was found in a question.
#[derive(Debug, Default)]
struct Pieces {
    days: Option<(Date, Date)>,
    part: Option<Part>,
    bound: Option<Bound>,
    /// Before or since a day.
    open: Option<Open>,
    now: bool,
    exact: Option<When>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Before,
    Since,
}

/// The time in a question, whose words go from `words`; `Err` says what makes no sense.
pub fn take(words: &mut Vec<String>, now: &Zoned) -> Result<When, String> {
    let mut pieces = Pieces::default();
    let mut left = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let rest: Vec<&str> = words[at..].iter().map(String::as_str).collect();
        match pieces.find(&rest, now)? {
            0 => {
                left.push(std::mem::take(&mut words[at]));
                at += 1;
            }
            taken => at += taken,
        }
    }
    *words = left;
    pieces.when(now)
}

impl Pieces {
    /// Takes a time that begins with the first word, and gives how many words it has.
    fn find(&mut self, rest: &[&str], now: &Zoned) -> Result<usize, String> {
        let word = |at: usize| rest.get(at).copied().unwrap_or("");
        if let Some(taken) = self.of_now(rest).or_else(|| self.length(rest, now)) {
            return Ok(taken);
        }
        // A bound: between 8 and 9, from 8 to 9, before 10, since noon, at half past nine.
        let skip = usize::from(matches!(word(0), "right" | "just" | "shortly" | "some" | "sometime"));
        let before = word(skip);
        if matches!(before, "between" | "from")
            && let Some((from, used)) = hour(&rest[skip + 1..], true)
            && matches!(word(skip + 1 + used), "and" | "to" | "till" | "until" | "through")
            && let Some((to, more)) = hour(&rest[skip + 2 + used..], true)
        {
            let from = if from.sure || !to.sure { from } else { like(from, to) };
            self.bound = Some(Bound::Between(from, to));
            return Ok(skip + 2 + used + more);
        }
        let bound: Option<fn(Hour) -> Bound> = match before {
            "before" | "until" | "till" | "by" => Some(Bound::Before),
            "after" | "since" | "from" => Some(Bound::After),
            "at" | "around" | "about" => Some(Bound::At),
            _ => None,
        };
        if let Some(bound) = bound {
            let skip = skip + 1 + usize::from(matches!(word(skip + 1), "around" | "about" | "exactly"));
            if let Some((hour, used)) = hour(rest.get(skip..).unwrap_or(&[]), true) {
                self.bound = Some(bound(hour));
                return Ok(skip + used);
            }
        } else if let Some((hour, used)) = hour(rest, false) {
            self.bound = Some(Bound::At(hour));
            return Ok(used);
        }
        // A day: with what leads to it.
        let mut skip = 0;
        let mut open = None;
        // `the light on yesterday` keeps its `on`.
        let dated = |at: usize| {
            weekday(word(at)).is_some() || is_month(word(at)) || ordinal(word(at)).is_some() || word(at).contains('-')
        };
        if word(0) == "on" && !dated(1 + usize::from(word(1) == "the")) {
            return Ok(0);
        }
        // `came in today` keeps its `in`.
        if word(0) == "in" && !matches!(word(1), "the" | "this" | "last") && !is_month(word(1)) {
            return Ok(0);
        }
        while let "on" | "in" | "at" | "during" | "over" | "of" | "for" | "before" | "since" | "until" | "so" | "far"
        | "from" | "course" | "throughout" | "the" | "within" = word(skip)
        {
            match word(skip) {
                "before" | "until" => open = Some(Open::Before),
                "since" | "from" => open = Some(Open::Since),
                _ => {}
            }
            skip += 1;
        }
        let Some(used) = self.day(rest.get(skip..).unwrap_or(&[]), now)? else { return Ok(0) };
        self.open = self.open.or(open);
        Ok(skip + used)
    }

    /// `now`, `at the moment`.
    fn of_now(&mut self, rest: &[&str]) -> Option<usize> {
        let forms: [&[&str]; 9] = [
            &["right", "now"],
            &["just", "now"],
            &["by", "now"],
            &["at", "the", "moment"],
            &["at", "this", "moment"],
            &["at", "present"],
            &["now"],
            &["currently"],
            &["presently"],
        ];
        let form = forms.iter().find(|form| rest.starts_with(form))?;
        self.now = true;
        Some(form.len())
    }

    /// `in the last 3 hours`, `2 days ago`.
    fn length(&mut self, rest: &[&str], now: &Zoned) -> Option<usize> {
        let now_ms = unix_ms(now);
        let mut skip = rest
            .iter()
            .take_while(|word| matches!(**word, "in" | "within" | "during" | "over" | "for" | "the"))
            .count();
        if matches!(rest.get(skip), Some(&("last" | "past" | "previous"))) {
            skip += 1;
            let (length, used) = length(&rest[skip..], true)?;
            let start = now.checked_sub(length).ok()?;
            self.exact = Some(When::In(Period { start_ms: unix_ms(&start), end_ms: now_ms }));
            return Some(skip + used);
        }
        let skip = usize::from(matches!(rest.first(), Some(&("about" | "around" | "since"))));
        let (length, used) = length(&rest[skip..], false)?;
        if rest.get(skip + used) != Some(&"ago") {
            return None;
        }
        let then = now.checked_sub(length).ok()?;
        if rest[0] == "since" {
            self.exact = Some(When::In(Period { start_ms: unix_ms(&then), end_ms: now_ms }));
        } else if length.get_days() != 0 || length.get_weeks() != 0 || length.get_months() != 0 {
            self.days = Some((then.date(), then.date()));
        } else {
            self.exact = Some(When::At(unix_ms(&then)));
        }
        Some(skip + used + 1)
    }

    /// `yesterday`, `last friday`, `the 26th of november`, `this morning`.
    fn day(&mut self, rest: &[&str], now: &Zoned) -> Result<Option<usize>, String> {
        let word = |at: usize| rest.get(at).copied().unwrap_or("");
        let today = now.date();
        let back = |days: i64| today.checked_sub(days.days()).map_err(|error| error.to_string());
        let one = |date: Date| Some((date, date));
        if let Some(part) = Part::of(word(0)) {
            (self.part, self.days) = (Some(part), self.days.or(if part == Part::Tonight { one(today) } else { None }));
            return Ok(Some(1));
        }
        if matches!(rest, ["day", "before", "yesterday", ..]) {
            self.days = one(back(2)?);
            return Ok(Some(3));
        }
        let which = match word(0) {
            "today" => {
                self.days = one(today);
                return Ok(Some(1 + if rest.get(1..3) == Some(&["so", "far"]) { 2 } else { 0 }));
            }
            "yesterday" => {
                self.days = one(back(1)?);
                return Ok(Some(1));
            }
            "this" => 0,
            "last" => 1,
            "all" if word(1) == "day" => {
                self.days = self.days.or(one(today));
                return Ok(Some(2));
            }
            _ => return self.date(rest, today),
        };
        let monday = today.weekday().to_monday_zero_offset();
        let first = today.checked_sub((i64::from(monday) + 7 * which).days()).map_err(|error| error.to_string())?;
        let to = |days: i64| first.checked_add(days.days()).map_err(|error| error.to_string());
        match word(1) {
            "night" if which == 1 => (self.part, self.days) = (Some(Part::Tonight), one(back(1)?)),
            "week" => self.days = Some((first, to(6)?)),
            "weekend" => self.days = Some((to(5)?, to(6)?)),
            "month" => {
                let month = today.first_of_month();
                let month = month.checked_sub(which.months()).map_err(|error| error.to_string())?;
                self.days = Some((month, month.last_of_month()));
            }
            word => match (Part::of(word), weekday(word)) {
                (Some(part), _) => (self.part, self.days) = (Some(part), one(back(which)?)),
                (_, Some(day)) if which == 0 && today.weekday() == day => self.days = one(today),
                (_, Some(day)) => self.days = one(before(today, day)?),
                _ => return Ok(None),
            },
        }
        Ok(Some(2))
    }

    /// A date or a weekday.
    fn date(&mut self, rest: &[&str], today: Date) -> Result<Option<usize>, String> {
        let word = |at: usize| rest.get(at).copied().unwrap_or("");
        if let Some(day) = weekday(word(0)) {
            self.days = Some((before(today, day)?, before(today, day)?));
            return Ok(Some(1));
        }
        if word(0).len() == 10 && word(0).starts_with(|c: char| c.is_ascii_digit()) && word(0).contains('-') {
            let date = word(0).parse::<Date>().map_err(|_| format!("`{}` is no date", word(0)))?;
            self.days = Some((date, date));
            return Ok(Some(1));
        }
        let of = usize::from(word(1) == "of");
        let (day, month, mut used) = match (ordinal(word(0)), ordinal(word(1))) {
            (Some(day), _) if is_month(word(1 + of)) => (day, word(1 + of), 2 + of),
            (None, Some(day)) if is_month(word(0)) => (day, word(0), 2),
            _ => return Ok(None),
        };
        let year = word(used).parse::<i16>().ok().filter(|year| (1970..3000).contains(year));
        used += usize::from(year.is_some());
        let parse = |year: i16| {
            let text = format!("{day} {month} {year}");
            let date = Date::strptime("%d %B %Y", &text).or_else(|_| Date::strptime("%d %b %Y", &text));
            date.map_err(|_| format!("`{day} {month}` is no date"))
        };
        let mut date = parse(year.unwrap_or(today.year()))?;
        if year.is_none() && date > today {
            date = parse(today.year() - 1)?;
        }
        self.days = Some((date, date));
        Ok(Some(used))
    }

    fn when(self, now: &Zoned) -> Result<When, String> {
        let now_ms = unix_ms(now);
        if let Some(exact) = self.exact {
            return Ok(exact);
        }
        if self.days.is_none() && self.part.is_none() && self.bound.is_none() {
            return Ok(if self.now { When::Now } else { When::Ever });
        }
        let (first, last) = self.days.unwrap_or((now.date(), now.date()));
        let when = self.of_days(first, last, now)?;
        // Nobody asks about what is still to come: then it is yesterday's.
        let start_ms = match when {
            When::At(at_ms) => at_ms,
            When::In(period) => period.start_ms,
            When::Ever | When::Now => 0,
        };
        if self.days.is_none() && start_ms > now_ms {
            let yesterday = first.checked_sub(1.day()).map_err(|error| error.to_string())?;
            return self.of_days(yesterday, yesterday, now);
        }
        Ok(when)
    }

    fn of_days(&self, first: Date, last: Date, now: &Zoned) -> Result<When, String> {
        let now_ms = unix_ms(now);
        // An hour that the clocks show twice is meant both times.
        let both = |date: Date, minute: i32| -> Result<[u64; 2], String> {
            let start = DateTime::from_parts(date, time(0, 0, 0, 0));
            let at = start.checked_add(i64::from(minute).minutes()).map_err(|error| error.to_string())?;
            let zone = now.time_zone();
            let moments = match zone.to_ambiguous_timestamp(at).offset() {
                AmbiguousOffset::Fold { before, after } => [before, after].map(|offset| offset.to_timestamp(at)),
                _ => [zone.to_timestamp(at), zone.to_timestamp(at)],
            };
            let [first, second] = moments.map(|at| at.map(|at| unix_ms(&at.to_zoned(zone.clone()))));
            Ok([first.map_err(|error| error.to_string())?, second.map_err(|error| error.to_string())?])
        };
        let at = |date: Date, minute: i32| both(date, minute).map(|at| at[0]);
        let until = |date: Date, minute: i32| both(date, minute).map(|at| at[1]);
        let pm = matches!(self.part, Some(Part::Afternoon | Part::Evening | Part::Night | Part::Tonight));
        let minute = |hour: Hour| {
            // At night the small hours are those after midnight.
            let late =
                self.part.is_none_or(|part| !matches!(part, Part::Night | Part::Tonight)) || hour.minute >= 6 * 60;
            let afternoon = pm && !hour.sure && hour.minute < 12 * 60 && late;
            let next = pm && !late;
            hour.minute + if afternoon { 12 * 60 } else { 0 } + if next { 24 * 60 } else { 0 }
        };
        let (from, to) = self.part.map_or((0, 24), Part::hours);
        let (start_ms, end_ms) = (at(first, from * 60)?, at(last, to * 60)?);
        Ok(match self.bound {
            Some(Bound::At(hour)) => match both(first, minute(hour))? {
                [one, other] if one == other => When::At(one),
                [one, other] => When::In(Period { start_ms: one.saturating_sub(ABOUT_MS), end_ms: other + ABOUT_MS }),
            },
            Some(Bound::Between(a, b)) => {
                let (a, b) = (minute(a), minute(b));
                let b = if b <= a { b + 24 * 60 } else { b };
                When::In(Period { start_ms: at(first, a)?, end_ms: until(first, b)? })
            }
            Some(Bound::Before(hour)) => {
                When::In(Period { start_ms, end_ms: until(last, minute(hour))?.max(start_ms) })
            }
            Some(Bound::After(hour)) => {
                let start_ms = at(first, minute(hour))?;
                When::In(Period { start_ms, end_ms: end_ms.max(start_ms) })
            }
            None => match self.open {
                Some(Open::Before) => When::In(Period { start_ms: 0, end_ms: start_ms }),
                Some(Open::Since) => When::In(Period { start_ms, end_ms: now_ms.max(start_ms) }),
                None => When::In(Period { start_ms, end_ms }),
            },
        })
    }
}

/// The same half of the day as another: from 2 to 4 pm.
fn like(from: Hour, to: Hour) -> Hour {
    let later = Hour { minute: from.minute + 12 * 60, sure: true };
    if to.minute >= 12 * 60 && from.minute < 12 * 60 && later.minute < to.minute { later } else { from }
}

/// An hour, and how many words it has. `led` is one that has a word such as `at` before it; else it must show that it is one.
fn hour(rest: &[&str], led: bool) -> Option<(Hour, usize)> {
    let word = |at: usize| rest.get(at).copied().unwrap_or("");
    match (word(0), word(1)) {
        ("noon" | "midday" | "lunchtime", _) => return Some((Hour { minute: 12 * 60, sure: true }, 1)),
        ("midnight", _) => return Some((Hour { minute: 0, sure: true }, 1)),
        ("half" | "quarter", "past" | "to") => {
            let (hour, used) = hour(&rest[2..], true)?;
            let minutes = if word(0) == "half" { 30 } else { 15 };
            let minute = hour.minute + if word(1) == "past" { minutes } else { -minutes };
            return Some((Hour { minute: minute.rem_euclid(24 * 60), ..hour }, 2 + used));
        }
        _ => {}
    }
    let (hours, minutes) = word(0).split_once(':').unwrap_or((word(0), ""));
    let in_words = |text: &str| count(text).filter(|_| led && !matches!(text, "a" | "an"));
    let number = |text: &str| text.parse::<i32>().ok().or_else(|| in_words(text));
    let hours = number(hours).filter(|hours| (0..=24).contains(hours))?;
    let clock = !minutes.is_empty();
    let minutes = if clock { minutes.parse::<i32>().ok().filter(|minutes| (0..60).contains(minutes))? } else { 0 };
    let half = match word(1) {
        "am" => Some(false),
        "pm" => Some(true),
        _ => None,
    };
    let used = 1 + usize::from(half.is_some() || matches!(word(1), "o'clock" | "oclock"));
    if !led && !clock && used == 1 {
        return None;
    }
    // `after 3 days` is no hour.
    if !clock && used == 1 && unit(word(1)).is_some() {
        return None;
    }
    let hours = match half {
        Some(pm) if hours <= 12 => hours % 12 + if pm { 12 } else { 0 },
        _ => hours,
    };
    // With minutes it is read off a clock, which is taken to have 24 hours only where nothing else is said.
    let sure = half.is_some() || hours > 12 || hours == 0 || rest[0].starts_with('0');
    Some((Hour { minute: hours * 60 + minutes, sure }, used))
}

/// A length of time, such as `3 hours`, and how many words it has; alone, `hour` is one.
fn length(rest: &[&str], alone: bool) -> Option<(Length, usize)> {
    let word = |at: usize| rest.get(at).copied().unwrap_or("");
    if word(0) == "half" {
        let skip = 1 + usize::from(matches!(word(1), "an" | "a"));
        return (word(skip) == "hour").then(|| (30.minutes(), skip + 1));
    }
    if word(0) == "couple" && word(1) == "of" {
        return unit(word(2)).and_then(|unit| of_unit(2, unit)).map(|length| (length, 3));
    }
    if alone && matches!(word(0), "hour" | "day" | "minute" | "24h") {
        return unit(word(0)).and_then(|unit| of_unit(1, unit)).map(|length| (length, 1));
    }
    let number = word(0).parse::<i64>().ok().filter(|number| *number >= 0);
    let number = number.or_else(|| count(word(0)).map(i64::from))?;
    Some((of_unit(number, unit(word(1))?)?, 2))
}

fn of_unit(number: i64, unit: Unit) -> Option<Length> {
    let name = match unit {
        Unit::Second => "s",
        Unit::Minute => "min",
        Unit::Hour => "h",
        Unit::Day => "d",
        Unit::Week => "w",
        _ => "mo",
    };
    format!("{number}{name}").parse().ok()
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word.strip_suffix('s').unwrap_or(word) {
        "second" | "sec" => Unit::Second,
        "minute" | "min" => Unit::Minute,
        "hour" | "hr" => Unit::Hour,
        "day" => Unit::Day,
        "week" => Unit::Week,
        "month" => Unit::Month,
        _ => return None,
    })
}

/// A word of a time that [`take`] does not understand, so that a question is not answered as if it were not there.
pub fn strange(words: &[String]) -> Option<&str> {
    const TIMES: [&str; 58] = [
        "summer",
        "winter",
        "spring",
        "autumn",
        "christmas",
        "easter",
        "birthday",
        "holiday",
        "holidays",
        "weekend",
        "weekends",
        "weekday",
        "weekdays",
        "dawn",
        "dusk",
        "sunrise",
        "sunset",
        "daybreak",
        "daytime",
        "overnight",
        "breakfast",
        "lunch",
        "lunchtime",
        "dinner",
        "supper",
        "bedtime",
        "morning",
        "mornings",
        "afternoon",
        "afternoons",
        "evening",
        "evenings",
        "night",
        "nights",
        "noon",
        "midnight",
        "midday",
        "second",
        "seconds",
        "minute",
        "minutes",
        "hour",
        "hours",
        "day",
        "days",
        "week",
        "weeks",
        "month",
        "months",
        "year",
        "years",
        "century",
        "ago",
        "tomorrow",
        "daily",
        "always",
        "lately",
        "recently",
    ];
    let strange = |at: usize, word: &str| {
        let may =
            word == "may" && (at == 0 || !matches!(words[at - 1].as_str(), "in" | "of" | "last" | "since" | "during"));
        let march = word == "march" && (at == 0 || !matches!(words[at - 1].as_str(), "in" | "of" | "last" | "since"));
        let year = word.parse::<i16>().is_ok_and(|year| (1900..3000).contains(&year));
        let day = weekday(word.strip_suffix('s').unwrap_or(word)).is_some();
        TIMES.contains(&word)
            || (is_month(word) && !may && !march && word != "sun")
            || year
            || day
            || word.contains("o'clock")
    };
    words.iter().enumerate().find(|(at, word)| strange(*at, word)).map(|(_, word)| word.as_str())
}

/// A number in words.
pub fn count(word: &str) -> Option<i32> {
    const WORDS: [&str; 13] =
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let number = (0..).zip(WORDS).find(|(_, known)| *known == word).map(|(number, _)| number);
    number.or(matches!(word, "a" | "an").then_some(1))
}

/// The day of `26`, `26th`.
fn ordinal(word: &str) -> Option<u8> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let known = matches!(&word[digits.len()..], "" | "st" | "nd" | "rd" | "th");
    digits.parse().ok().filter(|day| known && (1..=31).contains(day))
}

fn is_month(word: &str) -> bool {
    word.len() >= 3
        && (Date::strptime("%d %B %Y", format!("1 {word} 2024")).is_ok()
            || Date::strptime("%d %b %Y", format!("1 {word} 2024")).is_ok())
}

fn weekday(word: &str) -> Option<Weekday> {
    let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let day = names.iter().position(|name| *name == word)?;
    Weekday::from_monday_zero_offset(day as i8).ok()
}

fn before(today: Date, day: Weekday) -> Result<Date, String> {
    today.nth_weekday(-1, day).map_err(|error| error.to_string())
}

/// Milliseconds since 1970; 0 for what was before.
pub fn unix_ms(at: &Zoned) -> u64 {
    u64::try_from(at.timestamp().as_millisecond()).unwrap_or(0)
}

/// `14:05`, or with seconds; with the offset where the clocks show it twice.
pub fn clock(at: &Zoned, seconds: bool) -> String {
    let twice = at.time_zone().to_ambiguous_timestamp(at.datetime()).is_ambiguous();
    at.strftime(match (seconds, twice) {
        (false, false) => "%H:%M",
        (false, true) => "%H:%M%:z",
        (true, false) => "%H:%M:%S",
        (true, true) => "%H:%M:%S%:z",
    })
    .to_string()
}

/// A moment in the time zone of another; the last one that jiff knows for what lies beyond.
pub fn zoned(at_ms: u64, now: &Zoned) -> Zoned {
    let at = i64::try_from(at_ms).ok().and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
    at.unwrap_or(Timestamp::MAX).to_zoned(now.time_zone().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::text::tokens;

    /// Sunday 29 March 2026, 20:00, in Berlin, where that day has 23 hours.
    fn now() -> Zoned {
        "2026-03-29T20:00:00+02:00[Europe/Berlin]".parse().expect("a date")
    }

    fn of(text: &str) -> (When, String) {
        let mut words = tokens(text);
        let when = take(&mut words, &now()).expect(text);
        (when, words.join(" "))
    }

    fn ms(local: &str) -> u64 {
        let at: DateTime = local.parse().expect(local);
        unix_ms(&at.to_zoned(now().time_zone().clone()).expect("it is there"))
    }

    #[test]
    fn periods_are_told_as_people_tell_them() {
        for (text, from, to) in [
            ("did it rain today?", "2026-03-29T00:00", "2026-03-30T00:00"),
            ("did it rain yesterday?", "2026-03-28T00:00", "2026-03-29T00:00"),
            ("did it rain the day before yesterday", "2026-03-27T00:00", "2026-03-28T00:00"),
            ("did it rain two days ago", "2026-03-27T00:00", "2026-03-28T00:00"),
            ("did it rain this morning", "2026-03-29T05:00", "2026-03-29T12:00"),
            ("did it rain yesterday evening", "2026-03-28T18:00", "2026-03-28T23:00"),
            ("did it rain in the evening yesterday", "2026-03-28T18:00", "2026-03-28T23:00"),
            ("did it rain last night", "2026-03-28T18:00", "2026-03-29T06:00"),
            ("did it rain between 8 and 9", "2026-03-29T08:00", "2026-03-29T09:00"),
            ("did it rain between 2 and 4 pm", "2026-03-29T14:00", "2026-03-29T16:00"),
            ("did it rain from 8 to half past nine in the evening yesterday", "2026-03-28T20:00", "2026-03-28T21:30"),
            ("did it rain from 14:00 to 16:30 on Friday", "2026-03-27T14:00", "2026-03-27T16:30"),
            ("did it rain between 11 pm and 1 am last night", "2026-03-28T23:00", "2026-03-29T01:00"),
            ("did it rain between 11pm and 11:30 p.m.", "2026-03-28T23:00", "2026-03-28T23:30"),
            ("did it rain before 10 this morning", "2026-03-29T05:00", "2026-03-29T10:00"),
            ("did it rain after 5 pm yesterday", "2026-03-28T17:00", "2026-03-29T00:00"),
            ("did it rain since noon", "2026-03-29T12:00", "2026-03-30T00:00"),
            ("did it rain in the last 3 hours", "2026-03-29T17:00", "2026-03-29T20:00"),
            ("did it rain within the past half hour", "2026-03-29T19:30", "2026-03-29T20:00"),
            ("did it rain on 27 March", "2026-03-27T00:00", "2026-03-28T00:00"),
            ("did it rain on March 27th 2025", "2025-03-27T00:00", "2025-03-28T00:00"),
            ("did it rain on the 5th of may", "2025-05-05T00:00", "2025-05-06T00:00"),
            ("did it rain on 2026-02-28", "2026-02-28T00:00", "2026-03-01T00:00"),
            ("did it rain last week", "2026-03-16T00:00", "2026-03-23T00:00"),
            ("did it rain this weekend", "2026-03-28T00:00", "2026-03-30T00:00"),
            ("did it rain on Sunday", "2026-03-22T00:00", "2026-03-23T00:00"),
            ("did it rain since Friday", "2026-03-27T00:00", "2026-03-29T20:00"),
            ("did it rain before yesterday", "1970-01-01T01:00", "2026-03-28T00:00"),
        ] {
            let (when, left) = of(text);
            let expected = Period { start_ms: ms(from), end_ms: ms(to) };
            assert_eq!(when, When::In(expected), "{text}");
            assert_eq!(left, "did it rain", "{text}");
        }
    }

    /// On 26 October 2025 the clocks showed two to three twice.
    #[test]
    fn an_hour_that_comes_twice_is_meant_both_times() {
        let first = ms("2025-10-26T02:30");
        let second = first + 3_600_000;
        let period = |start_ms: u64, end_ms: u64| When::In(Period { start_ms, end_ms });
        assert_eq!(of("at 2:30 on 26 october 2025").0, period(first - ABOUT_MS, second + ABOUT_MS));
        let quarter = 15 * 60_000;
        assert_eq!(of("between 2:15 and 2:45 on 26 october 2025").0, period(first - quarter, second + quarter));
        assert_eq!(of("at 3:30 on 26 october 2025").0, When::At(second + 3_600_000));
        let clocks = [first, second, second + 3_600_000].map(|at_ms| clock(&zoned(at_ms, &now()), false));
        assert_eq!(clocks, ["02:30+02:00", "02:30+01:00", "03:30"]);
    }

    #[test]
    fn moments_and_no_time_at_all() {
        for (text, at) in [
            ("was it on at 9 pm", "2026-03-28T21:00"),
            ("was it on at 9", "2026-03-29T09:00"),
            ("was it on at quarter to ten in the evening yesterday", "2026-03-28T21:45"),
            ("was it on on friday at 15:20", "2026-03-27T15:20"),
            ("was it on around midnight", "2026-03-29T00:00"),
            ("was it on two hours ago", "2026-03-29T18:00"),
            ("was it on 3 o'clock", "2026-03-29T03:00"),
        ] {
            assert_eq!(of(text), (When::At(ms(at)), "was it on".into()), "{text}");
        }
        assert_eq!(of("is it on right now?"), (When::Now, "is it on".into()));
        assert_eq!(of("when was the last time two people came?").0, When::Ever);
        assert_eq!(of("did 3 people come after someone fell?").0, When::Ever);
        assert_eq!(of("the last one").1, "the last one");
    }

    #[test]
    fn times_that_are_not_understood_are_seen() {
        for (text, word) in [
            ("did someone fall in October?", Some("october")),
            ("did someone fall in may", Some("may")),
            ("did someone fall on weekends", Some("weekends")),
            ("did someone fall at dawn", Some("dawn")),
            ("did someone fall in the last -5 minutes", Some("minutes")),
            ("did someone fall on mondays", Some("mondays")),
            ("did someone fall in 2024", Some("2024")),
            ("may someone fall", None),
            ("did someone march on friday", None),
            ("did someone fall on 27 March at 8pm", None),
        ] {
            let mut words = tokens(text);
            take(&mut words, &now()).expect(text);
            assert_eq!(strange(&words), word, "{text}");
        }
        let now_ms = 100 * 60_000;
        let ago = |minutes: u64| When::At(now_ms - minutes * 60_000).period(now_ms).expect("a period");
        assert_eq!(ago(4), Period { start_ms: 94 * 60_000, end_ms: 98 * 60_000 });
        assert_eq!(ago(50), Period { start_ms: 40 * 60_000, end_ms: 60 * 60_000 });
    }

    #[test]
    fn an_hour_that_the_clock_leapt_over_is_no_failure_and_a_wrong_date_is_told() {
        assert!(matches!(of("between 2 and 3 today").0, When::In(_)));
        let mut words = tokens("on 2026-02-30");
        assert_eq!(take(&mut words, &now()), Err("`2026-02-30` is no date".into()));
        let mut words = tokens("on 31 february");
        assert!(take(&mut words, &now()).is_err());
        let mut words = tokens("in the last 99999999999999999 days");
        assert!(take(&mut words, &now()).is_ok());
    }
}
