//! Connections: HTTP/1.1, with TLS by the system's roots.

#![allow(clippy::disallowed_methods, reason = "rank 5: reads certificates")]

use crate::web::chain;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pingora::tls::{ClientConfig, RootCertStore, load_native_certs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;
use std::time::Duration;

/// A server that is silent for so long has gone.
const SILENCE: Duration = Duration::from_secs(60);
/// How long connecting to one address may take.
const CONNECT: Duration = Duration::from_secs(20);
/// A slow reader reads in such pieces, so that none of them takes long.
const SMALL: usize = 16 * 1024;

/// Connections to all servers of a run.
pub struct Transport(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Why nothing came.
#[derive(Debug)]
pub(super) enum Broken {
    /// It may be better the next time.
    ForNow(String),
    /// It will not.
    ForGood(String),
}

impl Transport {
    /// Trusts the system's roots and those in the PEM file `ca`. `slow` reads in small pieces.
    ///
    /// # Errors
    /// When `ca` cannot be read or holds no certificate.
    pub fn new(ca: Option<&Path>, slow: bool) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // A system without roots has servers by plain http; a handshake says what it lacks.
        roots.add_parsable_certificates(load_native_certs().unwrap_or_default());
        if let Some(path) = ca {
            let shown = path.display();
            let pem = std::fs::read(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let certificates = certificates.map_err(|error| format!("`{shown}` is no PEM file: {error}"))?;
            if roots.add_parsable_certificates(certificates).0 == 0 {
                return Err(format!("`{shown}` holds no certificate"));
            }
        }
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let mut builder = Client::builder(TokioExecutor::new());
        if slow {
            builder.http1_max_buf_size(SMALL);
        }
        Ok(Transport(builder.build(connector)))
    }

    /// Sends a request and waits for the header of its answer.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Broken> {
        match tokio::time::timeout(SILENCE, self.0.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let text = chain(&error);
                Err(if text.contains("certificate") { Broken::ForGood(text) } else { Broken::ForNow(text) })
            }
            Err(_) => Err(Broken::ForNow(format!("silent for {} s", SILENCE.as_secs()))),
        }
    }
}

/// The next piece of a body; `None` at its end.
pub(super) async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, String> {
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        match frame.map_err(|_| format!("silent for {} s", SILENCE.as_secs()))? {
            None => return Ok(None),
            Some(Err(error)) => return Err(chain(&error)),
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}

/// A short body as a text. What cannot be read is nothing.
pub(super) async fn text(body: Incoming) -> String {
    const LARGEST: usize = 64 * 1024;
    let body = tokio::time::timeout(SILENCE, Limited::new(body, LARGEST).collect()).await;
    body.ok()
        .and_then(Result::ok)
        .map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned())
        .unwrap_or_default()
}
