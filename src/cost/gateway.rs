//! What a gateway in front of the sources adds to the bill, or takes from it.

use super::{Bill, Destination, Location, Money, PriceBook, Usage};

/// A month's bill with the gateway in front, and without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// When clients fetch from the sources themselves.
    pub without: Money,
    /// When the gateway fetches for them.
    pub with: Money,
}

impl Effect {
    /// What the gateway adds; negative where it saves.
    pub fn added(self) -> Money {
        self.with - self.without
    }
}

/// What it comes to when the usages for which `through` holds pass a gateway that stands in `location`, rather than
/// going straight to clients. Redirected requests do not pass it: the client fetches them from the source.
///
/// - A gateway outside AWS fetches everything over the internet, so what a client in the region has for free is paid.
///   What the gateway's own network costs is not known and not counted.
/// - A gateway in the source's region fetches for free, and the bytes leave from there as they would have left the
///   source. From another region, its fetches cost what goes between regions, and what clients then take is billed by
///   the first table of the book that is for the gateway's region, or else by the default one. That a client in the
///   region or in another one is nearer to the gateway than to the source is not known: it is billed as in another
///   region.
/// - Nothing is cached, and nothing kept away: both save more than is told here. Between machines of one region that
///   talk by public addresses AWS takes $0.01 per GB and direction, which is not counted.
pub fn in_front<K: Clone>(
    book: &PriceBook,
    usages: &[Usage<K>],
    location: &Location,
    through: impl Fn(&Usage<K>) -> bool,
) -> Effect {
    let without = Bill::new(book, usages).total();
    let mut book = book.clone();
    // No source has a name with a space.
    let gateway = "the gateway";
    let table = book.all().find(|prices| prices.location == *location).unwrap_or(book.default_prices()).clone();
    book.add(gateway, table);
    let mut legs = Vec::with_capacity(usages.len());
    for usage in usages {
        let source = &book.prices(&usage.source).location;
        if !through(usage) || (source == location && *location != Location::Outside) {
            legs.push(usage.clone());
            continue;
        }
        let hop = match (source, location) {
            (Location::Aws(_), Location::Aws(_)) => Destination::OtherRegion,
            _ => Destination::Internet,
        };
        legs.push(Usage { destination: hop, ..usage.clone() });
        if matches!(location, Location::Aws(_)) {
            let destination = usage.destination.max(Destination::OtherRegion);
            let onward = Usage { source: gateway.into(), destination, gets: 0, lists: 0, unbilled: 0, ..usage.clone() };
            legs.push(onward);
        }
    }
    Effect { without, with: Bill::new(&book, &legs).total() }
}
