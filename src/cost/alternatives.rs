//! What the same bytes would cost elsewhere, so that a report can say so.

use super::presets::CLOUDFRONT_READ;
use super::{Bill, Day, Destination, Line, Location, Money, Preset, PriceBook, Usage};
use serde::Serialize;

/// A plan at a flat price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// What it costs a month.
    pub fee: Money,
    /// Bytes to viewers that it covers in a month, its TB read as 10¹² bytes, the smaller reading.
    pub bytes: u64,
    /// Requests that it covers in a month.
    pub requests: u64,
}

const TB: u64 = 1_000_000_000_000;

/// The flat-rate plans of CloudFront, each for one distribution and one domain, by the developer guide's "CloudFront
/// flat-rate pricing plans" and <https://aws.amazon.com/cloudfront/pricing/>, read on 5 September 2026. None has
/// overage charges; who keeps exceeding a plan may be slowed down.
pub const PLANS: [Plan; 3] = [
    Plan { name: "CloudFront Pro", fee: Money::from_cents(1_500), bytes: 50 * TB, requests: 10_000_000 },
    Plan { name: "CloudFront Business", fee: Money::from_cents(20_000), bytes: 50 * TB, requests: 125_000_000 },
    Plan { name: "CloudFront Premium", fee: Money::from_cents(100_000), bytes: 50 * TB, requests: 500_000_000 },
];

/// Where the plans were read.
pub const PLANS_SOURCE: &str = "https://aws.amazon.com/cloudfront/pricing/";

/// One other way to deliver the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alternative {
    /// What it is.
    pub name: &'static str,
    /// What it costs by itself; zero where it is paid by what is taken.
    pub fee: Money,
    /// What the whole month would cost with it.
    pub total: Money,
    /// What it saves; negative where it costs more.
    pub saving: Money,
    /// Whether the month fits into it.
    pub fits: bool,
    /// Where its prices were read.
    pub source: String,
    /// A day on which they held.
    pub effective: Day,
}

/// What `bill` would be with a content delivery network in front of its sources in AWS, the flat plans first.
///
/// What now costs anything goes through the network, for which S3's bytes are free. Reads stay on the bill as if
/// nothing were cached, the worst case. What is free (clients in the region) goes on directly, and sources outside AWS
/// stay as they are. Empty where there is nothing to move.
pub fn alternatives<K: Clone>(bill: &Bill<'_, K>) -> Vec<Alternative> {
    let moves = |line: &&Line<'_, K>| {
        matches!(line.prices.location, Location::Aws(_)) && line.usage.destination != Destination::SameRegion
    };
    let (mut bytes, mut requests, mut freed) = (0u64, 0u64, Money::ZERO);
    let mut moved: Vec<Usage<K>> = Vec::new();
    for line in bill.lines().iter().filter(moves) {
        bytes = bytes.saturating_add(line.usage.bytes);
        requests = requests.saturating_add(line.usage.requests());
        freed += line.transfer;
        // The network bills every request, refused ones too.
        let gets = line.usage.requests();
        let destination = Destination::Internet;
        moved.push(Usage { destination, gets, lists: 0, unbilled: 0, ..line.usage.clone() });
    }
    if moved.is_empty() {
        return Vec::new();
    }
    let kept = bill.total() - freed;
    let other = |name, fee, cost, fits, source: &str| {
        let total = kept + cost;
        Alternative {
            name,
            fee,
            total,
            saving: bill.total() - total,
            fits,
            source: source.to_owned(),
            effective: CLOUDFRONT_READ,
        }
    };
    let plans = PLANS.iter().map(|plan| {
        let fits = bytes <= plan.bytes && requests <= plan.requests;
        other(plan.name, plan.fee, plan.fee, fits, PLANS_SOURCE)
    });
    let book = PriceBook::of(Preset::CloudFront.prices());
    let by_use = Bill::new(&book, &moved).total();
    let by_use = other("CloudFront, pay as you go", Money::ZERO, by_use, true, &book.default_prices().source);
    plans.chain([by_use]).collect()
}
