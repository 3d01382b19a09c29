//! One challenge: a signed string that holds everything that decides about it.

use super::cachewalk::Walker;
use super::keys::{SigningKeys, id_from_hex};
use crate::clock::Timestamp;
use crate::network::IpNet;
use std::time::Duration;

/// How long a challenge may be solved.
pub const LIFETIME: Duration = Duration::from_secs(120);
/// Solutions per challenge; sixteen make the waiting time even.
pub const SOLUTIONS: usize = 16;
/// Length of the walk.
pub const ROUNDS: u32 = 4096;

const PURPOSE: &str = "challenge";
const VERSION: &str = "c1";

/// What a challenge says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Puzzle {
    /// The site that the pass will be for.
    pub site: String,
    /// One in so many nonces is a solution.
    pub difficulty: u32,
    /// When it was issued.
    pub issued: Timestamp,
    /// Sixteen random bytes.
    pub id: [u8; 16],
    /// The prefix that it was issued to.
    pub prefix: IpNet,
    /// The prefix that the client had before, where it has moved since it got a challenge. There is one such move.
    pub before: Option<IpNet>,
}

/// Why a submission bought no pass. The words are label values of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RedeemError {
    /// Not a submission at all, or its nonces are too few, too many or not strictly increasing.
    #[error("the submission is malformed")]
    Malformed,
    /// None of our keys signed the challenge.
    #[error("the challenge was not issued here")]
    Forged,
    /// Older than 120 s, or from the future.
    #[error("the challenge has expired")]
    Expired,
    /// Issued for another site.
    #[error("the challenge is for another site")]
    Site,
    /// Issued to another prefix.
    #[error("the challenge was issued to another network")]
    Prefix,
    /// The prefix has submitted too many.
    #[error("too many submissions from your network")]
    Quota,
    /// Spent already.
    #[error("the challenge was already used")]
    Spent,
    /// The table of spent challenges is full of others'.
    #[error("too many challenges are being solved at the moment")]
    Full,
    /// The client's network has bought too many passes.
    #[error("too many passes were given to your network lately")]
    Passes,
    /// A nonce is not a solution.
    #[error("the solution is wrong")]
    Wrong,
}

impl RedeemError {
    /// Every reason.
    pub const ALL: [RedeemError; 10] = [
        RedeemError::Malformed,
        RedeemError::Forged,
        RedeemError::Expired,
        RedeemError::Site,
        RedeemError::Prefix,
        RedeemError::Quota,
        RedeemError::Spent,
        RedeemError::Full,
        RedeemError::Passes,
        RedeemError::Wrong,
    ];

    /// The word for it in metrics and the access log.
    pub fn word(self) -> &'static str {
        match self {
            RedeemError::Malformed => "malformed",
            RedeemError::Forged => "forged",
            RedeemError::Expired => "expired",
            RedeemError::Site => "site",
            RedeemError::Prefix => "prefix",
            RedeemError::Quota => "quota",
            RedeemError::Spent => "spent",
            RedeemError::Full => "full",
            RedeemError::Passes => "passes",
            RedeemError::Wrong => "wrong",
        }
    }
}

impl Puzzle {
    /// The challenge string that the browser solves and sends back.
    pub fn seal(&self, keys: &SigningKeys) -> String {
        keys.seal(PURPOSE, &self.fields(keys))
    }

    /// What is sealed.
    pub(super) fn fields(&self, keys: &SigningKeys) -> String {
        let before = self.before.map(|before| format!("~{before}")).unwrap_or_default();
        format!(
            "{VERSION}~{}~{}~{}~{}~{}~{}{before}",
            keys.current(),
            self.site,
            self.difficulty,
            self.issued.0,
            hex::encode(self.id),
            self.prefix,
        )
    }

    /// Reads a challenge string that one of `keys` sealed.
    pub fn open(keys: &SigningKeys, sealed: &str) -> Result<Self, RedeemError> {
        Puzzle::from_fields(&keys.open(PURPOSE, sealed).ok_or(RedeemError::Forged)?)
    }

    /// Reads what was sealed.
    pub(super) fn from_fields(fields: &[&str]) -> Result<Self, RedeemError> {
        let [VERSION, _, site, difficulty, issued, id, prefix, ref before @ ..] = fields[..] else {
            return Err(RedeemError::Forged);
        };
        let ([] | [_]) = before else { return Err(RedeemError::Forged) };
        let puzzle = || {
            Some(Puzzle {
                site: site.to_owned(),
                difficulty: difficulty.parse().ok()?,
                issued: Timestamp(issued.parse().ok()?),
                id: id_from_hex(id)?,
                prefix: prefix.parse().ok()?,
                before: before.first().map(|before| before.parse()).transpose().ok()?,
            })
        };
        puzzle().ok_or(RedeemError::Forged)
    }

    /// Whether a client of this prefix may submit it.
    pub fn is_for(&self, prefix: IpNet) -> bool {
        self.prefix == prefix || self.before == Some(prefix)
    }

    /// When it can no longer be submitted.
    pub fn expires(&self) -> Timestamp {
        self.issued + LIFETIME
    }
}

/// Whether `nonces` have the shape of a solution.
pub(super) fn well_formed(nonces: &[u32]) -> bool {
    nonces.len() == SOLUTIONS && nonces.windows(2).all(|pair| pair[0] < pair[1])
}

/// Which two of `count` nonces are checked: every pair as likely as any other.
fn picked(count: usize, random: u64) -> [usize; 2] {
    let count = count as u64;
    let first = random % count;
    let step = 1 + (random >> 32) % (count - 1);
    [first as usize, ((first + step) % count) as usize]
}

/// Checks two of the sixteen nonces, picked by `random`. Cheating with m real ones costs more than solving all.
pub(super) fn two_hold(sealed: &str, puzzle: &Puzzle, nonces: &[u32], random: u64) -> bool {
    let mut walker = Walker::new(sealed);
    picked(nonces.len(), random).iter().all(|index| walker.solves(nonces[*index], ROUNDS, puzzle.difficulty))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn cheating_with_some_solutions_costs_more_than_having_all() {
        const TRIES: u32 = 10_000;
        let mut random = StdRng::seed_from_u64(7);
        for good in [1, 2, 4, 8, 12, 15] {
            let passes = |random: &mut StdRng| picked(SOLUTIONS, random.random()).iter().all(|index| *index < good);
            let passed = (0..TRIES).filter(|_| passes(&mut random)).count() as f64;
            let chance = (good * (good - 1)) as f64 / (SOLUTIONS * (SOLUTIONS - 1)) as f64;
            let expected = chance * f64::from(TRIES);
            let spread = (expected * (1.0 - chance)).sqrt();
            assert!((passed - expected).abs() <= 4.0 * spread, "{good} of 16: {passed} passed, {expected} expected");
            // Each failure spends the challenge, so this many solutions are found for one pass.
            assert!(good as f64 / chance > SOLUTIONS as f64, "{good} of 16");
        }
    }
}
