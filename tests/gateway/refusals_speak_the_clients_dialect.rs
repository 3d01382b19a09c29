//! A client hears a refusal in words that it understands, and never gets HTML with a 200.

use crate::harness::passes::{VERIFY, solve, submit};
use crate::harness::{BROWSER, Client, HTML, STRANGER, Setup};
use serde_json::{Value, json};

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
        ("a program with a password", |c| c.header("Authorization", "Basic x"), "application/xml"),
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

/// The policy that these clients meet: everything needs a pass, of the lowest price.
const TOLL: &str = "version: 1\nmode: enforce\nchallenge: {tiers: {default: 64}}\ndefault: {action: challenge}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_reads_json_can_solve_the_challenge() {
    let world = Setup::new().policy(TOLL).start().await;
    world.put("logs", "run/log", b"the log");
    let wants: [Dress; 2] = [
        |c| c.header("User-Agent", "curl/8.5.0").header("Accept", "application/problem+json, */*"),
        |c| c.header("User-Agent", BROWSER).header("Accept", "*/*"),
    ];
    for dress in wants {
        let client = dress(world.client(STRANGER));
        let refusal = client.get("/logs/run/log").await;
        assert_eq!((refusal.status, refusal.header("content-type")), (403, Some("application/problem+json")));
        assert!(refusal.body.len() < 1000, "pages that are open get it, too: {}", refusal.body.len());
        let problem: Value = serde_json::from_slice(&refusal.body).unwrap();
        let offer = &problem["challenge"];
        assert_eq!((&offer["algorithm"], &offer["count"]), (&json!("cachewalk-1"), &json!(16)));
        assert_eq!((&offer["rounds"], &offer["difficulty"]), (&json!(4096), &json!(64)));
        assert_eq!((&offer["expires_in"], &offer["site"]), (&json!(120), &json!("logs")));
        let submitted = json!({
            "method": "POST", "path": VERIFY, "content_type": "application/json", "fields": ["challenge", "nonces"],
        });
        assert_eq!(offer["submit"], submitted);
        let challenge = offer["challenge"].as_str().unwrap();
        let answer = submit(&world, STRANGER, challenge, &solve(challenge, 64)).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        let object = client.header("Cookie", &answer.cookie().unwrap()).get("/logs/run/log").await;
        assert_eq!((object.status, object.text().as_str()), (200, "the log"));
    }
    assert_eq!(world.metric("windscreen_challenges_issued_total{site=\"logs\",tier=\"default\"}").await, 2.0);
    // No body, no challenge.
    let head = world.client(STRANGER).header("Accept", "application/problem+json").send("HEAD", "/logs/run/log").await;
    assert_eq!((head.status, head.body.len()), (403, 0));
    assert_eq!(world.metric("windscreen_challenges_issued_total{site=\"logs\",tier=\"default\"}").await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_may_buy_no_pass_is_offered_none() {
    let policy = "version: 1\nmode: enforce\nlimits: {one: {key: prefix, requests: 1/hour}}\n\
                  challenge: {tiers: {default: 64}, limits: [one]}\ndefault: {action: challenge}\n";
    let world = Setup::new().policy(policy).start().await;
    let client = world.client(STRANGER).header("Accept", "application/problem+json");
    let first: Value = serde_json::from_slice(&client.get("/logs/a").await.body).unwrap();
    let challenge = first["challenge"]["challenge"].as_str().unwrap();
    assert_eq!(submit(&world, STRANGER, challenge, &solve(challenge, 64)).await.status, 204);
    let refusal = client.get("/logs/a").await;
    assert_eq!((refusal.status, refusal.header("content-type")), (429, Some("application/problem+json")));
    assert!(refusal.header("retry-after").is_some() && !refusal.text().contains("cachewalk"), "{}", refusal.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_reads_text_is_told_the_command() {
    let world = Setup::new().policy(TOLL).start().await;
    let cases: [(&str, &str, &str); 3] = [
        ("http", "/logs/run-1/log.html", "http://logs:8080/logs/run-1/log.html' -o log.html\n"),
        ("https", "/logs/it's%20%24(id)?x=1", "https://logs:8080/logs/it%27s%20%24%28id%29' -o download\n"),
        ("http", "/logs/$(id)", "http://logs:8080/logs/%24%28id%29' -o download\n"),
    ];
    for (scheme, target, command) in cases {
        let client = world.client(STRANGER).curl().header("Host", "logs:8080").header("X-Forwarded-Proto", scheme);
        let refusal = client.get(target).await;
        assert_eq!((refusal.status, refusal.header("content-type")), (403, Some("text/plain; charset=utf-8")));
        let text = refusal.text();
        assert!(text.contains(&format!("\n  windscreen fetch '{command}")), "{text}");
    }
    let text = world.client(STRANGER).header("User-Agent", "Python-urllib/3.13").get("/logs/a").await.text();
    assert!(text.contains("windscreen fetch") && text.contains("<Code>AccessDenied</Code>"), "{text}");
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
