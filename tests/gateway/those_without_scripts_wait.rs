//! A browser that runs no scripts gets a small pass for waiting, by a link that is bound to it, and nobody gets many.

use crate::harness::passes::{issue, put_numbered, served, with_pass};
use crate::harness::{Answer, STRANGER, Setup, World, manual_clock};
use std::sync::Arc;
use std::time::Duration;
use windscreen::clock::ManualClock;

const POLICY: &str = "version: 1\nmode: enforce\n\
    rules:\n  - {name: hard, match: {path: '/hard*'}, action: challenge, tier: hard}\n  - {name: all, action: challenge}\n\
    default: {action: allow}\n\
    limits:\n  waits: {key: prefix, requests: 3/hour, burst: 3}\n\
    challenge:\n  tiers: {default: 64, hard: 128}\n\
    \x20 wait: {after: 8s, tiers: [default], requests: 5, bytes: 1 MB, per: 10m, limits: [waits]}\n";
const ELSEWHERE: &str = "198.51.100.77";

async fn world(policy: &str) -> (World, Arc<ManualClock>) {
    let clock = manual_clock();
    let world = Setup::new().policy(policy).clock(clock.clone()).start().await;
    for key in ["a", "b", "hard"] {
        world.put("logs", key, b"object");
    }
    put_numbered(&world, 5);
    (world, clock)
}

/// The link in the page, as a browser without scripts sees it.
pub fn link(page: &Answer) -> Option<String> {
    assert_eq!(page.status, 403);
    let text = page.text();
    let href = text.split("<noscript>").skip(1).find_map(|part| part.split("href=\"").nth(1))?;
    let href = href.split('"').next().unwrap().replace("&amp;", "&");
    href.starts_with("/.windscreen/wait?").then_some(href)
}

async fn open(world: &World, address: &str, path: &str) -> Answer {
    world.client(address).navigating().get(path).await
}

/// Follows the link with whatever cookie it brings.
async fn follow(world: &World, address: &str, link: &str) -> (Answer, Option<String>) {
    let answer = open(world, address, link).await;
    let cookie = answer.cookie();
    (answer, cookie)
}

