//! An HTTP/2 client (RFC 9113) that writes frames as it is told to, right or wrong, and hides nothing of what comes.

use super::tls::TlsClient;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
/// Flags.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const ACK: u8 = 1;
/// Settings.
pub const HEADER_TABLE_SIZE: u16 = 1;
pub const INITIAL_WINDOW_SIZE: u16 = 4;
/// Reasons.
pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const REFUSED_STREAM: u32 = 7;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// No promise waits for so long.
const LONG: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Why a stream or the connection is ended.
    pub fn reason(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// What became of a stream.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum End {
    /// It was answered.
    Answer(u16, Vec<u8>),
    /// It was reset, for this reason.
    Reset(u32),
    /// The connection was closed; with a reason, where that was said.
    Closed(Option<u32>),
    /// Nothing, for as long as was waited.
    Silence,
}

impl End {
    /// Whether it was answered with this status.
    pub fn is(&self, status: u16) -> bool {
        matches!(self, End::Answer(found, _) if *found == status)
    }
}

pub struct Http2 {
    stream: TlsStream<TcpStream>,
    /// The last stream that was opened.
    pub last: u32,
    status: u16,
    body: Vec<u8>,
    away: Option<u32>,
}

impl Http2 {
    /// Connects from `address` and says these settings. What is answered comes without a table.
    pub async fn connect(client: &TlsClient, server: SocketAddr, address: &str, settings: &[(u16, u32)]) -> Self {
        let stream = client.connect(server, address, b"").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut http = Http2 { stream, last: 0, status: 0, body: Vec::new(), away: None };
        http.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let all = [(HEADER_TABLE_SIZE, 0)].iter().chain(settings);
        let all: Vec<u8> = all.flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        http.send(SETTINGS, 0, 0, &all).await.unwrap();
        http
    }

    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.write(&frame(kind, flags, stream, payload)).await
    }

    /// Writes bytes as they are. Whoever does not take them for long has failed.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(LONG, written).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Opens the next stream.
    pub async fn open(&mut self, fields: &[(&str, &str)], flags: u8) -> io::Result<u32> {
        self.last = if self.last == 0 { 1 } else { self.last + 2 };
        self.send(HEADERS, flags, self.last, &block(fields)).await?;
        Ok(self.last)
    }

    /// Asks for an object, and says what became of it.
    pub async fn get(&mut self, path: &str) -> End {
        match self.open(&request(path), END_STREAM | END_HEADERS).await {
            Ok(stream) => self.end_of(stream).await,
            Err(_) => End::Closed(self.away),
        }
    }

    /// The next frame, acknowledged where that is due. Nothing where the connection is closed.
    pub async fn next(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await?,
            GOAWAY => self.away = Some(frame.reason()),
            _ => {}
        }
        Ok(frame)
    }

    /// What becomes of a stream. Windows are opened as the body comes.
    pub async fn end_of(&mut self, stream: u32) -> End {
        self.end_within(stream, LONG).await
    }

    pub async fn end_within(&mut self, stream: u32, wait: Duration) -> End {
        (self.status, self.body) = (0, Vec::new());
        timeout(wait, self.read_end(stream)).await.unwrap_or(End::Silence)
    }

    async fn read_end(&mut self, stream: u32) -> End {
        loop {
            let Ok(frame) = self.next().await else { return End::Closed(self.away) };
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                RESET => return End::Reset(frame.reason()),
                HEADERS => self.status = status(&frame.payload),
                DATA => {
                    self.body.extend_from_slice(&frame.payload);
                    let more = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
                    if !frame.payload.is_empty() {
                        let _ = self.send(WINDOW_UPDATE, 0, 0, &more).await;
                        let _ = self.send(WINDOW_UPDATE, 0, stream, &more).await;
                    }
                }
                _ => continue,
            }
            if frame.flags & END_STREAM != 0 {
                return End::Answer(self.status, std::mem::take(&mut self.body));
            }
        }
    }

    /// Reads until the connection is closed. The reason, where one was said; `Silence` where it stays open.
    pub async fn until_closed(&mut self, wait: Duration) -> End {
        let closed = async { while self.next().await.is_ok() {} };
        match timeout(wait, closed).await {
            Ok(()) => End::Closed(self.away),
            Err(_) => End::Silence,
        }
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What a request for an object says.
pub fn request(path: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "https"), (":authority", "logs.test"), (":path", path)]
}

/// Fields as literals, as they are (RFC 7541, section 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

fn text(block: &mut Vec<u8>, text: &str) {
    number(block, 7, 0, text.len());
    block.extend_from_slice(text.as_bytes());
}

/// A number behind a prefix of so many bits (RFC 7541, section 5.1).
pub fn number(block: &mut Vec<u8>, bits: u8, flags: u8, mut value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        block.push(flags | value as u8);
        return;
    }
    block.push(flags | most as u8);
    value -= most;
    while value >= 128 {
        block.push((value % 128) as u8 | 128);
        value /= 128;
    }
    block.push(value as u8);
}

/// The status, which comes first.
fn status(block: &[u8]) -> u16 {
    // The size of the table may be said before it.
    let skipped = block.iter().take_while(|byte| **byte >> 5 == 1).count();
    match &block[skipped..] {
        [index @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        [_, length, digits @ ..] if length & 0x80 == 0 => {
            digits[..3].iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'))
        }
        [_, length, digits @ ..] => huffman(&digits[..usize::from(length & 0x7f)]),
        _ => 0,
    }
}

/// Digits in Huffman's code (RFC 7541, appendix B): 0 to 2 have five bits, the others six.
fn huffman(bytes: &[u8]) -> u16 {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)));
    let mut status = 0;
    for _ in 0..3 {
        let five = (0..5).fold(0, |value, _| value * 2 + bits.next().unwrap());
        let digit = if five < 3 { five } else { five * 2 + bits.next().unwrap() - 0x19 + 3 };
        status = status * 10 + digit;
    }
    status
}
