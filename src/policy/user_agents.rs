//! Named lists of User-Agents, and the crawlers in them that can be verified.

use super::atoms::{AtomId, Builder, Crawler, Source, Test};
use crate::document::{Decode, Diagnostics, Kind, Node, Required, Schemas, either};
use crate::network::{Cidr, CidrSet};
use serde_json::Value;

crate::settings! {
    /// A named list of user agents.
    pub struct UserAgentListSettings {
        /// Where the names come from.
        source: Required,
        /// When they were taken from there (YYYY-MM-DD).
        date: Required,
        /// Texts that a listed User-Agent contains, in any letter case.
        contains: Vec<UserAgentEntry>,
    }
}

crate::settings! {
    /// A crawler that can be told from those who pose as it.
    struct CrawlerSettings {
        /// A text that its User-Agent contains, in any letter case.
        name: Required,
        /// Domains that its addresses resolve to, by names that resolve back to them.
        domains: Vec<Required> = Vec::new(),
        /// Addresses that its operator publishes.
        networks: Vec<Cidr> = Vec::new(),
    }
}

/// One entry of a list: a text, or a mapping that also says how to verify the crawler.
#[derive(Debug, Clone)]
pub struct UserAgentEntry {
    name: String,
    domains: Vec<String>,
    networks: Vec<Cidr>,
}

impl Decode for UserAgentEntry {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if !matches!(node.kind, Kind::Map(_)) {
            let Required(name) = Required::decode(node, diagnostics)?;
            return Some(UserAgentEntry { name, domains: Vec::new(), networks: Vec::new() });
        }
        let settings = CrawlerSettings::decode(node, diagnostics)?;
        if settings.domains.is_empty() && settings.networks.is_empty() {
            diagnostics.error(node.position, "expected `domains`, `networks`, or both; else write the bare name");
        }
        let domains = settings.domains.into_iter().map(|domain| domain.0.trim_matches('.').to_ascii_lowercase());
        Some(UserAgentEntry { name: settings.name.0, domains: domains.collect(), networks: settings.networks })
    }

    fn schema(schemas: &mut Schemas) -> Value {
        either(CrawlerSettings::schema(schemas), Required::schema(schemas))
    }
}

impl UserAgentListSettings {
    /// The names that it looks for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contains.iter().map(|entry| &*entry.name)
    }

    /// The atom that finds a User-Agent of this list.
    pub(super) fn atom(&self, name: &str, atoms: &mut Builder) -> AtomId {
        atoms.atom(format!("user_agent: {{list: {name}}}"), |atoms, id| {
            let (source, patterns) = atoms.patterns(Source::UserAgent);
            for entry in &self.contains {
                patterns.contained(&entry.name, id);
            }
            Test::Found(source)
        })
    }

    /// Adds the crawlers that can be verified.
    pub(super) fn crawlers(&self, atoms: &mut Builder) {
        for entry in self.contains.iter().filter(|entry| !entry.domains.is_empty() || !entry.networks.is_empty()) {
            let atom = atoms.atom(format!("user_agent names {}", entry.name), |atoms, id| {
                let (source, patterns) = atoms.patterns(Source::UserAgent);
                patterns.contained(&entry.name, id);
                Test::Found(source)
            });
            let networks: CidrSet = entry.networks.iter().map(|cidr| cidr.0).collect();
            atoms.crawler(Crawler { atom, domains: entry.domains.clone(), networks });
        }
    }
}
