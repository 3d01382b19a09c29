//! What limits cost, and whether they hold: memory per client, floods of clients, time per decision, and normal clients
//! beside abusers.
//!
//! `cargo bench --bench limits`, or `make bench-limits`; `cargo bench --bench limits -- costs flood` runs these parts
//! only, `--quick` is short, for whether it works. Each part is a process of its own, so that none measures memory that
//! another one left. The allocator is the program's.
//!
//! How to read it: each line is a measurement with its goal, and whether it was met. Memory is what the process grew by.
//! Sizes, counts and ratios can be trusted; nanoseconds belong to the machine, and the most of millions of times is a
//! moment when the thread was not running. How the abusers are measured says `abuse/mod.rs`.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and files")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that cannot go on fails")]

mod abuse;
mod rig;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};
use windscreen::clock::{Clock, ManualClock, Timestamp};
use windscreen::facts::Client;
use windscreen::limit::{Admission, DEFAULT_CAP, Exceeded, KeyBy, LimitSettings, Limits, Manner, Over, Subject};
use windscreen::quantity::{Bytes, Rate, Volume};
use windscreen::server::SystemClock;
use windscreen::verdict::LimitId;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECOND: Duration = Duration::from_secs(1);
const PLAIN: Manner = Manner { never_refused: false, patience: Duration::ZERO, has_body: true };
/// What a tracked client may take, in bytes of memory.
const MEMORY_GOAL: f64 = 192.0;
/// What a decision may take at the 99th percentile, in nanoseconds.
const DECISION_GOAL: f64 = 2000.0;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let quick = words.iter().any(|word| word == "--quick");
    let parts: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "--quick").collect();
    match parts[..] {
        ["null", port] => rig::null::serve(port.parse().unwrap()).unwrap(),
        ["part", "memory", how] => memory(how == "shared", quick),
        ["part", "flood", spread, clock, limit] => flood(spread, clock, limit, quick),
        ["part", "costs"] => costs(),
        ["part", "abuse"] => return done(abuse::run(quick)),
        _ => return done(run(&parts, quick)),
    }
    ExitCode::SUCCESS
}

