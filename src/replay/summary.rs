//! What a replay came to, for people and for machines.

use super::compared;
use super::run::{Change, Changes, Replayed, Ruled};
use crate::printable::printable;
use crate::report::{aligned, bytes, grouped};
use crate::traffic::{Distinct, Hour, Stopped, Taken};
use crate::verdict::Class;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// How many of those who would be hit are shown.
const HIT: usize = 20;

/// One line: what would have been done with whom.
#[derive(Debug, Clone, Default)]
struct Line {
    requests: u64,
    bytes: u64,
    prefixes: Distinct,
}

/// What a replay came to.
#[derive(Debug)]
pub struct Summary<'r> {
    replayed: &'r Replayed,
    policy: &'r str,
    lines: BTreeMap<Ruled, Line>,
    undecided: BTreeMap<Arc<str>, (u64, u64)>,
    hit: Vec<(Stopped, Taken)>,
}

/// Whether people or CI with this class would notice: who is challenged and is a person passes.
fn is_hit(stopped: &Stopped) -> bool {
    match stopped.class {
        Class::Human => !matches!(stopped.action, "challenge" | "redirect"),
        Class::Ci => stopped.action != "redirect",
        _ => false,
    }
}

impl<'r> Summary<'r> {
    /// Sums up `replayed`, which was judged by the policy called `policy`.
    pub fn new(replayed: &'r Replayed, policy: &'r str) -> Self {
        let mut lines: BTreeMap<Ruled, Line> = BTreeMap::new();
        let mut undecided: BTreeMap<Arc<str>, (u64, u64)> = BTreeMap::new();
        for (_, key, cell) in replayed.books.cells() {
            let line = lines.entry(Ruled::new(key)).or_default();
            line.requests += cell.requests;
            line.bytes += cell.bytes;
            line.prefixes.merge(&cell.prefixes);
            if let Some(rule) = &key.undecided {
                let sum = undecided.entry(rule.clone()).or_default();
                *sum = (sum.0 + cell.requests, sum.1 + cell.bytes);
            }
        }
        let mut whole = Hour::default().stopped;
        replayed.books.hours.values().for_each(|hour| whole.merge(&hour.stopped));
        let mut hit = whole.top();
        hit.retain(|(stopped, _)| is_hit(stopped));
        hit.truncate(HIT);
        Summary { replayed, policy, lines, undecided, hit }
    }

