//! The path that policy judges is the path that the origin gets; a path with two readings is refused.

use crate::harness::{CI, OPEN, STRANGER, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn keys_arrive_as_what_they_are() {
    let world = Setup::new().policy(OPEN).start().await;
    let keys = [
        "plain",
        "a b",
        "a+b",
        "100%",
        "gr\u{fc}n/\u{1f40b}",
        "q?x=1",
        "semi;colon",
        "it's(1)!*",
        "at@x:y=z,$&",
        "#hash",
        "a%2Fb",
    ];
    for key in keys {
        world.put("logs", key, key.as_bytes());
    }
    // target, key
    let cases = [
        ("/logs/plain", "plain"),
        ("/logs/pl%61in", "plain"),
        ("/logs/a%20b", "a b"),
        ("/logs/a+b", "a+b"),
        ("/logs/a%2Bb", "a+b"),
        ("/logs/100%25", "100%"),
        ("/logs/gr%C3%BCn/%F0%9F%90%8B", "gr\u{fc}n/\u{1f40b}"),
        ("/logs/gr%C3%BCn%2F%F0%9F%90%8B", "gr\u{fc}n/\u{1f40b}"),
        ("/logs/gr\u{fc}n/\u{1f40b}", "gr\u{fc}n/\u{1f40b}"),
        ("/logs/q%3Fx=1", "q?x=1"),
        ("/logs/semi;colon", "semi;colon"),
        ("/logs/it's(1)!*", "it's(1)!*"),
        ("/logs/it%27s%281%29%21%2A", "it's(1)!*"),
        ("/logs/at@x:y=z,$&", "at@x:y=z,$&"),
        ("/logs/%23hash", "#hash"),
        ("/logs/a%252Fb", "a%2Fb"),
        ("/logs/plain?v=1", "plain"),
    ];
    for (target, key) in cases {
        let answer = world.client(CI).get(target).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, key), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_with_two_readings_are_refused() {
    let world = Setup::new().start().await;
    world.put("images", "rhel-9", b"private");
    world.put("images", "open", b"public");
    let before = world.first.requests();
    let targets = [
        "/images/x/../rhel-9",
        "/images/./rhel-9",
        "/images//rhel-9",
        "//images/rhel-9",
        "/images/%2Frhel-9",
        "/images/x/%2e%2e/rhel-9",
        "/images/x%2f..%2frhel-9",
        "/images/x/..%5crhel-9",
        "/images\\rhel-9",
        "/images/rhel-9%00",
        "/images/rhel-9%0a",
        "/images/rhel-9%",
        "/images/%zzhel-9",
        "/images/%u0072hel-9",
        "/images/%c0%af",
        "/images/%ff",
        "/images/open?acl",
        "/images/open?%61cl",
        "/images/open?versions",
        "/images/open?versionId=1",
        "/images/open?partNumber=1",
        "/images/open?response-content-type=text/html",
        "/images/open?uploads",
        "/images/open?list-type=2&prefix=rhel",
        "http://other/images/open",
        "images/open",
        "*",
    ];
    for target in targets {
        let answer = world.client(STRANGER).curl().get(target).await;
        assert_eq!(answer.status, 400, "{target}: {answer:?}");
    }
    assert_eq!(world.first.requests(), before, "the origin was asked");
    let metrics = world.metrics().await;
    assert!(metrics.contains("windscreen_malformed_requests_total{reason=\"query\"} 8"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_private_key_is_still_private() {
    let world = Setup::new().start().await;
    world.put("images", "rhel-9", b"private");
    for target in ["/images/rhel-9", "/images/%72hel-9", "/images/r%68el%2D9", "/images%2Frhel-9", "/%69mages/rhel-9"] {
        let answer = world.client(STRANGER).curl().get(target).await;
        assert_eq!(answer.status, 403, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_with_two_readings_are_refused() {
    let world = Setup::new().policy(OPEN).start().await;
    world.put("logs", "a", b"a");
    let client = world.client(CI);
    let line = "GET /logs/a HTTP/1.1\r\n";
    let bad = [
        format!("{line}\r\n"),
        format!("{line}Host: a\r\nHost: b\r\n\r\n"),
        format!("{line}Host: a b\r\n\r\n"),
        format!("{line}Host: \r\n\r\n"),
        format!("{line}Host: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{line}Host: a\r\nContent-Length: 3\r\n\r\nabc"),
        format!("{line}Host: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n"),
        format!("{line}Host: a\r\nContent-Length: 0, 0\r\n\r\n"),
        format!("{line}Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
        format!("{line}Host: a\r\nX Y: 1\r\n\r\n"),
    ];
    for request in bad {
        let answer = client.raw(request.as_bytes()).await;
        assert!(answer.starts_with(b"HTTP/1.1 400"), "{request:?}: {}", String::from_utf8_lossy(&answer));
    }
    let connect = client.raw(b"CONNECT origin:443 HTTP/1.1\r\nHost: origin:443\r\n\r\n").await;
    assert!(connect.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&connect));
    let good =
        client.raw(format!("{line}Host: a:99\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).await;
    assert!(good.starts_with(b"HTTP/1.1 200"));
}
