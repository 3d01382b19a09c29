//! What the month will come to, and how sure that is.
//!
//! **Units are days.** The days of the month that are known count as they were. Each other day, to come or not
//! recorded, is taken to be like the mean of the known days; from 14 known days on, like the mean of its weekday, if
//! each weekday was seen twice. What the whole month then holds is billed as one, so tiers and the free allowance are
//! right.
//!
//! **The band** holds the month nine times out of ten, if days are alike and independent: a prediction interval by
//! Student's t. Days are weighed in dollars at the first tier's price; s² is their variance around their means, with as
//! many degrees of freedom as there are days more than means. The m missing days of a mean over n days then miss their
//! sum by a variance of s²(m + m²/n). Half the band is t times the root of that, and the missing days are scaled to
//! both its ends and billed again. Of few days t is large (6.3 for two), and the band is as wide as the ignorance. A
//! trend is not modelled, and waves that last for days make the true band wider.

use super::usage::scaled;
use super::{Bill, Day, Destination, Money, Month, Price, PriceBook, Usage};
use std::collections::BTreeMap;

/// What was taken on one whole day.
#[derive(Debug, Clone)]
pub struct DayUsage<K> {
    /// The day. Several entries of one day are added up.
    pub day: Day,
    /// The usage, as much as that day had.
    pub usages: Vec<Usage<K>>,
}

/// A month's cost as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Projection {
    /// The cost of the days that are known.
    pub to_date: Money,
    /// The cost of the whole month.
    pub month: Money,
    /// The month costs no less than this, nineteen times out of twenty.
    pub low: Money,
    /// The month costs no more than this, nineteen times out of twenty.
    pub high: Money,
    /// How many days it was told from.
    pub days: usize,
    /// Whether weekdays were told apart.
    pub by_weekday: bool,
}

/// How many days it takes to tell weekdays apart.
const WEEKDAYS_FROM: usize = 14;

/// Projects `month` from `history`, whole days from within it or before, an empty one for each day on which nothing was
/// taken: the last four weeks are a good choice. The costs are those of the part of the bill whose keys `part` picks,
/// at average prices; of everything where it always holds. The band tells how far that part may stray while the rest
/// comes as projected. `None` with fewer than two days.
pub fn project<K>(
    book: &PriceBook,
    history: &[DayUsage<K>],
    month: Month,
    part: impl Fn(&K) -> bool,
) -> Option<Projection> {
    let mut days: BTreeMap<Day, Amounts> = BTreeMap::new();
    for entry in history {
        let amounts = days.entry(entry.day).or_default();
        entry.usages.iter().for_each(|usage| amounts.add(usage, part(&usage.key)));
    }
    if days.len() < 2 {
        return None;
    }
    let by_weekday = days.len() >= WEEKDAYS_FROM
        && (0..7).all(|weekday| days.keys().filter(|day| day.weekday() == weekday).count() >= 2);
    let group = |day: &Day| if by_weekday { day.weekday() } else { 0 };
    let mut known = Amounts::default();
    days.iter().filter(|(day, _)| month.contains(**day)).for_each(|(_, amounts)| known.merge(amounts));
    let (mut missing, mut variance, mut squares, mut means) = (Amounts::default(), 0.0, 0.0, 0);
    for index in 0..7 {
        let like: Vec<&Amounts> =
            days.iter().filter(|(day, _)| group(day) == index).map(|(_, amounts)| amounts).collect();
        if like.is_empty() {
            continue;
        }
        let count = month.days().filter(|day| group(day) == index && !days.contains_key(day)).count();
        let mut sum = Amounts::default();
        like.iter().for_each(|amounts| sum.merge(amounts));
        missing.merge(&sum.map(|_, amount| scaled(amount, count as u128, like.len() as u128)));
        let weights: Vec<f64> = like.iter().map(|amounts| amounts.weight(book)).collect();
        let (m, n) = (count as f64, like.len() as f64);
        let mean = weights.iter().sum::<f64>() / n;
        squares += weights.iter().map(|weight| (weight - mean).powi(2)).sum::<f64>();
        variance += m + m * m / n;
        means += 1;
    }
    // At least one: there are two days for each mean.
    let freedom = days.len() - means;
    let half = student(freedom) * (squares / freedom as f64 * variance).sqrt();
    let weight = missing.weight(book);
    // Where nothing was ever taken, nothing is expected, and nothing scales it.
    let relative = if weight > 0.0 { half / weight } else { 0.0 };
    let at = |factor: f64| {
        let mut all = known.clone();
        all.merge(&missing.map(|part, amount| if part { (amount as f64 * factor).round() as u64 } else { amount }));
        all.cost(book)
    };
    Some(Projection {
        to_date: known.cost(book),
        month: at(1.0),
        low: at((1.0 - relative).max(0.0)),
        high: at(1.0 + relative),
        days: days.len(),
        by_weekday,
    })
}

