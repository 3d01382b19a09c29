//! An origin that does as it is told, and counts who asks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does with every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Has this object, whatever its name.
    Has(&'static [u8]),
    /// Has it, and hangs up after half of what was asked for.
    Cuts(&'static [u8]),
    /// Has it, and falls silent after half of it.
    Stalls(&'static [u8]),
    /// Says this, without a body.
    Says(u16),
    /// Takes the request and says nothing.
    Silent,
    /// Takes the request and hangs up.
    HangsUp,
}

pub struct Scripted {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Scripted {
    pub async fn start(deed: Deed) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, deed, count.clone()));
            }
        });
        Scripted { address, asked }
    }

    /// How many requests came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The flow mapping of an origin of this name.
    pub fn origin(&self, name: &str) -> String {
        format!(
            "{{name: {name}, url: 'http://{}/images', credentials: anonymous, connect_timeout: 1s, read_timeout: 1s}}",
            self.address
        )
    }
}

async fn serve(mut stream: TcpStream, deed: Deed, asked: Arc<AtomicUsize>) {
    let mut request = Vec::new();
    loop {
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
        }
        asked.fetch_add(1, Ordering::SeqCst);
        let text = String::from_utf8_lossy(&std::mem::take(&mut request)).to_ascii_lowercase();
        let body = match &deed {
            Deed::Has(body) | Deed::Cuts(body) | Deed::Stalls(body) => *body,
            Deed::Says(status) => {
                let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
                continue;
            }
            Deed::Silent => return tokio::time::sleep(Duration::from_secs(60)).await,
            Deed::HangsUp => return,
        };
        let range = text.lines().find_map(|line| line.strip_prefix("range: bytes="));
        let (status, part) = match range.and_then(|range| range.split_once('-')) {
            Some((from, to)) => {
                let from: usize = from.parse().unwrap_or(0);
                let end = to.parse::<usize>().map_or(body.len(), |to| to + 1).min(body.len());
                ("206 Partial Content", from.min(end)..end)
            }
            None => ("200 OK", 0..body.len()),
        };
        let range = match part.end {
            0 => String::new(),
            end => format!("Content-Range: bytes {}-{}/{}\r\n", part.start, end - 1, body.len()),
        };
        let header = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{}Accept-Ranges: bytes\r\n\r\n",
            part.len(),
            if status.starts_with("206") { &*range } else { "" },
        );
        let _ = stream.write_all(header.as_bytes()).await;
        if text.starts_with("head ") {
            continue;
        }
        let part = &body[part];
        match deed {
            Deed::Cuts(_) => {
                let _ = stream.write_all(&part[..part.len() / 2]).await;
                return;
            }
            Deed::Stalls(_) => {
                let _ = stream.write_all(&part[..part.len() / 2]).await;
                return tokio::time::sleep(Duration::from_secs(60)).await;
            }
            _ => {
                if stream.write_all(part).await.is_err() {
                    return;
                }
            }
        }
    }
}
