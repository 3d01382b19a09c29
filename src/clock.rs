//! Time as an argument.
//!
//! Nothing in the pure core asks what time it is: it is told. Whoever owns a request asks a [`Clock`] once and passes
//! the [`Timestamp`] on, so that tests set the time and replay uses the log's.

use crate::document::{Decode, Diagnostics, Node, Schemas, pattern};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Whole seconds since the Unix epoch.
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The time from `earlier` to this, zero when `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, duration: Duration) -> Timestamp {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.0.saturating_add(millis))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(at.0)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Timestamp {
        Timestamp(0) + at.duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// A moment as RFC 3339 writes it, such as `2026-11-01T00:00:00Z`, to the second.
impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok();
        let seconds = at.and_then(|at| u64::try_from(at.unix_timestamp()).ok());
        let wanted = || format!("expected a moment such as `2026-11-01T00:00:00Z`, found `{text}`");
        seconds.map(|seconds| Timestamp(seconds * 1000)).ok_or_else(wanted)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.seconds()).unwrap_or(i64::MAX);
        match OffsetDateTime::from_unix_timestamp(seconds) {
            Ok(at) => {
                let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
                let (hour, minute, second) = at.to_hms();
                write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
            }
            Err(_) => write!(f, "{seconds} s after 1970"),
        }
    }
}

/// A day, which stands for its first moment in UTC, or a moment: how long something is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl Decode for Moment {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let read = node.text().and_then(|text| text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).ok());
        if read.is_none() {
            let wanted = "expected a day such as `2026-11-01` or a moment such as `2026-11-01T00:00:00Z`";
            diagnostics.error(node.position, format!("{wanted}, found {}", node.describe()));
        }
        read.map(Moment)
    }

    fn schema(_: &mut Schemas) -> Value {
        let examples = ["2026-11-01", "2026-11-01T00:00:00Z"];
        pattern(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(.[0-9]{2}:[0-9]{2}:[0-9]{2}|$)", &examples)
    }
}

impl Decode for Timestamp {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let read = match node.text() {
            Some(text) => text.parse(),
            None => Err(format!("expected a moment such as `2026-11-01T00:00:00Z`, found {}", node.describe())),
        };
        read.map_err(|message| diagnostics.error(node.position, message)).ok()
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}.[0-9]{2}:[0-9]{2}:[0-9]{2}", &["2026-11-01T00:00:00Z"])
    }
}

/// Lets something through once in a while, however often there is cause for it.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    last: AtomicU64,
}

impl Throttle {
    /// Lets through what comes first, and then once in each `interval` at most.
    pub const fn new(interval: Duration) -> Self {
        Throttle { interval, last: AtomicU64::new(0) }
    }

    /// Whether it is due at `now`, and if so, that it was let through.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        let due = last == 0 || now.since(Timestamp(last)) >= self.interval;
        due && self.last.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The time now. It may jump: clocks are set.
    fn now(&self) -> Timestamp;

    /// The time since some moment in the past. It never goes back.
    fn elapsed(&self) -> Duration;
}

/// A clock that stands still until it is moved. For tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        ManualClock(AtomicU64::new(start.0))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Moves the clock forward to `now`, if it is not there yet.
    pub fn advance_to(&self, now: Timestamp) {
        self.0.fetch_max(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now().0)
    }
}
