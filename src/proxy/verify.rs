//! The gateway's own endpoint: a solution comes in, a pass goes out. And how a pass travels as a cookie.

use super::context::Context;
use super::refusal::{Refusal, Reply, speak};
use super::{Front, Gateway, Ruling};
use crate::challenge::{Attempt, Offer, RedeemError, Redeemed, Submission};
use crate::exchange::Spending;
use crate::facts::Client;
use crate::verdict::Dialect;
use http::StatusCode;
use http::header::{CONTENT_TYPE, COOKIE, HeaderMap};
use pingora::Result;
use pingora::proxy::Session;
use std::time::Duration;

/// A submission is a challenge string and sixteen numbers: under 600 bytes.
const MAX_BODY: usize = 4096;
/// The whole body must be there by then.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Cookies of one name that are tried. A browser sends one of ours, but an object's page may plant others beside it.
const MAX_COOKIES: usize = 16;
/// Seconds that browsers keep a pass: its authenticity outlives its validity, so that a page on a laptop that slept can
/// have it renewed.
const COOKIE_MAX_AGE: u32 = 48 * 3600;

/// Why a submission bought no pass, and what may be solved instead.
struct Failed {
    error: RedeemError,
    again: Option<Offer>,
}

impl From<RedeemError> for Failed {
    fn from(error: RedeemError) -> Self {
        Failed { error, again: None }
    }
}

impl Front {
    /// Takes a solution and answers 204 with the pass, or says why not.
    pub(super) async fn verify(&self, session: &mut Session, context: &mut Context) -> Result<Reply> {
        let metrics = &self.gateway.metrics;
        match self.redeem(session, context).await {
            Ok((site, secure, redeemed)) => {
                if redeemed.first {
                    metrics.challenges_solved.with_label_values(&[&site]).inc();
                    self.note_got_in(&redeemed.pass, session.req_header());
                }
                let value = self.gateway.gate.seal(&redeemed.pass);
                context.cookie = Some(set_cookie(&site, secure, &value));
                Reply::new(StatusCode::NO_CONTENT, "", String::new(), &context.request_id)
            }
            Err(Failed { error, again }) => {
                metrics.challenges_failed.with_label_values(&[error.word()]).inc();
                context.reason = Some(error.word());
                session.set_keepalive(None);
                let refusal = match error {
                    RedeemError::Malformed => Refusal::bad_request(&error.to_string()),
                    _ => Refusal::not_redeemed(&error.to_string(), again),
                };
                speak(&refusal, Dialect::Fetch, &context.request_id)
            }
        }
    }

    async fn redeem(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> std::result::Result<(String, bool, Redeemed), Failed> {
        let request = session.req_header();
        // Another site's page cannot send this type without asking first, so that it cannot plant a pass.
        let json = request.headers.get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
        let caller = context.caller.filter(|_| json).ok_or(RedeemError::Malformed)?;

        let body = tokio::time::timeout(BODY_TIMEOUT, read_body(session)).await;
        let body = body.ok().flatten().ok_or(RedeemError::Malformed)?;
        // The challenge must still be valid now, not only when the first byte came.
        context.now = self.gateway.clock.now();
        let submission: Submission = serde_json::from_slice(&body).map_err(|_| RedeemError::Malformed)?;
        let Gateway { gate, sites, ruling, .. } = &*self.gateway;
        let (client, host) = (caller.client, &context.host);
        let attempt = gate.attempt(&submission, |site| sites.is_at(host, site), client, context.now);
        let attempt = attempt.map_err(|error| {
            let has_moved = error == RedeemError::Prefix;
            let again = || gate.issue_again(&submission, client.prefix, rand::random(), context.now);
            Failed { error, again: has_moved.then(again).flatten() }
        })?;
        let ruling = ruling.load_full();
        if !attempt.is_first() {
            let redeemed = gate.redeem(attempt, &submission, rand::random())?;
            return Ok((redeemed.pass.site.clone(), caller.secure, redeemed));
        }
        self.pay(&ruling, &attempt, client, false, context).await?;
        // A wrong solution stays charged: it has cost us more than it has cost the client.
        let redeemed = gate.redeem(attempt, &submission, rand::random())?;
        self.count_bought(&redeemed.pass, 1);
        Ok((redeemed.pass.site.clone(), caller.secure, redeemed))
    }

    /// Charges the pass that a first attempt buys, and spends the challenge over all replicas. Without an answer of their
    /// store it counts here only: once per replica. What was spent before is charged to nobody.
    pub(super) async fn pay(
        &self,
        ruling: &Ruling,
        attempt: &Attempt,
        client: Client,
        waited: bool,
        context: &Context,
    ) -> std::result::Result<(), RedeemError> {
        // Charged before anything is waited for: what many submissions at once buy must not be known only afterwards.
        let mut meter = self.charge_pass(ruling, attempt.site(), client, waited).ok_or(RedeemError::Passes)?;
        if let Some(store) = self.gateway.spending.get()
            && store.spend(attempt.id(), attempt.expires().since(context.now)).await == Spending::Again
        {
            meter.undo();
            return Err(RedeemError::Spent);
        }
        Ok(())
    }
}

/// The request's body, if it is no larger than a submission can be.
async fn read_body(session: &mut Session) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = session.read_request_body().await.ok()? {
        if body.len() + chunk.len() > MAX_BODY {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// One cookie per site, so that sites on one host do not fight over it. The `__Host-` prefix keeps subdomains from
/// planting one where TLS allows it.
pub fn cookie_name(site: &str, secure: bool) -> String {
    let prefix = if secure { "__Host-" } else { "" };
    format!("{prefix}windscreen-{site}")
}

/// The `Set-Cookie` value for a pass.
pub fn set_cookie(site: &str, secure: bool, value: &str) -> String {
    let name = cookie_name(site, secure);
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={COOKIE_MAX_AGE}; HttpOnly; SameSite=Lax{secure}")
}

/// The values of the cookies called `name`.
pub fn cookie_values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
        .take(MAX_COOKIES)
}
