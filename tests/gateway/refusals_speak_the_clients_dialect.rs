//! A client hears a refusal in words that it understands, and never gets HTML with a 200.

use crate::harness::{BROWSER, Client, HTML, STRANGER, Setup};

type Dress = fn(Client) -> Client;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_a_pass_gets_html_with_a_200() {
    let world = Setup::new().start().await;
    world.put("logs", "run/log.html", b"<html>the log</html>");
    let cases: [(&str, Dress, &str); 7] = [
        ("a navigation", |c| c.navigating(), "text/html; charset=utf-8"),
        (
            "a navigation over TLS",
            |c| c.navigating().header("Sec-Fetch-Mode", "navigate").header("Sec-Fetch-Dest", "document"),
            "text/html; charset=utf-8",
        ),
        ("a fetch", |c| c.header("User-Agent", BROWSER).header("Accept", "*/*"), "application/problem+json"),
        (
            "a fetch over TLS",
            |c| c.header("User-Agent", BROWSER).header("Accept", HTML).header("Sec-Fetch-Mode", "cors"),
            "application/problem+json",
        ),
        (
            "an image",
            |c| c.header("User-Agent", BROWSER).header("Accept", "image/avif,*/*"),
            "application/problem+json",
        ),
        ("a program without a name", |c| c, "text/plain; charset=utf-8"),
        ("a program with a token", |c| c.header("Authorization", "Bearer x"), "application/xml"),
    ];
    for (who, dress, kind) in cases {
        let answer = dress(world.client(STRANGER)).get("/logs/run/log.html").await;
        assert_eq!((answer.status, answer.header("content-type")), (403, Some(kind)), "{who}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{who}");
        assert!(answer.header("x-request-id").is_some(), "{who}");
        assert!(!answer.text().contains("the log"), "{who}");
    }
    // A tool is let through, slowly, and gets the object itself.
    let answer = world.client(STRANGER).curl().get("/logs/run/log.html").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "<html>the log</html>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_gives_the_public_reason() {
    let world = Setup::new().start().await;
    let answer = world.client(STRANGER).header("User-Agent", "GPTBot/1.2").get("/logs/a").await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("AI crawlers are not served here"), "{}", answer.text());
    let head = world.client(STRANGER).header("User-Agent", "GPTBot/1.2").send("HEAD", "/logs/a").await;
    assert_eq!((head.status, head.body.len()), (403, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_is_not_echoed() {
    let world = Setup::new().start().await;
    for target in ["/logs/<script>alert(1)</script>", "/<script>alert(1)</script>", "/logs/a?acl=<script>"] {
        let answer = world.client(STRANGER).navigating().get(target).await;
        assert_ne!(answer.status, 200);
        assert!(!answer.text().contains("<script>alert"), "{target}");
    }
}
