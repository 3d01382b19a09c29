//! What replicas hear of passes, and what is kept over a restart.

use super::{Account, Accounts, CAP};
use crate::clock::Timestamp;
use crate::exchange::spaces::{
    PASS_BYTES as BYTES, PASS_PREFIXES as PREFIXES, PASS_RENEWALS as RENEWALS, PASS_REQUESTS as REQUESTS,
};
use crate::exchange::{Change, CounterId, Replicated, Total};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

impl Account {
    /// What others should know of it: each part with its name, and what was added to it. Who does not know all that was
    /// used only asks: otherwise two that know nothing would take each other for one that does.
    fn parts(&self) -> impl Iterator<Item = (&'static str, Change)> {
        let (expires, known) = (self.expires, u64::from(self.is_known()));
        let sum = |space, add: u64, view: u64| (space, Change::Sum { add: add * known, view: view * known, expires });
        let sums = [
            sum(REQUESTS, self.added_requests, self.requests),
            sum(BYTES, self.added_bytes, self.bytes),
            sum(RENEWALS, 0, self.renewals),
        ];
        sums.into_iter().chain([(PREFIXES, Change::Members { seen: self.prefixes.to_vec(), expires })])
    }

    /// Takes over what others know of one part at `now`.
    fn learn(&mut self, space: &str, total: &Total, now: Timestamp) {
        match (space, total) {
            (REQUESTS, Total::Sum(sum)) => {
                let own = self.requests.saturating_sub(self.heard_requests);
                self.requests = self.requests.max(sum.saturating_add(self.added_requests));
                self.heard_requests = self.requests.saturating_sub(own);
                // Somebody knows what has been used of it, so that it need not be guessed.
                if *sum > 0 {
                    self.tenths = 10;
                }
            }
            (BYTES, Total::Sum(sum)) => {
                let own = self.bytes.saturating_sub(self.heard_bytes);
                self.bytes = self.bytes.max(sum.saturating_add(self.added_bytes));
                self.heard_bytes = self.bytes.saturating_sub(own);
            }
            // Its bonus has been given, so that none is due here before another half lifetime.
            (RENEWALS, Total::Sum(sum)) if *sum > self.renewals => (self.renewals, self.renewed) = (*sum, now),
            (PREFIXES, Total::Members(members)) => {
                for (prefix, seen) in members {
                    match self.prefixes.iter_mut().find(|(known, _)| known == prefix) {
                        Some((_, at)) => *at = (*at).max(*seen),
                        None => self.prefixes.push((*prefix, *seen)),
                    }
                }
            }
            _ => {}
        }
    }
}

impl Replicated for Accounts {
    fn changes(&self, most: usize) -> Vec<(CounterId, Change)> {
        let ids = {
            let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
            let rest = news.len().saturating_sub(most);
            news.split_off(rest)
        };
        let mut changes = Vec::new();
        for id in ids {
            let Some(mut account) = self.table.get_mut(&id) else { continue };
            account.has_news = false;
            changes.extend(account.parts().map(|(space, change)| (counter(space, &id), change)));
            if account.is_known() {
                (account.added_requests, account.added_bytes) = (0, 0);
            }
        }
        changes
    }

    fn merge(&self, totals: &[(CounterId, Total)]) {
        for (id, total) in totals {
            if let Some(mut account) = self.table.get_mut(&id.key.to_be_bytes()) {
                account.learn(id.space, total, self.latest());
            }
        }
    }

    fn keep(&self) -> Vec<(CounterId, Change)> {
        let mut kept = Vec::new();
        // What is unknown here stays so: the pass is then again worth a tenth.
        for account in self.table.iter().filter(|account| account.is_known()) {
            kept.extend(
                account.parts().map(|(space, change)| (counter(space, account.key()), without_addition(change))),
            );
        }
        kept
    }

    fn restore(&self, kept: &[(CounterId, Change)]) {
        for (id, change) in kept.iter().filter(|(id, _)| [REQUESTS, BYTES, RENEWALS, PREFIXES].contains(&id.space)) {
            let (total, expires) = match change {
                Change::Sum { view, expires, .. } => (Total::Sum(*view), *expires),
                Change::Members { seen, expires } => (Total::Members(seen.clone()), *expires),
                _ => continue,
            };
            let key = id.key.to_be_bytes();
            if !self.table.contains_key(&key) && self.count.fetch_add(1, Ordering::Relaxed) >= CAP {
                self.count.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            // When it was first issued, nobody has written down; when it was renewed last neither: no bonus is due soon.
            let began = Timestamp(self.began.load(Ordering::Relaxed));
            let mut account = self.table.entry(key).or_insert_with(|| Account::new(10, began, expires));
            account.learn(id.space, &total, self.latest());
        }
    }
}

fn counter(space: &'static str, id: &[u8; 16]) -> CounterId {
    CounterId { space, scope: 0, key: u128::from_be_bytes(*id) }
}

fn without_addition(change: Change) -> Change {
    match change {
        Change::Sum { view, expires, .. } => Change::Sum { add: 0, view, expires },
        other => other,
    }
}
