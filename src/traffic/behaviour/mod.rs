//! What the behaviour of a client tells about it: whether something that calls itself a browser acts like one.
//!
//! A browser that opens a page fetches what the page is made of, in the same moment, naming the page in its Referer. So the
//! books learn from everybody which names are pages and which are their parts (`names`), and then look at each client, an
//! address prefix with a User-Agent, over its session (`session`). What a single client shows too little of, all clients
//! with its User-Agent may show together (`agents`): scrapers that rent an address for every few requests bring few
//! User-Agents.
//!
//! Evidence adds up as log-odds. All of it is about those who call themselves browsers; what says that it is a tool needs
//! no disguise. The state is bounded, and nothing here decides: policy may ask for `suspicion`.

mod agents;
mod names;
mod session;

use super::hash;
use crate::clock::Timestamp;
use crate::hashing::{IsHash, quick_hash};
use crate::network::IpNet;
use crate::state::Fetch;
use agents::Agents;
use names::Names;
use percent_encoding::percent_decode_str;
use session::{Session, Sight};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Sessions that are remembered: 160 bytes each.
const CAP: usize = 200_000;
/// Whoever did nothing for so long begins anew.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// Why a client is suspicious, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// It opened pages and fetched nothing that they are made of.
    NoParts,
    /// It fetched parts of pages that it had not opened.
    NoPage,
    /// Its Referer named pages that it had not opened.
    ForgedReferer,
    /// It walked through many folders.
    FanOut,
    /// Its requests come as if by a clock.
    Regular,
    /// It is there at all hours of the day.
    RoundTheClock,
    /// Much of what it asked for does not exist.
    Guessing,
    /// It reads robots.txt, as no browser does.
    Robots,
    /// It took gigabytes and showed no page.
    Bulk,
    /// It opens pages faster than anybody reads.
    Hasty,
    /// Most clients with its User-Agent are suspicious.
    Agent,
}

impl Cause {
    /// Every cause with its word.
    pub const WORDS: [(&'static str, Cause); 11] = [
        ("no-parts", Cause::NoParts),
        ("no-page", Cause::NoPage),
        ("forged-referer", Cause::ForgedReferer),
        ("fan-out", Cause::FanOut),
        ("regular", Cause::Regular),
        ("round-the-clock", Cause::RoundTheClock),
        ("guessing", Cause::Guessing),
        ("robots", Cause::Robots),
        ("bulk", Cause::Bulk),
        ("hasty", Cause::Hasty),
        ("agent", Cause::Agent),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// How suspicious a client is, from 0 to 1, and why.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Suspicion {
    /// The probability as far as the evidence goes, from 0 to 1.
    pub score: f64,
    /// What speaks for it.
    pub causes: Vec<Cause>,
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.score)?;
        for (number, cause) in self.causes.iter().enumerate() {
            write!(f, "{}{}", if number == 0 { ": " } else { ", " }, cause.word())?;
        }
        Ok(())
    }
}

/// Evidence, added up.
#[derive(Debug, Default)]
struct Evidence {
    odds: f64,
    /// In the order in which they were added.
    causes: SmallVec<[Cause; Cause::WORDS.len()]>,
}

impl Evidence {
    fn add(&mut self, cause: Cause, odds: f64) {
        if odds > 0.0 {
            self.odds += odds;
            self.causes.push(cause);
        }
    }

    /// The probability, from 0 to 1.
    fn score(&self) -> f64 {
        1.0 / (1.0 + (PRIOR - self.odds).exp())
    }
}

/// What is remembered of how clients behave.
#[derive(Debug)]
pub struct Behaviour {
    names: Names,
    agents: Agents,
    sessions: HashMap<u64, Session, IsHash>,
    cap: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour { names: Names::default(), agents: Agents::default(), sessions: HashMap::default(), cap: CAP }
    }
}

/// Whether a User-Agent claims to be a browser.
fn claims_browser(user_agent: &str) -> bool {
    user_agent.starts_with("Mozilla/") || user_agent.starts_with("Opera/")
}

impl Behaviour {
    /// Takes note of a request.
    pub fn note(&mut self, seen: &Fetch<'_>) {
        if !claims_browser(seen.user_agent) {
            return;
        }
        // A path is judged decoded, and a Referer is not.
        let decoded = seen.referer.map(|referer| percent_decode_str(referer).decode_utf8_lossy());
        let referer = decoded.as_deref();
        let kind = self.names.note(&Fetch { referer, ..*seen });
        let agent = quick_hash(seen.user_agent);
        let key = quick_hash(&(seen.prefix, agent));
        if self.sessions.len() >= self.cap && !self.sessions.contains_key(&key) {
            self.make_room(seen.at);
        }
        let sight = Sight {
            at: seen.at,
            kind,
            page: quick_hash(&(seen.site, seen.path)),
            referer: referer.map(|referer| quick_hash(&(seen.site, referer))),
            // How many different ones are counted hangs on their hashes: it is to be the same in each process.
            folder: hash(&(seen.site, folder(seen.path))),
            missing: matches!(seen.status, 403 | 404),
            robots: seen.path == "/robots.txt",
            bytes: seen.bytes,
        };
        let session = self.sessions.entry(key).or_insert_with(|| Session::new(seen.at));
        if seen.at.since(session.last()) >= IDLE {
            *session = Session::new(seen.at);
        }
        session.note(&sight);
        self.agents.note(agent, session);
    }

    /// How suspicious the client is at `now`.
    pub fn suspicion(&self, prefix: IpNet, user_agent: &str, now: Timestamp) -> Suspicion {
        let evidence = self.evidence(prefix, user_agent, now);
        evidence.map_or_else(Suspicion::default, |evidence| Suspicion {
            score: evidence.score(),
            causes: evidence.causes.to_vec(),
        })
    }

    /// How suspicious the client is at `now`, from 0 to 1. Allocates nothing.
    pub fn score(&self, prefix: IpNet, user_agent: &str, now: Timestamp) -> f64 {
        self.evidence(prefix, user_agent, now).map_or(0.0, |evidence| evidence.score())
    }

    /// What there is about a client that claims to be a browser.
    fn evidence(&self, prefix: IpNet, user_agent: &str, now: Timestamp) -> Option<Evidence> {
        if !claims_browser(user_agent) {
            return None;
        }
        let agent = quick_hash(user_agent);
        let mut evidence = Evidence::default();
        let session = self.sessions.get(&quick_hash(&(prefix, agent)));
        let proven = session.is_some_and(|session| session.weigh(now, &mut evidence));
        let odds = if proven { self.agents.haste(agent) } else { self.agents.odds(agent) };
        evidence.add(Cause::Agent, odds);
        Some(evidence)
    }

    /// Forgets whoever was idle for long; where that is not enough, the idlest half.
    fn make_room(&mut self, now: Timestamp) {
        self.sessions.retain(|_, session| now.since(session.last()) < IDLE);
        if self.sessions.len() >= self.cap {
            let mut times: Vec<Timestamp> = self.sessions.values().map(Session::last).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            self.sessions.retain(|_, session| session.last() > median);
            if self.sessions.len() >= self.cap {
                self.sessions.clear();
            }
        }
    }

    /// How many sessions are remembered.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

/// Log-odds against whoever nothing is known of: 8 % of clients with a browser's User-Agent are none.
const PRIOR: f64 = 2.5;

/// What stands before the last segment.
fn folder(path: &str) -> &str {
    &path[..path.rfind('/').map_or(0, |at| at + 1)]
}

#[cfg(test)]
mod tests;
