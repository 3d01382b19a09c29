//! Prices and sizes as bills write them, read without floats.

use crate::document::{Decode, Diagnostics, Node, Schemas, choose, number, words};
use serde_json::{Value, json};

/// What a provider means by a GB. Its TB is 1024 or 1000 of them accordingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gigabyte {
    /// 2³⁰ bytes. AWS bills so: its examples turn 107,374,182,400 bytes into 100 GB (Amazon S3 FAQ, "Billing"), and in
    /// its price list the tier "first 10 TB" ends at 10,240 GB.
    Binary,
    /// 10⁹ bytes.
    Decimal,
}

impl Gigabyte {
    const WORDS: [(&'static str, Gigabyte); 2] = [("binary", Gigabyte::Binary), ("decimal", Gigabyte::Decimal)];

    /// How many bytes it is.
    pub const fn bytes(self) -> u64 {
        match self {
            Gigabyte::Binary => 1 << 30,
            Gigabyte::Decimal => 1_000_000_000,
        }
    }
}

impl Decode for Gigabyte {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "kind of gigabyte", &Self::WORDS, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&Self::WORDS)
    }
}

/// A price in nano-dollars: of a GB, or of 1,000 requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Price(pub u64);

impl Price {
    /// Nothing.
    pub const FREE: Price = Price(0);
    /// A thousand dollars. Who writes more has most likely written another unit.
    const MOST: u128 = 1_000_000_000_000;

    /// A price of so many nano-dollars.
    pub const fn nanos(nanos: u64) -> Price {
        Price(nanos)
    }
}

impl Decode for Price {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let nanos = node.text().and_then(|text| fixed(text, 9)).filter(|nanos| *nanos <= Price::MOST);
        let price = nanos.and_then(|nanos| u64::try_from(nanos).ok()).map(Price);
        if price.is_none() {
            let wanted = "a price in dollars such as `0.09`, at most 1000 and with at most 9 decimals";
            diagnostics.error(node.position, format!("expected {wanted}, found {}", node.describe()));
        }
        price
    }

    fn schema(_: &mut Schemas) -> Value {
        number(0.0..=1000.0)
    }
}

/// A size in the units of a provider: `100 GB` is a hundred times what it calls a GB. `GiB` and `TiB` are always
/// binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    millionths: u128,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    /// So many powers of 1024 or 1000, by the provider's GB.
    Provider(u32),
    Binary(u32),
}

const SIZE: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*(B|[kKMGTP]B|[KMGTP]iB)?\s*$";

impl Size {
    fn parse(text: &str) -> Option<Size> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let unit = match text[end..].trim() {
            "" | "B" => Unit::Bytes,
            "kB" | "KB" => Unit::Provider(1),
            "MB" => Unit::Provider(2),
            "GB" => Unit::Provider(3),
            "TB" => Unit::Provider(4),
            "PB" => Unit::Provider(5),
            "KiB" => Unit::Binary(1),
            "MiB" => Unit::Binary(2),
            "GiB" => Unit::Binary(3),
            "TiB" => Unit::Binary(4),
            "PiB" => Unit::Binary(5),
            _ => return None,
        };
        let size = Size { millionths: fixed(&text[..end], 6)?, unit };
        // The smallest reading must fit; the largest then is below twice as much, and stops at the end of u64.
        (size.exact(Gigabyte::Decimal) <= u64::MAX.into()).then_some(size)
    }

    fn exact(&self, gigabyte: Gigabyte) -> u128 {
        let base: u128 = match gigabyte {
            Gigabyte::Binary => 1024,
            Gigabyte::Decimal => 1000,
        };
        let factor = match self.unit {
            Unit::Bytes => 1,
            Unit::Provider(power) => base.pow(power),
            Unit::Binary(power) => 1024u128.pow(power),
        };
        self.millionths.saturating_mul(factor) / 1_000_000
    }

    /// How many bytes it is where a GB is `gigabyte`.
    pub fn bytes(&self, gigabyte: Gigabyte) -> u64 {
        u64::try_from(self.exact(gigabyte)).unwrap_or(u64::MAX)
    }
}

impl Decode for Size {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let size = node.text().and_then(Size::parse);
        if size.is_none() {
            let message = format!("expected a size such as `100 GB` or `10 TB`, found {}", node.describe());
            diagnostics.error(node.position, message);
        }
        size
    }

    fn schema(_: &mut Schemas) -> Value {
        json!({"type": ["string", "number"], "pattern": SIZE, "minimum": 0, "examples": ["100 GB", "10 TB"]})
    }
}

/// Reads a number without a sign as a whole number of its `places`-th decimals. `None` where it has more decimals, or
/// is none.
pub fn fixed(text: &str, places: usize) -> Option<u128> {
    let (whole, decimals) = text.split_once('.').map_or((text, None), |(whole, decimals)| (whole, Some(decimals)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || whole.len() > 20 || decimals.is_some_and(|part| !digits(part) || part.len() > places) {
        return None;
    }
    format!("{whole}{:0<places$}", decimals.unwrap_or_default()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        let cases = [
            ("0.09", Some(90_000_000)),
            ("0.0004", Some(400_000)),
            ("0.000000001", Some(1)),
            ("0.0000000001", None),
            ("12", Some(12_000_000_000)),
            ("-1", None),
            ("1e3", None),
            (".5", None),
            ("5.", None),
            ("", None),
        ];
        for (text, nanos) in cases {
            assert_eq!(fixed(text, 9), nanos, "{text}");
        }
    }

    #[test]
    fn a_size_is_read_in_the_providers_unit() {
        let cases = [
            ("100 GB", 107_374_182_400, 100_000_000_000),
            ("10 TB", 10 << 40, 10_000_000_000_000),
            ("1.5 GB", 1_610_612_736, 1_500_000_000),
            ("1 GiB", 1 << 30, 1 << 30),
            ("7", 7, 7),
            ("0 GB", 0, 0),
        ];
        for (text, binary, decimal) in cases {
            let size = Size::parse(text).unwrap();
            assert_eq!((size.bytes(Gigabyte::Binary), size.bytes(Gigabyte::Decimal)), (binary, decimal), "{text}");
        }
        for bad in ["GB", "-1 GB", "1 XB", "1e3 GB", "20000 PB", "99999999999999999999 PB"] {
            assert_eq!(Size::parse(bad), None, "{bad}");
        }
    }
}
