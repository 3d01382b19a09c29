//! Pages that are open go on, for as long as they are: through the renewals of their pass, many of them on one, and after a
//! sleep. The gateway's clock is moved; the page's is not.

use crate::harness::browser::{Browser, Driven};
use crate::harness::firefox::Firefox;
use crate::harness::passes::pass;
use crate::harness::{STRANGER, Setup, World, manual_clock, sum_in};
use std::sync::Arc;
use std::time::Duration;
use windscreen::clock::ManualClock;
use windscreen::demo::samples::{RunningTest, fill};

/// Every path needs a pass, the live log's too. Passes are those of the reference policy, or the built-in ones.
const POLICY: &str = "version: 1\nmode: enforce\nrules: [{name: all, action: challenge}]\ndefault: {action: allow}\n\
    challenge: {tiers: {default: 64}}\n";
const LIVE: &str = "document.getElementById('state')?.dataset.state === 'live'";
/// How often a live page asks.
const PERIOD: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3600);

async fn world(policy: &str) -> (World, Arc<ManualClock>) {
    let clock = manual_clock();
    // Nothing is signed: the store's clock does not move along.
    let sites = "  logs: {prefix: /logs, origins: [{name: a, url: 'http://{first}/logs', credentials: anonymous}]}\n";
    (Setup::new().policy(policy).clock(clock.clone()).sites(sites).open_first().start().await, clock)
}

async fn a_live_page(browser: &dyn Driven) {
    let (world, clock) = world(POLICY).await;
    let root = world.directory.path().join("first");
    fill(&root, &world.directory.path().join("second")).unwrap();
    let mut test = RunningTest::new(&root).unwrap();
    browser.go(&format!("http://{}/logs/pull-1235-fedora-42/log.html", world.server.addresses[0])).await;
    browser.until(LIVE).await;
    // The page asks when it is told to, in place of every half minute.
    let ask = "window.setTimeout = () => 0; await poll(); \
        return [document.getElementById('state').dataset.state, document.getElementById('log').textContent.length]";
    let mut before = 0;
    let mut asked = async |what: &str| {
        test.append().unwrap();
        let seen = browser.try_run(ask).await.unwrap();
        assert_eq!(seen[0], "live", "{what}");
        let length = seen[1].as_u64().unwrap();
        assert!(length > before, "{what}: the log grows: {before} to {length}");
        before = length;
    };
    for round in 0..130 {
        clock.advance(PERIOD);
        asked(&format!("after {} s", 30 * round)).await;
    }
    let renewed = sum_in(&world.metrics().await, "windscreen_passes_renewed_total", &[]);
    assert!(renewed >= 2.0, "{renewed}");
    clock.advance(3 * HOUR);
    asked("on a laptop that slept for three hours").await;
    clock.advance(PERIOD);
    asked("and is awake").await;
    let metrics = world.metrics().await;
    assert_eq!(sum_in(&metrics, "windscreen_challenges_solved_total", &[]), 1.0, "asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn for_an_hour_and_after_a_sleep_in_chromium() {
    a_live_page(&Browser::start(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_an_hour_and_after_a_sleep_in_firefox() {
    a_live_page(&Firefox::start(&[]).await).await;
}

/// Ten logs that grow by a piece a minute, in ten tabs that look every half minute.
#[tokio::test(flavor = "multi_thread")]
async fn ten_tabs_live_on_one_pass_for_an_hour() {
    let policy = POLICY.replace("default: 64}", "default: 64}, pass: {requests: 1000}");
    let (world, clock) = world(&policy).await;
    for tab in 0..10 {
        world.put("logs", &format!("{tab}/log.chunks"), b"[1]");
        (0..60).for_each(|minute| world.put("logs", &format!("{tab}/log.{minute}-{}", minute + 1), b"x"));
    }
    let mut cookie = pass(&world, STRANGER, "/logs/0/log.html", 64).await;
    let get = async |path: String, cookie: &mut String| {
        let client = world.client(STRANGER).fetching("/logs/0/log.html").header("Cookie", cookie);
        let answer = client.get(&path).await;
        if let Some(renewed) = answer.cookie() {
            *cookie = renewed;
        }
        answer.status
    };
    for round in 0..120 {
        clock.advance(PERIOD);
        for tab in 0..10 {
            let list = get(format!("/logs/{tab}/log.chunks"), &mut cookie).await;
            assert_eq!(list, 200, "tab {tab} after {} s", 30 * round);
            if round % 2 == 0 {
                let minute = round / 2;
                let piece = get(format!("/logs/{tab}/log.{minute}-{}", minute + 1), &mut cookie).await;
                assert_eq!(piece, 200, "tab {tab} after {} s", 30 * round);
            }
        }
    }
    assert_eq!(sum_in(&world.metrics().await, "windscreen_challenges_solved_total", &[]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_reference_policy_a_live_log_takes_nothing_from_a_pass() {
    let world = Setup::new().start().await;
    world.put("logs", "run/log.chunks", b"[1]");
    for _ in 0..3 {
        let answer = world.client(STRANGER).fetching("/logs/run/log.html").get("/logs/run/log.chunks").await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(world.metric("windscreen_passes_live").await, 0.0);
}
