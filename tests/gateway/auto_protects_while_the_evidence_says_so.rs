//! Rules of mode `auto` are enforced while the evidence says so: on within the span of a scrape, off when its end is long
//! enough ago, and people whose pages are open are not interrupted.

use crate::harness::{Answer, BROWSER, STRANGER, Setup, World, manual_clock, metric_in};
use std::sync::Arc;
use std::time::Duration;
use windscreen::clock::ManualClock;
use windscreen::cost::{Money, Share};
use windscreen::verdict::Class;

const SCRAPER: &str = "198.51.100.77";
const POLICY: &str = "version: 1\nmode: enforce\nclasses:\n\
    \x20 - {class: suspect, match: {user_agent: {regex: Scraper}}}\n\
    \x20 - {class: human, match: {user_agent: {regex: Mozilla}}}\n\
    rules:\n\
    \x20 - {name: suspects, match: {class: suspect}, action: deny, mode: auto}\n\
    \x20 - {name: people, match: {class: human}, action: challenge, mode: auto}\n\
    \x20 - {name: always, match: {path: /never}, action: deny}\n\
    default: {action: allow}\n\
    challenge: {tiers: {default: 64}, pass: {requests: 5, per: 1h}}\n\
    auto: {any: [{requests: 1/s, per: 1m}, {bytes: 1 GB, per: 10m}], hold: 30m}\n";

async fn world(policy: &str) -> (World, Arc<ManualClock>) {
    let clock = manual_clock();
    // Nothing is signed: the store's clock does not move along.
    let sites = "  logs: {prefix: /logs, origins: [{name: a, url: 'http://{first}/logs', credentials: anonymous}]}\n";
    let world = Setup::new().policy(policy).clock(clock.clone()).sites(sites).open_first().start().await;
    for key in ["page", "never"] {
        world.put("logs", key, b"object");
    }
    (0..12).for_each(|number| world.put("logs", &format!("part-{number}"), b"object"));
    (world, clock)
}

async fn scrape(world: &World, count: usize) -> u16 {
    let mut last = 0;
    for _ in 0..count {
        last = world.client(SCRAPER).header("User-Agent", "Scraper/1").get("/logs/page").await.status;
    }
    last
}

async fn navigate(world: &World) -> u16 {
    world.client(STRANGER).navigating().get("/logs/page").await.status
}

