//! What two programs could read differently is read by neither: it is refused, and nothing of it reaches an origin.

use crate::harness::{OPEN, STRANGER, Setup};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What an attacker would have the next program read.
const HIDDEN: &str = "GET /images/smuggled HTTP/1.1\r\nHost: images\r\n\r\n";

fn corpus() -> Vec<(&'static str, String)> {
    let hidden = HIDDEN.len();
    let post = "POST /logs/a HTTP/1.1\r\nHost: logs\r\n";
    let get = "GET /logs/a HTTP/1.1\r\nHost: logs\r\n";
    let chunked = |header: &str| format!("{post}Content-Length: {}\r\n{header}\r\n\r\n0\r\n\r\n{HIDDEN}", hidden + 5);
    vec![
        ("CL.TE", chunked("Transfer-Encoding: chunked")),
        (
            "TE.CL",
            format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{hidden:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        ),
        ("TE.TE, two codings", chunked("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity")),
        ("TE.TE, unknown coding", chunked("Transfer-Encoding: xchunked")),
        ("TE.TE, a list", chunked("Transfer-Encoding: identity, chunked")),
        ("TE.TE, a tab", chunked("Transfer-Encoding:\tchunked")),
        ("TE.TE, a vertical tab", chunked("Transfer-Encoding: \x0bchunked")),
        ("TE.TE, in quotes", chunked("Transfer-Encoding: \"chunked\"")),
        ("TE.TE, a space before the colon", chunked("Transfer-Encoding : chunked")),
        ("TE.TE, a space before the name", chunked(" Transfer-Encoding: chunked")),
        ("TE.TE, behind a bare CR", chunked("X: y\rTransfer-Encoding: chunked")),
        ("TE.TE, behind a bare LF", chunked("X: y\nTransfer-Encoding: chunked")),
        (
            "TE with HTTP/1.0",
            format!("POST /logs/a HTTP/1.0\r\nHost: logs\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"),
        ),
        ("a body with GET", format!("{get}Content-Length: {hidden}\r\n\r\n{HIDDEN}")),
        ("chunks with GET", format!("{get}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}")),
        ("two lengths", format!("{get}Content-Length: 0\r\nContent-Length: {hidden}\r\n\r\n{HIDDEN}")),
        ("a list of lengths", format!("{get}Content-Length: 0, {hidden}\r\n\r\n{HIDDEN}")),
        ("a length with a sign", format!("{get}Content-Length: +{hidden}\r\n\r\n{HIDDEN}")),
        ("a length below zero", format!("{get}Content-Length: -{hidden}\r\n\r\n{HIDDEN}")),
        ("a length in base 16", format!("{get}Content-Length: 0x{hidden:x}\r\n\r\n{HIDDEN}")),
        ("a length beyond all numbers", format!("{get}Content-Length: 18446744073709551616\r\n\r\n{HIDDEN}")),
        ("two hosts", format!("{get}Host: images\r\n\r\n")),
        ("no host", "GET /logs/a HTTP/1.1\r\n\r\n".to_owned()),
        ("a host with a path", "GET /logs/a HTTP/1.1\r\nHost: logs/images\r\n\r\n".to_owned()),
        ("absolute form, another host", "GET http://images/logs/a HTTP/1.1\r\nHost: logs\r\n\r\n".to_owned()),
        ("a folded header", format!("{get}X: y\r\n Transfer-Encoding: chunked\r\n\r\n{HIDDEN}")),
        ("lines that end in LF", "GET /logs/a HTTP/1.1\nHost: logs\n\n".to_owned()),
        ("one line that ends in LF", "GET /logs/a HTTP/1.1\r\nHost: logs\nX: y\r\n\r\n".to_owned()),
        ("headers that end in LF", format!("{get}X: y\r\n\n{HIDDEN}")),
        ("a zero in a name", format!("{get}X\0Y: z\r\n\r\n")),
        ("a zero in a value", format!("{get}X: y\0z\r\n\r\n")),
        ("no colon", format!("{get}X\r\n\r\n")),
        ("no name", format!("{get}: x\r\n\r\n")),
        ("no version", "GET /logs/a\r\nHost: logs\r\n\r\n".to_owned()),
        ("an unknown version", "GET /logs/a HTTP/1.7\r\nHost: logs\r\n\r\n".to_owned()),
        ("another protocol", "GET /logs/a ICAP/1.0\r\nHost: logs\r\n\r\n".to_owned()),
        ("HTTP/2 in plain text", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        (
            "an upgrade to HTTP/2",
            format!("{get}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"),
        ),
        ("a tunnel", "CONNECT images:443 HTTP/1.1\r\nHost: images:443\r\n\r\n".to_owned()),
        ("the server as a whole", "OPTIONS * HTTP/1.1\r\nHost: logs\r\n\r\n".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_refused_once_and_reaches_no_origin() {
    let world = Setup::new().policy(OPEN).start().await;
    world.put("logs", "a", b"object");
    world.put("images", "smuggled", b"hidden");
    let before = world.first.requests();
    let mut wrong = Vec::new();
    for (what, bytes) in corpus() {
        let mut stream = TcpStream::connect(world.server.addresses[0]).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Some leave the connection open for another request, which is as good.
        let _ = tokio::time::timeout(Duration::from_millis(700), stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let answers = answer.matches("HTTP/1.").count();
        let status = answer.split(' ').nth(1).unwrap_or("none");
        let refused = matches!(status, "none" | "400" | "405" | "421" | "501" | "505");
        if !refused || answers > 1 || world.first.requests() != before {
            wrong.push(format!("{what}: {answers} answers, {status}, the origin got {:?}", world.first.recent()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_requests_follow_one_another() {
    let world = Setup::new().policy(OPEN).start().await;
    world.put("logs", "a", b"object");
    let mut stream = TcpStream::connect(world.server.addresses[0]).await.unwrap();
    for length in ["", "Content-Length: 0\r\n"] {
        let request = format!("GET /logs/a HTTP/1.1\r\nHost: logs\r\nX-Forwarded-For: {STRANGER}\r\n{length}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"object") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    }
}
