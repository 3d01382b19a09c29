//! What the last day would cost over a month, for metrics.
//!
//! The day begins at a full hour, so it has 24 to 25 of them; books that began later leave the rest empty. So a gateway
//! that has just started tells too little, and never too much.

use super::evidence::{Counts, count, destination, usage};
use crate::clock::Timestamp;
use crate::cost::{Bill, Destination, PriceBook, Share, Usage};
use crate::traffic::{Books, HOUR, RECENT_HOURS};
use crate::verdict::Class;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What the day before `now` would come to over a month by the prices of `book`, by site and class. `books` are those of a
/// running gateway. The work grows with their cells, of which an hour has 4,096.
pub fn projected(books: &Books, now: Timestamp, book: &PriceBook) -> BTreeMap<(Arc<str>, Class), Share> {
    let hour = now.0 / HOUR;
    let first = (hour + 1).saturating_sub(RECENT_HOURS);
    let mut sums: BTreeMap<(&Arc<str>, Class, &str, Destination), Counts> = BTreeMap::new();
    for (key, cell) in books.hours.range(first..=hour).flat_map(|(_, counted)| &counted.cells) {
        let to = destination(book.prices(&key.source), key);
        count(sums.entry((&key.site, key.class, &key.source, to)).or_default(), key, cell);
    }
    let day = Duration::from_millis(now.0 - first * HOUR);
    let month: Vec<Usage<(Arc<str>, Class)>> = sums
        .into_iter()
        .map(|((site, class, source, to), counts)| usage((site.clone(), class), source, to, counts).per_month(day))
        .collect();
    Bill::new(book, &month).by(|usage| usage.key.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Preset;
    use crate::traffic::{entry, key};

    const GB: u64 = 1 << 30;

    fn book() -> PriceBook {
        PriceBook::of(Preset::AwsUsEast1.prices())
    }

    #[test]
    fn a_day_is_told_as_a_month_and_a_short_one_as_less() {
        let mut books = Books::default();
        // Before the day, in it twice, and in a future that a wrong clock has left.
        for hour in [74, 76, 100, 200] {
            books.enter(entry(HOUR * hour, key("logs", Class::Suspect), 1, 20 * GB));
        }
        books.enter(entry(HOUR * 99, key("images", Class::Ci), 1, 10 * GB));
        let now = Timestamp(HOUR * 100 + HOUR / 2);
        let told = projected(&books, now, &book());
        assert_eq!(told.len(), 2);
        let month = |bytes: f64| bytes * 730.0 / 24.5;
        let [suspect, ci] =
            [("logs", Class::Suspect), ("images", Class::Ci)].map(|(site, class)| told[&(site.into(), class)]);
        assert!((suspect.paid_bytes as f64 / GB as f64 - month(40.0)).abs() < 0.001, "{suspect:?}");
        // 100 GB of the account are free, and each pays by its part.
        let dollars = (month(50.0) - 100.0) * 0.09;
        assert!((suspect.cost.dollars() - dollars * 0.8).abs() < 0.01, "{suspect:?}");
        assert!((ci.cost.dollars() - dollars * 0.2).abs() < 0.01, "{ci:?}");
        assert!(projected(&Books::default(), now, &book()).is_empty());
        assert!(projected(&books, Timestamp(0), &book()).values().all(|month| *month == Share::default()));
    }
}
