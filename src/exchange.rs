//! What replicas tell one another: how much was added to a counter, and what it stands at.
//!
//! Every replica counts on its own and never waits for the others. Now and then it hands on what it has added, and
//! takes over what all of them together came to. The stages that count and the store between the replicas know each
//! other only by these types.

use crate::clock::Timestamp;
use async_trait::async_trait;
use std::time::Duration;

/// Everything that is counted, by the words that stand for it in the store and in the file over a restart.
pub mod spaces {
    /// Requests of limits.
    pub const REQUESTS: &str = "requests";
    /// Bytes of limits.
    pub const BYTES: &str = "bytes";
    /// Requests that drew on a pass.
    pub const PASS_REQUESTS: &str = "passrequests";
    /// Bytes that were sent on a pass.
    pub const PASS_BYTES: &str = "passbytes";
    /// Bonuses of a pass.
    pub const PASS_RENEWALS: &str = "passrenewals";
    /// Who uses a pass.
    pub const PASS_PREFIXES: &str = "passprefixes";
    /// Strikes.
    pub const STRIKES: &str = "strikes";

    /// All of them.
    pub const ALL: [&str; 7] = [REQUESTS, BYTES, PASS_REQUESTS, PASS_BYTES, PASS_RENEWALS, PASS_PREFIXES, STRIKES];
}

/// Names one counter, the same in every replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterId {
    /// What is counted: one of [`spaces`], a short word of lower-case letters, part of the key in the store.
    pub space: &'static str,
    /// Which of several tables of one space; 0 where there is but one.
    pub scope: u64,
    /// Whose counter it is: a keyed hash, which tells a reader of the store nothing. Only of strikes it is the prefix.
    pub key: u128,
}

/// What has become of a counter since it was last handed on.
///
/// `view` is where this replica sees the counter, with what it has added itself and what it has heard from others. The
/// store takes it as a lower bound, so that a store that has lost its memory gets it back.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Time owed, in microseconds from now on: it runs down by itself, and at zero nothing is owed.
    Due {
        /// What this replica has added.
        add: u64,
        /// What it sees owed now.
        view: u64,
        /// More than this is never owed.
        most: u64,
    },
    /// A sum that only grows, until it expires.
    Sum {
        /// What this replica has added.
        add: u64,
        /// What it sees.
        view: u64,
        /// When the sum is no longer of interest.
        expires: Timestamp,
    },
    /// A number that halves with every half-life, as of now.
    Decaying {
        /// What this replica has added.
        add: f64,
        /// What it sees.
        view: f64,
        /// In which time it halves.
        half_life: Duration,
    },
    /// A small set of members, by hash, with when each was last seen.
    Members {
        /// The members that this replica knows.
        seen: Vec<(u64, Timestamp)>,
        /// When the set is no longer of interest.
        expires: Timestamp,
    },
}

/// What all replicas together came to, in the units of the [`Change`] that it answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Total {
    /// Time owed from now on, in microseconds.
    Due(u64),
    /// The sum.
    Sum(u64),
    /// The number as of now.
    Decaying(f64),
    /// All members.
    Members(Vec<(u64, Timestamp)>),
}

/// Counters that replicas share.
pub trait Replicated: Send + Sync {
    /// Takes the changes of at most `most` counters that have not been taken yet.
    fn changes(&self, most: usize) -> Vec<(CounterId, Change)>;

    /// Takes over totals, each of a counter whose change was taken.
    fn merge(&self, totals: &[(CounterId, Total)]);

    /// Everything that is worth keeping over a restart, as changes that add nothing.
    fn keep(&self) -> Vec<(CounterId, Change)>;

    /// Takes over what an earlier process kept. Counters of others are none of its business.
    fn restore(&self, kept: &[(CounterId, Change)]);
}

/// The answer of the store when something is to be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spending {
    /// It had not been spent before.
    First,
    /// It was spent before, by whatever replica.
    Again,
    /// The store did not answer in time.
    Unavailable,
}

/// Where that is spent which may be spent once over all replicas.
#[async_trait]
pub trait SpendOnce: Send + Sync {
    /// Spends `id`, which is of no interest after `life`. Waits for a bounded time.
    async fn spend(&self, id: [u8; 16], life: Duration) -> Spending;
}

/// A text that all replicas bring to say the same. Each joins what it hears to what it knows, by one rule for all.
pub trait Agreed: Send + Sync {
    /// Grows with each change that was made here, and that others have to hear of.
    fn own_changes(&self) -> u64;

    /// Takes over the text that others have agreed on, which is empty where there is none. Where that lacks something,
    /// says what should stand there instead, and for how long it is of interest.
    fn join(&self, text: &str) -> Option<(String, Duration)>;
}
