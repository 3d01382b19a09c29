//! What a decision costs, by the number of rules.
//!
//! `cargo bench --bench policy`, or `make bench-policy`. Policies of 10 to 10,000 mixed rules (User-Agent lists and
//! expressions, paths, headers, networks, several of these together) decide for a browser, for curl and for a crawler
//! that is refused by one of the last rules. Each rule of the kind `network` has a network of its own, so that the
//! largest policy holds 100,000 CIDR blocks; one policy of ten rules has as many, too.
//!
//! How to read the table: a cell is nanoseconds per decision on one thread, the median over batches, with the ratio to
//! ten rules in parentheses. Trust ratios; the times belong to the machine. Compile time is that of reading and checking
//! the file; memory is what the process grew by meanwhile, the file's text and tree included.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and files")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot go on fails")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;
use windscreen::clock::Timestamp;
use windscreen::config::check_policy;
use windscreen::document::Diagnostics;
use windscreen::facts::{Client, Fact, Facts, Headers, HttpVersion, Identity};
use windscreen::policy::Policy;
use windscreen::state::Blank;
use windscreen::verdict::Dialect;

/// Rules, and CIDR blocks in each network.
const SIZES: [(usize, usize); 5] = [(10, 100), (100, 100), (1000, 100), (10_000, 100), (10, 100_000)];
const BATCHES: usize = 301;
const DECISIONS: usize = 500;

struct Sent(&'static [(&'static str, &'static str)]);

impl Headers for Sent {
    fn header(&self, name: &str) -> Fact<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).into()
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
        self.0.iter().for_each(|(name, value)| visit(name, value));
        true
    }

    fn as_sent(&self, _: &mut dyn FnMut(&str)) -> bool {
        false
    }
}

const CLIENTS: [(&str, &str, &str, &str, Sent); 3] = [
    (
        "browser",
        "203.0.113.9",
        "/cockpit/pull-21437-a93c1f02/fedora-43/log.html",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
        Sent(&[
            ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("accept-language", "en-GB,en;q=0.9"),
            ("accept-encoding", "gzip, deflate, br"),
            ("sec-fetch-site", "none"),
            ("x-client-3", "something else"),
        ]),
    ),
    ("curl", "198.51.100.3", "/images/fedora-43-x86_64.qcow2", "curl/8.17.0", Sent(&[("accept", "*/*")])),
    (
        "crawler",
        "2001:db8::77",
        "/cockpit/pull-21437-a93c1f02/",
        "Mozilla/5.0 (compatible; Scraper-LAST/1.0; +https://scraper.example/)",
        Sent(&[("accept", "*/*"), ("accept-encoding", "gzip"), ("from", "bot@scraper.example")]),
    ),
];

