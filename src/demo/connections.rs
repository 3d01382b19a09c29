//! The store's connections, and its record of the requests that came over them.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use s3s::{Body, HttpError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long a connection may wait for its next request, and a request for its last header.
const IDLE: Duration = Duration::from_secs(60);

/// How many requests are remembered.
const RECENT: usize = 64;

/// One request as the store received it: what really reached the origin.
#[derive(Clone, Debug)]
pub struct Received {
    /// GET, HEAD, ...
    pub method: Method,
    /// Path and query, not decoded.
    pub target: String,
    /// All of its headers.
    pub headers: HeaderMap,
    /// What the store answered.
    pub status: StatusCode,
}

/// What a store has seen so far.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) requests: AtomicU64,
    pub(super) connections: AtomicU64,
    recent: Mutex<VecDeque<Received>>,
}

impl Seen {
    /// The latest requests, oldest first.
    pub(super) fn recent(&self) -> Vec<Received> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Remembers a request, and gives its number.
    fn note(&self, received: Received) -> u64 {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(received);
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Accepts until it is aborted. The connections are its children and end with it.
pub(super) async fn accept(listener: TcpListener, service: S3Service, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    seen.connections.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(serve(stream, service.clone(), Arc::clone(&seen)));
                }
                // Out of file descriptors, say: waiting lets connections end and free some.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, service: S3Service, seen: Arc<Seen>) {
    // Best effort: without it small answers are slower, not wrong.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| answer(request, &service, &seen));
    // A client that goes away in the middle is no fault of the store.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

async fn answer(mut request: Request<Incoming>, service: &S3Service, seen: &Seen) -> Result<Response<Body>, HttpError> {
    if let Some(signature) = request.headers_mut().get_mut(header::AUTHORIZATION) {
        // Neither s3s's own messages nor a test's print it.
        signature.set_sensitive(true);
    }
    let method = request.method().clone();
    let target = request.uri().to_string();
    let headers = request.headers().clone();
    let mut response = service.call(request.map(Body::from)).await?;
    let number = seen.note(Received { method, target, headers, status: response.status() });
    // S3 sends these with every answer; a gateway must be seen to cope with them.
    for name in ["x-amz-request-id", "x-amz-id-2"] {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(number));
    }
    Ok(response)
}
