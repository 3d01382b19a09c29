//! A server that does as the test says: that cuts bodies, redirects, and asks to wait.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

/// An answer, after which the connection ends.
pub struct Reply {
    bytes: Vec<u8>,
    /// Says nothing more for a minute, before it ends.
    hangs: bool,
}

impl Reply {
    /// An answer with these headers, each ended by `\r\n`, and this body.
    pub fn new(status: &str, headers: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        Reply { bytes: [head.as_bytes(), body].concat(), hangs: false }
    }

    /// Ends before the last `missing` bytes.
    pub fn cut(mut self, missing: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - missing);
        self
    }

    pub fn hanging(mut self) -> Self {
        self.hangs = true;
        self
    }
}

/// The object, or what a Range asks of it, as long as If-Range names its ETag.
pub fn object(request: &str, etag: &str, body: &[u8]) -> Reply {
    let headers = format!("ETag: {etag}\r\n");
    let same = header(request, "if-range").is_none_or(|known| known == etag);
    let from = header(request, "range").filter(|_| same);
    let Some(from) = from.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok())
    else {
        return Reply::new("200 OK", &headers, body);
    };
    let size = body.len();
    match body.get(from..).filter(|rest| !rest.is_empty()) {
        Some(rest) => {
            let range = format!("{headers}Content-Range: bytes {from}-{}/{size}\r\n", size - 1);
            Reply::new("206 Partial Content", &range, rest)
        }
        None => Reply::new("416 Range Not Satisfiable", &format!("{headers}Content-Range: bytes */{size}\r\n"), b""),
    }
}

/// The value of a header in a request.
pub fn header<'r>(request: &'r str, name: &str) -> Option<&'r str> {
    request.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn accept(stream: TcpStream, acceptor: Option<TlsAcceptor>) -> Option<Box<dyn Stream>> {
    match acceptor {
        Some(acceptor) => Some(Box::new(acceptor.accept(stream).await.ok()?)),
        None => Some(Box::new(stream)),
    }
}

/// A whole request, its body included.
async fn read(stream: &mut Box<dyn Stream>) -> Option<String> {
    let mut request = String::new();
    loop {
        if let Some((head, body)) = request.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(request);
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => request += std::str::from_utf8(&buffer[..count]).unwrap(),
            _ => return None,
        }
    }
}

/// A running server, with the requests that came.
pub struct Scripted {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Answers each request by `script`, which is told how many came before it.
    pub async fn start(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(script, None).await
    }

    /// The same by TLS, with a certificate for `localhost` that only those trust who have it: as PEM.
    pub async fn start_tls(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> (Self, String) {
        let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let configuration = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        (Self::serve(script, Some(Arc::new(configuration).into())).await, key.cert.pem())
    }

    async fn serve(
        script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
        acceptor: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, seen) = (Arc::new(script), requests.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, seen, acceptor) = (script.clone(), seen.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let Some(mut stream) = accept(stream, acceptor).await else { return };
                    let Some(request) = read(&mut stream).await else { return };
                    let before = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    let reply = script(before, &request);
                    let _ = stream.write_all(&reply.bytes).await;
                    if reply.hangs {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        Scripted { address, requests }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}
