//! What is counted of a connection that several requests share at a time (HTTP/2), so that its client cannot have us work for
//! nobody.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// So many more answers than it takes may a client leave: a browser leaves a whole page for the next one.
const MAY_LEAVE: u32 = 100;

/// The requests of one connection.
#[derive(Debug)]
pub struct Sharing {
    /// How many may share it at a time.
    most: u32,
    /// How long a client may take for a piece of an answer.
    pub patience: Duration,
    /// Requests being answered, those that were served, and those that the client left.
    open: AtomicU32,
    served: AtomicU32,
    left: AtomicU32,
}

impl Sharing {
    /// Up to `most` requests share the connection at a time. `patience` is how long a client may take for a piece of an
    /// answer.
    pub fn new(most: u32, patience: Duration) -> Self {
        let (open, served, left) = Default::default();
        Sharing { most, patience, open, served, left }
    }

    /// Notes that a request begins to be answered.
    pub(super) fn begun(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that nothing is done for a request any more.
    pub(super) fn over(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes how a request ended: whether the client left it.
    pub(super) fn ended(&self, left: bool) {
        let counted = if left { &self.left } else { &self.served };
        counted.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the client asks for much that it then does not want (CVE-2023-44487). A stream that it has reset is none that
    /// it has open, but may still be worked at.
    pub fn is_abused(&self) -> bool {
        let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        count(&self.open) > self.most.saturating_mul(2)
            || count(&self.left) > count(&self.served).saturating_add(MAY_LEAVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_more_than_it_takes_is_found_and_who_leaves_a_page_is_not() {
        for (served, left, expected) in
            [(0, 0, false), (0, 100, false), (0, 101, true), (500, 600, false), (500, 601, true)]
        {
            let sharing = Sharing::new(100, Duration::ZERO);
            (0..served).for_each(|_| sharing.ended(false));
            (0..left).for_each(|_| sharing.ended(true));
            assert_eq!(sharing.is_abused(), expected, "{served} {left}");
        }
    }

    #[test]
    fn what_is_worked_at_is_bounded_whatever_streams_the_client_has_open() {
        let sharing = Sharing::new(4, Duration::ZERO);
        (0..8).for_each(|_| sharing.begun());
        assert!(!sharing.is_abused());
        sharing.begun();
        assert!(sharing.is_abused());
        sharing.over();
        assert!(!sharing.is_abused());
    }
}
