//! What a client may download: bytes over time, and downloads at a time. Who is over it is slowed before it is refused,
//! and told.

use crate::harness::browser::{Browser, Driven};
use crate::harness::passes::{issue, pass, put_numbered, served, solve, submit, with_pass};
use crate::harness::{BROWSER, CI, Client, STRANGER, Setup, World, eventually, sum_in};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MIB: usize = 1 << 20;

async fn world(limit: &str) -> World {
    let policy =
        format!("version: 1\nmode: enforce\ndefault: {{action: allow, limits: [one]}}\nlimits: {{one: {limit}}}\n");
    let world = Setup::new().policy(&policy).start().await;
    world.put("logs", "small", &[7; 1000]);
    world.put("logs", "big", &vec![7; 2 * MIB]);
    world
}

/// A download whose reader sees when bytes come.
struct Download(TcpStream);

impl Download {
    async fn begin(world: &World, path: &str) -> Download {
        let mut stream = TcpStream::connect(world.server.addresses[0]).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {STRANGER}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&first));
        Download(stream)
    }

    /// Reads to the end: how many bytes, in what time, and the longest silence.
    async fn finish(mut self) -> (usize, Duration, Duration) {
        let (start, mut last, mut silence, mut read) = (Instant::now(), Instant::now(), Duration::ZERO, 0);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let got = self.0.read(&mut buffer).await.unwrap();
            silence = silence.max(last.elapsed());
            last = Instant::now();
            read += got;
            if got == 0 {
                return (read, start.elapsed(), silence);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_over_the_budget_goes_on_smoothly_at_the_rate_of_the_limit() {
    let world = world("{key: address, bytes: 512 KiB/s, over: pace}").await;
    let (read, time, silence) = Download::begin(&world, "/logs/big").await.finish().await;
    assert!(read > 2 * MIB, "{read}");
    // Two MiB, half a MiB of which may come at once.
    assert!((2.5..8.0).contains(&time.as_secs_f64()), "{time:?}");
    assert!(silence < Duration::from_secs(2), "{silence:?}");
    eventually("it is in the numbers", async || {
        sum_in(&world.metrics().await, "windscreen_slowed_seconds_total", &["site=\"logs\""]) > 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_slows_to_the_floor_and_no_lower() {
    let world = world("{key: address, bytes: 1536 KiB/h}").await;
    let (read, time, silence) = Download::begin(&world, "/logs/big").await.finish().await;
    assert!(read > 2 * MIB, "{read}");
    // Half a MiB at 64 KiB/s.
    assert!((7.0..12.0).contains(&time.as_secs_f64()), "{time:?}");
    assert!(silence < Duration::from_secs(2), "{silence:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_requests_over_the_byte_budget_are_refused_in_each_dialect_and_heads_are_not() {
    let world = world("{key: address, bytes: 900 B/h}").await;
    type Case<'a> = (fn(Client) -> Client, u16, &'a str);
    let cases: [Case; 4] = [
        (|c| c.curl(), 429, "downloaded too much"),
        (|c| c.header("User-Agent", "Python-urllib/3.13"), 503, "<Code>SlowDown</Code>"),
        (|c| c.navigating(), 429, "role=\"timer\""),
        (|c| c.header("User-Agent", BROWSER).header("Accept", "*/*"), 429, "\"code\":\"SlowDown\""),
    ];
    for (index, (dress, status, text)) in cases.into_iter().enumerate() {
        let client = dress(world.client(&format!("192.0.2.{index}")));
        let first = client.get("/logs/small").await;
        assert_eq!((first.status, first.text().len()), (200, 1000), "what has begun is served");
        assert_eq!(first.header("ratelimit-policy"), Some("\"one-bytes\";q=900;qu=\"content-bytes\";w=3600"));
        assert_eq!(first.header("ratelimit"), Some("\"one-bytes\";r=900;t=0"), "at the header nothing is spent yet");
        let second = client.get("/logs/small").await;
        assert_eq!(second.status, status);
        assert!(second.text().contains(text), "{}", second.text());
        let wait: u64 = second.header("retry-after").unwrap().parse().unwrap();
        assert!((395..=410).contains(&wait), "{wait}");
        if index == 1 {
            let start = Instant::now();
            assert_eq!(client.send("HEAD", "/logs/small").await.status, 200);
            assert!((4.5..9.0).contains(&start.elapsed().as_secs_f64()), "delayed: {:?}", start.elapsed());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_downloads_at_a_time_and_a_killed_one_gives_its_slot_back() {
    let world = world("{key: address, transfers: 2}").await;
    world.put("logs", "huge", &vec![7; 32 * MIB]);
    let first = Download::begin(&world, "/logs/huge").await;
    let _second = Download::begin(&world, "/logs/huge").await;
    let refused = world.client(STRANGER).curl().get("/logs/small").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")));
    assert!(refused.text().contains("at the same time"), "{}", refused.text());
    assert_eq!(world.client(STRANGER).curl().send("HEAD", "/logs/small").await.status, 200, "it transfers nothing");
    assert_eq!(world.client(CI).curl().get("/logs/small").await.status, 200, "another client has its own slots");
    drop(first);
    eventually("the slot is free", async || world.client(STRANGER).curl().get("/logs/small").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_that_begin_together_overrun_the_budget_by_one_at_most() {
    let world = std::sync::Arc::new(world("{key: address, bytes: 3 MiB/h}").await);
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.client(STRANGER).curl().get("/logs/big").await })
        })
        .collect();
    let mut good = 0;
    for client in clients {
        let answer = client.await.unwrap();
        assert!([200, 429].contains(&answer.status), "{answer:?}");
        if answer.status == 200 {
            good += answer.body.len();
        } else {
            assert!(answer.text().contains("downloaded too much"), "{}", answer.text());
            assert!(answer.header("ratelimit").unwrap().starts_with("\"one-bytes\";r=0;t="));
        }
    }
    assert_eq!(good, 4 * MIB, "three, and the body that crosses the line");
    let refused = "windscreen_limits_hit_total{limit=\"one\",mode=\"enforce\",outcome=\"refuse\",site=\"logs\"}";
    assert_eq!(world.metric(refused).await, 18.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_download_gives_back_what_it_did_not_take() {
    let world = world("{key: address, bytes: 60 MiB/h}").await;
    world.put("logs", "huge", &vec![7; 32 * MIB]);
    let first = Download::begin(&world, "/logs/huge").await;
    let second = Download::begin(&world, "/logs/huge").await;
    assert_eq!(world.client(STRANGER).curl().get("/logs/small").await.status, 429);
    drop((first, second));
    eventually("there is room", async || world.client(STRANGER).curl().get("/logs/small").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slot_is_lost_however_many_clients_are_killed() {
    let world = std::sync::Arc::new(world("{key: address, transfers: 16}").await);
    let kill = |number: usize| {
        let world = world.clone();
        async move {
            for round in 0..50 {
                // Some leave before the header, some in the middle.
                world.client(STRANGER).abandon("/logs/big", (number + round) % 3 * 1000).await;
            }
        }
    };
    let clients: Vec<_> = (0..40).map(|number| tokio::spawn(kill(number))).collect();
    for client in clients {
        client.await.unwrap();
    }
    // All sixteen are there again.
    eventually("all have ended", async || world.metric("windscreen_requests_in_flight").await == 0.0).await;
    world.put("logs", "huge", &vec![7; 32 * MIB]);
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Download::begin(&world, "/logs/huge").await);
    }
    assert_eq!(world.client(STRANGER).curl().get("/logs/small").await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_is_delayed_rather_than_refused() {
    let policy = "version: 1\nmode: enforce\nrules: [{name: all, action: challenge}]\n\
        default: {action: allow, limits: [one]}\nlimits: {one: {key: address, requests: 1/s, burst: 1}}\n\
        challenge: {tiers: {default: 64}}\n";
    let world = Setup::new().policy(policy).start().await;
    world.put("logs", "a", b"a");
    let cookie = pass(&world, STRANGER, "/logs/a", 64).await;
    let page = world.client(STRANGER).navigating().header("Cookie", &cookie);
    let fetching = world.client(STRANGER).fetching("http://x/logs/a").header("Cookie", &cookie);
    assert_eq!(page.get("/logs/a").await.status, 200);
    let start = Instant::now();
    assert_eq!(fetching.get("/logs/a").await.status, 200);
    assert!(start.elapsed() > Duration::from_millis(700), "{:?}", start.elapsed());
    assert_eq!(page.get("/logs/a").await.status, 429, "a navigation can be told");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_wait_in_bounded_numbers_and_the_rest_are_refused_in_their_dialect() {
    let world = std::sync::Arc::new(world("{key: prefix, bytes: 900 B/h}").await);
    assert_eq!(world.client(STRANGER).curl().get("/logs/small").await.status, 200);
    let start = Instant::now();
    let clients: Vec<_> = (0..80)
        .map(|number| {
            let world = world.clone();
            let client = move || match number % 2 {
                0 => world.client(STRANGER).curl(),
                _ => world.client(STRANGER).header("User-Agent", "Python-urllib/3.13"),
            };
            tokio::spawn(async move {
                let answer = client().send("HEAD", "/logs/small").await;
                (number % 2, answer.status, answer.header("retry-after").is_some(), start.elapsed().as_secs_f64())
            })
        })
        .collect();
    let mut delayed = 0;
    for client in clients {
        match client.await.unwrap() {
            (_, 200, false, seconds) => {
                assert!((4.5..9.0).contains(&seconds), "{seconds}");
                delayed += 1;
            }
            (0, 429, true, seconds) | (1, 503, true, seconds) => assert!(seconds < 4.5, "{seconds}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(delayed, 64);
    assert_eq!(world.client(CI).curl().send("HEAD", "/logs/small").await.status, 200, "nobody else is crowded");
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_are_capped_over_a_network_and_get_harder() {
    let policy = "version: 1\nmode: enforce\nrules: [{name: all, action: challenge}]\ndefault: {action: allow}\n\
        limits: {passes: {key: prefix, requests: 5/h}}\n\
        challenge: {tiers: {default: 64}, pass: {requests: 4}, limits: [passes], harder: {after: 2, per: 1h, up_to: 128}}\n";
    let world = Setup::new().policy(policy).start().await;
    put_numbered(&world, 4);
    for difficulty in [64, 64, 128, 128, 128] {
        let easy = issue(&world, STRANGER, "/logs/a").await;
        assert!(easy.contains(&format!("~logs~{difficulty}~")), "{easy}");
        let cookie = pass(&world, STRANGER, "/logs/a", difficulty).await;
        assert_eq!(served(&world, STRANGER, &cookie, 0, 4).await, 4);
    }
    let answer = world.client(STRANGER).navigating().get("/logs/a").await;
    assert_eq!(answer.status, 429);
    assert!(answer.text().contains("Too many passes"), "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("ratelimit-policy"), Some("\"passes\";q=5;w=3600"));
    issue(&world, CI, "/logs/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_read_a_page_each_behind_one_address_are_not_made_to_work_harder() {
    let policy = "version: 1\nmode: enforce\nrules: [{name: all, action: challenge}]\ndefault: {action: allow}\n\
        challenge: {tiers: {default: 64}, pass: {requests: 40}, harder: {after: 1, per: 1h, up_to: 4096}}\n";
    let world = Setup::new().policy(policy).start().await;
    world.put("logs", "a", b"a");
    put_numbered(&world, 40);
    let difficulty = async || {
        let challenge = issue(&world, STRANGER, "/logs/a").await;
        challenge.split('~').nth(3).unwrap().parse::<u32>().unwrap()
    };
    for person in 0..8 {
        assert_eq!(difficulty().await, 64, "person {person}");
        let cookie = pass(&world, STRANGER, "/logs/a", 64).await;
        assert_eq!(with_pass(&world, STRANGER, &cookie, "/logs/a").await.status, 200);
    }
    // One that uses its pass up counts like sixteen of them, wherever it uses it.
    let cookie = pass(&world, STRANGER, "/logs/a", 64).await;
    for at in 0..40 {
        let from = if at % 2 == 0 { STRANGER } else { CI };
        assert_eq!(served(&world, from, &cookie, at, 1).await, 1);
    }
    assert_eq!(difficulty().await, 128);
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_are_harder_while_the_machine_is_busy() {
    let policy = |load: &str| {
        format!(
            "version: 1\nmode: enforce\nrules: [{{name: all, action: challenge}}]\ndefault: {{action: allow}}\n\
             challenge: {{tiers: {{default: 64}}, harder: {{load: {load}, up_to: 512}}}}\n"
        )
    };
    for (load, difficulty) in [("0.0000001", "~logs~512~"), ("1000000", "~logs~64~")] {
        let world = Setup::new().policy(&policy(load)).start().await;
        world.put("logs", "a", b"a");
        eventually("the load is read", async || issue(&world, STRANGER, "/logs/a").await.contains(difficulty)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_that_were_handed_out_before_buy_no_more_passes_than_the_cap() {
    let policy = "version: 1\nmode: enforce\nrules: [{name: all, action: challenge}]\ndefault: {action: allow}\n\
        limits: {passes: {key: prefix, requests: 1/h}}\nchallenge: {tiers: {default: 64}, limits: [passes]}\n";
    let world = Setup::new().policy(policy).start().await;
    world.put("logs", "a", b"a");
    let challenges = [issue(&world, STRANGER, "/logs/a").await, issue(&world, STRANGER, "/logs/a").await];
    let mut statuses = Vec::new();
    for challenge in &challenges {
        statuses.push(submit(&world, STRANGER, challenge, &solve(challenge, 64)).await.status);
    }
    assert_eq!(statuses, [204, 403]);
    assert_eq!(world.metric("windscreen_challenges_failed_total{reason=\"passes\"}").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_the_seconds_count_down() {
    // A page that is allowed would be kept or downloaded; this client is over its limit before it comes.
    let world = world("{key: site, requests: 1/min, burst: 1}").await;
    assert_eq!(world.client(STRANGER).curl().get("/logs/small").await.status, 200);
    let browser = Browser::start(&[]).await;
    let url = format!("http://{}/logs/small", world.server.addresses[0]);
    let left = "Number(document.getElementById('left')?.textContent)";
    browser.page.goto(&url).await.unwrap();
    browser.until(&format!("{left} > 30")).await;
    let first = browser.run(&format!("return {left}")).await.as_f64().unwrap();
    browser.until(&format!("{left} < {first}")).await;
    browser.picture("over-limit").await;
}
