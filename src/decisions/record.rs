//! What is known of decisions, those that were taken back included: others may not have heard of that yet.
//!
//! About one prefix the record counts that was made last. Its moment is later than that of the record in whose place it
//! comes, whatever the clock says, so that replicas whose clocks differ come to one mind. All merge by the same rule, so
//! that the order in which they hear of one another does not matter. A record stays as long as any that it replaced would
//! have: who was away until then must not bring that back.

use super::{CAP, Decision, Kind, LONGEST, Proposal, is_reason, prefix};
use crate::clock::Timestamp;
use crate::document::{Diagnostics, Position, check_name};
use crate::network::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The version of the text.
const VERSION: u32 = 1;
/// So many records there are at most. Where more were taken back, those that were so first are forgotten first.
const RECORDS: usize = 2 * CAP;
/// Clocks of replicas may differ by as much.
const SKEW: Duration = Duration::from_secs(86_400);

/// What one replica says, or one start of the gateway another.
#[derive(Serialize, Deserialize)]
struct Text {
    version: u32,
    decisions: Vec<serde_json::Value>,
}

/// A record as it is written. Times are milliseconds since 1970.
#[derive(Serialize, Deserialize)]
struct Line {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    since: u64,
    until: u64,
    #[serde(default)]
    keep: u64,
    who: String,
    reason: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lifted: bool,
}

/// A decision, or where it is `lifted` who took it back, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    decision: Arc<Decision>,
    lifted: bool,
    /// Until when it is remembered, at least as long as it holds.
    keep: Timestamp,
    /// Whether it has been said that it is over. Of no interest to others.
    ended: bool,
}

/// Something that another replica decided, or that was decided before a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The decision; where it was taken back, by whom and when.
    pub decision: Arc<Decision>,
    /// Whether it was taken back.
    pub lifted: bool,
}

/// What came of a text.
#[derive(Debug, Default)]
pub struct Merged {
    /// What was new in it.
    pub changes: Vec<Change>,
    /// Whether it lacks something that is known here.
    pub lacks: bool,
    /// What could not be read of it, in words.
    pub fault: Option<String>,
}

/// All records, by what they are about: everybody, or a prefix.
#[derive(Debug, Default)]
pub struct Records(BTreeMap<Option<IpNet>, Record>);

impl Record {
    /// Whether it is a decision that was not taken back, and of which nobody was told that it is over.
    fn is_decision(&self) -> bool {
        !self.lifted && !self.ended
    }

    fn is_in_force(&self, now: Timestamp) -> bool {
        !self.lifted && now < self.decision.until
    }

    /// What decides between two records about one prefix, the same in every replica.
    fn weight(&self) -> (Timestamp, bool, Kind, Timestamp, &str, &str) {
        let Decision { kind, since, until, who, reason, .. } = &*self.decision;
        (*since, self.lifted, *kind, *until, who, reason)
    }

    fn write(&self) -> Line {
        let Decision { kind, prefix, since, until, who, reason } = &*self.decision;
        Line {
            kind: kind.word().into(),
            prefix: prefix.map(|prefix| prefix.to_string()),
            since: since.0,
            until: until.0,
            keep: self.keep.0,
            who: who.to_string(),
            reason: reason.to_string(),
            lifted: self.lifted,
        }
    }

    /// The record of a line; `None` where it is not one that we would have written.
    fn read(line: serde_json::Value, now: Timestamp) -> Option<Record> {
        let Line { kind, prefix: text, since, until, keep, who, reason, lifted } = serde_json::from_value(line).ok()?;
        let (kind, since, until) = (Kind::of(&kind)?, Timestamp(since), Timestamp(until));
        let keep = Timestamp(keep).max(until);
        let about = text.as_deref().map(prefix).transpose().ok()?;
        let mut doubts = Diagnostics::default();
        check_name(&who, Position::default(), &mut doubts);
        let is_timely = since <= now + SKEW && keep <= now + SKEW + LONGEST;
        let is_ours = is_timely && doubts.all().is_empty() && is_reason(&reason);
        let decision =
            Decision { kind, prefix: about, since, until, who: who.as_str().into(), reason: reason.as_str().into() };
        (is_ours && about.is_none() == (kind == Kind::Off)).then(|| Record {
            decision: decision.into(),
            lifted,
            keep,
            ended: false,
        })
    }
}

impl Records {
    /// All decisions that were not taken back, some of them over.
    pub fn decisions(&self) -> impl Iterator<Item = &Arc<Decision>> {
        self.0.values().filter(|record| record.is_decision()).map(|record| &record.decision)
    }

