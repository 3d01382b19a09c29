//! Signing requests to S3 with SigV4.

use super::{CredentialsCell, Origin, OriginRequest, Signer};
use crate::clock::Timestamp;
use crate::path::CanonicalPath;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningInstructions,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::HeaderMap;
use http::header::{HOST, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Duration;

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The background task has found none so far.
    #[error("there are no credentials for the origin yet")]
    NoCredentials,
    /// The signer refused. Its message is not kept: it might quote the request.
    #[error("the request to the origin could not be signed")]
    Failed,
}

impl OriginRequest {
    /// Signs the request as of `now`, with the credentials that the origin has at this moment.
    ///
    /// Only Host and the `x-amz-*` headers are signed, with the hash of the empty body. The path is signed as it is
    /// sent: S3 neither normalises it nor encodes it twice.
    pub fn sign(&mut self, origin: &Origin, method: &str, now: Timestamp) -> Result<(), SignError> {
        let Signer::Credentials(cell) = &origin.signer else { return Ok(()) };
        let mut settings = settings();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let host = self.headers.get(HOST).and_then(|value| value.to_str().ok()).ok_or(SignError::Failed)?;
        let uri = format!("{}://{host}{}", scheme(origin), self.target);
        let signable = SignableRequest::new(method, uri, [("host", host)].into_iter(), SignableBody::Bytes(&[]))
            .map_err(|_| SignError::Failed)?;
        let instructions = instructions(signable, cell, origin, settings, now)?;
        let (headers, _) = instructions.into_parts();
        for header in headers {
            let mut value = HeaderValue::from_str(header.value()).map_err(|_| SignError::Failed)?;
            value.set_sensitive(header.sensitive());
            self.headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }
}

/// A URL of the object at `path`, which anybody may use with `method` for so long: signed by the origin's
/// `redirect_signer`, or else by its own, unless that is nobody. With a `range` it is good for this range alone.
///
/// # Errors
/// When the origin has no credentials yet.
pub fn presigned(
    origin: &Origin,
    method: &str,
    path: &CanonicalPath,
    range: Option<&str>,
    life: Duration,
    now: Timestamp,
) -> Result<String, SignError> {
    let request = OriginRequest::new(origin, path, "", HeaderMap::new());
    let host = request.headers.get(HOST).and_then(|value| value.to_str().ok()).ok_or(SignError::Failed)?;
    let uri = format!("{}://{host}{}", scheme(origin), request.target);
    let signer = origin.redirect_signer.as_ref().unwrap_or(&origin.signer);
    let Signer::Credentials(cell) = signer else { return Ok(uri) };
    let mut settings = settings();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(life);
    let headers = std::iter::once(("host", host)).chain(range.map(|range| ("range", range)));
    let signable = SignableRequest::new(method, uri.clone(), headers, SignableBody::UnsignedPayload)
        .map_err(|_| SignError::Failed)?;
    let (_, parameters) = instructions(signable, cell, origin, settings, now)?.into_parts();
    let encoded = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    Ok(format!("{uri}?{}", pairs.join("&")))
}

/// What SigV4 leaves as it is in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn scheme(origin: &Origin) -> &'static str {
    if origin.url.tls { "https" } else { "http" }
}

fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

fn instructions(
    request: SignableRequest<'_>,
    cell: &CredentialsCell,
    origin: &Origin,
    settings: SigningSettings,
    now: Timestamp,
) -> Result<SigningInstructions, SignError> {
    let identity = cell.load();
    let identity = identity.as_ref().ok_or(SignError::NoCredentials)?;
    let params = v4::SigningParams::builder()
        .identity(identity)
        .region(&origin.region)
        .name("s3")
        .time(now.into())
        .settings(settings)
        .build()
        .map_err(|_| SignError::Failed)?
        .into();
    Ok(sign(request, &params).map_err(|_| SignError::Failed)?.into_parts().0)
}
