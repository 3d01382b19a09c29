//! How many lines of a log are judged in a second of CPU time, beside what GoAccess counts in one, on the same file.
//!
//! `cargo bench --bench replay`, or `make bench-replay`. A simulated week is written as a combined log; both programs read
//! it by turns. What they do differs: GoAccess counts hits by a dozen criteria, the gateway decides each request by the
//! reference policy, with limits, strikes, passes and behaviour on the log's clock, and keeps the books for a report.
//!
//! How to read the table: lines per second of CPU time, all threads together, the median of the rounds. Trust the ratio.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads files and runs programs")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot go on fails")]

#[path = "../simulator/mod.rs"]
mod simulator;

use simulator::{Event, Scenario, combined_line};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

const ROUNDS: usize = 5;

/// Writes the reads of a week, and says how many there are.
fn write_log(path: &Path) -> u64 {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut lines = 0;
    for event in Scenario::clean(7).lasting(7).traffic().filter(Event::is_read) {
        writeln!(file, "{}", combined_line(&event).trim_end()).unwrap();
        lines += 1;
    }
    file.flush().unwrap();
    lines
}

/// The CPU time of a command in seconds, of all its threads, in user mode and in the kernel.
fn cpu_seconds(command: &str) -> f64 {
    let timed = format!("TIMEFORMAT='%U %S'; time {command} > /dev/null 2> /dev/null");
    let output = Command::new("bash").args(["-c", &timed]).output().unwrap();
    assert!(output.status.success(), "`{command}` failed");
    let text = String::from_utf8(output.stderr).unwrap();
    text.split_ascii_whitespace().map(|number| number.parse::<f64>().unwrap()).sum()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let lines = write_log(&log) as f64;
    let log = log.to_str().unwrap();
    let ours = format!("{} replay --json {log}", env!("CARGO_BIN_EXE_windscreen"));
    let theirs = format!("goaccess {log} --log-format=COMBINED --no-progress -o {}/out.json", folder.path().display());
    let mut rates = [Vec::new(), Vec::new()];
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        for (rates, command) in rates.iter_mut().zip([&ours, &theirs]) {
            rates.push(lines / cpu_seconds(command));
        }
    }
    let [ours, theirs] = rates.map(median);
    println!("{lines} lines");
    println!("windscreen replay  {ours:>9.0} lines per second of CPU time");
    println!("goaccess           {theirs:>9.0}");
    println!("ratio              {:>9.2}", ours / theirs);
}
