//! What bytes travel by: TCP or a unix socket, with or without TLS.

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
    Tls(Box<TlsStream<Raw>>),
}

impl Transport {
    pub(super) fn descriptor(&self) -> RawFd {
        match self {
            Transport::Plain(raw) => raw.as_raw_fd(),
            Transport::Tls(stream) => stream.get_ref().0.as_raw_fd(),
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
