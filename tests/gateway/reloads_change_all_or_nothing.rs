//! A reload puts a policy in force as a whole, or changes nothing and says so.

use crate::harness::{CI, STRANGER, Setup, World, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use windscreen::config::Files;

fn write(world: &World, name: &str, text: &str) {
    std::fs::write(world.directory.path().join(name), text).unwrap();
}

/// Both halves of a policy carry the same number; a mixture would allow the request.
fn numbered(number: u16) -> String {
    format!(
        "version: 1\nmode: enforce\nrules:\n  - {{name: weigh, action: weigh, weight: {number}}}\n\
         thresholds:\n  - {{name: judge, weight: {{at_least: {number}, below: {}}}, action: deny, status: {number}}}\n\
         default: {{action: allow}}\n",
        number + 1
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_swaps_under_load_show_nobody_half_a_policy() {
    let world = Setup::new().policy(&numbered(410)).start().await;
    world.put("logs", "a", b"object");
    let gateway = world.directory.path().join("gateway.yaml");
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (client, stop, answered) = (world.client(STRANGER).curl(), stop.clone(), answered.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let status = client.get("/logs/a").await.status;
                    assert!([410, 411].contains(&status), "{status}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for swap in 0..100u16 {
        write(&world, "policy.yaml", &numbered(411 - swap % 2));
        let (steering, gateway) = (world.server.steering.clone(), gateway.clone());
        let (good, _) = tokio::task::spawn_blocking(move || steering.reload(&gateway)).await.unwrap();
        assert!(good);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(answered.load(Ordering::Relaxed) > 200, "{answered:?} requests met 100 swaps");
    assert_eq!(world.metric("windscreen_config_reloads_total{result=\"ok\"}").await, 100.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_taken_and_a_bad_one_changes_nothing() {
    let policy = "version: 1\nmode: enforce\nimport: [more.yaml]\nnetworks: {ci: []}\n\
                  rules:\n  - {name: ci, match: {network: ci}, action: deny, status: 410}\ndefault: {action: allow, limits: [few]}\n\
                  limits: {few: {key: address, requests: 1/h, burst: 3}}\n";
    let more = |status: &str| {
        format!("version: 1\nrules: [{{name: more, match: {{path: /more}}, action: deny, status: {status}}}]\n")
    };
    let world = Setup::new().policy(policy).file("more.yaml", more("418").as_bytes()).start().await;
    world.put("logs", "a", b"object");
    let gateway = world.directory.path().join("gateway.yaml");
    let mut files = Files::default();
    for name in ["gateway.yaml", "policy.yaml", "more.yaml"] {
        files.0.insert(world.directory.path().join(name));
    }
    let now = Arc::new(Notify::new());
    tokio::spawn(world.server.steering.clone().watch(gateway, files, now.clone()));
    let get = async |address: &str, path: &str| world.client(address).curl().get(path).await.status;
    assert_eq!(get(STRANGER, "/logs/more").await, 418);
    assert_eq!(get(CI, "/logs/a").await, 200);
    for expected in [200, 200, 200, 429] {
        assert_eq!(get(STRANGER, "/logs/a").await, expected);
    }

    write(&world, "more.yaml", &more("451"));
    eventually("an imported file is taken", async || get(STRANGER, "/logs/more").await == 451).await;
    assert_eq!(get(STRANGER, "/logs/a").await, 429, "a reload gives nobody a new budget");

    let bad = "windscreen_config_reloads_total{result=\"error\"}";
    write(&world, "more.yaml", &more("200"));
    eventually("a bad file is counted", async || world.metric(bad).await == 1.0).await;
    assert_eq!(world.metric("windscreen_config_last_reload_successful").await, 0.0);
    assert_eq!(get(STRANGER, "/logs/more").await, 451, "and changes nothing");

    write(&world, "more.yaml", &more("403"));
    eventually("a mended file is taken", async || get(STRANGER, "/logs/more").await == 403).await;
    assert_eq!(world.metric("windscreen_config_last_reload_successful").await, 1.0);

    let changed = policy.replace("ci: []", "ci: [198.51.100.0/24]");
    write(&world, "policy.yaml", &changed);
    eventually("the policy itself is taken", async || get(CI, "/logs/a").await == 410).await;
    let before = world.metric("windscreen_config_reloads_total{result=\"ok\"}").await;
    now.notify_one();
    let good = "windscreen_config_reloads_total{result=\"ok\"}";
    eventually("a signal loads unchanged files again", async || world.metric(good).await == before + 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_that_a_pattern_fits_is_taken() {
    let world = Setup::new()
        .policy("version: 1\nmode: enforce\nimport: ['more-*.yaml']\ndefault: {action: allow}\n")
        .file("more-1.yaml", b"version: 1\nrules: [{name: one, match: {path: /one}, action: deny, status: 410}]\n")
        .start()
        .await;
    world.put("logs", "two", b"object");
    let gateway = world.directory.path().join("gateway.yaml");
    let (_, files) = world.server.steering.reload(&gateway);
    tokio::spawn(world.server.steering.clone().watch(gateway, files, Arc::new(Notify::new())));
    let status = async |path: &str| world.client(STRANGER).curl().get(path).await.status;
    assert_eq!((status("/logs/one").await, status("/logs/two").await), (410, 200));

    let two = "version: 1\nrules: [{name: two, match: {path: /two}, action: deny, status: 418}]\n";
    write(&world, "more-2.yaml", two);
    eventually("the new file is taken", async || status("/logs/two").await == 418).await;
    std::fs::remove_file(world.directory.path().join("more-2.yaml")).unwrap();
    eventually("a file that is gone is dropped", async || status("/logs/two").await == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_settings_of_feeds_are_taken() {
    let policy = "version: 1\nmode: enforce\nnetworks: {ours: {feed: 'file://{directory}/blocks.txt'}}\n\
                  rules:\n  - {name: ours, match: {network: ours}, action: deny, status: 410}\ndefault: {action: allow}\n";
    let world = Setup::new().policy(policy).file("blocks.txt", b"198.51.100.0/24\n").start().await;
    world.put("logs", "a", b"object");
    let status = async |address: &str| world.client(address).curl().get("/logs/a").await.status;
    eventually("the feed is read", async || status(CI).await == 410).await;

    // Relative paths begin at the gateway file.
    let gateway = world.directory.path().join("gateway.yaml");
    let text = std::fs::read_to_string(&gateway).unwrap();
    write(&world, "gateway.yaml", &format!("{text}feeds: {{directory: copies}}\n"));
    let steering = world.server.steering.clone();
    assert!(tokio::task::spawn_blocking(move || steering.reload(&gateway)).await.unwrap().0);
    assert_eq!(status(CI).await, 410, "what was read stays");
    let copies = world.directory.path().join("copies");
    let stored = async || std::fs::read_dir(&copies).is_ok_and(|mut copies| copies.next().is_some());
    eventually("a copy is kept in the new directory", stored).await;
}
