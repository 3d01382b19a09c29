//! Answers that the gateway makes itself, on their way to the client.

use super::Front;
use super::context::Context;
use super::decide::{Decision, refuse};
use super::refusal::{Refusal, Reply, speak};
use crate::decisions::Kind;
use crate::verdict::RUNTIME_BLOCK;
use http::header;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

/// An operator has blocked the client.
const BLOCKED: ErrorType = ErrorType::new("Blocked");

impl Front {
    /// Ends a transfer whose client an operator has blocked since it began.
    pub(super) fn see_to_blocks(&self, context: &mut Context) -> Result<()> {
        let Some(caller) = &context.caller else { return Ok(()) };
        let decided = self.gateway.memory.decided(&caller.client, self.gateway.clock.now());
        let Some(block) = decided.filter(|decision| decision.kind == Kind::Block) else { return Ok(()) };
        context.reason = Some(RUNTIME_BLOCK);
        if let Some(verdict) = &mut context.verdict {
            verdict.decided = Some(block);
        }
        self.gateway.metrics.connections.cut.with_label_values(&["blocked"]).inc();
        Err(Error::new(BLOCKED))
    }

    /// Sends a response that the gateway made itself.
    pub(super) async fn reply(&self, session: &mut Session, context: &mut Context, reply: Reply) -> Result<()> {
        let mut header = reply.header;
        if let Some(cookie) = context.cookie.take() {
            header.insert_header(header::SET_COOKIE, cookie)?;
        }
        self.add_ours(&mut header, context)?;
        context.first_byte = Some(context.stopwatch.elapsed());
        let empty = reply.body.is_empty() || session.req_header().method == http::Method::HEAD;
        session.write_response_header(header, empty).await?;
        if !empty {
            session.write_response_body(Some(reply.body.into()), true).await?;
        }
        Ok(())
    }

    /// Tells the client what it may still take, or what it may not, and a browser to come by TLS only.
    pub(super) fn add_ours(&self, header: &mut ResponseHeader, context: &mut Context) -> Result<()> {
        if let Some(quota) = context.quota.take().or_else(|| context.meter.quota()) {
            header.insert_header("RateLimit-Policy", quota.policy)?;
            header.insert_header("RateLimit", quota.state)?;
        }
        if let Some(hsts) = self.hsts.as_ref().filter(|_| context.caller.is_some_and(|caller| caller.secure)) {
            header.insert_header(http::header::STRICT_TRANSPORT_SECURITY, hsts.clone())?;
        }
        Ok(())
    }

    /// What else there is to say before an origin is asked, if it is asked at all.
    pub(super) fn prepare(&self, context: &mut Context) -> Option<Result<Decision>> {
        if context.checking {
            return Some(self.pass_on(context).map(|reply| Decision::Reply(Box::new(reply))));
        }
        if context.site.as_ref().is_some_and(|site| site.origins.is_empty()) {
            return Some(Ok(refuse(Refusal::not_found())));
        }
        self.plan_route(context).map(|refusal| Ok(refuse(refusal)))
    }

    pub(super) async fn refuse(&self, session: &mut Session, context: &mut Context, refusal: &Refusal) -> Result<()> {
        let reply = speak(refusal, context.dialect(), &context.request_id)?;
        self.reply(session, context, reply).await
    }
}

/// Whether the client has the header of the answer. An interim response (103) is none.
pub(super) fn has_answered(session: &Session) -> bool {
    session.response_written().is_some_and(|response| !response.status.is_informational())
}
