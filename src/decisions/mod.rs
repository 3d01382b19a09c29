//! What operators decide while the gateway runs, beside the policy: whom to block, and for whom protection is held back.
//!
//! Pure: time is an argument. [`Decisions`] is read in the path of requests, without a lock; what changes it is kept, told
//! and logged elsewhere. Nothing in here answers requests: the policy asks it as a part of [`State`](crate::state::State).

mod record;
mod table;

pub use record::{Change, Merged};

use crate::clock::Timestamp;
use crate::network::{IpNet, block};
use crate::printable::is_hidden;
use arc_swap::ArcSwap;
use record::Records;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use table::Table;

/// So many decisions are in force at once, at most. A firewall is the place for more.
pub const CAP: usize = 1000;
/// No decision holds for longer without being made again.
pub const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// How long one holds where nobody says.
pub const USUAL: Duration = Duration::from_secs(3600);
/// The shortest prefixes that a decision may be about, IPv4 and IPv6. What is broader is a matter of the policy.
const BROADEST: (u8, u8) = (8, 16);
/// Characters of a reason.
const LONGEST_REASON: usize = 200;

/// What an operator may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Clients in a prefix are denied, whatever the policy says.
    Block,
    /// For clients in a prefix protection is held back, as if the policy observed.
    Allow,
    /// The same for everybody who is not blocked.
    Off,
}

impl Kind {
    /// Every kind with its word.
    pub const WORDS: [(&'static str, Kind); 3] = [("block", Kind::Block), ("allow", Kind::Allow), ("off", Kind::Off)];

    /// The word for it in metrics, logs and lists.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }

    /// The kind of this word.
    pub fn of(word: &str) -> Option<Kind> {
        Self::WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, kind)| kind)
    }
}

/// What an operator has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub kind: Kind,
    /// About whom; everybody where absent, which is so of [`Kind::Off`] alone.
    pub prefix: Option<IpNet>,
    /// When it was made. Of several about one prefix the last one counts.
    pub since: Timestamp,
    /// From when on it no longer holds.
    pub until: Timestamp,
    /// Who made it: the name of a token.
    pub who: Arc<str>,
    /// Why. It is for operators: no client is told.
    pub reason: Arc<str>,
}

impl Decision {
    /// About whom it is, in words.
    pub fn about(&self) -> String {
        self.prefix.map_or_else(|| "everybody".into(), |prefix| prefix.to_string())
    }
}

/// What somebody wants to be decided. Checked when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    kind: Kind,
    prefix: Option<IpNet>,
    lasts: Duration,
    reason: Arc<str>,
}

impl Proposal {
    /// A decision of `kind` about the clients in `prefix`, as it is written, for so long.
    ///
    /// # Errors
    /// Says what is wrong with it, and what to do.
    pub fn new(kind: Kind, prefix: Option<&str>, lasts: Duration, reason: &str) -> Result<Self, String> {
        let prefix = match (kind, prefix) {
            (Kind::Off, None) => None,
            (Kind::Off, Some(_)) => return Err("`off` is for everybody: for one prefix there is `allow`".into()),
            (_, None) => return Err(format!("`{}` needs a prefix such as `192.0.2.0/24`", kind.word())),
            (_, Some(text)) => Some(self::prefix(text)?),
        };
        if lasts < Duration::from_secs(1) || lasts > LONGEST {
            return Err("a decision holds for one second to 30 days: what should hold for longer belongs into the \
                        policy"
                .into());
        }
        let reason = reason.trim();
        if !is_reason(reason) {
            return Err(format!("a reason is a line of 1 to {LONGEST_REASON} characters, for those who ask later"));
        }
        Ok(Proposal { kind, prefix, lasts, reason: reason.into() })
    }

    /// How long it is to hold.
    pub fn lasts(&self) -> Duration {
        self.lasts
    }
}

fn is_reason(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= LONGEST_REASON && !text.chars().any(is_hidden)
}

/// Reads a prefix that a decision may be about: a block, or a lone address.
///
/// # Errors
/// Says what is wrong with it, and what to do.
pub fn prefix(text: &str) -> Result<IpNet, String> {
    let read = unmapped(block(text.trim())?);
    let broadest = if read.addr().is_ipv4() { BROADEST.0 } else { BROADEST.1 };
    if read.prefix_len() < broadest {
        return Err(format!(
            "`{read}` is too broad: an IPv4 /{}, or an IPv6 /{}, is the most; `windscreen off` holds protection back for \
             everybody, and more is denied by a rule of the policy",
            BROADEST.0, BROADEST.1
        ));
    }
    Ok(read)
}

