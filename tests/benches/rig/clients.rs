//! Normal clients, whose latency counts.

use super::null::SMALL;
use super::servers::SITE;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Normal clients, each with an address of its own, and how often each asks.
pub const NORMAL: u8 = 50;
pub const PERIOD: Duration = Duration::from_millis(200);

/// A keep-alive connection.
pub struct Connection {
    port: u16,
    /// What is asked, with its body.
    pub request: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    /// To ask for an object as a tool does, from an address that the last proxy tells.
    pub fn new(port: u16, object: &str, client: Ipv4Addr) -> Self {
        let request = format!(
            "GET {SITE}/{object} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Forwarded-For: {client}\r\nUser-Agent: \
             curl/8.14.1\r\n\r\n"
        );
        Connection { port, request, stream: None }
    }

    /// Asks, and reads up to the body: the status, the length of the body, and whether the connection ends with it.
    pub async fn ask(&mut self) -> io::Result<(u16, u64, bool)> {
        if self.stream.is_none() {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
            stream.set_nodelay(true)?;
            self.stream = Some(BufReader::with_capacity(64 * 1024, stream));
        }
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        stream.write_all(self.request.as_bytes()).await?;
        let (mut status, mut length, mut ends) = (0, 0, false);
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 2 {
            let lower = line.trim().to_ascii_lowercase();
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().map_err(io::Error::other)?;
            } else if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            } else if lower == "connection: close" {
                ends = true;
            }
            line.clear();
        }
        if status == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((status, length, ends))
    }

    /// Reads of a body; 0 is its end.
    pub async fn read(&mut self, left: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match stream.read(&mut buffer[..most]).await? {
            0 if most > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }

    /// Asks and reads all of the answer: its status.
    pub async fn get(&mut self) -> io::Result<u16> {
        let (status, mut left, ends) = self.ask().await?;
        let mut buffer = [0; 2048];
        while left > 0 {
            left -= self.read(left, &mut buffer).await? as u64;
        }
        if ends {
            self.stream = None;
        }
        Ok(status)
    }

    /// Asks and keeps the body: the status.
    pub async fn fetch(&mut self, body: &mut Vec<u8>) -> io::Result<u16> {
        let (status, length, ends) = self.ask().await?;
        body.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        stream.read_exact(body).await?;
        if ends {
            self.stream = None;
        }
        Ok(status)
    }
}

/// What the normal clients saw.
#[derive(Default)]
pub struct Seen {
    /// Times from a request to the end of its answer, in milliseconds.
    pub latencies: Vec<f64>,
    /// Answers other than 200.
    pub refused: u64,
}

/// Normal clients ask from `from` to `until`.
pub async fn normal(port: u16, from: Instant, until: Instant) -> io::Result<Seen> {
    let client = |number: u8| async move {
        let mut connection = Connection::new(port, SMALL.0, Ipv4Addr::new(192, 0, 2, number));
        let mut seen = Seen::default();
        // They ask one after the other, not all at once.
        let mut ticks = interval_at(from + PERIOD * u32::from(number) / u32::from(NORMAL), PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        // The connections are opened before anything is measured.
        connection.get().await?;
        while ticks.tick().await < until {
            let asked = std::time::Instant::now();
            let status = connection.get().await?;
            seen.latencies.push(asked.elapsed().as_secs_f64() * 1e3);
            seen.refused += u64::from(status != 200);
        }
        Ok::<_, io::Error>(seen)
    };
    let clients: Vec<_> = (1..=NORMAL).map(|number| tokio::spawn(client(number))).collect();
    let mut all = Seen::default();
    for client in clients {
        let seen = client.await.map_err(io::Error::other)??;
        all.latencies.extend(seen.latencies);
        all.refused += seen.refused;
    }
    Ok(all)
}
