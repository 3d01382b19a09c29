//! A month's bill, and whose part of it is whose.

use super::prices::requests;
use super::{Destination, Money, PriceBook, Prices, Usage};
use std::collections::BTreeMap;

/// What one line of usage came to.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a, K> {
    /// The usage.
    pub usage: &'a Usage<K>,
    /// The table that it was billed by.
    pub prices: &'a Prices,
    /// Its part of what bytes cost, at the average price over all that was billed with it.
    pub transfer: Money,
    /// Its part of what requests cost.
    pub requests: Money,
}

impl<K> Line<'_, K> {
    /// Bytes and requests together.
    pub fn cost(&self) -> Money {
        self.transfer + self.requests
    }

    /// Its bytes where such bytes cost anything, else zero. Those in the free allowance count: it is nobody's own.
    pub fn paid_bytes(&self) -> u64 {
        if self.prices.is_paid(self.usage.destination) { self.usage.bytes } else { 0 }
    }
}

/// One part of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// What it costs.
    pub cost: Money,
    /// Bytes.
    pub bytes: u64,
    /// Bytes towards destinations that cost anything.
    pub paid_bytes: u64,
    /// Requests, billed or not.
    pub requests: u64,
}

/// The bill of a month. Lines are in the order of the usages.
#[derive(Debug, Clone)]
pub struct Bill<'a, K> {
    lines: Vec<Line<'a, K>>,
}

impl<'a, K> Bill<'a, K> {
    /// The bill for `usages`, which are those of one month: see [`Usage::per_month`].
    ///
    /// Bytes to the internet and reads are added up over all sources of one table; the free allowance goes to the table
    /// of the account whose first bytes are dearest, then to the next. What the sum comes to is then shared out over
    /// the lines by their bytes, to the nano-dollar: what is left over by rounding goes to those that rounding cost
    /// most.
    pub fn new(book: &'a PriceBook, usages: &'a [Usage<K>]) -> Self {
        let mut lines: Vec<Line<'a, K>> = usages
            .iter()
            .map(|usage| {
                let prices = book.prices(&usage.source);
                let transfer = match usage.destination {
                    Destination::SameRegion => prices.flat(usage.bytes, prices.same_region),
                    Destination::OtherRegion => prices.flat(usage.bytes, prices.other_region),
                    Destination::Internet => Money::ZERO,
                };
                let lists = requests(usage.lists.into(), prices.requests.list);
                Line { usage, prices, transfer, requests: lists }
            })
            .collect();
        // By account, table; each with its lines.
        let mut tables: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for (index, line) in lines.iter().enumerate() {
            tables.entry((&line.prices.account, &line.prices.table)).or_default().push(index);
        }
        let mut tables: Vec<Vec<usize>> = tables.into_values().collect();
        // A stable sort: tables of one price stay in the order of their names.
        let first_price = |table: &Vec<usize>| lines[table[0]].prices.egress.first().map(|tier| tier.per_gb);
        tables.sort_by_key(|table| std::cmp::Reverse(first_price(table)));
        let mut used: BTreeMap<(&str, u64), u128> = BTreeMap::new();
        for table in tables {
            let prices = lines[table[0]].prices;
            let out = |usage: &Usage<K>| if usage.destination == Destination::Internet { usage.bytes } else { 0 };
            let bytes: Vec<u64> = table.iter().map(|index| out(lines[*index].usage)).collect();
            let sum = total(&bytes);
            let used = used.entry((&prices.account, prices.free)).or_default();
            let free = u128::from(prices.free).saturating_sub(*used).min(sum);
            *used += free;
            let gets: Vec<u64> = table.iter().map(|index| lines[*index].usage.gets).collect();
            let paid = total(&gets).saturating_sub(prices.requests.free.into());
            let transfers = apportion(prices.internet(sum, free), &bytes);
            let reads = apportion(requests(paid, prices.requests.get), &gets);
            for ((index, transfer), read) in table.into_iter().zip(transfers).zip(reads) {
                lines[index].transfer += transfer;
                lines[index].requests += read;
            }
        }
        Bill { lines }
    }

    /// Every line.
    pub fn lines(&self) -> &[Line<'a, K>] {
        &self.lines
    }

