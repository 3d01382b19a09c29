//! What all share that ask other servers than origins: feeds, issuers, buckets of logs, the command-line client.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_rustls::builderstates::WantsSchemes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::error::Error;

/// Who we say that we are. GitHub refuses requests without a User-Agent.
pub const AGENT: &str = concat!("windscreen/", env!("CARGO_PKG_VERSION"));

/// The whole chain of an error: the outermost one often says just `client error`.
pub fn chain(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}

/// A connector that trusts the system's roots.
///
/// # Errors
/// When they cannot be read.
pub async fn trusting() -> Result<HttpsConnectorBuilder<WantsSchemes>, String> {
    // Reads files. The build has one provider of cryptography, so that rustls has no choice to make.
    let tls = tokio::task::spawn_blocking(|| HttpsConnectorBuilder::new().with_native_roots()).await;
    let tls = tls.map_err(std::io::Error::other).flatten();
    tls.map_err(|error| format!("cannot read the system's root certificates: {error}"))
}

/// Sends one request, by https where its URL says so. The connection is not kept: the next request is long after, and by then the
/// system may trust other roots.
///
/// # Errors
/// When the server cannot be reached or trusted.
pub async fn send<B>(request: Request<B>) -> Result<Response<Incoming>, String>
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let sent = if request.uri().scheme_str() == Some("https") {
        let connector = trusting().await?.https_only().enable_http1().build();
        Client::builder(TokioExecutor::new()).build(connector).request(request)
    } else {
        Client::builder(TokioExecutor::new()).build(HttpConnector::new()).request(request)
    };
    sent.await.map_err(|error| chain(&error))
}

/// The whole body of an answer, if it has at most `largest` bytes.
///
/// # Errors
/// When it has more, or breaks off.
pub async fn body(response: Response<Incoming>, largest: usize) -> Result<Bytes, String> {
    let body = Limited::new(response.into_body(), largest).collect().await;
    let body = body.map_err(|error| format!("the body broke off or has over {largest} bytes: {error}"))?;
    Ok(body.to_bytes())
}
