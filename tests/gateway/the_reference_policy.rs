//! What policies/cockpit.yaml decides for the clients that it is written for, in all modes.

use crate::harness::{BROWSER, CI, Client, INTERNAL, STRANGER, Setup, eventually, sum_in};

type Dress = fn(Client) -> Client;

#[tokio::test(flavor = "multi_thread")]
async fn observe_holds_the_default_back_too() {
    let world = Setup::new().policy("version: 1\nmode: observe\ndefault: {action: deny}\n").start().await;
    world.put("logs", "a", b"object");
    assert_eq!(world.client(STRANGER).curl().get("/logs/a").await.status, 200);
    let line = "windscreen_would_be_total{action=\"deny\",class=\"unknown\",rule=\"default\",site=\"logs\"}";
    eventually("it is recorded", async || world.metric(line).await == 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decides_for_each_kind_of_client() {
    // who, from, as, path, status when enforced, status when observed, class
    let cases: [(&str, &str, Dress, &str, u16, u16, &str); 13] = [
        ("CI fetches a log", CI, |c| c.curl(), "/logs/run/log", 200, 200, "ci"),
        ("CI in a browser", CI, |c| c.navigating(), "/logs/run/log", 200, 200, "ci"),
        ("CI asks for a private image", CI, |c| c.curl(), "/images/rhel-9", 403, 403, "ci"),
        ("the internal network asks for it", INTERNAL, |c| c.curl(), "/images/rhel-9", 200, 200, "tool"),
        ("a stranger asks for it", STRANGER, |c| c.curl(), "/images/rhel-9", 403, 403, "tool"),
        ("anyone fetches an image", STRANGER, |c| c, "/images/fedora", 200, 200, "unknown"),
        ("a browser fetches an image", STRANGER, |c| c.navigating(), "/images/fedora", 200, 200, "human"),
        ("a tool reads a log", STRANGER, |c| c.curl(), "/logs/run/log", 200, 200, "tool"),
        ("a browser opens a log", STRANGER, |c| c.navigating(), "/logs/run/log", 403, 200, "human"),
        ("a program without a name", STRANGER, |c| c, "/logs/run/log", 403, 200, "unknown"),
        (
            "a declared crawler",
            STRANGER,
            |c| c.header("User-Agent", "GPTBot/1.2"),
            "/logs/run/log",
            403,
            200,
            "declared-bot",
        ),
        (
            "a live viewer polls",
            STRANGER,
            |c| c.header("User-Agent", BROWSER),
            "/logs/run/log.chunks",
            200,
            200,
            "human",
        ),
        (
            "Prometheus scrapes",
            STRANGER,
            |c| c.header("User-Agent", "Prometheus/3.0"),
            "/logs/prometheus",
            200,
            200,
            "tool",
        ),
    ];
    for mode in ["enforce", "auto", "observe"] {
        let world = Setup::new().mode(mode).start().await;
        for key in ["run/log", "run/log.chunks", "prometheus"] {
            world.put("logs", key, b"text");
        }
        world.put("images", "rhel-9", b"private");
        world.put("images", "fedora", b"image");
        for (index, (who, from, dress, path, enforced, observed, class)) in cases.into_iter().enumerate() {
            let answer = dress(world.client(from)).get(path).await;
            let expected = if mode == "observe" { observed } else { enforced };
            assert_eq!(answer.status, expected, "{mode}: {who}");
            // A response is booked after its last byte is sent.
            eventually("the request is booked", async || {
                sum_in(&world.metrics().await, "windscreen_requests_total", &[]) as usize == index + 1
            })
            .await;
            let metrics = world.metrics().await;
            let label = format!("class=\"{class}\"");
            assert!(sum_in(&metrics, "windscreen_requests_total", &[&label]) > 0.0, "{mode}: {who}: {metrics}");
        }
        let metrics = world.metrics().await;
        let would_be = sum_in(&metrics, "windscreen_would_be_total", &[]) as u64;
        assert_eq!(would_be, if mode == "observe" { 3 } else { 0 }, "{mode}: {metrics}");
        if mode == "observe" {
            let parts = ["rule=\"browsers\"", "action=\"challenge\"", "class=\"human\""];
            assert_eq!(sum_in(&metrics, "windscreen_would_be_total", &parts), 1.0);
            let parts = ["rule=\"ai-crawlers\"", "action=\"deny\"", "class=\"declared-bot\""];
            assert_eq!(sum_in(&metrics, "windscreen_would_be_total", &parts), 1.0);
        }
    }
}
