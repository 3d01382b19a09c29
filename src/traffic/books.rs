//! Hourly roll-ups.

use super::distinct::{Distinct, prefix_hash};
use super::heavy::Heavy;
use super::sampled::{Sampled, Sighting};
use super::stores::{Finding, Shown, Stores};
use crate::clock::Timestamp;
use crate::network::IpNet;
use crate::verdict::{Class, Done};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Milliseconds in an hour.
pub const HOUR: u64 = 3_600_000;
const MINUTE: u64 = 60_000;
/// Cells of one hour. Beyond, where clients are from is no longer told apart; all else is a closed set.
const CELLS: usize = 4096;
/// How many of those who took most are kept for an hour, of each kind.
const TOP: usize = 128;
/// Longer User-Agents are cut.
const MAX_AGENT: usize = 200;
/// Longer path prefixes are cut.
const MAX_PATH: usize = 120;

/// What the policy would have done with a request that it let pass.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Would {
    /// The rule.
    pub rule: Arc<str>,
    /// The word for what it would have done: `deny`, `challenge`, `limit`, ...
    pub action: &'static str,
}

impl Would {
    /// The word for what a rule does, as it is kept in a file; `other` for one that is not known.
    pub fn action(word: &str) -> &'static str {
        let known = Done::WORDS.iter().map(|(known, _)| *known).chain(["weigh", "tag", "strike", "slow"]);
        known.into_iter().find(|known| *known == word).unwrap_or("other")
    }
}

/// What a request is for bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Billed {
    /// A read of an object or its head, or what is billed like it.
    Get,
    /// A listing.
    List,
    /// Neither the request nor its bytes are billed.
    Nothing,
}

impl Billed {
    /// Every kind with its word.
    pub const WORDS: [(&'static str, Billed); 3] =
        [("get", Billed::Get), ("list", Billed::List), ("nothing", Billed::Nothing)];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// What requests are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The site.
    pub site: Arc<str>,
    /// Where the bytes left from: an origin's name, or a bucket. Empty where nothing was asked.
    pub source: Arc<str>,
    /// What the client is.
    pub class: Class,
    /// The rule that decided.
    pub rule: Arc<str>,
    /// What was done.
    pub done: Done,
    /// What would have been done.
    pub would: Option<Would>,
    /// The first digit of the status; 0 where none was sent.
    pub status: u8,
    /// How it is billed.
    pub billed: Billed,
    /// A named network that the client is in; empty where there is none.
    pub network: Arc<str>,
    /// The region of the provider that it came from, such as `us-east-1`; empty where that is not known.
    pub region: Arc<str>,
    /// Its country (ISO 3166-1 alpha-2).
    pub country: Option<[u8; 2]>,
    /// Its autonomous system.
    pub asn: Option<u32>,
    /// The rule that hung on something unknown.
    pub undecided: Option<Arc<str>>,
}

/// What was counted under one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// Requests.
    pub requests: u64,
    /// Bytes of bodies that were sent.
    pub bytes: u64,
    /// The prefixes that they came from.
    pub prefixes: Distinct,
    /// Most requests in one minute.
    pub peak_minute: u64,
    /// Requests by minute, where they were entered here.
    minutes: Option<Box<[u32; 60]>>,
}

impl Cell {
    /// A cell as it was kept.
    pub fn new(requests: u64, bytes: u64, prefixes: Distinct, peak_minute: u64) -> Self {
        Cell { requests, bytes, prefixes, peak_minute, minutes: None }
    }

    /// Adds what `other` counted. Where it is not known minute by minute, the peak becomes that of the busier one: perhaps
    /// both were busy at once.
    pub fn merge(&mut self, other: &Cell) {
        self.requests = self.requests.saturating_add(other.requests);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.prefixes.merge(&other.prefixes);
        self.peak_minute = self.peak_minute.max(other.peak_minute);
        if let Some(theirs) = &other.minutes {
            let minutes = self.minutes.get_or_insert_with(|| Box::new([0; 60]));
            for (own, theirs) in minutes.iter_mut().zip(theirs.iter()) {
                *own = own.saturating_add(*theirs);
                self.peak_minute = self.peak_minute.max((*own).into());
            }
        }
    }
}

/// One prefix that took much.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Taker {
    /// The prefix.
    pub prefix: IpNet,
    /// What it is for the books.
    pub class: Class,
    /// Of which site.
    pub site: Arc<str>,
}

/// One User-Agent that took much.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Agent {
    /// The class.
    pub class: Class,
    /// The User-Agent, cut. Text that a client sent.
    pub user_agent: Box<str>,
}

/// One path prefix of which much was taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPrefix {
    /// The site.
    pub site: Arc<str>,
    /// The first segment, or two where the path has more. Text that a client sent.
    pub path: Box<str>,
}

