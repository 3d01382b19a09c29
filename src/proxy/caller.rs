//! Who asks: signatures and tokens are verified, and what is wrong with them is said as S3 says it. Certificates were
//! verified before.

use super::context::Context;
use super::refusal::Refusal;
use super::{Front, Gateway};
use crate::clock::Timestamp;
use crate::facts::Identity;
use crate::identity::signature::{Fault, Sent};
use crate::identity::{Claim, Entry, Rejection, Roster, bearer, claim};
use crate::origin::{QueryError, allowed_query};
use crate::path::CanonicalPath;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap};
use pingora::proxy::Session;
use std::sync::Arc;
use std::time::Duration;

/// Whether a request bears something that proves who asks, or is meant to.
pub fn proves(headers: &HeaderMap, query: &str) -> bool {
    headers.contains_key(AUTHORIZATION) || claim(headers, query) != Claim::None
}

/// What of the client's query is sent on. The parameters of a presigned URL are not, which `proven` clients may send;
/// what a signature opens besides the object itself is not for whoever signs with a published key.
///
/// # Errors
/// When a parameter asks for something else than the object.
pub fn forwarded_query(query: &str, proven: Option<Identity>) -> Result<String, QueryError> {
    match proven {
        Some(Identity::Signature | Identity::Token | Identity::Certificate) => allowed_query(query, true),
        Some(Identity::PublicKey) => {
            let is_ours = |pair: &&str| !pair.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"));
            allowed_query(&query.split('&').filter(is_ours).collect::<Vec<_>>().join("&"), false)
        }
        _ => allowed_query(query, false),
    }
}

impl Gateway {
    /// Replaces the clients that may prove themselves.
    pub fn accept(&self, clients: Roster) {
        self.metrics.clients_expire.reset();
        for entry in clients.entries() {
            let expires = entry.expires.map_or(0, |until| i64::try_from(until.seconds()).unwrap_or(i64::MAX));
            self.metrics.clients_expire.with_label_values(&[&*entry.name]).set(expires);
        }
        self.clients.store(Arc::new(clients));
    }
}

impl Front {
    /// Who has proved to be the client that asks for `path` of `site`; nobody where neither the request nor its connection
    /// does.
    ///
    /// # Errors
    /// The refusal of a proof that does not hold. Such a request is never treated as anonymous.
    pub(super) fn proven(
        &self,
        session: &Session,
        query: &str,
        site: &str,
        path: &CanonicalPath,
        context: &mut Context,
    ) -> Result<Option<Arc<Entry>>, Refusal> {
        let headers = &session.req_header().headers;
        match claim(headers, query) {
            Claim::None => Ok(self.certified(site, path, context)),
            Claim::Signature => self.verified(session, site, path, context.now).map(Some).map_err(|fault| {
                context.reason = Some(fault.word());
                Refusal::signature(fault)
            }),
            Claim::Token => self.token_holder(headers, site, path, context.now).map(Some).map_err(|rejection| {
                context.reason = Some(rejection.word());
                Refusal::token(rejection)
            }),
        }
    }

    /// Whose certificate the connection was begun with. What the request itself claims goes before it.
    fn certified(&self, site: &str, path: &CanonicalPath, context: &Context) -> Option<Arc<Entry>> {
        let certificate = context.busy.as_ref()?.connection().certificate.as_ref()?;
        self.gateway.clients.load().holder(certificate, site, path, context.now)
    }

    fn token_holder(
        &self,
        headers: &HeaderMap,
        site: &str,
        path: &CanonicalPath,
        now: Timestamp,
    ) -> Result<Arc<Entry>, Rejection> {
        let clients = self.gateway.clients.load();
        let token = only_token(headers).ok_or(Rejection::Malformed);
        let found = token.and_then(|token| clients.verify_token(token, site, path, now));
        let result = found.as_ref().map_or_else(|rejection| rejection.word(), |_| "ok");
        self.gateway.metrics.tokens.with_label_values(&[site, result]).inc();
        found
    }

