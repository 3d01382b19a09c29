//! What a request that is over comes to in the books of traffic.

use super::context::Context;
use super::route::Fallback;
use super::{Front, Gateway};
use crate::cost::is_billed;
use crate::facts::{Client, header_text};
use crate::origin::{Origin, Signer};
use crate::traffic::{Billed, Entry, Key, Shown, Would};
use crate::verdict::{Class, Done};
use http::header::USER_AGENT;
use pingora::http::RequestHeader;
use std::sync::Arc;

/// How the answer of `origin` is billed. A redirected client asks the origin itself, whose log knows of it.
fn billed(origin: Option<&Arc<Origin>>, status: u16, listed: bool) -> Billed {
    let signed = origin.map(|origin| matches!(origin.signer, Signer::Credentials(_)));
    match signed.is_some_and(|signed| is_billed(status, signed)) {
        true if listed => Billed::List,
        true => Billed::Get,
        false => Billed::Nothing,
    }
}

/// What the policy would have done with a request: by a rule that was held back, or by a limit.
pub(super) fn would(context: &Context) -> Option<Would> {
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
        let ruling = ruling.load();
        let network = ruling.networks.first(&ruling.policy.networks, address);
        let key = Key {
            site: context.site.as_ref().map_or_else(|| self.no_site.clone(), |site| site.name.clone()),
            source: origin.map_or_else(nowhere, |origin| origin.name.clone()),
            class: verdict.map_or(Class::Unknown, |verdict| verdict.class),
            rule: verdict.map_or_else(nowhere, |verdict| verdict.rule.clone()),
            done: context.done,
            would: would(context).filter(|_| matches!(context.done, Done::Allow | Done::Redirect)),
            status: u8::try_from(status / 100).unwrap_or(0),
            billed: billed(origin, status, context.listing.is_some()),
            network: network.filter(|_| trusted).unwrap_or_else(nowhere),
            region: nowhere(),
            country: memory.country(address).present(),
            asn: memory.asn(address).present(),
            undecided: verdict.and_then(|verdict| verdict.undecided.clone()),
        };
        let user_agent = request.headers.get(USER_AGENT).map(header_text).unwrap_or_default();
        let path = context.path.as_ref().map_or("", |path| path.as_str());
        self.gateway.rates.request(key.class, sent, self.gateway.clock.now());
        let shown = context.route.fallback.map(|fallback| match fallback {
            Fallback::Miss => Shown::OnlyHere,
            Fallback::Failure => Shown::StoodIn,
        });
        books.enter(Entry { at: context.now, key, prefix, bytes: sent, user_agent, path, shown });
    }
}
