//! Listeners: connections in, pingora's HTTP application behind them.
//!
//! An own accept loop instead of pingora's server: it starts and stops within a test, says which port it got, counts its
//! connections, bounds what each may take before a request is there, and can be handed to the next process.

#![allow(clippy::disallowed_methods, reason = "rank 4: owns the sockets")]

mod address;
mod caps;
mod client_certificates;
mod conversation;
mod guarded;
mod handover;
mod proxy_protocol;
mod settings;
mod socket;
mod tls;
mod transport;
mod wire;

pub use address::Address;
pub use caps::Caps;
pub use client_certificates::{ClientAuthorities, ClientCertificateSettings, check_revocation_list};
pub use handover::{Predecessor, Successor};
pub use settings::{ConnectionSettings, ListenerSettings};
pub use socket::{Inherited, Socket};
pub use tls::{Certificate, CertificateCell, CertificateSettings, Certificates, Fault, TlsSettings};

use crate::identity::Peer;
use crate::ja4::ja4;
use crate::metrics::Metrics;
use crate::network::unmapped;
use crate::proxy::{Connection, Front, Sharing};
use caps::Place;
use conversation::converse;
use pingora::apps::{HttpServerOptions, ServerApp};
use pingora::protocols::SocketDigest;
use pingora::protocols::http::v2::server::default_h2_options;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use prometheus::IntGauge;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use tls::{H2, Handshakes};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::{Heard, Raw, Transport};
use wire::Wire;

/// Idle connections to origins that are kept for reuse; fewer than clients at once costs a handshake each.
const UPSTREAM_POOL: usize = 1024;
/// Connections that a request may try: at most eight origins, some with several addresses.
const MAX_ATTEMPTS: usize = 32;
/// After a failed accept (no file descriptors left) the loop waits so long instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Headers of a request over HTTP/2, in bytes with 32 for each: as many as are read at all.
const HEADER_LIST: u32 = 48 << 10;
/// Streams that a client has reset and that are still remembered: beyond that it is cut off (CVE-2023-44487).
const RESET_STREAMS: usize = 20;

/// What the system takes of an answer before it can send it, in bytes. Left to itself it takes megabytes for each client
/// that reads nothing, until there is no memory for the sockets of others.
const NOT_SENT: u32 = 128 << 10;
/// Streams that we have reset or refused for a mistake of the client's: beyond that it is cut off.
const REFUSED_STREAMS: usize = 200;
/// What is held for a stream until the client takes it, in bytes. With 100 streams a client that reads nothing costs us some
/// 6 MiB, as much as its socket.
const SEND_BUFFER: usize = 64 << 10;

/// A socket with the application behind it.
pub struct Listener {
    socket: Socket,
    door: Arc<Door>,
}

/// What every connection of a listener passes.
struct Door {
    app: Arc<HttpProxy<Front>>,
    tls: Option<Handshakes>,
    /// Whom the listener believes. Their connections are not counted by address.
    peer: Peer,
    /// Whether these say who the client is by the PROXY protocol.
    hears_first: bool,
    settings: ConnectionSettings,
    caps: Arc<Caps>,
    metrics: Metrics,
}

/// One open connection, counted.
struct Counted(IntGauge);

