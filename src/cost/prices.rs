//! One price table, and what amounts come to under it.

use super::{Day, Destination, Gigabyte, Location, Money, Price};

/// One step of a degressive price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Where it ends, in bytes of a month; the last one has no end.
    pub up_to: Option<u64>,
    /// What a GB within it costs.
    pub per_gb: Price,
}

/// What requests cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    /// What 1,000 reads cost.
    pub get: Price,
    /// What 1,000 listings cost.
    pub list: Price,
    /// How many reads are free in a month.
    pub free: u64,
}

/// What one provider charges in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    /// The name of the table: all sources of one table are billed together.
    pub table: String,
    /// Whose account it is: tables of one account that grant the same free allowance share it.
    pub account: String,
    /// What a GB is.
    pub gigabyte: Gigabyte,
    /// Bytes to the internet that are free in a month.
    pub free: u64,
    /// What bytes to the internet cost. Tiers count all bytes of the month, the free ones too.
    pub egress: Vec<Tier>,
    /// What requests cost.
    pub requests: Requests,
    /// What a GB within the region costs.
    pub same_region: Price,
    /// What a GB to another region costs.
    pub other_region: Price,
    /// Networks of the policy that are reached within the region.
    pub free_networks: Vec<String>,
    /// Networks of the policy that are reached in another region.
    pub region_networks: Vec<String>,
    /// Where the source stands.
    pub location: Location,
    /// Who says so.
    pub source: String,
    /// A day on which the prices held.
    pub effective: Day,
}

impl Prices {
    /// Where bytes go that are sent to a client in these networks: in the region if one of them is.
    pub fn destination<'a>(&self, networks: impl IntoIterator<Item = &'a str>) -> Destination {
        let holds = |names: &[String], network: &str| names.iter().any(|name| name == network);
        let reached = networks.into_iter().map(|network| {
            if holds(&self.free_networks, network) {
                Destination::SameRegion
            } else if holds(&self.region_networks, network) {
                Destination::OtherRegion
            } else {
                Destination::Internet
            }
        });
        reached.min().unwrap_or(Destination::Internet)
    }

    /// Whether bytes towards `destination` cost anything, the free allowance aside.
    pub fn is_paid(&self, destination: Destination) -> bool {
        match destination {
            Destination::SameRegion => self.same_region > Price::FREE,
            Destination::OtherRegion => self.other_region > Price::FREE,
            Destination::Internet => self.egress.iter().any(|tier| tier.per_gb > Price::FREE),
        }
    }

    /// What `bytes` to the internet cost in a month, the first `free` of which cost nothing.
    pub fn internet(&self, bytes: u128, free: u128) -> Money {
        let (mut start, mut sum) = (0, 0u128);
        for tier in &self.egress {
            let end = tier.up_to.map_or(bytes, |end| bytes.min(end.into()));
            let paid = end.saturating_sub(free.max(start));
            sum = sum.saturating_add(paid.saturating_mul(tier.per_gb.0.into()));
            start = end;
        }
        nearest(sum, self.gigabyte.bytes().into())
    }

    /// What `bytes` cost at one price per GB.
    pub(super) fn flat(&self, bytes: u64, per_gb: Price) -> Money {
        nearest(u128::from(bytes) * u128::from(per_gb.0), self.gigabyte.bytes().into())
    }
}

/// What `count` requests cost.
pub(super) fn requests(count: u128, per_thousand: Price) -> Money {
    nearest(count.saturating_mul(per_thousand.0.into()), 1000)
}

/// A quotient as money, halves upwards.
fn nearest(sum: u128, divisor: u128) -> Money {
    Money(i128::try_from(sum.saturating_add(divisor / 2) / divisor).unwrap_or(i128::MAX))
}
