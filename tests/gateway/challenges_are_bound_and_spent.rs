//! A challenge is bound to site, tier and prefix, is spent once, and buys a pass that is worth its budget and no more.

use crate::harness::passes::{VERIFY, issue, pass, put_numbered, served, solve, submit, with_pass};
use crate::harness::{BROWSER, STRANGER, Setup, World, manual_clock, metric_in};
use serde_json::json;
use std::time::Duration;
use windscreen::demo::samples::Attributes;

/// Easy puzzles and a small budget.
const POLICY: &str = "version: 1\nmode: enforce\n\
    rules: [{name: all, action: challenge}]\n\
    default: {action: allow}\n\
    challenge: {tiers: {default: 64}, pass: {requests: 10, bytes: 10 kB, per: 1h, prefixes: 2, renew_until: 3h}, grace: 2h}\n";

async fn failed(world: &World, reason: &str) -> f64 {
    world.metric(&format!("windscreen_challenges_failed_total{{reason=\"{reason}\"}}")).await
}

async fn world() -> World {
    let world = Setup::new().policy(POLICY).start().await;
    world.put("logs", "a", b"object");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_solution_buys_a_pass_and_the_pass_opens_the_site() {
    let world = world().await;
    let challenge = issue(&world, STRANGER, "/logs/a").await;
    let answer = submit(&world, STRANGER, &challenge, &solve(&challenge, 64)).await;
    assert_eq!(answer.status, 204);
    let cookie = answer.header("set-cookie").unwrap();
    for attribute in ["windscreen-logs=", "; Path=/", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "plain http, this host only: {cookie}");
    let answer = with_pass(&world, STRANGER, &answer.cookie().unwrap(), "/logs/a").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "object"));
    assert_eq!(answer.header("cache-control"), Some("private"));
    assert_eq!(world.metric("windscreen_challenges_solved_total{site=\"logs\"}").await, 1.0);
    // The origin's own words on caching stay, but for shared caches.
    let attributes = Attributes::of("text/plain").with("cache_control", "public, no-cache, s-maxage=9");
    world.put_with("logs", "mutable", b"object", &attributes);
    let cookie = pass(&world, STRANGER, "/logs/a", 64).await;
    let answer = with_pass(&world, STRANGER, &cookie, "/logs/mutable").await;
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_secure_where_the_client_speaks_tls() {
    let world = world().await;
    let challenge = issue(&world, STRANGER, "/logs/a").await;
    let body = json!({"challenge": challenge, "nonces": solve(&challenge, 64)}).to_string();
    let client = world.client(STRANGER).header("Content-Type", "application/json").header("X-Forwarded-Proto", "https");
    let answer = client.send_body("POST", VERIFY, body.as_bytes()).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-windscreen-logs=") && cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_submission_yields_the_same_pass_and_no_second_budget() {
    let world = world().await;
    let challenge = issue(&world, STRANGER, "/logs/a").await;
    let nonces = solve(&challenge, 64);
    let mut passes = std::collections::BTreeSet::new();
    let mut statuses = Vec::new();
    let submissions: Vec<_> = (0..50).map(|_| submit(&world, STRANGER, &challenge, &nonces)).collect();
    for submission in submissions {
        let answer = submission.await;
        statuses.push(answer.status);
        passes.extend(answer.cookie());
    }
    assert!(statuses.iter().all(|status| *status == 204), "{statuses:?}");
    assert_eq!(passes.len(), 1);
    assert_eq!(world.metric("windscreen_challenges_solved_total{site=\"logs\"}").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_prefix_cannot_submit_without_end() {
    let world = world().await;
    let wrong: Vec<u32> = (0..16).collect();
    for _ in 0..130 {
        let challenge = issue(&world, STRANGER, "/logs/a").await;
        submit(&world, STRANGER, &challenge, &wrong).await;
    }
    assert!(failed(&world, "quota").await >= 1.0);
    let challenge = issue(&world, "198.51.100.1", "/logs/a").await;
    assert_eq!(submit(&world, "198.51.100.1", &challenge, &solve(&challenge, 64)).await.status, 204, "others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_count_too_and_are_charged_before_they_are_sent() {
    let world = world().await;
    world.put("logs", "large", &vec![b'x'; 6000]);
    let cookie = pass(&world, STRANGER, "/logs/a", 64).await;
    assert_eq!(with_pass(&world, STRANGER, &cookie, "/logs/large").await.status, 200);
    let head = world.client(STRANGER).header("User-Agent", BROWSER).header("Cookie", &cookie);
    assert_eq!(head.send("HEAD", "/logs/large").await.status, 200, "a HEAD takes no bytes");
    assert_eq!(with_pass(&world, STRANGER, &cookie, "/logs/large").await.status, 200, "budget is left, so one more");
    assert_eq!(with_pass(&world, STRANGER, &cookie, "/logs/a").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_transfers_at_once_do_not_overdraw_a_pass() {
    let policy = POLICY.replace("requests: 10,", "requests: 1000,");
    let world = std::sync::Arc::new(Setup::new().policy(&policy).start().await);
    world.put("logs", "large", &vec![b'x'; 6000]);
    let cookie = pass(&world, STRANGER, "/logs/a", 64).await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (world, cookie) = (world.clone(), cookie.clone());
            tokio::spawn(async move { with_pass(&world, STRANGER, &cookie, "/logs/large").await })
        })
        .collect();
    let mut bytes = 0;
    for task in tasks {
        let answer = task.await.unwrap();
        assert!([200, 403, 429].contains(&answer.status), "{answer:?}");
        bytes += if answer.status == 200 { answer.body.len() } else { 0 };
    }
    assert_eq!(bytes, 12_000, "ten kilobytes, and the response that crosses the line");
}

/// Who is let in for the pass draws on it, whichever way the policy asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_had_by_a_pass_draws_on_it() {
    let deny = "{name: rest, action: deny}";
    let cases = [
        ("", format!("{{name: paid, match: {{identity: pass}}, action: allow}}, {deny}")),
        ("", format!("{{name: paid, match: {{when: \"identity == 'pass'\"}}, action: allow}}, {deny}")),
        ("", format!("{{name: paid, match: {{identity: pass}}, action: redirect}}, {deny}")),
        ("", "{name: unpaid, match: {identity: none}, action: deny}".to_owned()),
        (
            "classes: [{class: human, match: {identity: pass}}]\n",
            format!("{{name: people, match: {{class: human}}, action: allow}}, {deny}"),
        ),
        (
            "thresholds: [{name: heavy, weight: {at_least: 5}, action: deny}]\n",
            "{name: unpaid, match: {not: {identity: pass}}, action: weigh, weight: 5}".to_owned(),
        ),
    ];
    for (more, rules) in cases {
        let policy = format!(
            "version: 1\nmode: enforce\n{more}rules: [{{name: gate, match: {{path: /gate}}, action: challenge}}, {rules}]\n\
             default: {{action: allow}}\nchallenge: {{tiers: {{default: 64}}, pass: {{requests: 3}}}}\n"
        );
        let world = Setup::new().policy(&policy).start().await;
        put_numbered(&world, 5);
        let cookie = pass(&world, STRANGER, "/logs/gate", 64).await;
        let mut statuses = Vec::new();
        for number in 0..5 {
            statuses.push(with_pass(&world, STRANGER, &cookie, &format!("/logs/{number}")).await.status);
        }
        // What strangers are denied is served here rather than by a URL that they may be given.
        assert_eq!(statuses, [200, 200, 200, 403, 403], "{policy}");
        assert_eq!(world.metric("windscreen_passes_rejected_total{reason=\"budget\",site=\"logs\"}").await, 2.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_everybody_has_draws_on_no_pass_and_a_spent_pass_is_none() {
    let policy = "version: 1\nmode: enforce\nclasses: [{class: human, match: {identity: pass}}]\n\
        rules:\n  - {name: open, match: {path: /open}, action: allow}\n  - {name: gate, match: {path: /gate}, action: challenge}\n\
        \x20 - {name: paid, match: {identity: pass, path: '/paid*'}, action: allow}\n\
        \x20 - {name: unpaid, match: {identity: none, path: '/paid*'}, action: deny, status: 410}\n\
        default: {action: allow}\nchallenge: {tiers: {default: 64}, pass: {requests: 3, per: 1h}}\n";
    let clock = manual_clock();
    let world = Setup::new().policy(policy).clock(clock.clone()).sites(SECOND).start().await;
    for key in ["open", "gate", "paid", "paid-2", "other"] {
        world.put_second("logs", key, b"object");
    }
    let cookie = pass(&world, STRANGER, "/logs/gate", 64).await;
    let get = async |path: &str| with_pass(&world, STRANGER, &cookie, path).await.status;
    for _ in 0..5 {
        assert_eq!((get("/logs/open").await, get("/logs/other").await), (200, 200));
    }
    assert_eq!((get("/logs/paid").await, get("/logs/gate").await, get("/logs/paid-2").await), (200, 200, 200));
    assert_eq!(get("/logs/paid").await, 410, "the rule for those without a pass");
    assert_eq!(get("/logs/open").await, 200);

    let late = pass(&world, STRANGER, "/logs/gate", 64).await;
    let fetch = world.client(STRANGER).fetching("/logs/log.html").header("Cookie", &late);
    for path in ["/logs/paid", "/logs/paid-2"] {
        assert_eq!(fetch.get(path).await.status, 200);
    }
    clock.advance(Duration::from_secs(3601));
    assert_eq!(fetch.get("/logs/paid").await.status, 410, "expired, and too much of it is used to renew it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_that_challenges_is_met_by_a_pass() {
    let policy = "version: 1\nmode: enforce\ndefault: {action: challenge}\nchallenge: {tiers: {default: 64}}\n";
    let world = Setup::new().policy(policy).start().await;
    world.put("logs", "a", b"object");
    let cookie = pass(&world, STRANGER, "/logs/a", 64).await;
    assert_eq!(with_pass(&world, STRANGER, &cookie, "/logs/a").await.status, 200);
    let budget = world.metric("windscreen_passes_live").await;
    assert_eq!(budget, 1.0, "the request drew on it");
}

#[tokio::test(flavor = "multi_thread")]
async fn challenge_pages_are_limited_too() {
    let policy = "version: 1\nmode: enforce\ndefault: {action: challenge, limits: [few]}\nlimits: {few: {key: address, requests: 1/min, burst: 2}}\n";
    let world = Setup::new().policy(policy).start().await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(world.client(STRANGER).navigating().get("/logs/a").await.status);
    }
    assert_eq!(statuses, [403, 403, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_used_modestly_renews_itself_until_its_end() {
    let clock = manual_clock();
    let world = Setup::new().policy(POLICY).clock(clock.clone()).sites(SECOND).start().await;
    world.put_second("logs", "a", b"object");
    let mut cookie = pass(&world, STRANGER, "/logs/a", 64).await;
    let mut renewals = 0;
    let start = cookie.clone();
    // One request every 29 minutes: never without a pass, until three hours after the first issue.
    let mut last = 0;
    for step in 1..=10 {
        clock.advance(Duration::from_secs(29 * 60));
        let answer = with_pass(&world, STRANGER, &cookie, "/logs/a").await;
        if answer.status != 200 {
            last = step;
            break;
        }
        if let Some(renewed) = answer.cookie() {
            assert_eq!(answer.header("cache-control"), Some("private"));
            cookie = renewed;
            renewals += 1;
        }
    }
    let id = |cookie: &str| cookie.split('~').nth(2).unwrap().to_owned();
    assert_eq!(id(&start), id(&cookie), "the account stays");
    assert!(renewals >= 3, "{renewals}");
    assert_eq!(last, 7, "203 minutes are over three hours");
    assert_eq!(
        metric_in(&world.metrics().await, "windscreen_passes_renewed_total{site=\"logs\"}"),
        f64::from(renewals)
    );
}

/// The second store takes unsigned requests, whatever the clock says.
const SECOND: &str =
    "  logs:\n    prefix: /logs\n    origins: [{name: second, url: 'http://{second}/logs', credentials: anonymous}]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_greedy_pass_is_not_renewed_and_a_sleeping_laptop_is_woken() {
    let clock = manual_clock();
    let world = Setup::new().policy(POLICY).clock(clock.clone()).sites(SECOND).start().await;
    world.put_second("logs", "a", b"object");
    let greedy = pass(&world, STRANGER, "/logs/a", 64).await;
    // Whether they are there or not.
    served(&world, STRANGER, &greedy, 0, 8).await;
    let modest = pass(&world, STRANGER, "/logs/a", 64).await;
    clock.advance(Duration::from_secs(40 * 60));
    assert_eq!(with_pass(&world, STRANGER, &greedy, "/logs/a").await.cookie(), None, "not renewed");
    clock.advance(Duration::from_secs(30 * 60));
    let late = world.client(STRANGER).fetching("/logs/log.html").header("Cookie", &greedy).get("/logs/a").await;
    assert_eq!(late.status, 403, "nor revived once it has expired");

    // The modest one sleeps past its end.
    clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(with_pass(&world, STRANGER, &modest, "/logs/a").await.status, 403, "a navigation is asked again");
    let foreign = world.client(STRANGER).header("User-Agent", BROWSER).header("Cookie", &modest);
    let foreign = foreign.header("Referer", "http://elsewhere.example/").header("Accept", "*/*");
    assert_eq!(foreign.get("/logs/a").await.status, 403, "another site's fetch is not");
    let own = world.client(STRANGER).fetching("/logs/log.html").header("Cookie", &modest).get("/logs/a").await;
    assert_eq!(own.status, 200, "a fetch of an open page goes on");
    let renewed = own.cookie().expect("and renews the pass");
    assert_eq!(with_pass(&world, STRANGER, &renewed, "/logs/a").await.status, 200);

    clock.advance(Duration::from_secs(4 * 3600));
    let late = world.client(STRANGER).fetching("/logs/log.html").header("Cookie", &modest).get("/logs/a").await;
    assert_eq!(late.status, 403, "the grace has an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_does_not_refill_budgets() {
    let clock = manual_clock();
    let before = Setup::new().policy(POLICY).clock(clock.clone()).fixed_pass_keys().start().await;
    let cookie = pass(&before, STRANGER, "/logs/a", 64).await;
    drop(before);
    clock.advance(Duration::from_secs(60));
    let world = Setup::new().policy(POLICY).clock(clock.clone()).fixed_pass_keys().start().await;
    world.put("logs", "a", b"object");
    let mut good = 0;
    for _ in 0..10 {
        good += usize::from(with_pass(&world, STRANGER, &cookie, "/logs/a").await.status == 200);
    }
    assert_eq!(good, 1, "a pass from before is worth a tenth");
}
