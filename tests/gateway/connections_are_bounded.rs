//! A client that is slow, idle or many takes no more than its share, and honest ones are served meanwhile.

use crate::harness::{Client, OPEN, Setup, World, eventually};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn world(connections: &str, listener: &str) -> World {
    let more = format!("connections: {{{connections}}}\n");
    let world = Setup::new().policy(OPEN).more(&more).listener(listener).start().await;
    world.put("logs", "a", b"object");
    world
}

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.server.addresses[0]).await.unwrap()
}

/// What else comes before the gateway closes the connection, and after how long it does.
async fn until_closed(stream: &mut TcpStream) -> (String, Duration) {
    let (mut rest, from) = (Vec::new(), Instant::now());
    // It may be reset.
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.expect("still open");
    (String::from_utf8_lossy(&rest).into_owned(), from.elapsed())
}

async fn metric(world: &World, line: &str) {
    eventually(line, async || world.admin().get("/metrics").await.text().contains(line)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_drip_are_cut_off() {
    let world = world("header_timeout: 600ms", "").await;
    let mut stream = connect(&world).await;
    let drip = async {
        stream.write_all(b"GET /logs/a HTTP/1.1\r\nHost: logs\r\n").await.unwrap();
        for _ in 0..200 {
            if stream.write_all(b"X: y\r\n").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let from = Instant::now();
    drip.await;
    let (answer, _) = until_closed(&mut stream).await;
    assert_eq!(answer, "");
    let taken = from.elapsed();
    assert!(taken < Duration::from_secs(8), "{taken:?}");
    metric(&world, "windscreen_connections_cut_total{reason=\"slow\"} 1").await;
    // Each request has its time anew, and answering takes none of it.
    let mut stream = connect(&world).await;
    for _ in 0..3 {
        stream.write_all(b"GET /logs/a HTTP/1.1\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        stream.write_all(b"Host: logs\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 4096];
        let mut read = 0;
        while !answer[..read].ends_with(b"object") {
            let count = stream.read(&mut answer[read..]).await.unwrap();
            assert!(count > 0, "closed: {}", String::from_utf8_lossy(&answer[..read]));
            read += count;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_requests_end() {
    let world = world("idle_timeout: 300ms", "").await;
    let mut silent = connect(&world).await;
    let (answer, _) = until_closed(&mut silent).await;
    assert_eq!(answer, "");
    let mut kept = connect(&world).await;
    kept.write_all(b"GET /logs/a HTTP/1.1\r\nHost: logs\r\n\r\n").await.unwrap();
    let (answer, taken) = until_closed(&mut kept).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("object"), "{answer}");
    assert!(taken >= Duration::from_millis(250), "{taken:?}");
    metric(&world, "windscreen_connections_cut_total{reason=\"idle\"} 2").await;
    metric(&world, "windscreen_connections 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_carries_so_many_requests() {
    let world = world("requests: 2", "").await;
    let mut stream = connect(&world).await;
    let request = "GET /logs/a HTTP/1.1\r\nHost: logs\r\n\r\n";
    let mut answers = String::new();
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    answers += &until_closed(&mut stream).await.0;
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{answers}");
    assert_eq!(answers.to_lowercase().matches("connection: close").count(), 1, "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_so_many_connections() {
    // 127.0.0.2 is nobody's proxy.
    let world = world("most_per_address: 3", "").await;
    let from = async |address: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
        socket.connect(world.server.addresses[0]).await.unwrap()
    };
    let served = async |mut stream: TcpStream| {
        let _ = stream.write_all(b"GET /logs/a HTTP/1.1\r\nHost: logs\r\nConnection: close\r\n\r\n").await;
        until_closed(&mut stream).await.0.starts_with("HTTP/1.1 200 ")
    };
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(from("127.0.0.2").await);
    }
    metric(&world, "windscreen_connections 3").await;
    assert!(!served(from("127.0.0.2").await).await);
    metric(&world, "windscreen_connections_refused_total{reason=\"address\"} 1").await;
    assert!(served(from("127.0.0.3").await).await, "others are not concerned");
    for _ in 0..5 {
        held.push(from("127.0.0.1").await);
    }
    assert!(served(from("127.0.0.1").await).await, "a trusted proxy stands for many");
    held.remove(0);
    eventually("a place is free", async || served(from("127.0.0.2").await).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_connections_in_all() {
    let world = world("most: 4", "").await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(connect(&world).await);
    }
    metric(&world, "windscreen_connections 4").await;
    let (answer, taken) = until_closed(&mut connect(&world).await).await;
    assert_eq!(answer, "");
    assert!(taken < Duration::from_secs(2), "closed at once: {taken:?}");
    metric(&world, "windscreen_connections_refused_total{reason=\"full\"} 1").await;
    held.pop();
    let client = Client::new(world.server.addresses[0]).curl();
    eventually("a place is free", async || {
        client.raw(b"GET /logs/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.starts_with(b"HTTP/1.1 200 ")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_is_not_read_as_a_request() {
    let world = world("most: 100", "").await;
    let mut stream = connect(&world).await;
    // The client waits for the word to send 30 bytes; what it sends instead is its next request, or an attack.
    stream
        .write_all(b"POST /logs/a HTTP/1.1\r\nHost: logs\r\nContent-Length: 30\r\nExpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _ = stream.write_all(b"GET /logs/a HTTP/1.1\r\nHost: logs\r\n\r\n").await;
    let (answer, _) = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}
