//! The gateway's own access log says what its decisions rested on, so that a replay comes to the same verdicts, and no
//! secret is in it.

use crate::harness::passes::{VERIFY, challenge, solve};
use crate::harness::process::Process;
use crate::harness::program::Program;
use crate::harness::{BROWSER, CI, Client, INTERNAL, STRANGER, Setup, World, mmdb};
use crate::simulator::{Event, Scenario, Site};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use windscreen::identity::Token;

/// Reads whatever a policy can.
const POLICY: &str = "version: 1\nmode: auto\nnetworks:\n  fed: {feed: 'file://{directory}/feed.txt'}\n\
    \x20 unread: {feed: 'file://{directory}/missing.txt'}\n\
    classes:\n  - {class: suspect, match: {signals: {at_least: 2}}}\n  - {class: human, match: {identity: pass}}\n\
    rules:\n\
    \x20 - {name: unread, match: {network: unread, path: /a}, action: deny}\n\
    \x20 - {name: fed, match: {network: fed}, action: weigh, weight: 3}\n\
    \x20 - {name: country, match: {country: [BR]}, action: deny, status: 451, mode: enforce}\n\
    \x20 - {name: system, match: {asn: 64500}, action: tag, class: tool}\n\
    \x20 - {name: header, match: {header: {X-Client: {regex: '^bad'}}}, action: deny, status: 400, mode: enforce}\n\
    \x20 - {name: secret, match: {header: {X-Api-Key: true}}, action: deny, mode: enforce}\n\
    \x20 - {name: parameter, match: {query: {probe: '1'}}, action: deny, mode: enforce}\n\
    \x20 - {name: expression, match: {when: '\"x-number\" in headers && headers[\"x-number\"].contains(\"7\") && host != \"\"'}, action: deny, mode: enforce}\n\
    \x20 - {name: all, match: {when: 'query.exists(name, name.startsWith(\"deep\"))'}, action: deny, mode: enforce}\n\
    \x20 - {name: language, match: {header: {Accept-Language: false}, path: /strict}, action: deny, mode: enforce}\n\
    \x20 - {name: referred, match: {header: {Referer: {regex: evil}}}, action: deny, mode: enforce}\n\
    \x20 - {name: odd, match: {signals: [header-order, forged-forwarding]}, action: weigh, weight: 1}\n\
    \x20 - {name: trap, match: {path: /trap}, action: strike, strikes: 2}\n\
    \x20 - {name: struck, match: {strikes: {at_least: 1}}, action: deny, mode: enforce}\n\
    \x20 - {name: shy, match: {suspicion: {at_least: 0.3}, load: {at_least: 0}}, action: weigh, weight: 1}\n\
    \x20 - {name: listed, match: {dnsbl: bl.invalid, path: /a}, action: deny}\n\
    \x20 - {name: while-needed, match: {user_agent: {regex: python}}, action: deny, mode: auto}\n\
    \x20 - {name: prove, match: {path: /page}, action: challenge, mode: enforce}\n\
    \x20 - {name: few, match: {path: /few}, action: limit, limits: [few], mode: enforce}\n\
    thresholds:\n  - {name: heavy, weight: {at_least: 3}, action: deny, mode: enforce}\n\
    default: {action: allow}\n\
    limits: {few: {key: address, requests: 1/hour, burst: 2}}\n\
    challenge: {tiers: {default: 64}}\n\
    auto: {any: [{requests: 100000/s, per: 1m}], hold: 30m}\n";

/// What no log may say.
const SECRET: &str = "topsecret";

/// A gateway in a process of its own, beside the world that has its stores.
struct Logged {
    _world: World,
    process: Process,
    file: PathBuf,
    log: PathBuf,
    /// A listener that believes us about addresses, and one that does not.
    listeners: [SocketAddr; 2],
}

