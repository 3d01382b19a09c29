//! Another proxy may ask whether it may answer a request; nobody else finds anything there.

use crate::harness::passes::{VERIFY, challenge, solve};
use crate::harness::{Answer, Client, STRANGER, Setup, World, eventually, manual_clock};
use serde_json::json;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use windscreen::clock::ManualClock;

const CHECK: &str = "/.windscreen/check";
const POLICY: &str = "version: 1\nmode: enforce\n\
    rules:\n\
    \x20 - {name: private, match: {path: '/private*'}, action: deny, reason: private}\n\
    \x20 - {name: open, match: {path: '/open*'}, action: allow, limits: [few]}\n\
    \x20 - {name: all, action: challenge}\n\
    default: {action: allow}\n\
    limits: {few: {key: address, requests: 3/hour, burst: 3}}\n\
    challenge: {tiers: {default: 64}, pass: {requests: 100, bytes: 1 MB, per: 1h, prefixes: 3, renew_until: 24h}}\n";

async fn world() -> (World, Arc<ManualClock>) {
    let clock = manual_clock();
    let sites = "  logs: {prefix: /logs, origins: []}\n";
    let world = Setup::new().policy(POLICY).sites(sites).checks().clock(clock.clone()).start().await;
    for key in ["a", "open", "private"] {
        world.put_second("logs", key, b"from behind");
    }
    (world, clock)
}

