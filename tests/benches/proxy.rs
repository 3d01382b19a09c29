//! What the gateway costs: CPU time per proxied request and per gigabyte, beside nginx as a reverse proxy.
//!
//! `cargo bench --bench proxy`, or `make bench`. Needs two cores, and the Debian packages nginx, wrk and util-linux.
//!
//! Everything is on loopback. The proxy under test has core 0 for itself; the origin (an nginx with static files), wrk
//! and this program share core 1. The gateway has everything switched on: the built-in policy enforced (with rates that
//! the load does not reach), requests to the origin signed, the access log in a file, metrics. nginx does what Debian's
//! does by default, its access log included, with keep-alive connections to the origin; once with default buffers and
//! once with 16 of 64 KiB. Clients are of the policy's class `tool`, for which all rules but the last are looked at.
//!
//! How to read the table: a cell is the median over the rounds, with the least and the most in parentheses. The unit is
//! CPU time of all threads and workers of the proxy, user and system; no wall time. In a round each proxy takes each
//! load in turn, and a ratio is the median of the ratios within rounds, so that a machine that slows down slows both
//! sides. Trust ratios, not microseconds: these belong to the machine. A wide range in parentheses is a disturbed run.
//! The run fails if an answer is not 200, if a line is missing in an access log, or if the gateway's metrics say that it
//! did something else than to serve tools.

#![allow(clippy::disallowed_methods, reason = "a benchmark is all processes, sockets and waiting")]

mod rig;

use rig::load;
use rig::process::{check_programs, leave_proxy_core};
use rig::servers::{Directory, Origin, Proxy, SITE};
use rig::table::Table;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: cargo bench --bench proxy -- [--quick] [--rounds N] [--also BINARY]...

  --quick        two short rounds: does it work, and is anything grossly wrong?
  --rounds N     rounds to take the median of; 5 if not given
  --also BINARY  another build of the gateway, to be compared with this one in the same run";

/// Where the gateway is that cargo built for this run.
const GATEWAY: &str = env!("CARGO_BIN_EXE_windscreen");
/// Connections are opened, pages cached and pools filled before the first round.
const WARM_UP: Duration = Duration::from_secs(1);
/// After a load a proxy gets so long to write out its log, which is part of the cost.
const SETTLE: Duration = Duration::from_millis(500);

/// What the table has a column for.
struct Load {
    label: &'static str,
    object: &'static str,
    size: u64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Many requests over keep-alive connections. Costs microseconds per request.
    Requests,
    /// One transfer after the other. Costs seconds per gigabyte of 1,000,000,000 bytes.
    Transfers,
}

const LOADS: [Load; 3] = [
    Load { label: "1 KiB, us per request", object: "small", size: 1 << 10, kind: Kind::Requests },
    Load { label: "100 KiB, us per request", object: "medium", size: 100 << 10, kind: Kind::Requests },
    Load { label: "512 MiB, s per GB", object: "large", size: 512 << 20, kind: Kind::Transfers },
];

