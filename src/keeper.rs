//! Keeps what was counted over a restart: a file that is written every minute and at the end, and read at the start.
//!
//! Without it, and without replicas that know, everybody has a full budget again after a restart. One line per counter,
//! readable and without secrets: keys are keyed hashes, of strikes the prefix.

#![allow(clippy::disallowed_methods, reason = "rank 4: reads a file and waits")]

use crate::clock::{Clock, Timestamp};
use crate::document::Spanned;
use crate::exchange::{Change, CounterId, Replicated, spaces};
use crate::files::{PRIVATE, replace};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often it is written: so much is lost when the process is killed.
const INTERVAL: Duration = Duration::from_secs(60);
const HEADER: &str = "windscreen counters 1";

crate::settings! {
    /// Where what was counted is kept over a restart.
    pub struct KeeperSettings {
        /// The file; its directory must exist. Relative to the gateway file.
        file: Spanned<PathBuf>,
    }
}

/// Writes and reads the file.
pub struct Keeper {
    file: Option<PathBuf>,
    counters: Vec<Arc<dyn Replicated>>,
    clock: Arc<dyn Clock>,
}

fn written(id: &CounterId, change: &Change, lines: &mut String) {
    let CounterId { space, scope, key } = id;
    let _ = write!(lines, "{space} {scope:x} {key:x} ");
    let _ = match change {
        Change::Due { view, most, .. } => writeln!(lines, "due {view} {most}"),
        Change::Sum { view, expires, .. } => writeln!(lines, "sum {view} {}", expires.0),
        Change::Decaying { view, half_life, .. } => writeln!(lines, "decaying {view} {}", half_life.as_millis()),
        Change::Members { seen, expires } => {
            let seen: Vec<String> = seen.iter().map(|(member, at)| format!("{member:x}:{}", at.0)).collect();
            writeln!(lines, "members {} {}", seen.join(","), expires.0)
        }
    };
}

/// What a line says, as of now: `ago` has passed since it was written.
fn read(line: &str, ago: Duration) -> Option<(CounterId, Change)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [space, scope, key, kind, first, second] = *words.as_slice() else { return None };
    // A word that is not known is of another version, and left out.
    let space = spaces::ALL.into_iter().find(|known| *known == space)?;
    let (scope, key) = (u64::from_str_radix(scope, 16).ok()?, u128::from_str_radix(key, 16).ok()?);
    let second: u64 = second.parse().ok()?;
    let change = match kind {
        "due" => {
            let owed: u64 = first.parse().ok()?;
            let passed = u64::try_from(ago.as_micros()).unwrap_or(u64::MAX);
            Change::Due { add: 0, view: owed.min(second).saturating_sub(passed), most: second }
        }
        "sum" => Change::Sum { add: 0, view: first.parse().ok()?, expires: Timestamp(second) },
        "decaying" => {
            let half_life = Duration::from_millis(second.max(1));
            let view = first.parse::<f64>().ok()? * (-(ago.as_secs_f64() / half_life.as_secs_f64())).exp2();
            Change::Decaying { add: 0.0, view, half_life }
        }
        "members" => {
            let member = |text: &str| {
                let (member, at) = text.split_once(':')?;
                Some((u64::from_str_radix(member, 16).ok()?, Timestamp(at.parse().ok()?)))
            };
            let seen = first.split(',').filter(|text| !text.is_empty()).map(member).collect::<Option<_>>()?;
            Change::Members { seen, expires: Timestamp(second) }
        }
        _ => return None,
    };
    Some((CounterId { space, scope, key }, change))
}

impl Keeper {
    /// Keeps what `counters` know, in a file where there are `settings`.
    pub fn new(settings: Option<&KeeperSettings>, counters: Vec<Arc<dyn Replicated>>, clock: Arc<dyn Clock>) -> Self {
        Keeper { file: settings.map(|settings| settings.file.value.clone()), counters, clock }
    }

    /// What was counted, as text.
    pub fn tell(&self) -> String {
        let mut text = format!("{HEADER} {}\n", self.clock.now().0);
        for (id, change) in self.counters.iter().flat_map(|counters| counters.keep()) {
            written(&id, &change, &mut text);
        }
        text
    }

    /// Writes the file, all of it or nothing. What goes wrong is logged.
    pub fn save(&self) {
        let Some(file) = &self.file else { return };
        let text = self.tell();
        if let Err(error) = replace(file, text.as_bytes(), PRIVATE) {
            tracing::warn!(file = %file.display(), %error, "what was counted could not be written down");
        }
    }

    /// Reads what an earlier process has written, if there is something.
    pub fn restore(&self) {
        let Some(file) = &self.file else { return };
        match std::fs::read_to_string(file) {
            Ok(text) => self.hear(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "what was counted before could not be read");
            }
        }
    }

    /// Counts on from what [`tell`](Self::tell) said. A line that cannot be read is left out.
    pub fn hear(&self, text: &str) {
        let mut lines = text.lines();
        let at = lines.next().and_then(|line| line.strip_prefix(HEADER)?.trim().parse().ok()).map(Timestamp);
        let Some(at) = at else {
            tracing::warn!("what was counted before was not written by this version: it is not read");
            return;
        };
        let (now, mut unread, mut kept) = (self.clock.now(), 0, Vec::new());
        for line in lines {
            match read(line, now.since(at)) {
                Some((_, Change::Sum { expires, .. } | Change::Members { expires, .. })) if expires <= now => {}
                Some(counter) => kept.push(counter),
                None => unread += 1,
            }
        }
        for counters in &self.counters {
            counters.restore(&kept);
        }
        tracing::info!(counters = kept.len(), unread, "what was counted before the restart counts on");
    }

    /// Writes the file every minute.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let keeper = self.clone();
            // It may be megabytes.
            let _ = tokio::task::spawn_blocking(move || keeper.save()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_of_now() {
        let id = CounterId { space: "requests", scope: 0xab, key: u128::MAX };
        let (expires, hour) = (Timestamp(9_000_000), Duration::from_secs(3600));
        let cases = [
            (
                Change::Due { add: 5, view: 7_000_000, most: 9_000_000 },
                Change::Due { add: 0, view: 5_000_000, most: 9_000_000 },
            ),
            (Change::Sum { add: 5, view: 7, expires }, Change::Sum { add: 0, view: 7, expires }),
            (
                Change::Members { seen: vec![(u64::MAX, Timestamp(3)), (1, Timestamp(4))], expires },
                Change::Members { seen: vec![(u64::MAX, Timestamp(3)), (1, Timestamp(4))], expires },
            ),
            (Change::Members { seen: Vec::new(), expires }, Change::Members { seen: Vec::new(), expires }),
        ];
        for (change, expected) in cases {
            let mut line = String::new();
            written(&id, &change, &mut line);
            assert_eq!(read(line.trim_end_matches('\n'), Duration::from_secs(2)), Some((id, expected)), "{line}");
        }
        let mut line = String::new();
        written(&id, &Change::Decaying { add: 1.0, view: 8.0, half_life: hour }, &mut line);
        let expected = Change::Decaying { add: 0.0, view: 4.0, half_life: hour };
        assert_eq!(read(line.trim(), hour), Some((id, expected)));
    }

    #[test]
    fn lines_that_make_no_sense_are_left_out() {
        for line in [
            "",
            "requests",
            "requests 0 0 due x 5",
            "else 0 0 due 1 5",
            "requests 0 0 due 1 5 6",
            "requests 0 zz sum 1 5",
        ] {
            assert_eq!(read(line, Duration::ZERO), None, "{line}");
        }
    }
}
