//! Forward authentication: another proxy asks whether it may answer a request, and answers it itself.
//!
//! The request that is meant takes the place of the one that asks, so that all stages judge it as if it had come here. Only
//! proxies that the listener trusts are heard, and only in these headers; whoever else asks finds nothing here.

use super::Front;
use super::context::Context;
use super::refusal::{Refusal, Reply};
use crate::verdict::Done;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

/// Where other proxies ask.
pub const CHECK_PATH: &str = "/.windscreen/check";
/// How they say what is meant. Caddy and Traefik use these names by themselves.
const METHOD: &str = "x-forwarded-method";
const WHERE: &str = "x-forwarded-host";
const TARGET: &str = "x-forwarded-uri";

/// The only value of a header; what comes twice has two readings.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> std::result::Result<Option<&'a [u8]>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(|value| value.as_bytes());
    match values.next() {
        None => Ok(first),
        Some(_) => Err("it says twice what is meant"),
    }
}

/// Puts the request that is meant in the place of the one that asks.
fn unfold(request: &mut RequestHeader) -> std::result::Result<(), &'static str> {
    let headers = &request.headers;
    let has_body = headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    if has_body || headers.contains_key(TRANSFER_ENCODING) {
        return Err("a body is not looked at, and must not be sent");
    }
    let unusable = "it does not say what is meant";
    let target = only(headers, TARGET)?.filter(|target| target.starts_with(b"/"));
    let target = target.ok_or("X-Forwarded-Uri must say which path is meant")?.to_vec();
    let host = only(headers, WHERE)?.map(<[u8]>::to_vec);
    let method = only(headers, METHOD)?.map_or(Ok(Method::GET), Method::from_bytes).map_err(|_| unusable)?;
    request.set_raw_path(&target).map_err(|_| unusable)?;
    request.set_method(method);
    if let Some(host) = host {
        request.insert_header(HOST, host).map_err(|_| unusable)?;
    }
    for name in [METHOD, WHERE, TARGET] {
        request.remove_header(name);
    }
    Ok(())
}

impl Front {
    /// Whether the request in `session` asks about another one, which then stands in its place.
    ///
    /// # Errors
    /// When it does not say which.
    pub(super) fn begin_check(&self, session: &mut Session) -> std::result::Result<bool, Refusal> {
        if !self.checks {
            return Ok(false);
        }
        let socket = session.client_addr().and_then(|address| address.as_inet()).map(|inet| inet.ip());
        let path = session.req_header().raw_path().split(|byte| *byte == b'?').next();
        let asks = path == Some(CHECK_PATH.as_bytes()) && session.req_header().method == Method::GET;
        if !(asks && socket.is_some_and(|socket| self.peer.relays(socket))) {
            return Ok(false);
        }
        unfold(session.req_header_mut()).map_err(Refusal::bad_request)?;
        Ok(true)
    }

    /// What a proxy hears that may answer itself.
    pub(super) fn pass_on(&self, context: &Context) -> Result<Reply> {
        Reply::new(StatusCode::NO_CONTENT, "", String::new(), &context.request_id)
    }
}

/// Says no in the way that proxies understand: 401 asks for a pass, 403 is for all else. nginx takes any other status for
/// a failure of ours.
pub(super) fn say_no(reply: &mut Reply, context: &Context) -> Result<()> {
    if reply.header.status == StatusCode::NO_CONTENT {
        return Ok(());
    }
    let asks = context.done == Done::Challenge;
    reply.header.set_status(if asks { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN })?;
    if asks {
        // RFC 9110, section 11.6.1, wants a scheme to be named. No browser knows this one, so that none asks for a password.
        reply.header.insert_header(WWW_AUTHENTICATE, "Windscreen")?;
    }
    Ok(())
}
