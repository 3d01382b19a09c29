//! A client's connection as pingora uses it, with deadlines that its users cannot miss: how long a client may take to
//! begin a request, to send its headers, and to take what it asked for.
//!
//! Timeouts of pingora are for one read or write each. A client that sends a byte now and then would live for ever.

use super::settings::ConnectionSettings;
use super::transport::Transport;
use crate::metrics::Metrics;
use crate::proxy::{Connection, Phase, Sharing};
use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::protocols::SocketDigest;
use pingora::protocols::raw_connect::ProxyDigest;
use prometheus::IntCounterVec;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A reader is judged when it has kept us waiting for so long in all.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an HTTP/2 client says first (RFC 9113, section 3.4), with the header of its SETTINGS.
const PREFACE: usize = 24 + 9;
/// What is read at once of a request that begins, in bytes: as much as pingora would.
const BEGINNING: usize = 4096;

/// The connection. Nothing is held back here: pingora does not flush what an origin has sent before it falls silent.
#[derive(Debug)]
pub struct Wire {
    io: Guarded,
    /// What was read of a request before anybody asked for it.
    first: Bytes,
    pub(super) socket: Arc<SocketDigest>,
    pub(super) proxy: Arc<ProxyDigest>,
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
        let guarded = Guarded {
            transport,
            connection,
            idle: settings.idle_timeout,
            head: settings.header_timeout,
            slowest: settings.slowest.0,
            patience: PATIENCE,
            last_call: LAST_CALL,
            cut: metrics.connections.cut.clone(),
            read: 0,
            closing,
            closes: None,
            has_answered: false,
            deadline: None,
            alarm: None,
            stalled: None,
            waited: Duration::ZERO,
            taken: 0,
            stall_alarm: None,
            pause: None,
        };
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

    pub(super) fn descriptor(&self) -> RawFd {
        self.io.transport.descriptor()
    }

    /// Whether several requests share it at a time.
    pub fn is_shared(&self) -> bool {
        self.io.connection.is_shared()
    }
}

/// The connection with its deadlines.
#[derive(Debug)]
struct Guarded {
    transport: Transport,
    connection: Arc<Connection>,
    idle: Duration,
    head: Duration,
    /// Bytes per second, and when it is looked at.
    slowest: u64,
    patience: Duration,
    last_call: Duration,
    cut: IntCounterVec,
    /// Bytes that came so far; only the first are counted.
    read: usize,
    /// When no more requests are wanted, and what waits for that.
    closing: CancellationToken,
    closes: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// Whether a request was answered. The first one may be on its way already.
    has_answered: bool,
    /// By when more must have come, where that is known.
    deadline: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Since when the client takes nothing.
    stalled: Option<Instant>,
    /// For how long it has kept us waiting, and what it has taken since that began to be counted.
    waited: Duration,
    taken: u64,
    stall_alarm: Option<Pin<Box<Sleep>>>,
    /// When more may be written of what is slowed.
    pause: Option<Pin<Box<Sleep>>>,
}

/// Where no more requests are wanted, the first one of a connection has so long to come.
const LAST_CALL: Duration = Duration::from_secs(5);

/// Sets the alarm, and says whether it has gone off.
fn is_over(alarm: &mut Option<Pin<Box<Sleep>>>, at: Instant, context: &mut Context<'_>) -> bool {
    let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
    if alarm.deadline() != at {
        alarm.as_mut().reset(at);
    }
    alarm.as_mut().poll(context).is_ready()
}

impl Guarded {
    fn give_up(&self, why: &'static str) -> io::Error {
        self.cut.with_label_values(&[why]).inc();
        io::Error::new(io::ErrorKind::TimedOut, why)
    }

    /// By when something must have come; `None` while a request is being answered.
    fn due(&mut self) -> Option<Instant> {
        let time = match self.connection.phase() {
            Phase::Request => {
                self.deadline = None;
                return None;
            }
            Phase::Idle => self.idle,
            Phase::Head => self.head,
        };
        Some(*self.deadline.get_or_insert_with(|| Instant::now() + time))
    }

    /// Whether the connection should end before another request begins.
    fn is_closing(&mut self, context: &mut Context<'_>) -> bool {
        if self.connection.phase() != Phase::Idle || self.connection.is_shared() {
            return false;
        }
        let closing = self.closing.is_cancelled() || {
            let token = &self.closing;
            let closes = self.closes.get_or_insert_with(|| Box::pin(token.clone().cancelled_owned()));
            closes.as_mut().poll(context).is_ready()
        };
        if closing && !self.has_answered {
            let soon = Instant::now() + self.last_call;
            self.deadline = self.deadline.map(|deadline| deadline.min(soon));
        }
        closing && self.has_answered
    }