struct Arguments {
    rounds: usize,
    /// How long wrk asks for a small object in one round.
    time: Duration,
    /// How often the large object is fetched in one round.
    fetches: u32,
    also: Vec<PathBuf>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Arguments { rounds: 5, time: Duration::from_secs(5), fetches: 4, also: Vec::new() };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value\n{USAGE}"));
            match word.as_str() {
                "--bench" => {} // from cargo
                "--quick" => {
                    (arguments.rounds, arguments.time, arguments.fetches) = (2, Duration::from_secs(2), 2);
                }
                "--rounds" => {
                    let rounds = value()?.parse().ok().filter(|rounds| *rounds > 0);
                    arguments.rounds = rounds.ok_or("--rounds needs a number greater than 0")?;
                }
                "--also" => arguments.also.push(value()?.into()),
                _ => return Err(format!("`{word}` is not known\n{USAGE}")),
            }
        }
        Ok(arguments)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if !words.iter().any(|word| word == "--bench") {
        println!("the benchmark only runs by `cargo bench`");
        return ExitCode::SUCCESS;
    }
    match Arguments::parse(words.into_iter()).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    check_programs()?;
    leave_proxy_core()?;
    let directory = Directory::new()?;
    let objects = LOADS.map(|load| (load.object, load.size));
    let origin = Origin::start(&directory, &objects)?;
    let proxies = start_proxies(&arguments.also, &directory, &origin)?;
    for proxy in &proxies {
        progress(&format!("warming up: {}", proxy.name));
        for load in &LOADS {
            put(load, proxy, WARM_UP, 1)?;
        }
    }

    let columns = LOADS.iter().map(|load| load.label).collect();
    let mut table = Table::new(columns, proxies.iter().map(|proxy| &*proxy.name).collect());
    for round in 1..=arguments.rounds {
        for (column, load) in LOADS.iter().enumerate() {
            for (row, proxy) in proxies.iter().enumerate() {
                progress(&format!("round {round} of {}: {}, {}", arguments.rounds, load.label, proxy.name));
                table.add(column, row, measure(load, proxy, arguments)?);
            }
        }
    }
    progress("");

    println!("CPU time of the proxy; median (least-most) of {} rounds\n", arguments.rounds);
    println!("{}", table.render());
    for proxy in &proxies {
        proxy.check_books()?;
    }
    let memory = proxies[0].server.memory()?;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("gateway, resident memory: {:.1} MiB, at most {:.1} MiB", mebibytes(memory.now), mebibytes(memory.peak));
    Ok(())
}

/// The gateway first: the table compares it with the others.
fn start_proxies(also: &[PathBuf], directory: &Directory, origin: &Origin) -> Result<Vec<Proxy>, String> {
    let mut proxies = vec![
        Proxy::gateway("gateway", Path::new(GATEWAY), directory, origin)?,
        Proxy::nginx("nginx, default buffers", "", directory, origin)?,
        Proxy::nginx("nginx, 16 x 64k", "proxy_buffers 16 64k;", directory, origin)?,
    ];
    for (index, binary) in also.iter().enumerate() {
        let binary = binary.canonicalize().map_err(|error| format!("`{}`: {error}", binary.display()))?;
        proxies.push(Proxy::gateway(&format!("gateway, build {}", index + 2), &binary, directory, origin)?);
    }
    Ok(proxies)
}

/// Puts a load on a proxy and says how many answers came.
fn put(load: &Load, proxy: &Proxy, time: Duration, fetches: u32) -> Result<u64, String> {
    let path = format!("{SITE}/{}", load.object);
    if load.kind == Kind::Requests {
        return load::requests(proxy.port, &path, time);
    }
    for _ in 0..fetches {
        let bytes = load::fetch(proxy.port, &path)?;
        if bytes != load.size {
            return Err(format!("{}: {path} came with {bytes} bytes instead of {}", proxy.name, load.size));
        }
    }
    Ok(fetches.into())
}

/// What one answer, or one gigabyte, costs the proxy.
fn measure(load: &Load, proxy: &Proxy, arguments: &Arguments) -> Result<f64, String> {
    proxy.clear_log()?;
    let before = proxy.server.cpu_seconds()?;
    let answers = put(load, proxy, arguments.time, arguments.fetches)?;
    std::thread::sleep(SETTLE);
    let seconds = proxy.server.cpu_seconds()? - before;
    let lines = proxy.log_lines()?;
    if lines < answers {
        return Err(format!("{} logged {lines} of {answers} requests", proxy.name));
    }
    Ok(match load.kind {
        Kind::Requests => seconds * 1e6 / answers as f64,
        Kind::Transfers => seconds * 1e9 / (answers * load.size) as f64,
    })
}

/// Says on a terminal what is being done.
fn progress(what: &str) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        let _ = write!(terminal, "\r\x1b[K{what}");
        let _ = terminal.flush();
    }
}