/// Waits and follows, until the pass is in the jar.
async fn waited(world: &World, clock: &ManualClock, path: &str) -> String {
    let link = link(&open(world, STRANGER, path).await).unwrap();
    clock.advance(Duration::from_secs(8));
    follow(world, STRANGER, &link).await.1.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_reads_the_page_that_was_asked_for() {
    let (world, clock) = world(POLICY).await;
    let path = "/logs/a?q=a%23b&c=%2F";
    let page = open(&world, STRANGER, path).await;
    let link = link(&page).unwrap();
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"8;url={}\">", link.replace('&', "&amp;"));
    assert!(page.text().contains(&refresh), "{}", page.text());

    let (early, cookie) = follow(&world, STRANGER, &link).await;
    assert_eq!((early.status, early.header("retry-after"), cookie), (403, Some("8"), None));
    clock.advance(Duration::from_millis(7500));
    let (early, cookie) = follow(&world, STRANGER, &link).await;
    assert_eq!((early.status, early.header("retry-after"), cookie), (403, Some("1"), None));
    clock.advance(Duration::from_millis(500));
    let (sold, cookie) = follow(&world, STRANGER, &link).await;
    assert_eq!((sold.status, sold.header("cache-control")), (303, Some("no-store")));
    let arrived = sold.header("location").unwrap();
    let there = with_pass(&world, STRANGER, cookie.as_ref().unwrap(), arrived).await;
    assert_eq!((there.status, there.header("location")), (303, Some(path)));
    let object = with_pass(&world, STRANGER, cookie.as_ref().unwrap(), path).await;
    assert_eq!((object.status, object.text().as_str()), (200, "object"));
    assert_eq!(world.metric("windscreen_passes_waited_total{site=\"logs\"}").await, 1.0);

    // A browser that keeps no cookies learns it, and does not go in a circle.
    let nowhere = open(&world, STRANGER, arrived).await;
    assert_eq!((nowhere.status, nowhere.header("location")), (403, None));
    assert!(nowhere.text().contains("did not keep the cookie"), "{}", nowhere.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pass_is_small_and_is_not_renewed() {
    let (world, clock) = world(POLICY).await;
    let cookie = waited(&world, &clock, "/logs/a").await;
    assert_eq!(served(&world, STRANGER, &cookie, 0, 5).await, 5);
    assert_eq!(with_pass(&world, STRANGER, &cookie, "/logs/a").await.status, 403, "its requests are used up");

    let cookie = waited(&world, &clock, "/logs/a").await;
    clock.advance(Duration::from_secs(9 * 60));
    let late = with_pass(&world, STRANGER, &cookie, "/logs/a").await;
    assert_eq!((late.status, late.cookie()), (200, None), "no renewal");
    clock.advance(Duration::from_secs(60));
    assert_eq!(with_pass(&world, STRANGER, &cookie, "/logs/a").await.status, 403, "it is over");
    // Nor for a page that is still open.
    let fetch = world.client(STRANGER).fetching("/logs/a").header("Cookie", &cookie).get("/logs/b").await;
    assert_eq!(fetch.status, 403);
    assert_eq!(with_pass(&world, ELSEWHERE, &cookie, "/logs/a").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn following_a_link_again_yields_the_same_pass() {
    let (world, clock) = world(POLICY).await;
    let link = link(&open(&world, STRANGER, "/logs/a").await).unwrap();
    clock.advance(Duration::from_secs(8));
    let first = follow(&world, STRANGER, &link).await.1.unwrap();
    for _ in 0..10 {
        assert_eq!(follow(&world, STRANGER, &link).await.1.as_ref(), Some(&first));
    }
    assert_eq!(world.metric("windscreen_passes_waited_total{site=\"logs\"}").await, 1.0);
    assert_eq!(served(&world, STRANGER, &first, 0, 5).await, 5);
    assert_eq!(with_pass(&world, STRANGER, &first, "/logs/a").await.status, 403, "one account");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_bound_to_the_client_and_to_its_time() {
    let (world, clock) = world(POLICY).await;
    let link = link(&open(&world, STRANGER, "/logs/a").await).unwrap();
    clock.advance(Duration::from_secs(8));
    let (elsewhere, cookie) = follow(&world, ELSEWHERE, &link).await;
    assert_eq!((elsewhere.status, elsewhere.header("location"), cookie), (303, Some("/logs/a"), None));
    for at in (0..link.len()).skip("/.windscreen/wait?".len()) {
        let mut forged = link.clone().into_bytes();
        forged[at] = if forged[at] == b'1' { b'2' } else { b'1' };
        let (answer, cookie) = follow(&world, STRANGER, &String::from_utf8(forged).unwrap()).await;
        assert_eq!((answer.status, cookie, answer.header("location")), (400, None, None), "byte {at}");
    }
    let challenge = issue(&world, STRANGER, "/logs/a").await;
    for nonsense in ["", "?", "?w1~x", "?%00", &format!("?{challenge}"), &format!("?{}", "a".repeat(5000))] {
        let answer = open(&world, STRANGER, &format!("/.windscreen/wait{nonsense}")).await;
        assert_eq!((answer.status, answer.cookie()), (400, None), "{nonsense}");
        let answer = open(&world, STRANGER, &format!("/.windscreen/arrived{nonsense}")).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{nonsense}");
    }
    assert_eq!(world.client(STRANGER).navigating().send("POST", &link).await.status, 405);
    clock.advance(Duration::from_secs(593));
    let (late, cookie) = follow(&world, STRANGER, &link).await;
    assert_eq!((late.status, late.header("location"), cookie), (303, Some("/logs/a"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_nowhere_but_to_this_site() {
    let (world, _) = world(POLICY).await;
    for target in
        ["//evil.example/", "/\\evil.example/", "/logs/../../evil", "http://evil.example/a", "/logs/a%0d%0aX: y"]
    {
        let page = open(&world, STRANGER, target).await;
        assert_eq!(page.status, 400, "{target}");
    }
    let page = open(&world, STRANGER, "/logs/a?javascript:alert(1)//'%22%3Cscript%3E").await;
    let link = link(&page).unwrap();
    assert!(link.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.?~:-_".contains(&byte)), "{link}");
    let long = format!("/logs/a?{}", "x".repeat(1500));
    assert_eq!(self::link(&open(&world, STRANGER, &long).await), None, "too long to be kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_is_no_way_around_a_harder_tier() {
    let (world, clock) = world(POLICY).await;
    let page = open(&world, STRANGER, "/logs/hard").await;
    assert_eq!(link(&page), None);
    assert!(page.text().contains("<noscript>"), "it says that JavaScript is needed");
    let cookie = waited(&world, &clock, "/logs/a").await;
    assert_eq!(with_pass(&world, STRANGER, &cookie, "/logs/hard").await.status, 403);
    assert_eq!(with_pass(&world, STRANGER, &cookie, "/logs/a").await.status, 200);
    assert_eq!(with_pass(&world, STRANGER, &cookie, "/images/a").await.status, 403, "nor to another site");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_gets_as_many_as_the_policy_says() {
    let (world, clock) = world(POLICY).await;
    let mut links = Vec::new();
    for _ in 0..10 {
        links.push(link(&open(&world, STRANGER, "/logs/a").await).unwrap());
    }
    clock.advance(Duration::from_secs(8));
    let mut sold = 0;
    for link in &links {
        let (answer, cookie) = follow(&world, STRANGER, link).await;
        sold += u32::from(cookie.is_some());
        assert_eq!(answer.status, if cookie.is_some() { 303 } else { 403 });
    }
    assert_eq!(sold, 3, "waiting for many at once takes no longer, so it is counted");
    assert_eq!(link(&open(&world, STRANGER, "/logs/a").await), None, "not offered in vain");
    assert!(link(&open(&world, ELSEWHERE, "/logs/a").await).is_some(), "others are not bound by it");
    // Whoever is refused for the count may follow the same link later.
    clock.advance(Duration::from_secs(1200));
    assert!(link(&open(&world, STRANGER, "/logs/a").await).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_there_is_no_such_way() {
    let policy = POLICY.split("  wait:").next().unwrap();
    let (world, _) = world(policy).await;
    assert_eq!(link(&open(&world, STRANGER, "/logs/a").await), None);
}

/// What a text browser shows of a page, with a list of its links.
async fn shown(browser: &str, home: &std::path::Path, url: &str) -> String {
    let arguments = match browser {
        "w3m" => &["-cookie", "-dump", "-o", "display_link_number=1"][..],
        _ => &["-dump", "-accept_all_cookies", "-cookie_file=jar", "-cookie_save_file=jar"],
    };
    let mut command = tokio::process::Command::new(browser);
    command.args(arguments).arg(url).env("HOME", home).current_dir(home);
    let output = command.output().await;
    let output = output.unwrap_or_else(|error| panic!("{browser}: {error}; `make tools-test` installs it"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn text_browsers_read_on() {
    let policy = POLICY.replace("after: 8s", "after: 1s");
    for browser in ["w3m", "lynx"] {
        let world = Setup::new().policy(&policy).start().await;
        world.put("logs", "log", b"so much for the log");
        let url = format!("http://{}/logs/log?a=b", world.server.addresses[0]);
        let home = tempfile::TempDir::new().unwrap();
        let page = shown(browser, home.path(), &url).await;
        assert!(page.contains("Continue without JavaScript"), "{browser}: {page}");
        let mut link = page.lines().filter_map(|line| line.find("http://").map(|at| &line[at..]));
        let link = link.rfind(|link| link.contains("/.windscreen/wait?")).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let log = shown(browser, home.path(), link).await;
        assert!(log.contains("so much for the log"), "{browser}: {log}");
        assert_eq!(world.metric("windscreen_passes_waited_total{site=\"logs\"}").await, 1.0, "{browser}");
    }
}
