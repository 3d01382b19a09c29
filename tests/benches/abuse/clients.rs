//! The clients: normal ones, whose latency counts, and abusers.

use super::{LARGE, Situation};
use crate::rig::servers::SITE;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

/// Normal clients, each with an address of its own, and how often each asks.
pub const NORMAL: u8 = 50;
pub const PERIOD: Duration = Duration::from_millis(200);
/// The abuser that asks too often has so many connections, on each of which it asks so often.
const ABUSING: u32 = 8;
const ABUSE_PERIOD: Duration = Duration::from_millis(8);

/// A keep-alive connection.
struct Connection {
    port: u16,
    request: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    fn new(port: u16, object: &str, client: Ipv4Addr) -> Self {
        let request = format!(
            "GET {SITE}/{object} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Forwarded-For: {client}\r\nUser-Agent: \
             curl/8.14.1\r\n\r\n"
        );
        Connection { port, request, stream: None }
    }

    /// Asks, and reads up to the body: the status, the length of the body, and whether the connection ends with it.
    async fn ask(&mut self) -> io::Result<(u16, u64, bool)> {
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
    async fn read(&mut self, left: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match stream.read(&mut buffer[..most]).await? {
            0 if most > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }

    /// Asks and reads all of the answer: its status.
    async fn get(&mut self) -> io::Result<u16> {
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
}

/// What the normal clients saw.
#[derive(Default)]
pub struct Seen {
    /// Times from a request to the end of its answer, in milliseconds.
    pub latencies: Vec<f64>,
    /// Answers other than 200.
    pub refused: u64,
}

/// What an abuser got.
#[derive(Default)]
pub struct Got {
    pub answers: u64,
    pub refused: u64,
    pub bytes: u64,
}

/// Normal clients ask from `from` to `until`.
pub async fn normal(port: u16, from: Instant, until: Instant) -> io::Result<Seen> {
    let client = |number: u8| async move {
        let mut connection = Connection::new(port, super::SMALL.0, Ipv4Addr::new(192, 0, 2, number));
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

/// An abuser at work until `until`.
pub async fn abuser(port: u16, situation: Situation, until: Instant) -> io::Result<Got> {
    match situation {
        Situation::Alone => Ok(Got::default()),
        Situation::Requests => requests(port, until).await,
        Situation::Download { rate } => download(port, rate, until).await,
    }
}

/// 1,000 requests per second, all from one address.
async fn requests(port: u16, until: Instant) -> io::Result<Got> {
    let begun = Instant::now();
    let connection = |number: u32| async move {
        let mut connection = Connection::new(port, super::SMALL.0, Ipv4Addr::new(198, 51, 100, 1));
        let mut got = Got::default();
        let mut ticks = interval_at(begun + ABUSE_PERIOD / ABUSING * number, ABUSE_PERIOD);
        while ticks.tick().await < until {
            let status = connection.get().await?;
            got.answers += 1;
            got.refused += u64::from(status != 200);
        }
        Ok::<_, io::Error>(got)
    };
    let connections: Vec<_> = (0..ABUSING).map(|number| tokio::spawn(connection(number))).collect();
    let mut all = Got::default();
    for connection in connections {
        let got = connection.await.map_err(io::Error::other)??;
        all.answers += got.answers;
        all.refused += got.refused;
    }
    Ok(all)
}

/// The large object again and again, as fast as it comes or at `rate` bytes per second.
async fn download(port: u16, rate: Option<u64>, until: Instant) -> io::Result<Got> {
    let mut got = Got::default();
    let begun = Instant::now();
    let mut buffer = vec![0; 64 * 1024];
    while Instant::now() < until {
        let mut connection = Connection::new(port, LARGE.0, Ipv4Addr::new(198, 51, 100, 2));
        let (status, mut left, _) = connection.ask().await?;
        got.answers += 1;
        if status != 200 {
            got.refused += 1;
            sleep_until(Instant::now() + Duration::from_secs(1)).await;
            continue;
        }
        while left > 0 && Instant::now() < until {
            let read = connection.read(left, &mut buffer).await? as u64;
            left -= read;
            got.bytes += read;
            if let Some(rate) = rate {
                sleep_until(begun + Duration::from_secs_f64(got.bytes as f64 / rate as f64)).await;
            }
        }
    }
    Ok(got)
}
