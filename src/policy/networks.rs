//! Which of a policy's networks an address is in: one table for all of them, swapped whole when a feed brings news.

use crate::network::{CidrSet, IpNet, number};
use arc_swap::ArcSwap;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The index of a network in the policy's list of networks.
pub type NetworkId = usize;

/// Where the blocks of one network come from.
#[derive(Debug, Clone, Default)]
pub struct NetworkParts {
    /// Blocks that are written down, in the policy or in files.
    pub fixed: Vec<IpNet>,
    /// Blocks of feeds; `None` while one has not been read.
    pub feeds: Vec<Option<Vec<IpNet>>>,
}

impl NetworkParts {
    /// Every block that is known.
    pub fn blocks(&self) -> impl Iterator<Item = IpNet> {
        self.fixed.iter().chain(self.feeds.iter().flatten().flatten()).copied()
    }
}

/// The networks of a policy. Reading takes no lock; a change builds a new table beside the old one.
#[derive(Debug)]
pub struct Networks {
    parts: Mutex<Vec<NetworkParts>>,
    table: ArcSwap<Table>,
}

impl Networks {
    /// Networks by their ids.
    pub fn new(parts: Vec<NetworkParts>) -> Self {
        let table = ArcSwap::from_pointee(Table::new(&parts));
        Networks { parts: Mutex::new(parts), table }
    }

    /// Takes the blocks of a network's feed. Slow for large networks: call it where nobody waits.
    pub fn set_feed(&self, network: NetworkId, feed: usize, blocks: Vec<IpNet>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = parts.get_mut(network).and_then(|network| network.feeds.get_mut(feed)) {
            *place = Some(blocks);
            self.table.store(Arc::new(Table::new(&parts)));
        }
    }

    /// Where the blocks of a network come from, with what feeds have brought.
    pub fn parts(&self, network: NetworkId) -> NetworkParts {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.get(network).cloned().unwrap_or_default()
    }

    /// The table now.
    pub fn table(&self) -> arc_swap::Guard<Arc<Table>> {
        self.table.load()
    }
}

/// The names under which the books tell the networks of clients apart, each client by one.
#[derive(Debug, Clone, Default)]
pub struct ToldApart(Vec<(NetworkId, Arc<str>)>);

impl ToldApart {
    /// Those of `networks` come first that are among `priced`, otherwise the order stays.
    pub fn new(networks: Vec<(NetworkId, String)>, priced: &[String]) -> Self {
        let mut networks: Vec<_> = networks.into_iter().map(|(id, name)| (id, Arc::<str>::from(name))).collect();
        networks.sort_by_key(|(_, name)| !priced.iter().any(|priced| **priced == **name));
        ToldApart(networks)
    }

    /// The networks with their names.
    pub fn named(&self) -> impl Iterator<Item = (NetworkId, &Arc<str>)> {
        self.0.iter().map(|(id, name)| (*id, name))
    }

    /// The name of the first network that `address` is in.
    pub fn first(&self, networks: &Networks, address: IpAddr) -> Option<Arc<str>> {
        let table = networks.table();
        let ids = table.networks(address);
        self.0.iter().find(|(id, _)| ids.contains(id)).map(|(_, name)| name.clone())
    }
}

/// All networks as disjoint intervals of addresses, each with the networks that cover it: a prefix trie, flattened.
#[derive(Debug)]
pub struct Table {
    /// The interval `i` goes from here to the next start, the last one to the end.
    starts: Vec<u128>,
    /// For each interval, its entry in `members`.
    sets: Vec<u32>,
    members: Vec<Box<[NetworkId]>>,
    /// For each IPv4 /16, the interval that its first address is in; one more for the end. Empty for small tables.
    jumps: Vec<u32>,
    loaded: Vec<bool>,
}

const MAPPED: u128 = 0xffff << 32;
/// Below this a plain search is as quick.
const JUMPS_FROM: usize = 256;

