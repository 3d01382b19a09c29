//! `windscreen explain`.

#![allow(clippy::disallowed_methods, reason = "rank 6: reads the wall clock")]

use super::check::refused;
use super::{decisions, examples, paint, word};
use crate::clock::Timestamp;
use crate::config::{Config, List, LoadedPolicy, load};
use crate::document::{Diagnostics, unknown_word};
use crate::facts::{Fact, Identity};
use crate::feeds::{cached, given};
use crate::identity::Peer;
use crate::network::{parse, prefix, unmapped};
use crate::origin::{Origin, Signer};
use crate::proxy::{Site, Sites};
use crate::traffic::sample_point;
use crate::trial::{Bench, Described, Dress, Dressed, Given, country, fingerprint, to_json, to_text};
use crate::verdict::Mode;
use clap::Args;
use serde_json::json;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

#[derive(Debug, Args)]
#[command(after_help = examples::EXPLAIN)]
pub(super) struct ExplainArguments {
    /// The gateway file.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// The address that the request comes from.
    #[arg(long)]
    ip: IpAddr,
    /// The headers of a well-known client: browser, fetch, curl, wget, urllib or boto3.
    #[arg(long, value_parser = |text: &str| word(text, &Dress::WORDS))]
    dress: Option<Dress>,
    /// The User-Agent.
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// A header. Headers that are not given are absent.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// As if the client had a valid pass, bought with this tier.
    #[arg(long, value_name = "TIER", num_args = 0..=1, require_equals = true, default_missing_value = "default")]
    pass: Option<String>,
    /// As if the client had proved to be this one of `clients`.
    #[arg(long, value_name = "NAME", conflicts_with = "pass")]
    client: Option<String>,
    /// As if so many strikes were on the record of its prefix; else unknown.
    #[arg(long, value_name = "N", value_parser = strikes)]
    strikes: Option<f64>,
    /// As if the client were that suspicious by what it did before, from 0 to 1; else unknown.
    #[arg(long, value_name = "P", value_parser = probability)]
    suspicion: Option<f64>,
    /// As if it came then; else now.
    #[arg(long, value_name = "RFC3339")]
    time: Option<Timestamp>,
    /// As if its address were in this country; else as the database says.
    #[arg(long, value_name = "CC", value_parser = country)]
    country: Option<[u8; 2]>,
    /// As if its address were in this autonomous system; else as the database says.
    #[arg(long, value_name = "N")]
    asn: Option<u32>,
    /// As if its TLS had this JA4 fingerprint; else unknown.
    #[arg(long, value_name = "JA4", value_parser = fingerprint)]
    ja4: Option<String>,
    /// As if the policy had this mode: observe, enforce, auto or sample.
    #[arg(long, value_parser = |text: &str| word(text, &Mode::WORDS))]
    mode: Option<Mode>,
    /// As operators have decided at the running gateway, which is asked by its admin listener, with the token in the
    /// environment as WINDSCREEN_ADMIN_TOKEN.
    #[arg(long)]
    decisions: bool,
    /// Show all parts of every match.
    #[arg(long)]
    verbose: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// The method.
    method: http::Method,
    /// What is asked for, e.g. `https://logs.example.org/run/log`.
    url: String,
}

/// A number of strikes, as there may be on a record.
fn strikes(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "expected a number that is not below 0".to_owned())
}

/// A number from 0 to 1.
fn probability(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// Shows how one request would be decided.
pub(super) fn explain(arguments: &ExplainArguments) -> Result<u8, String> {
    let mut diagnostics = Diagnostics::default();
    let config = load(&arguments.config, &mut diagnostics)?;
    let Some(mut config) = config else {
        return Ok(refused(&diagnostics, arguments.json));
    };
    if let Some(mode) = arguments.mode {
        config.policy.policy.set_mode(mode);
    }
    let feeds = known_feeds(&config.policy, config.file.feeds.directory.as_deref());
    let request = describe(arguments, &config)?;
    let sites = sites(&config);
    let peer = config.file.listeners.0.first().map_or_else(Peer::default, |listener| listener.peer());
    let bench = Bench {
        policy: &config.policy.policy,
        limits: &config.policy.limits,
        sites: &sites,
        peer: &peer,
        clients: &config.clients,
    };
    let outcome = bench.run(&request)?;
    let known = known_sites(&sites);
    if arguments.json {
        let mut found = to_json(&request, &outcome);
        if let Some(found) = found.as_object_mut() {
            found.insert("sites".into(), known.into());
            found.insert(
                "feeds".into(),
                feeds.iter().map(|(feed, known)| json!({"feed": feed, "known": known})).collect(),
            );
        }
        println!("{found}");
        return Ok(0);
    }
    print!("{}", to_text(&request, &outcome, arguments.verbose, paint()));
    if outcome.site.is_none() {
        println!("sites     {}", known.join("\n          "));
    }
    for (feed, _) in feeds.iter().filter(|(_, known)| !known) {
        println!("unknown   the feed {feed}: `feeds.directory` has no copy, so nobody can tell who is in it");
    }
    Ok(0)
}

/// Fills in the feeds of the policy from their last good copies, or from what was put there by hand. Says of which that
/// was possible.
pub(super) fn known_feeds(policy: &LoadedPolicy, directory: Option<&Path>) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for (network, number, feed) in &policy.feeds {
        let copy =
            directory.and_then(|directory| cached(directory, feed).map(|(bytes, _)| bytes).or(given(directory, feed)));
        let blocks = copy.and_then(|bytes| parse(feed, &bytes).ok());
        let name = [feed.name(), &feed.filter()].join(" ").trim_end().to_owned();
        found.push((name, blocks.is_some()));
        if let Some(blocks) = blocks {
            policy.policy.networks.set_feed(*network, *number, blocks);
        }
    }
    found
}

