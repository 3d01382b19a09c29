//! The `ledger` section of the gateway file.

use crate::document::{Decode, Diagnostics, Node, Schemas, Spanned, choose, words};
use crate::quantity::Bytes;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

crate::settings! {
    /// Where it is kept who took how much, hour by hour.
    pub struct LedgerSettings {
        /// The file, of SQLite; its directory must exist, and be no network file system. Relative to the gateway file.
        path: Spanned<PathBuf>,
        /// How long hours are kept, a day or longer.
        keep: Keep = Keep(Duration::from_secs(400 * 86_400)),
        /// How large the file may become, 10 MB or more. Beyond, who took most goes first where it is older than a week,
        /// then the oldest days go.
        max_size: MaxSize = MaxSize(Bytes(1_000_000_000)),
        /// What is kept of clients' addresses: their prefixes (`prefix`), names that follow from them by a key beside the
        /// file (`hashed`), or nothing but how many there were in an hour (`none`). User-Agents and the first two
        /// segments of paths are kept in any case.
        addresses: KeptAddresses = KeptAddresses::Prefix,
        /// How often it is written: so much is lost when the process is killed.
        interval: Interval = Interval(Duration::from_secs(30)),
    }
}

/// How long hours are kept: a day or longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep(pub Duration);

/// How large the file may become: 10 MB or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxSize(pub Bytes);

/// How often the file is written: 1 s to 1 min.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval(pub Duration);

/// What is kept of clients' addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptAddresses {
    /// Their prefixes.
    Prefix,
    /// Names that follow from the prefixes by a key beside the file.
    Hashed,
    /// How many there were.
    None,
}

impl KeptAddresses {
    const WORDS: [(&'static str, KeptAddresses); 3] =
        [("prefix", KeptAddresses::Prefix), ("hashed", KeptAddresses::Hashed), ("none", KeptAddresses::None)];
}

impl KeptAddresses {
    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

impl Decode for KeptAddresses {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "way to keep addresses", &Self::WORDS, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&Self::WORDS)
    }

    fn written(&self) -> Option<Value> {
        Some(Self::WORDS[*self as usize].0.into())
    }
}

/// Implements `Decode` for a type around another one, of which not all values are good.
macro_rules! decode_within {
    ($($type:ident($inner:ty), $good:expr, $wanted:literal;)*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
                let value = <$inner>::decode(node, diagnostics)?;
                let good: fn($inner) -> bool = $good;
                if !good(value) {
                    diagnostics.error(node.position, format!("expected {}, found {}", $wanted, node.describe()));
                    return None;
                }
                Some($type(value))
            }

            fn schema(schemas: &mut Schemas) -> Value {
                <$inner>::schema(schemas)
            }

            fn written(&self) -> Option<Value> {
                self.0.written()
            }
        }
    )*};
}

decode_within! {
    Keep(Duration), |keep| keep >= Duration::from_secs(86_400), "a duration of `1d` or longer";
    MaxSize(Bytes), |size| size.0 >= 10_000_000, "a size of `10 MB` or more";
    Interval(Duration), |interval| (1_000..=60_000).contains(&interval.as_millis()), "a duration from `1s` to `1m`";
}
