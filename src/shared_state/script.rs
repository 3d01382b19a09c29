//! Changes as one command of the store, and its answer as totals.
//!
//! The script is sent whole each time: it is a twentieth of a full batch, and a store that has restarted, failed over or
//! been flushed has nothing to be told first.

use super::pending::{Key, MEMBERS, newest};
use crate::clock::Timestamp;
use crate::exchange::{Change, CounterId, Total};
use redis::{Cmd, Value, cmd};
use std::fmt::Display;
use std::time::Duration;

/// So many simple counters go into one command. The server does nothing else meanwhile: 3 ms of a slow one.
pub const BATCH: usize = 256;

/// The version of keys and values.
const VERSION: u8 = 1;
pub(super) const SCRIPT: &str = include_str!("exchange.lua");
/// About 142 years in microseconds: added to the time of the day they stay where doubles are exact.
const LARGEST: u64 = 1 << 52;

/// The key of something in the store.
pub fn key(prefix: &str, space: &str, scope: u64, key: impl std::fmt::LowerHex) -> String {
    format!("{prefix}:{VERSION}:{space}:{scope:x}:{key:032x}")
}

/// How many of `changes` go into the next command, at least one where there are any. A set takes the server as long as two
/// to six simple counters.
pub fn batch_of(changes: &[(Key, Change)]) -> usize {
    let mut weight = 0;
    let fitting = changes.iter().take_while(|(_, change)| {
        weight += match change {
            Change::Members { seen, .. } => 2 + seen.len().min(MEMBERS) / 4,
            _ => 1,
        };
        weight <= BATCH
    });
    fitting.count()
}

/// The command that exchanges `batch`.
pub fn command<'a>(
    prefix: &str,
    batch: impl ExactSizeIterator<Item = (&'a CounterId, &'a Change)> + Clone,
    now: Timestamp,
) -> Cmd {
    command_of(SCRIPT, prefix, batch, now)
}

pub(super) fn command_of<'a>(
    script: &str,
    prefix: &str,
    batch: impl ExactSizeIterator<Item = (&'a CounterId, &'a Change)> + Clone,
    now: Timestamp,
) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(script).arg(batch.len());
    for (id, _) in batch.clone() {
        command.arg(key(prefix, id.space, id.scope, id.key));
    }
    for (_, change) in batch {
        let life = |expires: &Timestamp| millis(expires.since(now)).to_string();
        let whole = |number: &u64| (*number).min(LARGEST).to_string();
        match change {
            Change::Due { add, view, most } => arguments(&mut command, "due", [whole(add), whole(view), whole(most)]),
            Change::Sum { add, view, expires } => {
                arguments(&mut command, "sum", [whole(add), whole(view), life(expires)]);
            }
            Change::Decaying { add, view, half_life } => {
                let half_life = u64::try_from(half_life.as_micros()).unwrap_or(LARGEST).clamp(1, LARGEST).to_string();
                arguments(&mut command, "decaying", [number(*add), number(*view), half_life]);
            }
            Change::Members { seen, expires } => {
                let seen: Vec<String> =
                    newest(seen.clone()).iter().map(|(member, at)| format!("{} {member:016x}", at.0)).collect();
                arguments(&mut command, "members", [life(expires), String::new(), seen.join(" ")]);
            }
        }
    }
    command
}

fn arguments(command: &mut Cmd, kind: &str, words: [impl Display; 3]) {
    command.arg(kind);
    for word in words {
        command.arg(word.to_string());
    }
}

/// A number that the script can count with.
fn number(value: f64) -> String {
    format!("{:e}", if value.is_finite() { value.clamp(0.0, 1e15) } else { 0.0 })
}

/// Milliseconds for the store: at least 1, for it takes no 0, and at most ten years.
pub fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).clamp(1, 10 * 366 * 86_400_000)
}

/// What the store answered for `change`; `None` where that is no answer to it.
pub fn total(change: &Change, answer: Value) -> Option<Total> {
    match (change, answer) {
        (Change::Due { .. }, Value::Int(owed)) => u64::try_from(owed).ok().map(Total::Due),
        (Change::Sum { .. }, Value::Int(sum)) => u64::try_from(sum).ok().map(Total::Sum),
        (Change::Decaying { .. }, Value::BulkString(text)) => {
            let value: f64 = std::str::from_utf8(&text).ok()?.parse().ok()?;
            (value.is_finite() && value >= 0.0).then_some(Total::Decaying(value))
        }
        (Change::Members { .. }, Value::Array(items)) => {
            let words: Vec<String> = items.into_iter().map(redis::from_redis_value).collect::<Result<_, _>>().ok()?;
            let member = |pair: &[String]| {
                let at: f64 = pair.get(1)?.parse().ok()?;
                Some((u64::from_str_radix(pair.first()?, 16).ok()?, Timestamp(at as u64)))
            };
            words.chunks(2).map(member).collect::<Option<Vec<_>>>().map(Total::Members)
        }
        _ => None,
    }
}
