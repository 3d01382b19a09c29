//! Normal clients beside abusers, end to end: do they notice?
//!
//! 50 normal clients ask for 1 KiB five times per second each: alone, then beside a client that asks 1,000 times per
//! second, then beside one that downloads 512 MiB as fast as it comes. The gateway refuses the first for its requests and
//! slows the second down for its bytes. The same clients ask a null handler, which answers at once, and whose downloader
//! reads no faster than the gateway would let it: what changes there is the doing of the machine and of the load
//! generator. The null handler without that restraint is in the table for comparison.
//!
//! Two cores, on loopback: the gateway, or the null handler, has core 0 for itself; the clients, in two threads, and the
//! gateway's origin, an nginx, share core 1. In a round each server has each situation in turn; times are medians of
//! the rounds, and changes are medians of the changes within rounds.

mod abusers;

use crate::rig::clients::{self, NORMAL, PERIOD, Seen};
use crate::rig::null::{LARGE, SMALL};
use crate::rig::process::{check_programs, leave_proxy_core};
use crate::rig::servers::{Directory, Origin, Proxy};
use crate::{note, percentile, report};
use abusers::Got;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;
use tokio::time::Instant;

/// The byte limit below.
const RATE: u64 = 10_000_000;
const POLICY: &str = "version: 1
mode: enforce
networks: {internal: [203.0.113.0/24], ci: [203.0.113.0/24]}
limits: {one: {key: address, requests: 20/s, burst: 40, bytes: 10 MB/s, transfers: 8}}
default: {action: allow, limits: [one]}
";
/// Abusers spend what they may take at once before anything is measured.
const WARM_UP: Duration = Duration::from_millis(1500);
/// The 99th percentile of normal clients changes by less than this, compared with the null handler.
const CHANGE_GOAL: f64 = 2.0;

/// Beside what normal clients ask.
#[derive(Clone, Copy, PartialEq)]
pub enum Situation {
    /// Nothing.
    Alone,
    /// One client that asks much too often.
    Requests,
    /// One client that downloads, at a rate of its own in bytes per second or as fast as it can.
    Download { rate: Option<u64> },
}

/// A server in a situation, and what was measured in each round.
struct Cell {
    name: &'static str,
    gateway: bool,
    situation: Situation,
    p50: Vec<f64>,
    p99: Vec<f64>,
    refused: u64,
    asked: u64,
    abuser: Got,
}

fn cells() -> [Cell; 7] {
    use Situation::{Alone, Download, Requests};
    let cell = |name, gateway, situation| {
        let (p50, p99, abuser) = (Vec::new(), Vec::new(), Got::default());
        Cell { name, gateway, situation, p50, p99, refused: 0, asked: 0, abuser }
    };
    [
        cell("alone", true, Alone),
        cell("alone", false, Alone),
        cell("beside 1,000 requests/s", true, Requests),
        cell("beside 1,000 requests/s", false, Requests),
        cell("beside a download", true, Download { rate: None }),
        cell("beside a download, 10 MB/s", false, Download { rate: Some(RATE) }),
        cell("beside a download", false, Download { rate: None }),
    ]
}

/// Both kinds of clients, in a thread each, so that the kernel shares the core between them.
fn load(port: u16, situation: Situation, time: Duration) -> io::Result<(Seen, Got)> {
    fn runtime() -> io::Result<tokio::runtime::Runtime> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    }
    let begun = Instant::now();
    let (from, until) = (begun + WARM_UP, begun + WARM_UP + time);
    thread::scope(|scope| {
        let abuser = scope.spawn(move || runtime()?.block_on(abusers::abuser(port, situation, until)));
        let seen = runtime()?.block_on(clients::normal(port, from, until))?;
        let got = abuser.join().map_err(|_| io::Error::other("the abuser broke down"))??;
        Ok((seen, got))
    })
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, 50.0)
}

