//! A restart gives nobody a new budget where what was counted is kept, and a bad file of counts stops nothing.

use crate::harness::passes::{pass, with_pass};
use crate::harness::{STRANGER, Setup, World};
use std::path::Path;
use std::time::Duration;

const POLICY: &str = "version: 1\nmode: enforce\n\
    rules:\n  - {name: caught, match: {strikes: {at_least: 2}}, action: deny}\n\
    \x20 - {name: trap, match: {path: /trap}, action: strike, strikes: 3}\n\
    \x20 - {name: people, match: {path: '/page*'}, action: challenge}\n\
    \x20 - {name: pages, match: {path: '/page*'}, action: allow}\n\
    default: {action: allow, limits: [few]}\n\
    limits: {few: {key: address, requests: 1/min, burst: 3, bytes: 1 MB/day}}\n\
    challenge: {tiers: {default: 64}, pass: {requests: 10, bytes: 1 MB, per: 1h}}\n";

async fn world(file: Option<&Path>) -> World {
    let more = file.map(|file| format!("counters: {{file: '{}'}}\n", file.display())).unwrap_or_default();
    let world = Setup::new().policy(POLICY).fixed_pass_keys().more(&more).start().await;
    for key in ["a", "page", "trap"] {
        world.put("logs", key, b"object");
    }
    (0..10).for_each(|number| world.put("logs", &format!("page-{number}"), b"object"));
    world
}

async fn served(world: &World, address: &str, requests: usize) -> usize {
    let mut served = 0;
    for _ in 0..requests {
        served += usize::from(world.client(address).curl().get("/logs/a").await.status == 200);
    }
    served
}

async fn stop(world: World) {
    assert!(world.server.drain(Duration::from_secs(10)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_passes_and_strikes_count_on() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("counters");
    let before = world(Some(&file)).await;
    assert_eq!(served(&before, "192.0.2.1", 2).await, 2);
    let cookie = pass(&before, STRANGER, "/logs/page", 64).await;
    for number in 0..7 {
        assert_eq!(with_pass(&before, STRANGER, &cookie, &format!("/logs/page-{number}")).await.status, 200);
    }
    assert_eq!(before.client("203.0.113.9").curl().get("/logs/trap").await.status, 200);
    stop(before).await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("windscreen counters 1 "), "{text}");
    assert!(!text.contains("192.0.2") && !text.contains(&cookie), "{text}");

    let after = world(Some(&file)).await;
    assert_eq!(served(&after, "192.0.2.1", 5).await, 1, "of three requests two were used");
    assert_eq!(served(&after, "198.51.100.1", 5).await, 3, "others have their own");
    let mut opened = 0;
    for number in 0..10 {
        let page = format!("/logs/page-{number}");
        opened += usize::from(with_pass(&after, STRANGER, &cookie, &page).await.status == 200);
    }
    assert_eq!(opened, 3, "of ten requests seven were used");
    assert_eq!(after.client("203.0.113.9").curl().get("/logs/a").await.status, 403, "the strikes are on record");
    stop(after).await;

    let fresh = world(None).await;
    assert_eq!(served(&fresh, "192.0.2.1", 5).await, 3, "without the file everybody begins anew");
    assert_eq!(with_pass(&fresh, STRANGER, &cookie, "/logs/page").await.status, 200);
    assert_eq!(with_pass(&fresh, STRANGER, &cookie, "/logs/page").await.status, 403, "but a pass is worth a tenth");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("counters");
    for text in
        ["", "else", "windscreen counters 2 0\n", "windscreen counters 1 0\nrequests 0 0 due x\n\n", "\u{0}\u{1}"]
    {
        std::fs::write(&file, text).unwrap();
        let world = world(Some(&file)).await;
        assert_eq!(served(&world, STRANGER, 5).await, 3, "{text:?}");
        stop(world).await;
        assert!(std::fs::read_to_string(&file).unwrap().starts_with("windscreen counters 1 "));
    }
}
