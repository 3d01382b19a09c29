//! What operators decide while the gateway runs is in force at once, ends by itself, opens nothing private, and is for those
//! alone who have a token.

use crate::harness::http2::{DATA, END_HEADERS, END_STREAM, End, Http2, request};
use crate::harness::passes::VERIFY;
use crate::harness::program::Program;
use crate::harness::tls::{TlsClient, authority, certify};
use crate::harness::valkey::Valkey;
use crate::harness::{Answer, CI, Client, INTERNAL, STRANGER, Setup, World, eventually, manual_clock, metric_in};
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use windscreen::clock::ManualClock;
use windscreen::identity::Token;

const HOUR: Duration = Duration::from_secs(3600);
const WHY: &str = "ticket 4711: they take all";
/// Denies curl, limits others, keeps something private.
const POLICY: &str = "version: 1\nmode: enforce\nnetworks: {office: [203.0.113.0/24]}\n\
    rules:\n\
    \x20 - {name: private, match: {path: {prefix: /private}, not: {network: office}}, action: deny, mode: enforce}\n\
    \x20 - {name: tools, match: {user_agent: {regex: curl}}, action: deny, reason: no tools}\n\
    \x20 - {name: pages, match: {path: /page}, action: challenge}\n\
    default: {action: allow, limits: [few]}\n\
    limits: {few: {key: address, requests: 1/hour, burst: 2}}\n\
    challenge: {tiers: {default: 64}}\n";

static ALICE: LazyLock<Token> = LazyLock::new(|| Token::new(&[1; 32]));
static BOB: LazyLock<Token> = LazyLock::new(|| Token::new(&[2; 32]));

fn tokens() -> String {
    format!(
        ", tokens: [{{name: alice, token: '{}'}}, {{name: bob, token: '{}', expires: 2026-01-01}}]",
        ALICE.hash(),
        BOB.hash()
    )
}

fn setup(policy: &str) -> Setup {
    // Nothing is signed: the store's clock does not move along.
    let sites = "  logs: {prefix: /logs, origins: [{name: a, url: 'http://{first}/logs', credentials: anonymous}]}\n";
    Setup::new().policy(policy).sites(sites).open_first().admin(&tokens())
}

fn fill(world: World) -> World {
    for key in ["a", "page", "private"] {
        world.put("logs", key, b"object");
    }
    world
}

async fn world() -> (World, Arc<ManualClock>) {
    let clock = manual_clock();
    (fill(setup(POLICY).clock(clock.clone()).start().await), clock)
}

fn bearing(admin: Client, token: &Token) -> Client {
    admin.header("Authorization", &format!("Bearer {}", token.reveal()))
}

async fn post(world: &World, body: Value) -> Answer {
    bearing(world.admin(), &ALICE).send_body("POST", "/decisions", body.to_string().as_bytes()).await
}

