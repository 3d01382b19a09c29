//! Asking an origin, and dressing its answer.

use super::Front;
use super::context::{Context, Stopwatch};
use super::refusal::Refusal;
use super::site::Site;
use crate::origin::{Origin, OriginRequest, Outcome, forwarded_headers, judge, keeps_header};
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::net::SocketAddr;
use std::sync::Arc;

/// The origin has no address yet.
const UNRESOLVED: ErrorType = ErrorType::new("Unresolved");
/// The origin's credentials are not there, or signing failed.
pub(super) const UNSIGNED: ErrorType = ErrorType::new("Unsigned");
/// The next origin is to be asked.
const NEXT: ErrorType = ErrorType::new("NextOrigin");
/// No origin has the object, or could say so.
const NO_OBJECT: ErrorType = ErrorType::new("NoObject");
/// A limit or the pass has no bytes left for the response.
const OVERDRAWN: ErrorType = ErrorType::new("Overdrawn");

/// An origin failed, in a way that the client should hear of if no other has the object.
#[derive(Debug, Clone, Copy, Default)]
pub struct Failed {
    /// It said 503.
    busy: bool,
    /// It was silent for too long.
    timeout: bool,
}

/// An error of ours, which says already whether to try again.
fn decided(kind: ErrorType, retry: bool) -> Box<Error> {
    let mut error = Error::new_up(kind);
    error.set_retry(retry);
    error
}

impl Context {
    /// The origin that is being asked.
    pub(super) fn origin(&self) -> Option<&Arc<Origin>> {
        self.site.as_ref()?.origins.get(self.route.attempt)
    }

    /// Whether a connection to another address of the same origin may be tried.
    pub(super) fn try_next_address(&mut self) -> bool {
        self.route.addresses_tried += 1;
        self.origin().is_some_and(|origin| self.route.addresses_tried < origin.addresses.count())
    }
}

fn internal() -> Box<Error> {
    Error::explain(ErrorType::InternalError, "a request without an origin")
}

/// An address of an origin, the one of this number at its site, with how it is talked to.
pub(super) fn peer(site: &Site, origin: &Origin, number: usize, address: SocketAddr) -> HttpPeer {
    peer_at(origin, address, site.authorities.get(number).cloned().flatten())
}

/// An address of an origin with how it is talked to, trusted by these certificates where they are not the system's.
pub fn peer_at(origin: &Origin, address: SocketAddr, authorities: Option<Arc<CaType>>) -> HttpPeer {
    let settings = &origin.settings;
    // The host name is never empty: an empty one would switch certificate verification off.
    let mut peer = HttpPeer::new(address, origin.url.tls, origin.url.host.clone());
    let options = &mut peer.options;
    options.connection_timeout = Some(settings.connect_timeout);
    options.total_connection_timeout = Some(settings.connect_timeout);
    options.read_timeout = Some(settings.read_timeout);
    options.write_timeout = Some(settings.write_timeout);
    options.idle_timeout = Some(settings.idle_timeout);
    options.ca = authorities;
    peer
}

impl Front {
    pub(super) fn choose_peer(&self, context: &mut Context) -> Result<Box<HttpPeer>> {
        loop {
            let origin = context.origin().ok_or_else(internal)?.clone();
            let Some(address) = origin.addresses.next() else {
                let error = decided(UNRESOLVED, false);
                self.give_up_origin(&error, context);
                if self.next_origin(context) {
                    continue;
                }
                return Err(error);
            };
            let site = context.site.as_ref().ok_or_else(internal)?;
            return Ok(Box::new(peer(site, &origin, context.route.attempt, address)));
        }
    }

    /// Replaces the client's request by the one that is ours to send.
    pub(super) fn write_request(
        &self,
        client: &HeaderMap,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        let origin = context.origin().ok_or_else(internal)?;
        let path = context.path.as_ref().ok_or_else(internal)?;
        if context.redirecting {
            request.set_method(Method::HEAD);
        }
        let mut ours = OriginRequest::new(origin, path, &context.query, forwarded_headers(client));
        if let Err(error) = ours.sign(origin, request.method.as_str(), self.gateway.clock.now()) {
            self.warn_of_origin(&origin.name, &error, "a request was not signed", context);
            self.give_up_origin(&decided(UNSIGNED, false), context);
            return Err(decided(UNSIGNED, self.next_origin(context)));
        }
        let theirs: Vec<HeaderName> = request.headers.keys().cloned().collect();
        for name in theirs {
            request.remove_header(&name);
        }
        for (name, value) in &ours.headers {
            request.insert_header(name.clone(), value.clone())?;
        }
        request.set_raw_path(ours.target.as_bytes())?;
        request.set_version(http::Version::HTTP_11);
        context.origin_stopwatch = Some(Stopwatch::start());
        Ok(())
    }

