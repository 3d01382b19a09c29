//! What a sample says of all: the interval of the share that solves holds the truth as often as it says.

use crate::simulator::chance::Chance;
use crate::simulator::strangers::{Crowd, Session, Stranger};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use windscreen::clock::Timestamp;
use windscreen::network::IpNet;
use windscreen::report::{Estimate, sampled};
use windscreen::state::SAMPLE_POINTS;
use windscreen::traffic::{Books, HOUR, Outcome, Sighting, sample_point, session};

const MONDAY: u64 = 498_696;
/// Sessions of a prefix that count in an hour.
const MOST: f64 = 16.0;

fn solves(session: &Session) -> bool {
    matches!(session.who, Stranger::Reader | Stranger::Headless)
}

/// The share of all sessions that would solve.
fn truth(sessions: &[Session]) -> f64 {
    let mut prefixes: BTreeMap<(u64, u32), (f64, f64)> = BTreeMap::new();
    for session in sessions {
        let (all, solved) = prefixes.entry((session.hour, session.prefix)).or_default();
        *all += 1.0;
        *solved += f64::from(u32::from(solves(session)));
    }
    let sum = prefixes.values().fold((0.0, 0.0), |sum, (all, solved)| {
        let count = MOST.min(*all);
        (sum.0 + count, sum.1 + count * solved / all)
    });
    sum.1 / sum.0
}

/// What two gateways see of a sample of `share`, told by one of them who has the books of both.
fn told(sessions: &[Session], share: f64, seed: u64) -> (usize, Option<Estimate>) {
    let secret = u128::from(seed).to_le_bytes();
    let below = (share * SAMPLE_POINTS as f64) as u64;
    let mut chance = Chance::new(&[seed]);
    let mut gateways = [Books::default(), Books::default()];
    for each in sessions {
        let at = Timestamp((MONDAY + each.hour) * HOUR + chance.below(HOUR));
        let prefix = IpNet::new_assert(Ipv4Addr::from(each.prefix << 8).into(), 24);
        let point = sample_point(&secret, prefix, at);
        if point >= below {
            continue;
        }
        let number = session(point, "logs", &format!("Mozilla/5.0 ({})", each.agent));
        let mut see = |outcome| {
            let gateway = &mut gateways[chance.below(2) as usize];
            gateway.enter_sighting(Sighting { at, point, below, session: number, outcome });
        };
        // Some load the page twice.
        (0..1 + each.agent % 2).for_each(|_| see(Outcome::Shown));
        match each.who {
            Stranger::Reader | Stranger::Headless => see(Outcome::Solved),
            Stranger::Waiter => see(Outcome::Waited),
            Stranger::Leaver | Stranger::Plain => {}
        }
    }
    let [mut books, other] = gateways;
    books.merge(&other);
    let row = sampled(&books, MONDAY, seed).unwrap();
    (row.prefix_hours, row.solvers)
}

#[test]
fn in_at_least_930_of_1000_seeds() {
    let mut covered = BTreeMap::<&str, u32>::new();
    let (mut widths, mut prefixes) = (BTreeMap::<&str, f64>::new(), BTreeMap::<&str, usize>::new());
    for seed in 0..1000u64 {
        let (kind, crowd) = Crowd::KINDS[seed as usize % 4];
        let sessions = crowd.sessions(seed);
        let truth = truth(&sessions);
        let (drawn, estimate) = told(&sessions, [0.03, 0.05, 0.1][seed as usize % 3], seed);
        let Estimate { share, low, high } = estimate.unwrap();
        assert!(low <= share && share <= high && high - low < 0.8, "{kind} {seed}: {low} {share} {high}");
        *covered.entry(kind).or_default() += u32::from(low <= truth && truth <= high);
        *widths.entry(kind).or_default() += (high - low) / 250.0;
        *prefixes.entry(kind).or_default() += drawn;
    }
    println!("of 250 each, the truth is within the interval: {covered:?}");
    println!("widths in the mean: {widths:.3?}; prefixes by the hour in all: {prefixes:?}");
    assert!(covered.values().sum::<u32>() >= 930, "{covered:?}");
    assert!(covered.values().all(|count| *count >= 225), "{covered:?}");
    assert!(widths.values().all(|width| *width < 0.25), "it says something, too: {widths:?}");
}
