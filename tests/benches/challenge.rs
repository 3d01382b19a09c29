//! What challenges cost the gateway, a browser, and whoever solves them natively.
//!
//! `cargo bench --bench challenge`, or `make bench-challenge`; `cargo bench --bench challenge -- costs native` runs
//! these parts only, `--quick` is short, for whether it works. Linux only: it reads processor time from /proc. The part
//! `flood` needs two cores, and the Debian packages nginx, wrk and util-linux; `flood/mod.rs` says what it measures.
//!
//! How to read it: costs are medians. The attacker's advantage is what a trial takes in a browser over what it takes by
//! the best native way that this processor can go, on one core, in turns: the times belong to the machine and to what
//! else runs on it, the ratio can be trusted. Browsers run the page's own solver in one worker.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and files")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that cannot go on fails")]

mod flood;
mod rig;
mod solving;

use solving::browsers::{self, BROWSERS, WAYS};
use solving::{median, native};
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use windscreen::challenge::{Attempt, ChallengeSettings, Gate, Page, RedeemError, SigningKeys, Submission, Visit};
use windscreen::clock::Timestamp;
use windscreen::facts::Client;

// The allocator is the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: Timestamp = Timestamp(1_763_840_000_000);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [null, port] = &words[..]
        && null == "null"
    {
        rig::null::serve(port.parse().unwrap()).unwrap();
    }
    let quick = words.iter().any(|word| word == "--quick");
    let wanted: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "--quick").collect();
    let is_wanted = |part| wanted.is_empty() || wanted.contains(&part);
    if let Some(unknown) = wanted.iter().find(|word| !["costs", "native", "browsers", "flood"].contains(word)) {
        eprintln!("bench: `{unknown}` is no part; there are costs, native, browsers and flood");
        return ExitCode::FAILURE;
    }
    if is_wanted("costs") {
        costs(if quick { 50 } else { 1000 });
        spent_set();
    }
    if is_wanted("native") {
        natives(if quick { 2 } else { 15 });
    }
    if is_wanted("browsers") {
        for browser in &BROWSERS {
            if let Err(message) = in_browser(browser, if quick { 2 } else { 15 }) {
                println!("  {}: {message}; try `apt-get install {}`", browser.name, browser.program);
            }
        }
    }
    // Last: it leaves this program on one core.
    if is_wanted("flood")
        && let Err(message) = flood::run(quick)
    {
        eprintln!("bench: {message}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// What the gateway does for challenges, in microseconds.
fn costs(times: u32) {
    println!("costs in µs: median of {times}");
    let gate = Gate::new(SigningKeys::new([7; 32], []), ChallengeSettings::default(), NOW);
    // One client each, because a network has a quota.
    let client = |number: u32| Client::new(Ipv4Addr::from(0x0a00_0000 + number * 256).into(), true);
    let id = |number: u32| {
        let mut id = [7; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        id
    };
    let issue = |number, difficulty| gate.issue("logs", difficulty, client(number).prefix, id(number), NOW);
    let submission = |challenge| Submission { challenge, nonces: (0..16).collect() };
    let attempt = |number, submission: &Submission| gate.attempt(submission, |_| true, client(number), NOW);
    let redeem = |number, submission: &Submission| {
        let attempt: Attempt = attempt(number, submission)?;
        gate.redeem(attempt, submission, u64::from(number) << 32 | 5)
    };
    let line = |what: &str, goal: Option<f64>, act: &mut dyn FnMut(u32) -> f64| {
        let cost = median(&(0..times).map(act).collect::<Vec<_>>());
        let goal = goal.map_or(String::new(), |goal| format!("   goal <= {goal}: {}", met(cost <= goal)));
        println!("  {what:<58} {cost:>10.1}{goal}");
    };
    line("a challenge issued", None, &mut |number| timed(|| issue(number, 1024)));
    let page = Page::default();
    let challenge = issue(0, 1024);
    let visit = Visit {
        challenge: &challenge,
        difficulty: 1024,
        site: "logs",
        request_id: "0123456789abcdef",
        cookie: "windscreen-logs",
        brought: false,
        now: NOW,
        wait: None,
    };
    line("a page rendered", None, &mut |_| timed(|| page.render(&visit, "en")));
    line("a page rendered, gzipped", None, &mut |_| timed(|| page.render_gzip(&visit, "en")));
    // Every nonce is a solution of difficulty 1, and next to none of the other.
    line("a solution verified", Some(100.0), &mut |number| {
        let good = submission(issue(number, 1));
        timed(|| redeem(number, &good).unwrap())
    });
    line("junk with a forged challenge", Some(5.0), &mut |number| {
        let mut junk = submission(issue(number, 1));
        junk.challenge.pop();
        junk.challenge.push('x');
        timed(|| assert_eq!(attempt(number, &junk).unwrap_err(), RedeemError::Forged))
    });
    // Other ids than those above, which are spent.
    line("junk for a genuine challenge: one of two hashes", None, &mut |number| {
        let junk = submission(issue(number + times, u32::MAX));
        timed(|| assert_eq!(redeem(number + times, &junk).unwrap_err(), RedeemError::Wrong))
    });
    line("the same again: spent", Some(5.0), &mut |number| {
        let junk = submission(issue(number + times, u32::MAX));
        timed(|| assert_eq!(attempt(number + times, &junk).unwrap_err(), RedeemError::Spent))
    });
}

/// The set of spent challenges where it is full: what it takes of memory and of time, and who is refused.
fn spent_set() {
    println!("the set of spent challenges, full");
    let settings = ChallengeSettings::default();
    let gate = Gate::new(SigningKeys::new([7; 32], []), settings, NOW);
    let mut number = 0u32;
    // Each from a network of its own: nobody finds a place at last who was there before.
    let mut submit = |now: Timestamp, client: Client| {
        number += 1;
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let submission =
            Submission { challenge: gate.issue("logs", 64, client.prefix, id, now), nonces: (0..16).collect() };
        let began = Instant::now();
        let result = gate.attempt(&submission, |_| true, client, now).map(drop);
        (result, began.elapsed().as_nanos() as f64 / 1e3)
    };
    let network = |number: u32| {
        Client::new(Ipv6Addr::from(u128::from(0x2001_0000_0000u64 + u64::from(number)) << 80 | 1).into(), true)
    };
    let before = resident();
    let (mut came, mut times) = (0, Vec::new());
    for half in 0..3u64 {
        // A challenge is remembered by when it expires, in three parts of a minute.
        let now = Timestamp(NOW.0 / 60_000 * 60_000 + half * 60_000);
        loop {
            came += 1;
            match submit(now, network(came)) {
                (Ok(()), time) => times.push(time),
                (Err(RedeemError::Full), _) => break,
                (Err(error), _) => panic!("{error}"),
            }
        }
    }
    let entries = gate.spent_challenges();
    let megabytes = (resident() - before) / 1e6;
    println!("  {entries} challenges, each from another network: {megabytes:.0} MB");
    let now = Timestamp(NOW.0 / 60_000 * 60_000 + 120_000);
    let refused: Vec<f64> = (0..1000)
        .map(|number| submit(now, network(came - 1 - number)))
        .map(|(result, time)| {
            assert_eq!(result.unwrap_err(), RedeemError::Full);
            time
        })
        .collect();
    let most = times.iter().copied().fold(0.0, f64::max);
    println!("  µs to spend one: median {:.1}, most {most:.0} (a table doubles)", median(&times));
    println!("  µs to refuse one: median {:.1}   goal <= 5: {}", median(&refused), met(median(&refused) <= 5.0));
    let (result, time) = submit(now + Duration::from_secs(240), network(0));
    println!("  µs to forget all of them: {time:.0}");
    assert!(result.is_ok() && gate.spent_challenges() == 1);
}

/// Resident memory in bytes, as Linux counts it.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

/// What it takes, in microseconds.
fn timed<T>(act: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    black_box(act());
    began.elapsed().as_nanos() as f64 / 1e3
}

/// The ways of an attacker, with the median time of a trial by each.
fn measured(rounds: u32) -> Vec<(native::Way, f64)> {
    let mut ways = native::ways();
    let mut times = vec![Vec::new(); ways.len()];
    for round in 0..rounds {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            times.push(native::measure(way, round * 6400, 6400));
        }
    }
    ways.into_iter().zip(times).map(|(way, times)| (way, median(&times))).collect()
}

fn natives(rounds: u32) {
    println!("native trials, in turns: median µs of processor time, and passes of difficulty 1024 per core-second");
    for (way, time) in measured(rounds) {
        println!("  {:<58} {time:>10.1} {:>10.2}", way.name, 1e6 / time / 16.0 / 1024.0);
    }
    if !cfg!(target_arch = "x86_64") || !is_avx512() {
        println!("  AVX-512: not on this processor");
    }
}

#[cfg(target_arch = "x86_64")]
fn is_avx512() -> bool {
    is_x86_feature_detected!("avx512vl")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_avx512() -> bool {
    false
}

/// What a trial takes in one browser, beside the best native way.
fn in_browser(browser: &browsers::Browser, rounds: u32) -> Result<(), String> {
    let best = measured(3).into_iter().min_by(|one, other| one.1.total_cmp(&other.1));
    let (mut best, _) = best.ok_or("no native way")?;
    let times = browsers::measure(browser, &mut best, rounds)?;
    let native = median(&times.native);
    println!(
        "{}: median µs of processor time per trial, and by its clock; natively {native:.1} ({})",
        browser.name, best.name
    );
    for way in WAYS {
        let (cpu, clock) = (median(&times.cpu[way]), median(&times.clock[way]));
        let (ratio, goal) = (cpu / native, if way == "js" { 2.5 } else { 1.5 });
        let goal = format!("goal <= {goal}: {}", met(ratio <= goal));
        println!("  {way:<8} {cpu:>10.1} {clock:>10.1}   the attacker's advantage {ratio:.2}   {goal}");
    }
    Ok(())
}
