//! Normal clients beside a flood of visitors that are challenged and of junk that is submitted: do they notice?
//!
//! 50 normal clients ask for 1 KiB five times per second each, through the gateway, alone and beside the flood: 5,000
//! challenge pages per second, each for another network, and 2,000 submissions, of which one half is for a challenge that
//! nobody issued and the other for one that was, with nonces that solve nothing: these cost the gateway a hash. The same
//! clients and the same flood meet a null handler, which answers at once with as many bytes.
//!
//! The cores are shared as `abuse/mod.rs` of the limits says. At the end the flood goes on alone, and the gateway's memory
//! is looked at.

mod visitors;

use crate::rig::clients::{self, NORMAL, PERIOD, Seen};
use crate::rig::load;
use crate::rig::null::{LARGE, PAGE, SMALL};
use crate::rig::process::{check_programs, leave_proxy_core};
use crate::rig::servers::{Directory, Origin, Proxy};
use crate::{median, met};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;
use tokio::time::Instant;
use visitors::{ISSUED, Met, SUBMITTED};

const POLICY: &str = "version: 1
mode: enforce
networks: {internal: [203.0.113.0/24], ci: [203.0.113.0/24]}
limits: {one: {key: address, requests: 20/s, burst: 40, bytes: 10 MB/s, transfers: 8}, bought: {key: prefix, requests: 600/hour}}
rules: [{name: people, match: {user_agent: {regex: Mozilla}}, action: challenge}]
challenge: {limits: [bought]}
default: {action: allow, limits: [one]}
";
const WARM_UP: Duration = Duration::from_millis(1500);
/// The 99th percentile of normal clients is less than this times that at the null handler.
const GOAL: f64 = 2.0;
/// Of the flood, so much has to come at least for the rest to mean anything.
const FULL: f64 = 0.98;

/// A server in a situation, and what was measured in each round.
struct Cell {
    gateway: bool,
    flood: bool,
    p50: Vec<f64>,
    p99: Vec<f64>,
    refused: u64,
    met: Met,
    cpu: f64,
}

/// Normal clients, and the flood where there is one, in a thread each.
fn load(port: u16, flood: bool, time: Duration) -> io::Result<(Seen, Met)> {
    fn runtime() -> io::Result<tokio::runtime::Runtime> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    }
    let begun = Instant::now();
    let (from, until) = (begun + WARM_UP, begun + WARM_UP + time);
    thread::scope(|scope| {
        let flood = flood.then(|| scope.spawn(move || runtime()?.block_on(visitors::flood(port, until))));
        let seen = runtime()?.block_on(clients::normal(port, from, until))?;
        let met = match flood {
            Some(flood) => flood.join().map_err(|_| io::Error::other("the flood broke down"))??,
            None => Met::default(),
        };
        Ok((seen, met))
    })
}

fn percentile(sorted: &[f64], percent: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * percent / 100.0).round() as usize]
}

/// Runs the rounds and prints the table; and then lets the flood go on to see whether memory grows.
pub fn run(quick: bool) -> Result<(), String> {
    let (rounds, seconds, soak) = if quick { (2, 2, 4) } else { (5, 6, 260) };
    check_programs()?;
    leave_proxy_core()?;
    let directory = Directory::new()?;
    let origin = Origin::start(&directory, &[SMALL, LARGE])?;
    let gateway = Path::new(env!("CARGO_BIN_EXE_windscreen"));
    let gateway = Proxy::gateway_with("gateway", gateway, &directory, &origin, POLICY)?;
    let null = Proxy::null(&directory)?;
    let cell = |gateway, flood| {
        let (p50, p99, met) = (Vec::new(), Vec::new(), Met::default());
        Cell { gateway, flood, p50, p99, refused: 0, met, cpu: 0.0 }
    };
    let mut cells = [cell(true, false), cell(false, false), cell(true, true), cell(false, true)];
    for _ in 0..rounds {
        for cell in &mut cells {
            let proxy = if cell.gateway { &gateway } else { &null };
            let before = proxy.server.cpu_seconds()?;
            let result = load(proxy.port, cell.flood, Duration::from_secs(seconds));
            let (mut seen, met) = result.map_err(|error| format!("{}: {error}", proxy.name))?;
            cell.cpu += proxy.server.cpu_seconds()? - before;
            seen.latencies.sort_by(f64::total_cmp);
            cell.p50.push(percentile(&seen.latencies, 50.0));
            cell.p99.push(percentile(&seen.latencies, 99.0));
            cell.refused += seen.refused;
            cell.met.add(&met);
        }
    }
    print(&cells, rounds, (Duration::from_secs(seconds) + WARM_UP) * rounds);
    memory(&gateway, soak)
}

