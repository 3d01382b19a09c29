//! A miss or a failure of one origin goes to the next; when none is left, the client hears it in time and in its words.

use crate::harness::{CI, OPEN, Setup, World, eventually, sum_in};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// An origin that misbehaves: reads a request, sends `answer`, then waits or hangs up.
async fn broken(answer: &'static str, hang: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
                    return;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
                if hang {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
            });
        }
    });
    address
}

/// Nobody listens there.
async fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn origin(name: &str, address: &str) -> String {
    let credentials = if name == "first" { "test" } else { "anonymous" };
    format!(
        "{{name: {name}, url: 'http://{address}/images', credentials: {credentials}, connect_timeout: 1s, read_timeout: 1s}}"
    )
}

async fn world(origins: &[String]) -> World {
    let world = Setup::new().policy(OPEN).image_origins(origins).start().await;
    world.put_second("images", "object", b"from the second");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_origin_is_asked_on_a_miss() {
    let world = Setup::new().policy(OPEN).start().await;
    world.put("images", "both", b"from the first");
    world.put_second("images", "both", b"from the second");
    world.put_second("images", "second", b"from the second");
    assert_eq!(world.client(CI).get("/images/both").await.text(), "from the first");
    assert_eq!(world.client(CI).get("/images/second").await.text(), "from the second");
    assert_eq!(world.client(CI).send("HEAD", "/images/second").await.header("content-length"), Some("15"));
    let range = world.client(CI).header("Range", "bytes=5-7").get("/images/second").await;
    assert_eq!((range.status, range.text().as_str()), (206, "the"));
    // The second store does not say what is missing, as S3 does to callers who may not list.
    assert_eq!(world.client(CI).get("/images/neither").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_origin_is_asked_on_a_failure() {
    let answers = [
        (closed().await, "connect"),
        (broken("", false).await, "reset"),
        (broken("", true).await, "timeout"),
        (broken("HTTP/1.1 garbage\r\n\r\n", false).await, "protocol"),
        (broken("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", false).await, ""),
        (broken("HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n", true).await, ""),
    ];
    for (address, kind) in answers {
        let world = world(&[origin("broken", &address.to_string()), origin("second", "{second}")]).await;
        let answer = world.client(CI).get("/images/object").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "from the second"), "{kind}");
        if !kind.is_empty() {
            let label = format!("kind=\"{kind}\"");
            let metrics = world.metrics().await;
            assert_eq!(
                sum_in(&metrics, "windscreen_origin_errors_total", &["broken", &label]),
                1.0,
                "{kind}\n{metrics}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_none_is_left_the_client_hears_it_in_time() {
    let answers = [
        (closed().await, 502),
        (broken("", false).await, 502),
        (broken("", true).await, 504),
        (broken("HTTP/1.1 garbage\r\n\r\n", false).await, 502),
    ];
    for (address, status) in answers {
        let world = world(&[origin("broken", &address.to_string())]).await;
        let start = Instant::now();
        let answer = world.client(CI).curl().get("/images/object").await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(start.elapsed() < Duration::from_secs(5), "within the timeout");
        assert!(answer.text().contains("cannot be reached at the moment"), "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.header("server"), None);
        let metrics = world.metrics().await;
        assert_eq!(sum_in(&metrics, "windscreen_origin_errors_total", &["broken"]), 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miss_after_a_failure_is_not_reported_as_missing() {
    // The first may have the object, and cannot say so now.
    let answers = [
        (broken("", true).await, 504),
        (broken("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", false).await, 502),
        (broken("HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n", false).await, 503),
    ];
    for (address, status) in answers {
        let world = world(&[origin("broken", &address.to_string()), origin("second", "{second}")]).await;
        let answer = world.client(CI).curl().get("/images/missing").await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origins_own_error_document_reaches_nobody() {
    let answers = [
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 14\r\n\r\nsecret session", 502),
        ("HTTP/1.1 301 Moved\r\nLocation: http://secret/\r\nContent-Length: 14\r\n\r\nsecret session", 502),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 14\r\n\r\nsecret session", 403),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 14\r\n\r\nsecret session", 404),
    ];
    for (text, status) in answers {
        let address = broken(text, false).await;
        let world = world(&[origin("broken", &address.to_string())]).await;
        let answer = world.client(CI).curl().get("/images/object").await;
        assert_eq!(answer.status, status);
        assert!(!format!("{answer:?}").contains("secret"), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_that_the_origin_closed_is_no_failure() {
    // Keeps the connection after the first answer, then closes it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            // The next request on it is read and not answered.
            let _ = stream.read(&mut buffer).await;
        }
    });
    let world = world(&[origin("closing", &address.to_string())]).await;
    for _ in 0..4 {
        assert_eq!(world.client(CI).get("/images/object").await.text(), "ok");
    }
    assert_eq!(sum_in(&world.metrics().await, "windscreen_origin_errors_total", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_answer_costs_no_request() {
    // `localhost` is ::1 and 127.0.0.1; the origin listens on the second only.
    let address = broken("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", false).await;
    let world = world(&[origin("named", &format!("localhost:{}", address.port()))]).await;
    for _ in 0..6 {
        assert_eq!(world.client(CI).get("/images/object").await.text(), "ok");
    }
    assert_eq!(sum_in(&world.metrics().await, "windscreen_origin_errors_total", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_never_continued_from_another_origin() {
    let half = broken("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nfrom", false).await;
    let world = world(&[origin("half", &half.to_string()), origin("second", "{second}")]).await;
    let raw = world
        .client(CI)
        .raw(format!("GET /images/object HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {CI}\r\n\r\n").as_bytes())
        .await;
    let text = String::from_utf8_lossy(&raw);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.ends_with("\r\n\r\nfrom"), "cut where the origin cut it: {text}");
    eventually("the break is counted", async || {
        sum_in(&world.metrics().await, "windscreen_requests_total", &[]) as u64 == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_origins() {
    let world = world(&[origin("closed", &closed().await.to_string())]).await;
    let answer = world.admin().get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("site images, origin closed: not reachable"), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_where_it_is_named() {
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let directory = tempfile::TempDir::new().unwrap();
    let pem = directory.path().join("ca.pem");
    std::fs::write(&pem, key.cert.pem()).unwrap();
    let provider = std::sync::Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let configuration = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(configuration));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let trusted = format!(
        "{{name: tls, url: 'https://localhost:{port}/images', credentials: anonymous, ca: '{}'}}",
        pem.display()
    );
    let world = world(&[trusted]).await;
    assert_eq!(world.client(CI).get("/images/object").await.text(), "secret");

    let untrusted = format!("{{name: tls, url: 'https://localhost:{port}/images', credentials: anonymous}}");
    let world = self::world(&[untrusted]).await;
    assert_eq!(world.client(CI).curl().get("/images/object").await.status, 502, "an unknown authority is refused");
    assert_eq!(sum_in(&world.metrics().await, "windscreen_origin_errors_total", &["kind=\"tls\""]), 1.0);

    // The certificate is for localhost, not for the address.
    let other_name = format!(
        "{{name: tls, url: 'https://127.0.0.1:{port}/images', credentials: anonymous, ca: '{}'}}",
        pem.display()
    );
    let world = self::world(&[other_name]).await;
    assert_eq!(world.client(CI).curl().get("/images/object").await.status, 502, "another name is refused");
}
