//! A client's connection as pingora uses it, with deadlines that its users cannot miss: how long a client may take to
//! begin a request, to send its headers, and to take what it asked for.
//!
//! Timeouts of pingora are for one read or write each. A client that sends a byte now and then would live for ever.

use super::guarded::Guarded;
use super::settings::ConnectionSettings;
use super::transport::Transport;
use crate::metrics::Metrics;
use crate::proxy::Connection;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_util::sync::CancellationToken;

/// What is read at once of a request that begins, in bytes: as much as pingora would.
const BEGINNING: usize = 4096;

/// The connection. Nothing is held back here: pingora does not flush what an origin has sent before it falls silent.
#[derive(Debug)]
pub struct Wire {
    io: Guarded,
    /// What was read of a request before anybody asked for it.
    first: Bytes,
    socket: Arc<SocketDigest>,
    proxy: Arc<ProxyDigest>,
}

impl Wire {
    /// A connection whose handshakes are over. `socket` tells who is there, as far as is known.
    ///
    /// # Errors
    /// Never, as far as is known: what describes it is a constant.
    pub fn new(
        transport: Transport,
        socket: SocketDigest,
        connection: Connection,
        settings: &ConnectionSettings,
        closing: CancellationToken,
        metrics: &Metrics,
    ) -> pingora::Result<Self> {
        let connection = Arc::new(connection);
        let header = Box::new(ResponseHeader::build(200, Some(0))?);
        let proxy = Arc::new(ProxyDigest::new(header, Some(Box::new(connection.clone()))));
        let guarded = Guarded::new(transport, connection, settings, closing, metrics);
        Ok(Wire { io: guarded, first: Bytes::new(), socket: Arc::new(socket), proxy })
    }

    /// Waits until a request begins. `false` where none will: the connection is closed, or has had its time.
    pub async fn begins(&mut self) -> bool {
        // Not in the future, which is there for as long as nothing comes.
        let mut read = |context: &mut Context<'_>| {
            let mut space = [MaybeUninit::uninit(); BEGINNING];
            let mut into = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.io).poll_read(context, &mut into))?;
            Poll::Ready(io::Result::Ok(Bytes::copy_from_slice(into.filled())))
        };
        match poll_fn(|context| read(context)).await {
            Ok(came) => self.first = came,
            // It is counted.
            Err(_) => return false,
        }
        !self.first.is_empty()
    }

    /// Whether several requests share it at a time.
    pub fn is_shared(&self) -> bool {
        self.io.connection.is_shared()
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let most = self.first.len().min(into.remaining());
            into.put_slice(&self.first.split_to(most));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(context, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[async_trait]
impl Shutdown for Wire {
    async fn shutdown(&mut self) {
        // Nobody is there to be told of a failure.
        let _ = AsyncWriteExt::shutdown(&mut self.io).await;
    }
}

impl UniqueID for Wire {
    fn id(&self) -> UniqueIDType {
        self.io.transport.descriptor()
    }
}

impl Ssl for Wire {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.is_shared().then_some(ALPN::H2)
    }
}

impl GetSocketDigest for Wire {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.socket.clone())
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.socket = Arc::new(digest);
    }
}

impl GetProxyDigest for Wire {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.proxy.clone())
    }
}

impl GetTimingDigest for Wire {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl Peek for Wire {}

#[cfg(test)]
mod tests {
    use super::super::guarded::PREFACE;
    use super::super::transport::Raw;
    use super::*;
    use crate::proxy::{Phase, Sharing};
    use crate::quantity::Bytes;
    use std::os::fd::AsRawFd;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;
    use tokio::time::{Instant, sleep, timeout};

    /// Stands for half a minute.
    const SOON: Duration = Duration::from_millis(400);
    /// No promise waits for so long.
    const LONG: Duration = Duration::from_secs(4);

    fn wire(shared: bool) -> (Wire, UnixStream, Metrics) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let digest = SocketDigest::from_raw_fd(ours.as_raw_fd());
        let metrics = Metrics::new().unwrap();
        let sharing = shared.then(|| Sharing::new(1, LONG));
        let (transport, connection) = (Transport::Plain(Raw::Unix(ours)), Connection::new(false, sharing));
        let settings = ConnectionSettings {
            idle_timeout: 2 * SOON,
            header_timeout: SOON,
            slowest: Bytes(100_000),
            ..ConnectionSettings::default()
        };
        let closing = CancellationToken::new();
        let mut wire = Wire::new(transport, digest, connection, &settings, closing, &metrics).unwrap();
        let guarded = &mut wire.io;
        (guarded.patience, guarded.last_call) = (SOON, SOON);
        (wire, theirs, metrics)
    }

    fn enter(wire: &Wire, phase: Phase) {
        wire.io.connection.set_phase(phase);
    }

