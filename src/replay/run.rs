//! From log files to books: read side by side, put in order, judged one after the other.

#![allow(clippy::disallowed_methods, reason = "rank 5: reads log files")]

use super::formats::Format;
use super::hindsight::Hindsight;
use super::judge::Judge;
use super::owned::{Kind, Kinds, Owned};
use super::places::Places;
use super::reader::{Reader, Tally};
use super::record::{Operation, Record};
use super::source::Log;
use super::window::{Bounds, Ids, Window};
use crate::clock::Timestamp;
use crate::cost::is_billed;
use crate::facts::{Fact, Identity};
use crate::network::IpNet;
use crate::traffic::{Billed, Books, Key};
use crate::verdict::Done;
use memchr::memchr;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Records that go from a reader to the judge at once.
const BATCH: usize = 2048;
/// Batches that wait for the judge.
const QUEUE: usize = 8;
/// How long records wait for those before them: S3 delivers some of them hours late, and files are read side by side.
const SPAN: Duration = Duration::from_secs(6 * 3600);
/// Records that wait to be put in order at most: some 250 bytes each.
const WINDOW: usize = 250_000;
/// The User-Agent that the gateway sends to origins begins so.
const OURS: &str = "windscreen/";

/// What is to be read.
pub struct Plan {
    /// The logs, nearly in the order of time.
    pub logs: Box<dyn Iterator<Item = Log> + Send>,
    /// Their format.
    pub format: Format,
    /// What came before this is passed over.
    pub since: Timestamp,
    /// What came at this time or later is passed over.
    pub until: Timestamp,
    /// Which site a record is of.
    pub places: Places,
    /// How long and how many records wait to be put in order.
    pub bounds: Bounds,
    /// When this is set, what was not judged yet is left out.
    pub stop: Arc<AtomicBool>,
}

impl Plan {
    /// A plan to read all of `logs`.
    pub fn new(logs: impl Iterator<Item = Log> + Send + 'static, places: Places) -> Self {
        let (logs, bounds) = (Box::new(logs), Bounds { span: SPAN, records: WINDOW });
        Plan {
            logs,
            format: Format::Auto,
            since: Timestamp(0),
            until: Timestamp(u64::MAX),
            places,
            bounds,
            stop: Arc::default(),
        }
    }
}

/// What was read and does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Writes and deletions.
    pub writes: u64,
    /// What the provider did by itself, settings of buckets, requests without a client.
    pub other: u64,
    /// The gateway's own reads: they are in its own books.
    pub own_reads: u64,
    /// Records that came twice.
    pub duplicates: u64,
    /// Records from outside the time that was asked for.
    pub out_of_time: u64,
}

impl LeftOut {
    fn add(&mut self, other: &LeftOut) {
        self.writes += other.writes;
        self.other += other.other;
        self.own_reads += other.own_reads;
        self.out_of_time += other.out_of_time;
    }
}

/// What one verdict of a policy becomes under another: by class, and in the words for what is done.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Requests.
    pub requests: u64,
    /// Bytes.
    pub bytes: u64,
    /// The prefixes that they came from.
    pub prefixes: crate::traffic::Distinct,
    /// One of them.
    pub example: Option<IpNet>,
}

/// Verdicts that differ: the class, rule and action of one policy, and those of the other.
pub type Changes = BTreeMap<(Ruled, Ruled), Change>;

/// What a policy made of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ruled {
    /// The class.
    pub class: crate::verdict::Class,
    /// The word for what would have been done.
    pub action: &'static str,
    /// The rule.
    pub rule: Arc<str>,
}

impl Ruled {
    pub(super) fn new(key: &Key) -> Self {
        match &key.would {
            Some(would) => Ruled { class: key.class, action: would.action, rule: would.rule.clone() },
            None => Ruled { class: key.class, action: Done::Allow.word(), rule: key.rule.clone() },
        }
    }
}

/// What came of a replay.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The books.
    pub books: Books,
    /// Where the other policy decides differently.
    pub changes: Changes,
    /// What was read.
    pub tally: Tally,
    /// What of it does not count.
    pub left_out: LeftOut,
    /// The first and the last request that counts.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Records that came too late to be put in order; they count all the same.
    pub late: u64,
    /// The places of buckets.
    pub places: Places,
}

/// What a reader of files needs.
struct Sorter<'p> {
    since: Timestamp,
    until: Timestamp,
    places: Places,
    ids: &'p Ids,
    kinds: Kinds,
    left_out: LeftOut,
    batch: Vec<(Timestamp, Option<u64>, Owned)>,
    out: SyncSender<Vec<(Timestamp, Option<u64>, Owned)>>,
}

