//! The sites of a configuration, with what keeps them going.

use crate::config::{Config, List};
use crate::credentials::{self, CredentialsSource};
use crate::metrics::Metrics;
use crate::origin::{CredentialsCell, Origin, Signer};
use crate::proxy::{Compare, Site, authorities};
use crate::resolver;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Makes the sites, with their credentials and addresses being kept in the background. The first looks at these end on
/// `first_looks`.
pub(super) fn make(
    config: &Config,
    metrics: &Metrics,
    background: &CancellationToken,
    first_looks: &mut JoinSet<()>,
) -> Vec<Site> {
    let mut cells: BTreeMap<String, CredentialsCell> = BTreeMap::new();
    let mut signer = |named: &str| {
        if named == "anonymous" {
            return Signer::Anonymous;
        }
        let cell = cells.entry(named.to_owned()).or_insert_with(|| {
            let source = config.file.credentials.get(named).cloned().unwrap_or(CredentialsSource::Chain);
            let cell = CredentialsCell::default();
            let (metrics, stop) = (metrics.clone(), background.clone());
            first_looks.spawn(credentials::start(named.to_owned(), source, cell.clone(), metrics, stop));
            cell
        });
        Signer::Credentials(cell.clone())
    };
    let mut sites = Vec::new();
    for (name, settings) in &config.file.sites.value.0 {
        let mut origins = Vec::new();
        for origin in &settings.origins.0 {
            let named = origin.credentials.as_ref().map_or("chain", |name| name.value.as_str());
            let redirect_signer = origin.redirect_credentials.as_ref().map(|name| signer(&name.value));
            let signer = signer(named);
            origins.push(Arc::new(Origin::new(origin.clone(), signer, redirect_signer)));
        }
        let pem = |origin: &Arc<Origin>| origin.settings.ca.as_ref().and_then(|path| config.authorities.get(path));
        sites.push(Site {
            name: name.as_str().into(),
            hosts: settings.host_names().collect(),
            prefix: settings.prefix.as_ref().map(|prefix| prefix.value.clone()),
            lists: settings.list == List::Signed,
            authorities: origins.iter().map(|origin| pem(origin).map(|pem| authorities(pem))).collect(),
            changing: settings.mutable.clone(),
            compare: settings.compare.map(Compare::new),
            origins,
        });
    }
    for site in &sites {
        for origin in &site.origins {
            let (metrics, stop) = (metrics.clone(), background.clone());
            first_looks.spawn(resolver::start(site.name.clone(), origin.clone(), metrics, stop));
        }
    }
    sites
}
