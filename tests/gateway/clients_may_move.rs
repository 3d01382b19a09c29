//! A phone leaves one network for another, and a machine with two addresses uses both: neither works in vain for ever.

use crate::browsers_of_both_kinds_pass::{CHALLENGED, EASY, challenges, world};
use crate::harness::browser::{Browser, Driven};
use crate::harness::passes::{VERIFY, issue, solve, submit, with_pass};
use crate::harness::{STRANGER, Setup, World};
use serde_json::{Value, json};

const POLICY: &str = "version: 1\nmode: enforce\nrules: [{name: all, action: challenge}]\ndefault: {action: allow}\n\
    challenge: {tiers: {default: 64}}\n";
const ELSEWHERE: &str = "198.51.100.7";
const THIRD: &str = "2001:db8:7::1";

async fn start() -> World {
    let world = Setup::new().policy(POLICY).start().await;
    world.put("logs", "a", b"object");
    world
}

async fn refused(world: &World, reason: &str) -> f64 {
    world.metric(&format!("windscreen_challenges_failed_total{{reason=\"{reason}\"}}")).await
}

/// What somebody gets who brings a solution from another network.
async fn moved(world: &World, to: &str, challenge: &str) -> Value {
    let answer = submit(world, to, challenge, &solve(challenge, 64)).await;
    assert_eq!((answer.status, answer.cookie()), (403, None));
    serde_json::from_str(&answer.text()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_moved_solves_once_more_for_both_networks_and_no_third() {
    let world = start().await;
    for solved_at in [STRANGER, ELSEWHERE] {
        let first = issue(&world, STRANGER, "/logs/a").await;
        let problem = moved(&world, ELSEWHERE, &first).await;
        assert!(problem["detail"].as_str().unwrap().contains("good in both"), "{problem}");
        let offer = &problem["challenge"];
        assert_eq!(
            (&offer["difficulty"], &offer["site"], &offer["submit"]["path"]),
            (&json!(64), &json!("logs"), &json!(VERIFY))
        );
        let second = offer["challenge"].as_str().unwrap();
        assert_ne!(second, first);
        let third = moved(&world, THIRD, second).await;
        assert_eq!(third["challenge"], Value::Null, "whoever moves on and on gets none");
        let answer = submit(&world, solved_at, second, &solve(second, 64)).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        let cookie = answer.cookie().unwrap();
        for address in [STRANGER, ELSEWHERE] {
            assert_eq!(with_pass(&world, address, &cookie, "/logs/a").await.status, 200);
        }
        let first = submit(&world, STRANGER, &first, &solve(&first, 64)).await;
        assert_eq!(first.status, 204, "the first one is not spent by the attempt, and costs as much");
    }
    assert_eq!(refused(&world, "prefix").await, 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_one_for_a_network_of_their_choice() {
    let world = start().await;
    let first = issue(&world, STRANGER, "/logs/a").await;
    let problem = moved(&world, ELSEWHERE, &first).await;
    let second = problem["challenge"]["challenge"].as_str().unwrap();
    let fields: Vec<&str> = second.split('~').collect();
    let (tag, fields) = fields.split_last().unwrap();
    let (before, rest) = fields.split_last().unwrap();
    assert_eq!(*before, "192.0.2.0/24");
    let nonces = solve(second, 64);
    for forged in [
        format!("{}~2001:db8:7::/48~{tag}", rest.join("~")),
        format!("{}~{tag}", rest.join("~")),
        format!("{}~{before}~{before}~{tag}", rest.join("~")),
        format!("{first}~2001:db8:7::/48"),
    ] {
        let answer = submit(&world, THIRD, &forged, &nonces).await;
        assert_eq!((answer.status, answer.cookie()), (403, None), "{forged}");
        assert!(!answer.text().contains("\"challenge\""), "{}", answer.text());
    }
    assert_eq!(refused(&world, "forged").await, 4.0);
}

/// Holds a solution back until it is told to go on.
const HELD: &str = "
const send = window.fetch;
window.fetch = async (url, ...rest) => {
  window.sends = (window.sends || 0) + 1;
  while (window.sends > (window.may || 0)) await new Promise((done) => setTimeout(done, 20));
  return send(url, ...rest);
};";

async fn come_from(browser: &Browser, address: &str) {
    browser.cdp("Network.enable", json!({})).await;
    browser.cdp("Network.setExtraHTTPHeaders", json!({"headers": {"X-Forwarded-For": address}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_leaves_the_house_reads_on() {
    let (world, url) = world(EASY, "").await;
    let browser = Browser::start(&[]).await;
    browser.inject(HELD).await;
    come_from(&browser, STRANGER).await;
    browser.go(&format!("{url}/gallery/index.html?a=1#part")).await;
    browser.until("window.sends === 1").await;
    come_from(&browser, ELSEWHERE).await;
    browser.run("window.may = 1").await;
    browser.until("window.sends === 2").await;
    assert!(
        browser.run(&format!("return Boolean({CHALLENGED})")).await.as_bool().unwrap(),
        "without loading the page again"
    );
    // And back again, by the router in the hall.
    come_from(&browser, STRANGER).await;
    browser.run("window.may = 2").await;
    browser.until(&format!("!{CHALLENGED} && document.body.innerText.includes('The gallery')")).await;
    assert!(browser.run("return location.href").await.as_str().unwrap().ends_with("/gallery/index.html?a=1#part"));
    assert_eq!((challenges(&world).await, refused(&world, "prefix").await), ((1, 1), 1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moves_on_and_on_is_told_in_place_of_a_loop() {
    let (_world, url) = world(EASY, "").await;
    let browser = Browser::start(&[]).await;
    browser.inject(HELD).await;
    come_from(&browser, STRANGER).await;
    browser.go(&format!("{url}/gallery/index.html")).await;
    for (round, address) in [(1, ELSEWHERE), (2, THIRD)] {
        browser.until(&format!("window.sends === {round}")).await;
        come_from(&browser, address).await;
        browser.run(&format!("window.may = {round}")).await;
    }
    browser.until("!document.getElementById('retry').hidden").await;
    assert!(browser.text().await.contains("issued to another network"), "{}", browser.text().await);
}
