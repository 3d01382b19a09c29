//! Whether the evidence says that rules of mode `auto` are enforced now.
//!
//! [`Rates`] counts what has just happened, minute by minute. [`Switch`] judges it against the thresholds of the policy's
//! `auto` section. Pure: the time is an argument, and nothing is switched in here.

mod rates;
mod sample;
mod settings;
mod switch;

pub use rates::{Rates, Sums};
pub use sample::SampleSettings;
pub use settings::{AutoSettings, TriggerSettings};
pub use switch::{Condition, Measured, Switch, Switched};