/// Usage by what it is billed by: source, destination, and whether it belongs to the part that is asked for.
#[derive(Debug, Clone, Default)]
struct Amounts(BTreeMap<(String, Destination, bool), [u64; 3]>);

impl Amounts {
    fn add<K>(&mut self, usage: &Usage<K>, part: bool) {
        let amounts = [usage.bytes, usage.gets, usage.lists];
        self.add_to(&(usage.source.clone(), usage.destination, part), amounts);
    }

    fn add_to(&mut self, key: &(String, Destination, bool), amounts: [u64; 3]) {
        let sums = self.0.entry(key.clone()).or_default();
        sums.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum = sum.saturating_add(amount));
    }

    fn merge(&mut self, other: &Amounts) {
        other.0.iter().for_each(|(key, amounts)| self.add_to(key, *amounts));
    }

    fn map(&self, change: impl Fn(bool, u64) -> u64) -> Amounts {
        Amounts(
            self.0.iter().map(|(key, amounts)| (key.clone(), amounts.map(|amount| change(key.2, amount)))).collect(),
        )
    }

    /// What the part would cost in dollars if nothing were free and the first tier went on for ever.
    fn weight(&self, book: &PriceBook) -> f64 {
        let part = self.0.iter().filter(|((_, _, part), _)| *part);
        part.map(|((source, destination, _), [bytes, gets, lists])| {
            let prices = book.prices(source);
            let per_gb = match destination {
                Destination::SameRegion => prices.same_region,
                Destination::OtherRegion => prices.other_region,
                Destination::Internet => prices.egress.first().map_or(Price::FREE, |tier| tier.per_gb),
            };
            let at = |price: Price, count: u64, unit: u64| price.0 as f64 * count as f64 / unit as f64 / 1e9;
            at(per_gb, *bytes, prices.gigabyte.bytes())
                + at(prices.requests.get, *gets, 1000)
                + at(prices.requests.list, *lists, 1000)
        })
        .sum()
    }

    /// What the part costs as a share of the whole.
    fn cost(&self, book: &PriceBook) -> Money {
        let usages: Vec<Usage<bool>> = self
            .0
            .iter()
            .map(|((source, destination, part), [bytes, gets, lists])| Usage {
                key: *part,
                source: source.clone(),
                destination: *destination,
                gets: *gets,
                lists: *lists,
                unbilled: 0,
                bytes: *bytes,
            })
            .collect();
        Bill::new(book, &usages).by_key().get(&true).copied().unwrap_or_default().cost
    }
}

/// The 95th percentile of Student's t by degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods,
/// 1.3.6.7.2); between rows of the table, that of the row before, which is a little wider.
fn student(freedom: usize) -> f64 {
    const FIRST: [f64; 30] = [
        6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753, 1.746,
        1.740, 1.734, 1.729, 1.725, 1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697,
    ];
    match freedom {
        0 => f64::INFINITY,
        1..=30 => FIRST[freedom - 1],
        31..40 => FIRST[29],
        40..60 => 1.684,
        60..100 => 1.671,
        _ => 1.660,
    }
}