    /// Notes that something has come.
    fn came(&mut self, bytes: usize) {
        match self.connection.phase() {
            Phase::Idle => {
                self.connection.set_phase(Phase::Head);
                self.deadline = Some(Instant::now() + self.head);
            }
            Phase::Head => {}
            Phase::Request => return,
        }
        self.read = self.read.saturating_add(bytes);
        if self.connection.is_shared() && self.read >= PREFACE {
            // From here on its streams are waited for.
            self.connection.set_phase(Phase::Request);
        }
    }

    /// Bounds how long a write may wait, where the client takes less than the slowest may.
    fn judge<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        bytes: impl Fn(&T) -> usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Pending => {
                let since = *self.stalled.get_or_insert_with(Instant::now);
                let left = self.patience.saturating_sub(self.waited);
                if is_over(&mut self.stall_alarm, since + left, context) && self.is_too_slow(self.patience) {
                    return Poll::Ready(Err(self.give_up("stalled")));
                }
                if self.waited + since.elapsed() >= self.patience {
                    // It may go on, and is looked at again after as long.
                    (self.waited, self.taken, self.stalled) = (Duration::ZERO, 0, Some(Instant::now()));
                    let again = Instant::now() + self.patience;
                    let _ = is_over(&mut self.stall_alarm, again, context);
                }
                Poll::Pending
            }
            Poll::Ready(Ok(value)) => {
                if let Some(since) = self.stalled.take() {
                    self.waited += since.elapsed();
                }
                self.taken += bytes(&value) as u64;
                if self.waited >= self.patience {
                    if self.is_too_slow(self.waited) {
                        return Poll::Ready(Err(self.give_up("stalled")));
                    }
                    (self.waited, self.taken) = (Duration::ZERO, 0);
                }
                Poll::Ready(Ok(value))
            }
            failed => failed,
        }
    }

    /// How many bytes may be written now, by the pace that the request has been given.
    fn writable(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        loop {
            match self.connection.writable() {
                Ok(bytes) => return Poll::Ready(bytes),
                Err(pause) => {
                    let at = Instant::now() + pause;
                    if !is_over(&mut self.pause, at, context) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn is_too_slow(&self, waited: Duration) -> bool {
        (self.taken as f64) < self.slowest as f64 * waited.as_secs_f64()
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.connection.sharing.as_ref().is_some_and(Sharing::is_abused) {
            return Poll::Ready(Err(self.give_up("resets")));
        }
        let before = into.filled().len();
        let due = self.due();
        let read = Pin::new(&mut self.transport).poll_read(context, into);
        match (&read, due) {
            (Poll::Pending, Some(_)) if self.is_closing(context) => return Poll::Ready(Ok(())),
            (Poll::Pending, Some(due)) => {
                let due = self.deadline.unwrap_or(due);
                if is_over(&mut self.alarm, due, context) {
                    let why = if self.connection.phase() == Phase::Head { "slow" } else { "idle" };
                    return Poll::Ready(Err(self.give_up(why)));
                }
            }
            (Poll::Ready(Ok(())), Some(due)) => {
                // What comes byte by byte is always ready.
                if self.connection.phase() == Phase::Head && Instant::now() >= due {
                    return Poll::Ready(Err(self.give_up("slow")));
                }
                let came = into.filled().len() - before;
                if came > 0 {
                    self.came(came);
                }
            }
            _ => {}
        }
        read
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        (self.deadline, self.has_answered) = (None, true);
        let most = ready!(self.writable(context));
        let bytes = bytes.get(..most).unwrap_or(bytes);
        let written = Pin::new(&mut self.transport).poll_write(context, bytes);
        if let Poll::Ready(Ok(bytes)) = written {
            self.connection.wrote(bytes);
        }
        self.judge(written, |bytes| *bytes, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = pieces.iter().map(|piece| piece.len()).sum();
        if ready!(self.writable(context)) < all {
            let first = pieces.iter().find(|piece| !piece.is_empty());
            return self.poll_write(context, first.map_or(&[], |piece| &**piece));
        }
        (self.deadline, self.has_answered) = (None, true);
        let written = Pin::new(&mut self.transport).poll_write_vectored(context, pieces);
        if let Poll::Ready(Ok(bytes)) = written {
            self.connection.wrote(bytes);
        }
        self.judge(written, |bytes| *bytes, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.transport).poll_flush(context);
        self.judge(flushed, |()| 0, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.transport).poll_shutdown(context);
        self.judge(closed, |()| 0, context)
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

#[cfg(test)]
mod tests {
    use super::super::transport::Raw;
    use super::*;
    use crate::quantity::Bytes;
    use std::os::fd::AsRawFd;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::time::{sleep, timeout};

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
