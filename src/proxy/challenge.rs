//! Asking for a pass: by the page, by the challenge alone, or in words.

use super::context::Context;
use super::decide::{Asked, Decision, refuse};
use super::refusal::{Refusal, Way, ask};
use super::verify::{cookie_name, cookie_values};
use super::{Front, fetch_command};
use crate::challenge::{Offer, Visit, WAIT_PATH, Wait};
use crate::facts::header_text;
use crate::verdict::Dialect;
use http::header::{ACCEPT_LANGUAGE, HOST};

impl Front {
    /// A navigation gets the page, and who reads JSON the challenge alone. All others are told what to do instead.
    pub(super) fn challenge(&self, asked: &Asked<'_>, tier: &str, difficulty: u32, context: &mut Context) -> Decision {
        let Asked { site, caller, method, request, ruling, .. } = *asked;
        match caller.dialect {
            Dialect::Page => {}
            // No body of a HEAD could hold a challenge.
            Dialect::Fetch if method != "HEAD" => {}
            Dialect::Plain => {
                let host = request.headers.get(HOST).map_or(&*context.host, header_text);
                let command = fetch_command(caller.secure, host, request.raw_path());
                return refuse(Refusal::pass_needed(Some(Way::Command(command))));
            }
            Dialect::Fetch | Dialect::S3 => return refuse(Refusal::pass_needed(None)),
        }
        let gateway = &self.gateway;
        if let Err(refusal) = self.may_get_pass(ruling, site, caller.client, context) {
            return refuse(refusal);
        }
        let base = difficulty;
        let difficulty = self.hardened(ruling, difficulty, &site.name, caller.client);
        gateway.metrics.challenges_issued.with_label_values(&[&*site.name, tier]).inc();
        let challenge = gateway.gate.issue(&site.name, difficulty, caller.client.prefix, rand::random(), context.now);
        if caller.dialect == Dialect::Fetch {
            let offer = Offer::new(challenge, difficulty, &site.name);
            return refuse(Refusal::pass_needed(Some(Way::Offer(offer))));
        }
        let waiting =
            std::str::from_utf8(request.raw_path()).ok().filter(|_| self.may_wait(ruling, &site.name, caller.client));
        let waiting = waiting.and_then(|target| {
            let worth = (&*site.name, tier, base);
            gateway.gate.offer_wait(worth, caller.client.prefix, target, rand::random(), context.now)
        });
        let waiting = waiting.map(|(sealed, after)| (format!("{WAIT_PATH}?{sealed}"), after));
        let cookie = cookie_name(&site.name, caller.secure);
        let visit = Visit {
            challenge: &challenge,
            difficulty,
            site: &site.name,
            request_id: &context.request_id,
            brought: cookie_values(&request.headers, &cookie).next().is_some(),
            cookie: &cookie,
            now: context.now,
            wait: waiting.as_ref().map(|(href, after)| Wait { href, seconds: after.as_secs().max(1) }),
        };
        let language = request.headers.get(ACCEPT_LANGUAGE).map_or("", header_text);
        match ask(&gateway.page.load(), &visit, language) {
            Ok(reply) => Decision::Reply(Box::new(reply)),
            Err(_) => refuse(Refusal::internal()),
        }
    }
}
