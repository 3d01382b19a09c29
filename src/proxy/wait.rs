//! The way without JavaScript: a link that is followed after a while is worth a small pass.

use super::context::Context;
use super::refusal::{Refusal, Reply, speak};
use super::verify::{cookie_name, cookie_values, set_cookie};
use super::{Front, Gateway};
use crate::challenge::{ARRIVED_PATH, RedeemError, Redeemed, Waited};
use http::{StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use pingora::Result;
use pingora::proxy::Session;
use std::time::Duration;

/// What a target may hold, and a header may not.
const UNSENDABLE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\');

/// What became of a link.
enum Followed {
    Early(Duration),
    Sold { redeemed: Redeemed, secure: bool },
}

impl Front {
    /// Gives the pass to those who have waited, and sends them to where it is looked whether their browser keeps it.
    pub(super) async fn wait(&self, session: &Session, sealed: &str, context: &mut Context) -> Result<Reply> {
        let metrics = &self.gateway.metrics;
        match self.follow(sealed, context).await {
            Ok(Followed::Early(left)) => speak(&Refusal::too_early(left), context.dialect(), &context.request_id),
            Ok(Followed::Sold { redeemed: Redeemed { pass, first }, secure }) => {
                if first {
                    metrics.passes_waited.with_label_values(&[&pass.site]).inc();
                    self.note_got_in(&pass, session.req_header());
                }
                context.cookie = Some(set_cookie(&pass.site, secure, &self.gateway.gate.seal(&pass)));
                self.go_on(&format!("{ARRIVED_PATH}?{sealed}"), context)
            }
            Err(error) => {
                metrics.challenges_failed.with_label_values(&[error.word()]).inc();
                context.reason = Some(error.word());
                match (error, self.gateway.gate.read_wait(sealed)) {
                    // The page that they came from has a new link.
                    (RedeemError::Expired | RedeemError::Prefix | RedeemError::Spent, Ok((target, _))) => {
                        self.go_on(&target, context)
                    }
                    (RedeemError::Forged, _) | (_, Err(_)) => {
                        speak(&Refusal::bad_request(&error.to_string()), context.dialect(), &context.request_id)
                    }
                    _ => {
                        speak(&Refusal::not_redeemed(&error.to_string(), None), context.dialect(), &context.request_id)
                    }
                }
            }
        }
    }

    async fn follow(&self, sealed: &str, context: &mut Context) -> std::result::Result<Followed, RedeemError> {
        let caller = context.caller.ok_or(RedeemError::Malformed)?;
        let Gateway { gate, sites, ruling, .. } = &*self.gateway;
        let (client, host) = (caller.client, &context.host);
        let attempt = match gate.attempt_wait(sealed, |site| sites.is_at(host, site), client, context.now)? {
            Waited::Early(left) => return Ok(Followed::Early(left)),
            Waited::Enough(attempt) => attempt,
        };
        if attempt.is_first() {
            let ruling = ruling.load_full();
            self.pay(&ruling, &attempt, client, true, context).await?;
        }
        let redeemed = gate.redeem_wait(attempt, sealed);
        self.count_bought(&redeemed.pass, redeemed.first.into());
        Ok(Followed::Sold { redeemed, secure: caller.secure })
    }

    /// Sends those whose browser has kept the pass to where they wanted to go. Without this stop, one that keeps no
    /// cookies would go in a circle for ever.
    pub(super) fn arrived(&self, session: &Session, sealed: &str, context: &mut Context) -> Result<Reply> {
        let Ok((target, expected)) = self.gateway.gate.read_wait(sealed) else {
            let refusal = Refusal::bad_request(&RedeemError::Forged.to_string());
            return speak(&refusal, context.dialect(), &context.request_id);
        };
        let name = cookie_name(&expected.site, context.caller.is_some_and(|caller| caller.secure));
        let value = self.gateway.gate.seal(&expected);
        if cookie_values(&session.req_header().headers, &name).any(|cookie| cookie == value) {
            return self.go_on(&target, context);
        }
        context.reason = Some("cookie");
        speak(&Refusal::no_cookie(), context.dialect(), &context.request_id)
    }

    /// Sends the client on, by GET.
    fn go_on(&self, target: &str, context: &Context) -> Result<Reply> {
        let mut reply = Reply::new(StatusCode::SEE_OTHER, "text/plain", String::new(), &context.request_id)?;
        reply.header.insert_header(header::LOCATION, utf8_percent_encode(target, UNSENDABLE).to_string())?;
        Ok(reply)
    }
}
