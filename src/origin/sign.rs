//! Signing requests to S3 with SigV4.

use super::{Origin, OriginRequest, Signer};
use crate::clock::Timestamp;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http::header::{HOST, HeaderName, HeaderValue};

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
        let identity = cell.load();
        let identity = identity.as_ref().ok_or(SignError::NoCredentials)?;

        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(identity)
            .region(&origin.region)
            .name("s3")
            .time(now.into())
            .settings(settings)
            .build()
            .map_err(|_| SignError::Failed)?
            .into();
        let host = self.headers.get(HOST).and_then(|value| value.to_str().ok()).ok_or(SignError::Failed)?;
        let scheme = if origin.url.tls { "https" } else { "http" };
        let uri = format!("{scheme}://{host}{}", self.target);
        let signable = SignableRequest::new(method, uri, [("host", host)].into_iter(), SignableBody::Bytes(&[]))
            .map_err(|_| SignError::Failed)?;
        let (instructions, _) = sign(signable, &params).map_err(|_| SignError::Failed)?.into_parts();
        let (headers, _) = instructions.into_parts();
        for header in headers {
            let mut value = HeaderValue::from_str(header.value()).map_err(|_| SignError::Failed)?;
            value.set_sensitive(header.sensitive());
            self.headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }
}
