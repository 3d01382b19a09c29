//! Three gateways on one Valkey or Redis: a client that spreads over them gains nothing, and nobody waits for the store.

use crate::harness::passes::{issue, pass, put_numbered, served, solve, submit};
use crate::harness::valkey::Valkey;
use crate::harness::{CI, STRANGER, Setup, World, eventually};
use std::sync::Arc;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(100);

async fn gateway(store: &Valkey, policy: &str) -> World {
    let more = format!("shared_state: {{url: '{}', interval: 100ms}}\n", store.url());
    let world = Setup::new().policy(&format!("version: 1\nmode: enforce\n{policy}")).fixed_pass_keys().more(&more);
    let world = world.start().await;
    for key in ["a", "trap"] {
        world.put("logs", key, b"object");
    }
    put_numbered(&world, 150);
    eventually("it shares", async || world.metric("windscreen_shared_state_up").await == 1.0).await;
    world
}

async fn gateways(store: &Valkey, policy: &str) -> Vec<Arc<World>> {
    let mut worlds = Vec::new();
    for _ in 0..3 {
        worlds.push(Arc::new(gateway(store, policy).await));
    }
    worlds
}

/// Asks all gateways as fast as it goes, for so long: how often it was served, and how long it really took.
async fn hammer(worlds: &[Arc<World>], time: Duration) -> (usize, Duration) {
    let start = Instant::now();
    let tasks: Vec<_> = worlds
        .iter()
        .map(|world| {
            let world = world.clone();
            tokio::spawn(async move {
                let mut served = 0;
                while start.elapsed() < time {
                    match world.client(STRANGER).curl().get("/logs/a").await.status {
                        200 => served += 1,
                        429 => {}
                        other => panic!("{other}"),
                    }
                }
                served
            })
        })
        .collect();
    let mut served = 0;
    for task in tasks {
        served += task.await.unwrap();
    }
    (served, start.elapsed())
}

/// What may be served at most: rate and burst, and for each other replica a burst and what it lets through until it hears.
/// A quarter of a second is what a busy machine may take for an exchange.
fn bound(time: Duration) -> f64 {
    let late = (INTERVAL + Duration::from_millis(250)).as_secs_f64();
    100.0 * time.as_secs_f64() + 50.0 + 2.0 * (50.0 + 100.0 * late)
}

