//! What each pass has used: its budget is spent by pass id, wherever the pass is used.

use super::pass::{Pass, PassError};
use super::settings::PassSettings;
use crate::clock::Timestamp;
use crate::network::IpNet;
use dashmap::{DashMap, Entry};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Accounts kept. One takes about 200 bytes.
const CAP: usize = 1_000_000;
/// A prefix that has not used a pass for so long has left it.
const PREFIX_LEAVES: Duration = Duration::from_secs(600);
/// A renewal adds one in so many of the first budget.
const RENEWAL_SHARE: u64 = 10;

struct Account {
    requests: u64,
    bytes: u64,
    /// A tenth of a budget for a pass older than this table: budgets must not refill by restart.
    tenths: u64,
    renewals: u64,
    renewed: Timestamp,
    first: Timestamp,
    expires: Timestamp,
    prefixes: Vec<(IpNet, Timestamp)>,
}

impl Account {
    /// The budget so far: each renewal adds a tenth.
    fn allowed(&self, base: u64) -> u64 {
        base.saturating_mul(self.tenths) / 10 + self.renewals * (base / RENEWAL_SHARE)
    }

    fn has_budget(&self, settings: &PassSettings) -> bool {
        self.requests < self.allowed(settings.requests.get().into()) && self.bytes < self.allowed(settings.bytes.0)
    }

    /// Whether at most half of the budget is used.
    fn is_modest(&self, settings: &PassSettings) -> bool {
        2 * self.requests <= self.allowed(settings.requests.get().into())
            && 2 * self.bytes <= self.allowed(settings.bytes.0)
    }
}

/// All accounts.
pub(super) struct Accounts {
    table: DashMap<[u8; 16], Account>,
    count: AtomicUsize,
    /// Passes first issued before this are unknown for what they have used: at first the start, later also the newest
    /// account that had to be forgotten before its time.
    began: AtomicU64,
}

impl Accounts {
    pub(super) fn new(now: Timestamp) -> Self {
        Accounts { table: DashMap::new(), count: AtomicUsize::new(0), began: AtomicU64::new(now.0) }
    }

    fn with<R>(&self, pass: &Pass, act: impl FnOnce(&mut Account) -> Result<R, PassError>) -> Result<R, PassError> {
        match self.table.entry(pass.id) {
            Entry::Occupied(mut entry) => act(entry.get_mut()),
            Entry::Vacant(entry) => {
                if self.count.fetch_add(1, Ordering::Relaxed) >= CAP {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                    return Err(PassError::Full);
                }
                let tenths = if pass.first.0 < self.began.load(Ordering::Relaxed) { 1 } else { 10 };
                let account = Account {
                    requests: 0,
                    bytes: 0,
                    tenths,
                    renewals: 0,
                    renewed: pass.first,
                    first: pass.first,
                    expires: pass.expires,
                    prefixes: Vec::with_capacity(1),
                };
                act(&mut entry.insert(account))
            }
        }
    }

    /// Draws one request. Fails where the budget is spent or too many prefixes use the pass.
    pub(super) fn draw(
        &self,
        pass: &Pass,
        prefix: IpNet,
        settings: &PassSettings,
        now: Timestamp,
    ) -> Result<(), PassError> {
        self.with(pass, |account| {
            if !account.has_budget(settings) {
                return Err(PassError::Budget);
            }
            account.prefixes.retain(|(_, seen)| now.since(*seen) < PREFIX_LEAVES);
            let full = account.prefixes.len() >= settings.prefixes.get() as usize;
            match account.prefixes.iter_mut().find(|(known, _)| *known == prefix) {
                Some((_, seen)) => *seen = now,
                None if full => return Err(PassError::Prefixes),
                None => account.prefixes.push((prefix, now)),
            }
            account.requests += 1;
            Ok(())
        })
    }

    /// Reserves the bytes of a response that is about to be sent. Fails where the budget is spent already, so that
    /// many transfers at once overdraw a pass by one response at most.
    pub(super) fn reserve(&self, id: &[u8; 16], bytes: u64, settings: &PassSettings) -> bool {
        let Some(mut account) = self.table.get_mut(id) else { return true };
        let left = account.bytes < account.allowed(settings.bytes.0);
        if left {
            account.bytes = account.bytes.saturating_add(bytes);
        }
        left
    }

    /// Charges response bytes; a negative number gives back what an aborted transfer did not take.
    pub(super) fn charge(&self, id: &[u8; 16], bytes: i64) {
        if let Some(mut account) = self.table.get_mut(id) {
            account.bytes = account.bytes.saturating_add_signed(bytes);
        }
    }

    /// Whether the pass may be renewed until `expires`. The bonus is given once per half lifetime, however many
    /// requests ask at once.
    pub(super) fn renew(&self, pass: &Pass, settings: &PassSettings, expires: Timestamp, now: Timestamp) -> bool {
        let renewed = self.with(pass, |account| {
            if !account.is_modest(settings) {
                return Ok(false);
            }
            if now.since(account.renewed) >= settings.per / 2 {
                account.renewals += 1;
                account.renewed = now;
            }
            account.expires = account.expires.max(expires);
            Ok(true)
        });
        renewed.unwrap_or(false)
    }

    /// Forgets accounts whose pass can no longer be used or renewed. In a table that is nearly full also those whose
    /// pass has expired but could still be renewed: such a pass is then worth a tenth.
    pub(super) fn sweep(&self, grace: Duration, now: Timestamp) {
        let grace = if self.len() > CAP / 10 * 9 { Duration::ZERO } else { grace };
        self.table.retain(|_, account| {
            let keep = account.expires + grace >= now;
            if !keep {
                self.count.fetch_sub(1, Ordering::Relaxed);
                if grace.is_zero() {
                    self.began.fetch_max(account.first.0, Ordering::Relaxed);
                }
            }
            keep
        });
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}