fn print(cells: &[Cell; 4], rounds: u32, time: Duration) {
    println!(
        "flood: {NORMAL} normal clients, one request per {} ms each, in ms: median (least-most) of {rounds} rounds",
        PERIOD.as_millis()
    );
    println!("  {:<30}{:>22}{:>22}{:>8}   the flood, per second", "", "p50", "p99", "core");
    let range = |values: &[f64]| {
        let (least, most) = values.iter().fold((f64::INFINITY, 0.0f64), |(l, m), v| (l.min(*v), m.max(*v)));
        format!("{:.2} ({least:.2}-{most:.2})", median(values))
    };
    let seconds = time.as_secs_f64();
    for cell in cells {
        let name = if cell.gateway { "gateway" } else { "null handler" };
        let (name, flood) = if cell.flood {
            let (pages, junk) = (cell.met.pages as f64 / seconds, cell.met.junk as f64 / seconds);
            (format!("{name} beside the flood"), format!("{pages:.0} pages, {junk:.0} submissions"))
        } else {
            (format!("{name} alone"), String::new())
        };
        let core = format!("{:.0}%", cell.cpu / seconds * 100.0);
        println!("  {name:<30}{:>22}{:>22}{core:>8}   {flood}", range(&cell.p50), range(&cell.p99));
    }
    let ratios: Vec<f64> = cells[2].p99.iter().zip(&cells[3].p99).map(|(ours, null)| ours / null).collect();
    let ratio = median(&ratios);
    println!("  p99 beside the flood, gateway / null handler: {ratio:.2}   goal < {GOAL}: {}", met(ratio < GOAL));
    for (what, came, goal) in [
        ("challenges issued", cells[2].met.challenged, ISSUED),
        ("junk submissions refused", cells[2].met.refused, SUBMITTED),
    ] {
        let rate = came as f64 / seconds;
        println!("  {what} per second: {rate:.0}   goal {goal}: {}", met(rate >= f64::from(goal) * FULL));
    }
    let refused = cells[0].refused + cells[2].refused;
    println!("  normal requests that were refused: {refused}   goal none: {}", met(refused == 0));
}

/// The flood alone, for longer than a challenge is remembered.
fn memory(gateway: &Proxy, seconds: u32) -> Result<(), String> {
    let quarter = Duration::from_secs(seconds.into()) / 4;
    let mut resident = Vec::new();
    for _ in 0..4 {
        load(gateway.port, true, quarter).map_err(|error| error.to_string())?;
        resident.push(gateway.server.memory()?.now as f64 / f64::from(1 << 20));
    }
    let metrics = load::text(gateway.admin.ok_or("a gateway has metrics")?, "/metrics")?;
    let value = |name: &str| {
        metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or("none").to_owned()
    };
    let grown = resident[3] / resident[2];
    println!(
        "  memory after each quarter of {seconds} s of flood: {} MiB; the last adds {:.1}%   goal <= 5%: {}",
        resident.iter().map(|mib| format!("{mib:.1}")).collect::<Vec<_>>().join(", "),
        (grown - 1.0) * 100.0,
        met(grown <= 1.05)
    );
    for reason in ["forged", "wrong", "quota", "full"] {
        let name = format!("windscreen_challenges_failed_total{{reason=\"{reason}\"}}");
        println!("  submissions refused as {reason}: {}", value(&name));
    }
    println!("  challenge pages have {} KiB at the null handler", PAGE.1 >> 10);
    Ok(())
}