/// A prefix that the policy stopped, or would have stopped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stopped {
    /// The prefix.
    pub prefix: IpNet,
    /// What it is for the books.
    pub class: Class,
    /// The rule.
    pub rule: Arc<str>,
    /// The word for what was done or would have been.
    pub action: &'static str,
}

/// One request that is over.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// When it came.
    pub at: Timestamp,
    /// What it is counted under.
    pub key: Key,
    /// Where it came from.
    pub prefix: IpNet,
    /// Bytes of the body that were sent.
    pub bytes: u64,
    /// The User-Agent, where it is known.
    pub user_agent: &'a str,
    /// The canonical path; empty where there is none.
    pub path: &'a str,
    /// What it showed about the origin that served it.
    pub shown: Option<Shown>,
}

/// What one hour came to.
#[derive(Debug, Clone)]
pub struct Hour {
    /// The sums.
    pub cells: HashMap<Key, Cell>,
    /// Prefixes that took most.
    pub takers: Heavy<Taker>,
    /// User-Agents that took most.
    pub agents: Heavy<Agent>,
    /// Path prefixes of which most was taken.
    pub paths: Heavy<PathPrefix>,
    /// Whom the policy stopped or would have stopped, those first who took most.
    pub stopped: Heavy<Stopped>,
    /// What requests showed about second stores.
    pub stores: Stores,
    /// What became of the sample.
    pub sampled: Sampled,
}

impl Default for Hour {
    fn default() -> Self {
        Hour {
            cells: HashMap::new(),
            takers: Heavy::new(TOP),
            agents: Heavy::new(TOP),
            paths: Heavy::new(TOP),
            stopped: Heavy::new(TOP),
            stores: Stores::default(),
            sampled: Sampled::default(),
        }
    }
}

fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

/// `/a/b/` of `/a/b/c`, `/a/` of `/a/b`, `/` of `/a`: what stands before the last segment, two segments at most.
fn path_prefix(path: &str) -> &str {
    let mut ends = path.match_indices('/').map(|(at, _)| at + 1);
    let end = ends.by_ref().take(3).last().unwrap_or(0);
    cut(&path[..end], MAX_PATH)
}

impl Hour {
    fn enter(&mut self, entry: Entry<'_>) {
        let Entry { at, key, prefix, bytes, user_agent, path, shown } = entry;
        if let Some(shown) = shown {
            let finding = Finding { site: key.site.clone(), origin: key.source.clone(), shown };
            self.stores.enter(finding, path, bytes, at);
        }
        let class = key.class;
        self.takers.add(&(prefix, class, &key.site), bytes, || Taker { prefix, class, site: key.site.clone() });
        let agent = cut(user_agent, MAX_AGENT);
        self.agents.add(&(class, agent), bytes, || Agent { class, user_agent: agent.into() });
        if !path.is_empty() {
            let path = path_prefix(path);
            self.paths.add(&(&key.site, path), bytes, || PathPrefix { site: key.site.clone(), path: path.into() });
        }
        let stopped = match (&key.would, key.done) {
            (Some(would), _) => Some((&would.rule, would.action)),
            (None, Done::Deny | Done::Challenge | Done::Limit) => Some((&key.rule, key.done.word())),
            _ => None,
        };
        if let Some((rule, action)) = stopped {
            let make = || Stopped { prefix, class, rule: rule.clone(), action };
            self.stopped.add(&(prefix, class, rule, action), bytes, make);
        }

        let cell = self.cell(key);
        cell.requests += 1;
        cell.bytes += bytes;
        cell.prefixes.insert(prefix_hash(prefix));
        let minutes = cell.minutes.get_or_insert_with(|| Box::new([0; 60]));
        let minute = &mut minutes[(at.0 / MINUTE % 60) as usize];
        *minute = minute.saturating_add(1);
        cell.peak_minute = cell.peak_minute.max((*minute).into());
    }

    fn cell(&mut self, key: Key) -> &mut Cell {
        let full = self.cells.len() >= CELLS && !self.cells.contains_key(&key);
        let key = if full { Key { country: None, asn: None, ..key } } else { key };
        self.cells.entry(key).or_default()
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Hour) {
        for (key, cell) in &other.cells {
            self.cell(key.clone()).merge(cell);
        }
        self.takers.merge(&other.takers);
        self.agents.merge(&other.agents);
        self.paths.merge(&other.paths);
        self.stopped.merge(&other.stopped);
        self.stores.merge(&other.stores);
        self.sampled.merge(&other.sampled);
    }

    /// Takes the peaks of the same cells in `known`, where they are higher.
    pub(super) fn raise_peaks(&mut self, known: &Hour) {
        for (key, cell) in &mut self.cells {
            cell.peak_minute = known.cells.get(key).map_or(0, |known| known.peak_minute).max(cell.peak_minute);
        }
    }

    /// Forgets what it knows of single prefixes.
    pub(super) fn forget_clients(&mut self) {
        (self.takers, self.stopped) = (Heavy::new(TOP), Heavy::new(TOP));
    }
}

