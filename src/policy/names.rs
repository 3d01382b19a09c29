//! The names that rules may refer to, and which of them are used.

use super::atoms::{AtomId, Builder};
use super::literals::never_begins_with_slash;
use super::networks::{NetworkId, NetworkParts};
use super::user_agents::UserAgentListSettings;
use crate::document::{Decode, Diagnostics, Node, Position, Spanned, unknown_word};
use crate::network::IpNet;
use crate::verdict::LimitId;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Networks that every policy knows: addresses that are not of the public internet.
const BUILT_IN: [(&str, &[&str]); 2] = [
    ("loopback", &["127.0.0.0/8", "::1/128"]),
    // RFC 1918, RFC 6598 (carriers), RFC 3927 and RFC 4291 (link-local), RFC 4193.
    (
        "private",
        &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fe80::/10", "fc00::/7"],
    ),
];

/// What the names of built-in files begin with in messages.
pub const BUILT_IN_FILE: &str = "built-in ";

/// What a deployment brings that a policy may need.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The names of its sites.
    pub sites: Vec<String>,
    /// The names of the clients that can prove themselves.
    pub clients: Vec<String>,
    /// Whether it has a database of countries.
    pub countries: bool,
    /// Whether it has a database of autonomous systems.
    pub systems: bool,
}

/// The names that rules may refer to.
#[derive(Debug)]
pub struct Names {
    networks: BTreeMap<String, NetworkId>,
    parts: RefCell<Vec<NetworkParts>>,
    inline: RefCell<BTreeMap<IpNet, NetworkId>>,
    lists: BTreeMap<String, UserAgentListSettings>,
    limits: Vec<String>,
    tiers: BTreeMap<String, u32>,
    deployment: Option<Deployment>,
    used: RefCell<BTreeSet<(&'static str, String)>>,
}

impl Names {
    /// Knows the built-in networks, and nothing else. Without a `deployment` a policy is checked by itself.
    pub fn new(deployment: Option<Deployment>) -> Self {
        let mut names = Names {
            networks: BTreeMap::new(),
            parts: RefCell::default(),
            inline: RefCell::default(),
            lists: BTreeMap::new(),
            limits: Vec::new(),
            tiers: BTreeMap::new(),
            deployment,
            used: RefCell::default(),
        };
        for (name, blocks) in BUILT_IN {
            let fixed = blocks.iter().filter_map(|block| block.parse().ok()).collect();
            names.add_network(name, NetworkParts { fixed, feeds: Vec::new() });
        }
        names
    }

    /// Whether a network of this name is built in.
    pub fn is_built_in(network: &str) -> bool {
        BUILT_IN.iter().any(|(name, _)| *name == network)
    }

    /// Defines a network, or replaces one.
    pub fn add_network(&mut self, name: &str, parts: NetworkParts) -> NetworkId {
        let all = self.parts.get_mut();
        let id = *self.networks.entry(name.to_owned()).or_insert(all.len());
        match all.get_mut(id) {
            Some(place) => *place = parts,
            None => all.push(parts),
        }
        id
    }

    /// Defines a list of user agents.
    pub fn add_list(&mut self, name: &str, list: UserAgentListSettings) {
        self.lists.insert(name.to_owned(), list);
    }

    /// Defines a limit; the order of the calls gives the ids.
    pub fn add_limit(&mut self, name: &str) {
        self.limits.push(name.to_owned());
    }

    /// Defines a tier of challenges.
    pub fn add_tier(&mut self, name: &str, difficulty: u32) {
        self.tiers.insert(name.to_owned(), difficulty);
    }

    /// The networks that have a name, in the order in which they were defined, those that are built in last.
    pub fn named_networks(&self) -> Vec<(NetworkId, String)> {
        let mut networks: Vec<_> = self.networks.iter().map(|(name, id)| (*id, name.clone())).collect();
        networks.sort_by_key(|(id, name)| (Names::is_built_in(name), *id));
        networks
    }

    /// The lists of user agents.
    pub fn lists(&self) -> Vec<(String, UserAgentListSettings)> {
        self.lists.iter().map(|(name, list)| (name.clone(), list.clone())).collect()
    }

    /// Whether a rule or class referred to the name.
    pub fn is_used(&self, what: &'static str, name: &str) -> bool {
        self.used.borrow().contains(&(what, name.to_owned()))
    }

    /// The networks by their ids, those that rules write out included.
    pub(super) fn network_parts(&self) -> Vec<NetworkParts> {
        self.parts.borrow().clone()
    }

    /// How many IPv4 addresses a network holds now, and whether feeds add to it.
    pub(super) fn extent(&self, network: NetworkId) -> (u64, bool) {
        let parts = self.parts.borrow();
        let Some(parts) = parts.get(network) else { return (0, false) };
        let addresses = parts.fixed.iter().filter_map(|block| match block {
            IpNet::V4(block) => Some(1u64 << (32 - block.prefix_len())),
            IpNet::V6(_) => None,
        });
        (addresses.sum(), !parts.feeds.is_empty())
    }

