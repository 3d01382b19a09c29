//! A report as plain data: what renderers turn into text, and what its JSON holds.

use super::evidence::LeftOut;
use crate::cost::{Day, Money};
use crate::verdict::Class;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Classes in the order of reports.
pub const CLASSES: [Class; 6] =
    [Class::Ci, Class::Tool, Class::Human, Class::DeclaredBot, Class::Suspect, Class::Unknown];

fn class<S: Serializer>(class: &Class, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(class.word())
}

/// Whether protection is needed, as far as the evidence tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// There are fewer days than it takes to tell.
    NotEnoughData,
    /// It is not.
    NotNeeded,
    /// It may soon be.
    Watch,
    /// It is.
    Needed,
}

/// What a threshold looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// What scrapers cost, in dollars a month.
    Cost,
    /// The part of requests to origins that fails.
    OriginErrors,
    /// The part of paid bytes that scrapers take.
    ShareOfPaidBytes,
    /// How many times as much scrapers take as in the week before.
    Growth,
}

/// A threshold that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reason {
    /// What was measured.
    pub measure: Measure,
    /// What it is.
    pub found: f64,
    /// From what on it counts.
    pub threshold: f64,
}

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// Whether protection is needed.
    pub need: Need,
    /// What scrapers cost a month.
    pub scrapers: Money,
    /// What everybody costs a month.
    pub total: Money,
    /// The band that holds the scrapers' cost of a month nine times out of ten; it needs two days.
    pub band: Option<(Money, Money)>,
    /// From which cost on protection is to be watched.
    pub watch_from: Option<Money>,
    /// From which cost on it is needed.
    pub needed_from: Option<Money>,
    /// Why it is needed or to be watched: what the first condition that holds looks at.
    pub reasons: Vec<Reason>,
    /// How many whole days it takes to tell.
    pub min_days: u32,
}

/// What the report is made from.
#[derive(Debug, Clone, Serialize)]
pub struct Basis {
    /// What the books were made from.
    pub described: String,
    /// What is not recorded there.
    pub lacks: String,
    /// The first whole day.
    pub from: Option<Day>,
    /// The last one.
    pub to: Option<Day>,
    /// How many there are.
    pub days: usize,
    /// How many lie between the first and the last.
    pub of_days: usize,
    /// Reads on these days.
    pub reads: u64,
    /// What was not counted.
    pub left_out: LeftOut,
    /// The policy.
    pub policy: String,
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

/// What the policy did or would have done in the period.
#[derive(Debug, Clone, Serialize)]
pub struct Effect {
    /// Bytes of scrapers that it stopped.
    pub bytes: u64,
    /// Requests of scrapers that it stopped.
    pub requests: u64,
    /// What a month without them costs less.
    pub saving: Money,
    /// About how many people there are: prefixes in which the class is human.
    pub people: u64,
    /// How many of them were denied or limited.
    pub hurt_people: u64,
    /// How many of them were asked to wait for a challenge.
    pub challenged_people: u64,
    /// Prefixes of CI that were denied, limited or challenged.
    pub hurt_ci: u64,
    /// Those of them who took most, at most 20.
    pub hurt: Vec<Hurt>,
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

/// One other way to deliver the same.
#[derive(Debug, Clone, Serialize)]
pub struct Offer {
    /// What it is.
    pub name: &'static str,
    /// What it costs by itself.
    pub fee: Money,
    /// What the month costs with it.
    pub total: Money,
    /// What it saves; negative where it costs more.
    pub saving: Money,
    /// Whether the month fits into it.
    pub fits: bool,
    /// Where its prices were read.
    pub source: String,
    /// A day on which they held.
    pub effective: Day,
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

/// Bytes of one day by class, in the order of [`CLASSES`].
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

/// A report.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of this form: 1.
    pub version: u32,
    /// The answer.
    pub answer: Answer,
    /// What it is told from.
    pub evidence: Basis,
    /// The days that tables and sums are of: the last seven whole ones, or as many as there are.
    pub period: Vec<Day>,
    /// By class, those that have traffic.
    pub classes: Vec<ClassRow>,
    /// By site and class, where there is more than one site.
    pub sites: Vec<SiteRow>,
    /// By source, the one with most paid bytes first.
    pub sources: Vec<SourceRow>,
    /// What the policy would have done.
    pub effect: Effect,
    /// What nobody can tell, by rule.
    pub undecided: Vec<UndecidedRow>,
    /// CI outside the region, where that is the dearest of all.
    pub ci_outside: Option<CiOutside>,
    /// Other ways to deliver the same.
    pub offers: Vec<Offer>,
    /// What the gateway itself adds, where it is known where it stands.
    pub gateway: Option<InFront>,
    /// The month, where there are two days.
    pub month: Option<MonthRow>,
    /// When to look again.
    pub look_again: Option<Day>,
    /// Bytes of each day, the last 92.
    pub days: Vec<DayRow>,
    /// The busiest week.
    pub busiest: Option<Hours>,
    /// Prefixes that took most.
    pub takers: Vec<Top>,
    /// User-Agents that took most.
    pub agents: Vec<Top>,
    /// Paths of which most was taken.
    pub paths: Vec<Top>,
}

impl Report {
    /// What everybody took.
    pub fn total(&self) -> Amount {
        self.classes.iter().fold(Amount::default(), |sum, row| sum.and(row.amount))
    }
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
