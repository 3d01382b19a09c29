//! Who took most, by which rules requests were decided: the books of the last hours as plain data.

use crate::clock::Timestamp;
use crate::network::IpNet;
use crate::printable::printable;
use crate::traffic::{Books, Distinct, HOUR, Hour, Key, Stopped, Taken};
use crate::verdict::Class;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How many of those who took most are shown.
const TAKERS: usize = 20;
/// How many User-Agents, and how many paths.
const OTHERS: usize = 10;
/// How many rules.
const RULES: usize = 40;

/// What requests came to.
#[derive(Default)]
struct Sum {
    requests: u64,
    bytes: u64,
    prefixes: Distinct,
    done: BTreeMap<&'static str, u64>,
    would_be: BTreeMap<&'static str, u64>,
}

/// The rule that decided or was held back, the word for what it did, and whether it was held back.
fn ruled(key: &Key) -> (Arc<str>, &'static str, bool) {
    match &key.would {
        Some(would) => (would.rule.clone(), would.action, true),
        None => (key.rule.clone(), key.done.word(), false),
    }
}

/// What `books` say of the hours from `first` on.
pub(super) fn books(books: &Books, first: u64) -> Value {
    let mut whole = Hour::default();
    let mut classes: BTreeMap<Class, Sum> = BTreeMap::new();
    let mut rules: BTreeMap<(Arc<str>, &'static str, bool), Sum> = BTreeMap::new();
    for hour in books.hours.range(first..).map(|(_, hour)| hour) {
        whole.takers.merge(&hour.takers);
        whole.agents.merge(&hour.agents);
        whole.paths.merge(&hour.paths);
        whole.stopped.merge(&hour.stopped);
        for (key, cell) in &hour.cells {
            let class = classes.entry(key.class).or_default();
            *class.done.entry(key.done.word()).or_default() += cell.requests;
            if let Some(would) = &key.would {
                *class.would_be.entry(would.action).or_default() += cell.requests;
            }
            for sum in [class, rules.entry(ruled(key)).or_default()] {
                sum.requests += cell.requests;
                sum.bytes += cell.bytes;
                sum.prefixes.merge(&cell.prefixes);
            }
        }
    }
    let mut rules: Vec<_> = rules.into_iter().collect();
    rules.sort_by_key(|(_, sum)| Reverse(sum.requests));
    json!({
        "since": Timestamp(first * HOUR).to_string(),
        "classes": classes.iter().map(|(class, sum)| json!({
            "class": class.word(), "requests": sum.requests, "bytes": sum.bytes, "prefixes": sum.prefixes.count(),
            "done": sum.done, "would_be": sum.would_be,
        })).collect::<Vec<_>>(),
        "rules": rules.iter().take(RULES).map(|((rule, action, held_back), sum)| json!({
            "rule": &**rule, "action": action, "held_back": held_back,
            "requests": sum.requests, "bytes": sum.bytes, "prefixes": sum.prefixes.count(),
        })).collect::<Vec<_>>(),
        "takers": takers(&whole),
        "agents": whole.agents.top().iter().take(OTHERS).map(|(agent, taken)| json!({
            "class": agent.class.word(), "user_agent": printable(&agent.user_agent),
            "requests": taken.requests, "bytes": taken.bytes,
        })).collect::<Vec<_>>(),
        "paths": whole.paths.top().iter().take(OTHERS).map(|(path, taken)| json!({
            "site": &*path.site, "path": printable(&path.path), "requests": taken.requests, "bytes": taken.bytes,
        })).collect::<Vec<_>>(),
    })
}

/// The prefixes that took most, each with what stopped or would have stopped most of its requests.
fn takers(whole: &Hour) -> Vec<Value> {
    let mut stopped: HashMap<(IpNet, Class), (Stopped, Taken)> = HashMap::new();
    for (who, taken) in whole.stopped.top() {
        let known = stopped.entry((who.prefix, who.class)).or_insert_with(|| (who.clone(), taken));
        if taken.requests > known.1.requests {
            *known = (who, taken);
        }
    }
    let taker = |(taker, taken): &(crate::traffic::Taker, Taken)| {
        let why = stopped.get(&(taker.prefix, taker.class));
        json!({
            "prefix": taker.prefix.to_string(), "address": taker.prefix.addr().to_string(), "class": taker.class.word(),
            "site": &*taker.site, "requests": taken.requests, "bytes": taken.bytes,
            "why": why.map(|(why, taken)| json!({
                "rule": &*why.rule, "action": why.action, "requests": taken.requests,
            })),
        })
    };
    whole.takers.top().iter().take(TAKERS).map(taker).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{Billed, Entry, Would};
    use crate::verdict::Done;

    #[test]
    fn takers_come_with_their_class_and_what_stopped_them() {
        let mut all = Books::default();
        let mut enter = |prefix: &str, class, would: Option<&str>, hour: u64, agent: &str| {
            let would = would.map(|rule| Would { rule: rule.into(), action: "challenge" });
            let text = || Arc::from("");
            let key = Key {
                site: "logs".into(),
                source: "first".into(),
                class,
                rule: "default".into(),
                done: Done::Allow,
                would,
                status: 2,
                billed: Billed::Get,
                network: text(),
                region: text(),
                country: None,
                asn: None,
                undecided: None,
            };
            let (at, prefix) = (Timestamp(hour * HOUR), prefix.parse().unwrap());
            all.enter(Entry { at, key, prefix, bytes: 10, user_agent: agent, path: "/a/b", shown: None });
        };
        enter("198.51.100.0/24", Class::Human, None, 9, "old");
        for _ in 0..3 {
            enter("192.0.2.0/24", Class::Suspect, Some("suspects"), 10, "a\u{202e}b");
        }
        enter("192.0.2.0/24", Class::Suspect, None, 11, "x");
        let told = books(&all, 10);
        assert_eq!(told["takers"].as_array().unwrap().len(), 1, "an hour before does not count");
        let taker = &told["takers"][0];
        assert_eq!((&taker["class"], &taker["requests"], &taker["bytes"]), (&json!("suspect"), &json!(4), &json!(40)));
        assert_eq!(taker["why"], json!({"rule": "suspects", "action": "challenge", "requests": 3}));
        assert_eq!(told["agents"][0]["user_agent"], "a\\u{202e}b", "nothing hidden is shown as it is");
        assert_eq!(told["classes"][0]["would_be"], json!({"challenge": 3}));
        assert_eq!(told["rules"][0]["held_back"], true);
    }
}
