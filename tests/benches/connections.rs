//! What connections cost that ask for nothing, ask too slowly, or do not take what they asked for: memory of the gateway,
//! and what honest clients notice.
//!
//! `cargo bench --bench connections`, or `make bench-connections`; `-- --quick` is short, for whether it works, and
//! `WINDSCREEN=/usr/bin/windscreen` measures that one. 40 honest
//! clients ask for 1 KiB five times a second each, half of them on a new connection each time. They do so alone, and
//! beside 10,000 connections that are idle (half have had an answer, half never asked), 5,000 whose headers drip, a line
//! a second, and who come back when they are cut off, and 2,000 that ask for 1 GiB and read nothing: while these come,
//! and when they are there.
//!
//! Two cores, on loopback: the gateway has core 0 for itself; clients, attackers and the origin, an nginx, share core 1,
//! so part of what honest clients notice is the doing of attackers beside them. Times are in ms, and changes are within
//! a round, for the machine is noisy. Memory is the gateway's, beyond what it had before; the sockets' own is the kernel's.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and files")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that cannot go on fails")]

mod rig;

use rig::process::{check_programs, leave_proxy_core};
use rig::servers::{Directory, Origin, Proxy};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

const SMALL: (&str, u64) = ("small", 1 << 10);
const LARGE: (&str, u64) = ("large", 1 << 30);
const POLICY: &str = "version: 1\nmode: enforce\nnetworks: {internal: [203.0.113.0/24], ci: [203.0.113.0/24]}\n\
                      default: {action: allow}\n";
const HONEST: u32 = 40;
const PERIOD: Duration = Duration::from_millis(200);
/// The 99th percentile of honest clients' times grows by less than this.
const GOAL: f64 = 2.0;

#[derive(Clone, Copy, PartialEq)]
enum Attack {
    Idle,
    Drip,
    Stall,
}

/// An attack by so many connections.
const ATTACKS: [(Attack, &str, usize); 3] = [
    (Attack::Idle, "10,000 idle", 10_000),
    (Attack::Drip, "5,000 whose headers drip", 5_000),
    (Attack::Stall, "2,000 that read nothing of 1 GiB", 2_000),
];

