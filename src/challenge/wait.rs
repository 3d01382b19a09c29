//! The way without JavaScript: a link that is worth a small pass once some time has gone by.
//!
//! It costs a scraper nothing but time, and waiting for many links at once takes no longer than for one: what bounds it
//! are the limits that it is charged to.

use super::keys::SigningKeys;
use super::puzzle::{Puzzle, RedeemError};
use crate::clock::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

/// Where the link leads; what it holds is the query.
pub const WAIT_PATH: &str = "/.windscreen/wait";
/// Where it is looked whether the browser has kept the pass.
pub const ARRIVED_PATH: &str = "/.windscreen/arrived";
/// How long a link may be followed. Whoever reads the page by ear takes longer than a script.
const LIFETIME: Duration = Duration::from_secs(600);
/// A longer target is not kept in a link: it would take too much of the page.
const LONGEST_TARGET: usize = 1500;

const PURPOSE: &str = "wait";

/// What a link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SealedWait {
    /// What it is worth, and to whom: as of a challenge.
    pub puzzle: Puzzle,
    /// The target of the request that was challenged.
    pub target: String,
}

impl SealedWait {
    /// The link's query. `None` where the target is too long.
    pub fn seal(&self, keys: &SigningKeys) -> Option<String> {
        let target = Some(&self.target).filter(|target| target.len() <= LONGEST_TARGET)?;
        Some(keys.seal(PURPOSE, &format!("{}~{}", self.puzzle.fields(keys), URL_SAFE_NO_PAD.encode(target))))
    }

    /// Reads a query that one of `keys` sealed.
    pub fn open(keys: &SigningKeys, sealed: &str) -> Result<Self, RedeemError> {
        let fields = keys.open(PURPOSE, sealed).ok_or(RedeemError::Forged)?;
        let (target, fields) = fields.split_last().ok_or(RedeemError::Forged)?;
        let target = URL_SAFE_NO_PAD.decode(target).ok().and_then(|target| String::from_utf8(target).ok());
        Ok(SealedWait { puzzle: Puzzle::from_fields(fields)?, target: target.ok_or(RedeemError::Forged)? })
    }

    /// When it can no longer be followed.
    pub fn expires(&self) -> Timestamp {
        self.puzzle.issued + LIFETIME
    }
}