const HUNDRED: &str =
    "default: {action: allow, limits: [one]}\nlimits: {one: {key: address, requests: 100/s, burst: 50}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_holds_over_all_of_them() {
    let store = Valkey::start();
    let worlds = gateways(&store, HUNDRED).await;
    let (served, time) = hammer(&worlds, Duration::from_secs(5)).await;
    let (bound, alone) = (bound(time), 3.0 * (100.0 * time.as_secs_f64() + 50.0));
    assert!((served as f64) <= bound && bound < alone * 0.7, "{served} served, at most {bound}, alone {alone}");
    assert!(served as f64 > 100.0 * time.as_secs_f64() * 0.6, "{served} served in {time:?}");
    let start = Instant::now();
    assert_eq!(worlds[0].client(CI).curl().get("/logs/a").await.status, 200, "another client is not disturbed");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_killed_stops_nobody_and_the_count_goes_on_when_it_is_back() {
    let mut store = Valkey::start();
    let worlds = gateways(&store, HUNDRED).await;
    hammer(&worlds, Duration::from_secs(1)).await;
    let load = {
        let worlds = worlds.clone();
        tokio::spawn(async move { hammer(&worlds, Duration::from_secs(4)).await })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    store.kill();
    eventually("it is noticed", async || worlds[0].metric("windscreen_shared_state_up").await == 0.0).await;
    assert_eq!(worlds[0].admin().get("/readyz").await.status, 200);
    load.await.unwrap();
    store.revive();
    for world in &worlds {
        eventually("it shares again", async || world.metric("windscreen_shared_state_up").await == 1.0).await;
    }
    let (served, time) = hammer(&worlds, Duration::from_secs(4)).await;
    assert!(served as f64 <= bound(time), "{served} served, at most {}", bound(time));
}

const CHALLENGE: &str = "rules: [{name: all, action: challenge}]\ndefault: {action: allow}\n\
    challenge: {tiers: {default: 64}, pass: {requests: 100, bytes: 1 MB, per: 1h}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_spent_once_over_all_of_them() {
    let store = Valkey::start();
    let worlds = gateways(&store, CHALLENGE).await;
    let challenge = issue(&worlds[0], STRANGER, "/logs/a").await;
    let nonces = solve(&challenge, 64);
    assert_eq!(submit(&worlds[1], STRANGER, &challenge, &nonces).await.status, 204);
    for other in [0, 2] {
        let answer = submit(&worlds[other], STRANGER, &challenge, &nonces).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(answer.text().contains("already used"), "{}", answer.text());
    }
    assert_eq!(
        submit(&worlds[1], STRANGER, &challenge, &nonces).await.status,
        204,
        "an answer that was lost is repeated"
    );

    let challenge = issue(&worlds[0], STRANGER, "/logs/a").await;
    let nonces = solve(&challenge, 64);
    let submissions = worlds.iter().map(|world| {
        let (world, challenge, nonces) = (world.clone(), challenge.clone(), nonces.clone());
        tokio::spawn(async move { submit(&world, STRANGER, &challenge, &nonces).await.status })
    });
    let mut statuses = Vec::new();
    for submission in submissions.collect::<Vec<_>>() {
        statuses.push(submission.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 403, 403], "at the same time, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_a_challenge_is_taken_once_per_replica_and_counted() {
    let mut store = Valkey::start();
    let worlds = gateways(&store, CHALLENGE).await;
    let challenge = issue(&worlds[0], STRANGER, "/logs/a").await;
    let nonces = solve(&challenge, 64);
    store.kill();
    for world in &worlds {
        let start = Instant::now();
        assert_eq!(submit(world, STRANGER, &challenge, &nonces).await.status, 204);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        let counted = "windscreen_shared_state_spends_total{result=\"unavailable\"}";
        assert_eq!(world.metric(counted).await, 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_has_one_budget_and_a_new_gateway_knows_what_is_left() {
    let store = Valkey::start();
    let worlds = gateways(&store, CHALLENGE).await;
    let cookie = pass(&worlds[0], STRANGER, "/logs/a", 64).await;
    assert_eq!(served(&worlds[0], STRANGER, &cookie, 0, 20).await, 20);
    let late = gateway(&store, CHALLENGE).await;
    // A pass that is older than the gateway is worth a tenth, until it hears what has been used of it.
    assert_eq!(served(&late, STRANGER, &cookie, 20, 1).await, 1);
    tokio::time::sleep(5 * INTERVAL).await;
    assert_eq!(served(&late, STRANGER, &cookie, 21, 40).await, 40);
    tokio::time::sleep(5 * INTERVAL).await;
    let mut left = 0;
    for round in 0..10 {
        for world in &worlds {
            left += served(world, STRANGER, &cookie, 100 + 4 * round, 4).await;
        }
        tokio::time::sleep(2 * INTERVAL).await;
    }
    // 39 are left; each gateway may let some through before it hears of the others.
    assert!((30..=39 + 2 * 12).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_that_was_sprung_here_is_known_there() {
    let policy = "rules:\n  - {name: caught, match: {strikes: {at_least: 2}}, action: deny}\n\
        \x20 - {name: trap, match: {path: /trap}, action: strike, strikes: 3}\ndefault: {action: allow}\n";
    let store = Valkey::start();
    let worlds = gateways(&store, policy).await;
    assert_eq!(worlds[0].client(STRANGER).curl().get("/logs/trap").await.status, 200);
    for world in &worlds {
        eventually("it is known", async || world.client(STRANGER).curl().get("/logs/a").await.status == 403).await;
        assert_eq!(world.client(CI).curl().get("/logs/a").await.status, 200);
    }
}
