//! What becomes of the sample, noted in the books.

use super::Front;
use super::context::Context;
use crate::challenge::Pass;
use crate::clock::Timestamp;
use crate::facts::{Fact, header_text};
use crate::network::IpNet;
use crate::traffic::{Outcome, Sighting, session};
use http::header::USER_AGENT;
use pingora::http::RequestHeader;

/// From this suspicion on a client acts like no browser.
const SUSPICIOUS: f64 = 0.8;

impl Front {
    /// Notes that a client of `prefix` was challenged by the sample.
    pub(super) fn note_shown(&self, site: &str, prefix: IpNet, request: &RequestHeader, now: Timestamp) {
        self.note_sighting(site, prefix, request, now, Outcome::Shown);
    }

    /// Notes that the challenge was solved, or waited for, that `pass` was given for.
    pub(super) fn note_got_in(&self, pass: &Pass, request: &RequestHeader) {
        let outcome = if pass.waited { Outcome::Waited } else { Outcome::Solved };
        self.note_sighting(&pass.site, pass.prefix, request, pass.first, outcome);
    }

    /// Notes of a request that drew on a pass whether its client acts like no browser.
    pub(super) fn note_doing(&self, request: &RequestHeader, context: &Context) {
        let Some(pass) = context.pass.as_ref().map(|draw| draw.pass()).filter(|pass| !pass.waited) else { return };
        if self.gateway.ruling.load().policy.sample().is_none() {
            return;
        }
        let agent = request.headers.get(USER_AGENT).map(header_text).unwrap_or_default();
        let suspicion = self.gateway.memory.suspicion(pass.prefix, agent, context.now);
        if suspicion.present().is_some_and(|suspicion| suspicion >= SUSPICIOUS) {
            self.note_sighting(&pass.site, pass.prefix, request, pass.first, Outcome::Suspicious);
        }
    }

    /// Notes what became of a session that began at `at`, where its prefix was in the sample then.
    fn note_sighting(&self, site: &str, prefix: IpNet, request: &RequestHeader, at: Timestamp, outcome: Outcome) {
        let ruling = self.gateway.ruling.load();
        let Some(below) = ruling.policy.sample().map(|sample| sample.below) else { return };
        let Fact::Present(point) = self.gateway.memory.sample_point(prefix, at) else { return };
        if point < below {
            let agent = request.headers.get(USER_AGENT).map(header_text).unwrap_or_default();
            let session = session(point, site, agent);
            self.gateway.books.enter_sighting(Sighting { at, point, below, session, outcome });
        }
    }
}
