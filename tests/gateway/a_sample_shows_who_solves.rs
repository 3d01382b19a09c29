//! In mode `sample` a share of prefixes is challenged, drawn anew each hour and alike at all gateways, when they open a page:
//! pages that are open and holders of a pass go on, all others are let pass as in `observe`, and reports say who solved.

use crate::harness::passes::{challenge, solve, submit, with_pass};
use crate::harness::program::Program;
use crate::harness::{BROWSER, HTML, STRANGER, Setup, World, eventually, sum_in};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use windscreen::clock::{Clock, ManualClock, Timestamp};
use windscreen::state::Fetch;
use windscreen::traffic::Drawn;

const MINUTE: Duration = Duration::from_secs(60);
/// An hour begins.
const START: Timestamp = Timestamp(1_795_201_200_000);
const POLICY: &str = "version: 1\nmode: sample\nclasses:\n\
    \x20 - {class: suspect, match: {user_agent: {regex: Scraper}}}\n\
    \x20 - {class: human, match: {user_agent: {regex: Mozilla}}}\n\
    rules:\n\
    \x20 - {name: private, match: {path: /private}, action: deny, mode: enforce}\n\
    \x20 - {name: denied, match: {path: /denied}, action: deny}\n\
    \x20 - {name: people, match: {class: [human, suspect]}, action: challenge}\n\
    default: {action: allow}\n\
    limits: {waits: {key: prefix, requests: 30/hour}}\n\
    challenge: {tiers: {default: 64}, wait: {after: 8s, tiers: [default], requests: 5, bytes: 1 MB, per: 10m, limits: [waits]}}\n";

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START))
}

/// A gateway of this policy with that share, and more in its file.
async fn world(policy: &str, share: &str, clock: &Arc<ManualClock>, more: &str) -> World {
    // Nothing is signed: the store's clock does not move along.
    let sites = "  logs: {prefix: /logs, origins: [{name: a, url: 'http://{first}/logs', credentials: anonymous}]}\n";
    let policy = format!("{policy}sample: {{share: {share}}}\n");
    let setup = Setup::new().policy(&policy).clock(clock.clone()).sites(sites).open_first().fixed_pass_keys();
    let world = setup.more(more).start().await;
    for key in ["page", "part", "private", "denied"] {
        world.put("logs", key, b"object");
    }
    world
}

async fn navigate(world: &World, address: &str) -> u16 {
    world.client(address).navigating().get("/logs/page").await.status
}

async fn fetch(world: &World, address: &str) -> u16 {
    world.client(address).fetching("/logs/page").get("/logs/part").await.status
}

fn address(number: u32) -> String {
    std::net::Ipv4Addr::from(0xc612_0000 + (number << 8) + 7).to_string()
}