impl Counted {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Counted(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Listener {
    /// Serves `front` on `socket`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        socket: Socket,
        front: Front,
        settings: &ListenerSettings,
        certificates: Arc<CertificateCell>,
        connections: &ConnectionSettings,
        caps: Arc<Caps>,
        metrics: &Metrics,
    ) -> Result<Self, rustls::Error> {
        let configuration = ServerConf {
            upstream_keepalive_pool_size: UPSTREAM_POOL,
            max_retries: MAX_ATTEMPTS,
            ..ServerConf::default()
        };
        let mut app = http_proxy(&Arc::new(configuration), front);
        let mut options = HttpServerOptions::default();
        // CONNECT is refused by us, in words and numbers of ours.
        options.allow_connect_method_proxying = true;
        // It counts how often a connection is used again.
        options.keepalive_request_limit = Some(connections.requests.get() - 1);
        options.h2_idle_timeout = Some(connections.idle_timeout);
        app.server_options = Some(options);
        let mut h2 = default_h2_options();
        h2.max_header_list_size(HEADER_LIST)
            .max_concurrent_streams(connections.streams.get())
            .max_concurrent_reset_streams(RESET_STREAMS)
            .max_pending_accept_reset_streams(RESET_STREAMS)
            .max_local_error_reset_streams(Some(REFUSED_STREAMS))
            .max_send_buffer_size(SEND_BUFFER);
        app.h2_options = Some(h2);
        let tls = settings.tls.as_ref().map(|tls| Handshakes::new(tls, certificates)).transpose()?;
        let door = Door {
            app: Arc::new(app),
            tls,
            peer: settings.peer(),
            hears_first: settings.proxy_protocol.value,
            settings: connections.clone(),
            caps,
            metrics: metrics.clone(),
        };
        Ok(Listener { socket, door: Arc::new(door) })
    }

    /// Accepts connections until `closing`, then lets idle ones close. Connections run on `tracker`.
    pub async fn serve(self, closing: CancellationToken, tracker: TaskTracker) {
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = closing.cancelled() => break,
            };
            match accepted {
                Ok((raw, peer)) => {
                    failing = false;
                    match self.door.caps.take() {
                        Ok(place) => {
                            let (door, closing) = (self.door.clone(), closing.clone());
                            tracker.spawn(door.let_in(raw, peer, place, closing));
                        }
                        Err(full) => self.door.turn_away(full.word()),
                    }
                }
                Err(error) => {
                    // Said once; how often it happens is counted.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "connections cannot be accepted");
                    }
                    self.door.turn_away("error");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Door {
    fn turn_away(&self, why: &'static str) {
        self.metrics.connections.refused.with_label_values(&[why]).inc();
    }

    /// One connection from its first byte to its end.
    async fn let_in(self: Arc<Self>, raw: Raw, peer: SocketAddr, place: Place, closing: CancellationToken) {
        let _counted = Counted::new(&self.metrics.connections.open);
        // By itself, so that its memory is given back.
        let shaking = Box::pin(self.shake_hands(raw, peer, place, &closing));
        let (going_away, goes) = watch::channel(false);
        match timeout(self.settings.handshake_timeout, shaking).await.unwrap_or(Err("slow")) {
            // pingora would drop what is on its way when it is told to close, so the wire sees to it.
            Ok((wire, _place)) if !wire.is_shared() => converse(&self.app, wire, &goes).await,
            Ok((wire, _place)) => {
                let mut serving = std::pin::pin!(self.app.process_new(Box::new(wire), &goes));
                tokio::select! {
                    _ = &mut serving => return,
                    () = closing.cancelled() => {}
                }
                // HTTP/2 has a word for it.
                going_away.send_replace(true);
                serving.await;
            }
            Err(why) => self.turn_away(why),
        }
    }

    /// Finds out who is there, and sets TLS up.
    async fn shake_hands(
        &self,
        mut raw: Raw,
        mut peer: SocketAddr,
        mut place: Place,
        closing: &CancellationToken,
    ) -> Result<(Wire, Place), &'static str> {
        let digest = SocketDigest::from_raw_fd(raw.as_raw_fd());
        let mut secure = self.tls.is_some();
        if self.hears_first && self.peer.relays(peer.ip()) {
            let named = proxy_protocol::read(&mut raw).await.map_err(|_| "proxy_protocol")?;
            peer = named.client.unwrap_or(peer);
            secure = named.secure.unwrap_or(secure);
        }
        if !self.peer.relays(peer.ip()) {
            place.belongs_to(unmapped(peer.ip())).map_err(|full| full.word())?;
        }
        let (transport, connection) = match &self.tls {
            None => (Transport::Plain(raw), Connection::new(secure, None)),
            Some(handshakes) => {
                let acceptor = handshakes.acceptor().map_err(|_| "error")?;
                let mut stream = acceptor.accept(Heard::new(raw)).await.map_err(|_| "tls")?;
                let (heard, session) = stream.get_mut();
                let first = heard.first();
                let most = self.settings.streams.get();
                let sharing = || Sharing::new(most, self.settings.stream_timeout);
                let mut connection = Connection::new(secure, (session.alpn_protocol() == Some(H2)).then(sharing));
                // What a proxy says and shows tells nothing of its clients.
                if !self.peer.relays(peer.ip()) {
                    connection.ja4 = ja4(&first);
                    let certificate = session.peer_certificates().and_then(<[_]>::first);
                    connection.certificate = certificate.and_then(client_certificates::shown);
                }
                (Transport::Tls(Box::new(stream)), connection)
            }
        };
        let _ = digest.peer_addr.set(Some(peer.into()));
        let wire = Wire::new(transport, digest, connection, &self.settings, closing.clone(), &self.metrics);
        Ok((wire.map_err(|_| "error")?, place))
    }
}

/// Who connects by a unix socket: somebody on this machine.
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

impl Socket {
    async fn accept(&self) -> io::Result<(Raw, SocketAddr)> {
        match self {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are written whole; waiting for more only delays them. A socket that refuses is already closed.
                let _ = stream.set_nodelay(true);
                let _ = SockRef::from(&stream).set_tcp_notsent_lowat(NOT_SENT);
                Ok((Raw::Tcp(stream), peer))
            }
            Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| (Raw::Unix(stream), LOCAL)),
        }
    }
}
