//! Replicas that share a Valkey or Redis server count as one, whatever happens to it; and what may be spent once is
//! spent once.

use crate::harness::valkey::Valkey;
use crate::harness::{OPEN, STRANGER, Setup, eventually, metric_in};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::subscriber::DefaultGuard;
use windscreen::clock::Timestamp;
use windscreen::document::{Diagnostics, read};
use windscreen::exchange::{Change, CounterId, Replicated, SpendOnce, Spending, Total};
use windscreen::metrics::Metrics;
use windscreen::register::Register;
use windscreen::server::SystemClock;
use windscreen::shared_state::{SharedState, SharedStateSettings};

const HOUR: Duration = Duration::from_secs(3600);
const PASSWORD: &str = "correct-horse-battery";

/// Sums that know what they have not handed on, and what all replicas came to.
#[derive(Default)]
struct Sums(Mutex<HashMap<u128, (u64, u64)>>);

impl Sums {
    fn add(&self, key: u128, more: u64) {
        let mut sums = self.0.lock().unwrap();
        let (new, seen) = sums.entry(key).or_default();
        (*new, *seen) = (*new + more, *seen + more);
    }

    fn seen(&self, key: u128) -> u64 {
        self.0.lock().unwrap().get(&key).map_or(0, |(_, seen)| *seen)
    }
}

impl Replicated for Sums {
    fn changes(&self, most: usize) -> Vec<(CounterId, Change)> {
        let expires = Timestamp::from(std::time::SystemTime::now()) + HOUR;
        let mut sums = self.0.lock().unwrap();
        let new = sums.iter_mut().filter(|(_, (new, _))| *new > 0).take(most);
        let change = |(key, (new, seen)): (&u128, &mut (u64, u64))| {
            let id = CounterId { space: "sums", scope: 0x1f, key: *key };
            (id, Change::Sum { add: std::mem::take(new), view: *seen, expires })
        };
        new.map(change).collect()
    }

    fn merge(&self, totals: &[(CounterId, Total)]) {
        let mut sums = self.0.lock().unwrap();
        for (id, total) in totals {
            let Total::Sum(total) = total else { panic!("{total:?} is no sum") };
            let (new, seen) = sums.get_mut(&id.key).unwrap();
            *seen = (total + *new).max(*seen);
        }
    }

    fn keep(&self) -> Vec<(CounterId, Change)> {
        Vec::new()
    }

    fn restore(&self, _: &[(CounterId, Change)]) {}
}

struct Replica {
    sums: Arc<Sums>,
    shared: Arc<SharedState>,
    metrics: Metrics,
    _stop: DropGuard,
}

impl Replica {
    /// Exchanges every 50 ms. Unless the section says so it waits for so long that a busy machine fails no test.
    fn start(section: &str) -> Self {
        let mut diagnostics = Diagnostics::default();
        let timeout = if section.contains("timeout:") { "" } else { "timeout: 5s, " };
        let section = format!("{{interval: 50ms, {timeout}{section}}}");
        let settings: Option<SharedStateSettings> = read(&section, &mut diagnostics);
        assert_eq!(diagnostics.error_count(), 0, "{diagnostics}");
        let ca = settings.as_ref().unwrap().ca.as_ref().map(|path| std::fs::read(&path.value).unwrap());
        let (sums, metrics, stop) = (Arc::<Sums>::default(), Metrics::new().unwrap(), CancellationToken::new());
        let clock = Arc::new(SystemClock::default());
        let counters: Vec<Arc<dyn Replicated>> = vec![Arc::<Sums>::default(), sums.clone()];
        let text = Arc::new(Register::new(Arc::default(), None, clock.clone(), &metrics));
        let shared = SharedState::start(&settings.unwrap(), ca, counters, text, clock, &metrics, &stop);
        Replica { sums, shared, metrics, _stop: stop.drop_guard() }
    }

    fn metric(&self, name: &str) -> f64 {
        let text = String::from_utf8(self.metrics.encode().unwrap()).unwrap();
        metric_in(&text, &format!("windscreen_shared_state_{name}"))
    }

    fn count(&self, result: &str) -> f64 {
        self.metric(&format!("exchanges_total{{result=\"{result}\"}}"))
    }

    async fn is_up(&self) {
        eventually("state is shared", async || self.metric("up") == 1.0).await;
    }

