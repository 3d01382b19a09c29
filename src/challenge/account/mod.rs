//! What each pass has used: its budget is spent by pass id, wherever the pass is used.

mod scale;
mod share;

pub use scale::Scale;

use super::pass::{Pass, PassError};
use super::settings::PassSettings;
use crate::clock::Timestamp;
use crate::network::IpNet;
use dashmap::{DashMap, Entry};
use siphasher::sip::SipHasher13;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Accounts kept. One takes about 320 bytes.
const CAP: usize = 1_000_000;
/// Small shards: whoever sweeps one holds its lock for microseconds.
const SHARDS: usize = 1024;
/// A prefix that has not used a pass for so long has left it.
const PREFIX_LEAVES: Duration = Duration::from_secs(600);
/// A renewal adds one in so many of the first budget.
const RENEWAL_SHARE: u64 = 10;

/// A pass counts in so many parts for what a network has bought: one as it is bought, and each other as it is used. So many
/// people behind one address, who read a page each, count for little, and a scraper's pass counts whole.
pub const PARTS: u32 = 16;

struct Account {
    requests: u64,
    /// Bytes that were sent.
    bytes: u64,
    /// Bytes of responses under way.
    reserved: u64,
    /// A tenth of a budget for a pass older than this table: budgets must not refill by restart.
    tenths: u64,
    renewals: u64,
    renewed: Timestamp,
    first: Timestamp,
    expires: Timestamp,
    /// Who uses it, by a hash of the prefix.
    prefixes: SmallVec<[(u64, Timestamp); 3]>,
    /// What replicas have not been told of yet.
    added_requests: u64,
    added_bytes: u64,
    has_news: bool,
    /// How many parts of it are counted, and what they leave out: replicas count what was used at them.
    counted: u32,
    heard_requests: u64,
    heard_bytes: u64,
    scale: Scale,
}

/// Prefixes are told apart, not recognised: within one pass there are too few for a hash of 64 bits to collide.
fn hashed(secret: &[u8; 16], prefix: IpNet) -> u64 {
    let mut hasher = SipHasher13::new_with_key(secret);
    prefix.hash(&mut hasher);
    hasher.finish()
}

impl Account {
    fn new(tenths: u64, first: Timestamp, expires: Timestamp) -> Self {
        Account {
            requests: 0,
            bytes: 0,
            reserved: 0,
            tenths,
            renewals: 0,
            renewed: first,
            first,
            expires,
            prefixes: SmallVec::new(),
            added_requests: 0,
            added_bytes: 0,
            has_news: false,
            counted: 1,
            heard_requests: 0,
            heard_bytes: 0,
            scale: Scale::default(),
        }
    }

    /// Whether all that was used of it is known here.
    fn is_known(&self) -> bool {
        self.tenths == 10
    }

    /// The budget so far: each renewal adds a tenth.
    fn allowed(&self, base: u64) -> u64 {
        (base.saturating_mul(self.tenths) / 10).saturating_add(self.renewals.saturating_mul(base / RENEWAL_SHARE))
    }

    /// How many parts of it are used up, of those that were not counted yet.
    fn newly_used(&mut self, settings: PassSettings) -> u32 {
        let part = |used: u64, heard: u64, base: u64| {
            let used = u128::from(used.saturating_sub(heard)) * u128::from(PARTS) / u128::from(base.max(1));
            u32::try_from(used).unwrap_or(PARTS).min(PARTS)
        };
        let requests = part(self.requests, self.heard_requests, settings.requests.get().into());
        let used = requests.max(part(self.bytes, self.heard_bytes, settings.bytes.0));
        let new = used.saturating_sub(self.counted);
        self.counted += new;
        new
    }

    fn has_budget(&self, settings: PassSettings) -> bool {
        self.requests < self.allowed(settings.requests.get().into()) && self.taken() < self.allowed(settings.bytes.0)
    }

    /// Whether at most half of the budget is used.
    fn is_modest(&self, settings: PassSettings) -> bool {
        self.requests <= self.allowed(settings.requests.get().into()) / 2
            && self.taken() <= self.allowed(settings.bytes.0) / 2
    }