    /// Whose signature the request in `session` bears, if that client may ask for `path` of `site`.
    fn verified(
        &self,
        session: &Session,
        site: &str,
        path: &CanonicalPath,
        now: Timestamp,
    ) -> Result<Arc<Entry>, Fault> {
        let request = session.req_header();
        let address = session.server_addr().and_then(|address| address.as_inet());
        let sent = Sent {
            method: request.method.as_str(),
            // It was read before, so it is UTF-8.
            target: std::str::from_utf8(request.raw_path()).unwrap_or_default(),
            headers: &request.headers,
            port: address.map(|address| address.port()),
        };
        let found = self.gateway.clients.load().verify(sent, now).and_then(|entry| match entry.may_ask(site, path) {
            true => Ok(entry),
            false => Err(Fault::Scope),
        });
        let result = found.as_ref().map_or_else(|fault| fault.word(), |_| "ok");
        self.gateway.metrics.signatures.with_label_values(&[site, result]).inc();
        found
    }
}

/// The only token of a request that claims to bear one.
fn only_token(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let token = bearer(all.next()?)?;
    all.next().is_none().then_some(token)
}

impl Refusal {
    /// A token that does not prove who asks. Why stands in the access log alone.
    pub fn token(rejection: Rejection) -> Self {
        match rejection {
            // The keys are being asked for.
            Rejection::UnknownKey => {
                let detail = "The key that signed the token is not known here yet. Try again in a few seconds.";
                let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", detail);
                Refusal { retry_after: Some(Duration::from_secs(2)), ..refusal }
            }
            Rejection::Scope => {
                Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", "The token is not accepted for this object.")
            }
            _ => {
                let detail = "The token is not accepted here, or not any more. Get a new one, or send none.";
                Refusal { bearer: true, ..Refusal::new(StatusCode::UNAUTHORIZED, "InvalidToken", detail) }
            }
        }
    }

    /// What S3 answers to such a signature. Its clients know the codes: after some of them they try their next store,
    /// and after none of them the same request again.
    pub fn signature(fault: Fault) -> Self {
        let forbidden = |code, detail: &str| Refusal::new(StatusCode::FORBIDDEN, code, detail);
        let wrong = |code, detail: String| Refusal::new(StatusCode::BAD_REQUEST, code, detail);
        match fault {
            Fault::Version => wrong(
                "InvalidRequest",
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.".into(),
            ),
            Fault::Both => wrong(
                "InvalidArgument",
                "Only one auth mechanism allowed: sign the query or send an Authorization header, not both.".into(),
            ),
            Fault::Header(what) => {
                wrong("AuthorizationHeaderMalformed", format!("The signature is malformed: {what}."))
            }
            Fault::Query(what) => {
                wrong("AuthorizationQueryParametersError", format!("The signed URL is malformed: {what}."))
            }
            Fault::Payload => wrong(
                "XAmzContentSHA256Mismatch",
                "The x-amz-content-sha256 is not that of an empty body, nor UNSIGNED-PAYLOAD. Send it so.".into(),
            ),
            Fault::Region => wrong(
                "AuthorizationHeaderMalformed",
                "The signature is for another region than the access key is accepted for. Configure that one.".into(),
            ),
            Fault::Date => forbidden("AccessDenied", "A signed request needs a valid x-amz-date header."),
            Fault::Unsigned => forbidden(
                "AccessDenied",
                "There were headers present in the request which were not signed: host and all x-amz-* must be.",
            ),
            Fault::UnknownKey | Fault::KeyTime => forbidden(
                "InvalidAccessKeyId",
                "The access key of the signature is not known here. Send the request unsigned, or sign it with a key that \
             this gateway accepts.",
            ),
            Fault::Skew => forbidden(
                "RequestTimeTooSkewed",
                "The time of the signature is more than 15 minutes from now. Set the clock of your machine.",
            ),
            Fault::Early => forbidden("AccessDenied", "Request is not valid yet."),
            Fault::Expired => forbidden("AccessDenied", "Request has expired. Get a new URL."),
            Fault::Mismatch => forbidden(
                "SignatureDoesNotMatch",
                "The signature is not that of this request by the key that it names. Check the secret key, and that nothing \
             on the way changes the request.",
            ),
            Fault::Scope => {
                forbidden("AccessDenied", "The access key of the signature is not accepted for this object.")
            }
        }
    }
}

/// Whether a fetch comes from a page of the same origin: by fetch metadata, or by the Referer where a browser on plain
/// http sends none.
pub(super) fn is_same_origin(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => {
            let referer = text("referer").and_then(|referer| referer.parse::<http::Uri>().ok());
            referer.is_some_and(|uri| uri.host().is_some_and(|name| name.eq_ignore_ascii_case(host)))
        }
    }
}
