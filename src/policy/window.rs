//! Time windows: hours of the day, days of the week, and from when until when. All in UTC.

use crate::clock::Timestamp;
use crate::document::{Decode, Diagnostics, Node, Schemas, choose, pattern, words};
use serde_json::Value;

const DAY: u64 = 86_400;

/// A time of the day, in seconds since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u64);

impl Decode for TimeOfDay {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let read = |text: &str| {
            let (hour, minute) = text.split_once(':').filter(|(_, minute)| minute.len() == 2)?;
            let (hour, minute): (u64, u64) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(TimeOfDay(hour * 3600 + minute * 60))
        };
        let time = node.text().and_then(read);
        if time.is_none() {
            diagnostics.error(
                node.position,
                format!("expected a time of the day such as `'22:30'`, found {}", node.describe()),
            );
        }
        time
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern(r"^\+?0*([01]?[0-9]|2[0-3]):([0-5][0-9]|\+[0-9])$", &["08:00", "22:30"])
    }
}

/// A day of the week, from 0 for Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day(u64);

const DAYS: [(&str, u64); 7] = [("mon", 0), ("tue", 1), ("wed", 2), ("thu", 3), ("fri", 4), ("sat", 5), ("sun", 6)];

impl Decode for Day {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "day", &DAYS, diagnostics).map(Day)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&DAYS)
    }
}

crate::settings! {
    /// `time: {...}`. All that is given must hold.
    struct WindowSettings {
        /// Days of the week, in UTC; a window that crosses midnight belongs to the day on which it begins.
        days: Vec<Day> = Vec::new(),
        /// From this time of the day on; midnight where absent.
        from: Option<TimeOfDay> = None,
        /// Until this time of the day; midnight where absent. Earlier than `from`: it crosses midnight.
        to: Option<TimeOfDay> = None,
        /// From this moment on.
        after: Option<Timestamp> = None,
        /// Until this moment.
        before: Option<Timestamp> = None,
    }
}

/// A compiled time window.
#[derive(Debug)]
pub struct Window(WindowSettings);

impl Decode for Window {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let settings = WindowSettings::decode(node, diagnostics)?;
        let empty = settings.from.is_some() && settings.from == settings.to;
        let past = settings.after.zip(settings.before).is_some_and(|(after, before)| after >= before);
        if empty || past {
            diagnostics.error(node.position, "this window is empty: it ends where it begins, or before");
        }
        Some(Window(settings))
    }

    fn schema(schemas: &mut Schemas) -> Value {
        WindowSettings::schema(schemas)
    }
}

impl Window {
    /// Whether `now` lies in it.
    pub fn contains(&self, now: Timestamp) -> bool {
        let window = &self.0;
        if window.after.is_some_and(|after| now < after) || window.before.is_some_and(|before| now >= before) {
            return false;
        }
        let (day, second) = (now.seconds() / DAY, now.seconds() % DAY);
        let from = window.from.map_or(0, |from| from.0);
        let to = window.to.map_or(DAY, |to| to.0);
        let (inside, began) = match from < to {
            true => ((from..to).contains(&second), day),
            // It crosses midnight: the part behind it began the day before.
            false if second < to => (true, day.saturating_sub(1)),
            false => (second >= from, day),
        };
        // 1970-01-01 was a Thursday.
        inside && (window.days.is_empty() || window.days.contains(&Day((began + 3) % 7)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_open_and_close() {
        // window, moment, inside
        let cases = [
            ("{from: '08:00', to: '18:00'}", "2026-11-21T08:00:00Z", true),
            ("{from: '08:00', to: '18:00'}", "2026-11-21T18:00:00Z", false),
            ("{from: '22:00', to: '06:00'}", "2026-11-21T23:00:00Z", true),
            ("{from: '22:00', to: '06:00'}", "2026-11-21T05:59:59Z", true),
            ("{from: '22:00', to: '06:00'}", "2026-11-21T06:00:00Z", false),
            ("{days: [sat, sun]}", "2026-11-21T12:00:00Z", true),
            ("{days: [mon]}", "2026-11-21T12:00:00Z", false),
            ("{days: fri, from: '22:00', to: '06:00'}", "2026-11-21T01:00:00Z", true),
            ("{days: sat, from: '22:00', to: '06:00'}", "2026-11-21T01:00:00Z", false),
            ("{after: '2026-11-21T00:00:00+01:00'}", "2026-11-20T23:00:00Z", true),
            ("{before: 2026-11-21T00:00:00Z}", "2026-11-21T00:00:00Z", false),
            ("{to: '06:00'}", "2026-11-21T05:00:00Z", true),
        ];
        for (text, moment, expected) in cases {
            let mut diagnostics = Diagnostics::new("x");
            let window: Window = crate::document::read(text, &mut diagnostics).unwrap();
            let moment: Timestamp = moment.parse().unwrap();
            assert_eq!(diagnostics.to_string(), "");
            assert_eq!(window.contains(moment), expected, "{text} {moment}");
        }
    }
}
