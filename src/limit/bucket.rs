//! The generic cell rate algorithm (ITU-T I.371, as a virtual schedule): a budget that is spent at once and comes back
//! evenly. Its whole state is one number, the theoretical arrival time: when all that was taken has been given back.

use std::time::Duration;

/// A budget: how much may be taken at once, and how fast it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    /// So many units come back ...
    amount: u64,
    /// ... in so many nanoseconds.
    period: u64,
    /// What may be owed, in nanoseconds: as long as it takes until all of the budget has come back.
    tolerance: u64,
    /// No taking here makes anybody owe more than this, in nanoseconds.
    most: u64,
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Bucket {
    /// A budget of `size` units, of which `amount` come back per `period`. What is taken beyond it counts up to `debt`.
    pub(super) fn new(size: u64, amount: u64, period: Duration, debt: Duration) -> Self {
        let mut bucket = Bucket { amount: amount.max(1), period: nanos(period).max(1), tolerance: 0, most: 0 };
        bucket.tolerance = bucket.cost(size.max(1));
        bucket.most = bucket.tolerance.saturating_add(nanos(debt));
        bucket
    }

    /// How long it takes until `units` have come back, in nanoseconds.
    pub(super) fn cost(&self, units: u64) -> u64 {
        let cost = u128::from(units) * u128::from(self.period) / u128::from(self.amount);
        u64::try_from(cost).unwrap_or(u64::MAX)
    }

    /// Takes `units` whatever is left.
    pub(super) fn take(&self, due: &mut u64, units: u64, now: u64) {
        let owed = due.saturating_sub(now);
        *due = now.saturating_add(owed.saturating_add(self.cost(units)).min(self.most.max(owed)));
    }

    /// What was owed to a bucket of other rates, as this one counts: the units stay, the time changes.
    pub(super) fn taken_over(&self, due: u64, other: &Bucket, now: u64) -> u64 {
        let per_unit = |bucket: &Bucket| bucket.period as f64 / bucket.amount as f64;
        let owed = due.saturating_sub(now) as f64 * per_unit(self) / per_unit(other);
        now.saturating_add((owed as u64).min(self.most))
    }

    /// Gives back `units` that were taken and not used.
    pub(super) fn give_back(&self, due: &mut u64, units: u64) {
        *due = due.saturating_sub(self.cost(units));
    }

    /// How long to wait until `units` more are within the budget, in nanoseconds; 0 when they are now.
    pub(super) fn wait(&self, due: u64, units: u64, now: u64) -> u64 {
        due.saturating_sub(now).saturating_add(self.cost(units)).saturating_sub(self.tolerance)
    }

    /// How many units may be taken now.
    pub(super) fn left(&self, due: u64, now: u64) -> u64 {
        let free = self.tolerance.saturating_sub(due.saturating_sub(now));
        let units = u128::from(free) * u128::from(self.amount) / u128::from(self.period);
        u64::try_from(units).unwrap_or(u64::MAX)
    }

    /// How many units may be taken at once.
    pub(super) fn size(&self) -> u64 {
        self.left(0, 0)
    }

    /// In which time an empty budget fills.
    pub(super) fn window(&self) -> Duration {
        Duration::from_nanos(self.tolerance)
    }

    /// What nobody owes more than, whatever replicas report, in nanoseconds. Far enough off that what several of them
    /// let through at once is given back before anything else is let through.
    pub(super) fn horizon(&self) -> u64 {
        self.tolerance.saturating_mul(64).max(self.most)
    }
}