    fn by_bytes(&self) -> Vec<(&Ruled, &Line)> {
        let mut lines: Vec<_> = self.lines.iter().collect();
        lines.sort_by_key(|(_, line)| std::cmp::Reverse((line.bytes, line.requests)));
        lines
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let Replayed { tally, left_out, span, late, places, changes, .. } = self.replayed;
        let ruled = |ruled: &Ruled| json!({"class": ruled.class.word(), "action": ruled.action, "rule": &*ruled.rule});
        let line = |(who, line): &(&Ruled, &Line)| {
            let mut value = ruled(who);
            value["requests"] = line.requests.into();
            value["bytes"] = line.bytes.into();
            value["prefixes"] = line.prefixes.count().into();
            value
        };
        let hit = |(stopped, taken): &(Stopped, Taken)| {
            json!({
                "prefix": stopped.prefix.to_string(), "class": stopped.class.word(), "action": stopped.action,
                "rule": &*stopped.rule, "requests": taken.requests, "bytes": taken.bytes,
            })
        };
        let change = |((from, to), change): (&(Ruled, Ruled), &Change)| {
            json!({
                "from": ruled(from), "to": ruled(to), "requests": change.requests, "bytes": change.bytes,
                "prefixes": change.prefixes.count(), "example": change.example.map(|prefix| prefix.to_string()),
            })
        };
        let example =
            |example: &super::Example| json!({"place": example.place, "reason": example.reason, "text": example.text});
        json!({
            "version": 1,
            "policy": self.policy,
            "from": span.map(|(from, _)| from.to_string()),
            "to": span.map(|(_, to)| to.to_string()),
            "read": {"files": tally.files, "lines": tally.lines, "records": tally.records},
            "left_out": {
                "unreadable": tally.unparsable.count, "duplicates": left_out.duplicates, "writes": left_out.writes,
                "own_reads": left_out.own_reads, "other": left_out.other, "out_of_time": left_out.out_of_time,
            },
            "unreadable": tally.unparsable.examples.iter().map(example).collect::<Vec<_>>(),
            "damaged": tally.damaged.iter().map(|d| json!({"file": d.name, "error": d.message})).collect::<Vec<_>>(),
            "late": late,
            "buckets": places.buckets().map(|(bucket, site)| json!({"bucket": bucket, "site": site})).collect::<Vec<_>>(),
            "would": self.by_bytes().iter().map(line).collect::<Vec<_>>(),
            "undecided": self.undecided.iter().map(|(rule, (requests, bytes))| {
                json!({"rule": &**rule, "requests": requests, "bytes": bytes})
            }).collect::<Vec<_>>(),
            "hit": self.hit.iter().map(hit).collect::<Vec<_>>(),
            "recorded": compared::json(&self.replayed.agreement),
            "changes": changes.iter().map(change).collect::<Vec<_>>(),
        })
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).map_or(String::new(), |()| text)
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Replayed { tally, left_out, span, late, places, changes, .. } = self.replayed;
        let counted: u64 = self.lines.values().map(|line| line.requests).sum();
        match span {
            Some((from, to)) => {
                writeln!(out, "{} reads from {from} to {to},", grouped(counted))?;
                writeln!(out, "judged by {} as if it were enforced", printable(self.policy))?;
            }
            None => writeln!(out, "no reads")?,
        }
        for (bucket, site) in places.buckets().filter(|(bucket, site)| bucket != site) {
            writeln!(out, "bucket {} is taken for the site {site}", printable(bucket))?;
        }
        let counts = [
            ("unreadable", tally.unparsable.count),
            ("duplicates", left_out.duplicates),
            ("writes", left_out.writes),
            ("reads of the gateway", left_out.own_reads),
            ("of no client", left_out.other),
            ("of another time", left_out.out_of_time),
        ];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| format!("{} {what}", grouped(*count)))
            .collect();
        if !counts.is_empty() {
            writeln!(out, "left out: {}", counts.join(", "))?;
        }
        if *late > 0 {
            writeln!(out, "{} came too late to be put in order; they count", grouped(*late))?;
        }
        compared::write(&self.replayed.agreement, out)?;
        for example in &tally.unparsable.examples {
            writeln!(out, "  {}: {}: {}", printable(&example.place), example.reason, example.text)?;
        }
        for damaged in &tally.damaged {
            writeln!(out, "  {}: {}", printable(&damaged.name), damaged.message)?;
        }

        let rows = self.by_bytes().into_iter().map(|(who, line)| {
            let counts = [grouped(line.requests), bytes(line.bytes), grouped(line.prefixes.count())];
            let words = [who.class.word().to_owned(), who.action.to_owned(), who.rule.to_string()];
            [words, counts].concat()
        });
        table(out, &["class", "would be", "by rule", "reads", "bytes", "prefixes"], 3, rows.collect())?;
        let rows = self
            .undecided
            .iter()
            .map(|(rule, (requests, sum))| vec![rule.to_string(), grouped(*requests), bytes(*sum)]);
        table(out, &["undecided", "reads", "bytes"], 1, rows.collect())?;
        let rows = self.hit.iter().map(|(stopped, taken)| {
            let words = [stopped.prefix.to_string(), stopped.class.word().into(), stopped.action.into()];
            [words.as_slice(), &[stopped.rule.to_string(), grouped(taken.requests), bytes(taken.bytes)]].concat()
        });
        table(out, &["would be hit", "class", "would be", "by rule", "reads", "bytes"], 4, rows.collect())?;
        self.write_changes(changes, out)
    }

    fn write_changes(&self, changes: &Changes, out: &mut String) -> std::fmt::Result {
        let mut changes: Vec<_> = changes.iter().collect();
        changes.sort_by_key(|(_, change)| std::cmp::Reverse((change.bytes, change.requests)));
        let ruled = |ruled: &Ruled| format!("{} {} ({})", ruled.class.word(), ruled.action, ruled.rule);
        let rows = changes.into_iter().map(|((from, to), change)| {
            let example = change.example.map_or(String::new(), |prefix| prefix.to_string());
            let counts = [grouped(change.requests), bytes(change.bytes), grouped(change.prefixes.count())];
            [vec![ruled(from), ruled(to)], counts.to_vec(), vec![example]].concat()
        });
        table(out, &["was", "becomes", "reads", "bytes", "prefixes", "one of them"], 2, rows.collect())
    }
}

/// A table with a blank line before it; nothing where there are no rows. The first `words` columns are words.
fn table(out: &mut String, head: &[&str], words: usize, rows: Vec<Vec<String>>) -> std::fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    let head = head.iter().map(|title| (*title).to_owned()).collect();
    let rows: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    write!(out, "\n{}", aligned(&rows, words, "  "))
}