/// The sites as the gateway would have them, with origins that are never asked.
fn sites(config: &Config) -> Sites {
    let site = |(name, settings): &(String, crate::config::SiteSettings)| {
        let origin =
            |origin: &crate::origin::OriginSettings| Arc::new(Origin::new(origin.clone(), Signer::Anonymous, None));
        Site {
            name: name.as_str().into(),
            hosts: settings.host_names().collect(),
            prefix: settings.prefix.as_ref().map(|prefix| prefix.value.clone()),
            lists: settings.list == List::Signed,
            origins: settings.origins.0.iter().map(origin).collect(),
            authorities: Vec::new(),
            changing: settings.mutable.clone(),
            compare: None,
        }
    };
    Sites::new(config.file.sites.value.0.iter().map(site).collect())
}

fn known_sites(sites: &Sites) -> Vec<String> {
    let known = |site: &Arc<Site>| {
        let hosts = if site.hosts.is_empty() { "any host".to_owned() } else { site.hosts.join(", ") };
        let below = site.prefix.as_ref().map_or_else(String::new, |prefix| format!(", below {prefix}"));
        format!("{}: {hosts}{below}", site.name)
    };
    sites.iter().map(known).collect()
}

fn describe(arguments: &ExplainArguments, config: &Config) -> Result<Described, String> {
    let dressed =
        Dressed { dress: arguments.dress, user_agent: arguments.user_agent.as_deref(), headers: &arguments.header };
    let address = unmapped(arguments.ip);
    let now = arguments.time.unwrap_or_else(|| Timestamp::from(SystemTime::now()));
    let request = Described::new(arguments.method.clone(), &arguments.url, address, &dressed, now)?;
    let tiers = &config.policy.challenge.tiers.0;
    let tier = |wanted: &String| match tiers.iter().find(|(name, _)| name == wanted) {
        Some((_, difficulty)) => Ok(*difficulty),
        None => Err(unknown_word("tier", wanted, tiers.iter().map(|(name, _)| name.as_str()))),
    };
    let pass = arguments.pass.as_ref().map(tier).transpose()?;
    let entry = |wanted: &String| {
        let mut entries = config.clients.entries();
        let names = || config.clients.entries().map(|entry| &*entry.name);
        entries
            .find(|entry| *entry.name == **wanted)
            .ok_or_else(|| unknown_word("client", wanted, names().collect::<Vec<_>>().into_iter()))
    };
    let entry = arguments.client.as_ref().map(entry).transpose()?;
    let state = Given {
        strikes: arguments.strikes.map_or(Fact::Unknown, Fact::Present),
        suspicion: arguments.suspicion.map_or(Fact::Unknown, Fact::Present),
        country: arguments.country.map_or_else(|| config.geo.country(address), Fact::Present),
        asn: arguments.asn.map_or_else(|| config.geo.asn(address), Fact::Present),
        decisions: match arguments.decisions {
            true => Some(Arc::new(decisions::in_force(&arguments.config, None)?)),
            false => None,
        },
        // Without keys each start draws another sample.
        sample_point: config
            .pass_keys
            .as_ref()
            .map_or(Fact::Unknown, |keys| Fact::Present(sample_point(&keys.derive("sample"), prefix(address), now))),
        ..Given::default()
    };
    Ok(Described {
        identity: match (entry, pass) {
            (Some(entry), _) => entry.identity(),
            (None, Some(_)) => Identity::Pass,
            (None, None) => Identity::None,
        },
        client_name: entry.map(|entry| entry.name.to_string()),
        pass,
        ja4: arguments.ja4.clone().map_or(Fact::Unknown, Fact::Present),
        state,
        ..request
    })
}
