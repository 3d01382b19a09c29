//! What was taken.

use std::time::Duration;

/// What bills mean by a month where they turn hours into one: 730 hours, a twelfth of a year.
pub const MONTH: Duration = Duration::from_secs(730 * 3600);

/// Where bytes went, seen from the source that they left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// The source's own region.
    SameRegion,
    /// Another region of the same provider.
    OtherRegion,
    /// Everywhere else.
    Internet,
}

/// What one key took from one source towards one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage<K> {
    /// Whom it is told of: a class, a site, a rule, or several of them.
    pub key: K,
    /// Whose bill it is on: an origin, a bucket or a region, as [`PriceBook`](super::PriceBook) knows it.
    pub source: String,
    /// Where the bytes went.
    pub destination: Destination,
    /// Billed requests that read an object or its head, and whatever else is billed like them.
    pub gets: u64,
    /// Billed requests that list (or write).
    pub lists: u64,
    /// Requests that nobody pays for: see [`is_billed`].
    pub unbilled: u64,
    /// Bytes of the bodies of billed requests.
    pub bytes: u64,
}

impl<K> Usage<K> {
    /// As much of it in a month as there was in `period`. An empty period says nothing of a month: it yields nothing.
    pub fn per_month(self, period: Duration) -> Self {
        let scale = |count: u64| scaled(count, MONTH.as_millis(), period.as_millis());
        let (gets, lists) = (scale(self.gets), scale(self.lists));
        Usage { gets, lists, unbilled: scale(self.unbilled), bytes: scale(self.bytes), ..self }
    }

    /// All requests, billed or not.
    pub fn requests(&self) -> u64 {
        self.gets.saturating_add(self.lists).saturating_add(self.unbilled)
    }
}

/// `count` times `numerator` over `denominator`, to the nearest whole number; zero where that is zero.
pub(super) fn scaled(count: u64, numerator: u128, denominator: u128) -> u64 {
    let product = u128::from(count).saturating_mul(numerator).saturating_add(denominator / 2);
    u64::try_from(product.checked_div(denominator).unwrap_or(0)).unwrap_or(u64::MAX)
}

/// Whether S3 bills a request with this status, and the bytes of its answer. Errors of the server are free, and so is a
/// 403 to a caller from outside the bucket owner's account (`own_account` false). All other answers are taken as
/// billed, though a few redirects and malformed requests are free, too: no more than $0.0004 per thousand hangs on
/// them. Source: Amazon S3 User Guide, "Billing for Amazon S3 error responses".
pub fn is_billed(status: u16, own_account: bool) -> bool {
    match status {
        403 => own_account,
        500.. => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_scaled_to_a_month() {
        let week = Duration::from_secs(7 * 86_400);
        let usage = Usage {
            key: (),
            source: "s".into(),
            destination: Destination::Internet,
            gets: 168,
            lists: 1,
            unbilled: 0,
            bytes: 0,
        };
        let month = usage.clone().per_month(week);
        assert_eq!((month.gets, month.lists, month.bytes, month.requests()), (730, 4, 0, 734));
        assert_eq!(usage.clone().per_month(MONTH), usage);
        assert_eq!(usage.per_month(Duration::ZERO).gets, 0);
        assert_eq!(scaled(u64::MAX, u128::MAX, 1), u64::MAX);
    }

    #[test]
    fn refusals_to_strangers_and_errors_of_the_server_are_free() {
        let cases = [(200, false, true), (304, false, true), (404, false, true), (403, false, false)];
        for (status, own, billed) in cases.into_iter().chain([(403, true, true), (503, true, false)]) {
            assert_eq!(is_billed(status, own), billed, "{status} {own}");
        }
    }
}