    /// Counts the answer; a miss or a failure of an origin that has a successor goes to that.
    pub(super) fn judge_response(
        &self,
        request: &RequestHeader,
        response: &ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        if response.status.is_informational() {
            return Ok(());
        }
        let metrics = &self.gateway.metrics;
        let (Some(site), Some(origin)) = (context.site.clone(), context.origin().cloned()) else { return Ok(()) };
        let class = self.count_answer(response.status, context);
        if let Some(stopwatch) = context.origin_stopwatch {
            let seconds = stopwatch.elapsed().as_secs_f64();
            metrics.origins.first_byte_seconds.with_label_values(&[&*site.name, &*origin.name]).observe(seconds);
        }
        let outcome = judge(response.status);
        let took = context.origin_stopwatch.map(|stopwatch| stopwatch.elapsed()).unwrap_or_default();
        self.gateway.rates.answer(response.status.is_server_error(), took, self.gateway.clock.now());
        let fails = |kind| metrics.origins.errors.with_label_values(&[&*site.name, &*origin.name, kind]).inc();
        match outcome {
            Outcome::Object => {
                origin.breaker.succeeded();
                if self.learn(&request.headers, response, context) {
                    return Ok(());
                }
                fails("diverged");
                context.route.failed.get_or_insert(Failed::default());
            }
            Outcome::Miss => {
                origin.breaker.succeeded();
                self.learn_missing(response.status, context);
            }
            Outcome::Failure => {
                // What clients could bring about by odd requests must not close the origin to others.
                if response.status.is_server_error() && context.query.is_empty() {
                    origin.breaker.failed(self.steady());
                }
                fails("status");
                self.warn_of_origin(&origin.name, &class, "an origin answered with an unexpected status", context);
                context
                    .route
                    .failed
                    .get_or_insert(Failed { busy: response.status == StatusCode::SERVICE_UNAVAILABLE, timeout: false });
            }
        }
        if self.next_origin(context) {
            return Err(decided(NEXT, true));
        }
        context.route.miss = Some(response.status).filter(|_| outcome == Outcome::Miss);
        // The origin's own error document stays behind: it may quote our credentials and signatures.
        Err(decided(NO_OBJECT, false))
    }

    /// Counts an answer of the origin that is being asked. Returns the class of its status, as `5xx`.
    pub(super) fn count_answer(&self, status: StatusCode, context: &Context) -> String {
        let class = format!("{}xx", status.as_u16() / 100);
        if let (Some(site), Some(origin)) = (&context.site, context.origin()) {
            self.gateway.metrics.origins.requests.with_label_values(&[&*site.name, &*origin.name, &class]).inc();
        }
        class
    }

    /// Removes what is not the client's business, adds what is.
    pub(super) fn dress_response(
        &self,
        request: &RequestHeader,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        if response.status.is_informational() {
            return Ok(());
        }
        if context.redirecting && response.status.is_success() {
            match self.lead_by(&request.headers, response, context) {
                Ok(reply) => *response = *reply.header,
                Err(refusal) => {
                    context.overdrawn = Some(refusal);
                    return Err(decided(OVERDRAWN, false));
                }
            }
        }
        if context.redirecting && response.status.is_client_error() {
            // It is the answer to our HEAD: its length is that of a body that does not come.
            response.remove_header(&header::CONTENT_TYPE);
            response.insert_header(header::CONTENT_LENGTH, "0")?;
        }
        let hidden: Vec<HeaderName> = response.headers.keys().filter(|name| !keeps_header(name)).cloned().collect();
        for name in hidden {
            response.remove_header(&name);
        }
        response.insert_header("X-Request-Id", &context.request_id)?;
        self.add_ours(response, context)?;
        let cookie = context.cookie.take();
        if context.pass.is_some() || context.entry.is_some() || cookie.is_some() {
            let theirs = response.headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
            let ours = private(theirs.unwrap_or_default());
            response.insert_header(header::CACHE_CONTROL, ours)?;
        }
        if let Some(cookie) = cookie {
            response.insert_header(header::SET_COOKIE, cookie)?;
        }
        // Reserved before it is sent: what many transfers at once take must not be known only afterwards.
        let length = response.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let has_body = request.method != Method::HEAD && response.status != StatusCode::NOT_MODIFIED;
        let bytes = length.and_then(|length| length.parse().ok()).filter(|_| has_body).unwrap_or(0);
        // The bytes of a redirect have been charged.
        if context.redirected.is_none()
            && let Err(refusal) = self.reserve(bytes, context)
        {
            context.overdrawn = Some(refusal);
            return Err(decided(OVERDRAWN, false));
        }
        // At the header, not at the end: a browser asks for the parts of a page while the page still comes.
        let bytes = context.redirected.unwrap_or(bytes);
        self.note_fetch(request, response.status.as_u16(), bytes, context);
        context.first_byte = Some(context.stopwatch.elapsed());
        Ok(())
    }

