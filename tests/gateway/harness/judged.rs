//! What the gateway makes of simulated traffic, held against what is true of it.

use crate::simulator::{Event, Label, Scenario, Site, networks};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::time::Duration;
use windscreen::clock::Timestamp;
use windscreen::config::{LoadedPolicy, load_in_place};
use windscreen::document::Diagnostics;
use windscreen::facts::{Fact, Identity};
use windscreen::network::IpNet;
use windscreen::replay::{Basis, Hindsight, Judge, Past};
use windscreen::surroundings::Geo;
use windscreen::traffic::{Billed, Entry};
use windscreen::verdict::{Class, Done};

/// Requests and bytes by what is true and by what the gateway says.
#[derive(Debug, Default)]
pub struct Table(BTreeMap<(usize, Class), (u64, u64)>);

impl Table {
    fn enter(&mut self, entry: &Entry<'_>, labels: &HashMap<(IpNet, Timestamp, u64), Label>) {
        let label = labels[&(entry.prefix, entry.at, entry.bytes)];
        let cell = self.0.entry((label.index(), entry.key.class)).or_default();
        *cell = (cell.0 + 1, cell.1 + entry.bytes);
    }

    /// The share of `label` that is of one of `classes`: of its requests, and of its bytes.
    pub fn share(&self, label: Label, classes: &[Class]) -> (f64, f64) {
        let sum = |of: &dyn Fn(Class) -> bool| {
            let cells = self.0.iter().filter(|((row, class), _)| *row == label.index() && of(*class));
            cells.fold((0, 0), |sum, (_, (requests, bytes))| (sum.0 + requests, sum.1 + bytes))
        };
        let (found, all) = (sum(&|class| classes.contains(&class)), sum(&|_| true));
        (found.0 as f64 / all.0.max(1) as f64, found.1 as f64 / all.1.max(1) as f64)
    }

    /// For people: each label's requests and bytes by class, in percent.
    pub fn print(&self) -> String {
        let mut text = format!("{:<18}", "requests / bytes %");
        for (word, _) in Class::WORDS {
            write!(text, "{word:>15}").unwrap();
        }
        for label in Label::ALL {
            write!(text, "\n{:<18}", format!("{label:?}")).unwrap();
            for (_, class) in Class::WORDS {
                let (requests, bytes) = self.share(label, &[class]);
                write!(text, "{:>15}", format!("{:.1} / {:.1}", requests * 100.0, bytes * 100.0)).unwrap();
            }
        }
        text
    }
}

fn blocks(prefixes: &[networks::Prefix]) -> Vec<IpNet> {
    prefixes.iter().map(|(address, length)| IpNet::new_assert((*address).into(), *length)).collect()
}

/// A judge by the built-in policy that knows the clouds' networks.
pub fn judge() -> Judge {
    let mut diagnostics = Diagnostics::default();
    let loaded = load_in_place(None, None, &mut diagnostics).unwrap().unwrap();
    for (name, prefixes) in [("aws", networks::AWS_US_EAST_1), ("github", networks::GITHUB_ACTIONS)] {
        let id = loaded.networks.iter().find(|(_, known)| known == name).unwrap().0;
        loaded.policy.networks.set_feed(id, 0, blocks(prefixes));
    }
    let LoadedPolicy { policy, limits, challenge, strikes, networks, .. } = loaded;
    let basis = Basis { policy: policy.into(), limits, passes: challenge.pass, strikes, networks, geo: Geo::default() };
    Judge::new(basis, &[], Timestamp(0)).unwrap()
}

/// What S3 would have logged of an event.
fn past<'a>(event: &'a Event, target: &'a str) -> Past<'a> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Past {
        at: Timestamp(event.at_ms as u64),
        took: Duration::from_millis(event.took_ms.into()),
        address: event.address,
        site: if event.site == Site::Logs { "logs" } else { "images" }.into(),
        source: "bucket".into(),
        method: event.method,
        path,
        query: Fact::Present(query),
        host: Fact::Present(event.host()),
        identity: if event.requester.is_some() { Identity::Signature } else { Identity::None },
        client_name: if event.requester.is_some() { Fact::Unknown } else { Fact::Absent },
        user_agent: event.user_agent().into(),
        referer: event.referer.as_deref().into(),
        version: Fact::Unknown,
        secure: Fact::Present(event.is_tls),
        ja4: Fact::Unknown,
        trusted: true,
        recorded: None,
        done: Done::Allow,
        status: event.status,
        bytes: event.bytes,
        billed: Billed::Get,
        region: event.region.unwrap_or_default().into(),
    }
}

/// Judges the reads of a scenario, as S3 would have logged them.
pub fn judged(scenario: &Scenario) -> Table {
    let (mut judge, mut path) = (judge(), String::new());
    let (mut table, mut hindsight) = (Table::default(), Hindsight::default());
    // Which label a prefix and a time stand for: an entry knows no more.
    let mut labels: HashMap<(IpNet, Timestamp, u64), Label> = HashMap::new();
    let mut last = Timestamp(0);
    for event in scenario.traffic().filter(Event::is_read) {
        let target = event.target();
        let past = past(&event, &target);
        let entry = judge.judge(&past, &mut path);
        last = entry.at;
        labels.insert((entry.prefix, entry.at, entry.bytes), event.label);
        let user_agent = event.user_agent().unwrap_or_default().into();
        hindsight.take(entry, &user_agent, &judge, &mut |entry| table.enter(&entry, &labels));
    }
    hindsight.finish(last, &judge, &mut |entry| table.enter(&entry, &labels));
    table
}
