//! Signs requests with AWS's own code, as a client would.

use super::{Answer, Client};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::{Duration, SystemTime};

/// Who signs, and how.
#[derive(Clone)]
pub struct Signing<'a> {
    pub access: &'a str,
    pub secret: &'a str,
    pub token: Option<&'a str>,
    pub region: &'a str,
    /// The host that is signed and sent.
    pub host: &'a str,
    /// When, seen from now.
    pub at: SystemTime,
    /// In the query, for so long.
    pub presigned: Option<Duration>,
}

impl<'a> Signing<'a> {
    pub fn new(access: &'a str, secret: &'a str, host: &'a str) -> Self {
        let (region, at) = ("us-east-1", SystemTime::now());
        Signing { access, secret, token: None, region, host, at, presigned: None }
    }

    /// The target, and the headers that go with it.
    pub fn sign(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let mut body = SignableBody::Bytes(&[]);
        if let Some(life) = self.presigned {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(life);
            body = SignableBody::UnsignedPayload;
        } else {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let uri = format!("http://{}{target}", self.host);
        let signed = headers.iter().copied().chain([("host", self.host)]);
        let signable = SignableRequest::new(method, uri, signed, body).unwrap();
        let token = self.token.map(str::to_owned);
        let identity = Credentials::new(self.access, self.secret, token, None, "test").into();
        let params = SigningParams::builder().identity(&identity).region(self.region).name("s3");
        let params = params.time(self.at).settings(settings).build().unwrap().into();
        let (signature, parameters) = sign(signable, &params).unwrap().into_parts().0.into_parts();
        let mut all: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.push(("Host".into(), self.host.into()));
        all.extend(signature.iter().map(|header| (header.name().to_owned(), header.value().to_owned())));
        let mut target = target.to_owned();
        for (name, value) in parameters {
            let joint = if target.contains('?') { '&' } else { '?' };
            target += &format!("{joint}{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC));
        }
        (target, all)
    }

    /// Has `client` send a signed request.
    pub async fn send(&self, client: Client, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let (target, headers) = self.sign(method, target, headers);
        let client = headers.iter().fold(client, |client, (name, value)| client.header(name, value));
        client.send(method, &target).await
    }
}
