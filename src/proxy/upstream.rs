//! Asking an origin, and dressing its answer.

use super::Front;
use super::context::{Context, Stopwatch};
use super::refusal::Refusal;
use crate::origin::{Origin, OriginRequest, SignError, forwarded_headers, is_miss, keeps_header};
use http::header::{self, HeaderMap, HeaderName};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{WrappedX509, parse_x509};
use pingora::{Error, ErrorSource, ErrorType, Result};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::sync::Arc;

/// The origin has no address yet.
const UNRESOLVED: ErrorType = ErrorType::new("Unresolved");
/// The origin's credentials are not there, or signing failed.
const UNSIGNED: ErrorType = ErrorType::new("Unsigned");
/// The next origin is to be asked.
const NEXT: ErrorType = ErrorType::new("NextOrigin");

impl Context {
    fn origin(&self) -> Option<&Arc<Origin>> {
        self.site.as_ref()?.origins.get(self.attempt)
    }

    /// Moves on to the next origin, if there is one.
    pub(super) fn try_next_origin(&mut self) -> bool {
        let more = self.site.as_ref().is_some_and(|site| self.attempt + 1 < site.origins.len());
        self.attempt += usize::from(more);
        more
    }
}

fn internal() -> Box<Error> {
    Error::explain(ErrorType::InternalError, "a request without an origin")
}

impl Front {
    pub(super) fn choose_peer(&self, context: &mut Context) -> Result<Box<HttpPeer>> {
        loop {
            let origin = context.origin().ok_or_else(internal)?.clone();
            let Some(address) = origin.addresses.next() else {
                let mut error = Error::new_up(UNRESOLVED);
                self.count_origin_error(&error, context);
                if context.try_next_origin() {
                    continue;
                }
                error.set_retry(false);
                return Err(error);
            };
            let settings = &origin.settings;
            // The host name is never empty: an empty one would switch certificate verification off.
            let mut peer = HttpPeer::new(address, origin.url.tls, origin.url.host.clone());
            let options = &mut peer.options;
            options.connection_timeout = Some(settings.connect_timeout);
            options.total_connection_timeout = Some(settings.connect_timeout);
            options.read_timeout = Some(settings.read_timeout);
            options.write_timeout = Some(settings.write_timeout);
            options.idle_timeout = Some(settings.idle_timeout);
            options.ca = origin.ca.as_deref().and_then(authorities);
            return Ok(Box::new(peer));
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
        let mut ours = OriginRequest::new(origin, path, &context.query, forwarded_headers(client));
        if let Err(error) = ours.sign(origin, request.method.as_str(), self.gateway.clock.now()) {
            let mut failed = Error::new_up(UNSIGNED);
            if let SignError::NoCredentials = error {
                tracing::warn!(origin = &*origin.name, "no credentials for the origin yet");
            }
            self.count_origin_error(&failed, context);
            failed.set_retry(context.try_next_origin());
            return Err(failed);
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
    pub(super) fn judge_response(&self, response: &ResponseHeader, context: &mut Context) -> Result<()> {
        if response.status.is_informational() {
            return Ok(());
        }
        let metrics = &self.gateway.metrics;
        let (Some(site), Some(origin)) = (context.site.clone(), context.origin().cloned()) else { return Ok(()) };
        let class = format!("{}xx", response.status.as_u16() / 100);
        metrics.origin_requests.with_label_values(&[&*site.name, &*origin.name, &class]).inc();
        if let Some(stopwatch) = context.origin_stopwatch {
            let seconds = stopwatch.elapsed().as_secs_f64();
            metrics.origin_first_byte_seconds.with_label_values(&[&*site.name, &*origin.name]).observe(seconds);
        }
        let failed = is_miss(response.status) || response.status.is_server_error();
        if failed && context.try_next_origin() {
            let mut next = Error::new_up(NEXT);
            next.set_retry(true);
            return Err(next);
        }
        Ok(())
    }

    /// Removes what is not the client's business, adds what is.
    pub(super) fn dress_response(&self, response: &mut ResponseHeader, context: &mut Context) -> Result<()> {
        if response.status.is_informational() {
            return Ok(());
        }
        let hidden: Vec<HeaderName> = response.headers.keys().filter(|name| !keeps_header(name)).cloned().collect();
        for name in hidden {
            response.remove_header(&name);
        }
        response.insert_header("X-Request-Id", &context.request_id)?;
        let cookie = context.cookie.take();
        if context.pass.is_some() || cookie.is_some() {
            let theirs = response.headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
            let ours = private(theirs.unwrap_or_default());
            response.insert_header(header::CACHE_CONTROL, ours)?;
        }
        if let Some(cookie) = cookie {
            response.insert_header(header::SET_COOKIE, cookie)?;
        }
        if let Some(pass) = &context.pass {
            // Charged before it is sent, so that many transfers at once cannot overdraw the pass by more than one.
            let length = response.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
            context.reserved = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            self.gateway.gate.charge(pass, context.reserved);
        }
        context.first_byte = Some(context.stopwatch.elapsed());
        Ok(())
    }

    pub(super) fn count_origin_error(&self, error: &Error, context: &Context) {
        let (Some(site), Some(origin)) = (&context.site, context.origin()) else { return };
        let kind = error_kind(error);
        self.gateway.metrics.origin_errors.with_label_values(&[&*site.name, &*origin.name, kind]).inc();
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
    [UNRESOLVED, UNSIGNED, NEXT].contains(error.etype())
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

/// What the client is told when no origin could be asked; `None` when the client is the one who left.
pub(super) fn refusal_for(error: &Error) -> Option<Refusal> {
    match error.esource() {
        ErrorSource::Downstream => match error.etype() {
            ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed | ErrorType::WriteTimedout => {
                None
            }
            _ => Some(Refusal::bad_request("it could not be read")),
        },
        ErrorSource::Upstream => Some(Refusal::origin_failed(error_kind(error) == "timeout")),
        ErrorSource::Internal | ErrorSource::Unset => Some(match error.etype() {
            ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => Refusal::origin_failed(true),
            _ if error_kind(error) != "protocol" => Refusal::origin_failed(false),
            _ => Refusal::internal(),
        }),
    }
}

/// Certificates in the form that pingora wants. The configuration has checked that they parse.
fn authorities(pem: &[u8]) -> Option<Arc<CaType>> {
    let certificates: Vec<WrappedX509> = CertificateDer::pem_slice_iter(pem)
        .filter_map(|certificate| certificate.ok())
        .map(|certificate| WrappedX509::new(certificate.to_vec(), parse_x509))
        .collect();
    (!certificates.is_empty()).then(|| certificates.into())
}