    fn note(&self, what: &'static str, name: &str) {
        self.used.borrow_mut().insert((what, name.to_owned()));
    }

    pub(super) fn networks(&self, node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<(String, NetworkId)>> {
        let names = Vec::<Spanned<String>>::decode(node, diagnostics)?;
        let found: Vec<_> = names
            .into_iter()
            .map(|name| {
                self.note("network", &name.value);
                let id = *look_up("network", &name, &self.networks, diagnostics)?;
                Some((name.value, id))
            })
            .collect();
        found.into_iter().collect()
    }

    /// The network of a block that a rule writes out.
    pub(super) fn inline(&self, block: IpNet) -> NetworkId {
        let mut parts = self.parts.borrow_mut();
        *self.inline.borrow_mut().entry(block).or_insert_with(|| {
            parts.push(NetworkParts { fixed: vec![block], feeds: Vec::new() });
            parts.len() - 1
        })
    }

    pub(super) fn list(
        &self,
        name: &Spanned<String>,
        atoms: &mut Builder,
        diagnostics: &mut Diagnostics,
    ) -> Option<AtomId> {
        self.note("list", &name.value);
        look_up("list", name, &self.lists, diagnostics).map(|list| list.atom(&name.value, atoms))
    }

    /// Makes the crawlers of all lists known to `atoms`.
    pub(super) fn crawlers(&self, atoms: &mut Builder) {
        self.lists.values().for_each(|list| list.crawlers(atoms));
    }

    /// A policy may name sites that this deployment does not have: one file serves several deployments.
    pub(super) fn sites(&self, node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
        let known = self.deployment.as_ref().map(|deployment| &*deployment.sites);
        Self::deployed("site", known, node, diagnostics)
    }

    /// The same of clients.
    pub(super) fn clients(&self, node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
        let known = self.deployment.as_ref().map(|deployment| &*deployment.clients);
        Self::deployed("client", known, node, diagnostics)
    }

    fn deployed(
        what: &str,
        known: Option<&[String]>,
        node: &Node,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<String>> {
        let names = Vec::<Spanned<String>>::decode(node, diagnostics)?;
        // The built-in policy names sites that are no mistake of the deployment's.
        let own = !diagnostics.file().starts_with(BUILT_IN_FILE);
        for name in &names {
            if let Some(known) = known.filter(|known| own && !known.contains(&name.value)) {
                let what = unknown_word(what, &name.value, known.iter().map(String::as_str));
                diagnostics.warn(name.position, format!("this never matches: {what}"));
            }
        }
        Some(names.into_iter().map(|name| name.value).collect())
    }

    /// The limits of these names.
    pub fn limits(&self, names: &[Spanned<String>], diagnostics: &mut Diagnostics) -> Option<Vec<LimitId>> {
        let found: Vec<_> = names
            .iter()
            .map(|name| {
                self.note("limit", &name.value);
                let id = self.limits.iter().position(|limit| *limit == name.value);
                if id.is_none() && !diagnostics.is_broken(&name.value) {
                    let what = unknown_word("limit", &name.value, self.limits.iter().map(String::as_str));
                    diagnostics.error(name.position, what);
                }
                id
            })
            .collect();
        found.into_iter().collect()
    }

    /// The difficulty of a tier.
    pub fn tier(&self, name: &str, position: Position, diagnostics: &mut Diagnostics) -> Option<u32> {
        self.note("tier", name);
        let found = self.tiers.get(name).copied();
        if found.is_none() {
            diagnostics.error(position, unknown_word("tier", name, self.tiers.keys().map(String::as_str)));
        }
        found
    }

    /// Whether the deployment, if it is known, has a database of autonomous systems.
    pub fn may_know_systems(&self) -> bool {
        self.deployment.as_ref().is_none_or(|deployment| deployment.systems)
    }

    /// Warns where a match needs a database that the deployment lacks.
    pub(super) fn needs_geoip(&self, key: &str, position: Position, diagnostics: &mut Diagnostics) {
        let there = self.deployment.as_ref().is_none_or(|deployment| match key {
            "country" => deployment.countries,
            _ => deployment.systems,
        });
        if !there {
            let message = format!("this never matches: `{key}` needs `geoip: {{{key}: FILE}}` in the gateway file");
            diagnostics.warn(position, message);
        }
    }

    /// Warns of an expression that no path can match: all of them begin with a slash.
    pub(super) fn check_path_regex(&self, expression: &str, position: Position, diagnostics: &mut Diagnostics) {
        if never_begins_with_slash(expression) {
            let message =
                format!("this never matches: a path begins with `/`, and `{expression}` wants another beginning");
            diagnostics.warn(position, message);
        }
    }
}

fn look_up<'n, T>(
    what: &str,
    name: &Spanned<String>,
    known: &'n BTreeMap<String, T>,
    diagnostics: &mut Diagnostics,
) -> Option<&'n T> {
    let found = known.get(&name.value);
    if found.is_none() && !diagnostics.is_broken(&name.value) {
        diagnostics.error(name.position, unknown_word(what, &name.value, known.keys().map(String::as_str)));
    }
    found
}
