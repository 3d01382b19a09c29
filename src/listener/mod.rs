//! Listeners: connections in, pingora's HTTP application behind them.
//!
//! An own accept loop instead of pingora's server: it starts and stops within a test, says which port it got, and counts
//! its connections.

#![allow(clippy::disallowed_methods, reason = "rank 4: owns the sockets")]

mod settings;

pub use settings::ListenerSettings;

use crate::metrics::Metrics;
use crate::proxy::Front;
use pingora::apps::{HttpServerApp, HttpServerOptions, ServerApp};
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::{GetSocketDigest, SocketDigest};
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use prometheus::IntGauge;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Idle connections to origins that are kept for reuse; fewer than clients at once costs a handshake each.
const UPSTREAM_POOL: usize = 1024;
/// Connections that a request may try: at most eight origins, some with several addresses.
const MAX_ATTEMPTS: usize = 32;
/// After a failed accept (no file descriptors left) the loop waits so long instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket with the application behind it.
pub struct Listener {
    socket: TcpListener,
    app: Arc<HttpProxy<Front>>,
    connections: IntGauge,
}

/// One open connection, counted.
struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr, front: Front, metrics: &Metrics) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let configuration = ServerConf {
            upstream_keepalive_pool_size: UPSTREAM_POOL,
            max_retries: MAX_ATTEMPTS,
            ..ServerConf::default()
        };
        let mut app = http_proxy(&Arc::new(configuration), front);
        // CONNECT is refused by us, in words and numbers of ours.
        let mut options = HttpServerOptions::default();
        options.allow_connect_method_proxying = true;
        app.server_options = Some(options);
        let app = Arc::new(app);
        Ok(Listener { socket, app, connections: metrics.connections.clone() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket has no address, which a bound one has.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts connections until `shutdown` turns true, then lets idle ones close. Connections run on `tracker`.
    pub async fn serve(self, mut shutdown: watch::Receiver<bool>, tracker: TaskTracker) {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = shutdown.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.connections.inc();
                    let counted = Counted(self.connections.clone());
                    let (app, shutdown) = (self.app.clone(), shutdown.clone());
                    tracker.spawn(async move {
                        let _counted = counted;
                        app.process_new(Box::new(prepared(stream, peer)), &shutdown).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        self.app.http_cleanup().await;
    }
}

/// The stream as pingora wants it: it asks the digest for the client's address.
fn prepared(stream: TcpStream, peer: SocketAddr) -> Stream {
    // Answers are written whole; waiting for more only delays them. A socket that refuses is already closed.
    let _ = stream.set_nodelay(true);
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    let _ = digest.peer_addr.set(Some(peer.into()));
    let mut stream = Stream::from(stream);
    stream.set_socket_digest(digest);
    stream
}
