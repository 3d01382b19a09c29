//! Days, weeks and what people do in them. Times are milliseconds since 1970, UTC.

/// A second.
pub const SECOND: i64 = 1000;
/// An hour.
pub const HOUR: i64 = 3600 * SECOND;
/// A day.
pub const DAY: i64 = 24 * HOUR;

/// Whether a time is on a Saturday or Sunday.
pub fn is_weekend(at_ms: i64) -> bool {
    // 1 January 1970 was a Thursday.
    matches!((at_ms.div_euclid(DAY) + 3).rem_euclid(7), 5 | 6)
}

/// Year, month and day of a number of days since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
pub fn date(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month as u32, day as u32)
}

/// Hour, minute and second of a time.
pub fn clock(at_ms: i64) -> (u32, u32, u32) {
    let seconds = at_ms.div_euclid(SECOND).rem_euclid(86_400) as u32;
    (seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The first millisecond of a date. Months and days count from 1.
pub fn midnight(year: i64, month: u32, day: u32) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * (i64::from(month) + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era - 719_468) * DAY
}

/// How busy somebody is at each hour of a week. The mean over a week is 1, so that a rate "per day" holds over weeks.
#[derive(Debug, Clone)]
pub struct Rhythm {
    hours: [f64; 168],
}

impl Rhythm {
    /// A day's shape (its scale does not matter), in a time zone that is `ahead` of UTC by hours, and how busy a day of
    /// the weekend is, where others are 1.
    pub fn new(shape: [f64; 24], ahead: i64, weekend: f64) -> Self {
        let mut hours = [0.0; 168];
        for (hour, weight) in (0_i64..).zip(hours.iter_mut()) {
            let local = hour * HOUR + ahead * HOUR;
            let day = if is_weekend(local) { weekend } else { 1.0 };
            *weight = shape[local.rem_euclid(DAY) as usize / HOUR as usize] * day;
        }
        let mean = hours.iter().sum::<f64>() / 168.0;
        Self { hours: hours.map(|weight| weight / mean) }
    }

    /// Always as busy.
    pub fn flat() -> Self {
        Self::new([1.0; 24], 0, 1.0)
    }

    /// Programs that work for people: less at night and on weekends.
    pub fn machines() -> Self {
        Self::new(Self::work().map(|weight| weight + 3.0), 0, 0.5)
    }

    /// People at work, `ahead` of UTC by hours.
    pub fn people(ahead: i64) -> Self {
        Self::new(Self::work(), ahead, 0.12)
    }

    fn work() -> [f64; 24] {
        let mut shape = [0.05; 24];
        shape[6..24].copy_from_slice(&[
            0.3, 1.5, 5.0, 9.0, 10.0, 10.0, 6.0, 8.0, 10.0, 10.0, 8.0, 5.0, 2.5, 2.0, 2.2, 2.0, 1.0, 0.4,
        ]);
        shape
    }

    /// When `amount` milliseconds of mean business have gone by since `at_ms`. Most a year later.
    pub fn after(&self, at_ms: i64, amount: f64) -> i64 {
        let (mut at, mut left) = (at_ms, amount.max(0.0));
        let end = at_ms + 365 * DAY;
        while at < end {
            let weight = self.hours[at.div_euclid(HOUR).rem_euclid(168) as usize];
            let until = (at.div_euclid(HOUR) + 1) * HOUR;
            let worth = (until - at) as f64 * weight;
            if left < worth {
                return at + (left / weight) as i64;
            }
            left -= worth;
            at = until;
        }
        end
    }
}
