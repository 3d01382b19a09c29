//! One client in a loop is limited; another is not disturbed.

use crate::harness::{BROWSER, CI, Client, STRANGER, Setup, eventually, manual_clock, metric_in};
use std::time::Duration;

const POLICY: &str = "version: 1\nmode: enforce\ndefault: {action: allow, limits: [all, one]}\n\
                      limits: {all: {key: prefix, requests: 10/s, burst: 20}, one: {key: address, requests: 5/s, burst: 10}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn per_address_and_per_prefix() {
    let clock = manual_clock();
    // The second store takes unsigned requests, whatever the clock says.
    let sites = "  logs:\n    prefix: /logs\n    origins: [{name: second, url: 'http://{second}/logs', credentials: anonymous}]\n";
    let world = Setup::new().policy(POLICY).clock(clock.clone()).sites(sites).start().await;
    world.put_second("logs", "a", b"a");
    let count = async |address: &str, requests: usize| {
        let mut good = 0;
        for _ in 0..requests {
            good += usize::from(world.client(address).curl().get("/logs/a").await.status == 200);
        }
        good
    };
    assert_eq!(count("192.0.2.1", 30).await, 10, "the burst of the address");
    assert_eq!(count("192.0.2.2", 30).await, 10, "what its prefix has left: refused requests were charged to nobody");
    assert_eq!(count("198.51.100.1", 10).await, 10, "another prefix is not disturbed");
    clock.advance(Duration::from_secs(1));
    assert_eq!(count("192.0.2.1", 30).await, 5, "the address gets its rate back");
    clock.advance(Duration::from_secs(3600));
    assert_eq!(count("192.0.2.1", 30).await, 10, "and its burst, no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_at_a_hundred_a_second_does_not_disturb_others() {
    let world = Setup::new().start().await;
    world.put("logs", "a", b"a");
    let scraper = world.client(STRANGER).curl();
    let looping = tokio::spawn(async move {
        let (mut good, mut refused) = (0, 0);
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..600 {
            ticks.tick().await;
            match scraper.get("/logs/a").await.status {
                200 => good += 1,
                429 => refused += 1,
                other => panic!("{other}"),
            }
        }
        (good, refused)
    });
    for _ in 0..50 {
        assert_eq!(world.client(CI).curl().get("/logs/a").await.status, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (good, refused) = looping.await.unwrap();
    // Tools get a burst of 300 and 5/s: six seconds bring 30 more; a slow machine takes longer and brings a few more.
    assert!((325..=400).contains(&good) && refused >= 200, "{good} good, {refused} refused");
    let metrics = world.metrics().await;
    let hit = metric_in(
        &metrics,
        "windscreen_limits_hit_total{limit=\"tools\",mode=\"enforce\",outcome=\"refuse\",site=\"logs\"}",
    );
    assert_eq!(hit as usize, refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_dialect_hears_when_to_come_back() {
    let policy = "version: 1\nmode: enforce\ndefault: {action: allow, limits: [one]}\nlimits: {one: {key: address, requests: 1/min, burst: 1}}\n";
    let world = Setup::new().policy(policy).start().await;
    world.put("logs", "a", b"a");
    type Case<'a> = (fn(Client) -> Client, u16, &'a str, &'a str);
    let cases: [Case; 4] = [
        (|c| c.curl(), 429, "text/plain; charset=utf-8", "Try again in"),
        (|c| c.header("User-Agent", "Python-urllib/3.13"), 503, "application/xml", "<Code>SlowDown</Code>"),
        (|c| c.navigating(), 429, "text/html; charset=utf-8", "<h1>Too Many Requests</h1>"),
        (
            |c| c.header("User-Agent", BROWSER).header("Accept", "*/*"),
            429,
            "application/problem+json",
            "\"status\":429",
        ),
    ];
    for (index, (dress, status, kind, text)) in cases.into_iter().enumerate() {
        let client = dress(world.client(&format!("192.0.2.{index}")));
        assert_eq!(client.get("/logs/a").await.status, 200);
        let answer = client.get("/logs/a").await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(kind)));
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((50..=60).contains(&wait), "{wait}");
        assert!(answer.text().contains(text), "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"one\";q=1;w=60"));
        let state = answer.header("ratelimit").unwrap();
        assert!(state.starts_with("\"one\";r=0;t="), "{state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn observed_limits_refuse_nobody() {
    let policy = "version: 1\nmode: observe\ndefault: {action: allow, limits: [one]}\nlimits: {one: {key: address, requests: 1/min, burst: 1}}\n";
    let world = Setup::new().policy(policy).start().await;
    world.put("logs", "a", b"a");
    for _ in 0..5 {
        assert_eq!(world.client(CI).get("/logs/a").await.status, 200);
    }
    let line = "windscreen_would_be_total{action=\"limit\",class=\"unknown\",rule=\"default\",site=\"logs\"}";
    eventually("all are booked", async || world.metric(line).await == 4.0).await;
}