/// A policy of `rules` rules and four more at the end.
fn policy(rules: usize, blocks: usize, mode: &str) -> String {
    let mut networks = String::new();
    let mut lists = String::new();
    let mut lines = String::new();
    for n in 0..rules {
        let matched = match n % 10 {
            0 | 1 => format!("user_agent: {{regex: '(?i)scraper-{n}/[0-9]'}}"),
            2 => format!("user_agent: {{regex: '^(Fetch|Grab)er{n} '}}"),
            3 => {
                let _ = writeln!(
                    lists,
                    "  list{n}: {{source: x, date: x, contains: [Bot{n}/, Crawl{n}, 'Spider {n};', agent-{n}]}}"
                );
                format!("user_agent: {{list: list{n}}}")
            }
            4 => format!("path: {{prefix: /private-{n}/}}, not: {{network: private}}"),
            5 => format!("path: ['/project-{n}/**/*.iso', '/{n}/*/log.[0-9]*']"),
            6 => format!("header: {{X-Client-{}: {{regex: '^agent-{n}$'}}}}", n % 20),
            7 => {
                let block = |b: usize| {
                    let number = (n * 131 + b) * 2;
                    format!("{}.{}.{}.0/24", 11 + (number >> 16) % 90, (number >> 8) & 255, number & 255)
                };
                let blocks: Vec<_> = (0..blocks).map(block).collect();
                let _ = writeln!(networks, "  net{n}: [{}]", blocks.join(", "));
                format!("network: net{n}")
            }
            8 => format!("site: logs, path: {{prefix: /team-{n}}}, user_agent: {{regex: '(?i)mozilla.*Probe{n}'}}"),
            _ => format!("method: HEAD, path: {{extension: [ext{n}, tar.ext{n}]}}"),
        };
        let _ = writeln!(lines, "  - {{name: r{n}, match: {{{matched}}}, action: deny}}");
    }
    format!(
        "version: 1\nmode: {mode}\nimport: [lists/tools.yaml, lists/ai-crawlers.yaml]\nnetworks:\n  internal: \
         [192.0.2.0/24]\n{networks}lists:\n  own: {{source: x, date: x, contains: [Own/]}}\n{lists}rules:\n{lines}  - \
         {{name: scraper, match: {{user_agent: {{regex: '(?i)scraper-last/'}}}}, action: deny}}\n  - {{name: crawlers, \
         match: {{user_agent: {{list: ai-crawlers}}}}, action: deny}}\n  - {{name: tools, match: {{user_agent: {{list: \
         tools}}}}, action: allow}}\n  - {{name: people, match: {{user_agent: {{regex: '^Mozilla/'}}}}, action: \
         challenge}}\ndefault: {{action: allow}}\n"
    )
}

/// Resident memory in MB, as Linux counts it.
fn memory() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
    pages * 4096.0 / 1e6
}

/// Nanoseconds per decision.
fn measure(policy: &Policy, facts: &Facts<'_>) -> f64 {
    let batch = || {
        let start = Instant::now();
        for _ in 0..DECISIONS {
            black_box(policy.decide(black_box(facts), &Blank));
        }
        start.elapsed().as_nanos() as f64 / DECISIONS as f64
    };
    let mut times: Vec<f64> = (0..BATCHES).map(|_| batch()).collect();
    times.sort_by(f64::total_cmp);
    times[BATCHES / 2]
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    println!(
        "{:>7} {:>8} {:>8} {:>17} {:>17} {:>17} {:>9} {:>8}",
        "rules", "blocks", "mode", "browser", "curl", "crawler", "compile", "memory"
    );
    let mut first: [Option<f64>; 6] = [None; 6];
    for (rules, blocks) in SIZES {
        for (row, mode) in ["observe", "enforce"].into_iter().enumerate() {
            std::fs::write(&file, policy(rules, blocks, mode)).unwrap();
            let (before, start) = (memory(), Instant::now());
            let mut diagnostics = Diagnostics::default();
            let Some(loaded) = check_policy(&file, &mut diagnostics).unwrap() else { panic!("{diagnostics}") };
            let (seconds, grown) = (start.elapsed().as_secs_f64(), memory() - before);
            let mut line = format!("{rules:>7} {:>8} {mode:>8}", blocks * rules / 10);
            for (column, (_, address, path, agent, headers)) in CLIENTS.iter().enumerate() {
                let facts = Facts {
                    now: Timestamp(1_795_221_000_000),
                    site: "logs",
                    host: Fact::Present("logs.example.org"),
                    method: "GET",
                    path,
                    query: Fact::Present(""),
                    client: Client::new(address.parse().unwrap(), true),
                    identity: Identity::None,
                    client_name: Fact::Absent,
                    pass: None,
                    user_agent: Fact::Present(agent),
                    headers,
                    version: Fact::Present(HttpVersion::Http11),
                    secure: Fact::Present(true),
                    ja4: Fact::Unknown,
                    dialect: Fact::Present(Dialect::Plain),
                };
                let time = measure(&loaded.policy, &facts);
                let ratio = time / *first[row * 3 + column].get_or_insert(time);
                let _ = write!(line, " {time:>9.0} ({ratio:>4.1}x)");
            }
            println!("{line} {seconds:>8.2}s {grown:>5.0} MB");
        }
    }
}
