//! The `prices` section of a gateway file.

use super::{Day, Gigabyte, Location, Preset, Price, Prices, Requests, Size, Tier};
use crate::document::{Decode, Diagnostics, Node, Position, Required, Schemas, Spanned, choose, unknown_word, words};
use serde_json::Value;
use std::collections::BTreeMap;

/// The currency of prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Currency {
    /// US dollars, in which policies and reports speak, too.
    Usd,
}

impl Currency {
    const WORDS: [(&'static str, Currency); 1] = [("USD", Currency::Usd)];
}

impl Decode for Currency {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "currency", &Self::WORDS, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&Self::WORDS)
    }

    fn written(&self) -> Option<Value> {
        Some("USD".into())
    }
}

crate::settings! {
    /// What sources charge: a preset, changed key by key, or a table written in full.
    pub struct PricesSettings {
        /// The table to begin with: `aws-us-east-1`, `aws-eu-central-1`, `linode` or `cloudfront`. Without it,
        /// `egress`, `source` and `effective` must be there. Within `origins`, the table around it is the one to begin
        /// with.
        preset: Option<Preset> = None,
        /// The currency: `USD`, the only one.
        currency: Currency = Currency::Usd,
        /// What the provider calls a GB: `binary` (2^30 bytes, as AWS does) or `decimal`. Sizes in this section are
        /// read so; `binary` where there is no preset.
        gb: Option<Gigabyte> = None,
        /// What may leave for the internet in a month for free, e.g. `100 GB`. An account has it once, for all it does:
        /// if other services use it up, write `0 GB`.
        free: Option<Size> = None,
        /// What bytes to the internet cost: `[{up_to: 10 TB, per_gb: 0.09}, {per_gb: 0.05}]`. Tiers count all bytes of
        /// a month, the free ones too.
        egress: Option<Vec<Spanned<TierSettings>>> = None,
        /// What requests cost.
        requests: RequestSettings = RequestSettings::default(),
        /// What a GB within the region costs.
        same_region: Option<Price> = None,
        /// What a GB to another region costs.
        other_region: Option<Price> = None,
        /// Networks of the policy that are reached within the region.
        free_networks: Option<Vec<Spanned<String>>> = None,
        /// Networks of the policy that are reached in another region.
        region_networks: Option<Vec<Spanned<String>>> = None,
        /// Where the source stands: `aws:REGION` or `outside`.
        location: Option<Location> = None,
        /// Whose account it is; tables of one account share the free allowance.
        account: Option<Required> = None,
        /// Where the prices were read, best a URL.
        source: Option<Required> = None,
        /// A day on which they held, e.g. `2026-11-01`.
        effective: Option<Day> = None,
        /// Other tables for some sources, by the name of an origin, a bucket or a region.
        origins: BTreeMap<String, Spanned<PricesSettings>> = BTreeMap::new(),
    }
}

crate::settings! {
    /// One step of a degressive price.
    pub struct TierSettings {
        /// Where it ends in a month, e.g. `10 TB`; the last one has no end.
        up_to: Option<Size> = None,
        /// What a GB costs, in dollars.
        per_gb: Price,
    }
}

crate::settings! {
    /// What requests cost.
    #[derive(Default)]
    pub struct RequestSettings {
        /// What 1,000 reads cost, in dollars.
        get: Option<Price> = None,
        /// What 1,000 listings cost, in dollars.
        list: Option<Price> = None,
        /// How many reads are free in a month.
        free: Option<u64> = None,
    }
}

/// Those of S3 in us-east-1.
impl Default for PricesSettings {
    fn default() -> Self {
        PricesSettings {
            preset: Some(Preset::AwsUsEast1),
            currency: Currency::Usd,
            gb: None,
            free: None,
            egress: None,
            requests: RequestSettings::default(),
            same_region: None,
            other_region: None,
            free_networks: None,
            region_networks: None,
            location: None,
            account: None,
            source: None,
            effective: None,
            origins: BTreeMap::new(),
        }
    }
}

/// Names of a deployment that prices may speak of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known<'a> {
    pub networks: &'a [&'a str],
    pub sources: &'a [&'a str],
}