    /// Counts the failure of an origin that will not be tried again. What a retry mends is no failure: an idle
    /// connection that the origin closed, one address of several.
    pub(super) fn give_up_origin(&self, error: &Error, context: &mut Context) {
        self.count_failure(error, context);
        context.route.failed.get_or_insert(Failed { busy: false, timeout: error_kind(error) == "timeout" });
    }

    /// Counts the failure of the origin that is being asked.
    pub(super) fn count_failure(&self, error: &Error, context: &Context) {
        let (Some(site), Some(origin)) = (&context.site, context.origin()) else { return };
        let labels = [&*site.name, &*origin.name, error_kind(error)];
        self.gateway.metrics.origins.errors.with_label_values(&labels).inc();
        origin.breaker.failed(self.steady());
        let took = context.origin_stopwatch.map(|stopwatch| stopwatch.elapsed()).unwrap_or_default();
        self.gateway.rates.answer(true, took, self.gateway.clock.now());
        self.warn_of_origin(&origin.name, error, "an origin failed", context);
    }

    /// Says what is wrong with an origin, now and then: the access log has a line for every request.
    pub(super) fn warn_of_origin(&self, origin: &str, cause: &dyn std::fmt::Display, what: &str, context: &Context) {
        if self.origin_warnings.is_due(context.now) {
            tracing::warn!(origin, request_id = context.request_id, %cause, "{what}");
        }
    }
}

/// What the origin says about caching, but for one client only: shared caches must not hold what a pass released.
fn private(directives: &str) -> String {
    let kept = directives.split(',').map(str::trim).filter(|directive| {
        let name = directive.split('=').next().unwrap_or_default().to_ascii_lowercase();
        !matches!(name.as_str(), "" | "public" | "private" | "s-maxage" | "proxy-revalidate")
    });
    std::iter::once("private").chain(kept).collect::<Vec<_>>().join(", ")
}

/// Whether the error is one of ours that says already whether to try again.
pub(super) fn is_decided(error: &Error) -> bool {
    [UNRESOLVED, UNSIGNED, NEXT, NO_OBJECT, OVERDRAWN].contains(error.etype())
}

/// The label value for a failed request to an origin.
fn error_kind(error: &Error) -> &'static str {
    match error.etype() {
        ErrorType::ConnectTimedout
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout
        | ErrorType::TLSHandshakeTimedout => "timeout",
        ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert | ErrorType::HandshakeError => "tls",
        ErrorType::ConnectRefused
        | ErrorType::ConnectNoRoute
        | ErrorType::ConnectError
        | ErrorType::SocketError
        | ErrorType::BindError => "connect",
        ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed => "reset",
        kind if *kind == UNRESOLVED => "unresolved",
        kind if *kind == UNSIGNED => "credentials",
        _ => "protocol",
    }
}

/// What the client is told when it gets no object, with a word for the log; `None` when the client is the one who left.
pub(super) fn refusal_for(error: &Error, context: &Context) -> Option<(&'static str, Refusal)> {
    if let Some(refusal) = context.overdrawn.as_ref().filter(|_| *error.etype() == OVERDRAWN) {
        return Some(("budget", refusal.clone()));
    }
    if let (Some(status), None) = (context.route.miss, context.route.failed) {
        return Some(("missing", Refusal::missing(status)));
    }
    if let Some(failed) = context.route.failed {
        let refusal = if failed.busy { Refusal::origin_busy() } else { Refusal::origin_failed(failed.timeout) };
        return Some(("origin", refusal));
    }
    let left = [
        ErrorType::ReadError,
        ErrorType::WriteError,
        ErrorType::ConnectionClosed,
        ErrorType::ReadTimedout,
        ErrorType::WriteTimedout,
    ];
    match error.esource() {
        ErrorSource::Upstream => Some(("origin", Refusal::origin_failed(error_kind(error) == "timeout"))),
        _ if left.contains(error.etype()) => None,
        ErrorSource::Downstream => Some(("framing", Refusal::bad_request("it could not be read"))),
        ErrorSource::Internal | ErrorSource::Unset => Some(("internal", Refusal::internal())),
    }
}