    /// What the month costs.
    pub fn total(&self) -> Money {
        self.lines.iter().map(Line::cost).sum()
    }

    /// The bill by anything that usages tell. The parts add up to the total exactly.
    pub fn by<T: Ord>(&self, group: impl Fn(&'a Usage<K>) -> T) -> BTreeMap<T, Share> {
        let mut shares: BTreeMap<T, Share> = BTreeMap::new();
        for line in &self.lines {
            let share = shares.entry(group(line.usage)).or_default();
            share.cost += line.cost();
            share.bytes = share.bytes.saturating_add(line.usage.bytes);
            share.paid_bytes = share.paid_bytes.saturating_add(line.paid_bytes());
            share.requests = share.requests.saturating_add(line.usage.requests());
        }
        shares
    }

    /// The bill by key.
    pub fn by_key(&self) -> BTreeMap<&'a K, Share>
    where
        K: Ord,
    {
        self.by(|usage| &usage.key)
    }

    /// The bill by source.
    pub fn by_source(&self) -> BTreeMap<&'a str, Share> {
        self.by(|usage| usage.source.as_str())
    }
}

/// What a month would cost less if the usages for which `stopped` holds were gone.
pub fn saving<K: Clone>(book: &PriceBook, usages: &[Usage<K>], stopped: impl Fn(&Usage<K>) -> bool) -> Money {
    saving_of(book, usages, |usage| (!stopped(usage)).then(|| usage.clone()))
}

/// What a month would cost less if each usage were what `change` makes of it, nothing where that is `None`. Negative
/// where it would cost more. For instance, what it saves when CI reads from within the region.
pub fn saving_of<K>(book: &PriceBook, usages: &[Usage<K>], change: impl Fn(&Usage<K>) -> Option<Usage<K>>) -> Money {
    let changed: Vec<Usage<K>> = usages.iter().filter_map(change).collect();
    Bill::new(book, usages).total() - Bill::new(book, &changed).total()
}

fn total(weights: &[u64]) -> u128 {
    weights.iter().map(|weight| u128::from(*weight)).sum()
}

/// Shares out `amount`, which is not negative, by `weights`: the method of largest remainders, earlier ones first among
/// equals. Without any weight nobody gets anything.
fn apportion(amount: Money, weights: &[u64]) -> Vec<Money> {
    let (sum, whole) = (total(weights), u128::try_from(amount.0).unwrap_or(0));
    if sum == 0 {
        return vec![Money::ZERO; weights.len()];
    }
    let mut left = whole;
    let mut parts: Vec<(u128, u128)> = Vec::with_capacity(weights.len());
    for weight in weights {
        let (part, remainder) = part(whole, u128::from(*weight), sum);
        let part = part.min(left);
        left -= part;
        parts.push((part, remainder));
    }
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(parts[*index].1));
    for index in &order {
        // Less than one for each line is left over; lines without weight have no remainder and come last.
        let more = left.min(1);
        parts[*index].0 += more;
        left -= more;
    }
    parts[order[0]].0 += left;
    parts.into_iter().map(|(part, _)| Money(i128::try_from(part).unwrap_or(i128::MAX))).collect()
}

/// `whole * weight / sum`, with what remains. It is exact as long as `sum` is below 2⁶⁴ (18 EB a month), and never
/// fails.
fn part(whole: u128, weight: u128, sum: u128) -> (u128, u128) {
    let product = (whole % sum).saturating_mul(weight);
    ((whole / sum).saturating_mul(weight).saturating_add(product / sum), product % sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rounding_leaves_over_goes_to_the_largest_remainders() {
        let cases: [(i128, &[u64], &[i128]); 6] = [
            (100, &[1, 1, 1], &[34, 33, 33]),
            (100, &[1, 2, 3], &[17, 33, 50]),
            (10, &[0, 1, 0, 1], &[0, 5, 0, 5]),
            (1, &[0, 3, 4], &[0, 0, 1]),
            (7, &[0, 0], &[0, 0]),
            (0, &[1, 2], &[0, 0]),
        ];
        for (amount, weights, expected) in cases {
            let parts: Vec<i128> = apportion(Money(amount), weights).iter().map(|part| part.0).collect();
            assert_eq!(parts, expected, "{amount} by {weights:?}");
        }
    }
}
