//! A site's origins are asked in their order, each for what it has: what they lack is remembered, who fails is left alone
//! for a while, and nobody ever gets parts of two objects as one.

use crate::harness::client::Answer;
use crate::harness::scripted::{Deed, Scripted};
use crate::harness::{CI, OPEN, Setup, World, eventually, manual_clock, sum_in};
use std::sync::Arc;
use std::time::Duration;
use windscreen::clock::ManualClock;

const OBJECT: &[u8] = b"0123456789abcdefghij";

/// The images site has these origins. Nothing in it changes but `/index.html`.
async fn world(clock: Arc<ManualClock>, origins: &[(&str, &Scripted)]) -> World {
    let origins: Vec<String> = origins.iter().map(|(name, origin)| origin.origin(name)).collect();
    let sites =
        format!("  images:\n    prefix: /images\n    mutable: [/index.html]\n    origins: [{}]\n", origins.join(", "));
    Setup::new().policy(OPEN).clock(clock).sites(&sites).start().await
}

async fn ask(world: &World, method: &str, range: bool, path: &str) -> Answer {
    let client = world.client(CI).curl();
    let client = if range { client.header("Range", "bytes=5-9") } else { client };
    client.send(method, path).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_answers_comes_to_the_object_or_to_an_honest_refusal() {
    let deeds = [
        Deed::Has(OBJECT),
        Deed::Says(404),
        Deed::Says(403),
        Deed::Says(500),
        Deed::Says(503),
        Deed::Silent,
        Deed::HangsUp,
    ];
    let is_miss = |deed: &Deed| matches!(deed, Deed::Says(403 | 404));
    let mut tasks = tokio::task::JoinSet::new();
    for first in deeds {
        for second in deeds {
            tasks.spawn(async move {
                let (one, two) = (Scripted::start(first).await, Scripted::start(second).await);
                let world = world(manual_clock(), &[("one", &one), ("two", &two)]).await;
                for (method, range) in [("GET", false), ("HEAD", false), ("GET", true)] {
                    // Each for itself: nothing is remembered of it.
                    let path = format!("/images/{method}{range}");
                    let answer = ask(&world, method, range, &path).await;
                    let case = format!("{first:?} {second:?} {method} {range}");
                    if [&first, &second].iter().any(|deed| **deed == Deed::Has(OBJECT)) {
                        assert_eq!(answer.status, if range { 206 } else { 200 }, "{case}");
                        let body = match (method, range) {
                            ("HEAD", _) => &b""[..],
                            (_, true) => &OBJECT[5..10],
                            _ => OBJECT,
                        };
                        assert_eq!(answer.body, body, "{case}");
                    } else if is_miss(&first) && is_miss(&second) {
                        let Deed::Says(status) = second else { unreachable!() };
                        assert_eq!(answer.status, status, "{case}");
                    } else {
                        assert!(matches!(answer.status, 502..=504), "{case}: {}", answer.status);
                        assert!(answer.header("retry-after").is_some(), "{case}");
                    }
                }
            });
        }
    }
    assert_eq!(tasks.join_all().await.len(), 49);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_first_lacks_is_asked_of_the_second_at_once() {
    let clock = manual_clock();
    let (one, two) = (Scripted::start(Deed::Says(404)).await, Scripted::start(Deed::Has(OBJECT)).await);
    let world = world(clock.clone(), &[("one", &one), ("two", &two)]).await;
    for _ in 0..3 {
        assert_eq!(ask(&world, "GET", false, "/images/a").await.body, OBJECT);
    }
    assert_eq!((one.asked(), two.asked()), (1, 3));
    clock.advance(Duration::from_secs(599));
    ask(&world, "HEAD", false, "/images/a").await;
    assert_eq!((one.asked(), two.asked()), (1, 4));
    // Another name, and what changes: the first may have that by now.
    ask(&world, "GET", false, "/images/b").await;
    ask(&world, "GET", false, "/images/index.html").await;
    clock.advance(Duration::from_secs(6));
    ask(&world, "GET", false, "/images/index.html").await;
    assert_eq!((one.asked(), two.asked()), (4, 7));
    clock.advance(Duration::from_secs(1000));
    ask(&world, "GET", false, "/images/a").await;
    assert_eq!((one.asked(), two.asked()), (5, 8));
    let metrics = world.metrics().await;
    let fallbacks = |family, labels: &[&str]| sum_in(&metrics, family, labels);
    assert_eq!(fallbacks("windscreen_fallback_responses_total", &["two", "reason=\"miss\""]), 8.0);
    assert_eq!(fallbacks("windscreen_fallback_responses_total", &["reason=\"failure\""]), 0.0);
    assert_eq!(fallbacks("windscreen_fallback_bytes_total", &["two"]), 7.0 * OBJECT.len() as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_is_not_asked_for_again_at_once() {
    let clock = manual_clock();
    let (one, two) = (Scripted::start(Deed::Says(404)).await, Scripted::start(Deed::Says(403)).await);
    let world = world(clock.clone(), &[("one", &one), ("two", &two)]).await;
    for _ in 0..3 {
        let answer = ask(&world, "GET", false, "/images/a").await;
        assert_eq!((answer.status, answer.header("cache-control")), (403, Some("no-store")));
    }
    assert_eq!((one.asked(), two.asked()), (1, 1));
    for wait in [1, 5] {
        clock.advance(Duration::from_secs(wait));
        ask(&world, "GET", false, "/images/a").await;
    }
    assert_eq!((one.asked(), two.asked()), (2, 2), "whoever has just uploaded it comes to look");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_failing_is_left_alone_and_tried_again() {
    let clock = manual_clock();
    let (one, two) = (Scripted::start(Deed::Says(500)).await, Scripted::start(Deed::Has(OBJECT)).await);
    let world = world(clock.clone(), &[("one", &one), ("two", &two)]).await;
    for number in 0..20 {
        assert_eq!(ask(&world, "GET", false, &format!("/images/{number}")).await.status, 200);
    }
    assert_eq!(one.asked(), 5);
    clock.advance(Duration::from_secs(6));
    for number in 0..5 {
        ask(&world, "GET", false, &format!("/images/again{number}")).await;
    }
    assert_eq!(one.asked(), 6, "one request tries it");
    let metrics = world.metrics().await;
    assert_eq!(sum_in(&metrics, "windscreen_fallback_responses_total", &["reason=\"failure\""]), 25.0);
    assert_eq!(sum_in(&metrics, "windscreen_fallback_responses_total", &["reason=\"miss\""]), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_left_alone_may_have_what_the_others_lack() {
    let (one, two) = (Scripted::start(Deed::Says(500)).await, Scripted::start(Deed::Says(404)).await);
    let world = world(manual_clock(), &[("one", &one), ("two", &two)]).await;
    for number in 0..10 {
        assert_eq!(ask(&world, "GET", false, &format!("/images/{number}")).await.status, 502, "{number}");
    }
    assert_eq!((one.asked(), two.asked()), (5, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_origin_is_never_left_alone() {
    let one = Scripted::start(Deed::Says(500)).await;
    let world = world(manual_clock(), &[("one", &one)]).await;
    for _ in 0..10 {
        assert_eq!(ask(&world, "GET", false, "/images/a").await.status, 502);
    }
    assert_eq!(one.asked(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_broke_off_goes_on_at_another_origin() {
    for deed in [Deed::Cuts(OBJECT), Deed::Stalls(OBJECT)] {
        let (one, two) = (Scripted::start(deed).await, Scripted::start(Deed::Has(OBJECT)).await);
        let world = world(manual_clock(), &[("one", &one), ("two", &two)]).await;
        let get = format!("GET /images/a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {CI}\r\n\r\n");
        let raw = world.client(CI).raw(get.as_bytes()).await;
        let text = String::from_utf8_lossy(&raw).into_owned();
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("ontent-Length: 20"), "{text}");
        let had = text.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(had.as_bytes(), &OBJECT[..10], "an honest cut");
        eventually("it is counted", async || {
            sum_in(&world.metrics().await, "windscreen_origin_errors_total", &["one"]) == 1.0
        })
        .await;
        let rest = world.client(CI).header("Range", "bytes=10-19").get("/images/a").await;
        assert_eq!((rest.status, &*rest.body), (206, &OBJECT[10..]), "{deed:?}");
        assert_eq!((one.asked(), two.asked()), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_does_not_go_on_with_another_object() {
    let (one, two) = (Scripted::start(Deed::Cuts(OBJECT)).await, Scripted::start(Deed::Has(b"another object")).await);
    let world = world(manual_clock(), &[("one", &one), ("two", &two)]).await;
    world
        .client(CI)
        .raw(format!("GET /images/a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {CI}\r\n\r\n").as_bytes())
        .await;
    eventually("it is counted", async || {
        sum_in(&world.metrics().await, "windscreen_origin_errors_total", &["one"]) == 1.0
    })
    .await;
    // The first is asked once more, since the second has something else.
    let get = format!("GET /images/a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {CI}\r\nRange: bytes=10-19\r\n\r\n");
    let raw = world.client(CI).raw(get.as_bytes()).await;
    let text = String::from_utf8_lossy(&raw).into_owned();
    assert!(text.contains("ontent-Range: bytes 10-19/20") && text.ends_with("\r\n\r\nabcde"), "{text}");
    assert_eq!(two.asked(), 1);
    let metrics = world.metrics().await;
    assert_eq!(sum_in(&metrics, "windscreen_origin_divergences_total", &["two"]), 1.0);
    // Who wants all of it gets all of one, and whoever is in the middle of the other goes on with that.
    for _ in 0..3 {
        let whole = world.client(CI).get("/images/a").await;
        assert_eq!((whole.status, &*whole.body), (200, &b"another object"[..]));
        let raw = world.client(CI).raw(get.as_bytes()).await;
        assert!(String::from_utf8_lossy(&raw).ends_with("\r\n\r\nabcde"), "never of another object");
    }
    // Beyond the end of the other object is not beyond the end.
    let beyond = world.client(CI).header("Range", "bytes=15-").header("If-None-Match", "\"x\"").get("/images/a").await;
    assert!(beyond.status == 206 || beyond.status == 502, "{}", beyond.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_do_not_close_an_origin_to_others() {
    let (one, two) = (Scripted::start(Deed::Says(400)).await, Scripted::start(Deed::Says(404)).await);
    let world = world(manual_clock(), &[("one", &one), ("two", &two)]).await;
    for number in 0..10 {
        assert_eq!(ask(&world, "GET", false, &format!("/images/{number}")).await.status, 502);
    }
    assert_eq!(one.asked(), 10, "it is asked every time");
    let long = ask(&world, "GET", false, &format!("/images/{}", "k".repeat(1025))).await;
    assert_eq!((long.status, one.asked()), (400, 10), "no object has such a name");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_fail_what_one_still_has_is_served() {
    let clock = manual_clock();
    let (one, two) = (Scripted::start(Deed::Says(404)).await, Scripted::start(Deed::Says(500)).await);
    let three = Scripted::start(Deed::Has(OBJECT)).await;
    let world = world(clock.clone(), &[("one", &one), ("two", &two), ("three", &three)]).await;
    let site = world.server.gateway.sites.iter().next().unwrap().clone();
    for origin in &site.origins {
        for _ in 0..5 {
            origin.breaker.failed(windscreen::clock::Timestamp(u64::MAX / 2));
        }
        assert!(origin.breaker.is_open());
    }
    let answer = ask(&world, "GET", false, "/images/a").await;
    assert_eq!((answer.status, &*answer.body), (200, OBJECT), "all of them are asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_in_the_second_is_looked_for_in_the_first_again() {
    let clock = manual_clock();
    let (one, two) = (Scripted::start(Deed::Says(404)).await, Scripted::start(Deed::Has(OBJECT)).await);
    let world = world(clock.clone(), &[("one", &one), ("two", &two)]).await;
    for _ in 0..8 {
        ask(&world, "GET", false, "/images/a").await;
        clock.advance(Duration::from_secs(300));
    }
    assert_eq!(one.asked(), 4, "every ten minutes, however often it is asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_the_first_are_compared_with_the_second() {
    let others: [(Deed, &str); 4] = [
        (Deed::Has(OBJECT), "same"),
        (Deed::Has(b"another object"), "differs"),
        (Deed::Says(404), "lacks"),
        (Deed::HangsUp, "failed"),
    ];
    for (deed, result) in others {
        let clock = manual_clock();
        let (one, two) = (Scripted::start(Deed::Has(OBJECT)).await, Scripted::start(deed).await);
        let origins = [one.origin("one"), two.origin("two")].join(", ");
        let sites =
            format!("  images: {{prefix: /images, mutable: [/index.html], compare: 1m, origins: [{origins}]}}\n");
        let world = Setup::new().policy(OPEN).clock(clock.clone()).sites(&sites).start().await;
        for path in ["/images/index.html", "/images/a", "/images/b"] {
            assert_eq!(ask(&world, "GET", false, path).await.body, OBJECT);
        }
        let label = format!("result=\"{result}\"");
        let compared = async || {
            let metrics = world.metrics().await;
            let all = sum_in(&metrics, "windscreen_origin_comparisons_total", &["two"]);
            (all, sum_in(&metrics, "windscreen_origin_comparisons_total", &["two", &label]))
        };
        eventually(result, async || compared().await == (1.0, 1.0)).await;
        assert_eq!(two.asked(), 1, "one in a minute, and nothing that changes");
        clock.advance(Duration::from_secs(60));
        ask(&world, "HEAD", false, "/images/c").await;
        eventually(result, async || compared().await == (2.0, 2.0)).await;
    }
}
