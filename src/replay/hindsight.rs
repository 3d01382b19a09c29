//! Who a client was is known only when it has gone: what a session did counts for all of it.
//!
//! Live, the first requests of a session are judged by what is known until then. The books of a log need not be: its
//! entries wait until the client was idle for a while, and are entered under what it turned out to be. What weighs most waits
//! for a day: who takes images one by one does so with hours between them. Verdicts stay what they would have been at the time.

use super::judge::Judge;
use crate::clock::Timestamp;
use crate::hashing::{IsHash, quick_hash};
use crate::network::IpNet;
use crate::traffic::{Entry, Key};
use crate::verdict::Class;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A client that did nothing for so long has gone.
const IDLE: Duration = Duration::from_secs(1800);
/// Entries that wait at most: some 300 bytes each.
const CAP: usize = 200_000;
/// Entries of so many bytes decide what a month costs, and there are few of them.
const HEAVY: u64 = 100_000_000;
/// How long they wait: as long as a session is remembered.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// So many of them at most.
const HEAVY_CAP: usize = 20_000;

/// An entry that owns its texts.
#[derive(Debug)]
struct Waiting {
    at: Timestamp,
    key: Key,
    bytes: u64,
    path: Box<str>,
}

impl Waiting {
    fn enter(self, prefix: IpNet, user_agent: &str, suspicious: bool, enter: &mut impl FnMut(Entry<'_>)) {
        let Waiting { at, mut key, bytes, path } = self;
        if suspicious {
            key.class = Class::Suspect;
        }
        enter(Entry { at, key, prefix, bytes, user_agent, path: &path, shown: None });
    }
}

/// A client, its prefix and its User-Agent, with what it did.
#[derive(Debug)]
struct Session {
    prefix: IpNet,
    user_agent: Arc<str>,
    last: Timestamp,
    entries: Vec<Waiting>,
}

/// A heavy entry of a client that has gone, and seemed to be none to worry about.
#[derive(Debug)]
struct Heavy {
    since: Timestamp,
    prefix: IpNet,
    user_agent: Arc<str>,
    entry: Waiting,
}

/// Entries that wait to be entered.
#[derive(Debug, Default)]
pub struct Hindsight {
    /// Clients are told apart by a hash.
    sessions: HashMap<u64, Session, IsHash>,
    /// Sessions by when they may have ended. One that went on stands here once more.
    ends: VecDeque<(Timestamp, u64)>,
    waiting: usize,
    heavy: VecDeque<Heavy>,
}

/// Whether hindsight may change what an entry is entered under: only those who were taken for people, or for nobody.
fn may_change(class: Class) -> bool {
    matches!(class, Class::Human | Class::Unknown)
}

impl Hindsight {
    /// Takes an entry, and gives those of clients that have gone to `enter`. `judge` knows how they behaved.
    pub fn take(&mut self, entry: Entry<'_>, user_agent: &Arc<str>, judge: &Judge, enter: &mut impl FnMut(Entry<'_>)) {
        let now = entry.at;
        while let Some((last, _)) = self.ends.front()
            && (now.since(*last) >= IDLE || self.waiting >= CAP)
        {
            let Some((last, who)) = self.ends.pop_front() else { break };
            if self.sessions.get(&who).is_some_and(|session| session.last <= last || self.waiting >= CAP) {
                self.settle(who, now, judge, enter);
            }
        }
        while self.heavy.front().is_some_and(|heavy| now.since(heavy.since) >= DAY || self.heavy.len() > HEAVY_CAP) {
            self.settle_heavy(now, judge, enter);
        }
        if !may_change(entry.key.class) {
            enter(entry);
            return;
        }
        let who = quick_hash(&(entry.prefix, user_agent));
        self.ends.push_back((now, who));
        let new = || Session { prefix: entry.prefix, user_agent: user_agent.clone(), last: now, entries: Vec::new() };
        let session = self.sessions.entry(who).or_insert_with(new);
        session.last = session.last.max(now);
        session.entries.push(Waiting { at: now, key: entry.key, bytes: entry.bytes, path: entry.path.into() });
        self.waiting += 1;
    }

    fn settle(&mut self, who: u64, now: Timestamp, judge: &Judge, enter: &mut impl FnMut(Entry<'_>)) {
        let Some(Session { prefix, user_agent, entries, .. }) = self.sessions.remove(&who) else { return };
        self.waiting -= entries.len();
        let suspicious = judge.is_suspicious(prefix, &user_agent, now);
        for entry in entries {
            if suspicious || entry.bytes < HEAVY {
                entry.enter(prefix, &user_agent, suspicious, enter);
            } else {
                self.heavy.push_back(Heavy { since: now, prefix, user_agent: user_agent.clone(), entry });
            }
        }
    }

    /// Enters the heavy entry that has waited longest.
    fn settle_heavy(&mut self, now: Timestamp, judge: &Judge, enter: &mut impl FnMut(Entry<'_>)) {
        let Some(Heavy { prefix, user_agent, entry, .. }) = self.heavy.pop_front() else { return };
        let suspicious = judge.is_suspicious(prefix, &user_agent, now);
        entry.enter(prefix, &user_agent, suspicious, enter);
    }

    /// Enters all that waits.
    pub fn finish(&mut self, now: Timestamp, judge: &Judge, enter: &mut impl FnMut(Entry<'_>)) {
        while let Some((_, who)) = self.ends.pop_front() {
            self.settle(who, now, judge, enter);
        }
        while !self.heavy.is_empty() {
            self.settle_heavy(now, judge, enter);
        }
    }
}
