//! What a request may know of the connection that it came by, and tell it in turn.

use super::context::Stopwatch;
use super::sharing::Sharing;
use crate::facts::Fact;
use crate::identity::ShownCertificate;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::proxy::Session;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a connection is waited for, which decides how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// For a request to begin.
    Idle,
    /// For the rest of a request's headers.
    Head,
    /// For nothing: a request is being answered.
    Request,
}

/// One connection of a client.
#[derive(Debug)]
pub struct Connection {
    /// Whether the client's side of it speaks TLS.
    pub secure: bool,
    /// The JA4 fingerprint of the client's TLS, where it is the client that speaks it here.
    pub ja4: Option<String>,
    /// The certificate that the client showed, verified.
    pub certificate: Option<ShownCertificate>,
    /// Where several requests share it at a time (HTTP/2): then it is never waited for as a whole.
    pub sharing: Option<Sharing>,
    phase: AtomicU8,
    /// Since when it is there; its other times count from then.
    since: Stopwatch,
    pace: Mutex<Pace>,
}

/// How slowly to write.
#[derive(Debug, Default)]
struct Pace {
    /// So many bytes are spread over the time until then.
    bytes: u64,
    until: Duration,
    /// Before this, nothing is written.
    next: Duration,
}

/// How often something is written that is spread over some time: smooth for who reads, and few calls.
const STEP: Duration = Duration::from_millis(250);
/// Shorter pauses cost more than they are worth; what they would have held back the next one does.
const SHORTEST: Duration = Duration::from_millis(2);
/// No less is written at once, in bytes.
const PIECE: f64 = 1024.0;

impl Connection {
    /// A connection whose first request has not begun.
    pub fn new(secure: bool, sharing: Option<Sharing>) -> Self {
        let phase = AtomicU8::new(Phase::Idle as u8);
        let (since, pace) = (Stopwatch::start(), Mutex::default());
        Connection { secure, ja4: None, certificate: None, sharing, phase, since, pace }
    }

    fn pace(&self) -> (MutexGuard<'_, Pace>, Duration) {
        (self.pace.lock().unwrap_or_else(PoisonError::into_inner), self.since.elapsed())
    }

    /// For how long what was given to it so far is spread.
    pub fn ahead(&self) -> Duration {
        let (pace, now) = self.pace();
        pace.until.saturating_sub(now)
    }

    /// Spreads the next `bytes` that are written, and what is spread already, evenly over `time` from now. Says by how much
    /// that is longer than before.
    pub fn spread(&self, bytes: u64, time: Duration) -> Duration {
        let (mut pace, now) = self.pace();
        let before = pace.until.max(now);
        pace.bytes = if pace.until > now { pace.bytes + bytes } else { bytes };
        pace.until = before.max(now + time);
        pace.until - before
    }

    /// How many bytes may be written now.
    ///
    /// # Errors
    /// For how long none may.
    pub fn writable(&self) -> Result<usize, Duration> {
        let (pace, now) = self.pace();
        if pace.bytes == 0 || pace.until <= now {
            return Ok(usize::MAX);
        }
        let early = pace.next.saturating_sub(now);
        if early >= SHORTEST {
            return Err(early);
        }
        let part = STEP.as_secs_f64() / (pace.until - now).as_secs_f64();
        Ok((pace.bytes as f64 * part).max(PIECE) as usize)
    }

    /// Notes that so many were written.
    pub fn wrote(&self, bytes: usize) {
        let (mut pace, now) = self.pace();
        if pace.bytes > 0 && pace.until > now {
            let part = (bytes as f64 / pace.bytes as f64).min(1.0);
            pace.next = now + (pace.until - now).mul_f64(part);
            pace.bytes = pace.bytes.saturating_sub(bytes as u64);
        }
    }

    /// What it is waited for.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Request,
        }
    }

    /// Says what it is waited for from now on.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Whether several requests share it at a time.
    pub fn is_shared(&self) -> bool {
        self.sharing.is_some()
    }
}

/// A request that its connection is busy with, until this is dropped.
#[derive(Debug)]
pub struct Busy(Arc<Connection>);

impl Busy {
    /// The request in `session`, where its connection is one of ours.
    pub fn with(session: &Session) -> Option<Self> {
        let digest = session.digest()?.proxy_digest.as_ref()?;
        let connection = connection_of(digest)?.clone();
        connection.set_phase(Phase::Request);
        connection.sharing.iter().for_each(Sharing::begun);
        Some(Busy(connection))
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.0
    }

    /// The connection, for as long as it is asked about.
    pub fn held(&self) -> Arc<Connection> {
        self.0.clone()
    }
}

/// The JA4 fingerprint of the TLS that the client speaks on `connection`.
pub fn fingerprint(connection: Option<&Connection>) -> Fact<&str> {
    // Where it does not speak TLS here, it may do so to somebody in between.
    connection.and_then(|connection| connection.ja4.as_deref()).map_or(Fact::Unknown, Fact::Present)
}

impl Drop for Busy {
    fn drop(&mut self) {
        match &self.0.sharing {
            Some(sharing) => sharing.over(),
            None => self.0.set_phase(Phase::Idle),
        }
    }
}

fn connection_of(digest: &ProxyDigest) -> Option<&Arc<Connection>> {
    digest.user_data.as_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "it waits as the connection does")]
    fn what_is_spread_is_written_evenly_and_then_freely() {
        let connection = Connection::new(false, None);
        assert_eq!(connection.writable(), Ok(usize::MAX));
        let whole = Duration::from_millis(400);
        for part in 1..=4u32 {
            let longer = connection.spread(25_000, whole * part / 4);
            assert!(longer > whole / 5 && longer < whole / 3, "{longer:?}");
        }
        assert!(connection.ahead() > whole * 3 / 4);
        let (start, mut written, mut most, mut pauses) = (Stopwatch::start(), 0, 0, 0);
        while written < 100_000 {
            match connection.writable() {
                Ok(may) => {
                    // A socket takes no more at once.
                    let piece = may.min(10_000);
                    (written, most) = (written + piece, most.max(piece));
                    connection.wrote(piece);
                }
                Err(pause) => {
                    assert!(pause <= whole, "{pause:?}");
                    pauses += 1;
                    std::thread::sleep(pause);
                }
            }
        }
        assert!(start.elapsed() > whole / 2, "the last piece need not be waited for: {:?}", start.elapsed());
        assert!(pauses >= 5, "{pauses}");
        std::thread::sleep(connection.ahead());
        assert_eq!(connection.writable(), Ok(usize::MAX), "what comes later is free");
    }

    #[test]
    fn a_slow_rate_has_small_pieces() {
        let connection = Connection::new(false, None);
        connection.spread(640 * 1024, Duration::from_secs(10));
        let piece = connection.writable().unwrap();
        assert!((15_000..18_000).contains(&piece), "a quarter of a second's: {piece}");
        connection.wrote(piece);
        let pause = connection.writable().unwrap_err();
        assert!((150..=300).contains(&pause.as_millis()), "{pause:?}");
    }
}