/// A part of a page that is open.
async fn part(world: &World, address: &str, number: usize) -> Answer {
    let client = world.client(address).fetching("/logs/page").header("User-Agent", BROWSER);
    client.get(&format!("/logs/part-{number}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_switches_it_on_and_its_end_off() {
    let (world, clock) = world(POLICY).await;
    assert_eq!((scrape(&world, 20).await, navigate(&world).await), (200, 200), "held back");
    assert_eq!(world.client(STRANGER).curl().get("/logs/never").await.status, 403, "other rules are in force");
    world.server.auto.look();
    assert_eq!(scrape(&world, 1).await, 200, "a little is no evidence");
    let ratio = world.metric("windscreen_auto_evidence_ratio").await;
    assert!((0.3..0.4).contains(&ratio), "{ratio}");

    scrape(&world, 60).await;
    world.server.auto.look();
    assert_eq!((scrape(&world, 1).await, navigate(&world).await), (403, 403), "switched on");
    let metrics = world.metrics().await;
    assert_eq!(metric_in(&metrics, "windscreen_auto_active"), 1.0);
    assert_eq!(metric_in(&metrics, "windscreen_auto_switches_total{to=\"on\"}"), 1.0);

    // The scraper goes on in vain, and is evidence all the same.
    for _ in 0..6 {
        clock.advance(Duration::from_secs(600));
        scrape(&world, 60).await;
        world.server.auto.look();
    }
    assert_eq!(scrape(&world, 1).await, 403);
    for minutes in [20, 9] {
        clock.advance(Duration::from_secs(minutes * 60));
        world.server.auto.look();
        assert_eq!(navigate(&world).await, 403, "the hold is not over");
    }
    clock.advance(Duration::from_secs(120));
    world.server.auto.look();
    assert_eq!((scrape(&world, 1).await, navigate(&world).await), (200, 200), "switched off");
    assert_eq!(world.metric("windscreen_auto_switches_total{to=\"off\"}").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_open_go_on_within_the_budget_of_a_pass() {
    let (world, _) = world(POLICY).await;
    assert_eq!(part(&world, STRANGER, 11).await.status, 200);
    scrape(&world, 70).await;
    world.server.auto.look();
    let first = part(&world, STRANGER, 11).await;
    assert_eq!((first.status, first.header("cache-control")), (200, Some("private")));
    let mut served = 1;
    for number in 0..10 {
        // Whatever address of the prefix, it is one budget.
        served += usize::from(part(&world, &format!("192.0.2.{number}"), number).await.status == 200);
    }
    assert_eq!(served, 5);
    assert_eq!(part(&world, "203.0.113.9", 0).await.status, 200, "others have their own");
    let elsewhere = world.client("203.0.113.9").header("User-Agent", BROWSER).header("Sec-Fetch-Site", "cross-site");
    let elsewhere = elsewhere.header("Sec-Fetch-Mode", "cors").header("Sec-Fetch-Dest", "empty");
    assert_eq!(elsewhere.get("/logs/part-0").await.status, 403, "a page elsewhere was not open here");
    assert_eq!(navigate(&world).await, 403, "the next page meets the challenge");
    assert_eq!(scrape(&world, 1).await, 403, "a denial knows no grace");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_section_it_is_enforced_and_observe_holds_all_back() {
    let bare = POLICY.split_once("auto: {any").unwrap().0;
    let (world, _) = world(bare).await;
    assert_eq!((scrape(&world, 1).await, navigate(&world).await), (403, 403));
    assert!(!world.metrics().await.contains("windscreen_auto_active"), "there is no evidence to tell of");

    let (world, _) = self::world(&POLICY.replace("mode: enforce\nclasses", "mode: observe\nclasses")).await;
    scrape(&world, 100).await;
    world.server.auto.look();
    assert_eq!(scrape(&world, 1).await, 200);
    assert_eq!(world.metric("windscreen_auto_active").await, 1.0, "it says what it would do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_of_mode_auto_holds_back_rules_without_a_mode() {
    let policy = POLICY.replace("mode: enforce\nclasses", "mode: auto\nclasses");
    let (world, _) = world(&policy).await;
    let never = async || world.client(STRANGER).curl().get("/logs/never").await.status;
    assert_eq!(never().await, 200);
    scrape(&world, 70).await;
    world.server.auto.look();
    assert_eq!(never().await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_month_would_cost_is_evidence() {
    let policy = POLICY.split_once("auto: {any").unwrap().0;
    let (world, _) = world(&format!("{policy}auto: {{any: [{{projected_cost: 25 USD/month}}]}}\n")).await;
    let month = |cents| Share { cost: Money::from_cents(cents), ..Share::default() };
    for (suspects, on) in [(2499, false), (2500, true)] {
        // What people take is no evidence.
        let months = [(Class::Suspect, suspects), (Class::Human, 100_000)];
        let months = months.map(|(class, cents)| (("logs".into(), class), month(cents)));
        world.server.auto.set_months(months.into_iter().collect());
        world.server.auto.look();
        assert_eq!(navigate(&world).await, if on { 403 } else { 200 }, "{suspects}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_thresholds() {
    let (world, _) = world(POLICY).await;
    scrape(&world, 70).await;
    world.server.auto.look();
    assert_eq!(navigate(&world).await, 403);
    let directory = world.directory.path();
    let without = POLICY.split_once("auto: {any").unwrap().0.replace(", mode: auto", ", mode: observe");
    std::fs::write(directory.join("policy.yaml"), without).unwrap();
    assert!(world.server.steering.reload(&directory.join("gateway.yaml")).0);
    world.server.auto.look();
    assert_eq!(navigate(&world).await, 200);
    assert!(!world.metrics().await.contains("windscreen_auto_active"));
}
