//! The bytes of a connection with the deadlines of its client: when something must come, and how slowly what was asked for
//! may be taken.

use super::settings::ConnectionSettings;
use super::transport::Transport;
use crate::metrics::Metrics;
use crate::proxy::{Connection, Phase, Sharing};
use prometheus::IntCounterVec;
use std::future::Future;
use std::io::{self, IoSlice};
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
pub const PREFACE: usize = 24 + 9;

/// The connection with its deadlines.
#[derive(Debug)]
pub struct Guarded {
    pub transport: Transport,
    pub connection: Arc<Connection>,
    pub idle: Duration,
    head: Duration,
    /// Bytes per second, and when it is looked at.
    slowest: u64,
    pub patience: Duration,
    pub last_call: Duration,
    cut: IntCounterVec,
    /// Bytes that came so far; only the first are counted.
    read: usize,
    /// When no more requests are wanted, and what waits for that.
    pub closing: CancellationToken,
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
    /// Guards what comes and goes on `transport` by `settings`.
    pub fn new(
        transport: Transport,
        connection: Arc<Connection>,
        settings: &ConnectionSettings,
        closing: CancellationToken,
        metrics: &Metrics,
    ) -> Self {
        Guarded {
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
        }
    }

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
