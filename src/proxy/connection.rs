//! What a request may know of the connection that it came by, and tell it in turn.

use pingora::protocols::raw_connect::ProxyDigest;
use pingora::proxy::Session;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

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
    /// Whether several requests share it at a time (HTTP/2): then it is never waited for as a whole.
    shared: bool,
    phase: AtomicU8,
}

impl Connection {
    /// A connection whose first request has not begun.
    pub fn new(secure: bool, shared: bool) -> Self {
        Connection { secure, shared, phase: AtomicU8::new(Phase::Idle as u8) }
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
        self.shared
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
        Some(Busy(connection))
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if !self.0.shared {
            self.0.set_phase(Phase::Idle);
        }
    }
}

fn connection_of(digest: &ProxyDigest) -> Option<&Arc<Connection>> {
    digest.user_data.as_ref()?.downcast_ref()
}
