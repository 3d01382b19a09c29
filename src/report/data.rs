//! A report as plain data: what renderers turn into text, and what its JSON holds.

use super::evidence::LeftOut;
use super::rows::{
    Amount, CiOutside, ClassRow, DayRow, Hours, Hurt, InFront, MonthRow, SiteRow, SourceRow, Top, UndecidedRow,
};
use super::sample::SampleRow;
use crate::cost::{Alternative, Day, Money};
use crate::verdict::Class;
use serde::Serialize;

/// Classes in the order of reports.
pub const CLASSES: [Class; 6] =
    [Class::Ci, Class::Tool, Class::Human, Class::DeclaredBot, Class::Suspect, Class::Unknown];

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

impl Measure {
    /// Every measure with its word.
    pub const WORDS: [(&'static str, Measure); 4] = [
        ("cost", Measure::Cost),
        ("origin_errors", Measure::OriginErrors),
        ("share_of_paid_bytes", Measure::ShareOfPaidBytes),
        ("growth", Measure::Growth),
    ];
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
    /// Who solved of those whom the sample challenged, in the last seven days of all evidence.
    pub sample: Option<SampleRow>,
    /// What nobody can tell, by rule.
    pub undecided: Vec<UndecidedRow>,
    /// CI outside the region, where that is the dearest of all.
    pub ci_outside: Option<CiOutside>,
    /// Other ways to deliver the same.
    pub offers: Vec<Alternative>,
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