    async fn fails_with(&self, result: &str) {
        let what = format!("exchanges end with {result}");
        eventually(&what, async || self.count(result) > 0.0 && self.metric("up") == 0.0).await;
    }

    async fn sees(&self, key: u128, total: u64) {
        let what = format!("counter {key} comes to {total}");
        eventually(&what, async || self.sums.seen(key) == total).await;
    }
}

/// What all replicas came to, as the store has it.
fn sum(server: &Valkey, prefix: &str, key: u128) -> Option<u64> {
    server.ask(&["GET", &format!("{prefix}:1:sums:1f:{key:032x}")])
}

fn three(section: &str) -> [Replica; 3] {
    [(); 3].map(|()| Replica::start(section))
}

/// What this thread logs, for tests on one thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone());
        (log, tracing::subscriber::set_default(subscriber.finish()))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// How often our own lines say `what`.
    fn count(&self, what: &str) -> usize {
        self.text().lines().filter(|line| line.contains("windscreen::shared_state") && line.contains(what)).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn three_replicas_count_as_one() {
    let server = Valkey::start();
    let replicas = three(&format!("url: '{}', prefix: mine", server.url()));
    for (replica, more) in replicas.iter().zip([1, 20, 300]) {
        for key in 0..1000 {
            replica.sums.add(key, more);
        }
    }
    for replica in &replicas {
        replica.is_up().await;
    }
    for key in [0, 7, 255, 256, 999] {
        eventually("all is told", async || sum(&server, "mine", key) == Some(321)).await;
    }
    // Who counts on hears what the others came to.
    for (replica, total) in replicas.iter().zip(322..) {
        replica.sums.add(7, 1);
        eventually("it is told", async || sum(&server, "mine", 7) == Some(total)).await;
        replica.sees(7, total).await;
    }
    assert!(replicas[0].metric("counters_total") >= 1001.0);
    assert_eq!(replicas[0].metric("dropped_total"), 0.0);
    assert!(replicas[0].metric("exchange_seconds_count") > 1.0);

    assert_eq!(replicas[0].shared.spend([1; 16], HOUR).await, Spending::First);
    let keys: Vec<String> = server.ask(&["KEYS", "*"]);
    assert_eq!(keys.iter().filter(|key| key.starts_with("mine:1:sums:1f:")).count(), 1000);
    assert!(keys.contains(&"mine:1:spent:0:01010101010101010101010101010101".into()));
    for key in keys {
        assert!(key.starts_with("mine:1:"), "{key} names another version");
        let left: i64 = server.ask(&["PTTL", &key]);
        assert!(left > 0 && left <= 3_600_000, "{key} expires in {left} ms");
    }
}

#[tokio::test]
async fn what_is_spent_by_one_is_spent_for_all() {
    let server = Valkey::start();
    let replicas = three(&format!("url: '{}'", server.url()));
    for replica in &replicas {
        replica.is_up().await;
    }
    for number in 0..50u8 {
        let spend = |replica: &Replica| {
            let shared = replica.shared.clone();
            tokio::spawn(async move { shared.spend([number; 16], HOUR).await })
        };
        let mut answers = Vec::new();
        for answer in replicas.iter().map(spend).collect::<Vec<_>>() {
            answers.push(answer.await.unwrap());
        }
        let first = answers.iter().filter(|answer| **answer == Spending::First).count();
        let again = answers.iter().filter(|answer| **answer == Spending::Again).count();
        assert_eq!((first, again), (1, 2), "{answers:?}");
    }
    let sum =
        |result| replicas.iter().map(|replica| replica.metric(&format!("spends_total{{result=\"{result}\"}}"))).sum();
    let sums: [f64; 3] = ["first", "again", "unavailable"].map(sum);
    assert_eq!(sums, [50.0, 100.0, 0.0]);

    assert_eq!(replicas[0].shared.spend([99; 16], Duration::from_millis(50)).await, Spending::First);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(replicas[1].shared.spend([99; 16], HOUR).await, Spending::First, "its life is over");
}

#[tokio::test]
async fn a_store_that_lost_its_memory_gets_it_back() {
    let (log, _guard) = Log::start();
    let mut server = Valkey::start();
    let replicas = three(&format!("url: '{}'", server.url()));
    for replica in &replicas {
        replica.is_up().await;
        replica.sums.add(1, 10);
    }
    eventually("all is told", async || sum(&server, "windscreen", 1) == Some(30)).await;
    server.kill();
    for replica in &replicas {
        eventually("the loss is noticed", async || replica.metric("up") == 0.0).await;
        assert_eq!(replica.shared.spend([1; 16], HOUR).await, Spending::Unavailable);
        replica.sums.add(1, 5);
    }
    for replica in &replicas {
        replica.fails_with("unreachable").await;
    }
    server.revive();
    for replica in &replicas {
        replica.is_up().await;
    }
    // Who was the last to tell before the loss had seen all 30, and 5 of its own since; the others' 5 come on top where
    // they are told later.
    eventually("the sum is back", async || {
        let sum = sum(&server, "windscreen", 1);
        sum.is_some_and(|sum| (35..=45).contains(&sum) && sum >= replicas.iter().map(|r| r.sums.seen(1)).max().unwrap())
    })
    .await;
    replicas[2].sums.add(1, 1);
    eventually("counting goes on", async || replicas[2].sums.seen(1) >= 36).await;
    assert_eq!(replicas[0].shared.spend([1; 16], HOUR).await, Spending::First);
    assert_eq!(log.count("state is shared with the other replicas"), 6, "{}", log.text());
    let degraded = log.count("shared state is degraded");
    assert!((3..=6).contains(&degraded), "once per change, at most lost and unreachable: {}", log.text());
}

#[tokio::test]
async fn a_wrong_password_is_told_and_a_corrected_one_is_found() {
    let (log, _guard) = Log::start();
    let server = Valkey::start_with(PASSWORD, &[]);
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("password");
    let section = format!("url: '{}', password_file: '{}'", server.url(), file.display());
    let replica = Replica::start(&section);
    replica.fails_with("denied").await;
    assert!(log.text().contains("cannot read"), "{}", log.text());

    let without = Replica::start(&format!("url: '{}'", server.url()));
    without.fails_with("denied").await;

    std::fs::write(&file, "wrong-horse-battery\n").unwrap();
    replica.sums.add(1, 5);
    let before = replica.count("denied");
    eventually("it goes on trying", async || replica.count("denied") > before + 1.0).await;
    assert_eq!(replica.shared.spend([1; 16], HOUR).await, Spending::Unavailable);
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    replica.is_up().await;
    let sum = async || sum(&server, "windscreen", 1);
    eventually("what waited is told", async || sum().await == Some(5)).await;
    assert_eq!(replica.metric("dropped_total"), 0.0);
    let text = log.text();
    assert!(text.contains("denied") && !text.contains("horse"), "{text}");
}

#[tokio::test]
async fn few_rights_are_enough() {
    let rights = "user edge on >few-rights ~windscreen:* +set +get +eval +time +zadd +zremrangebyrank +pexpire +zrange";
    let server = Valkey::start();
    let mut words = vec!["ACL", "SETUSER"];
    words.extend(rights.split(' ').skip(1));
    let _: () = server.ask(&words);
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "few-rights").unwrap();
    let replica =
        Replica::start(&format!("url: '{}', username: edge, password_file: '{}'", server.url(), file.display()));
    replica.sums.add(1, 5);
    replica.is_up().await;
    assert_eq!(replica.shared.spend([1; 16], HOUR).await, Spending::First);
    let other = Replica::start(&format!(
        "url: '{}', prefix: other, username: edge, password_file: '{}'",
        server.url(),
        file.display()
    ));
    other.fails_with("denied").await;
}