    /// Whether a request from `prefix`, hashed, may draw on it.
    fn admits(&self, prefix: u64, settings: PassSettings, now: Timestamp) -> Result<(), PassError> {
        if !self.has_budget(settings) {
            return Err(PassError::Budget);
        }
        let users = || self.prefixes.iter().filter(|(_, seen)| now.since(*seen) < PREFIX_LEAVES);
        let is_full = users().count() >= settings.prefixes.get() as usize;
        if is_full && !users().any(|(known, _)| *known == prefix) {
            return Err(PassError::Prefixes);
        }
        Ok(())
    }

    fn taken(&self) -> u64 {
        self.bytes.saturating_add(self.reserved)
    }
}

/// All accounts.
pub(super) struct Accounts {
    secret: [u8; 16],
    table: DashMap<[u8; 16], Account>,
    count: AtomicUsize,
    /// Passes first issued before this are unknown for what they have used: at first the start, later also the newest
    /// account that had to be forgotten before its time.
    began: AtomicU64,
    /// The latest time that was told: what replicas say comes without one.
    latest: AtomicU64,
    /// Whether replicas are told, and of which accounts they should be.
    sharing: AtomicBool,
    news: Mutex<Vec<[u8; 16]>>,
}

impl Accounts {
    /// `secret` keys the hashes of prefixes.
    pub(super) fn new(secret: [u8; 16], now: Timestamp) -> Self {
        Accounts {
            secret,
            table: DashMap::with_shard_amount(SHARDS),
            count: AtomicUsize::new(0),
            began: AtomicU64::new(now.0),
            latest: AtomicU64::new(now.0),
            sharing: AtomicBool::new(false),
            news: Mutex::default(),
        }
    }

    fn is_now(&self, now: Timestamp) {
        self.latest.fetch_max(now.0, Ordering::Relaxed);
    }

    fn latest(&self) -> Timestamp {
        Timestamp(self.latest.load(Ordering::Relaxed))
    }

    /// From now on keeps track of what replicas should hear.
    pub(super) fn share(&self) {
        self.sharing.store(true, Ordering::Relaxed);
    }

    fn note(&self, id: &[u8; 16], account: &mut Account) {
        if self.sharing.load(Ordering::Relaxed) && !account.has_news {
            account.has_news = true;
            self.news.lock().unwrap_or_else(PoisonError::into_inner).push(*id);
        }
    }

    fn with<R>(&self, pass: &Pass, act: impl FnOnce(&mut Account) -> Result<R, PassError>) -> Result<R, PassError> {
        match self.table.entry(pass.id) {
            Entry::Occupied(mut entry) => act(entry.get_mut()),
            Entry::Vacant(entry) => {
                if self.count.fetch_add(1, Ordering::Relaxed) >= CAP {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                    return Err(PassError::Full);
                }
                act(&mut entry.insert(self.unused(pass)))
            }
        }
    }

    /// The account of a pass that nothing is known of.
    fn unused(&self, pass: &Pass) -> Account {
        let tenths = if pass.first.0 < self.began.load(Ordering::Relaxed) { 1 } else { 10 };
        Account::new(tenths, pass.first, pass.expires)
    }

    /// Looks at the account without making one.
    fn look<R>(&self, pass: &Pass, see: impl FnOnce(&Account) -> R) -> R {
        match self.table.get(&pass.id) {
            Some(account) => see(&account),
            None => see(&self.unused(pass)),
        }
    }

    /// Whether [`draw`](Self::draw) would succeed now.
    pub(super) fn could_draw(
        &self,
        pass: &Pass,
        prefix: IpNet,
        settings: PassSettings,
        now: Timestamp,
    ) -> Result<(), PassError> {
        let prefix = hashed(&self.secret, prefix);
        self.look(pass, |account| account.admits(prefix, settings, now))
    }

    /// Whether [`renew`](Self::renew) would succeed now.
    pub(super) fn could_renew(&self, pass: &Pass, settings: PassSettings) -> bool {
        self.look(pass, |account| account.is_modest(settings))
    }

