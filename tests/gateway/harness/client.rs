//! An HTTP/1.1 client that sends what it is told to, byte for byte, and hides nothing of the answer.

use flate2::read::GzDecoder;
use std::io::Read;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Clone)]
pub struct Client {
    server: SocketAddr,
    headers: Vec<(String, String)>,
    bare: bool,
}

/// An answer as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as people read it.
    pub fn text(&self) -> String {
        if self.header("content-encoding") != Some("gzip") {
            return String::from_utf8_lossy(&self.body).into_owned();
        }
        let mut text = String::new();
        let unpacked = GzDecoder::new(&self.body[..]).read_to_string(&mut text);
        unpacked.unwrap_or_else(|error| panic!("{error} after {} bytes: {:?}", self.body.len(), self.headers));
        text
    }

    /// The `name=value` of the cookie that the answer sets.
    pub fn cookie(&self) -> Option<String> {
        self.header("set-cookie").map(|cookie| cookie.split(';').next().unwrap().to_owned())
    }
}

impl Client {
    pub fn new(server: SocketAddr) -> Self {
        Client { server, headers: Vec::new(), bare: false }
    }

    /// Sends no header of its own accord.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As a browser that opens a page.
    pub fn navigating(self) -> Self {
        self.browsing().header("Accept", super::HTML)
    }

    /// What a browser sends with everything.
    fn browsing(self) -> Self {
        self.header("User-Agent", super::BROWSER)
            .header("Accept-Encoding", "gzip, deflate, br, zstd")
            .header("Accept-Language", "en-GB,en;q=0.9")
    }

    /// As a script of a page at `page`, on plain http, where browsers send no fetch metadata.
    pub fn fetching(self, page: &str) -> Self {
        let referer = format!("http://{}{page}", self.server);
        self.browsing().header("Accept", "*/*").header("Referer", &referer)
    }

    pub fn curl(self) -> Self {
        self.header("User-Agent", "curl/8.5.0").header("Accept", "*/*")
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target).await
    }

    pub async fn send(&self, method: &str, target: &str) -> Answer {
        self.send_body(method, target, b"").await
    }

    pub async fn send_body(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let mut request = format!("{method} {target} HTTP/1.1\r\n");
        if !self.bare {
            if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
                request += &format!("Host: {}\r\n", self.server);
            }
            request += "Connection: close\r\n";
        }
        for (name, value) in &self.headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        let answer = self.raw(&bytes).await;
        parse(&answer, method == "HEAD").unwrap_or_else(|| panic!("no HTTP answer to {method} {target}: {answer:?}"))
    }

    /// Sends bytes as they are and reads until the server closes or has answered completely.
    pub async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.server).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let head = bytes.starts_with(b"HEAD ");
        let mut answer = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        while !is_complete(&answer, head) {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&buffer[..count]),
            }
        }
        answer
    }

    /// Opens the connection, reads only `bytes` of the answer, and leaves.
    pub async fn abandon(&self, target: &str, bytes: usize) -> usize {
        let mut stream = TcpStream::connect(self.server).await.unwrap();
        let mut request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n", self.server);
        for (name, value) in &self.headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = 0;
        let mut buffer = vec![0; 16 * 1024];
        while read < bytes {
            match stream.read(&mut buffer).await.unwrap() {
                0 => break,
                count => read += count,
            }
        }
        read
    }
}

fn split(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((&answer[..end], &answer[end + 4..]))
}

fn content_length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })
}

fn is_complete(answer: &[u8], to_head: bool) -> bool {
    let Some((head, body)) = split(answer) else { return false };
    let head = String::from_utf8_lossy(head);
    let bodiless = to_head || ["204", "304"].contains(&head.split(' ').nth(1).unwrap_or_default());
    let ended = body.ends_with(b"0\r\n\r\n") && head.to_ascii_lowercase().contains("chunked");
    bodiless || ended || content_length(&head).is_some_and(|length| body.len() >= length)
}

fn parse(answer: &[u8], to_head: bool) -> Option<Answer> {
    let (head, body) = split(answer)?;
    let head = String::from_utf8_lossy(head).into_owned();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = match (to_head, chunked) {
        (true, _) => Vec::new(),
        (false, true) => dechunk(body),
        (false, false) => body.to_vec(),
    };
    Some(Answer { status, headers, body })
}

fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    body
}
