//! Quantities as operators write them: `20 GB`, `5/s`, `400d`.

use crate::document::{Decode, Diagnostics, Node, Schemas, pattern};
use serde_json::{Value, json};
use std::time::Duration;

/// A number of bytes. `kB`, `MB`, `GB`, `TB` are powers of 1000 as in bills; `KiB` to `TiB` powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// So many per so long, e.g. `5/s` or `100/min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least 1.
    pub count: u32,
    /// Per how long.
    pub per: Duration,
}

/// So many bytes per so long, e.g. `20 GB/day` or `50 MB/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// How many; at least 1.
    pub bytes: Bytes,
    /// Per how long.
    pub per: Duration,
}

/// Bytes per second, e.g. `256 KiB/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteRate(pub u64);

/// Splits `20 GB` into its number and its unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim()))
}

/// Reads a duration: a number and one of `ms`, `s`, `m`, `min`, `h`, `d`, `w`.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => 0.001,
        other => unit_seconds(other)?,
    };
    Duration::try_from_secs_f64(number * seconds).ok().filter(|d| !d.is_zero())
}

/// What durations look like, as a regular expression.
pub const DURATION: &str = r"^\s*[0-9.]+\s*(ms|s|second|m|min|minute|h|hour|d|day|w|week)\s*$";
const RATE: &str = r"^\s*\+?[0-9]+\s*/\s*(s|second|m|min|minute|h|hour|d|day|w|week)\s*$";
const BYTES: &str = r"^\s*[0-9.]+\s*(B|[kKMGT]B|[KMGT]iB)?\s*$";
const VOLUME: &str = r"^\s*[0-9.]+\s*(B|[kKMGT]B|[KMGT]iB)?\s*/\s*(s|second|m|min|minute|h|hour|d|day|w|week)\s*$";
const BYTE_RATE: &str = r"^\s*[0-9.]+\s*(B|[kKMGT]B|[KMGT]iB)?\s*/\s*(s|second)\s*$";

/// A duration in its largest unit that leaves nothing over; below a millisecond it is lost.
pub fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let whole = units.into_iter().find(|(_, length)| millis >= *length && millis.is_multiple_of(*length));
    whole.map_or_else(|| "0s".into(), |(unit, length)| format!("{}{unit}", millis / length))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "s" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        "d" | "day" => 86_400.0,
        "w" | "week" => 604_800.0,
        _ => return None,
    })
}

fn bytes(text: &str) -> Option<Bytes> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "B" | "" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    let total = number * factor as f64;
    (total <= u64::MAX as f64).then_some(Bytes(total as u64))
}

fn rate(text: &str) -> Option<Rate> {
    let (count, unit) = text.split_once('/')?;
    let count = count.trim().parse().ok().filter(|count| *count > 0)?;
    let per = Duration::try_from_secs_f64(unit_seconds(unit.trim())?).ok()?;
    Some(Rate { count, per })
}

fn volume(text: &str) -> Option<Volume> {
    let (size, unit) = text.split_once('/')?;
    let bytes = bytes(size).filter(|bytes| bytes.0 > 0)?;
    let per = Duration::try_from_secs_f64(unit_seconds(unit.trim())?).ok()?;
    Some(Volume { bytes, per })
}

/// Reads bytes per second, such as `256 KiB/s`.
pub fn byte_rate(text: &str) -> Option<ByteRate> {
    let (size, unit) = text.split_once('/')?;
    matches!(unit.trim(), "s" | "second").then(|| bytes(size)).flatten().map(|bytes| ByteRate(bytes.0))
}

fn decode<T>(read: fn(&str) -> Option<T>, wanted: &str, node: &Node, diagnostics: &mut Diagnostics) -> Option<T> {
    let value = node.text().and_then(read);
    if value.is_none() {
        diagnostics.error(node.position, format!("expected {wanted}, found {}", node.describe()));
    }
    value
}

impl Decode for Bytes {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        decode(bytes, "a size such as `300 MB` or `2 GiB`", node, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        json!({"type": ["string", "number"], "pattern": BYTES, "minimum": 0, "examples": ["300 MB", "2 GiB"]})
    }

    fn written(&self) -> Option<Value> {
        Some(match self.0 {
            bytes if bytes.is_multiple_of(1_000_000) => format!("{} MB", bytes / 1_000_000).into(),
            bytes => bytes.into(),
        })
    }
}

impl Decode for ByteRate {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        decode(byte_rate, "bytes per second such as `256 KiB/s`", node, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern(BYTE_RATE, &["256 KiB/s", "2 MB/s"])
    }
}

impl Decode for Volume {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        decode(volume, "bytes per time such as `20 GB/day` or `50 MB/s`", node, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern(VOLUME, &["20 GB/day", "50 MB/s"])
    }
}

impl Decode for Rate {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        decode(rate, "a rate such as `5/s` or `100/min`", node, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern(RATE, &["5/s", "100/min"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_operators_write() {
        assert_eq!(bytes("300 MB"), Some(Bytes(300_000_000)));
        assert_eq!(bytes("1.5GiB"), Some(Bytes(1_610_612_736)));
        assert_eq!(bytes("5 XB"), None);
        assert_eq!(bytes("-5 MB"), None);
        assert_eq!(rate("5/s"), Some(Rate { count: 5, per: Duration::from_secs(1) }));
        assert_eq!(rate("100 / min"), Some(Rate { count: 100, per: Duration::from_secs(60) }));
        assert_eq!(rate("0/s"), None);
        assert_eq!(rate("5/fortnight"), None);
        let day = Duration::from_secs(86_400);
        assert_eq!(volume("2 TB/day"), Some(Volume { bytes: Bytes(2_000_000_000_000), per: day }));
        assert_eq!(volume("0 B/s"), None);
        assert_eq!(volume("20 GB"), None);
        assert_eq!(duration("6h"), Some(Duration::from_secs(21_600)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("0s"), None);
        assert_eq!(duration("5"), None);
        for text in ["250ms", "30s", "90m", "36h"] {
            assert_eq!(written(duration(text).unwrap()), text);
        }
    }
}