/// What abusers change, within rounds.
fn changes(values: &[f64], alone: &[f64]) -> Vec<f64> {
    values.iter().zip(alone).map(|(value, alone)| value / alone).collect()
}

/// Runs the rounds and prints the table.
pub fn run(quick: bool) -> Result<(), String> {
    let (rounds, time) = if quick { (2, Duration::from_secs(2)) } else { (5, Duration::from_secs(6)) };
    check_programs()?;
    leave_proxy_core()?;
    let directory = Directory::new()?;
    let origin = Origin::start(&directory, &[SMALL, LARGE])?;
    let gateway = Path::new(env!("CARGO_BIN_EXE_windscreen"));
    let gateway = Proxy::gateway_with("gateway", gateway, &directory, &origin, POLICY)?;
    let null = Proxy::null(&directory)?;
    let mut cells = cells();
    for _ in 0..rounds {
        for cell in &mut cells {
            let port = if cell.gateway { gateway.port } else { null.port };
            let (mut seen, got) =
                load(port, cell.situation, time).map_err(|error| format!("{}: {error}", cell.name))?;
            seen.latencies.sort_by(f64::total_cmp);
            cell.p50.push(percentile(&seen.latencies, 50.0));
            cell.p99.push(percentile(&seen.latencies, 99.0));
            cell.refused += seen.refused;
            cell.asked += seen.latencies.len() as u64;
            cell.abuser.answers += got.answers;
            cell.abuser.refused += got.refused;
            cell.abuser.bytes += got.bytes;
        }
    }
    print(&cells, rounds, (time + WARM_UP) * rounds);
    Ok(())
}

fn print(cells: &[Cell; 7], rounds: u32, time: Duration) {
    println!(
        "abusers: {NORMAL} normal clients, one request per {} ms each, in ms: median (least-most) of {rounds} rounds",
        PERIOD.as_millis()
    );
    println!("  {:<13}{:<28}{:>22}{:>22}{:>9}   the abuser", "", "", "p50", "p99", "change");
    let range = |values: &[f64]| {
        let (least, most) = values.iter().fold((f64::INFINITY, 0.0f64), |(l, m), v| (l.min(*v), m.max(*v)));
        format!("{:.2} ({least:.2}-{most:.2})", median(values))
    };
    for cell in cells {
        let alone = &cells[usize::from(!cell.gateway)];
        let name = if cell.gateway { "gateway" } else { "null handler" };
        let change = median(&changes(&cell.p99, &alone.p99));
        let seconds = time.as_secs_f64();
        let abuser = match cell.situation {
            Situation::Alone => String::new(),
            Situation::Requests => {
                let (answers, refused) = (cell.abuser.answers as f64, cell.abuser.refused as f64);
                format!("{:.0} answers/s, {:.1}% refused", answers / seconds, refused / answers * 100.0)
            }
            Situation::Download { .. } => format!("{:.1} MB/s", cell.abuser.bytes as f64 / seconds / 1e6),
        };
        let (p50, p99) = (range(&cell.p50), range(&cell.p99));
        println!("  {name:<13}{:<28}{p50:>22}{p99:>22}{change:>8.2}x   {abuser}", cell.name);
    }
    for [ours, null] in [[2, 3], [4, 5]] {
        let of = |at: usize, alone: usize| changes(&cells[at].p99, &cells[alone].p99);
        let change = median(&changes(&of(ours, 0), &of(null, 1)));
        let met = change < CHANGE_GOAL;
        report(&format!("p99 {}, change / null handler's", cells[ours].name), &format!("{change:.2}x"), "< 2x", met);
    }
    let (refused, asked) =
        cells.iter().filter(|cell| cell.gateway).fold((0, 0), |(r, a), c| (r + c.refused, a + c.asked));
    report("normal requests that were refused", &format!("{refused} of {asked}"), "none", refused == 0);
    note("cores", "gateway or null: 0; rest: 1");
}
