//! HTTP/1 on a connection: one request after another.

use super::wire::Wire;
use crate::proxy::Front;
use pingora::apps::{HttpServerApp, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::proxy::HttpProxy;
use std::sync::Arc;
use tokio::sync::watch;

/// Answers what comes on `wire` until it is closed.
///
/// pingora does so itself (`process_new`), but what it holds for a request, some 30 KiB, it holds while it waits for one,
/// too. Here that is there only while there is a request: most connections are idle most of the time.
pub async fn converse(app: &Arc<HttpProxy<Front>>, wire: Wire, closing: &watch::Receiver<bool>) {
    let mut next = Some((Box::new(wire), None));
    while let Some((mut wire, kept)) = next {
        if !wire.begins().await {
            return;
        }
        let mut session = ServerSession::new_http1(wire);
        match kept {
            Some(settings) => {
                let settings: pingora::apps::HttpPersistentSettings = settings;
                settings.apply_to_session(&mut session);
            }
            None => {
                let limit = app.server_options().and_then(|options| options.keepalive_request_limit);
                session.set_keepalive_reuses_remaining(limit);
            }
        }
        let again = app.process_new_http(session, closing).await.map(ReusedHttpStream::consume);
        next = again.and_then(|(stream, kept)| Some((stream.into_any().downcast().ok()?, kept)));
    }
}