fn main() -> ExitCode {
    let quick = std::env::args().any(|word| word == "--quick");
    match run(quick) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn request(object: &str, client: usize) -> Vec<u8> {
    let address = format!("198.51.{}.{}", client / 250 % 250, client % 250 + 1);
    format!("GET /logs/{object} HTTP/1.1\r\nHost: logs\r\nX-Forwarded-For: {address}\r\n\r\n").into_bytes()
}

/// Reads an answer whose body is the small object; what else comes is an error.
async fn answer(stream: &mut TcpStream) -> io::Result<()> {
    let (mut taken, mut buffer) = (0, [0; 4096]);
    loop {
        let count = stream.read(&mut buffer[taken..]).await?;
        taken += count;
        let end = buffer[..taken].windows(4).position(|four| four == b"\r\n\r\n");
        if end.is_some_and(|end| taken == end + 4 + SMALL.1 as usize) {
            let good = buffer.starts_with(b"HTTP/1.1 200 ");
            return if good { Ok(()) } else { Err(io::Error::other("not answered with 200")) };
        }
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Honest clients ask for so long: the times that answers took, in ms and in order.
fn honest(port: u16, time: Duration) -> io::Result<Vec<f64>> {
    let client = |number: u32| async move {
        let mut kept = connect(port).await?;
        let (mut times, until) = (Vec::new(), Instant::now() + time);
        sleep(PERIOD * number / HONEST).await;
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while Instant::now() < until {
            ticks.tick().await;
            let asked = Instant::now();
            if number.is_multiple_of(2) {
                kept = connect(port).await?;
            }
            kept.write_all(&request(SMALL.0, number as usize)).await?;
            answer(&mut kept).await?;
            times.push(asked.elapsed().as_secs_f64() * 1e3);
        }
        Ok::<_, io::Error>(times)
    };
    runtime().block_on(async {
        let clients: Vec<_> = (0..HONEST).map(|number| tokio::spawn(client(number))).collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.await.map_err(io::Error::other)??);
        }
        all.sort_by(f64::total_cmp);
        Ok(all)
    })
}

/// One attacker, until it is told to stop. Whatever happens to it, it does not complain.
async fn attacker(port: u16, attack: Attack, number: usize, there: Arc<AtomicUsize>, stop: Arc<AtomicBool>) {
    let mut once = true;
    while once || attack == Attack::Drip && !stop.load(Ordering::Relaxed) {
        let _ = attack_once(port, attack, number, once.then_some(&*there), &stop).await;
        once = false;
    }
}

async fn attack_once(
    port: u16,
    attack: Attack,
    number: usize,
    there: Option<&AtomicUsize>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut stream = connect(port).await?;
    match attack {
        Attack::Idle if number.is_multiple_of(2) => {
            stream.write_all(&request(SMALL.0, number)).await?;
            answer(&mut stream).await?;
        }
        Attack::Idle => {}
        Attack::Drip => stream.write_all(b"GET /logs/small HTTP/1.1\r\nHost: logs\r\n").await?,
        Attack::Stall => stream.write_all(&request(LARGE.0, number)).await?,
    }
    if let Some(there) = there {
        there.fetch_add(1, Ordering::Relaxed);
    }
    while !stop.load(Ordering::Relaxed) {
        if attack == Attack::Drip {
            stream.write_all(b"X-Drip: drop\r\n").await?;
            if timeout(Duration::from_secs(1), stream.read_u8()).await.is_ok() {
                return Ok(());
            }
        } else {
            sleep(Duration::from_millis(500)).await;
        }
    }
    Ok(())
}

/// What was measured beside an attack, in every round.
#[derive(Default)]
struct Seen {
    /// p50 and p99 alone, while attackers come, and when they are there.
    alone: Vec<[f64; 2]>,
    coming: Vec<[f64; 2]>,
    there: Vec<[f64; 2]>,
    /// Bytes: what the gateway grew by, at the most.
    memory: Vec<f64>,
}

fn percentiles(times: &[f64]) -> [f64; 2] {
    [50, 99].map(|percent| times[(times.len() - 1) * percent / 100])
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// One attack on a gateway of its own.
fn round(
    gateway: &Proxy,
    (attack, _, count): (Attack, &str, usize),
    time: Duration,
    seen: &mut Seen,
) -> io::Result<()> {
    let resident = || gateway.server.memory().map_err(io::Error::other);
    let port = gateway.port;
    honest(port, Duration::from_secs(1))?;
    seen.alone.push(percentiles(&honest(port, time)?));
    let before = resident()?.now;
    let (there, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    thread::scope(|scope| {
        let attackers = {
            let (there, stop) = (there.clone(), stop.clone());
            scope.spawn(move || {
                runtime().block_on(async {
                    let mut all = Vec::new();
                    for number in 0..count {
                        all.push(tokio::spawn(attacker(port, attack, number, there.clone(), stop.clone())));
                        // Not faster than the socket's queue can be emptied.
                        if number % 50 == 49 {
                            sleep(Duration::from_millis(10)).await;
                        }
                    }
                    for one in all {
                        let _ = one.await;
                    }
                });
            })
        };
        let measured = (|| -> io::Result<()> {
            seen.coming.push(percentiles(&honest(port, time)?));
            let from = Instant::now();
            while there.load(Ordering::Relaxed) < count && from.elapsed() < Duration::from_secs(30) {
                thread::sleep(Duration::from_millis(100));
            }
            seen.there.push(percentiles(&honest(port, time)?));
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        attackers.join().map_err(|_| io::Error::other("the attackers broke down"))?;
        measured
    })?;
    if there.load(Ordering::Relaxed) < count {
        return Err(io::Error::other(format!("only {} of {count} attackers came", there.load(Ordering::Relaxed))));
    }
    seen.memory.push(resident()?.peak.saturating_sub(before) as f64);
    Ok(())
}

/// As many files as may be opened, for this program and what it starts.
fn raise_limit() -> u64 {
    let most = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit { current: most, maximum: most };
    let _ = setrlimit(Resource::Nofile, raised);
    most.unwrap_or(u64::MAX)
}

fn run(quick: bool) -> Result<(), String> {
    let (rounds, time, part) = if quick { (1, 2, 10) } else { (3, 8, 1) };
    check_programs()?;
    leave_proxy_core()?;
    if raise_limit() < 12_000 {
        return Err("12,000 files must be allowed: `ulimit -Hn`".into());
    }
    let directory = Directory::new()?;
    let origin = Origin::start(&directory, &[SMALL, LARGE])?;
    let binary = PathBuf::from(std::env::var_os("WINDSCREEN").unwrap_or(env!("CARGO_BIN_EXE_windscreen").into()));
    let mut all: Vec<Seen> = ATTACKS.iter().map(|_| Seen::default()).collect();
    for _ in 0..rounds {
        for ((attack, name, count), seen) in ATTACKS.iter().zip(&mut all) {
            let gateway = Proxy::gateway_with("gateway", &binary, &directory, &origin, POLICY)?;
            round(&gateway, (*attack, name, count / part), Duration::from_secs(time), seen)
                .map_err(|error| format!("{name}: {error}"))?;
        }
    }
    println!("{HONEST} honest clients, p50/p99 in ms, medians of {rounds} rounds; changes of p99 within a round");
    println!(
        "  {:<34}{:>16}{:>16}{:>8}{:>16}{:>8}{:>12}{:>14}",
        "beside", "alone", "they come", "change", "they are there", "change", "memory", "each"
    );
    for ((_, name, count), seen) in ATTACKS.iter().zip(&all) {
        let cell = |values: &[[f64; 2]]| {
            let of = |at: usize| median(values.iter().map(|value| value[at]));
            format!("{:.2}/{:.2}", of(0), of(1))
        };
        let change =
            |values: &[[f64; 2]]| median(values.iter().zip(&seen.alone).map(|(value, alone)| value[1] / alone[1]));
        let (coming, there) = (change(&seen.coming), change(&seen.there));
        let memory = median(seen.memory.iter().copied());
        println!(
            "  {name:<34}{:>16}{:>16}{coming:>7.2}x{:>16}{there:>7.2}x{:>9.0} MB{:>10.1} KiB   goal < {GOAL}x: {}",
            cell(&seen.alone),
            cell(&seen.coming),
            cell(&seen.there),
            memory / 1e6,
            memory / (count / part) as f64 / 1024.0,
            if coming.max(there) < GOAL { "met" } else { "MISSED" }
        );
    }
    Ok(())
}
