//! What the sample says: which share of those who were challenged solves.
//!
//! A session is one User-Agent at one site, of one prefix in one hour, that opened a page without a pass. The share asked
//! for is that of all such sessions; the estimate is the one among those that were drawn. Sessions of a prefix are alike,
//! be it an office or a machine that changes its name, so they were drawn together, and it is prefixes by the hour that are
//! drawn again to see how sure this is: 1,000 times, from those that there are and two more, of mean size, of which one
//! solves and one does not, without which few of a kind would pass for none. The interval holds what the resampled shares
//! say, and what they say in units of their own errors (bootstrap-t of the log odds: B. Efron, R. Tibshirani, An
//! introduction to the bootstrap, 1993, chapter 12): the one is too narrow where prefixes differ much in size, the other
//! where few of them solve, or nearly all.

use crate::traffic::{Books, Drawn};
use serde::Serialize;

/// With fewer prefixes by the hour nothing is said.
pub const FEWEST: usize = 30;
/// How often they are drawn again.
const RESAMPLES: usize = 1000;
/// More of them are dealt into so many bundles, which costs nothing but digits.
const BUNDLES: usize = 2048;
/// The part of resamples that is left out at either end.
const TAIL: f64 = 0.025;

/// A share, and the interval that holds the truth 95 times out of 100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// From 0 to 1.
    pub share: f64,
    /// Its lower bound.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
}

/// What became of the sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleRow {
    /// Prefixes that were drawn and had sessions, each hour by itself.
    pub prefix_hours: usize,
    /// Sessions that were challenged.
    pub sessions: u64,
    /// Of these, who solved.
    pub solved: u64,
    /// Of these, who waited for a pass instead.
    pub waited: u64,
    /// Of those who solved, who then acted like no browser.
    pub suspicious: u64,
    /// How many prefixes by the hour it takes to tell more.
    pub fewest: usize,
    /// The share that solves; `None` while there are fewer.
    pub solvers: Option<Estimate>,
}

/// A prefix of an hour: how many sessions it stands for, and how many that solve.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cluster {
    /// Sessions.
    pub sessions: f64,
    /// Of these, who solve.
    pub solved: f64,
}

/// What became of the sample in the hours from number `from` on; `None` where nobody was challenged. `seed` decides how
/// it is resampled.
pub fn sampled(books: &Books, from: u64, seed: u64) -> Option<SampleRow> {
    let hours = books.hours.range(from..);
    let drawn: Vec<(f64, Drawn)> =
        hours.flat_map(|(_, hour)| hour.sampled.drawn().map(|drawn| (hour.sampled.share(), drawn))).collect();
    let sum = |of: fn(&Drawn) -> u32| drawn.iter().map(|(_, drawn)| u64::from(of(drawn))).sum();
    // Where fewer are drawn, each stands for more.
    let clusters: Vec<Cluster> = drawn
        .iter()
        .map(|(share, drawn)| Cluster {
            sessions: f64::from(drawn.shown) / share,
            solved: f64::from(drawn.solved) / share,
        })
        .collect();
    (!drawn.is_empty()).then(|| SampleRow {
        prefix_hours: drawn.len(),
        sessions: sum(|drawn| drawn.shown),
        solved: sum(|drawn| drawn.solved),
        waited: sum(|drawn| drawn.waited),
        suspicious: sum(|drawn| drawn.suspicious),
        fewest: FEWEST,
        solvers: estimate(&clusters, seed),
    })
}

/// The share of sessions that solve. `None` where there are fewer than [`FEWEST`] clusters.
pub fn estimate(clusters: &[Cluster], seed: u64) -> Option<Estimate> {
    let count = clusters.len();
    if count < FEWEST {
        return None;
    }
    let mut sums = vec![Sums::default(); count.min(BUNDLES)];
    let bundles = sums.len();
    let mut dealt = vec![Cluster::default(); bundles];
    for (number, cluster) in clusters.iter().enumerate() {
        let bundle = &mut dealt[number % bundles];
        bundle.sessions += cluster.sessions;
        bundle.solved += cluster.solved;
    }
    let all = dealt.iter().fold(Cluster::default(), |all, one| Cluster {
        sessions: all.sessions + one.sessions,
        solved: all.solved + one.solved,
    });
    let mean = all.sessions / bundles as f64;
    sums.clear();
    let more = [mean, 0.0].map(|solved| Cluster { sessions: mean, solved });
    sums.extend(dealt.iter().chain(&more).map(Sums::of));

    let whole = sums.iter().fold(Sums::default(), Sums::and);
    let (centre, error) = whole.share(sums.len());
    let mut chance = Chance(seed);
    let (mut shares, mut units) = (Vec::with_capacity(RESAMPLES), Vec::with_capacity(RESAMPLES));
    for _ in 0..RESAMPLES {
        let drawn = (0..sums.len()).fold(Sums::default(), |all, _| all.and(&sums[chance.below(sums.len())]));
        let (share, own) = drawn.share(sums.len());
        shares.push(share);
        if own > 0.0 && share > 0.0 && share < 1.0 {
            units.push((logit(share) - logit(centre)) * share * (1.0 - share) / own);
        }
    }
    let (low, high) = ends(&mut shares)?;
    let (least, most) = ends(&mut units).unwrap_or_default();
    // The two that were added keep the centre from both ends.
    let by_error = |units: f64| logistic(logit(centre) - units * error / (centre * (1.0 - centre)));
    let share = all.solved / all.sessions;
    Some(Estimate { share, low: low.min(by_error(most)).min(share), high: high.max(by_error(least)).max(share) })
}

