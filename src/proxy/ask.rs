//! Asking an origin for what no client is sent as it is: lists, and headers of objects to compare.
//!
//! It has connections of its own, so that those for requests are never held up.

use crate::clock::Timestamp;
use crate::origin::{Origin, OriginRequest};
use crate::path::CanonicalPath;
use http::{HeaderMap, Method};
use pingora::connectors::http::v1::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use tokio::sync::OnceCell;

/// Asks origins.
#[derive(Default)]
pub struct Asker(OnceCell<Connector>);

impl Asker {
    async fn connector(&self) -> Result<&Connector> {
        let made = self.0.get_or_try_init(|| async {
            // Reads the system's certificates.
            tokio::task::spawn_blocking(|| Connector::new(None)).await
        });
        made.await.map_err(|error| Error::because(ErrorType::InternalError, "no connector", error))
    }

    /// Sends a request that is signed by us, and reads the header of the answer.
    ///
    /// # Errors
    /// When the request cannot be signed, or the origin gives no answer.
    pub async fn ask(
        &self,
        (origin, peer): (&Origin, &HttpPeer),
        method: Method,
        path: &CanonicalPath,
        query: &str,
        now: Timestamp,
    ) -> Result<HttpSession> {
        let mut ours = OriginRequest::new(origin, path, query, HeaderMap::new());
        ours.sign(origin, method.as_str(), now).map_err(|_| Error::new(super::upstream::UNSIGNED))?;
        let mut request = RequestHeader::build(method, ours.target.as_bytes(), Some(ours.headers.len()))?;
        for (name, value) in &ours.headers {
            request.insert_header(name.clone(), value.clone())?;
        }
        let (mut session, _) = self.connector().await?.get_http_session(peer).await?;
        session.read_timeout = Some(origin.settings.read_timeout);
        session.write_timeout = Some(origin.settings.write_timeout);
        session.write_request_header(Box::new(request)).await?;
        session.read_resp_header_parts().await?;
        Ok(session)
    }

    /// Keeps the connection of an answer that was read to its end.
    pub async fn keep(&self, mut session: HttpSession, peer: &HttpPeer) -> Result<()> {
        session.respect_keepalive();
        self.connector().await?.release_http_session(session, peer, peer.options.idle_timeout).await;
        Ok(())
    }
}
