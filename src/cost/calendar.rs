//! Days and months. All are UTC, as bills are.

use crate::clock::Timestamp;
use crate::document::{Decode, Diagnostics, Node, Schemas, pattern};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::ops::Range;
use time::Date;

/// A day, counted from 1 January 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

/// 1 January 1970 as a Julian day.
const EPOCH: i64 = 2_440_588;

impl Day {
    /// The day of the week; Monday is 0.
    pub fn weekday(self) -> usize {
        // 1 January 1970 was a Thursday.
        (self.0 as usize + 3) % 7
    }

    /// Its year, its month and the day within it. `None` past the year 9999.
    pub fn civil(self) -> Option<(i32, u8, u8)> {
        self.date().map(|date| (date.year(), u8::from(date.month()), date.day()))
    }

    fn date(self) -> Option<Date> {
        i32::try_from(EPOCH + i64::from(self.0)).ok().and_then(|julian| Date::from_julian_day(julian).ok())
    }

    fn parse(text: &str) -> Option<Day> {
        let at: Timestamp = (text.len() == 10).then(|| format!("{text}T00:00:00Z").parse().ok())??;
        Some(Day::from(at))
    }
}

/// As it is shown.
impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Timestamp> for Day {
    fn from(at: Timestamp) -> Day {
        Day(u32::try_from(at.seconds() / 86_400).unwrap_or(u32::MAX))
    }
}

/// As ISO 8601 writes it, `2026-11-01`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.date() {
            Some(date) => write!(f, "{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day()),
            None => write!(f, "{} days after 1970", self.0),
        }
    }
}

impl Decode for Day {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let day = node.text().and_then(Day::parse);
        if day.is_none() {
            diagnostics.error(node.position, format!("expected a day such as `2026-11-01`, found {}", node.describe()));
        }
        day
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", &["2026-11-01"])
    }
}

/// A month of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// Its first day.
    pub first: Day,
    /// How many days it has.
    pub length: u32,
}

impl Month {
    /// The month in which `day` lies. Past the year 9999, the 30 days from `day` on.
    pub fn of(day: Day) -> Month {
        let Some(date) = day.date() else { return Month { first: day, length: 30 } };
        let length = date.month().length(date.year());
        Month { first: Day(day.0.saturating_sub(u32::from(date.day()) - 1)), length: length.into() }
    }

    /// Its days.
    pub fn days(self) -> impl Iterator<Item = Day> {
        self.range().map(Day)
    }

    /// Whether `day` lies in it.
    pub fn contains(self, day: Day) -> bool {
        self.range().contains(&day.0)
    }

    fn range(self) -> Range<u32> {
        self.first.0..self.first.0.saturating_add(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_are_those_of_the_calendar() {
        // day, weekday, first day of its month, length of the month
        let cases = [
            ("1970-01-01", 3, "1970-01-01", 31),
            ("2024-02-29", 3, "2024-02-01", 29),
            ("2026-02-28", 5, "2026-02-01", 28),
            ("2026-11-21", 5, "2026-11-01", 30),
            ("2026-12-31", 3, "2026-12-01", 31),
        ];
        for (text, weekday, first, length) in cases {
            let day = Day::parse(text).unwrap();
            assert_eq!((day.to_string().as_str(), day.weekday()), (text, weekday));
            let month = Month::of(day);
            assert_eq!((month.first.to_string().as_str(), month.length), (first, length));
            assert!(month.contains(day) && month.days().count() == length as usize);
        }
        for bad in ["2026-02-29", "2026-2-1", "2026-11-01T", "tomorrow", "1969-12-31"] {
            assert_eq!(Day::parse(bad), None, "{bad}");
        }
        assert_eq!(Month::of(Day(u32::MAX)).length, 30);
    }
}