/// Which of the first prefixes are challenged.
async fn challenged(world: &World, count: u32) -> Vec<bool> {
    let mut all = Vec::new();
    for number in 0..count {
        all.push(navigate(world, &address(number)).await == 403);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_with_a_page_and_nothing_else_is_stopped() {
    let world = world(POLICY, "100%", &clock(), "").await;
    assert_eq!(fetch(&world, STRANGER).await, 200, "a page is open since before");
    assert_eq!(navigate(&world, STRANGER).await, 403);
    assert_eq!(fetch(&world, STRANGER).await, 200, "and it goes on");
    let sent = |name, value| world.client(STRANGER).navigating().header(name, value);
    let frame = sent("Sec-Fetch-Mode", "navigate").header("Sec-Fetch-Dest", "iframe").get("/logs/page").await;
    assert_eq!(frame.status, 200, "a frame is a part of a page");
    assert_eq!(sent("Sec-Purpose", "prefetch;prerender").get("/logs/page").await.status, 200, "nobody sees it yet");
    assert_eq!(world.client(STRANGER).curl().get("/logs/page").await.status, 200);
    let suspect = world.client(STRANGER).header("User-Agent", "Scraper/1").header("Accept", HTML);
    assert_eq!(suspect.get("/logs/page").await.status, 200, "of another class");
    for (path, status) in [("/logs/private", 403), ("/logs/denied", 200)] {
        assert_eq!(world.client(STRANGER).curl().get(path).await.status, status, "{path}");
    }

    let page = world.client(STRANGER).navigating().get("/logs/page").await;
    let challenge = challenge(&page);
    let solved = submit(&world, STRANGER, &challenge, &solve(&challenge, 64)).await;
    let cookie = solved.cookie().unwrap();
    let read = with_pass(&world, STRANGER, &cookie, "/logs/page").await;
    assert_eq!((read.status, read.header("cache-control")), (200, Some("private")), "it draws on the pass");
    let part = world.client(STRANGER).fetching("/logs/page").header("Cookie", &cookie).get("/logs/part").await;
    assert_eq!(part.status, 200);
    let count = async |action, mode| {
        let parts = [format!("action=\"{action}\""), format!("mode=\"{mode}\"")];
        let parts = ["class=\"human\"", &parts[0], &parts[1]];
        sum_in(&world.metrics().await, "windscreen_requests_total", &parts)
    };
    eventually("all requests are counted", async || count("challenge", "sample").await == 2.0).await;
    assert_eq!(count("challenge", "enforce").await, 0.0);
    assert!(count("allow", "observe").await >= 4.0, "what is held back is recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_draw_is_for_an_hour_and_alike_at_all_gateways() {
    let clock = clock();
    let (one, other) = (world(POLICY, "50%", &clock, "").await, world(POLICY, "50%", &clock, "").await);
    let first = challenged(&one, 60).await;
    let count = first.iter().filter(|is| **is).count();
    assert!((15..=45).contains(&count), "{count} of 60");
    assert_eq!(challenged(&other, 60).await, first);
    clock.advance(59 * MINUTE);
    assert_eq!(challenged(&one, 60).await, first);
    clock.advance(MINUTE);
    let second = challenged(&one, 60).await;
    assert_ne!(second, first);
    assert_eq!(challenged(&other, 60).await, second);
    // What is open when the hour turns goes on, wherever it is.
    for number in 0..60 {
        assert_eq!(fetch(&one, &address(number)).await, 200);
    }
    let fewer = world(POLICY, "10%", &clock, "").await;
    let few = challenged(&fewer, 60).await;
    assert!(few.iter().zip(&second).all(|(few, more)| !few || *more), "a smaller sample is a part of a larger one");
    let nobody = world(&POLICY.replace("mode: sample", "mode: observe"), "100%", &clock, "").await;
    assert_eq!(challenged(&nobody, 5).await, [false; 5]);

    // `explain` knows the keys, and says the same.
    let file = one.directory.path().join("gateway.yaml");
    for number in 0..6 {
        let (ip, time) = (address(number), clock.now().to_string());
        let arguments = ["explain", "-c", file.to_str().unwrap(), "--ip", &ip, "--user-agent", BROWSER];
        let accept = format!("Accept: {HTML}");
        let more = ["-H", &accept, "--time", &time, "--json", "GET", "http://localhost/logs/page"];
        let told = Program::run(".", &[&arguments[..], &more].concat());
        let told: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
        assert_eq!(told["decision"]["sampled"], second[number as usize], "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_mode_auto_are_sampled_while_the_evidence_says_no() {
    let clock = clock();
    let policy = POLICY
        .replace("mode: sample", "mode: enforce")
        .replace("action: challenge}\n", "action: challenge, mode: auto}\n")
        + "auto: {any: [{requests: 1/s, per: 1m}], hold: 30m, classes: [human]}\n";
    let world = world(&policy, "50%", &clock, "").await;
    let before = challenged(&world, 20).await;
    assert!(before.contains(&true) && before.contains(&false), "{before:?}");
    for _ in 0..70 {
        fetch(&world, STRANGER).await;
    }
    world.server.auto.look();
    assert_eq!(challenged(&world, 20).await, [true; 20], "protection is for everybody");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_put_gateways_together_and_say_who_solved() {
    let clock = clock();
    let folder = tempfile::tempdir().unwrap();
    let ledgers = ["one.db", "other.db"].map(|name| folder.path().join(name));
    let more = |at: usize| format!("ledger: {{path: '{}', interval: 1m}}\n", ledgers[at].display());
    let (one, other) = (world(POLICY, "100%", &clock, &more(0)).await, world(POLICY, "100%", &clock, &more(1)).await);
    let report = |ledgers: &[&std::path::Path]| {
        let paths = ledgers.iter().map(|path| path.to_str().unwrap());
        let arguments: Vec<&str> = ["report", "--format", "json"].into_iter().chain(paths.clone()).collect();
        let told: Value = serde_json::from_str(&Program::run(".", &arguments).stdout).unwrap();
        let arguments: Vec<&str> = ["report"].into_iter().chain(paths).collect();
        let text = Program::run(".", &arguments).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        (told["sample"].clone(), text)
    };
    for number in 0..20 {
        // The page is of the one, the solution goes to the other. One of two people leaves.
        let page = one.client(&address(number)).navigating().get("/logs/page").await;
        if number % 2 == 0 {
            let challenge = challenge(&page);
            assert_eq!(submit(&other, &address(number), &challenge, &solve(&challenge, 64)).await.status, 204);
        }
    }
    one.server.keep();
    other.server.keep();
    let (sample, text) = report(&[&ledgers[0], &ledgers[1]]);
    assert_eq!((&sample["sessions"], &sample["solved"], &sample["solvers"]), (&20.into(), &10.into(), &Value::Null));
    let few = "Sample: 20 sessions in 20 prefix-hours were challenged so far; 30 prefix-hours tell how many solve";
    assert!(text.contains(few), "{text}");

    // The others leave, but for one that waits while the hour turns.
    clock.advance(60 * MINUTE - Duration::from_secs(1));
    for number in 20..39 {
        for world in [&one, &other] {
            assert_eq!(navigate(world, &address(number)).await, 403);
        }
    }
    let page = one.client(&address(39)).navigating().get("/logs/page").await.text();
    let link = page.split("<noscript>").skip(1).find_map(|part| part.split("href=\"").nth(1)).unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    clock.advance(Duration::from_secs(9));
    assert_eq!(other.client(&address(39)).navigating().get(&link).await.status, 303);
    one.server.keep();
    other.server.keep();
    let (sample, text) = report(&[&ledgers[0], &ledgers[1]]);
    let numbers =
        ["prefix_hours", "sessions", "solved", "waited", "suspicious"].map(|key| sample[key].as_u64().unwrap());
    assert_eq!(numbers, [40, 40, 10, 1, 0], "a pass counts for the hour of its challenge");
    let solvers = ["low", "share", "high"].map(|key| sample["solvers"][key].as_f64().unwrap());
    assert!(solvers[0] > 0.1 && solvers[1] == 0.25 && solvers[2] < 0.45, "{solvers:?}");
    assert!(text.contains("Sample: 25 % of unknown sessions solve the challenge (95 % sure: "), "{text}");
    assert!(text.contains("40 sessions in 40 prefix-hours), 2 % more wait for a pass, the rest leave"), "{text}");
    let (alone, _) = report(&[&ledgers[0]]);
    assert_eq!(alone["solved"], 0, "who solved is in the books of the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_solves_and_then_acts_like_no_browser_is_told() {
    let clock = clock();
    let world = world(POLICY, "100%", &clock, "").await;
    let memory = &world.server.gateway.memory;
    let note = |address: &str, minutes: u32, path: &str, referer: Option<&str>| {
        let prefix = windscreen::network::prefix(address.parse().unwrap());
        let at = Timestamp(START.0 - u64::from(minutes) * 60_000);
        let fetch = Fetch { at, prefix, user_agent: BROWSER, site: "logs", path, referer, status: 200, bytes: 1000 };
        memory.note_fetch(&fetch);
    };
    for number in 0..20 {
        let page = format!("/run-{number}/log.html");
        note(&address(number), 30, &page, None);
        for part in ["log.chunks", "log", "shot-1.png"] {
            note(&address(number), 30, &format!("/run-{number}/{part}"), Some(&page));
        }
    }
    // Pages without their parts, from one that has a browser all the same.
    (1..9).rev().for_each(|minutes| note(STRANGER, minutes, &format!("/run-{minutes}/log.html"), None));
    let suspicion = |address: &str| {
        let prefix = windscreen::network::prefix(address.parse().unwrap());
        memory.suspicion(prefix, BROWSER, clock.now()).present()
    };
    eventually("it is known", async || suspicion(STRANGER).is_some_and(|score| score >= 0.8)).await;
    for address in [STRANGER, &address(1)] {
        let challenge = challenge(&world.client(address).navigating().get("/logs/page").await);
        let cookie = submit(&world, address, &challenge, &solve(&challenge, 64)).await.cookie().unwrap();
        assert_eq!(with_pass(&world, address, &cookie, "/logs/page").await.status, 200);
    }
    eventually("it is in the books", async || {
        let books = world.server.gateway.books.recent(clock.now());
        let mut drawn: Vec<Drawn> = books.hours.values().flat_map(|hour| hour.sampled.drawn()).collect();
        drawn.sort_unstable();
        let solved = Drawn { shown: 1, solved: 1, waited: 0, suspicious: 0 };
        drawn == [solved, Drawn { suspicious: 1, ..solved }]
    })
    .await;
}
