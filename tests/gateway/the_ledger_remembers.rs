//! The ledger says what the gateway has counted, whatever becomes of the process and of the disk.

use crate::harness::serving::Serving;
use crate::harness::{CI, Client, INTERNAL, STRANGER, Setup, World, eventually, sum_in};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use windscreen::clock::Timestamp;
use windscreen::ledger::Ledger;
use windscreen::traffic::{Billed, Books, Key};
use windscreen::verdict::{Class, Done};

fn more(path: &Path) -> String {
    format!("ledger: {{path: '{}', interval: 1s}}\n", path.display())
}

fn read(path: &Path) -> Books {
    Ledger::read(path, Timestamp(0), Timestamp(u64::MAX)).unwrap()
}

/// Requests and bytes of the keys for which `holds`.
fn sum(books: &Books, holds: impl Fn(&Key) -> bool) -> (u64, u64) {
    let cells = books.cells().filter(|(_, key, _)| holds(key));
    cells.fold((0, 0), |(requests, bytes), (_, _, cell)| (requests + cell.requests, bytes + cell.bytes))
}

/// Sends one request of each kind, and says how many that were.
async fn all_kinds(world: &World) -> u64 {
    let answers = [
        world.client(CI).curl().get("/images/fedora").await,
        world.client(CI).curl().send("HEAD", "/images/fedora").await,
        world.client(CI).curl().get("/images/debian").await,
        world.client(CI).curl().get("/images/missing").await,
        world.client(INTERNAL).curl().get("/images/rhel-9").await,
        world.client(STRANGER).curl().get("/images/rhel-9").await,
        world.client(STRANGER).navigating().get("/logs/run/log").await,
        world.client(STRANGER).header("User-Agent", "GPTBot/1").get("/logs/run/log").await,
        world.client(STRANGER).curl().get("/logs/run//log").await,
        world.client(STRANGER).curl().send("PUT", "/logs/run/log").await,
        world.client(STRANGER).curl().get("/elsewhere").await,
    ];
    answers.len() as u64
}

async fn world(setup: Setup) -> World {
    let world = setup.start().await;
    world.put("logs", "run/log", &[b'l'; 12_345]);
    world.put("images", "fedora", &vec![b'i'; 300_000]);
    world.put("images", "rhel-9", b"private");
    world.put_second("images", "debian", &[b'd'; 777]);
    world
}

