//! Each action and each kind of match does what the policy guide says, as a client sees it.

use crate::harness::{Client, HTML, STRANGER, Setup, World, eventually, mmdb, sum_in};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn world(policy: &str) -> World {
    let world = Setup::new().policy(&format!("version: 1\nmode: enforce\n{policy}")).start().await;
    for key in ["a", "b", "trap"] {
        world.put("logs", key, b"object");
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_add_up_and_thresholds_judge_them() {
    let world = world(
        "rules:\n  - {name: one, match: {header: {x-one: true}}, action: weigh, weight: 5}\n\
         \x20 - {name: two, match: {header: {x-two: true}}, action: weigh, weight: 5}\n\
         \x20 - {name: good, match: {header: {x-good: true}}, action: weigh, weight: -5}\n\
         \x20 - {name: called, match: {header: {x-tag: true}}, action: tag, class: suspect}\n\
         thresholds:\n  - {name: some, weight: {at_least: 5, below: 10}, action: deny, status: 410}\n\
         \x20 - {name: much, weight: {at_least: 10}, action: deny, status: 451}\n\
         \x20 - {name: suspects, weight: {at_least: -9}, match: {class: suspect}, action: deny, status: 418}\n\
         default: {action: allow}\n",
    )
    .await;
    let cases: [(&[&str], u16); 6] = [
        (&[], 200),
        (&["x-one"], 410),
        (&["x-one", "x-two"], 451),
        (&["x-one", "x-good"], 200),
        (&["x-one", "x-two", "x-good"], 410),
        (&["x-tag"], 418),
    ];
    for (headers, expected) in cases {
        let client = headers.iter().fold(world.client(STRANGER).curl(), |client, name| client.header(name, "1"));
        assert_eq!(client.get("/logs/a").await.status, expected, "{headers:?}");
    }
    eventually("the books have the class", async || {
        sum_in(&world.metrics().await, "windscreen_requests_total", &["class=\"suspect\""]) == 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_passing_rules_are_charged_and_held_back_ones_recorded() {
    let rules = |mode: &str| {
        format!(
            "rules:\n  - {{name: few, match: {{header: {{x-few: true}}}}, action: limit, limits: [two], mode: {mode}}}\n\
             default: {{action: allow}}\nlimits: {{two: {{key: address, requests: 1/h, burst: 2}}}}\n"
        )
    };
    let enforcing = world(&rules("enforce")).await;
    let observing = world(&rules("observe")).await;
    for (world, expected) in [(&enforcing, [200, 200, 429]), (&observing, [200, 200, 200])] {
        for status in expected {
            assert_eq!(world.client(STRANGER).curl().header("X-Few", "1").get("/logs/a").await.status, status);
        }
        assert_eq!(world.client(STRANGER).curl().get("/logs/a").await.status, 200);
    }
    let parts = ["rule=\"few\"", "action=\"limit\""];
    eventually("it is recorded", async || {
        sum_in(&observing.metrics().await, "windscreen_would_be_total", &parts) == 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_strikes_who_walks_into_it_and_nobody_else() {
    const BAIT: &str = "/logs/trap";
    let policy = "rules:\n  - {name: trap, match: {path: /trap}, action: strike}\n\
                  \x20 - {name: out, match: {strikes: {at_least: 1.9}}, action: deny}\ndefault: {action: allow}\n";
    let world = world(policy).await;
    let browser = |address: &str| world.client(address).header("User-Agent", "Mozilla/5.0 Firefox/150.0");
    let navigating = |address: &str| browser(address).header("Accept", HTML);
    let host = world.server.addresses[0].to_string();
    // who, from where, caught
    let cases: [(&str, Client, &str, bool); 8] = [
        ("a program", world.client("192.0.2.1").curl(), "192.0.2.1", true),
        ("a page that may stand in a frame elsewhere", navigating("192.0.3.1"), "192.0.3.1", false),
        (
            "a person who opens the page, on a secure origin",
            navigating("192.0.9.1").header("Sec-Fetch-Site", "none").header("Sec-Fetch-Mode", "navigate"),
            "192.0.9.1",
            true,
        ),
        ("an image elsewhere", browser("192.0.4.1").header("Accept", "image/avif,*/*"), "192.0.4.1", false),
        (
            "an image elsewhere, on a secure origin",
            browser("192.0.5.1").header("Sec-Fetch-Site", "cross-site").header("Sec-Fetch-Mode", "no-cors"),
            "192.0.5.1",
            false,
        ),
        ("a link elsewhere", navigating("192.0.6.1").header("Referer", "http://forum.example/"), "192.0.6.1", false),
        (
            "a link elsewhere, on a secure origin",
            navigating("192.0.7.1").header("Sec-Fetch-Site", "cross-site").header("Sec-Fetch-Mode", "navigate"),
            "192.0.7.1",
            false,
        ),
        (
            "a link on our own page",
            navigating("192.0.8.1").header("Referer", &format!("http://{host}/logs/a")),
            "192.0.8.1",
            true,
        ),
    ];
    for (who, client, address, caught) in cases {
        for _ in 0..2 {
            assert_eq!(client.get(BAIT).await.status, 200, "{who}");
            // It goes on record when the answer is sent.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let wanted = if caught { 403 } else { 200 };
        let neighbour = address.replace(".1", ".99");
        eventually(who, async || world.client(&neighbour).curl().get("/logs/a").await.status == wanted).await;
        if !caught {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(world.client(&neighbour).curl().get("/logs/a").await.status, 200, "{who}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slowed_transfer_keeps_flowing_at_its_rate() {
    let world = world(
        "rules:\n  - {name: slow, match: {path: {prefix: /big}}, action: slow, rate: 256 KiB/s}\ndefault: {action: allow}\n",
    )
    .await;
    world.put("logs", "big", &vec![7; 768 * 1024]);
    let mut stream = TcpStream::connect(world.server.addresses[0]).await.unwrap();
    stream.write_all(b"GET /logs/big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let (start, mut last, mut gap, mut read) = (Instant::now(), Instant::now(), Duration::ZERO, 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        if count == 0 {
            break;
        }
        gap = gap.max(last.elapsed());
        last = Instant::now();
        read += count;
    }
    assert!(read > 768 * 1024, "{read}");
    let took = start.elapsed();
    assert!(took > Duration::from_millis(2000), "768 KiB at 256 KiB/s took {took:?}");
    assert!(gap < Duration::from_secs(2), "silent for {gap:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_come_from_databases_and_networks_from_files_and_feeds() {
    let policy = "version: 1\nmode: enforce\nnetworks:\n  listed: {file: blocks.txt}\n  fed: {feed: 'file://{directory}/feed.txt'}\n\
                  rules:\n  - {name: country, match: {country: [BR]}, action: deny, status: 451}\n\
                  \x20 - {name: system, match: {asn: 64500}, action: deny, status: 410}\n\
                  \x20 - {name: file, match: {network: listed}, action: deny, status: 418}\n\
                  \x20 - {name: feed, match: {network: fed}, action: deny, status: 423}\n\
                  \x20 - {name: inline, match: {prefix: 198.51.100.128/25}, action: deny, status: 409}\n\
                  \x20 - {name: expression, match: {when: 'headers[\"x-number\"].contains(\"7\")'}, action: deny, status: 406}\n\
                  default: {action: allow}\n";
    let world = Setup::new()
        .policy(policy)
        .file("blocks.txt", b"# ours\n192.0.2.0/24\n")
        .file("feed.txt", b"203.0.113.0/24\n2001:db8::/32\n")
        .file("countries.mmdb", &mmdb::countries(&[("198.51.100.0/26", "BR")]))
        .file("systems.mmdb", &mmdb::networks(&[("198.51.100.64/26", 64500)]))
        .more("geoip: {country: countries.mmdb, asn: systems.mmdb}\n")
        .start()
        .await;
    world.put("logs", "a", b"object");
    let get = async |address: &str| world.client(address).curl().get("/logs/a").await.status;
    eventually("the feed is read", async || get("203.0.113.9").await == 423).await;
    let cases = [
        ("198.51.100.1", 451),
        ("198.51.100.65", 410),
        ("192.0.2.1", 418),
        ("2001:db8::1", 423),
        ("198.51.100.129", 409),
        ("100.0.0.1", 200),
    ];
    for (address, expected) in cases {
        assert_eq!(get(address).await, expected, "{address}");
    }
    let numbered = world.client("100.0.0.1").curl().header("X-Number", "17");
    assert_eq!(numbered.get("/logs/a").await.status, 406);
    let metrics = world.metrics().await;
    assert!(metrics.contains("windscreen_feed_prefixes"), "{metrics}");
    eventually("failed expressions are counted", async || {
        world.metric("windscreen_expression_errors_total").await >= 1.0
    })
    .await;
}
