//! Solves a challenge on all cores.

#![allow(clippy::disallowed_methods, reason = "rank 5: a challenge expires, and progress is told")]

use crate::challenge::cachewalk::Walker;
use crate::challenge::{ALGORITHM, Offer};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// No gateway asks for more than this: `challenge.tiers` and `challenge.harder` of a policy end there.
const HARDEST: u32 = 8192;
/// No more solutions are asked for, or rounds for each: whoever does is after something else than a pass.
const MOST_SOLUTIONS: usize = 64;
const MOST_ROUNDS: u32 = 1 << 14;
/// How many nonces a worker takes at a time.
const BATCH: u64 = 16;
/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// How far a solution has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solving {
    /// Nonces that were found.
    pub found: usize,
    /// Nonces that are asked for.
    pub count: usize,
    /// What is to be expected from here, by the speed so far. Chance may have it otherwise: nothing tells beforehand
    /// which nonces are solutions.
    pub left: Option<Duration>,
}

/// Whether this is a challenge that can be solved here.
///
/// # Errors
/// When its function is not known, or it asks for more work than any gateway may.
pub(super) fn check(offer: &Offer) -> Result<(), String> {
    if offer.algorithm != ALGORITHM {
        let name = crate::printable::printable(&offer.algorithm);
        return Err(format!("the challenge `{name}` is not known; is there a newer windscreen?"));
    }
    let sane = (1..=HARDEST).contains(&offer.difficulty)
        && (1..=MOST_SOLUTIONS).contains(&offer.count)
        && offer.rounds <= MOST_ROUNDS;
    if sane { Ok(()) } else { Err("the challenge asks for more work than a gateway may".into()) }
}

/// Finds the nonces that `offer` asks for, in rising order. `None` where that takes until `deadline`. Blocks.
pub(super) fn solve(offer: &Offer, deadline: Instant, tell: impl Fn(Solving)) -> Option<Vec<u32>> {
    let (next, trials, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (sender, receiver) = channel();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let sender = sender.clone();
            scope.spawn(|| {
                let sender = sender;
                let mut walker = Walker::new(&offer.challenge);
                while !over.load(Ordering::Relaxed) {
                    let from = next.fetch_add(BATCH, Ordering::Relaxed);
                    for nonce in from..from + BATCH {
                        let Ok(nonce) = u32::try_from(nonce) else { return };
                        if walker.solves(nonce, offer.rounds, offer.difficulty) {
                            // Nobody listens any more when enough are found.
                            let _ = sender.send(nonce);
                        }
                    }
                    trials.fetch_add(BATCH, Ordering::Relaxed);
                }
            });
        }
        drop(sender);
        let mut found = Vec::new();
        let mut told = began;
        while found.len() < offer.count && Instant::now() < deadline {
            match receiver.recv_timeout(TICK) {
                Ok(nonce) => found.push(nonce),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if told.elapsed() >= TICK {
                told = Instant::now();
                let tried = trials.load(Ordering::Relaxed) as f64;
                let missing = (offer.count - found.len()) as f64 * f64::from(offer.difficulty);
                let left = Duration::try_from_secs_f64(began.elapsed().as_secs_f64() / tried * missing).ok();
                tell(Solving { found: found.len(), count: offer.count, left });
            }
        }
        over.store(true, Ordering::Relaxed);
        found.sort_unstable();
        (found.len() == offer.count).then_some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::challenge::cachewalk;

    #[test]
    fn all_cores_find_what_one_finds() {
        let offer = Offer { count: 4, ..Offer::new("test-challenge-0".into(), 16, "logs") };
        let nonces = solve(&offer, Instant::now() + Duration::from_secs(60), |_| {}).unwrap();
        assert!(nonces.windows(2).all(|pair| pair[0] < pair[1]), "{nonces:?}");
        let mut walker = Walker::new(&offer.challenge);
        assert!(nonces.iter().all(|nonce| walker.solves(*nonce, offer.rounds, 16)), "{nonces:?}");
        let alone = cachewalk::solve("test-challenge-0", 4, offer.rounds, 16);
        assert!(alone[3] <= nonces[3], "{alone:?} {nonces:?}");
        assert_eq!(solve(&offer, Instant::now(), |_| {}), None, "no time");
    }

    #[test]
    fn work_without_end_is_refused() {
        let good = Offer::new("x".into(), 1024, "logs");
        assert_eq!(check(&good), Ok(()));
        let bad = [
            Offer { algorithm: "sha256".into(), ..good.clone() },
            Offer { difficulty: 1 << 20, ..good.clone() },
            Offer { difficulty: 0, ..good.clone() },
            Offer { count: 1 << 20, ..good.clone() },
            Offer { count: 0, ..good.clone() },
            Offer { rounds: u32::MAX, ..good },
        ];
        for offer in bad {
            assert!(check(&offer).is_err(), "{offer:?}");
        }
    }
}
