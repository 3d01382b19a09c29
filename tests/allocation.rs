//! Deciding a request allocates nothing, whatever the request and however many rules there are. (What does: expressions
//! in `when`, which an interpreter evaluates, and the fifth and later rules with limits that one request meets.)
//!
//! By itself, since a program has one allocator.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "tests stand outside the core")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;
use std::path::Path;
use windscreen::clock::Timestamp;
use windscreen::config::check_policy;
use windscreen::document::Diagnostics;
use windscreen::facts::{Client, Fact, Facts, Headers, HttpVersion, Identity};
use windscreen::policy::Policy;
use windscreen::state::Blank;
use windscreen::verdict::Dialect;

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

/// The system's allocator, which counts for each thread.
struct Counting;

// SAFETY: everything is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Sent(Vec<(&'static str, String)>);

impl Headers for Sent {
    fn header(&self, name: &str) -> Fact<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()).into()
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
        self.0.iter().for_each(|(name, value)| visit(name, value));
        true
    }

    fn as_sent(&self, visit: &mut dyn FnMut(&str)) -> bool {
        self.0.iter().for_each(|(name, _)| visit(name));
        true
    }
}

struct Request {
    path: String,
    query: String,
    agent: String,
    headers: Sent,
    client: Client,
    pass: Option<u32>,
}

/// Requests of many kinds; `seed` changes the texts in them.
fn requests(seed: usize) -> Vec<Request> {
    const AGENTS: [&str; 8] = [
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/#.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; rv:#.0) Gecko/20100101 Firefox/#.0",
        "curl/8.#",
        "Mozilla/5.0 (compatible; GPTBot/1.#; +https://openai.com/gptbot)",
        "python-requests/2.#",
        "Scraper-#/1 grabber# bot# listed-#",
        "",
        "\u{fc}nknown #",
    ];
    const PATHS: [&str; 6] =
        ["/", "/run-#/log.html", "/private-#/x", "/project-#/a/b/c.iso", "/#/x.tar.gz", "/caf\u{e9}/#.ext#"];
    let mut requests = Vec::new();
    for (a, agent) in AGENTS.iter().enumerate() {
        for (p, path) in PATHS.iter().enumerate() {
            let number = (seed + a * 7 + p * 131) % 1000;
            let fill = |text: &str| text.replace('#', &number.to_string());
            let headers = [
                ("accept", "*/*".to_owned()),
                ("accept-language", "en".to_owned()),
                ("referer", fill("https://logs.example/run-#/")),
                ("x-client", fill("agent-#")),
            ];
            let address = [10, 192, 198, 203][number % 4];
            requests.push(Request {
                path: fill(path),
                query: fill("a=#&b"),
                agent: fill(agent),
                headers: Sent(headers[..number % 5].to_vec()),
                client: Client::new([address, 0, 2, (number % 256) as u8].into(), !number.is_multiple_of(9)),
                pass: number.is_multiple_of(3).then_some(1024),
            });
        }
    }
    requests
}

fn decide(policy: &Policy, request: &Request) -> usize {
    let facts = Facts {
        now: Timestamp(1_795_221_000_000),
        site: "logs",
        host: Fact::Present("logs.example"),
        method: "GET",
        path: &request.path,
        query: Fact::Present(&request.query),
        client: request.client,
        identity: if request.pass.is_some() { Identity::Pass } else { Identity::None },
        client_name: Fact::Absent,
        pass: request.pass,
        user_agent: Fact::Present(&request.agent),
        headers: &request.headers,
        version: Fact::Present(HttpVersion::Http11),
        secure: Fact::Present(true),
        ja4: Fact::Unknown,
        dialect: Fact::Present(Dialect::Page),
    };
    policy.decide(&facts, &Blank).charges.len()
}

/// A thousand rules of all kinds but `when`.
fn many_rules() -> String {
    let mut rules = String::new();
    for n in 0..1000 {
        let matched = match n % 10 {
            0 => format!("user_agent: {{regex: '(?i)scraper-{n}/[0-9]'}}"),
            1 => format!("user_agent: [{{regex: '(grab|fetch)er{n}$'}}, {{list: tools}}, Exact/{n}], class: tool"),
            2 => format!("path: {{prefix: /private-{n}/, extension: ext{n}}}"),
            3 => format!("path: '/project-{n}/**/*.iso', signals: no-accept-language"),
            4 => format!("header: {{X-Client: {{regex: '^[a-f]gent-{n}$'}}}}, time: {{days: [sat]}}"),
            5 => format!("prefix: [192.0.2.{}, 198.51.{}.0/24]", n % 256, n % 200),
            6 => format!("query: {{a: '{n}'}}, strikes: {{at_least: 3}}"),
            7 => format!("user_agent: {{regex: '^[a-z]{{{}}}$'}}", n % 20 + 1),
            8 => format!("host: '*.h{n}.example', not: {{network: private}}"),
            _ => format!("any: [{{identity: pass, path: /{n}}}, {{country: BR}}, {{verified: true}}]"),
        };
        let action = match n / 10 {
            0 => "limit, limits: one",
            tens => ["deny", "weigh, weight: 1", "tag, class: tool", "strike", "slow, rate: 1 MB/s"][tens % 5],
        };
        rules.push_str(&format!("  - {{name: r{n}, match: {{{matched}}}, action: {action}}}\n"));
    }
    let mut text = String::from("version: 1\nimport: [lists/tools.yaml, lists/search-engines.yaml]\nrules:\n");
    let _ = write!(text, "{rules}thresholds:\n  - {{name: heavy, weight: {{at_least: 9}}, action: challenge}}\n");
    text.push_str("default: {action: challenge}\nlimits: {one: {key: address, requests: 5/s}}\n");
    text
}

#[test]
fn a_decision_allocates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let many = directory.path().join("many.yaml");
    std::fs::write(&many, many_rules()).unwrap();
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/cockpit.yaml");
    for file in [built_in, many] {
        let mut diagnostics = Diagnostics::default();
        let Some(loaded) = check_policy(&file, &mut diagnostics).unwrap() else { panic!("{diagnostics}") };
        // Automata of expressions build their states when a text first leads there.
        let requests = requests(5);
        let warm_up: usize = requests.iter().map(|request| decide(&loaded.policy, request)).sum();
        let before = ALLOCATIONS.get();
        let again: usize = requests.iter().map(|request| decide(&loaded.policy, request)).sum();
        assert_eq!(ALLOCATIONS.get() - before, 0, "{}", file.display());
        assert_eq!(again, warm_up);
        assert!(before > 0, "allocations are counted");
    }
}
