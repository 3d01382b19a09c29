//! The null handler: answers at once, with as much as the gateway and its origin would have sent.

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpListener;

/// The objects that it has, with their sizes.
pub const SMALL: (&str, u64) = ("small", 1 << 10);
pub const LARGE: (&str, u64) = ("large", 512 << 20);
/// What stands for the challenge page. All else that is posted or asked for is answered by [`SMALL`].
pub const PAGE: (&str, u64) = ("page", 12 << 10);

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// So many zeros.
struct Zeros(u64);

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let block = self.0.min(ZEROS.len() as u64);
        self.0 -= block;
        Poll::Ready((block > 0).then(|| Ok(Frame::data(Bytes::from_static(&ZEROS[..block as usize])))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Zeros>, Infallible> {
    let name = request.uri().path().rsplit('/').next();
    let found = [LARGE, PAGE].into_iter().find(|(known, _)| name == Some(*known));
    Ok(Response::new(Zeros(found.unwrap_or(SMALL).1)))
}

/// Serves on `port`, in one thread, until it is killed.
pub fn serve(port: u16) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    })
}