fn done(outcome: Result<(), String>) -> ExitCode {
    outcome.map_or_else(
        |message| {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Runs the named parts, or all of them.
fn run(wanted: &[&str], quick: bool) -> Result<(), String> {
    let parts: [&[&str]; 10] = [
        &["memory", "alone"],
        &["memory", "shared"],
        &["flood", "networks", "simulated", "fast"],
        &["flood", "everywhere", "simulated", "fast"],
        &["flood", "networks", "simulated", "slow"],
        &["flood", "networks", "real", "fast"],
        &["flood", "everywhere", "real", "fast"],
        &["flood", "everywhere", "real", "slow"],
        &["costs"],
        &["abuse"],
    ];
    if let Some(unknown) = wanted.iter().find(|word| !parts.iter().any(|part| part[0] == **word)) {
        return Err(format!("`{unknown}` is no part; there are memory, flood, costs and abuse"));
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    for part in parts.iter().filter(|part| wanted.is_empty() || wanted.contains(&part[0])) {
        let status = Command::new(&program).arg("part").args(*part).args(quick.then_some("--quick")).status();
        if !status.map_err(|error| error.to_string())?.success() {
            return Err(format!("{} failed", part.join(" ")));
        }
        println!();
    }
    Ok(())
}

/// Prints one measurement with its goal.
fn report(what: &str, measured: &str, goal: &str, met: bool) {
    println!("  {what:<58} {measured:>28}   goal {goal}: {}", if met { "met" } else { "MISSED" });
}

/// Prints one measurement that has no goal.
fn note(what: &str, measured: &str) {
    println!("  {what:<58} {measured:>28}");
}

/// Resident memory in bytes, as Linux counts it.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

fn at(address: impl Into<IpAddr>) -> Subject<'static> {
    let client = Client::new(address.into(), true);
    Subject { client, site: "logs", pass: None, identity: None, shared: false, asn: None }
}

/// A limit of requests per second.
fn requests(count: u32, burst: u32) -> LimitSettings {
    LimitSettings {
        key: KeyBy::ADDRESS,
        requests: Some(Rate { count, per: SECOND }),
        burst: NonZeroU32::new(burst),
        bytes: None,
        transfers: None,
        over: Over::Refuse,
    }
}

/// A limit in all three currencies that nobody reaches.
fn wide() -> LimitSettings {
    LimitSettings {
        bytes: Some(Volume { bytes: Bytes(1_000_000_000_000_000), per: SECOND }),
        transfers: NonZeroU32::new(1_000_000),
        ..requests(1_000_000_000, 1_000_000_000)
    }
}

fn limits(settings: &[LimitSettings], cap: usize, clock: Arc<dyn Clock>) -> Limits {
    let named: Vec<_> = settings.iter().enumerate().map(|(at, limit)| (format!("limit{at}"), limit.clone())).collect();
    Limits::new(&named, cap, [7; 16], &clock)
}

fn admit(limits: &Limits, ids: &[LimitId], subject: &Subject<'_>) -> Result<Admission, Exceeded> {
    limits.admit(&[(ids, true)], subject, PLAIN)
}

/// The value below which `percent` of the sorted `values` are.
fn percentile<T: Copy>(values: &[T], percent: f64) -> T {
    values[((values.len() - 1) as f64 * percent / 100.0).round() as usize]
}

/// What one tracked client takes, in a gateway alone or in a replica that has handed on nothing yet.
fn memory(shared: bool, quick: bool) {
    let clients: u32 = if quick { 100_000 } else { 1_000_000 };
    let whose = if shared { "one of several replicas" } else { "a gateway alone" };
    println!("memory: {clients} clients of one limit in all three currencies; {whose}");
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let limit = LimitSettings {
        bytes: Some(Volume { bytes: Bytes(1_000_000_000), per: 3600 * SECOND }),
        transfers: NonZeroU32::new(8),
        ..requests(5, 20)
    };
    let before = resident();
    let limits = limits(&[limit], 2 * clients as usize, clock);
    if shared {
        limits.share();
    }
    for number in 0..clients {
        let admission = admit(&limits, &[0], &at(Ipv4Addr::from(number))).unwrap();
        admission.meter.sent(1000, Duration::ZERO);
    }
    let keys: usize = limits.sizes().map(|(_, keys)| keys).sum();
    assert_eq!(keys, clients as usize);
    let bytes = (resident() - before) / f64::from(clients);
    report("resident memory", &format!("{bytes:.0} bytes per client"), "<= 192 bytes", bytes <= MEMORY_GOAL);
}

/// Who floods: networks that could be one party's, or addresses of everywhere.
fn flooder(everywhere: bool, number: u64, v6: bool) -> IpAddr {
    // Odd factors: they scatter, and no two numbers meet.
    const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;
    if !v6 {
        let scattered = (number as u32).wrapping_mul(SCATTER as u32);
        let address = if everywhere { scattered } else { 0xac10_0000 | (scattered & 0xf_ffff) };
        return Ipv4Addr::from(address).into();
    }
    // Five addresses in each of so many /64s: of a /29, which is what a provider is given, or of all there are.
    let (network, host) = (number % 2_000_000, number / 2_000_000 + 1);
    let network = match everywhere {
        true => 0x2000_0000_0000_0000 | (network.wrapping_mul(SCATTER) >> 3),
        false => 0x3fff_0800_0000_0000 | (network * 17_179),
    };
    Ipv6Addr::from(u128::from(network) << 64 | u128::from(host)).into()
}

/// An honest client: one request per second, from some moment on.
struct Honest {
    name: &'static str,
    subject: Subject<'static>,
    /// After which part of the flood it comes for the first time.
    from: f64,
    asked: u64,
    refused: u64,
}

fn honest() -> [Honest; 5] {
    let new = |name, address: &str, from| {
        let subject = at(address.parse::<IpAddr>().unwrap());
        Honest { name, subject, from, asked: 0, refused: 0 }
    };
    [
        new("honest IPv4, known before", "203.0.113.9", 0.0),
        new("honest IPv6, known before", "2001:db8:9::9", 0.0),
        new("honest IPv6, comes amid the IPv6 addresses", "2001:db8:7::7", 0.5),
        new("honest IPv4, comes amid the IPv6 addresses", "192.0.2.44", 0.5),
        new("honest IPv4, comes amid the IPv4 addresses", "198.51.100.3", 0.95),
    ]
}

/// What a limit's table takes at most, in bytes: entries of 64 bytes and a byte of bookkeeping each, in as many places as
/// the shards of 1024 need that are full at seven eighths. It has room for three eighths above its cap, and for the 256 and
/// 65,536 networks of the last step. Twice that, because a table that grows stands beside the smaller one that it was, and
/// the allocator keeps what that one took.
fn bound(cap: usize) -> f64 {
    let shards = (cap + cap / 8 * 3 + 256 + 65_536usize).div_ceil(896);
    (2 * shards * 1024 * 65) as f64
}

/// Ten million IPv6 addresses, then one million IPv4 addresses, each of which asks once. On the simulated clock they come
/// at 100,000 per second, which is more than a gateway answers, with one sweep per second. On the real clock they come as
/// fast as one thread can decide, with one sweep per second in another thread, and each decision is measured.
///
/// The fast limit has forgotten a client that asked once after 0.2 s; of the slow one, which takes a minute, the table is
/// full of clients that must not be forgotten. Where the flood then comes from everywhere, nobody can tell new honest
/// clients from it, and what becomes of them is no goal.
fn flood(spread: &str, clock: &str, limit: &str, quick: bool) {
    const SIMULATED_RATE: u64 = 100_000;
    let (v6, v4): (u64, u64) = if quick { (1_000_000, 100_000) } else { (10_000_000, 1_000_000) };
    let (everywhere, simulated, fast) = (spread == "everywhere", clock == "simulated", limit == "fast");
    let whence = if everywhere { "all of 2000::/3, all of IPv4" } else { "one /29 of IPv6, one /12 of IPv4" };
    let (limit, words) = match fast {
        true => (requests(5, 20), "5/s, burst 20"),
        false => (
            LimitSettings { requests: Some(Rate { count: 1, per: 60 * SECOND }), ..requests(1, 200) },
            "1/min, burst 200",
        ),
    };
    println!("flood: {v6} IPv6 addresses in 2 million /64s, then {v4} IPv4");
    println!("  from {whence}; limit {words}; {clock} clock");

    let manual = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let time: Arc<dyn Clock> = if simulated { manual.clone() } else { Arc::new(SystemClock::default()) };
    // Written once, so that it is resident before anything is measured.
    let mut times = vec![1u32; if simulated { 0 } else { (v6 + v4) as usize }];
    let before = resident();
    let limits = limits(&[limit], DEFAULT_CAP, time.clone());
    let mut honest = honest();
    let (start, mut seconds, mut most_resident, mut most_keys, mut refused) = (time.elapsed(), 0, 0.0f64, 0, 0u64);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        if !simulated {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    thread::sleep(SECOND);
                    limits.sweep();
                }
            });
        }
        for number in 0..v6 + v4 {
            let subject = at(flooder(everywhere, number, number < v6));
            if simulated {
                refused += u64::from(admit(&limits, &[0], &subject).is_err());
                if number % (SIMULATED_RATE / 1000) == 0 {
                    manual.advance(Duration::from_millis(1));
                }
            } else {
                let began = Instant::now();
                let admitted = admit(&limits, &[0], &subject).map(drop);
                times[number as usize] = u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX);
                refused += u64::from(admitted.is_err());
            }
            // Looking at the clock costs, so that it is done now and then.
            if number % 1000 != 0 || (time.elapsed() - start).as_secs() < seconds {
                continue;
            }
            seconds += 1;
            if simulated {
                limits.sweep();
            }
            let part = number as f64 / (v6 + v4) as f64;
            for honest in honest.iter_mut().filter(|honest| part >= honest.from) {
                honest.asked += 1;
                honest.refused += u64::from(admit(&limits, &[0], &honest.subject).is_err());
            }
            most_resident = most_resident.max(resident() - before);
            most_keys = most_keys.max(limits.sizes().map(|(_, keys)| keys).sum());
        }
        over.store(true, Ordering::Relaxed);
    });

    for Honest { name, asked, refused, .. } in &honest {
        let measured = format!("{refused} of {asked} refused");
        if *asked == 0 {
            note(name, "the flood was over too soon");
        } else if everywhere && !fast {
            note(name, &measured);
        } else {
            report(name, &measured, "none", *refused == 0);
        }
    }
    note("of the flood", &format!("{refused} refused in {seconds} s"));
    let (bound, megabytes) = (bound(DEFAULT_CAP), most_resident / 1e6);
    let goal = format!("<= {:.0} MB", bound / 1e6);
    let measured = format!("{megabytes:.0} MB, {most_keys} keys");
    report(&format!("memory at a cap of {DEFAULT_CAP} keys"), &measured, &goal, most_resident <= bound);
    if !simulated {
        times.sort_unstable();
        let [p50, p99, max] = [50.0, 99.0, 100.0].map(|percent| percentile(&times, percent));
        let measured = format!("{p50} / {p99} / {max} ns");
        let met = f64::from(p99) <= DECISION_GOAL;
        report("decision (two looks at the clock included), p50/p99/max", &measured, "p99 <= 2000 ns", met);
    }
}