impl Logged {
    async fn start(setup: Setup) -> Self {
        let world = setup.start().await;
        for key in ["a", "page", "few", "gr\u{fc}n und blau%25"] {
            world.put("logs", key, b"object");
        }
        let (file, log) = (world.directory.path().join("gateway.yaml"), world.directory.path().join("access.log"));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen("admin:", "  - {address: '127.0.0.1:0'}\nadmin:", 1)).unwrap();
        let process = Process::logging(&file, File::create(&log).unwrap());
        let listens = |line: &String| line.split_once(" listening address=").map(|(_, rest)| rest.to_owned());
        let said: Vec<String> = process.said().iter().filter_map(listens).collect();
        let address = |line: &String| line.split(' ').next().unwrap().parse().unwrap();
        let listeners = [address(&said[0]), address(&said[1])];
        Logged { _world: world, process, file, log, listeners }
    }

    fn client(&self, address: &str) -> Client {
        Client::new(self.listeners[0]).header("X-Forwarded-For", address)
    }

    /// As those who come by themselves.
    fn direct(&self) -> Client {
        Client::new(self.listeners[1])
    }

    /// Sends some of a scenario's reads, spread over it.
    async fn visit(&self, count: usize) {
        for (number, event) in Scenario::scraped(7).traffic().filter(Event::is_read).step_by(97).take(count).enumerate()
        {
            let site = if event.site == Site::Logs { "logs" } else { "images" };
            let mut client = match number % 3 {
                0 => self.direct(),
                _ => self.client(&event.address.to_string()),
            };
            for (name, value) in event.headers().into_iter().filter(|(name, _)| *name != "Host") {
                client = client.header(name, &value);
            }
            client.send(event.method, &format!("/{site}{}", event.target())).await;
        }
    }

    /// What the log says, once the gateway has ended.
    fn lines(&self) -> Vec<Value> {
        self.process.tell("TERM");
        self.process.wait_until_gone(self.process.id);
        let text = std::fs::read_to_string(&self.log).unwrap();
        assert!(!text.contains(SECRET), "{}", text.lines().find(|line| line.contains(SECRET)).unwrap());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn replay(arguments: &[&str]) -> Value {
    let arguments = [&["replay", "--json"], arguments].concat();
    let Program { status, stdout, stderr } = Program::run(".", &arguments);
    assert_eq!(status, 0, "{stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// All lines that say what they rest on are decided again as they were.
fn assert_the_same(file: &Path, log: &Path, lines: &[Value]) {
    let recorded = &replay(&["-c", text(file), text(log)])["recorded"];
    let told = lines.iter().filter(|line| line["rule"].is_string() && line["facts"].is_object()).count();
    assert_eq!((&recorded["lines"], &recorded["equal"]), (&json!(told), &json!(told)), "{recorded:#}");
    assert_eq!((&recorded["same_policy"], &recorded["lacking"]), (&json!(told), &json!(0)), "{recorded:#}");
    let Program { stdout, .. } = Program::run(".", &["replay", "-c", text(file), text(log)]);
    let sentence = "replayed verdicts equal the recorded ones in";
    assert!(stdout.contains(sentence) && !stdout.contains("differing"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_policy_reads_is_decided_again() {
    let operator = Token::new(&[1; 32]);
    let setup = Setup::new()
        .policy(POLICY)
        .file("feed.txt", b"100.64.0.0/16\n")
        .file("countries.mmdb", &mmdb::countries(&[("192.0.2.64/26", "BR")]))
        .file("systems.mmdb", &mmdb::networks(&[("192.0.2.128/26", 64500)]))
        .more("geoip: {country: countries.mmdb, asn: systems.mmdb}\n")
        .admin(&format!(", tokens: [{{name: alice, token: '{}'}}]", operator.hash()));
    let logged = Logged::start(setup).await;
    let decisions =
        Client::new(logged.process.admin()).header("Authorization", &format!("Bearer {}", operator.reveal()));
    for (kind, prefix) in [("block", "203.0.113.0/24"), ("allow", "198.51.100.0/24")] {
        let body = json!({"kind": kind, "prefix": prefix, "for": "1h", "reason": "ticket 4711"}).to_string();
        assert_eq!(decisions.send_body("POST", "/decisions", body.as_bytes()).await.status, 200);
    }
    logged.visit(150).await;

    let long = format!("{} python", "x".repeat(600));
    let client = |address: &str| logged.client(address);
    let some: [(Client, &str); 26] = [
        (client(STRANGER).curl(), "/logs/a"),
        (client(INTERNAL).curl(), "/logs/a"),
        (client(CI).curl().header("X-Client", "bad"), "/logs/a"),
        (client("192.0.2.65").curl(), "/logs/a"),
        (client("192.0.2.129").curl(), "/logs/a"),
        (client("100.64.1.1").curl(), "/logs/a"),
        (client("100.64.1.1").header("X-Forwarded-Host", "x").navigating(), "/logs/a"),
        (client(STRANGER).curl().header("X-Client", "bad"), "/logs/gr%C3%BCn%20und%20blau%2525"),
        (client(STRANGER).curl().header("X-Client", "good").header("X-Client", "bad"), "/logs/a"),
        (client(STRANGER).curl().header("X-Api-Key", SECRET).header("Cookie", SECRET), "/logs/a"),
        (client(STRANGER).curl(), "/logs/a?probe=1&token=topsecret"),
        (client(STRANGER).curl(), "/logs/a?probe=2&deeper=%31"),
        (client(STRANGER).curl(), "/logs/a?other"),
        (client(STRANGER).curl().header("X-Number", "1\t\"").header("X-Number", "7"), "/logs/a"),
        (client(STRANGER).header("User-Agent", &long), "/logs/a"),
        (client(STRANGER).header("User-Agent", "python-requests/2"), "/logs/a"),
        (client(STRANGER).curl().header("Referer", "https://evil.example/"), "/logs/a"),
        (client(STRANGER).curl().header("Referer", &format!("https://{}evil", "x".repeat(600))), "/logs/a"),
        (client(STRANGER), "/logs/strict"),
        (client("192.0.2.200").curl(), "/logs/trap"),
        (client("192.0.2.200").curl(), "/logs/a"),
        (client(STRANGER).navigating(), "/logs/page"),
        (logged.direct().curl(), "/logs/a"),
        (logged.direct().header("X-Forwarded-For", "100.64.1.1").navigating(), "/logs/a"),
        (logged.direct().header("Accept-Encoding", "gzip").header("user-agent", BROWSER), "/logs/a"),
        (client(STRANGER).curl(), "/logs/"),
    ];
    for (client, target) in &some {
        client.get(target).await;
    }
    for _ in 0..4 {
        client("192.0.3.1").curl().get("/logs/few").await;
    }
    let page = challenge(&client("192.0.4.1").navigating().get("/logs/page").await);
    let body = json!({"challenge": page, "nonces": solve(&page, 64)}).to_string();
    let submitting = client("192.0.4.1").header("User-Agent", BROWSER).header("Content-Type", "application/json");
    let cookie = submitting.send_body("POST", VERIFY, body.as_bytes()).await.cookie().unwrap();
    for _ in 0..2 {
        assert_eq!(client("192.0.4.1").navigating().header("Cookie", &cookie).get("/logs/page").await.status, 200);
    }
    let value = cookie.split_once('=').unwrap().1;

    let lines = logged.lines();
    let rules: BTreeSet<&str> = lines.iter().filter_map(|line| line["rule"].as_str()).collect();
    for rule in
        ["country", "header", "secret", "parameter", "expression", "all", "language", "referred", "struck", "heavy"]
            .into_iter()
            .chain(["prove", "runtime-block", "default"])
    {
        assert!(rules.contains(rule), "{rule} decided nothing: {rules:?}");
    }
    let has = |field: &str, word: &str| lines.iter().any(|line| line[field] == word);
    assert!(has("would_rule", "while-needed") && has("decision", "allow") && has("action", "limit"), "{lines:#?}");
    assert!(has("undecided", "unread") && has("identity", "pass") && has("class", "tool") && has("class", "suspect"));
    assert!(!lines.iter().any(|line| line.to_string().contains(value)), "a pass is in the log");
    assert_the_same(&logged.file, &logged.log, &lines);

    let limited = &replay(&["-c", text(&logged.file), text(&logged.log)])["recorded"]["limited"];
    assert_eq!(limited, &json!({"then": 2, "now": 2, "both": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_policy_decides_again_as_it_did() {
    for mode in ["auto", "observe"] {
        let logged = Logged::start(Setup::new().mode(mode)).await;
        logged.visit(200).await;
        let lines = logged.lines();
        let classes: BTreeSet<&str> = lines.iter().filter_map(|line| line["class"].as_str()).collect();
        assert!(classes.len() >= 4, "{classes:?}");
        assert_the_same(&logged.file, &logged.log, &lines);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy_shows_what_it_would_have_decided_and_what_it_cannot_know() {
    let ours = "version: 1\nmode: enforce\nrules:\n  - {name: ours, match: {header: {X-Read: 'yes'}}, action: deny}\n\
                default: {action: allow}\n";
    let theirs = "version: 1\nmode: enforce\nrules:\n  - {name: theirs, match: {header: {X-Read: 'no'}}, action: deny}\n\
                  \x20 - {name: unheard, match: {header: {X-Other: 'yes'}, query: {a: '1'}}, action: deny}\n\
                  default: {action: allow}\n";
    let logged = Logged::start(Setup::new().policy(ours).file("theirs.yaml", theirs.as_bytes())).await;
    for value in ["yes", "no", "no"] {
        logged.client(STRANGER).curl().header("X-Read", value).header("X-Other", "yes").get("/logs/a?a=1").await;
    }
    logged.client(STRANGER).curl().get("/logs/a").await;

    // An operator who does not want it is obeyed at once.
    let file = std::fs::read_to_string(&logged.file).unwrap();
    std::fs::write(&logged.file, format!("{file}access_log: {{facts: none}}\n")).unwrap();
    logged.process.tell("HUP");
    logged.process.wait_for("were loaded again");
    logged.client(STRANGER).curl().header("X-Read", "yes").get("/logs/a").await;

    let lines = logged.lines();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["facts"]["headers"], json!({"x-read": "yes"}), "what nobody reads is not recorded");
    assert!(lines[..4].iter().all(|line| line["facts"]["query"].is_null() && line["policy"].is_string()));
    assert!(["facts", "state", "policy"].iter().all(|field| lines[4][field].is_null()), "{}", lines[4]);

    let theirs = logged.file.with_file_name("theirs.yaml");
    let recorded = &replay(&["-c", text(&logged.file), "--policy", text(&theirs), text(&logged.log)])["recorded"];
    assert_eq!((&recorded["lines"], &recorded["same_policy"], &recorded["equal"]), (&json!(4), &json!(0), &json!(0)));
    // Two were denied by what is on record; of the others nobody knows what else they said.
    assert_eq!(recorded["lacking"], 2);
    let rules: Vec<&Value> = recorded["differing"].as_array().unwrap().iter().map(|d| &d["replayed"]["rule"]).collect();
    assert_eq!(rules, ["default", "theirs", "theirs", "default"]);
    let told = Program::run(".", &["replay", "--policy", text(&theirs), text(&logged.log)]).stdout;
    assert!(told.contains("in 0 of 4 lines\n  same policy: 0 of 4 lines have its hash\n  2 hang on what"), "{told}");
    assert!(told.contains("was unknown deny (ours), is unknown allow (default), undecided (unheard)"), "{told}");
}
