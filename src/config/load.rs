//! Reads files, follows what they refer to, and checks it as a whole.

#![allow(clippy::disallowed_methods, reason = "rank 5: reads configuration files")]

use super::gateway::{GatewayFile, Named, PolicyReference, SiteSettings};
use super::policy::{BUILT_IN, ListFile, PolicyFile};
use crate::challenge::{ChallengeSettings, SigningKeys};
use crate::document::{Diagnostics, Position, Spanned, read, unknown_word};
use crate::limit::LimitSettings;
use crate::metrics::NO_SITE;
use crate::network::Cidr;
use crate::path::CanonicalPath;
use crate::policy::{Names, Policy, UserAgentList};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A gateway's configuration, checked. It holds signing keys and has no Debug output.
pub struct Config {
    /// The gateway file.
    pub file: GatewayFile,
    /// The policy that it names.
    pub policy: LoadedPolicy,
    /// PEM certificates by the path that an origin names.
    pub authorities: BTreeMap<PathBuf, Vec<u8>>,
    /// Signing keys, the newest first; empty where none are configured.
    pub pass_keys: Vec<[u8; 32]>,
}

/// A policy and the settings of the stages that it composes.
#[derive(Debug)]
pub struct LoadedPolicy {
    /// What is decided.
    pub policy: Policy,
    /// Limits, in the order of their ids.
    pub limits: Vec<(String, LimitSettings)>,
    /// Challenges and passes.
    pub challenge: ChallengeSettings,
}

/// More would take longer to fail than clients wait.
const MAX_ORIGINS: usize = 8;