impl Table {
    fn new(parts: &[NetworkParts]) -> Self {
        let mut edges: Vec<(u128, NetworkId, bool)> = Vec::new();
        for (id, network) in parts.iter().enumerate() {
            let set: CidrSet = network.blocks().collect();
            for (first, last) in set.ranges() {
                edges.push((*first, id, true));
                edges.extend(last.checked_add(1).map(|end| (end, id, false)));
            }
        }
        edges.sort_unstable();
        let mut table = Table {
            starts: vec![0],
            sets: vec![0],
            members: vec![Box::default()],
            jumps: Vec::new(),
            loaded: parts.iter().map(|network| network.feeds.iter().all(Option::is_some)).collect(),
        };
        let mut interned: HashMap<Box<[NetworkId]>, u32> = HashMap::from([(Box::default(), 0)]);
        let mut covering: BTreeSet<NetworkId> = BTreeSet::new();
        for group in edges.chunk_by(|a, b| a.0 == b.0) {
            for (_, id, begins) in group {
                if *begins {
                    covering.insert(*id)
                } else {
                    covering.remove(id)
                };
            }
            let members: Box<[NetworkId]> = covering.iter().copied().collect();
            let set = *interned.entry(members).or_insert_with_key(|members| {
                table.members.push(members.clone());
                u32::try_from(table.members.len() - 1).unwrap_or(0)
            });
            match table.starts.last() {
                Some(last) if *last == group[0].0 => table.sets[0] = set,
                _ => {
                    table.starts.push(group[0].0);
                    table.sets.push(set);
                }
            }
        }
        if table.starts.len() >= JUMPS_FROM {
            table.jumps =
                (0..=1 << 16).map(|block| table.search(0, table.starts.len(), MAPPED + (block << 16))).collect();
        }
        table
    }

    /// The interval among `low..high` that `number` is in; `low` is not behind it.
    fn search(&self, low: usize, high: usize, number: u128) -> u32 {
        let after = low + self.starts[low..high].partition_point(|start| *start <= number);
        u32::try_from(after.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// The networks that `address` is in.
    pub fn networks(&self, address: IpAddr) -> &[NetworkId] {
        let number = number(address);
        let block = usize::try_from((number >> 16).wrapping_sub(MAPPED >> 16)).unwrap_or(usize::MAX);
        let interval = match (self.jumps.get(block), self.jumps.get(block.wrapping_add(1))) {
            (Some(low), Some(high)) => self.search(*low as usize, *high as usize + 1, number),
            _ => self.search(0, self.starts.len(), number),
        };
        &self.members[self.sets[interval as usize] as usize]
    }

    /// Whether all blocks of a network are known.
    pub fn is_loaded(&self, network: NetworkId) -> bool {
        self.loaded.get(network).copied().unwrap_or(false)
    }

    /// The networks that are not known yet.
    pub fn unloaded(&self) -> impl Iterator<Item = NetworkId> {
        self.loaded.iter().enumerate().filter(|(_, loaded)| !**loaded).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block() -> impl Strategy<Value = IpNet> {
        // Few bits vary, so that blocks nest and touch.
        let v4 = (0u32..64, 8u8..=32).prop_map(|(bits, length)| (IpAddr::from((bits << 22).to_be_bytes()), length));
        let v6 = (0u128..64, 8u8..=128).prop_map(|(bits, length)| (IpAddr::from((bits << 118).to_be_bytes()), length));
        prop_oneof![v4, v6].prop_map(|(address, length)| IpNet::new_assert(address, length).trunc())
    }

    proptest! {
        #[test]
        fn the_table_finds_what_a_scan_finds(
            networks in prop::collection::vec(prop::collection::vec(block(), 0..60), 0..12),
            others in prop::collection::vec(any::<IpAddr>(), 8),
        ) {
            let parts = networks.iter().map(|fixed| NetworkParts { fixed: fixed.clone(), feeds: Vec::new() });
            let table = Table::new(&parts.collect::<Vec<_>>());
            let edges = networks.iter().flatten().flat_map(|b| [b.network(), b.broadcast()]);
            for address in edges.chain(others) {
                let address = address.to_canonical();
                let expected: Vec<usize> =
                    (0..networks.len()).filter(|id| networks[*id].iter().any(|b| b.contains(&address))).collect();
                prop_assert_eq!(table.networks(address), &expected[..], "{}", address);
            }
        }
    }

    #[test]
    fn a_network_is_unknown_until_its_feed_was_read() {
        let fixed = vec!["192.0.2.0/24".parse().unwrap()];
        let networks = Networks::new(vec![NetworkParts { fixed, feeds: vec![None] }]);
        let address = "198.51.100.1".parse().unwrap();
        assert!(!networks.table().is_loaded(0));
        assert_eq!(networks.table().networks(address), &[0; 0]);
        networks.set_feed(0, 0, vec!["198.51.100.0/24".parse().unwrap()]);
        assert!(networks.table().is_loaded(0));
        assert_eq!(networks.table().networks(address), &[0]);
    }
}
