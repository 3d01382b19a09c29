//! How many connections may be open, in all and from one address.

use crate::network::truncated;
use dashmap::DashMap;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Who has connections open. Its size is bounded by their number.
#[derive(Debug)]
pub struct Caps {
    most: usize,
    most_per_address: usize,
    open: AtomicUsize,
    by_address: DashMap<IpNet, usize>,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// There are too many.
    All,
    /// Its address has too many.
    Address,
}

impl Full {
    /// The word in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Full::All => "full",
            Full::Address => "address",
        }
    }
}

/// One open connection, until this is dropped.
#[derive(Debug)]
pub struct Place {
    caps: Arc<Caps>,
    network: Option<IpNet>,
}

impl Caps {
    /// No more than `most` at a time, and of one address (IPv6: /64) no more than `most_per_address`.
    pub fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Caps { most, most_per_address, open: AtomicUsize::new(0), by_address: DashMap::new() })
    }

    /// Takes a place for a connection of nobody yet.
    ///
    /// # Errors
    /// When there is none.
    pub fn take(self: &Arc<Self>) -> Result<Place, Full> {
        let taken = self.open.fetch_add(1, Ordering::Relaxed);
        let place = Place { caps: self.clone(), network: None };
        if taken < self.most { Ok(place) } else { Err(Full::All) }
    }
}

impl Place {
    /// Says whose connection it is, once.
    ///
    /// # Errors
    /// When that address has too many.
    pub fn belongs_to(&mut self, address: IpAddr) -> Result<(), Full> {
        let network = truncated(address, 32, 64);
        let mut open = self.caps.by_address.entry(network).or_insert(0);
        if *open >= self.caps.most_per_address {
            return Err(Full::Address);
        }
        *open += 1;
        self.network = Some(network);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.caps.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(network) = self.network {
            self.caps.by_address.remove_if_mut(&network, |_, open| {
                *open -= 1;
                *open == 0
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_address() {
        let caps = Caps::new(5, 2);
        let take = |address: &str| {
            let mut place = caps.take()?;
            place.belongs_to(address.parse().unwrap()).map(|()| place)
        };
        let first = take("192.0.2.1").unwrap();
        let _second = take("192.0.2.1").unwrap();
        assert_eq!(take("192.0.2.1").unwrap_err(), Full::Address);
        let _third = take("2001:db8::1").unwrap();
        let _fourth = take("2001:db8::ffff:1").unwrap();
        assert_eq!(take("2001:db8::2").unwrap_err(), Full::Address, "one /64");
        let fifth = take("2001:db8:0:1::1").unwrap();
        assert_eq!(take("203.0.113.1").unwrap_err(), Full::All);
        drop(fifth);
        assert_eq!(take("192.0.2.1").unwrap_err(), Full::Address);
        drop(first);
        assert!(take("192.0.2.1").is_ok());
        assert!(!caps.by_address.contains_key(&"2001:db8:0:1::/64".parse().unwrap()), "nothing is kept of who left");
    }

    #[test]
    fn nothing_is_kept_when_all_have_left() {
        let caps = Caps::new(100, 1);
        for at in 0..100u8 {
            let mut places: Vec<Place> = (0..3).map(|_| caps.take().unwrap()).collect();
            let address = IpAddr::from([192, 0, 2, at]);
            assert!(places[0].belongs_to(address).is_ok());
            assert!(places[1].belongs_to(address).is_err());
        }
        assert_eq!((caps.open.load(Ordering::Relaxed), caps.by_address.len()), (0, 0));
    }
}