impl Sorter<'_> {
    fn take(&mut self, record: &Record<'_>) {
        let user_agent = record.user_agent.as_str();
        let signed = matches!(record.requester, Fact::Present(_));
        let address = match (record.operation, record.address) {
            (Operation::Write, _) => {
                self.left_out.writes += 1;
                return;
            }
            (Operation::Read | Operation::List, Some(address)) => address,
            _ => {
                self.left_out.other += 1;
                return;
            }
        };
        if record.time < self.since || record.time >= self.until {
            self.left_out.out_of_time += 1;
            return;
        }
        if signed && user_agent.present().is_some_and(|agent| agent.starts_with(OURS)) {
            self.left_out.own_reads += 1;
            return;
        }
        let place = self.places.find(record);
        let identity = match record.identity {
            Fact::Present(identity) => identity,
            _ if signed => Identity::Signature,
            _ => Identity::None,
        };
        let client_name = match record.client_name.as_str() {
            Fact::Unknown if identity == Identity::None => Fact::Absent,
            known => known,
        };
        let status = record.status.unwrap_or(0);
        let target = record.target.get(place.prefix..).unwrap_or("/");
        let path = memchr(b'?', target.as_bytes()).unwrap_or(target.len());
        let referer = record.referer.as_str();
        let billed = match record.operation {
            _ if !is_billed(status, signed) => Billed::Nothing,
            Operation::List => Billed::List,
            _ => Billed::Get,
        };
        let kind = Kind {
            site: &*place.site,
            source: &*place.source,
            method: &*record.method,
            tells_query: record.tells_query,
            host: record.host,
            identity,
            client_name,
            user_agent,
            version: record.version,
            secure: record.secure,
            ja4: record.ja4.as_str(),
            region: record.source_region.present().unwrap_or_default(),
        };
        let owned = Owned {
            kind: self.kinds.get(&kind),
            took: Duration::from_millis(record.millis.unwrap_or(0)),
            address,
            texts: [target, referer.present().unwrap_or_default()].concat().into(),
            // A line is not as long.
            path: u32::try_from(path).unwrap_or(0),
            target: u32::try_from(target.len()).unwrap_or(0),
            referer: referer.map(|_| ()),
            status,
            bytes: record.bytes,
            billed,
        };
        self.batch.push((record.time, self.ids.of(record), owned));
        if self.batch.len() >= BATCH {
            self.send();
        }
    }

    fn send(&mut self) {
        // Nobody takes it where the judge has panicked; the scope says so.
        _ = self.out.send(std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH)));
    }
}

/// Reads what `plan` names, and judges it. `other` is a second policy to compare with.
pub fn replay(plan: Plan, judge: &mut Judge, mut other: Option<&mut Judge>) -> Replayed {
    let Plan { logs, format, since, until, places, bounds, stop } = plan;
    let readers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let (sender, receiver) = sync_channel::<Vec<(Timestamp, Option<u64>, Owned)>>(QUEUE);
    let (logs, turn, ids) = (Mutex::new(logs), RwLock::new(()), Ids::new(rand::random()));
    let read = Mutex::new((Tally::default(), LeftOut::default(), places.clone()));
    let mut replayed = Replayed::default();
    let mut window = Window::new(bounds);

    std::thread::scope(|scope| {
        for _ in 0..readers {
            let (ids, places, out) = (&ids, places.clone(), sender.clone());
            let (logs, turn, read) = (&logs, &turn, &read);
            scope.spawn(move || {
                let mut reader = Reader::new(format);
                let (kinds, left_out, batch) = (Kinds::default(), LeftOut::default(), Vec::new());
                let mut sorter = Sorter { since, until, places, ids, kinds, left_out, batch, out };
                loop {
                    let next = logs.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(Log { name, alone, input }) = next else { break };
                    let _turn = (alone.then(|| turn.write()), (!alone).then(|| turn.read()));
                    match input {
                        Ok(input) => reader.read(&name, input, |record| sorter.take(record)),
                        Err(error) => reader.tally.damage(&name, &error),
                    }
                    sorter.send();
                }
                let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
                read.0.merge(reader.tally);
                read.1.add(&sorter.left_out);
                read.2.merge(sorter.places);
            });
        }
        drop(sender);
        let (mut path, mut hindsight, nobody) = (String::new(), Hindsight::default(), Arc::from(""));
        let mut enter = |at: Timestamp, owned: Owned| {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let span = replayed.span.get_or_insert((at, at));
            *span = (span.0.min(at), span.1.max(at));
            let past = owned.past(at);
            let entry = judge.judge(&past, &mut path);
            if let Some(other) = &mut other {
                let mut path = String::new();
                let theirs = other.judge(&past, &mut path);
                let (ours, theirs) = (Ruled::new(&entry.key), Ruled::new(&theirs.key));
                if ours != theirs {
                    let change = replayed.changes.entry((ours, theirs)).or_default();
                    change.requests += 1;
                    change.bytes += entry.bytes;
                    change.prefixes.insert(crate::traffic::prefix_hash(entry.prefix));
                    change.example.get_or_insert(entry.prefix);
                }
            }
            let user_agent = match &owned.kind.user_agent {
                Fact::Present(user_agent) => user_agent,
                _ => &nobody,
            };
            hindsight.take(entry, user_agent, judge, &mut |entry| replayed.books.enter(entry));
        };
        for batch in receiver {
            for (at, id, owned) in batch {
                window.push(at, id, owned, &mut enter);
            }
        }
        window.finish(&mut enter);
        let end = replayed.span.map_or(Timestamp(0), |(_, last)| last);
        hindsight.finish(end, judge, &mut |entry| replayed.books.enter(entry));
    });

    let (tally, left_out, places) = read.into_inner().unwrap_or_else(PoisonError::into_inner);
    let left_out = LeftOut { duplicates: window.duplicates(), ..left_out };
    Replayed { tally, left_out, places, late: window.late(), ..replayed }
}
