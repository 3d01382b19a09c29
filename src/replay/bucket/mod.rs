//! Logs in a bucket: `s3://BUCKET/PREFIX`, listed and read with the same signatures that origins get.
//!
//! It reads and never writes.

#![allow(clippy::disallowed_methods, reason = "rank 5: sockets and the wall clock")]

mod cache;
mod fetch;
mod list;

pub use cache::Cache;
pub use fetch::{Object, Objects, in_order};
pub use list::LogObject;

use crate::clock::Timestamp;
use crate::origin::{BucketAddress, Origin, OriginRequest, OriginSettings, OriginUrl, Signer};
use crate::web;
use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderValue, RANGE};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where buckets are looked for first when nobody says.
const REGION: &str = "us-east-1";
/// What SigV4 leaves as it is. Source: AWS "Signature Version 4", `UriEncode`.
const LITERAL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same in the path of an object.
const KEY: &AsciiSet = &LITERAL.remove(b'/');

/// Why logs in a bucket cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// The server answered, but not with what was asked for.
    #[error("`{address}`: the server answered {status} {code}{}", hint(*status))]
    Refused {
        /// The bucket and the key or prefix.
        address: String,
        /// The status.
        status: StatusCode,
        /// The code of S3, if it named one.
        code: String,
    },
    /// It did not answer, or nothing that can be read.
    #[error("`{0}`: {1}")]
    Failed(String, String),
}

fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN => "; the credentials must allow s3:ListBucket and s3:GetObject",
        StatusCode::NOT_FOUND => "; check the bucket's name, and give its region",
        _ => "",
    }
}

/// How a bucket is reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// The server, in path style; AWS where there is none.
    pub endpoint: Option<OriginUrl>,
    /// The region. AWS says where a bucket is when it is asked in another one.
    pub region: Option<String>,
    /// Who signs. The credentials are looked at for each request, so that they may be refreshed meanwhile.
    pub signer: Signer,
}

/// A bucket that logs are read from.
pub struct Bucket {
    address: BucketAddress,
    origin: Origin,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Bucket {
    /// A bucket, after its region was found out.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn open(address: BucketAddress, access: Access) -> Result<Arc<Self>, BucketError> {
        let failed = |error: String| BucketError::Failed(format!("s3://{}", address.bucket), error);
        let tls = web::trusting().await.map_err(failed)?;
        let client = Client::builder(TokioExecutor::new()).build(tls.https_or_http().enable_http1().build());
        let region = access.region.clone().unwrap_or_else(|| REGION.into());
        let origin = origin_in(&address, &access, &region).map_err(failed)?;
        let mut bucket = Bucket { address, origin, client };
        let answer = bucket.send("", "list-type=2&max-keys=1", None).await?;
        let home = answer.headers().get("x-amz-bucket-region").and_then(|home| home.to_str().ok());
        match home.filter(|home| *home != region && access.endpoint.is_none()) {
            Some(home) if !answer.status().is_success() => {
                let failed = |error| BucketError::Failed(bucket.named(""), error);
                bucket.origin = origin_in(&bucket.address, &access, home).map_err(failed)?;
            }
            _ => {
                bucket.good(answer, "").await?;
            }
        }
        Ok(Arc::new(bucket))
    }

    /// The bucket's address with a key, for messages.
    fn named(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.address.bucket)
    }

    /// Asks for a key, or for the bucket itself, from byte `from` on.
    async fn send(&self, key: &str, query: &str, from: Option<u64>) -> Result<Response<Incoming>, BucketError> {
        let failed = |error: String| BucketError::Failed(self.named(key), error);
        let separator = if query.is_empty() { "" } else { "?" };
        let target = format!("{}/{}{separator}{query}", self.origin.url.base, utf8_percent_encode(key, KEY));
        let mut headers = HeaderMap::new();
        let host = HeaderValue::try_from(self.origin.url.authority()).map_err(|error| failed(error.to_string()))?;
        headers.insert(HOST, host);
        let mut request = OriginRequest { target, headers };
        request
            .sign(&self.origin, "GET", Timestamp::from(SystemTime::now()))
            .map_err(|error| failed(error.to_string()))?;
        if let Some(from) = from {
            request
                .headers
                .insert(RANGE, HeaderValue::try_from(format!("bytes={from}-")).map_err(|e| failed(e.to_string()))?);
        }
        let scheme = if self.origin.url.tls { "https" } else { "http" };
        let mut sent = http::Request::get(format!("{scheme}://{}{}", self.origin.url.authority(), request.target));
        if let Some(headers) = sent.headers_mut() {
            *headers = request.headers;
        }
        let sent = sent.body(Empty::new()).map_err(|error| failed(error.to_string()))?;
        match tokio::time::timeout(PATIENCE, self.client.request(sent)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(failed(web::chain(&error))),
            Err(_) => Err(failed(format!("no answer within {PATIENCE:?}"))),
        }
    }

    /// The answer, if it is what was asked for.
    async fn good(&self, answer: Response<Incoming>, key: &str) -> Result<Response<Incoming>, BucketError> {
        let status = answer.status();
        if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return Ok(answer);
        }
        let body = text(answer, 64 * 1024).await.unwrap_or_default();
        let code =
            body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
        let code = code.chars().filter(|c| c.is_ascii_alphanumeric()).take(80).collect();
        Err(BucketError::Refused { address: self.named(key), status, code })
    }
}

/// A body that is a text of so many bytes at most.
async fn text(answer: Response<Incoming>, largest: usize) -> Result<String, String> {
    let body = Limited::new(answer.into_body(), largest).collect();
    let body = tokio::time::timeout(PATIENCE, body).await.map_err(|_| format!("silent for {PATIENCE:?}"))?;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    String::from_utf8(body.into()).map_err(|_| "the answer is no text".into())
}

/// The bucket as an origin. AWS wants the bucket in the host name, but for names with dots, which no certificate fits.
fn origin_in(address: &BucketAddress, access: &Access, region: &str) -> Result<Origin, String> {
    let url = match &access.endpoint {
        Some(url) => OriginUrl { base: format!("{}/{}", url.base, address.bucket), ..url.clone() },
        None if address.bucket.contains('.') => {
            OriginUrl::parse(&format!("https://s3.{region}.amazonaws.com/{}", address.bucket))?
        }
        None => OriginUrl::parse(&format!("https://{}.s3.{region}.amazonaws.com", address.bucket))?,
    };
    let settings = OriginSettings {
        name: crate::document::Spanned { position: crate::document::Position::default(), value: "logs".into() },
        url: url.clone(),
        credentials: None,
        redirect_credentials: None,
        region: Some(region.to_owned()),
        ca: None,
        connect_timeout: PATIENCE,
        read_timeout: PATIENCE,
        write_timeout: PATIENCE,
        idle_timeout: PATIENCE,
    };
    Ok(Origin::new(settings, access.signer.clone(), None))
}

#[cfg(test)]
mod tests;
