//! How one request would be decided by the policy in force, with what this gateway remembers of the client: what
//! `windscreen explain` tells, for the page.

use super::super::Sources;
use crate::network::{prefix, unmapped};
use crate::origin::{Origin, Signer};
use crate::proxy::{Site, Sites};
use crate::state::State;
use crate::trial::{Bench, Described, Dress, Dressed, Given, Paint, to_json, to_text};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// More headers are no request of a client.
const MOST_HEADERS: usize = 100;

/// The request that is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default = "get")]
    method: String,
    url: String,
    address: String,
    #[serde(default)]
    dress: Option<String>,
    #[serde(default)]
    user_agent: Option<String>,
    #[serde(default)]
    headers: Vec<String>,
}

fn get() -> String {
    "GET".into()
}

/// The sites with origins that sign nothing: an answer must not hold a URL that opens anything.
pub(super) fn unsigned(sites: &Sites) -> Sites {
    let site = |site: &Arc<Site>| Site {
        name: site.name.clone(),
        hosts: site.hosts.clone(),
        prefix: site.prefix.clone(),
        lists: site.lists,
        origins: site.origins.iter().map(unsigned_origin).collect(),
        changing: site.changing.clone(),
        compare: None,
        authorities: Vec::new(),
    };
    Sites::new(sites.iter().map(site).collect())
}

fn unsigned_origin(origin: &Arc<Origin>) -> Arc<Origin> {
    Arc::new(Origin::new(origin.settings.clone(), Signer::Anonymous, None))
}

/// Explains. `knows` says that whoever asks may see what operators have decided.
///
/// # Errors
/// When the request cannot be understood, in words for whoever asked.
pub(super) fn explain(asked: &Asked, of: &Sources, sites: &Sites, knows: bool) -> Result<Value, String> {
    let method = asked.method.parse().map_err(|_| "`method` is a word such as `GET`".to_owned())?;
    let address: IpAddr = asked.address.trim().parse().map_err(|_| "`address` is an IP address such as `192.0.2.9`")?;
    if asked.headers.len() > MOST_HEADERS {
        return Err(format!("at most {MOST_HEADERS} headers are read"));
    }
    let dress = match asked.dress.as_deref().filter(|dress| !dress.is_empty()) {
        None => None,
        Some(word) => {
            let known = Dress::WORDS.iter().find(|(known, _)| *known == word);
            let words = || Dress::WORDS.map(|(word, _)| word).join(", ");
            Some(known.map(|(_, dress)| *dress).ok_or_else(|| format!("`dress` is one of {}", words()))?)
        }
    };
    let agent = asked.user_agent.as_deref().filter(|agent| !agent.is_empty());
    let dressed = Dressed { dress, user_agent: agent, headers: &asked.headers };
    let (now, address) = (of.gateway.clock.now(), unmapped(address));
    let request = Described::new(method, &asked.url, address, &dressed, now)?;
    let memory = &*of.surroundings;
    let sent = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
    let sent = sent.and_then(|(_, value)| value.to_str().ok()).unwrap_or_default();
    let state = Given {
        strikes: memory.strikes(prefix(address), now),
        suspicion: memory.suspicion(prefix(address), sent, now),
        load: memory.load(),
        country: memory.country(address),
        asn: memory.asn(address),
        evidence: memory.evidence(),
        sample_point: memory.sample_point(prefix(address), now),
        decisions: knows.then(|| memory.decisions()),
        ..Given::default()
    };
    let request = Described { state, ..request };
    let ruling = of.gateway.ruling.load();
    let bench = Bench {
        policy: &ruling.policy,
        limits: &ruling.limits.settings(),
        sites,
        peer: &of.peer,
        clients: &of.gateway.clients.load(),
    };
    let outcome = bench.run(&request)?;
    let verdict = outcome.verdict();
    Ok(json!({
        "action": outcome.action,
        "rule": verdict.map(|verdict| &*verdict.rule),
        "class": verdict.map(|verdict| verdict.class.word()),
        "enforced": verdict.map(|verdict| verdict.enforced),
        "sampled": verdict.map(|verdict| verdict.sampled),
        "held_back": verdict.and_then(|verdict| verdict.held_back.as_ref()).map(|held| json!({
            "rule": &*held.rule, "action": held.action,
        })),
        "text": to_text(&request, &outcome, false, Paint(false)),
        "found": to_json(&request, &outcome),
        "decisions": knows,
    }))
}
