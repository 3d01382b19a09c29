//! Finding the decision about an address: for each family the borders of all prefixes in order, and for each stretch
//! between two of them the most specific decision, which knows the next broader one.

use super::{Decision, Kind};
use crate::clock::Timestamp;
use crate::network::{IpNet, number};
use std::net::IpAddr;
use std::sync::Arc;

/// No decision.
const NONE: usize = usize::MAX;

/// All decisions, to be asked and never changed.
#[derive(Debug, Default)]
pub struct Table {
    entries: Vec<Entry>,
    ipv4: Stretches,
    ipv6: Stretches,
    everybody: Option<Arc<Decision>>,
}

#[derive(Debug)]
struct Entry {
    decision: Arc<Decision>,
    /// The decision about the narrowest prefix around this one's.
    around: usize,
}

/// Stretches of addresses, by their first one, and the entry of each.
#[derive(Debug, Default)]
struct Stretches {
    first: Vec<u128>,
    entry: Vec<usize>,
}

impl Stretches {
    fn begin(&mut self, at: u128, entry: usize) {
        // A later word about the same address is about a broader prefix that ends there, or a narrower one that begins.
        if self.first.last() == Some(&at) {
            self.first.pop();
            self.entry.pop();
        }
        self.first.push(at);
        self.entry.push(entry);
    }

    fn find(&self, number: u128) -> usize {
        let after = self.first.partition_point(|first| *first <= number);
        if after == 0 { NONE } else { self.entry[after - 1] }
    }
}

impl Table {
    /// The table of these decisions, each about another prefix.
    pub fn new<'d>(decisions: impl Iterator<Item = &'d Arc<Decision>>) -> Self {
        let mut table = Table::default();
        let mut about: Vec<(IpNet, &Arc<Decision>)> = Vec::new();
        for decision in decisions {
            match decision.prefix {
                Some(prefix) => about.push((prefix, decision)),
                None => table.everybody = Some(decision.clone()),
            }
        }
        // Broader ones first, so that they are around those that follow.
        about.sort_by_key(|(prefix, _)| (prefix.addr().is_ipv6(), number(prefix.network()), prefix.prefix_len()));
        let mut open: Vec<(u128, usize)> = Vec::new();
        for ipv4 in [true, false] {
            let mut stretches = Stretches::default();
            for (prefix, decision) in about.iter().filter(|(prefix, _)| prefix.addr().is_ipv4() == ipv4) {
                let (first, last) = (number(prefix.network()), number(prefix.broadcast()));
                close(&mut open, &mut stretches, Some(first));
                let around = open.last().map_or(NONE, |(_, entry)| *entry);
                let entry = table.entries.len();
                table.entries.push(Entry { decision: (*decision).clone(), around });
                stretches.begin(first, entry);
                open.push((last, entry));
            }
            close(&mut open, &mut stretches, None);
            *(if ipv4 { &mut table.ipv4 } else { &mut table.ipv6 }) = stretches;
        }
        table
    }

    /// What holds for `address` at `now`; see [`Decisions::find`](super::Decisions::find).
    pub fn find(&self, address: IpAddr, trusted: bool, now: Timestamp) -> Option<&Arc<Decision>> {
        let stretches = if address.is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        let mut at = stretches.find(number(address));
        while let Some(Entry { decision, around }) = self.entries.get(at) {
            if now < decision.until && (trusted || decision.kind == Kind::Block) {
                return Some(decision);
            }
            at = *around;
        }
        self.everybody.as_ref().filter(|decision| now < decision.until)
    }
}

/// Ends the prefixes that do not reach `next`: behind each, what is around it goes on.
fn close(open: &mut Vec<(u128, usize)>, stretches: &mut Stretches, next: Option<u128>) {
    while let Some((last, _)) = open.pop_if(|(last, _)| next.is_none_or(|next| *last < next)) {
        if let Some(behind) = last.checked_add(1) {
            stretches.begin(behind, open.last().map_or(NONE, |(_, entry)| *entry));
        }
    }
}
