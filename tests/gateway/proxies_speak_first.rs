//! Proxies that carry bytes say who the client is by the PROXY protocol, and only those that are listed are heard.

use crate::harness::{INTERNAL, STRANGER, Setup, World};
use std::net::IpAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

async fn world() -> World {
    let world = Setup::new().listener("proxy_protocol: true").start().await;
    world.put("images", "rhel-9", b"private");
    world
}

fn line(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 127.0.0.1 4711 80\r\n").into_bytes()
}

fn block(client: &str) -> Vec<u8> {
    let IpAddr::V4(client) = client.parse().unwrap() else { panic!("IPv4") };
    let start = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    [&start[..], &client.octets(), &[127, 0, 0, 1], &4711u16.to_be_bytes(), &80u16.to_be_bytes()].concat()
}

/// The status that a connection from `address` gets which begins with `first`, 0 where it is closed.
async fn status(world: &World, address: &str, first: &[u8], headers: &str) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(world.server.addresses[0]).await.unwrap();
    let request = format!(
        "GET /images/rhel-9 HTTP/1.1\r\nHost: images\r\nUser-Agent: curl/8.5.0\r\n{headers}Connection: close\r\n\r\n"
    );
    let _ = stream.write_all(&[first, request.as_bytes()].concat()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_proxy_names_the_client() {
    let world = world().await;
    for (what, first, expected) in [
        ("inside, version 1", line(INTERNAL), 200),
        ("inside, version 2", block(INTERNAL), 200),
        ("outside, version 1", line(STRANGER), 403),
        ("outside, version 2", block(STRANGER), 403),
        ("of its own", b"PROXY UNKNOWN\r\n".to_vec(), 403),
        ("nobody", Vec::new(), 0),
        ("nonsense", b"PROXY TCP4 here\r\n".to_vec(), 0),
    ] {
        assert_eq!(status(&world, "127.0.0.1", &first, "").await, expected, "{what}");
    }
    let metrics = world.admin().get("/metrics").await.text();
    assert!(metrics.contains("windscreen_connections_refused_total{reason=\"proxy_protocol\"} 2"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_heard() {
    let world = world().await;
    // 127.0.0.2 is not listed.
    assert_eq!(status(&world, "127.0.0.2", b"", "").await, 403, "a client of its own");
    assert_eq!(status(&world, "127.0.0.2", &line(INTERNAL), "").await, 400);
    // What a client behind the proxy writes into headers is its own word.
    let forged = format!("X-Forwarded-For: {INTERNAL}\r\n");
    assert_eq!(status(&world, "127.0.0.1", &line(STRANGER), &forged).await, 403);
    assert_eq!(status(&world, "127.0.0.1", &block(INTERNAL), "").await, 200);
}