/// Nanoseconds of one call of `act`, the median over batches on `threads` threads that run beside each other. `act` is
/// told the thread and the number of the call.
fn cost(threads: usize, act: &(dyn Fn(usize, u32) + Sync)) -> f64 {
    const BATCHES: usize = 5001;
    // So few that most batches are not interrupted.
    const CALLS: u32 = 200;
    let start = Barrier::new(threads);
    let measure = |thread: usize| {
        start.wait();
        let batch = |batch: usize| {
            let began = Instant::now();
            (0..CALLS).for_each(|call| act(thread, batch as u32 * CALLS + call));
            began.elapsed().as_nanos() as f64 / f64::from(CALLS)
        };
        (0..BATCHES).map(batch).collect::<Vec<_>>()
    };
    let mut times: Vec<f64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || measure(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What single calls take.
fn costs() {
    println!("costs in ns: median of batches; 10,000 keys on the real clock");
    println!("  {:<40} {:>12} {:>22} {:>22}", "", "one thread", "two, the same key", "two, different keys");
    let limits = limits(&[wide(), wide(), wide(), requests(1, 1)], DEFAULT_CAP, Arc::new(SystemClock::default()));
    let subject = |number: u32| at(Ipv4Addr::from(0x0a00_0000 | (number % 10_000)));
    let of = |thread: usize, number: u32, apart: bool| match (apart, thread) {
        (false, _) => subject(0),
        (true, thread) => subject(2 * number + thread as u32),
    };
    let line = |what: &str, act: &(dyn Fn(usize, u32, bool) + Sync)| {
        let one = cost(1, &|thread, number| act(thread, number, true));
        let same = cost(2, &|thread, number| act(thread, number, false));
        let apart = cost(2, &|thread, number| act(thread, number, true));
        let met = if one.max(same).max(apart) <= DECISION_GOAL { "met" } else { "MISSED" };
        println!("  {what:<40} {one:>12.0} {same:>22.0} {apart:>22.0}   goal <= 2000: {met}");
    };
    let admits: [(&str, &[LimitId]); 4] = [
        ("admit and end, no limit", &[]),
        ("admit and end, 1 limit", &[0]),
        ("admit and end, 3 limits", &[0, 1, 2]),
        ("refuse, 1 limit", &[3]),
    ];
    for (what, ids) in admits {
        line(what, &|thread, number, apart| {
            let _ = black_box(admit(&limits, ids, &of(thread, number, apart)));
        });
    }
    let held: Vec<Admission> = (0..10_000).map(|number| admit(&limits, &[0], &subject(number)).unwrap()).collect();
    let of = |thread: usize, number: u32, apart: bool| match (apart, thread) {
        (false, _) => &held[0],
        (true, thread) => &held[(2 * number as usize + thread) % held.len()],
    };
    line("Meter::sent, 1 limit", &|thread, number, apart| {
        black_box(of(thread, number, apart).meter.sent(65_536, Duration::ZERO));
    });
    line("Meter::quota, 1 limit", &|thread, number, apart| {
        black_box(of(thread, number, apart).meter.quota());
    });
}