fn logit(share: f64) -> f64 {
    (share / (1.0 - share)).ln()
}

fn logistic(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

/// The values between which all but the tails lie.
fn ends(values: &mut [f64]) -> Option<(f64, f64)> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let tail = (last as f64 * TAIL).round() as usize;
    Some((values[tail], values[last - tail]))
}

/// Sums over clusters: of sessions and solvers, and of their squares and products.
#[derive(Debug, Clone, Copy, Default)]
struct Sums([f64; 5]);

impl Sums {
    fn of(cluster: &Cluster) -> Self {
        let Cluster { sessions, solved } = *cluster;
        Sums([sessions, solved, sessions * sessions, solved * solved, sessions * solved])
    }

    fn and(self, other: &Sums) -> Self {
        Sums(std::array::from_fn(|at| self.0[at] + other.0[at]))
    }

    /// The share of solvers, and its standard error by linearization, over `count` clusters.
    fn share(&self, count: usize) -> (f64, f64) {
        let [sessions, solved, squares, solved_squares, products] = self.0;
        let share = solved / sessions;
        let residuals = (solved_squares - 2.0 * share * products + share * share * squares).max(0.0);
        let count = count as f64;
        (share, (count / (count - 1.0) * residuals).sqrt() / sessions)
    }
}

/// SplitMix64 (Steele and others, 2014), so that a seed says the same whatever is updated elsewhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(count: usize, sessions: u32, solved: u32) -> Vec<Cluster> {
        vec![Cluster { sessions: sessions.into(), solved: solved.into() }; count]
    }

    #[test]
    fn few_prefixes_say_nothing() {
        assert_eq!(estimate(&clusters(FEWEST - 1, 1, 1), 1), None);
        assert!(estimate(&clusters(FEWEST, 1, 1), 1).is_some());
    }

    #[test]
    fn none_and_all_are_not_sure() {
        for (solved, share) in [(0, 0.0), (2, 1.0)] {
            let told = estimate(&clusters(40, 2, solved), 1).unwrap();
            assert_eq!(told.share, share);
            let width = told.high - told.low;
            // The rule of three says 7.5 % for forty.
            assert!((0.05..0.25).contains(&width), "{told:?}");
        }
    }

    #[test]
    fn sessions_of_one_prefix_count_for_less_than_strangers() {
        let alone: Vec<Cluster> =
            (0..320).map(|number| Cluster { sessions: 1.0, solved: f64::from(number % 2) }).collect();
        let together: Vec<Cluster> =
            (0..40).map(|number| Cluster { sessions: 8.0, solved: 8.0 * f64::from(number % 2) }).collect();
        let [alone, together] = [alone, together].map(|clusters| estimate(&clusters, 1).unwrap());
        assert_eq!((alone.share, together.share), (0.5, 0.5));
        let width = |told: Estimate| told.high - told.low;
        assert!((0.09..0.14).contains(&width(alone)), "{alone:?}");
        assert!(width(together) > 2.0 * width(alone), "{together:?}");
    }

    #[test]
    fn a_seed_repeats_and_many_prefixes_are_dealt_into_bundles() {
        let many: Vec<Cluster> = (0..5000)
            .map(|number| Cluster {
                sessions: f64::from(1 + number % 3),
                solved: f64::from(u32::from(number % 5 == 0)),
            })
            .collect();
        let told = estimate(&many, 7).unwrap();
        assert_eq!(estimate(&many, 7), Some(told));
        let truth = 1000.0 / many.iter().map(|cluster| cluster.sessions).sum::<f64>();
        assert!((told.share - truth).abs() < 1e-9 && told.low < truth && truth < told.high, "{told:?} {truth}");
        assert!(told.high - told.low < 0.02, "{told:?}");
    }
}