    fn cut(metrics: &Metrics) -> Vec<(&'static str, u64)> {
        let cut = |why| (why, metrics.connections.cut.with_label_values(&[why]).get());
        ["idle", "slow", "stalled"].map(cut).into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Writes more than anybody takes.
    async fn write(wire: &mut Wire) -> io::Result<()> {
        enter(wire, Phase::Request);
        loop {
            wire.write_all(&vec![0; 1 << 20]).await?;
        }
    }

    #[tokio::test]
    async fn who_takes_nothing_is_cut_off() {
        let (mut wire, _theirs, metrics) = wire(false);
        let from = Instant::now();
        assert_eq!(write(&mut wire).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        // What the system took at first lets it live for one more look.
        assert!(from.elapsed() >= SOON && from.elapsed() < LONG, "{:?}", from.elapsed());
        assert_eq!(cut(&metrics), [("stalled", 1)]);
    }

    #[tokio::test]
    async fn who_takes_too_little_is_cut_off_and_who_takes_enough_is_not() {
        for (bytes, goes_on) in [(1000, false), (200_000, true)] {
            let (mut wire, mut theirs, metrics) = wire(false);
            let reading = tokio::spawn(async move {
                let mut buffer = vec![0; bytes];
                while theirs.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                    sleep(SOON / 4).await;
                }
            });
            let outcome = timeout(LONG, write(&mut wire)).await;
            assert_eq!(outcome.is_err(), goes_on, "{bytes} bytes ten times a second: {outcome:?}");
            assert_eq!(cut(&metrics).is_empty(), goes_on);
            reading.abort();
        }
    }

    #[tokio::test]
    async fn a_request_has_its_time_from_its_first_byte() {
        let (mut wire, mut theirs, metrics) = wire(false);
        let from = Instant::now();
        let sending = tokio::spawn(async move {
            sleep(SOON).await;
            // Byte by byte, for ever.
            while theirs.write_all(b"x").await.is_ok() {
                sleep(SOON / 10).await;
            }
        });
        let error = wire.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(from.elapsed() >= 2 * SOON && from.elapsed() < LONG, "{:?}", from.elapsed());
        assert_eq!(cut(&metrics), [("slow", 1)]);
        sending.abort();
    }

    #[tokio::test]
    async fn a_connection_waits_for_a_request_so_long() {
        let (mut wire, mut theirs, metrics) = wire(false);
        theirs.write_all(b"GET").await.unwrap();
        wire.read_exact(&mut [0; 3]).await.unwrap();
        // The request is answered, however long that takes.
        enter(&wire, Phase::Request);
        assert!(timeout(4 * SOON, wire.read_u8()).await.is_err(), "nothing is cut off meanwhile");
        enter(&wire, Phase::Idle);
        let from = Instant::now();
        assert_eq!(wire.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(from.elapsed() >= 2 * SOON && from.elapsed() < LONG, "{:?}", from.elapsed());
        assert_eq!(cut(&metrics), [("idle", 1)]);
    }

    #[tokio::test]
    async fn who_has_had_an_answer_is_let_go_and_who_has_not_may_still_ask() {
        let (mut kept, _theirs, metrics) = wire(false);
        enter(&kept, Phase::Request);
        kept.write_all(b"answer").await.unwrap();
        kept.flush().await.unwrap();
        enter(&kept, Phase::Idle);
        let (mut late, mut asks, _) = wire(false);
        let (mut silent, _silence, _) = wire(false);
        silent.io.idle = LONG;
        for wire in [&kept, &late, &silent] {
            let closing = wire.io.closing.clone();
            tokio::spawn(async move {
                sleep(SOON / 4).await;
                closing.cancel();
            });
        }
        let asking = async {
            sleep(SOON / 2).await;
            asks.write_all(b"GET").await.unwrap();
            sleep(SOON).await;
        };
        let from = Instant::now();
        let (mut first, mut second, mut third) = ([0; 9], [0; 9], [0; 9]);
        let (kept, late, silent, ()) =
            tokio::join!(kept.read(&mut first), late.read(&mut second), silent.read(&mut third), asking);
        assert_eq!((kept.unwrap(), late.unwrap()), (0, 3));
        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(from.elapsed() < LONG, "{:?}", from.elapsed());
        assert_eq!(cut(&metrics), [], "it was no fault of the client's");
    }

    #[tokio::test]
    async fn what_a_request_begins_with_is_not_lost() {
        let (mut wire, mut theirs, _) = wire(false);
        assert!(timeout(SOON, wire.begins()).await.is_err(), "nothing has come");
        theirs.write_all(b"GET / HTTP").await.unwrap();
        assert!(wire.begins().await);
        theirs.write_all(b"/1.1").await.unwrap();
        let mut read = [0; 14];
        wire.read_exact(&mut read[..3]).await.unwrap();
        wire.read_exact(&mut read[3..]).await.unwrap();
        assert_eq!(&read, b"GET / HTTP/1.1");
        drop(theirs);
        assert!(!wire.begins().await);
    }

    #[tokio::test]
    async fn the_streams_of_a_shared_connection_are_waited_for_instead() {
        let mut taken = [0; PREFACE];
        let (mut whole, mut theirs, metrics) = wire(true);
        theirs.write_all(&[0; PREFACE]).await.unwrap();
        whole.read_exact(&mut taken).await.unwrap();
        assert!(timeout(4 * SOON, whole.read_u8()).await.is_err());
        assert_eq!(cut(&metrics), []);
        let (mut part, mut theirs, metrics) = wire(true);
        theirs.write_all(&[0; PREFACE - 1]).await.unwrap();
        part.read_exact(&mut taken).await.unwrap_err();
        assert_eq!(cut(&metrics), [("slow", 1)]);
    }
}
