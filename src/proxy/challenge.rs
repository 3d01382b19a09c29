//! Asking for a pass: by the page, by the challenge alone, or in words.

use super::context::Context;
use super::decide::{Asked, Decision, refuse};
use super::refusal::{Refusal, Way, ask};
use super::verify::{cookie_name, cookie_values};
use super::{Front, fetch_command};
use crate::challenge::{Offer, Visit, WAIT_PATH, Wait};
use crate::facts::header_text;
use crate::verdict::Dialect;
use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, HOST, HeaderMap};

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
        match ask(&gateway.page.load(), &visit, language, takes_gzip(&request.headers)) {
            Ok(reply) => Decision::Reply(Box::new(reply)),
            Err(_) => refuse(Refusal::internal()),
        }
    }
}

/// Whether the client says that it can read gzip (RFC 9110, section 12.5.3). Without a word nothing is assumed.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(ACCEPT_ENCODING).iter().flat_map(|value| header_text(value).split(','));
    let is_good = |coding: &str| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight != Some(0.0)
    };
    codings.into_iter().any(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_name_it() {
        let takes = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            values.iter().for_each(|value| {
                headers.append(ACCEPT_ENCODING, value.parse().unwrap());
            });
            takes_gzip(&headers)
        };
        for yes in [&["gzip"][..], &["gzip, deflate, br, zstd"], &["br;q=1.0, GZIP;q=0.5"], &["br", "gzip"]] {
            assert!(takes(yes), "{yes:?}");
        }
        for no in [&[][..], &[""], &["br"], &["gzip;q=0"], &["gzip; q=0.0"], &["x-gzip"], &["*"]] {
            assert!(!takes(no), "{no:?}");
        }
    }
}