fn read_file(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

/// Loads a gateway file and everything that it refers to. `None` when anything is wrong.
///
/// # Errors
/// When the file itself cannot be read.
pub fn load(path: &Path, diagnostics: &mut Diagnostics) -> Result<Option<Config>, String> {
    let text = read_file(path)?;
    diagnostics.enter(path.display().to_string());
    Ok(compose(&text, path.parent().unwrap_or(Path::new("")), diagnostics))
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
    compose(&text, Path::new(""), diagnostics)
}

fn compose(text: &str, directory: &Path, diagnostics: &mut Diagnostics) -> Option<Config> {
    let file: GatewayFile = read(text, diagnostics)?;
    check_sites(&file.sites, diagnostics);
    let mut authorities = BTreeMap::new();
    for (_, site) in &file.sites.value.0 {
        for origin in &site.origins.0 {
            if let Some(name) = &origin.credentials
                && !matches!(name.value.as_str(), "chain" | "anonymous")
                && !file.credentials.contains_key(&name.value)
                && !diagnostics.is_broken(&name.value)
            {
                let known = file.credentials.keys().map(String::as_str).chain(["chain", "anonymous"]);
                diagnostics.error(name.position, unknown_word("credentials", &name.value, known));
            }
            if let Some(path) = &origin.ca {
                match read_authorities(&directory.join(path)) {
                    Ok(pem) => drop(authorities.insert(path.clone(), pem)),
                    Err(message) => diagnostics.error(origin.name.position, message),
                }
            }
        }
    }
    let pass_keys = match &file.pass_keys {
        Some(keys) => read_keys(&directory.join(&keys.dir.value)).map_err(|message| {
            diagnostics.error(keys.dir.position, message);
        }),
        None => Ok(Vec::new()),
    };
    let sites: Vec<&str> = file.sites.value.0.iter().map(|(name, _)| name.as_str()).collect();
    let policy = load_policy(&file.policy, directory, sites, diagnostics);
    let (policy, pass_keys) = (policy?, pass_keys.ok()?);
    (diagnostics.error_count() == 0).then_some(Config { file, policy, authorities, pass_keys })
}

fn check_sites(sites: &Spanned<Named<SiteSettings>>, diagnostics: &mut Diagnostics) {
    if sites.value.0.is_empty() && diagnostics.error_count() == 0 {
        diagnostics.error(sites.position, "expected at least one site");
    }
    let mut taken: Vec<(String, &str)> = Vec::new();
    for (name, site) in &sites.value.0 {
        if name == NO_SITE {
            diagnostics
                .error(sites.position, format!("`{NO_SITE}` cannot be a site's name: it means no site in metrics"));
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

fn read_authorities(path: &Path) -> Result<Vec<u8>, String> {
    let pem = read_file(path)?.into_bytes();
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let good = certificate.is_ok_and(|der| x509_parser::parse_x509_certificate(&der).is_ok());
        if !good {
            return Err(format!("`{}` holds something that is not a PEM certificate", path.display()));
        }
        count += 1;
    }
    if count == 0 { Err(format!("`{}` holds no PEM certificate", path.display())) } else { Ok(pem) }
}

fn read_keys(directory: &Path) -> Result<Vec<[u8; 32]>, String> {
    let unreadable = |error| format!("cannot read `{}`: {error}", directory.display());
    let mut paths = Vec::new();
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
    if paths.is_empty() {
        return Err(format!("`{}` holds no key; `windscreen keygen` prints one", directory.display()));
    }
    let key = |path: &PathBuf| {
        SigningKeys::parse(&read_file(path)?).map_err(|error| format!("`{}`: {error}", path.display()))
    };
    paths.iter().map(key).collect()
}

fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

fn load_policy(
    reference: &PolicyReference,
    directory: &Path,
    sites: Vec<&str>,
    diagnostics: &mut Diagnostics,
) -> Option<LoadedPolicy> {
    let (text, name, from) = match &reference.file {
        None => (BUILT_IN[0].1.to_owned(), format!("built-in {}", BUILT_IN[0].0), PathBuf::new()),
        Some(file) => {
            let path = directory.join(&file.value);
            let text = read_file(&path).map_err(|message| diagnostics.error(file.position, message)).ok()?;
            let from = path.parent().map(Path::to_owned).unwrap_or_default();
            (text, path.display().to_string(), from)
        }
    };
    let mut overrides: BTreeMap<String, Spanned<Vec<Cidr>>> = BTreeMap::new();
    let mut overrides_file = String::new();
    if let Some(file) = &reference.networks {
        let path = directory.join(&file.value);
        let text = read_file(&path).map_err(|message| diagnostics.error(file.position, message)).ok()?;
        overrides_file = path.display().to_string();
        let outer = diagnostics.enter(overrides_file.clone());
        overrides = read(&text, diagnostics).unwrap_or_default();
        diagnostics.enter(outer);
    }
    let outer = diagnostics.enter(name);
    let policy: Option<PolicyFile> = read(&text, diagnostics);
    let loaded = policy.and_then(|mut file| {
        if let Some(mode) = reference.mode {
            file.mode = mode;
        }
        for (name, blocks) in overrides {
            match file.networks.get_mut(&name) {
                Some(known) => *known = blocks.value,
                None => {
                    let known = file.networks.keys().map(String::as_str);
                    let message = unknown_word("network", &name, known);
                    let policy = diagnostics.enter(overrides_file.clone());
                    diagnostics.error(blocks.position, format!("{message} (of the policy)"));
                    diagnostics.enter(policy);
                }
            }
        }
        compile(file, &from, Some(sites), diagnostics)
    });
    diagnostics.enter(outer);
    loaded
}

/// Checks a policy file by itself.
///
/// # Errors
/// When the file itself cannot be read.
pub fn check_policy(path: &Path, diagnostics: &mut Diagnostics) -> Result<Option<LoadedPolicy>, String> {
    let text = read_file(path)?;
    diagnostics.enter(path.display().to_string());
    let file: Option<PolicyFile> = read(&text, diagnostics);
    let from = path.parent().unwrap_or(Path::new(""));
    Ok(file.and_then(|file| compile(file, from, None, diagnostics)))
}

fn compile(
    mut file: PolicyFile,
    from: &Path,
    sites: Option<Vec<&str>>,
    diagnostics: &mut Diagnostics,
) -> Option<LoadedPolicy> {
    for import in &file.import {
        let path = from.join(&import.value);
        let (text, name) = match read_file(&path) {
            Ok(text) => (text, path.display().to_string()),
            Err(message) => match built_in(&import.value) {
                Some(text) => (text.to_owned(), format!("built-in {}", import.value)),
                None => {
                    diagnostics.error(import.position, message);
                    continue;
                }
            },
        };
        let outer = diagnostics.enter(name);
        let lists: Option<ListFile> = read(&text, diagnostics);
        diagnostics.enter(outer);
        for (name, list) in lists.into_iter().flat_map(|file| file.lists) {
            if file.lists.insert(name.clone(), list).is_some() {
                diagnostics.error(import.position, format!("`{}` defines the list `{name}` again", import.value));
            }
        }
    }
    let mut names = Names { sites, ..Names::default() };
    for (name, blocks) in &file.networks {
        names.networks.insert(name.clone(), Arc::new(blocks.iter().map(|cidr| cidr.0).collect()));
    }
    for (name, list) in &file.lists {
        match UserAgentList::compile(list) {
            Some(compiled) => drop(names.lists.insert(name.clone(), Arc::new(compiled))),
            None => diagnostics.error(Position { line: 1, column: 1 }, format!("the list `{name}` is too large")),
        }
    }
    names.limits = file.limits.0.iter().map(|(name, _)| name.as_str()).collect();
    names.tiers = file.challenge.tiers.0.iter().map(|(name, difficulty)| (name.as_str(), *difficulty)).collect();
    let policy = Policy::compile(file.mode, &file.classes, &file.rules, &file.default, names, diagnostics);
    (diagnostics.error_count() == 0).then_some(())?;
    Some(LoadedPolicy { policy: policy?, limits: file.limits.0, challenge: file.challenge })
}