async fn decide(world: &World, kind: &str, prefix: &str, time: &str) {
    let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
    let answer = post(world, json!({"kind": kind, "prefix": prefix, "for": time, "reason": WHY})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn remove(world: &World, what: &str) -> u16 {
    bearing(world.admin(), &ALICE).send("DELETE", &format!("/decisions/{what}")).await.status
}

async fn listed(world: &World) -> Vec<Value> {
    let answer = bearing(world.admin(), &ALICE).get("/decisions").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    answer["decisions"].as_array().unwrap().clone()
}

/// A client that the policy lets in.
async fn status(world: &World, address: &str) -> u16 {
    world.client(address).header("User-Agent", "x").get("/logs/a").await.status
}

async fn curl(world: &World, address: &str, path: &str) -> u16 {
    world.client(address).curl().get(path).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_denies_at_once_in_every_mode_and_ends_by_itself() {
    for mode in ["enforce", "observe"] {
        let clock = manual_clock();
        let policy = POLICY.replace("mode: enforce\nnetworks", &format!("mode: {mode}\nnetworks"));
        let world = fill(setup(&policy).clock(clock.clone()).start().await);
        assert_eq!(status(&world, STRANGER).await, 200);
        decide(&world, "block", "192.0.2.0/24", "1h").await;
        let answer = world.client(STRANGER).header("User-Agent", "boto3/1").get("/logs/a").await;
        assert_eq!(answer.status, 403, "{mode}");
        assert!(answer.text().contains("<Code>AccessDenied</Code>"), "in the client's dialect: {}", answer.text());
        for told in [&answer.text(), &format!("{:?}", answer.headers)] {
            assert!(!told.contains("4711") && !told.contains("alice"), "{told}");
        }
        assert_eq!(status(&world, CI).await, 200, "others are not meant");
        // Nor is there a way in by the gateway's own pages.
        let answer = world.client(STRANGER).send_body("POST", VERIFY, b"{}").await;
        assert_eq!((answer.status, answer.text().contains("blocked")), (403, true), "{}", answer.text());
        clock.advance(HOUR - Duration::from_secs(1));
        assert_eq!(status(&world, STRANGER).await, 403);
        clock.advance(Duration::from_secs(1));
        assert_eq!(status(&world, STRANGER).await, 200, "{mode}");
        assert_eq!(listed(&world).await, Vec::<Value>::new());
    }
}

/// Nothing between an origin and a client holds so much.
const LARGE: usize = 64 << 20;

/// A download that has begun.
async fn begin(world: &World, address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.server.addresses[0]).await.unwrap();
    let asked = format!(
        "GET /logs/large HTTP/1.1\r\nHost: logs\r\nX-Forwarded-For: {address}\r\nUser-Agent: x\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(asked.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 100_000]).await.unwrap();
    stream
}

async fn rest(stream: &mut TcpStream) -> usize {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    rest.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_under_way_ends_with_a_block() {
    let (world, _) = world().await;
    world.put("logs", "large", &vec![7; LARGE]);
    let (mut blocked, mut other) = (begin(&world, STRANGER).await, begin(&world, CI).await);
    decide(&world, "block", "192.0.2.0/24", "1h").await;
    let came = rest(&mut blocked).await;
    assert!(came < LARGE - 100_000, "what is on its way may come, and no more: {came}");
    assert!(rest(&mut other).await >= LARGE - 100_000, "others are not meant");
    let cut = "windscreen_connections_cut_total{reason=\"blocked\"}";
    eventually("it is counted", async || world.metric(cut).await == 1.0).await;
    // What began after the block has ended goes on.
    assert_eq!(remove(&world, "192.0.2.0/24").await, 200);
    assert!(rest(&mut begin(&world, STRANGER).await).await >= LARGE - 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_too() {
    let authority = authority("servers");
    let server = certify(&authority, 1, ExtendedKeyUsagePurpose::ServerAuth, |parameters| {
        parameters.subject_alt_names.push(SanType::DnsName("logs.test".try_into().unwrap()));
    });
    let setup = setup(POLICY).listener("tls: {certificates: {certificate: server.pem, key: server.key}}");
    let setup = setup.file("server.pem", server.certificate.as_bytes()).file("server.key", server.key.as_bytes());
    let world = setup.start().await;
    world.put("logs", "large", &vec![7; LARGE]);
    let client = TlsClient::new(&authority, None, &["h2"]);
    // Nobody's proxy.
    let mut http = Http2::connect(&client, world.server.addresses[0], "127.0.0.2", &[]).await;
    let stream = http.open(&request("/logs/large"), END_STREAM | END_HEADERS).await.unwrap();
    // It has begun, and waits for the windows to be opened.
    while http.next().await.unwrap().kind != DATA {}
    decide(&world, "block", "127.0.0.2/32", "1h").await;
    let end = http.end_of(stream).await;
    assert!(matches!(end, End::Reset(_)), "{end:?}");
    assert!(http.get("/logs/large").await.is(403), "the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_counted_and_listed() {
    let (world, _) = world().await;
    decide(&world, "block", "192.0.2.0/24", "1h").await;
    decide(&world, "allow", "2001:db8::/32", "2h").await;
    assert_eq!(status(&world, STRANGER).await, 403);
    eventually("it is counted", async || {
        let metrics = world.metrics().await;
        let labels = "{action=\"deny\",class=\"unknown\",mode=\"enforce\",site=\"logs\"}";
        metric_in(&metrics, &format!("windscreen_requests_total{labels}")) == 1.0
    })
    .await;
    let metrics = world.metrics().await;
    for (kind, count) in [("block", 1.0), ("allow", 1.0), ("off", 0.0)] {
        assert_eq!(metric_in(&metrics, &format!("windscreen_runtime_decisions{{kind=\"{kind}\"}}")), count);
    }
    let listed = listed(&world).await;
    let [block, allow] = &listed[..] else { panic!("{listed:?}") };
    let text = |key: &str| block[key].as_str().unwrap().to_owned();
    assert_eq!([text("kind"), text("prefix"), text("who"), text("reason")], ["block", "192.0.2.0/24", "alice", WHY]);
    assert!(text("since") < text("until"));
    assert_eq!(allow["prefix"], "2001:db8::/32");
    assert_eq!(remove(&world, "192.0.2.0/24").await, 200);
    assert_eq!(remove(&world, "192.0.2.0/24").await, 404);
    assert_eq!(status(&world, STRANGER).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn allow_and_off_hold_protection_back_and_open_nothing_private() {
    let (world, clock) = world().await;
    assert_eq!(curl(&world, STRANGER, "/logs/a").await, 403);
    for (kind, prefix) in [("allow", "192.0.2.0/24"), ("off", "")] {
        decide(&world, kind, prefix, "1h").await;
        for path in ["/logs/a", "/logs/a", "/logs/a", "/logs/a", "/logs/page"] {
            assert_eq!(curl(&world, STRANGER, path).await, 200, "{kind} {path}");
        }
        assert_eq!(curl(&world, STRANGER, "/logs/private").await, 403, "{kind} is no key");
        assert_eq!(curl(&world, INTERNAL, "/logs/private").await, if kind == "off" { 200 } else { 403 }, "a tool");
        assert_eq!(curl(&world, CI, "/logs/a").await, if kind == "off" { 200 } else { 403 }, "{kind}");
        eventually("what is passed over is recorded", async || {
            world.metrics().await.contains("windscreen_would_be_total{action=\"deny\"")
        })
        .await;
        match kind {
            "off" => assert_eq!(remove(&world, "off").await, 200),
            _ => clock.advance(HOUR),
        }
        assert_eq!(curl(&world, STRANGER, "/logs/a").await, 403);
    }
    assert_eq!(remove(&world, "off").await, 404, "it is on");
    decide(&world, "off", "", "1h").await;
    decide(&world, "block", "192.0.2.0/24", "1h").await;
    decide(&world, "allow", "192.0.2.40", "1h").await;
    assert_eq!(status(&world, "192.0.2.41").await, 403, "a block holds under off");
    assert_eq!(status(&world, "192.0.2.40").await, 200, "the most specific one wins");
    clock.advance(HOUR);
    assert_eq!(curl(&world, STRANGER, "/logs/a").await, 403, "off ends, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_heard() {
    let (world, _) = world().await;
    let body = json!({"kind": "block", "prefix": "192.0.2.0/24", "reason": WHY}).to_string();
    let good = || bearing(world.admin(), &ALICE);
    let stranger = Token::new(&[9; 32]);
    // who, what, body, status
    let cases = [
        (world.admin(), "POST", body.clone(), 401),
        (bearing(world.admin(), &stranger), "POST", body.clone(), 401),
        (bearing(world.admin(), &BOB), "POST", body.clone(), 401),
        (good().header("Authorization", "Bearer x"), "POST", body.clone(), 401),
        (good().header("Host", "evil.example.org"), "POST", body.clone(), 421),
        (good().header("Origin", "https://evil.example.org"), "POST", body.clone(), 421),
        (good().header("Origin", &format!("http://{}", world.server.admin.unwrap())), "POST", body.clone(), 403),
        (good(), "PUT", body.clone(), 405),
        (good(), "HEAD", String::new(), 405),
        (good(), "POST", "x".repeat(9000), 413),
        (good(), "POST", "{".into(), 400),
        (good(), "POST", body.replace("block", "ban"), 400),
        (good(), "POST", body.replace("}", ", \"force\": true}"), 400),
        (good(), "POST", body.replace("192.0.2.0/24", "0.0.0.0/0"), 400),
        (good(), "POST", body.replace("}", ", \"for\": \"31d\"}"), 400),
        (good(), "DELETE", String::new(), 404),
        (world.admin(), "GET", String::new(), 401),
    ];
    for (number, (client, method, body, expected)) in cases.into_iter().enumerate() {
        let answer = client.send_body(method, "/decisions", body.as_bytes()).await;
        assert_eq!(answer.status, expected, "case {number}: {}", answer.text());
        assert!(!answer.text().contains("wst_"));
    }
    assert_eq!(listed(&world).await, Vec::<Value>::new());
    let answer = world.admin().send("POST", "/decisions").await;
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));

    let closed = Setup::new().start().await;
    let answer = bearing(closed.admin(), &ALICE).get("/decisions").await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("windscreen token new --operator"), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_out_of_the_file_is_refused_after_a_reload() {
    let (world, _) = world().await;
    decide(&world, "block", "192.0.2.0/24", "1h").await;
    let gateway = world.directory.path().join("gateway.yaml");
    let text = std::fs::read_to_string(&gateway).unwrap();
    std::fs::write(&gateway, text.replace(&ALICE.hash().to_string(), &Token::new(&[7; 32]).hash().to_string()))
        .unwrap();
    assert!(world.server.steering.reload(&gateway).0);
    assert_eq!(bearing(world.admin(), &ALICE).get("/decisions").await.status, 401);
    assert_eq!(status(&world, STRANGER).await, 403, "what was decided holds on");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_a_thousand_and_then_one_is_refused() {
    let (world, _) = world().await;
    for number in 0..1000 {
        decide(&world, "block", &format!("198.18.{}.{}", number / 250, number % 250), "1h").await;
    }
    let answer = post(&world, json!({"kind": "block", "prefix": "192.0.2.0/24", "reason": WHY})).await;
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("1000 decisions are in force"), "{}", answer.text());
    assert_eq!(status(&world, STRANGER).await, 200);
    assert_eq!(status(&world, "198.18.3.249").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_survives_a_restart_and_a_damaged_file_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("decisions");
    let start = async || {
        let more = format!("decisions: {{file: '{}'}}\n", file.display());
        fill(setup(POLICY).more(&more).start().await)
    };
    let before = start().await;
    decide(&before, "block", "192.0.2.0/24", "1h").await;
    let good = std::fs::read_to_string(&file).unwrap();
    assert!(!good.contains("wst_") && good.contains(WHY), "{good}");
    // It is written at once, so that a killed process loses nothing.
    let after = start().await;
    assert_eq!(status(&after, STRANGER).await, 403);
    assert_eq!(remove(&after, "192.0.2.0/24").await, 200);
    assert_eq!(status(&start().await, STRANGER).await, 200, "what was taken back, too");

    std::fs::write(&file, &good[..good.len() / 2]).unwrap();
    let world = start().await;
    assert_eq!(status(&world, STRANGER).await, 200);
    let names: Vec<String> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.iter().any(|name| name.starts_with("decisions.damaged-")), "{names:?}");
    decide(&world, "block", "192.0.2.0/24", "1h").await;
    assert_eq!(status(&start().await, STRANGER).await, 403, "a new file begins");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_hear_of_it() {
    let mut store = Valkey::start();
    let more = format!("shared_state: {{url: '{}', interval: 100ms}}\n", store.url());
    let mut worlds = Vec::new();
    for _ in 0..2 {
        worlds.push(fill(setup(POLICY).fixed_pass_keys().more(&more).start().await));
    }
    let [first, second] = &worlds[..] else { unreachable!() };
    for world in &worlds {
        eventually("it shares", async || world.metric("windscreen_shared_state_up").await == 1.0).await;
    }
    decide(first, "block", "192.0.2.0/24", "1h").await;
    eventually("the other one hears", async || status(second, STRANGER).await == 403).await;
    assert_eq!(listed(second).await, listed(first).await);
    assert_eq!(remove(second, "192.0.2.0/24").await, 200);
    eventually("and that it is over", async || listed(first).await.is_empty()).await;

    // Without the store each decides for itself; when it is back, empty, all is told.
    store.kill();
    decide(first, "block", "198.51.100.0/24", "1h").await;
    decide(second, "off", "", "1h").await;
    assert_eq!(status(first, CI).await, 403);
    store.revive();
    eventually("both know both", async || listed(first).await.len() == 2 && listed(second).await.len() == 2).await;
    assert_eq!(status(second, CI).await, 403);
    let late = fill(setup(POLICY).fixed_pass_keys().more(&more).start().await);
    eventually("a new one hears of it", async || listed(&late).await.len() == 2).await;
    let keys: Vec<String> = store.ask(&["KEYS", "*decisions*"]);
    let life: i64 = store.ask(&["PTTL", &keys[0]]);
    assert!((1..=3_600_000).contains(&life), "{keys:?} {life}: the store forgets it, too");
}

/// The command line against a gateway, with alice's token.
fn run(world: &World, arguments: &[&str]) -> Program {
    let admin = format!("http://{}", world.server.admin.unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
    command.args(arguments).args(["--admin", &admin]).env("WINDSCREEN_ADMIN_TOKEN", ALICE.reveal());
    Program::of(command.output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_it() {
    let (world, _) = world().await;
    let block = run(&world, &["block", "192.0.2.0/24", "--for", "2h", "--reason", WHY]);
    assert_eq!((block.status, &*block.stderr), (0, ""));
    assert!(block.stdout.starts_with("192.0.2.0/24 is blocked until 20"), "{}", block.stdout);
    assert!(
        block.stdout.contains("`decisions: {file: ...}`"),
        "it is said that a restart forgets it: {}",
        block.stdout
    );
    assert_eq!(status(&world, STRANGER).await, 403);
    assert!(run(&world, &["allow", "192.0.2.40", "--reason", "me"]).stdout.contains("192.0.2.40/32"));
    assert_eq!(curl(&world, STRANGER, "/logs/a").await, 200);
    assert!(run(&world, &["off", "--for", "10m", "--reason", "tests"]).stdout.starts_with("protection is off until"));
    assert_eq!(curl(&world, CI, "/logs/a").await, 200);

    let list = run(&world, &["decisions"]);
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", list.stdout);
    assert!(lines[0].starts_with("WHAT") && lines[1].starts_with("off") && lines[2].ends_with(WHY), "{}", list.stdout);
    let json: Value = serde_json::from_str(&run(&world, &["decisions", "--json"]).stdout).unwrap();
    assert_eq!(json["decisions"].as_array().unwrap().len(), 3);

    assert_eq!(run(&world, &["on"]).stdout, "protection is as the policy says\n");
    assert_eq!(run(&world, &["on"]).status, 1, "it is on");
    assert_eq!(run(&world, &["block", "2001:db8::/32", "--reason", "v6"]).status, 0);
    assert_eq!(status(&world, "2001:db8::7").await, 403);
    assert_eq!(run(&world, &["decisions", "remove", "2001:db8::/32"]).status, 0);
    assert_eq!(status(&world, "2001:db8::7").await, 200);
    assert_eq!(run(&world, &["decisions", "remove", "192.0.2.40"]).status, 0);
    assert_eq!(run(&world, &["decisions", "remove", "192.0.2.40"]).status, 1, "there is nothing any more");
    assert_eq!(status(&world, STRANGER).await, 403);
    for wrong in [
        &["block", "0.0.0.0/0", "--reason", "all"][..],
        &["block", "192.0.2.1/24", "--reason", "bits"],
        &["block", "192.0.2.0/24", "--reason", "long", "--for", "31d"],
        &["block", "192.0.2.0/24"],
        &["off", "192.0.2.0/24", "--reason", "x"],
    ] {
        let refused = run(&world, wrong);
        assert_eq!((refused.status, &*refused.stdout), (2, ""), "{wrong:?}");
        assert!(!refused.stderr.is_empty());
    }

    // By the gateway file, which says where the admin listener is, and a file with the token.
    let directory = world.directory.path();
    let file = |name: &str| directory.join(name).display().to_string();
    let text = std::fs::read_to_string(directory.join("gateway.yaml")).unwrap();
    let admin = world.server.admin.unwrap().to_string();
    let (before, after) = text.split_once("admin: {address: '127.0.0.1:0'").unwrap();
    std::fs::write(directory.join("there.yaml"), format!("{before}admin: {{address: '{admin}'{after}")).unwrap();
    std::fs::write(directory.join("token"), format!("{}\n", ALICE.reveal())).unwrap();
    let quiet = |arguments: &[&str], token: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
        command.args(arguments).env_remove("WINDSCREEN_ADMIN_TOKEN");
        if let Some(token) = token {
            command.env("WINDSCREEN_ADMIN_TOKEN", token);
        }
        Program::of(command.output().unwrap())
    };
    let there = ["decisions", "-c", &file("there.yaml"), "--token-file", &file("token")];
    assert!(quiet(&there, None).stdout.contains(WHY));
    let without = quiet(&there[..3], None);
    assert!(without.status == 2 && without.stderr.contains("WINDSCREEN_ADMIN_TOKEN"), "{}", without.stderr);
    let stranger = quiet(&there[..3], Some(Token::new(&[5; 32]).reveal()));
    assert!(stranger.status == 2 && stranger.stderr.contains("admin.tokens"), "{}", stranger.stderr);

    let url = "http://localhost/logs/a";
    let (config, dress) = (file("there.yaml"), ["--dress", "curl", "GET", url]);
    let asked = [&["explain", "--decisions", "-c", &config, "--ip", STRANGER][..], &dress].concat();
    let told = quiet(&asked, Some(ALICE.reveal()));
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(told.stdout.contains("192.0.2.0/24 is blocked until") && told.stdout.contains(WHY), "{}", told.stdout);
    assert!(told.stdout.contains("deny by `runtime-block`, enforced"), "{}", told.stdout);
}

/// A gateway in a process of its own, whose log is a file.
struct Logged(Child);

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

fn serve(world: &World, listen: SocketAddr, admin: SocketAddr, log: &Path) -> Logged {
    let text = std::fs::read_to_string(world.directory.path().join("gateway.yaml")).unwrap();
    let text = text.replacen("127.0.0.1:0", &listen.to_string(), 1).replacen("127.0.0.1:0", &admin.to_string(), 1);
    let file = world.directory.path().join("own.yaml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
    let log = std::fs::File::create(log).unwrap();
    command.args(["serve", "-c"]).arg(&file).stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
    Logged(command.spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_who_decided_why_and_what_became_of_it() {
    let (world, _) = world().await;
    let (listen, admin) = (free_port(), free_port());
    let log = world.directory.path().join("log");
    let _serving = serve(&world, listen, admin, &log);
    eventually("it listens", async || tokio::net::TcpStream::connect(admin).await.is_ok()).await;
    let body = json!({"kind": "block", "prefix": "192.0.2.0/24", "for": "3s", "reason": WHY}).to_string();
    bearing(Client::new(admin), &Token::new(&[5; 32])).get("/decisions").await;
    let answer = bearing(Client::new(admin), &ALICE).send_body("POST", "/decisions", body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let client = Client::new(listen).header("X-Forwarded-For", STRANGER);
    assert_eq!(client.curl().get("/logs/page").await.status, 403);
    let read = || std::fs::read_to_string(&log).unwrap();
    eventually("all is logged", async || {
        read().contains("a decision of an operator is over") && read().contains("\"path\":\"/page\"")
    })
    .await;
    let text = read();
    let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {text}"));
    let decided = line("an operator decided");
    assert!(decided.contains("alice") && decided.contains(WHY) && decided.contains("192.0.2.0/24"), "{decided}");
    let access: Value = serde_json::from_str(line("\"path\":\"/page\"")).unwrap();
    let access = access.get("fields").unwrap_or(&access);
    assert_eq!(access["rule"], "runtime-block", "{access}");
    assert_eq!((&access["decision"], &access["decision_reason"]), (&json!("block"), &json!(WHY)), "{access}");
    assert!(line("had no good token").contains("unknown-token"));
    assert!(!text.contains("wst_"), "no token is in the log");
}