async fn booked(world: &World, requests: u64) -> String {
    eventually("all requests are booked", async || {
        sum_in(&world.metrics().await, "windscreen_requests_total", &[]) as u64 == requests
    })
    .await;
    world.metrics().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_agrees_with_the_metrics_and_adds_up_over_restarts() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let mut wanted = BTreeMap::<(&str, &str, &str), (u64, u64)>::new();
    for round in 0..2u64 {
        let world = world(Setup::new().more(&more(&path))).await;
        let requests = all_kinds(&world).await;
        let metrics = booked(&world, requests).await;
        for site in ["logs", "images", "none"] {
            for (class, _) in Class::WORDS {
                for (done, _) in Done::WORDS {
                    let [site_is, class_is, done_is] = [("site", site), ("class", class), ("action", done)]
                        .map(|(label, word)| format!("{label}=\"{word}\""));
                    let value = |name| sum_in(&metrics, name, &[&site_is, &class_is, &done_is]) as u64;
                    let sums = wanted.entry((site, class, done)).or_default();
                    sums.0 += value("windscreen_requests_total");
                    sums.1 += value("windscreen_response_bytes_total");
                }
            }
        }
        assert!(world.server.drain(Duration::from_secs(10)).await);
        let books = read(&path);
        assert_eq!(sum(&books, |_| true).0, requests * (round + 1));
        for ((site, class, done), sums) in &wanted {
            let is = |key: &Key| (&*key.site, key.class.word(), key.done.word()) == (*site, *class, *done);
            assert_eq!(sum(&books, is), *sums, "{site} {class} {done}");
        }
        let times = round + 1;
        let from = |source: &'static str| sum(&books, move |key: &Key| &*key.source == source && key.status == 2);
        assert_eq!(from("second"), (times, 777 * times));
        // Two stores are asked for what is missing; the second one answers a stranger with 403, which is free.
        assert_eq!(sum(&books, |key| key.billed == Billed::Get && &*key.site == "images").0, 4 * times);
        let free = |key: &Key| key.billed == Billed::Nothing && &*key.source == "second" && key.status == 4;
        assert_eq!(sum(&books, free).0, times);
        assert_eq!(sum(&books, |key| key.billed == Billed::Get && key.source.is_empty()), (0, 0));
        assert!(sum(&books, |key| key.class == Class::Ci && &*key.network == "ci").0 >= 4 * times);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_observing_policy_would_have_done_is_kept() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let world = world(Setup::new().mode("observe").more(&more(&path))).await;
    let requests = all_kinds(&world).await;
    booked(&world, requests).await;
    world.server.keep();
    let books = read(&path);
    let bots = |key: &Key| key.class == Class::DeclaredBot && key.done == Done::Allow;
    assert_eq!(sum(&books, bots), (1, 12_345));
    let would: Vec<_> =
        books.cells().filter(|(_, key, _)| bots(key)).filter_map(|(_, key, _)| key.would.clone()).collect();
    assert!(would.len() == 1 && would[0].action == "deny", "{would:?}");
    let hour = books.hours.values().next_back().unwrap();
    let stopped = hour.stopped.top();
    assert!(
        stopped.iter().any(|(stopped, taken)| stopped.class == Class::DeclaredBot && taken.bytes == 12_345),
        "{stopped:?}"
    );
    let agents = hour.agents.top();
    assert!(agents.iter().any(|(agent, _)| &*agent.user_agent == "GPTBot/1"), "{agents:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ledger_the_last_day_is_known() {
    let world = world(Setup::new()).await;
    let requests = all_kinds(&world).await;
    let metrics = booked(&world, requests).await;
    let gateway = &world.server.gateway;
    assert_eq!(sum(&gateway.books.recent(gateway.clock.now()), |_| true).0, requests);
    assert!(!metrics.contains("windscreen_ledger_up"), "no alert where there is no ledger");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_while_the_ledger_cannot_be_written() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path().join("disk");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("ledger.db");
    let world = world(Setup::new().more(&more(&path))).await;
    let is_up = async |wanted: f64| {
        eventually("the ledger's state is told", async || world.metric("windscreen_ledger_up").await == wanted).await;
    };
    is_up(1.0).await;
    std::fs::remove_dir_all(&folder).unwrap();
    is_up(0.0).await;
    let requests = all_kinds(&world).await;
    booked(&world, requests).await;
    assert!(world.metric("windscreen_ledger_failed_writes_total").await >= 1.0);
    std::fs::create_dir(&folder).unwrap();
    is_up(1.0).await;
    world.server.keep();
    assert_eq!(sum(&read(&path), |_| true).0, requests);
    assert_eq!(world.metric("windscreen_ledger_lost_requests_total").await, 0.0);
    assert!(world.metric("windscreen_ledger_bytes").await > 0.0 && world.metric("windscreen_ledger_rows").await > 1.0);
}

/// A gateway file of a process of its own, in front of the store of `world`.
fn gateway_file(directory: &Path, world: &World) -> std::path::PathBuf {
    let path = directory.join("gateway.yaml");
    std::fs::write(directory.join("policy.yaml"), crate::harness::OPEN).unwrap();
    std::fs::write(directory.join("key"), format!("{} {}", crate::harness::ACCESS, crate::harness::SECRET)).unwrap();
    let text = format!(
        "version: 1\nlisteners: [{{address: '127.0.0.1:0'}}]\npolicy: {{file: policy.yaml}}\n\
         ledger: {{path: ledger.db, interval: 1s}}\ncredentials: {{test: {{key_file: {}}}}}\n\
         sites: {{logs: {{prefix: /logs, origins: [{{name: first, url: 'http://{}/logs', credentials: test}}]}}}}\n",
        directory.join("key").display(),
        world.first.address
    );
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_at_most_what_came_since_the_last_write() {
    let directory = TempDir::new().unwrap();
    let store = world(Setup::new()).await;
    let file = gateway_file(directory.path(), &store);
    let path = directory.path().join("ledger.db");
    let mut known = 0;
    for _ in 0..2 {
        let gateway = Serving::start(&file);
        let (address, stop) = (gateway.address, Arc::new(AtomicBool::new(false)));
        let answered = Arc::new(Mutex::new(Vec::new()));
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let (stop, answered) = (stop.clone(), answered.clone());
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        // The last request of each fails with the process.
                        let asked = tokio::spawn(async move { Client::new(address).curl().get("/logs/run/log").await });
                        match asked.await {
                            Ok(answer) if answer.body.len() == 12_345 => answered.lock().unwrap().push(Instant::now()),
                            _ => return,
                        }
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(3500)).await;
        let killed = Instant::now();
        gateway.kill();
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        let answered = answered.lock().unwrap();
        let books = read(&path);
        let (requests, bytes) = sum(&books, |key| key.status == 2);
        // A write comes a second after the last one has ended; on a busy machine that takes a moment.
        let before =
            answered.iter().filter(|at| killed.duration_since(**at) > Duration::from_millis(2500)).count() as u64;
        let found = requests - known;
        assert!(
            before > 0 && found >= before && found <= answered.len() as u64 + 4,
            "{before} {found} {}",
            answered.len()
        );
        assert_eq!(bytes, requests * 12_345);
        known = requests;
    }

    let gateway = Serving::start(&file);
    for _ in 0..10 {
        assert_eq!(Client::new(gateway.address).curl().get("/logs/run/log").await.status, 200);
    }
    gateway.stop();
    assert_eq!(sum(&read(&path), |_| true).0, known + 10, "who is asked to stop writes everything");
    let aside = std::fs::read_dir(directory.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"));
    assert_eq!(aside.count(), 0);
}