/// The block without the IPv4-mapped wrapping, as addresses of clients are.
fn unmapped(block: IpNet) -> IpNet {
    let address = block.addr().to_canonical();
    let length = if address.is_ipv4() != block.addr().is_ipv4() {
        block.prefix_len().checked_sub(96)
    } else {
        Some(block.prefix_len())
    };
    length.and_then(|length| IpNet::new(address, length).ok()).unwrap_or(block)
}

/// There are as many decisions as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{CAP} decisions are in force, and that is the most: remove some, or block by a list in the policy")]
pub struct Full;

/// All decisions of a gateway.
#[derive(Debug, Default)]
pub struct Decisions {
    table: ArcSwap<Table>,
    records: Mutex<Records>,
    /// How often something was decided here.
    own: AtomicU64,
    /// How often anything has changed.
    changes: AtomicU64,
}

impl Decisions {
    /// These decisions alone, which somebody else has made.
    pub fn of(decisions: Vec<Decision>) -> Self {
        let decisions: Vec<Arc<Decision>> = decisions.into_iter().map(Arc::new).collect();
        let table = ArcSwap::from_pointee(Table::new(decisions.iter()));
        Decisions { table, ..Decisions::default() }
    }

    /// What holds for the client at `address`: of the decisions about prefixes around it that of the most specific one,
    /// else that for everybody. 8 ns where there is none, some 50 ns among a thousand, without a lock. Only for a client
    /// whose address is `trusted` is protection held back by its prefix; who hides where it comes from does not escape a
    /// block.
    pub fn find(&self, address: IpAddr, trusted: bool, now: Timestamp) -> Option<Arc<Decision>> {
        self.table.load().find(address, trusted, now).cloned()
    }

    /// Decides, in the place of what was decided about the same prefix before.
    ///
    /// # Errors
    /// When there are [`CAP`] others.
    pub fn decide(&self, proposal: Proposal, who: &str, now: Timestamp) -> Result<Arc<Decision>, Full> {
        let mut records = self.records();
        let decision = records.decide(proposal, who, now).ok_or(Full)?;
        self.changed(&records, true);
        Ok(decision)
    }

    /// Takes back what was decided about `prefix`, or for everybody, and says what that was.
    pub fn lift(&self, prefix: Option<IpNet>, who: &str, now: Timestamp) -> Option<Arc<Decision>> {
        let mut records = self.records();
        let lifted = records.lift(prefix, who, now)?;
        self.changed(&records, true);
        Some(lifted)
    }

    /// Forgets what is over, and says what that was.
    pub fn expire(&self, now: Timestamp) -> Vec<Arc<Decision>> {
        let mut records = self.records();
        let ended = records.expire(now);
        if !ended.is_empty() {
            self.changed(&records, false);
        }
        ended
    }

    /// All that hold, by prefix.
    pub fn list(&self, now: Timestamp) -> Vec<Arc<Decision>> {
        self.records().in_force(now).cloned().collect()
    }

    /// Everything as text, to be kept or told; and for how long it is of interest, where there is anything.
    pub fn text(&self, now: Timestamp) -> (String, Option<Duration>) {
        self.records().text(now)
    }

    /// Takes over what is newer in a text of [`Decisions::text`].
    pub fn merge(&self, text: &str, now: Timestamp) -> Merged {
        let mut records = self.records();
        let merged = records.merge(text, now);
        if !merged.changes.is_empty() {
            self.changed(&records, false);
        }
        merged
    }

    /// How often something was decided or taken back at this gateway, rather than heard of.
    pub fn own_changes(&self) -> u64 {
        self.own.load(Ordering::Acquire)
    }

    /// How often anything has changed.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts what is in `records` in force.
    fn changed(&self, records: &Records, own: bool) {
        self.table.store(Arc::new(Table::new(records.decisions())));
        self.changes.fetch_add(1, Ordering::Release);
        if own {
            self.own.fetch_add(1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests;
