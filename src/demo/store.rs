//! The S3 server of the demo: one folder per bucket, served on loopback.
//!
//! It is a real server in what a gateway can see of it: s3s verifies the signature of every
//! request, and what is read and written are files. Tests use it as their origin too.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a server of files opens sockets and reads files"
)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Result, s3_error};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::objects::Objects;

/// How long a connection may wait for its next request, and a request for its last header.
const IDLE: Duration = Duration::from_secs(60);

/// How many requests [`Store::recent`] remembers.
const RECENT: usize = 64;

/// A running S3 server. It ends with its last owner: dropping it closes every connection.
pub struct Store {
    /// Where it listens; the port is a real one even when port 0 was asked for.
    pub address: SocketAddr,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

/// What a [`Store`] is to be, before it starts.
#[derive(Clone, Default)]
pub struct Settings {
    root: PathBuf,
    credentials: Option<(String, String)>,
    domain: Option<String>,
}

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

#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    connections: AtomicU64,
    recent: Mutex<VecDeque<Received>>,
}

impl Settings {
    /// Buckets are the folders of `root`; until told otherwise, anyone may read their objects.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            ..Self::default()
        }
    }

    /// Only requests signed with this key are answered; every operation is open to them.
    pub fn credentials(mut self, access: &str, secret: &str) -> Self {
        self.credentials = Some((access.to_owned(), secret.to_owned()));
        self
    }

    /// Also answers virtual-hosted-style requests, for `BUCKET.domain` (the port is ignored).
    /// Other host names stay path-style.
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_ascii_lowercase());
        self
    }

    /// Begins to serve, on the runtime that this is called from.
    pub async fn start(self, listen: SocketAddr) -> io::Result<Store> {
        let service = self.service()?;
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let accepting = tokio::spawn(accept(listener, service, Arc::clone(&seen)));
        Ok(Store {
            address,
            seen,
            accepting,
        })
    }

    fn service(self) -> io::Result<S3Service> {
        let files = s3s_fs::FileSystem::new(&self.root)
            .map_err(|error| io::Error::other(format!("{}: {error:?}", self.root.display())))?;
        let addressing = Addressing {
            domain: self.domain,
        };
        let anonymous = self.credentials.is_none();
        let mut builder = S3ServiceBuilder::new(files);
        // An access policy is only asked when there is an authenticator, so that a store without
        // credentials has one too: it knows no key, hence refuses whatever is signed.
        builder.set_auth(match self.credentials {
            Some((access, secret)) => SimpleAuth::from_single(access, secret),
            None => SimpleAuth::new(),
        });
        builder.set_access(Policy);
        if addressing.domain.is_some() {
            builder.set_host(addressing.clone());
        }
        builder.set_route(Objects {
            root: self.root,
            addressing,
            anonymous,
        });
        Ok(builder.build())
    }
}

impl Store {
    /// Serves the folders of `root` on `listen`: to requests signed with `credentials`
    /// (access key, secret key), or reads of objects to anyone when there are none.
    pub async fn start(
        listen: SocketAddr,
        root: &Path,
        credentials: Option<(&str, &str)>,
    ) -> io::Result<Self> {
        let settings = Settings::new(root);
        let settings = match credentials {
            Some((access, secret)) => settings.credentials(access, secret),
            None => settings,
        };
        settings.start(listen).await
    }

    /// `http://ADDRESS`, for a gateway's configuration.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests have been answered so far, refused ones included.
    pub fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::Relaxed)
    }

    /// How many connections have been accepted so far.
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// The latest requests, oldest first.
    pub fn recent(&self) -> Vec<Received> {
        self.seen.lock().iter().cloned().collect()
    }

    /// Stops, and returns once the port is free and no connection is left.
    pub async fn shutdown(mut self) {
        self.accepting.abort();
        // Cancelled is how it is meant to end.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Seen {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Received>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, received: Received) -> u64 {
        let mut recent = self.lock();
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(received);
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The name of an object: its bucket, and its key as it is (decoded once, not normalized).
#[derive(Clone, Debug)]
pub struct Name {
    /// The bucket.
    pub bucket: String,
    /// The key, never empty.
    pub key: String,
}

/// How a request names its bucket.
#[derive(Clone, Debug)]
pub struct Addressing {
    /// `BUCKET.domain` is virtual-hosted-style; every other host is path-style.
    pub domain: Option<String>,
}

impl Addressing {
    fn bucket<'a>(&self, host: &'a str) -> Option<&'a str> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let bucket = name.strip_suffix(self.domain.as_deref()?)?;
        bucket.strip_suffix('.')
    }

    /// The object that a request is about, if it is about one.
    pub fn object(&self, uri: &Uri, headers: &HeaderMap) -> Option<Name> {
        let path = percent_decode_str(uri.path()).decode_utf8().ok()?;
        let path = path.strip_prefix('/')?;
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let (bucket, key) = match host.and_then(|host| self.bucket(host)) {
            Some(bucket) => (bucket, path),
            None => path.split_once('/')?,
        };
        (!key.is_empty()).then(|| Name {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl S3Host for Addressing {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let parsed = VirtualHost::new(host);
        Ok(match self.bucket(host) {
            Some(bucket) => parsed.with_bucket(bucket),
            None => parsed,
        })
    }
}

/// Whether a key can be a file below its bucket's folder, and only there.
pub fn is_storable(key: &str) -> bool {
    // A folder's own name ends in a slash.
    let key = key.strip_suffix('/').unwrap_or(key);
    !key.contains('\0') && key.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// The names and values of a query, decoded.
pub fn query(uri: &Uri) -> impl Iterator<Item = (String, String)> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// Who may do what beyond reading an object (which [`Objects`] decides): signed requests anything,
/// except with keys that no file can stand for.
struct Policy;

#[async_trait::async_trait]
impl S3Access for Policy {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        match context.s3_path().get_object_key() {
            Some(key) if !is_storable(key) => Err(s3_error!(
                InvalidArgument,
                "This store keeps no object of that name"
            )),
            _ => Ok(()),
        }
    }
}

/// Accepts until it is aborted. The connections are its children and end with it.
async fn accept(listener: TcpListener, service: S3Service, seen: Arc<Seen>) {
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

async fn answer(
    mut request: Request<Incoming>,
    service: &S3Service,
    seen: &Seen,
) -> Result<Response<Body>, Infallible> {
    if let Some(signature) = request.headers_mut().get_mut(header::AUTHORIZATION) {
        // Neither s3s's own messages nor a test's print it.
        signature.set_sensitive(true);
    }
    let method = request.method().clone();
    let target = request.uri().to_string();
    let headers = request.headers().clone();
    let mut response = match service.call(request.map(Body::from)).await {
        Ok(response) => response,
        Err(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    };
    let number = seen.note(Received {
        method,
        target,
        headers,
        status: response.status(),
    });
    // S3 sends these with every answer; a gateway must be seen to cope with them.
    let id = HeaderValue::try_from(format!("{number:016X}"))
        .unwrap_or(HeaderValue::from_static("0000000000000000"));
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-amz-request-id"), id.clone());
    headers.insert(HeaderName::from_static("x-amz-id-2"), id);
    Ok(response)
}