impl PricesSettings {
    /// The table that these settings make of `base`. `name` is that of a table of its own. `None` when something is
    /// wrong, which then is in `diagnostics`.
    pub(super) fn table(
        &self,
        base: Option<&Prices>,
        name: &str,
        position: Position,
        known: Known<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Prices> {
        let before = diagnostics.error_count();
        let preset = self.preset.map(Preset::prices);
        let base = preset.as_ref().or(base);
        let gigabyte = self.gb.or(base.map(|base| base.gigabyte)).unwrap_or(Gigabyte::Binary);
        let egress = self.egress.as_ref().map(|steps| tiers(steps, gigabyte, position, diagnostics));
        self.check_networks(known, diagnostics);
        if base.is_none() {
            let keys = [
                ("egress", egress.is_some()),
                ("source", self.source.is_some()),
                ("effective", self.effective.is_some()),
            ];
            for (key, _) in keys.into_iter().filter(|(_, given)| !given) {
                diagnostics.error(position, format!("missing key `{key}`: a table without a `preset` needs it"));
            }
        }
        if diagnostics.error_count() > before {
            return None;
        }
        let names = |given: &Option<Vec<Spanned<String>>>| -> Option<Vec<String>> {
            given.as_ref().map(|names| names.iter().map(|name| name.value.clone()).collect())
        };
        let mut prices = match base {
            Some(base) => base.clone(),
            None => Prices { egress: egress.clone()?, ..blank(name, self.effective?) },
        };
        if self.changes_prices() && base.is_some() {
            prices.table = name.to_owned();
            prices.source.push_str(", changed by the configuration");
        }
        let requests = &self.requests;
        Some(Prices {
            account: self.account.clone().map_or(prices.account, |Required(account)| account),
            gigabyte,
            free: self.free.map_or(prices.free, |free| free.bytes(gigabyte)),
            egress: egress.unwrap_or(prices.egress),
            requests: Requests {
                get: requests.get.unwrap_or(prices.requests.get),
                list: requests.list.unwrap_or(prices.requests.list),
                free: requests.free.unwrap_or(prices.requests.free),
            },
            same_region: self.same_region.unwrap_or(prices.same_region),
            other_region: self.other_region.unwrap_or(prices.other_region),
            free_networks: names(&self.free_networks).unwrap_or(prices.free_networks),
            region_networks: names(&self.region_networks).unwrap_or(prices.region_networks),
            location: self.location.clone().unwrap_or(prices.location),
            source: self.source.clone().map_or(prices.source, |Required(source)| source),
            effective: self.effective.unwrap_or(prices.effective),
            table: prices.table,
        })
    }

    fn changes_prices(&self) -> bool {
        let RequestSettings { get, list, free } = self.requests;
        let prices = [get, list, self.same_region, self.other_region];
        prices.iter().any(Option::is_some)
            || free.is_some()
            || self.gb.is_some()
            || self.free.is_some()
            || self.egress.is_some()
    }

    fn check_networks(&self, known: Known<'_>, diagnostics: &mut Diagnostics) {
        let free = self.free_networks.as_deref().unwrap_or_default();
        let region = self.region_networks.as_deref().unwrap_or_default();
        for network in free.iter().chain(region) {
            let name = network.value.as_str();
            if !known.networks.contains(&name) && !diagnostics.is_broken(name) {
                let message = unknown_word("network", name, known.networks.iter().copied());
                diagnostics.error(network.position, message);
            }
        }
        for network in region.iter().filter(|network| free.iter().any(|other| other.value == network.value)) {
            let message = format!("`{}` stands in `free_networks`, too: leave it out of one", network.value);
            diagnostics.error(network.position, message);
        }
    }
}

fn tiers(
    steps: &[Spanned<TierSettings>],
    gigabyte: Gigabyte,
    position: Position,
    diagnostics: &mut Diagnostics,
) -> Vec<Tier> {
    let mut start = 0;
    for (index, step) in steps.iter().enumerate() {
        let last = index + 1 == steps.len();
        let wrong = match (step.value.up_to.map(|end| end.bytes(gigabyte)), last) {
            (Some(_), true) => Some("the last tier has no end: leave `up_to` out"),
            (None, false) => Some("missing key `up_to`: only the last tier has no end"),
            (Some(end), false) if end <= start => Some("`up_to` must be above that of the tier before"),
            (end, _) => {
                start = end.unwrap_or(start);
                None
            }
        };
        if let Some(message) = wrong {
            diagnostics.error(step.position, message);
        }
    }
    if steps.is_empty() {
        diagnostics.error(position, "`egress` needs a tier such as `{per_gb: 0.05}`");
    }
    let tier = |step: &Spanned<TierSettings>| Tier {
        up_to: step.value.up_to.map(|end| end.bytes(gigabyte)),
        per_gb: step.value.per_gb,
    };
    steps.iter().map(tier).collect()
}

/// A table that charges nothing.
fn blank(name: &str, effective: Day) -> Prices {
    Prices {
        table: name.to_owned(),
        account: name.to_owned(),
        gigabyte: Gigabyte::Binary,
        free: 0,
        egress: Vec::new(),
        requests: Requests { get: Price::FREE, list: Price::FREE, free: 0 },
        same_region: Price::FREE,
        other_region: Price::FREE,
        free_networks: Vec::new(),
        region_networks: Vec::new(),
        location: Location::Outside,
        source: String::new(),
        effective,
    }
}