    /// Draws a request for the object at `path`, and says how many parts are used up with it. Fails where the budget is
    /// spent or too many prefixes use the pass.
    pub(super) fn draw(
        &self,
        pass: &Pass,
        prefix: IpNet,
        path: &str,
        settings: PassSettings,
        now: Timestamp,
    ) -> Result<u32, PassError> {
        self.is_now(now);
        let prefix = hashed(&self.secret, prefix);
        self.with(pass, |account| {
            account.admits(prefix, settings, now)?;
            account.prefixes.retain(|(known, seen)| *known != prefix && now.since(*seen) < PREFIX_LEAVES);
            account.prefixes.push((prefix, now));
            let weight = account.scale.weigh(path, &self.secret);
            account.requests = account.requests.saturating_add(weight);
            account.added_requests = account.added_requests.saturating_add(weight);
            self.note(&pass.id, account);
            Ok(account.newly_used(settings))
        })
    }

    /// Reserves the bytes of a response that is about to be sent. Fails where the budget is spent already, so that
    /// many transfers at once overdraw a pass by one response at most.
    pub(super) fn reserve(&self, id: &[u8; 16], bytes: u64, settings: PassSettings) -> bool {
        let Some(mut account) = self.table.get_mut(id) else { return true };
        let left = account.taken() < account.allowed(settings.bytes.0);
        if left {
            account.reserved = account.reserved.saturating_add(bytes);
        }
        left
    }

    /// Charges the bytes of a response that has ended, in place of those that were reserved for it, and says how many
    /// parts are used up with them.
    pub(super) fn charge(&self, id: &[u8; 16], bytes: u64, reserved: u64, settings: PassSettings) -> u32 {
        self.table.get_mut(id).map_or(0, |mut account| {
            account.reserved = account.reserved.saturating_sub(reserved);
            account.bytes = account.bytes.saturating_add(bytes);
            account.added_bytes = account.added_bytes.saturating_add(bytes);
            self.note(id, &mut account);
            account.newly_used(settings)
        })
    }

    /// Whether the pass may be renewed until `expires`. The bonus is given once per half lifetime, however many
    /// requests ask at once.
    pub(super) fn renew(&self, pass: &Pass, settings: PassSettings, expires: Timestamp, now: Timestamp) -> bool {
        self.is_now(now);
        let renewed = self.with(pass, |account| {
            if !account.is_modest(settings) {
                return Ok(false);
            }
            if now.since(account.renewed) >= settings.per / 2 {
                account.renewals += 1;
                account.renewed = now;
                self.note(&pass.id, account);
            }
            account.expires = account.expires.max(expires);
            Ok(true)
        });
        renewed.unwrap_or(false)
    }

    /// Forgets accounts whose pass can no longer be used or renewed. In a table that is nearly full also those whose
    /// pass has expired but could still be renewed: such a pass is then worth a tenth.
    pub(super) fn sweep(&self, grace: Duration, now: Timestamp) {
        self.is_now(now);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Change, CounterId, Replicated, Total};
    use std::cell::Cell;

    const MINUTE: Duration = Duration::from_secs(60);
    const START: Timestamp = Timestamp(1_000_000_000);

    fn settings() -> PassSettings {
        let mut diagnostics = crate::document::Diagnostics::default();
        let text = "{requests: 100, bytes: 1 MB, per: 1h, renew_until: 24h}";
        crate::document::read(text, &mut diagnostics).unwrap()
    }

    fn pass() -> Pass {
        Pass {
            id: [1; 16],
            site: "logs".into(),
            difficulty: 64,
            prefix: "192.0.2.0/24".parse().unwrap(),
            waited: false,
            expires: START + 60 * MINUTE,
            first: START,
        }
    }

    /// Everybody hears the largest of what all see, and what all have added.
    fn exchange(replicas: &[Accounts], sums: &mut std::collections::BTreeMap<CounterId, u64>) {
        let told: Vec<_> = replicas.iter().map(|replica| replica.changes(1000)).collect();
        for (id, change) in told.iter().flatten() {
            if let Change::Sum { add, view, .. } = change {
                let sum = sums.entry(*id).or_default();
                *sum = (*sum + add).max(*view);
            }
        }
        for (replica, told) in replicas.iter().zip(told) {
            let totals: Vec<_> =
                told.iter().filter_map(|(id, _)| sums.get(id).map(|sum| (*id, Total::Sum(*sum)))).collect();
            replica.merge(&totals);
        }
    }

