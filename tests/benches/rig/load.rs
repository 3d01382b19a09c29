//! Load: many small requests by wrk, one large object at a time by a client of our own.

use super::process::find;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// Keep-alive connections of wrk.
pub const CONNECTIONS: usize = 64;
/// Who asks, by X-Forwarded-For: nobody in particular, of a block reserved for documentation (RFC 5737).
const CLIENT: &str = "192.0.2.40";
/// How the client calls itself: the policy's class `tool`, for which all rules but the last are looked at.
const USER_AGENT: &str = "curl/8.14.1";
/// An answer that takes longer fails the run.
const PATIENCE: Duration = Duration::from_secs(30);
/// What our client reads at once.
const BUFFER: usize = 256 * 1024;

/// Asks for `path` again and again and counts the answers. Any answer but 200, and any broken connection, is an error.
pub fn requests(port: u16, path: &str, time: Duration) -> Result<u64, String> {
    let wrk = find("wrk").ok_or("wrk is gone")?;
    let seconds = time.as_secs();
    let output = Command::new("timeout")
        .arg((time + 2 * PATIENCE).as_secs().to_string())
        .arg(wrk)
        .args(["--threads", "1", "--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{seconds}s"), "--timeout", &format!("{}s", PATIENCE.as_secs())])
        .args(["--header", &format!("X-Forwarded-For: {CLIENT}"), "--header", &format!("User-Agent: {USER_AGENT}")])
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .output()
        .map_err(|error| format!("wrk: {error}"))?;
    let report = String::from_utf8_lossy(&output.stdout);
    // wrk prints these two lines only when there is something to say.
    let trouble = report.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"));
    if let Some(line) = trouble {
        return Err(format!("not every answer to {path} at port {port} was good: {}", line.trim()));
    }
    let count = report.lines().find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok());
    count
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("wrk counted nothing: {report}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Fetches `path` over a connection of its own and counts the bytes of the body.
pub fn fetch(port: u16, path: &str) -> Result<u64, String> {
    let mut body = get(port, path)?;
    let mut bytes = 0;
    loop {
        let length = body.fill_buf().map_err(|error| failed(port, path, error))?.len();
        if length == 0 {
            return Ok(bytes);
        }
        bytes += length as u64;
        body.consume(length);
    }
}

/// Fetches a small text, such as the metrics.
pub fn text(port: u16, path: &str) -> Result<String, String> {
    io::read_to_string(get(port, path)?).map_err(|error| failed(port, path, error))
}

fn failed(port: u16, path: &str, error: io::Error) -> String {
    format!("{path} at port {port}: {error}")
}

/// Asks for `path` and reads the answer up to its body.
fn get(port: u16, path: &str) -> Result<BufReader<TcpStream>, String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Forwarded-For: {CLIENT}\r\nUser-Agent: {USER_AGENT}\r\n\
         Connection: close\r\n\r\n"
    );
    let ask = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut reader = BufReader::with_capacity(BUFFER, stream);
        let mut status = String::new();
        reader.read_line(&mut status)?;
        if !status.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(format!("answered `{}`", status.trim())));
        }
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && !line.trim().is_empty() {
            line.clear();
        }
        Ok(reader)
    };
    ask().map_err(|error| failed(port, path, error))
}
