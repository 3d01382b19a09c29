//! Which source is billed by which table.

use super::settings::Known;
use super::{Prices, PricesSettings};
use crate::document::{Diagnostics, Spanned, unknown_word};
use std::collections::BTreeMap;

/// The price tables of a deployment.
#[derive(Debug, Clone)]
pub struct PriceBook {
    default: Prices,
    own: BTreeMap<String, Prices>,
}

impl PriceBook {
    /// The tables that `settings` describe. `networks` are those of the policy; `sources` are the names that tables may
    /// be given for: origins, buckets and regions. `None` when something is wrong, which then is in `diagnostics`.
    pub fn new(
        settings: &Spanned<PricesSettings>,
        networks: &[&str],
        sources: &[&str],
        diagnostics: &mut Diagnostics,
    ) -> Option<PriceBook> {
        let before = diagnostics.error_count();
        let known = Known { networks, sources };
        let default = settings.value.table(None, "prices", settings.position, known, diagnostics);
        let mut own = BTreeMap::new();
        for (name, entry) in &settings.value.origins {
            let at = entry.position;
            if !known.sources.contains(&name.as_str()) && !diagnostics.is_broken(name) {
                diagnostics.error(at, unknown_word("source", name, known.sources.iter().copied()));
            }
            if let Some(nested) = entry.value.origins.values().next() {
                diagnostics.error(nested.position, "`origins` within `origins`: write them side by side");
            }
            // Without a default there is a mistake already, and nothing to begin with but a preset.
            if default.is_some() || entry.value.preset.is_some() {
                let table = format!("origins.{name}");
                if let Some(prices) = entry.value.table(default.as_ref(), &table, at, known, diagnostics) {
                    own.insert(name.clone(), prices);
                }
            }
        }
        let book = PriceBook { default: default?, own };
        for (name, entry) in &settings.value.origins {
            let other = book.own.get(name).filter(|own| own.account == book.default.account);
            if other.is_some_and(|own| own.free != book.default.free) {
                let message = format!("`{name}` is of the same account as the others, and yet has another `free`");
                diagnostics.warn(entry.position, message);
            }
        }
        (diagnostics.error_count() == before).then_some(book)
    }

    /// A book in which everything is billed by one table.
    pub fn of(prices: Prices) -> PriceBook {
        PriceBook { default: prices, own: BTreeMap::new() }
    }

    /// Makes `source` known under other names, such as its bucket and its region: if it has no table of its own, it
    /// takes that of the first of them that has one.
    pub fn also_known_as<'a>(&mut self, source: &str, names: impl IntoIterator<Item = &'a str>) {
        if !self.own.contains_key(source)
            && let Some(prices) = names.into_iter().find_map(|name| self.own.get(name))
        {
            self.own.insert(source.to_owned(), prices.clone());
        }
    }

    /// Bills `source` by a table of its own.
    pub(super) fn add(&mut self, source: &str, prices: Prices) {
        self.own.insert(source.to_owned(), prices);
    }

    /// The table that `source` is billed by.
    pub fn prices(&self, source: &str) -> &Prices {
        self.own.get(source).unwrap_or(&self.default)
    }

    /// The table of sources without one of their own.
    pub fn default_prices(&self) -> &Prices {
        &self.default
    }

    /// The networks whose price is not that of the internet.
    pub fn networks(&self) -> impl Iterator<Item = &str> {
        self.all().flat_map(|prices| prices.free_networks.iter().chain(&prices.region_networks)).map(String::as_str)
    }

    /// All tables, the default first.
    pub fn all(&self) -> impl Iterator<Item = &Prices> {
        std::iter::once(&self.default).chain(self.own.values())
    }
}
