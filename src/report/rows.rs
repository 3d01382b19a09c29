//! The rows of a report's tables and charts, as plain data.

use crate::cost::{Day, Money};
use crate::verdict::Class;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

fn class<S: Serializer>(class: &Class, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(class.word())
}

/// What somebody took in the period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Amount {
    /// Reads.
    pub reads: u64,
    /// Bytes of requests that are billed: pages of refusals are not among them.
    pub bytes: u64,
    /// Bytes towards where they cost something.
    pub paid_bytes: u64,
    /// What a month of that costs.
    pub cost: Money,
}

/// One class.
#[derive(Debug, Clone, Serialize)]
pub struct ClassRow {
    /// The class.
    #[serde(serialize_with = "class")]
    pub class: Class,
    /// Whether scrapers are in it.
    pub scraper: bool,
    /// What it took.
    #[serde(flatten)]
    pub amount: Amount,
    /// How much more than in the week before, as a part of that; it needs two weeks, and some traffic in the first.
    pub change: Option<f64>,
    /// Requests by the word for what was or would have been done with them.
    pub done: BTreeMap<&'static str, u64>,
}

/// One class at one site.
#[derive(Debug, Clone, Serialize)]
pub struct SiteRow {
    /// The site.
    pub site: String,
    /// The class.
    #[serde(serialize_with = "class")]
    pub class: Class,
    /// What it took there.
    #[serde(flatten)]
    pub amount: Amount,
}

/// Where paid bytes left from.
#[derive(Debug, Clone, Serialize)]
pub struct SourceRow {
    /// The site.
    pub site: String,
    /// The origin or bucket.
    pub source: String,
    /// What was taken there.
    #[serde(flatten)]
    pub amount: Amount,
}

/// Somebody who should not have been stopped.
#[derive(Debug, Clone, Serialize)]
pub struct Hurt {
    /// The prefix.
    pub prefix: String,
    /// What it is for the books.
    #[serde(serialize_with = "class")]
    pub class: Class,
    /// The rule.
    pub rule: String,
    /// What it did.
    pub action: &'static str,
    /// Requests, at least.
    pub requests: u64,
    /// Bytes, at least.
    pub bytes: u64,
}

/// A rule that hung on something unknown.
#[derive(Debug, Clone, Serialize)]
pub struct UndecidedRow {
    /// The rule.
    pub rule: String,
    /// Reads.
    pub reads: u64,
    /// Paid bytes.
    pub paid_bytes: u64,
}

/// What CI that is outside the source's region costs.
#[derive(Debug, Clone, Serialize)]
pub struct CiOutside {
    /// Its bytes in the period.
    pub bytes: u64,
    /// What a month costs less when it reads from within the region.
    pub saving: Money,
}

/// What a gateway in front adds to the bill.
#[derive(Debug, Clone, Serialize)]
pub struct InFront {
    /// Where it stands.
    pub location: String,
    /// What a month costs without it.
    pub without: Money,
    /// What a month costs with it, if it keeps nobody away.
    pub with: Money,
}

/// The month of the last day.
#[derive(Debug, Clone, Serialize)]
pub struct MonthRow {
    /// Its first day.
    pub first: Day,
    /// What the days that are known cost.
    pub to_date: Money,
    /// What the whole month will cost.
    pub projected: Money,
    /// The month costs no less than this, nineteen times out of twenty.
    pub low: Money,
    /// The month costs no more than this, nineteen times out of twenty.
    pub high: Money,
}

/// Bytes of one day by class, in the order of [`CLASSES`](super::CLASSES).
#[derive(Debug, Clone, Serialize)]
pub struct DayRow {
    /// The day.
    pub day: Day,
    /// Bytes.
    pub bytes: [u64; 6],
}

/// Requests per hour of the seven days that had most.
#[derive(Debug, Clone, Serialize)]
pub struct Hours {
    /// The first day.
    pub from: Day,
    /// Requests of each hour.
    pub requests: Vec<u64>,
}

/// What did not come through the gateway.
#[derive(Debug, Clone, Serialize)]
pub struct Around {
    /// Its reads.
    pub reads: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Those of them towards where they cost something.
    pub paid_bytes: u64,
    /// The part of all paid bytes that this is, of all bytes where none are paid.
    pub share: f64,
    /// The class that took most of it.
    #[serde(serialize_with = "class")]
    pub most: Class,
    /// Requests that the gateway itself sent there.
    pub redirected: u64,
}

/// Who or what took most.
#[derive(Debug, Clone, Serialize)]
pub struct Top {
    /// Its class, or its site.
    pub of: String,
    /// The prefix, the User-Agent or the beginning of a path. Text that clients send.
    pub what: String,
    /// Requests, at least.
    pub requests: u64,
    /// Bytes, at least.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn and(self, other: Amount) -> Amount {
        Amount {
            reads: self.reads + other.reads,
            bytes: self.bytes + other.bytes,
            paid_bytes: self.paid_bytes + other.paid_bytes,
            cost: self.cost + other.cost,
        }
    }
}
