//! Reads files, follows what they refer to, and checks it as a whole.

#![allow(clippy::disallowed_methods, reason = "rank 5: reads configuration files")]

use super::bucket_logs::check_bucket_logs;
use super::certificates::{read_authorities, read_certificates, read_client_authorities};
use super::clients::read_clients;
use super::gateway::GatewayFile;
use super::kind::{FileKind, read_as};
use super::loaded::LoadedPolicy;
use super::operators::read_operators;
use super::page::read_page;
use super::policies::load_policy;
use super::robots::read_robots;
use crate::challenge::{Page, SigningKeys};
use crate::cost::PriceBook;
use crate::document::{Diagnostics, Spanned, unknown_word};
use crate::identity::{Operators, Roster};
use crate::keeper::KeeperSettings;
use crate::listener::{Certificate, ClientAuthorities};
use crate::metrics::NO_SITE;
use crate::origin::OriginSettings;
use crate::path::CanonicalPath;
use crate::policy::Deployment;
use crate::shared_state::SharedStateSettings;
use crate::surroundings::{Geo, GeoIpSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The files that a configuration was read from: when one changes, it is read again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(pub BTreeSet<PathBuf>);

/// Reads a file, and notes that it was read even where that fails: it may come into being.
pub(super) fn read_file(path: &Path, files: &mut Files) -> Result<String, String> {
    files.0.insert(path.to_owned());
    std::fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

/// A gateway's configuration, checked. It holds signing keys and has no Debug output.
pub struct Config {
    /// The gateway file.
    pub file: GatewayFile,
    /// The policy that it names.
    pub policy: LoadedPolicy,
    /// PEM certificates by the path that an origin or the shared state names.
    pub authorities: BTreeMap<PathBuf, Vec<u8>>,
    /// Signing keys; `None` where none are configured.
    pub pass_keys: Option<SigningKeys>,
    /// The certificates of each listener, with their paths in the gateway file.
    pub certificates: Vec<Vec<(String, Certificate)>>,
    /// Whose certificates of clients each listener believes.
    pub client_authorities: Vec<Option<ClientAuthorities>>,
    /// The challenge page.
    pub page: Page,
    /// What `/robots.txt` says; `None` where that is a site's business.
    pub robots: Option<String>,
    /// Who may prove to be whom.
    pub clients: Roster,
    /// Who may decide while the gateway runs.
    pub operators: Operators,
    /// Databases of countries and autonomous systems.
    pub geo: Geo,
    /// What origins charge.
    pub prices: PriceBook,
}

impl Config {
    /// What this deployment brings that a policy may need.
    pub fn deployment(&self) -> Deployment {
        deployment(&self.file)
    }
}

fn deployment(file: &GatewayFile) -> Deployment {
    Deployment {
        sites: file.sites.value.0.iter().map(|(name, _)| name.clone()).collect(),
        clients: file.clients.iter().map(|client| client.value.name.value.clone()).collect(),
        countries: file.geoip.as_ref().is_some_and(|geoip| geoip.value.country.is_some()),
        systems: file.geoip.as_ref().is_some_and(|geoip| geoip.value.asn.is_some()),
    }
}

/// More would take longer to fail than clients wait.
const MAX_ORIGINS: usize = 8;

/// Loads a gateway file and everything that it refers to. `None` when anything is wrong.
///
/// # Errors
/// When the file itself cannot be read.
pub fn load(path: &Path, diagnostics: &mut Diagnostics) -> Result<Option<Config>, String> {
    load_noting(path, &mut Files::default(), diagnostics)
}

/// As [`load`], and notes in `files` what was read, whether or not it was good.
///
/// # Errors
/// When the file itself cannot be read.
pub fn load_noting(path: &Path, files: &mut Files, diagnostics: &mut Diagnostics) -> Result<Option<Config>, String> {
    let text = read_file(path, files)?;
    diagnostics.enter(path.display().to_string());
    Ok(compose(&text, path.parent().unwrap_or(Path::new("")), files, diagnostics))
}

/// The configuration of `serve --origin URL`: one site for every host, the built-in policy in observe mode.
///
/// Requests are signed where the AWS chain has credentials, and anonymous where `anonymous` says so.
pub fn for_origin(
    url: &str,
    listen: &str,
    admin: &str,
    anonymous: bool,
    diagnostics: &mut Diagnostics,
) -> Option<Config> {
    let credentials = if anonymous { "anonymous" } else { "chain" };
    let text = format!(
        "{{version: 1, listeners: [{{address: {listen:?}}}], admin: {{address: {admin:?}}}, \
         sites: {{site: {{origins: [{{name: origin, url: {url:?}, credentials: {credentials}}}]}}}}}}"
    );
    diagnostics.enter("command line");
    compose(&text, Path::new(""), &mut Files::default(), diagnostics)
}

/// Where the admin listener of a gateway file listens, without reading what the file refers to: that may be for the
/// gateway's eyes only. `None` where there is no such listener, or the file cannot be understood.
///
/// # Errors
/// When the file cannot be read.
pub fn admin_address(path: &Path, diagnostics: &mut Diagnostics) -> Result<Option<SocketAddr>, String> {
    let text = read_file(path, &mut Files::default())?;
    diagnostics.enter(path.display().to_string());
    let file: Option<GatewayFile> = read_as(FileKind::Gateway, &text, diagnostics);
    Ok(file.and_then(|file| file.admin).map(|admin| admin.address))
}

fn compose(text: &str, directory: &Path, files: &mut Files, diagnostics: &mut Diagnostics) -> Option<Config> {
    let mut file: GatewayFile = read_as(FileKind::Gateway, text, diagnostics)?;
    file.feeds.directory = file.feeds.directory.map(|path| directory.join(path));
    let credentials = std::mem::take(&mut file.credentials).into_iter();
    file.credentials = credentials.map(|(name, source)| (name, source.beside(directory))).collect();
    if let Some(log) = file.admin.as_mut().and_then(|admin| admin.access_log.as_mut()) {
        *log = directory.join(&*log);
    }
    file.listeners.0.iter().for_each(|listener| listener.check(diagnostics));
    check_sites(&file, diagnostics);
    check_bucket_logs(&file, diagnostics);
    let mut authorities = BTreeMap::new();
    for (_, site) in &file.sites.value.0 {
        for origin in &site.origins.0 {
            for name in [&origin.credentials, &origin.redirect_credentials].into_iter().flatten() {
                if !matches!(name.value.as_str(), "chain" | "anonymous")
                    && !file.credentials.contains_key(&name.value)
                    && !diagnostics.is_broken(&name.value)
                {
                    let known = file.credentials.keys().map(String::as_str).chain(["chain", "anonymous"]);
                    diagnostics.error(name.position, unknown_word("credentials", &name.value, known));
                }
            }
            if let Some(path) = &origin.ca {
                match read_authorities(&directory.join(path), files) {
                    Ok(pem) => drop(authorities.insert(path.clone(), pem)),
                    Err(message) => diagnostics.error(origin.name.position, message),
                }
            }
        }
    }
    let pass_keys = match &file.pass_keys {
        Some(keys) => read_keys(&directory.join(&keys.dir.value), files).map(Some).map_err(|message| {
            diagnostics.error(keys.dir.position, message);
        }),
        None => Ok(None),
    };
    if let Some(counters) = &mut file.counters {
        check_counters(counters, file.pass_keys.is_some(), directory, diagnostics);
    }
    if let Some(decisions) = &mut file.decisions {
        put_beside(&mut decisions.value.file, directory, diagnostics);
    }
    if let Some(ledger) = &mut file.ledger {
        put_beside(&mut ledger.value.path, directory, diagnostics);
    }
    if let Some(shared) = &mut file.shared_state {
        check_shared(shared, file.pass_keys.is_some(), diagnostics);
        let beside = |path: &mut PathBuf| *path = directory.join(&*path);
        shared.value.password_file.as_mut().map(beside);
        if let Some(path) = &shared.value.ca {
            match read_authorities(&directory.join(&path.value), files) {
                Ok(pem) => drop(authorities.insert(path.value.clone(), pem)),
                Err(message) => diagnostics.error(path.position, message),
            }
        }
    }
    let certificates = file.listeners.0.iter().map(|listener| {
        let tls = listener.tls.as_ref().map(|tls| read_certificates(tls, directory, files, diagnostics));
        tls.unwrap_or_default()
    });
    let certificates = certificates.collect();
    let asked = file.listeners.0.iter().map(|listener| listener.tls.as_ref()?.client_certificates.as_ref());
    let client_authorities =
        asked.map(|asked| read_client_authorities(asked?, directory, files, diagnostics)).collect();
    let robots = read_robots(&file.robots, directory, files, diagnostics);
    let page = read_page(&file.page, directory, files, diagnostics);
    let clients = read_clients(&file, directory, files, diagnostics);
    let operators = read_operators(&file, diagnostics);
    let geo = read_geo(file.geoip.as_ref(), directory, files, diagnostics);
    let policy = load_policy(&file.policy, directory, deployment(&file), files, diagnostics);
    let (policy, pass_keys, geo) = (policy?, pass_keys.ok()?, geo?);
    let prices = read_prices(&file, &policy, diagnostics)?;
    (diagnostics.error_count() == 0).then_some(Config {
        file,
        policy,
        authorities,
        pass_keys,
        certificates,
        client_authorities,
        page,
        robots,
        clients,
        operators,
        geo,
        prices,
    })
}

/// The price tables. A table may be given for an origin, its bucket or its region.
fn read_prices(file: &GatewayFile, policy: &LoadedPolicy, diagnostics: &mut Diagnostics) -> Option<PriceBook> {
    let origins: Vec<&OriginSettings> = file.sites.value.0.iter().flat_map(|(_, site)| &site.origins.0).collect();
    let others = |origin: &'_ OriginSettings| {
        let region = origin.url.region().map(str::to_owned).or(origin.region.clone());
        [origin.url.bucket().map(str::to_owned), region].into_iter().flatten().collect::<Vec<_>>()
    };
    let sources: BTreeSet<String> =
        origins.iter().flat_map(|origin| others(origin).into_iter().chain([origin.name.value.clone()])).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let networks: Vec<&str> = policy.networks.iter().map(|(_, name)| name.as_str()).collect();
    let mut book = PriceBook::new(&file.prices, &networks, &sources, diagnostics)?;
    for origin in origins {
        book.also_known_as(&origin.name.value, others(origin).iter().map(String::as_str));
    }
    Some(book)
}

fn read_geo(
    settings: Option<&Spanned<GeoIpSettings>>,
    directory: &Path,
    files: &mut Files,
    diagnostics: &mut Diagnostics,
) -> Option<Geo> {
    let Some(settings) = settings else { return Some(Geo::default()) };
    let beside = |path: &Option<PathBuf>| path.as_ref().map(|path| directory.join(path));
    let paths = GeoIpSettings { country: beside(&settings.value.country), asn: beside(&settings.value.asn) };
    files.0.extend([&paths.country, &paths.asn].into_iter().flatten().cloned());
    Geo::open(&paths).map_err(|message| diagnostics.error(settings.position, message)).ok()
}

fn check_counters(
    counters: &mut Spanned<KeeperSettings>,
    pass_keys: bool,
    directory: &Path,
    diagnostics: &mut Diagnostics,
) {
    if !pass_keys {
        let message = "`counters` needs `pass_keys`: who is counted is hashed with a secret that follows from them";
        diagnostics.error(counters.position, message);
    }
    put_beside(&mut counters.value.file, directory, diagnostics);
}

/// Makes the path of a file that will be written relative to the gateway file.
fn put_beside(file: &mut Spanned<PathBuf>, directory: &Path, diagnostics: &mut Diagnostics) {
    file.value = directory.join(&file.value);
    // A file that is named without a directory has an empty one.
    let parent = file.value.parent().map(|parent| if parent == "" { Path::new(".") } else { parent });
    if !parent.is_some_and(Path::is_dir) {
        let message = format!("`{}` cannot be written: its directory does not exist", file.value.display());
        diagnostics.error(file.position, message);
    } else if file.value.is_dir() {
        diagnostics.error(file.position, format!("`{}` is a directory: name a file in it", file.value.display()));
    }
}

fn check_shared(shared: &Spanned<SharedStateSettings>, pass_keys: bool, diagnostics: &mut Diagnostics) {
    if !pass_keys {
        let message =
            "`shared_state` needs `pass_keys`: replicas must share keys, or a pass of one does not hold on the others";
        diagnostics.error(shared.position, message);
    }
    if let Some(username) = shared.value.username.as_ref().filter(|_| shared.value.password_file.is_none()) {
        diagnostics.error(username.position, "`username` needs `password_file`");
    }
}

fn check_sites(file: &GatewayFile, diagnostics: &mut Diagnostics) {
    let sites = &file.sites;
    let others_answer = file.listeners.0.iter().any(|listener| listener.check.value);
    if sites.value.0.is_empty() && diagnostics.error_count() == 0 {
        diagnostics.error(sites.position, "expected at least one site");
    }
    let mut taken: Vec<(String, &str)> = Vec::new();
    for (name, site) in &sites.value.0 {
        if name == NO_SITE {
            diagnostics
                .error(sites.position, format!("`{NO_SITE}` cannot be a site's name: it means no site in metrics"));
        }
        if let Some(position) = site.origins.1.filter(|_| !others_answer) {
            let message = "expected at least one origin; other proxies can answer for a site that has none, if they ask at \
                           a listener with `check: true`";
            diagnostics.error(position, message);
        }
        if let Some(origin) = site.origins.0.get(MAX_ORIGINS) {
            diagnostics.error(origin.name.position, format!("a site has at most {MAX_ORIGINS} origins"));
        }
        for (index, origin) in site.origins.0.iter().enumerate() {
            if site.origins.0[..index].iter().any(|other| other.name.value == origin.name.value) {
                diagnostics.error(origin.name.position, format!("a second origin named `{}`", origin.name.value));
            }
        }
        let prefix = site.prefix.as_ref().map_or("", |prefix| prefix.value.as_str());
        if let Some(given) = &site.prefix {
            let canonical = CanonicalPath::parse(&given.value).is_ok_and(|path| path.as_str() == given.value);
            if !canonical || given.value.ends_with('/') || given.value.starts_with("/.windscreen") {
                let message = format!("`{}` is not a prefix: it begins with `/` and has none at its end", given.value);
                diagnostics.error(given.position, message);
            }
        }
        let everywhere = [Spanned { position: sites.position, value: String::new() }];
        let hosts = if site.hosts.is_empty() { &everywhere[..] } else { &site.hosts };
        for host in hosts {
            let address = host.value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let good = match address {
                Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
                None => host.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
            };
            if !site.hosts.is_empty() && (host.value.is_empty() || !good) {
                let message = format!("`{}` is not a host name: leave out scheme, port and path", host.value);
                diagnostics.error(host.position, message);
            }
            let address = (host.value.trim_end_matches('.').to_ascii_lowercase(), prefix);
            if taken.contains(&address) {
                let message = format!("the site `{name}` has the same address as another: `{}{prefix}`", host.value);
                diagnostics.error(host.position, message);
            }
            taken.push(address);
        }
    }
}

fn read_keys(directory: &Path, files: &mut Files) -> Result<SigningKeys, String> {
    let unreadable = |error| format!("cannot read `{}`: {error}", directory.display());
    let mut paths = Vec::new();
    // A key that is added changes the folder.
    files.0.insert(directory.to_owned());
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        // Kubernetes keeps its own entries (`..data`) beside the keys.
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    paths.reverse();
    let mut key = |path: &PathBuf| {
        SigningKeys::parse(&read_file(path, files)?).map_err(|error| format!("`{}`: {error}", path.display()))
    };
    let keys: Vec<_> = paths.iter().map(&mut key).collect::<Result<_, String>>()?;
    let none = || format!("`{}` holds no key; `windscreen keygen` prints one", directory.display());
    let (newest, older) = keys.split_first().ok_or_else(none)?;
    Ok(SigningKeys::new(*newest, older.iter().copied()))
}