/// Hours by their number since 1970.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// What each hour came to.
    pub hours: BTreeMap<u64, Hour>,
}

impl Books {
    /// Enters a request that is over.
    pub fn enter(&mut self, entry: Entry<'_>) {
        self.hours.entry(entry.at.0 / HOUR).or_default().enter(entry);
    }

    /// Enters what a comparison of origins showed.
    pub fn enter_finding(&mut self, finding: Finding, path: &str, at: Timestamp) {
        self.hours.entry(at.0 / HOUR).or_default().stores.enter(finding, path, 0, at);
    }

    /// Enters what became of a session of the sample.
    pub fn enter_sighting(&mut self, sighting: Sighting) {
        self.hours.entry(sighting.at.0 / HOUR).or_default().sampled.enter(sighting);
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Books) {
        for (hour, counted) in &other.hours {
            self.hours.entry(*hour).or_default().merge(counted);
        }
    }

    /// Forgets all but the newest `hours`. Says how many requests are forgotten.
    pub fn keep_newest(&mut self, hours: usize) -> u64 {
        let mut forgotten = 0;
        while self.hours.len() > hours {
            let oldest = self.hours.pop_first().into_iter().flat_map(|(_, hour)| hour.cells.into_values());
            forgotten += oldest.map(|cell| cell.requests).sum::<u64>();
        }
        forgotten
    }

    /// Every cell with the number of its hour.
    pub fn cells(&self) -> impl Iterator<Item = (u64, &Key, &Cell)> {
        self.hours.iter().flat_map(|(hour, counted)| counted.cells.iter().map(move |(key, cell)| (*hour, key, cell)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn key(site: &str, class: Class) -> Key {
        Key {
            site: site.into(),
            source: "bucket".into(),
            class,
            rule: "default".into(),
            done: Done::Allow,
            would: None,
            status: 2,
            billed: Billed::Get,
            network: "".into(),
            region: "".into(),
            country: None,
            asn: None,
            undecided: None,
        }
    }

    pub(crate) fn entry<'a>(at: u64, key: Key, third: u8, bytes: u64) -> Entry<'a> {
        let prefix = IpNet::new_assert([192, 0, third, 0].into(), 24);
        Entry { at: Timestamp(at), key, prefix, bytes, user_agent: "curl/8", path: "/run/1/log", shown: None }
    }

    #[test]
    fn sums_are_exact_and_peaks_are_of_one_minute() {
        let (mut left, mut right, mut whole) = (Books::default(), Books::default(), Books::default());
        for number in 0..10_000u64 {
            let class = if number % 3 == 0 { Class::Tool } else { Class::Human };
            let entry = entry(HOUR * 5 + number * 1000, key("logs", class), (number % 7) as u8, number);
            whole.enter(entry.clone());
            if number < 4_000 { left.enter(entry) } else { right.enter(entry) }
        }
        left.merge(&right);
        let sum = |books: &Books, class| {
            let cells = books.cells().filter(|(_, key, _)| key.class == class);
            cells
                .fold((0, 0, 0), |sum, (_, _, cell)| (sum.0 + cell.requests, sum.1 + cell.bytes, cell.prefixes.count()))
        };
        assert_eq!(sum(&whole, Class::Tool), (3334, (0..10_000).step_by(3).sum(), 7));
        for class in [Class::Tool, Class::Human] {
            assert_eq!(sum(&left, class), sum(&whole, class));
        }
        assert_eq!(whole.hours.keys().copied().collect::<Vec<_>>(), [5, 6, 7]);
        let peaks: Vec<u64> = whole.hours[&5].cells.values().map(|cell| cell.peak_minute).collect();
        assert!(peaks.contains(&20) && peaks.contains(&40), "{peaks:?}");
        assert_eq!(whole.hours[&5].paths.top()[0].0.path.as_ref(), "/run/1/");
    }

    #[test]
    fn clients_from_everywhere_do_not_grow_an_hour_without_bound() {
        let mut books = Books::default();
        for asn in 0..20_000 {
            let key = Key { asn: Some(asn), country: Some(*b"FR"), ..key("logs", Class::Human) };
            books.enter(entry(0, key, 0, 1));
        }
        let hour = &books.hours[&0];
        assert_eq!(hour.cells.len(), CELLS + 1);
        assert_eq!(hour.cells[&key("logs", Class::Human)].requests, 20_000 - CELLS as u64);
        assert_eq!(books.cells().map(|(_, _, cell)| cell.requests).sum::<u64>(), 20_000);
    }

    #[test]
    fn paths_are_told_apart_by_two_segments_at_most() {
        let cases = [("/", "/"), ("/a", "/"), ("/a/b", "/a/"), ("/a/b/c", "/a/b/"), ("/a/b/c/d", "/a/b/"), ("", "")];
        for (path, prefix) in cases {
            assert_eq!(path_prefix(path), prefix, "{path}");
        }
    }
}