    #[test]
    fn the_bonus_of_a_renewal_is_given_once_over_all_replicas() {
        let (settings, pass, mut sums) = (settings(), pass(), Default::default());
        let replicas: Vec<_> = (0..3).map(|_| Accounts::new([7; 16], START)).collect();
        replicas.iter().for_each(Accounts::share);
        for minute in 0..=120u32 {
            let now = START + MINUTE * minute;
            for replica in &replicas {
                let expires = now + 60 * MINUTE;
                let asked = replica.with(&pass, |account| {
                    replica.note(&pass.id, account);
                    Ok(())
                });
                assert_eq!(asked, Ok(()));
                if minute > 0 {
                    assert!(replica.renew(&pass, settings, expires, now), "each renews, bonus or not");
                }
                exchange(&replicas, &mut sums);
            }
        }
        for replica in &replicas {
            assert_eq!(replica.table.get(&pass.id).unwrap().renewals, 4, "one in each half lifetime");
        }
    }

    #[test]
    fn to_look_at_a_pass_makes_no_account_and_says_what_a_request_would_find() {
        let (settings, pass) = (settings(), pass());
        let prefix = |number: u8| IpNet::new_assert([192, 0, number, 0].into(), 24);
        let accounts = Accounts::new([7; 16], START);
        let could = |number| accounts.could_draw(&pass, prefix(number), settings, START);
        let path = Cell::new(0);
        let draw = |number| {
            path.set(path.get() + 1);
            accounts.draw(&pass, prefix(number), &format!("/{}", path.get()), settings, START).map(|_| ())
        };
        assert_eq!((could(1), accounts.len()), (Ok(()), 0));
        for number in 1..=3 {
            assert_eq!((could(number), draw(number)), (Ok(()), Ok(())));
        }
        assert_eq!((could(4), draw(4)), (Err(PassError::Prefixes), Err(PassError::Prefixes)));
        assert!(accounts.could_renew(&pass, settings));
        (0..97).for_each(|_| assert_eq!((could(1), draw(1)), (Ok(()), Ok(()))));
        assert_eq!((could(1), draw(1)), (Err(PassError::Budget), Err(PassError::Budget)));
        assert!(!accounts.could_renew(&pass, settings));
    }

    #[test]
    fn a_pass_counts_by_what_is_used_of_it_and_once_over_all_replicas() {
        let (settings, pass, mut sums) = (settings(), pass(), Default::default());
        let replicas: Vec<_> = (0..2).map(|_| Accounts::new([7; 16], START)).collect();
        replicas.iter().for_each(Accounts::share);
        let path = Cell::new(0);
        let draw = |replica: &Accounts| {
            path.set(path.get() + 1);
            replica.draw(&pass, pass.prefix, &format!("/{}", path.get()), settings, START).unwrap()
        };
        assert_eq!((0..12).map(|_| draw(&replicas[0])).sum::<u32>(), 0, "the first part was bought");
        assert_eq!(draw(&replicas[0]), 1, "an eighth is used");
        assert_eq!(draw(&replicas[0]), 0);
        assert_eq!(replicas[0].charge(&pass.id, 500_000, 0, settings), 6, "half of the bytes");
        assert_eq!((0..36).map(|_| draw(&replicas[0])).sum::<u32>(), 0, "whatever is used more counts");
        draw(&replicas[1]);
        exchange(&replicas, &mut sums);
        exchange(&replicas, &mut sums);
        assert_eq!(replicas[1].table.get(&pass.id).unwrap().requests, 51);
        assert_eq!((0..11).map(|_| draw(&replicas[1])).sum::<u32>(), 0, "each counts what was used at it");
        assert_eq!((0..37).map(|_| draw(&replicas[1])).sum::<u32>(), 6);
        assert_eq!(replicas[1].charge(&pass.id, 5_000_000, 0, settings), PARTS - 7, "no more than all");
    }
}
