//! What bytes travel by: TCP or a unix socket, with or without TLS.

use crate::ja4::LONGEST_HELLO;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A connection as the system gives it.
#[derive(Debug)]
pub enum Raw {
    /// Over the network.
    Tcp(TcpStream),
    /// On this machine.
    Unix(UnixStream),
}

/// A connection with TLS or without.
#[derive(Debug)]
pub enum Transport {
    /// As it is.
    Plain(Raw),
    /// After a handshake.
    Tls(Box<TlsStream<Heard>>),
}

/// A connection whose first bytes are kept, so that somebody else can look at them, too.
#[derive(Debug)]
pub struct Heard {
    raw: Raw,
    first: Option<Vec<u8>>,
}

impl Heard {
    /// A connection of which nothing was heard so far.
    pub fn new(raw: Raw) -> Self {
        Heard { raw, first: Some(Vec::new()) }
    }

    /// What came first, at most [`LONGEST_HELLO`] bytes. No more is kept from here on.
    pub fn first(&mut self) -> Vec<u8> {
        self.first.take().unwrap_or_default()
    }
}

impl AsyncRead for Heard {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.raw).poll_read(context, into);
        if let Some(first) = &mut self.first {
            let came = &into.filled()[before..];
            first.extend_from_slice(&came[..came.len().min(LONGEST_HELLO - first.len())]);
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.raw).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.raw).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.raw.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.raw).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.raw).poll_shutdown(context)
    }
}

impl Transport {
    pub(super) fn descriptor(&self) -> RawFd {
        match self {
            Transport::Plain(raw) => raw.as_raw_fd(),
            Transport::Tls(stream) => stream.get_ref().0.raw.as_raw_fd(),
        }
    }
}

impl AsRawFd for Raw {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Raw::Tcp(stream) => stream.as_raw_fd(),
            Raw::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

/// Hands a call on to whichever stream there is.
macro_rules! whichever {
    ($which:expr, $type:ident, $first:ident, $second:ident, $call:ident($($argument:expr),*)) => {
        match $which.get_mut() {
            $type::$first(stream) => Pin::new(stream).$call($($argument),*),
            $type::$second(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

/// Implements reading and writing for an enum of two streams.
macro_rules! two_streams {
    ($type:ident, $first:ident, $second:ident) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                into: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                whichever!(self, $type, $first, $second, poll_read(context, into))
            }
        }

        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                whichever!(self, $type, $first, $second, poll_write(context, bytes))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                pieces: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                whichever!(self, $type, $first, $second, poll_write_vectored(context, pieces))
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    $type::$first(stream) => stream.is_write_vectored(),
                    $type::$second(stream) => stream.is_write_vectored(),
                }
            }

            fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                whichever!(self, $type, $first, $second, poll_flush(context))
            }

            fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                whichever!(self, $type, $first, $second, poll_shutdown(context))
            }
        }
    };
}

two_streams!(Raw, Tcp, Unix);
two_streams!(Transport, Plain, Tls);