fn asking(world: &World, target: &str) -> Client {
    world.client(STRANGER).header("X-Forwarded-Uri", target).header("X-Forwarded-Host", "example.org")
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_hear_yes_or_no() {
    let (world, clock) = world().await;
    for target in ["/logs/open", "/logs/open-2", "/logs/open?q=1", "/logs/open%20"] {
        let yes = asking(&world, target).curl().get(CHECK).await;
        let expected = if target == "/logs/open%20" { 403 } else { 204 };
        assert_eq!((yes.status, yes.cookie()), (expected, None), "{target}: the fourth is over the limit");
    }
    let needs = asking(&world, "/logs/a").navigating().get(CHECK).await;
    assert_eq!((needs.status, needs.header("www-authenticate")), (401, Some("Windscreen")));
    let page = Answer { status: 403, ..needs };
    let challenge = challenge(&page);
    let body = json!({"challenge": challenge, "nonces": solve(&challenge, 64)}).to_string();
    let poster = world.client(STRANGER).header("Content-Type", "application/json");
    let cookie = poster.send_body("POST", VERIFY, body.as_bytes()).await.cookie().unwrap();
    let with_pass = || asking(&world, "/logs/a").navigating().header("Cookie", &cookie);
    assert_eq!(with_pass().get(CHECK).await.status, 204);
    clock.advance(Duration::from_secs(40 * 60));
    let renewed = with_pass().get(CHECK).await;
    assert_eq!(renewed.status, 204);
    assert!(renewed.cookie().is_some_and(|new| new != cookie), "the pass was renewed");
    let elsewhere = "X-Forwarded-Uri";
    let cases = [("/logs/private", 403), ("/nowhere", 403), ("/logs/../logs/open", 403), ("//logs/open", 403)];
    for (target, status) in cases {
        let no = world.client(STRANGER).header(elsewhere, target).curl().get(CHECK).await;
        assert_eq!(no.status, status, "{target}");
    }
    // The method counts that is meant, and the answer is one to the question.
    let head = asking(&world, "/logs/a").curl().header("X-Forwarded-Method", "HEAD").get(CHECK).await;
    assert_eq!(head.status, 401);
    assert_eq!(head.header("content-length").unwrap(), head.body.len().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_has_one_reading() {
    let (world, _) = world().await;
    let ask = || world.client(STRANGER).curl();
    assert_eq!(ask().get(CHECK).await.status, 400, "nothing is meant");
    let twice = ask().header("X-Forwarded-Uri", "/logs/open").header("X-Forwarded-Uri", "/logs/private");
    assert_eq!(twice.get(CHECK).await.status, 400);
    for target in ["http://evil.example/logs/open", "logs/open", ""] {
        assert_eq!(ask().header("X-Forwarded-Uri", target).get(CHECK).await.status, 400, "{target}");
    }
    let odd = ask().header("X-Forwarded-Uri", "/logs/open").header("X-Forwarded-Method", "G T");
    assert_eq!(odd.get(CHECK).await.status, 400);
    let body = ask().header("X-Forwarded-Uri", "/logs/open").send_body("GET", CHECK, b"x").await;
    assert_eq!(body.status, 400);
    assert_eq!(asking(&world, "/logs/open").curl().send("POST", CHECK).await.status, 404);
    // What asks about the question itself.
    assert_eq!(asking(&world, CHECK).curl().get(CHECK).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_listed_finds_nothing() {
    // The harness trusts 127.0.0.1 alone, and any address of that network is ours.
    let (world, _) = world().await;
    let port = world.server.addresses[0].port();
    let stranger = tokio::net::TcpSocket::new_v4().unwrap();
    stranger.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream = stranger.connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let request =
        format!("GET {CHECK} HTTP/1.1\r\nHost: x\r\nX-Forwarded-Uri: /logs/open\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");

    let world = Setup::new().policy(POLICY).start().await;
    assert_eq!(asking(&world, "/logs/open").curl().get(CHECK).await.status, 404, "not switched on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_without_origins_has_nothing_itself() {
    let (world, _) = world().await;
    assert_eq!(world.client(STRANGER).curl().get("/logs/open").await.status, 404);
    assert_eq!(world.client(STRANGER).curl().get("/logs/private").await.status, 403);
}

/// A real proxy in front of the gateway and a store.
struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx takes its workers along.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

impl Proxy {
    async fn start(world: &World, name: &str) -> Proxy {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let directory = world.directory.path();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/forward-auth");
        let example = |name: &str| {
            let text = std::fs::read_to_string(examples.join(name)).unwrap();
            let text = text.replace("127.0.0.1:8080", &world.server.addresses[0].to_string());
            let text = text.replace("127.0.0.1:8000", &world._second.address.to_string());
            let text = text.replace("listen 80;", &format!("listen {address};"));
            text.replace("bind :80", &format!("bind {address}")).replace("http://:80", &format!("http://{address}"))
        };
        let mut command = Command::new(name);
        match name {
            "nginx" => {
                let whole = format!(
                    "daemon off; pid nginx.pid; error_log stderr; events {{}}\nhttp {{ access_log off;\n{} }}\n",
                    example("nginx.conf")
                );
                std::fs::write(directory.join("nginx.conf"), whole).unwrap();
                command
                    .args(["-p", directory.to_str().unwrap(), "-c", "nginx.conf"])
                    .env("PATH", "/usr/sbin:/usr/bin:/bin");
            }
            "caddy" => {
                std::fs::write(directory.join("Caddyfile"), format!("{{\n\tadmin off\n}}\n{}", example("Caddyfile")))
                    .unwrap();
                command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).current_dir(directory);
                command.env("HOME", directory).env_remove("XDG_DATA_HOME").stderr(Stdio::null());
            }
            _ => {
                let lua = example("windscreen.lua");
                std::fs::write(directory.join("windscreen.lua"), lua).unwrap();
                std::fs::write(directory.join("haproxy.cfg"), example("haproxy.cfg")).unwrap();
                command.args(["-f", "haproxy.cfg"]).current_dir(directory).env("PATH", "/usr/sbin:/usr/bin:/bin");
            }
        }
        let child = command.stdout(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name}: {error}; `make tools-test` installs it"));
        let proxy = Proxy { child, address };
        eventually(name, async || tokio::net::TcpStream::connect(address).await.is_ok()).await;
        proxy
    }

    fn client(&self) -> Client {
        Client::new(self.address)
    }
}

async fn answers_by_what_it_hears(name: &str) {
    let (world, clock) = world().await;
    let proxy = Proxy::start(&world, name).await;
    let open = proxy.client().curl().get("/logs/open").await;
    assert_eq!((open.status, open.text().as_str()), (200, "from behind"), "{name}");

    let page = proxy.client().navigating().get("/logs/a?q=a%23b").await;
    let challenge = challenge(&page);
    let body = json!({"challenge": challenge, "nonces": solve(&challenge, 64)}).to_string();
    let poster = proxy.client().header("Content-Type", "application/json");
    let sold = poster.send_body("POST", VERIFY, body.as_bytes()).await;
    assert_eq!(sold.status, 204, "{name}: {}", sold.text());
    let cookie = sold.cookie().unwrap();
    let with_pass = || proxy.client().navigating().header("Cookie", &cookie);
    let read = with_pass().get("/logs/a").await;
    assert_eq!((read.status, read.text().as_str(), read.cookie()), (200, "from behind", None), "{name}");
    clock.advance(Duration::from_secs(40 * 60));
    let read = with_pass().get("/logs/a").await;
    assert_eq!(read.status, 200);
    assert!(read.cookie().is_some_and(|renewed| renewed != cookie), "{name}: a renewed pass reaches the browser");

    // Each client is told in its own words.
    let private = with_pass().get("/logs/private").await;
    assert_eq!((private.status, private.header("content-type")), (403, Some("text/html; charset=utf-8")), "{name}");
    let s3 = proxy.client().header("User-Agent", "Boto3/1.0").get("/logs/private").await;
    assert_eq!((s3.status, s3.header("content-type")), (403, Some("application/xml")), "{name}");
    let script = proxy.client().fetching("/logs/a").get("/logs/a").await;
    assert_eq!((script.status, script.header("content-type")), (403, Some("application/problem+json")), "{name}");

    // What a client says of itself decides nothing.
    for (header, value) in [
        ("X-Forwarded-Uri", "/logs/open"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Forwarded-Host", "elsewhere.example"),
        ("X-Forwarded-For", "203.0.113.9"),
    ] {
        let forged = proxy.client().curl().header(header, value).get("/logs/a").await;
        assert_eq!(forged.status, 403, "{name}: {header}");
    }
    let hidden = proxy.client().curl().header("X-Forwarded-Uri", "/logs/open").get(CHECK).await;
    assert!([400, 404].contains(&hidden.status), "{name}: nobody asks through it: {}", hidden.status);
    assert!(proxy.client().curl().get("/robots.txt").await.text().contains("GPTBot"), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_answers_by_what_it_hears() {
    answers_by_what_it_hears("nginx").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_answers_by_what_it_hears() {
    answers_by_what_it_hears("caddy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_answers_by_what_it_hears() {
    answers_by_what_it_hears("haproxy").await;
}
