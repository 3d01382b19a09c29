//! The report: is protection needed, what does traffic cost, whom would the policy hurt.
//!
//! [`Report::new`] turns the books of [`traffic`](crate::traffic), prices of [`cost`](crate::cost) and the policy's
//! thresholds into plain data. [`text()`], [`markdown()`], [`html()`] and [`json()`] write it down; they say the same, and
//! calculate nothing. Pure: no I/O and no clock. Text that clients sent is made harmless by each renderer.
//!
//! **Tables are of the last seven whole days**, dollars of a month like these days. Shares of dollars are averages,
//! savings are marginal: see [`cost`](crate::cost).

mod build;
mod charts;
mod data;
mod decide;
mod evidence;
mod html;
mod markdown;
mod people;
mod projected;
mod rows;
mod sample;
mod sentences;
mod settings;
mod stores;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod wording;

pub use data::{Answer, Basis, CLASSES, Effect, Measure, Need, Reason, Report};
pub use evidence::{Evidence, LeftOut, whole_days};
pub use html::html;
pub use markdown::markdown;
pub use projected::projected;
pub use rows::{
    Amount, CiOutside, ClassRow, DayRow, Hours, Hurt, InFront, MonthRow, SiteRow, SourceRow, Top, UndecidedRow,
};
pub use sample::{Cluster, Estimate, FEWEST, SampleRow, estimate, sampled};
pub use sentences::answer as headline;
pub use settings::{ConditionSettings, DecisionSettings, Growth, Monthly, Percent, ThresholdSettings};
pub use stores::{Named, Removal, SecondStore, Showed, second_stores, second_stores_text};
pub use text::text;
pub use wording::{aligned, bytes, counted, grouped};

/// The report for machines: its fields as they stand, `version` 1.
pub fn json(report: &Report) -> String {
    // Plain data: there is no key that is not text, and no number that JSON lacks.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}
