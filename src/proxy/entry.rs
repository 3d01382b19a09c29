//! What a request that is over comes to in the books of traffic.

use super::context::Context;
use super::{Front, Gateway, Ruling};
use crate::cost::is_billed;
use crate::facts::{Client, header_text};
use crate::origin::{Origin, Signer};
use crate::policy::NetworkId;
use crate::traffic::{Billed, Entry, Key, Would};
use crate::verdict::{Class, Done};
use http::header::USER_AGENT;
use pingora::http::RequestHeader;
use std::net::IpAddr;
use std::sync::Arc;

/// Networks by the names under which the books tell clients apart: those first that have prices of their own.
pub fn told_apart(networks: Vec<(NetworkId, String)>, priced: &[String]) -> Vec<(NetworkId, Arc<str>)> {
    let mut networks: Vec<_> = networks.into_iter().map(|(id, name)| (id, Arc::<str>::from(name))).collect();
    networks.sort_by_key(|(_, name)| !priced.iter().any(|priced| **priced == **name));
    networks
}

impl Ruling {
    /// The first of the networks told apart that `address` is in.
    fn network(&self, address: IpAddr) -> Option<Arc<str>> {
        let table = self.policy.networks.table();
        let ids = table.networks(address);
        self.networks.iter().find(|(id, _)| ids.contains(id)).map(|(_, name)| name.clone())
    }
}

/// How the answer of `origin` is billed. A redirected client asks the origin itself, whose log knows of it.
fn billed(origin: Option<&Arc<Origin>>, status: u16) -> Billed {
    let signed = origin.map(|origin| matches!(origin.signer, Signer::Credentials(_)));
    if signed.is_some_and(|signed| is_billed(status, signed)) { Billed::Get } else { Billed::Nothing }
}

/// What the policy would have done with a request that was let pass: a rule that was held back, or a limit.
fn would(context: &Context) -> Option<Would> {
    if !matches!(context.done, Done::Allow | Done::Redirect) {
        return None;
    }
    let held_back = context.verdict.as_ref().and_then(|verdict| verdict.held_back.as_ref());
    let held_back = held_back.map(|held| Would { rule: held.rule.clone(), action: held.action });
    let in_vain = context.limit.as_ref().filter(|over| !over.enforced);
    held_back.or_else(|| in_vain.map(|over| Would { rule: over.rule.clone(), action: Done::Limit.word() }))
}

impl Front {
    /// Enters a request that is over. `origin` is the one that was asked last.
    pub(super) fn enter(
        &self,
        request: &RequestHeader,
        origin: Option<&Arc<Origin>>,
        status: u16,
        sent: u64,
        context: &Context,
    ) {
        let Some(caller) = &context.caller else { return };
        let Gateway { memory, ruling, books, .. } = &*self.gateway;
        let Client { address, prefix, trusted } = caller.client;
        let verdict = context.verdict.as_ref();
        let nowhere = || self.nowhere.clone();
        let key = Key {
            site: context.site.as_ref().map_or_else(|| self.no_site.clone(), |site| site.name.clone()),
            source: origin.map_or_else(nowhere, |origin| origin.name.clone()),
            class: verdict.map_or(Class::Unknown, |verdict| verdict.class),
            rule: verdict.map_or_else(nowhere, |verdict| verdict.rule.clone()),
            done: context.done,
            would: would(context),
            status: u8::try_from(status / 100).unwrap_or(0),
            billed: billed(origin, status),
            network: ruling.load().network(address).filter(|_| trusted).unwrap_or_else(nowhere),
            region: nowhere(),
            country: memory.country(address).present(),
            asn: memory.asn(address).present(),
            undecided: verdict.and_then(|verdict| verdict.undecided.clone()),
        };
        let user_agent = request.headers.get(USER_AGENT).map(header_text).unwrap_or_default();
        let path = context.path.as_ref().map_or("", |path| path.as_str());
        books.enter(Entry { at: context.now, key, prefix, bytes: sent, user_agent, path });
    }
}