#[tokio::test]
async fn a_full_store_is_told_and_nothing_is_lost() {
    let server = Valkey::start_with("", &["--maxmemory-policy", "noeviction"]);
    let replica = Replica::start(&format!("url: '{}'", server.url()));
    replica.is_up().await;
    let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    replica.sums.add(1, 5);
    replica.fails_with("full").await;
    assert_eq!(replica.shared.spend([1; 16], HOUR).await, Spending::Unavailable);
    replica.sums.add(1, 6);
    let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    replica.is_up().await;
    let sum = async || sum(&server, "windscreen", 1);
    eventually("what waited is told", async || sum().await == Some(11)).await;
    assert_eq!(replica.metric("dropped_total"), 0.0);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_waited_for() {
    let server = Valkey::start();
    let replica = Replica::start(&format!("url: '{}', timeout: 200ms", server.url()));
    replica.sums.add(1, 5);
    replica.sees(1, 5).await;
    replica.is_up().await;
    server.pause();
    let begin = Instant::now();
    replica.sums.add(1, 2);
    assert_eq!(replica.shared.spend([1; 16], HOUR).await, Spending::Unavailable);
    assert!(begin.elapsed() < Duration::from_secs(2), "waited for {:?}", begin.elapsed());
    replica.fails_with("timeout").await;
    assert_eq!(replica.metric("dropped_total"), 1.0, "whether it was taken is not known");
    let begin = Instant::now();
    assert_eq!(replica.shared.spend([2; 16], HOUR).await, Spending::Unavailable);
    assert!(begin.elapsed() < Duration::from_millis(100), "nothing is waited for once that is known");
    assert_eq!(replica.metric("spends_total{result=\"unavailable\"}"), 2.0);
    replica.sums.add(1, 4);
    server.resume();
    replica.is_up().await;
    // The paused server may have taken the batch when it went on; then the late one comes on top of it.
    replica.sees(1, 11).await;
    let sum = async || sum(&server, "windscreen", 1);
    eventually("the view heals what was dropped", async || sum().await == Some(11)).await;
}

#[tokio::test]
async fn a_replica_that_takes_over_is_found() {
    let (first, second) = (Valkey::start(), Valkey::start());
    let _: () = second.ask(&["REPLICAOF", "127.0.0.1", &first.port().to_string()]);
    let replicas = three(&format!("url: ['{}', '{}']", second.url(), first.url()));
    for replica in &replicas {
        replica.is_up().await;
        replica.sums.add(1, 1);
    }
    assert_eq!(replicas[0].shared.spend([1; 16], HOUR).await, Spending::First);
    eventually("it is replicated", async || {
        let spent = "windscreen:1:spent:0:01010101010101010101010101010101";
        sum(&second, "windscreen", 1) == Some(3) && second.ask::<bool>(&["EXISTS", spent])
    })
    .await;
    let _: () = second.ask(&["REPLICAOF", "NO", "ONE"]);
    let _: () = first.ask(&["REPLICAOF", "127.0.0.1", &second.port().to_string()]);
    for replica in &replicas {
        replica.sums.add(1, 1);
        eventually("the change is noticed", async || replica.count("readonly") > 0.0).await;
        replica.is_up().await;
        assert_eq!(replica.shared.spend([1; 16], HOUR).await, Spending::Again);
    }
    let sum = async || sum(&second, "windscreen", 1);
    eventually("what was refused is told to the other", async || sum().await == Some(6)).await;
}

#[tokio::test]
async fn sockets_and_tls_lead_to_the_store() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert"), issued.cert.pem()).unwrap();
    std::fs::write(path("key"), issued.signing_key.serialize_pem()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (certificate, key) = (path("cert"), path("key"));
    let tls = ["--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let server =
        Valkey::start_with("", &[&tls[..], &["--tls-auth-clients", "no", "--tls-ca-cert-file", &certificate]].concat());

    let sections = [
        format!("url: 'unix://{}'", server.socket().display()),
        format!("url: 'rediss://localhost:{port}/2', ca: '{certificate}'"),
    ];
    for section in sections {
        let replica = Replica::start(&section);
        replica.is_up().await;
        assert_eq!(replica.shared.spend([1; 16], HOUR).await, Spending::First, "{section}");
    }
    let untrusting = Replica::start(&format!("url: 'rediss://localhost:{port}'"));
    untrusting.fails_with("unreachable").await;
}

#[tokio::test]
async fn requests_go_on_without_the_store() {
    let world = Setup::new()
        .policy(OPEN)
        .fixed_pass_keys()
        .more("shared_state: {url: 'redis://127.0.0.1:1', interval: 50ms}\n")
        .start()
        .await;
    world.put("logs", "a", b"text");
    eventually("it is degraded", async || {
        world.metric("windscreen_shared_state_exchanges_total{result=\"unreachable\"}").await > 0.0
    })
    .await;
    assert_eq!(world.metric("windscreen_shared_state_up").await, 0.0);
    assert!(world.metrics().await.contains("\nwindscreen_shared_state_up 0\n"));
    assert_eq!(world.client(STRANGER).get("/logs/a").await.text(), "text");
    assert_eq!(world.admin().get("/readyz").await.status, 200);

    let alone = Setup::new().policy(OPEN).start().await;
    assert!(!alone.metrics().await.contains("windscreen_shared_state_up"), "where nothing is shared nothing is down");
}
