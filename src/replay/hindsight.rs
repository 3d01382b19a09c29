//! Who a client was is known only when it has gone: what a session did counts for all of it.
//!
//! Live, the first requests of a session are judged by what is known until then. The books of a log need not be: its
//! entries wait until the client was idle for a while, and are entered under what it turned out to be. Verdicts stay what
//! they would have been at the time.

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

/// An entry that owns its texts.
#[derive(Debug)]
struct Waiting {
    at: Timestamp,
    key: Key,
    bytes: u64,
    path: Box<str>,
}

/// A client, its prefix and its User-Agent, with what it did.
#[derive(Debug)]
struct Session {
    prefix: IpNet,
    user_agent: Arc<str>,
    last: Timestamp,
    entries: Vec<Waiting>,
}

/// Entries that wait to be entered.
#[derive(Debug, Default)]
pub struct Hindsight {
    /// Clients are told apart by a hash.
    sessions: HashMap<u64, Session, IsHash>,
    /// Sessions by when they may have ended. One that went on stands here once more.
    ends: VecDeque<(Timestamp, u64)>,
    waiting: usize,
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
        let user_agent = &*user_agent;
        let suspicious = judge.is_suspicious(prefix, user_agent, now);
        for Waiting { at, mut key, bytes, path } in entries {
            if suspicious {
                key.class = Class::Suspect;
            }
            enter(Entry { at, key, prefix, bytes, user_agent, path: &path, shown: None });
        }
    }

    /// Enters all that waits.
    pub fn finish(&mut self, now: Timestamp, judge: &Judge, enter: &mut impl FnMut(Entry<'_>)) {
        while let Some((_, who)) = self.ends.pop_front() {
            self.settle(who, now, judge, enter);
        }
    }
}