    /// All decisions that hold.
    pub fn in_force(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Decision>> {
        self.0.values().filter(move |record| record.is_in_force(now)).map(|record| &record.decision)
    }

    /// A moment for a new record: now, and later than that of the record whose place it takes.
    fn moment(&self, about: Option<IpNet>, now: Timestamp) -> Timestamp {
        let before = self.0.get(&about).map(|record| record.decision.since + Duration::from_millis(1));
        before.map_or(now, |before| before.max(now))
    }

    /// Decides; `None` where there are too many decisions.
    pub fn decide(&mut self, proposal: Proposal, who: &str, now: Timestamp) -> Option<Arc<Decision>> {
        let Proposal { kind, prefix, lasts, reason } = proposal;
        if self.in_force(now).filter(|decision| decision.prefix != prefix).count() >= CAP {
            return None;
        }
        let (since, until) = (self.moment(prefix, now), now + lasts);
        let decision = Arc::new(Decision { kind, prefix, since, until, who: who.into(), reason });
        self.put(decision.clone(), false, now);
        Some(decision)
    }

    /// Takes back what holds for `about`. The record stays as long as the decision would have.
    pub fn lift(&mut self, about: Option<IpNet>, who: &str, now: Timestamp) -> Option<Arc<Decision>> {
        let record = self.0.get(&about).filter(|record| record.is_in_force(now))?;
        let before = record.decision.clone();
        let lifted = Decision { since: self.moment(about, now), who: who.into(), ..(*before).clone() };
        self.put(lifted.into(), true, now);
        Some(before)
    }

    /// Puts a record in the place of that about the same prefix.
    fn put(&mut self, decision: Arc<Decision>, lifted: bool, now: Timestamp) {
        let about = decision.prefix;
        let before = self.0.get(&about).map_or(now, |before| before.keep);
        let keep = before.max(decision.until);
        self.0.insert(about, Record { decision, lifted, keep, ended: false });
        self.trim(now);
    }

    /// Forgets what is over, and says which decisions that were.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Arc<Decision>> {
        let mut ended = Vec::new();
        self.0.retain(|_, record| {
            if record.decision.until <= now && record.is_decision() {
                record.ended = true;
                ended.push(record.decision.clone());
            }
            now < record.keep
        });
        ended
    }

    /// Everything that is not over as text, and when the last of it will be.
    pub fn text(&self, now: Timestamp) -> (String, Option<Duration>) {
        let live = || self.0.values().filter(|record| now < record.keep);
        let decisions = live().filter_map(|record| serde_json::to_value(record.write()).ok()).collect();
        let text = serde_json::to_string(&Text { version: VERSION, decisions }).unwrap_or_default();
        (text, live().map(|record| record.keep.since(now)).max())
    }

    /// Takes over what is newer in `text`. What cannot be read in it is left out.
    pub fn merge(&mut self, text: &str, now: Timestamp) -> Merged {
        let mut merged = Merged::default();
        let lines = match serde_json::from_str::<Text>(text) {
            _ if text.is_empty() => Vec::new(),
            Ok(Text { version: VERSION, decisions }) => decisions,
            Ok(Text { version, .. }) => {
                merged.fault = Some(format!("it is of version {version}"));
                Vec::new()
            }
            Err(error) => {
                merged.fault = Some(format!("it is damaged at line {}, column {}", error.line(), error.column()));
                Vec::new()
            }
        };
        let (mut told, mut faults) = (BTreeMap::new(), 0);
        for line in lines.into_iter().take(RECORDS) {
            match Record::read(line, now) {
                Some(record) => drop(told.insert(record.decision.prefix, record)),
                None => faults += 1,
            }
        }
        if faults > 0 {
            merged.fault = Some(format!("{faults} of its decisions cannot be read"));
        }
        for (about, record) in &told {
            let known = self.0.get(about);
            if record.keep <= now || known.is_some_and(|known| known.weight() >= record.weight()) {
                continue;
            }
            let was_decided = known.is_some_and(Record::is_decision);
            let keep = known.map_or(record.keep, |known| known.keep.max(record.keep));
            // What was over before it was heard of is no news.
            let ended = record.decision.until <= now;
            self.0.insert(*about, Record { keep, ended, ..record.clone() });
            if was_decided || !(record.lifted || ended) {
                merged.changes.push(Change { decision: record.decision.clone(), lifted: record.lifted });
            }
        }
        self.trim(now);
        let unknown = |(about, record): (&Option<IpNet>, &Record)| {
            now < record.keep && told.get(about).is_none_or(|told| told.weight() < record.weight())
        };
        merged.lacks = self.0.iter().any(unknown);
        merged
    }

    /// Keeps the bounds, in the same way at every replica: the last decisions stay, and the last that were taken back.
    fn trim(&mut self, now: Timestamp) {
        for (in_force, most) in [(true, CAP), (false, RECORDS - CAP)] {
            let of_kind = self.0.iter().filter(|(_, record)| record.is_in_force(now) == in_force);
            let mut moments: Vec<_> = of_kind.map(|(about, record)| (record.decision.since, *about)).collect();
            let excess = moments.len().saturating_sub(most);
            moments.sort_unstable();
            for (_, about) in moments.into_iter().take(excess) {
                self.0.remove(&about);
            }
        }
    }
}
