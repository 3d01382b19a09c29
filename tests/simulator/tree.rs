//! What the buckets hold, as functions of time and name: nothing is stored.
//!
//! Each day has a fixed number of slots, and in each slot at most one test runs. While it does, its log grows by a part
//! every half minute, and parts of equal size are merged; when it ends, `log` takes their place.

use super::chance::{self, Chance};
use super::rhythm::{self, DAY, SECOND};
use std::fmt::Write;

/// Between two parts of a log that grows.
pub const TICK: i64 = 30 * SECOND;

const SYSTEMS: [&str; 14] = [
    "fedora-43",
    "fedora-44",
    "fedora-rawhide",
    "fedora-coreos",
    "centos-9-stream",
    "centos-10",
    "debian-stable",
    "debian-testing",
    "ubuntu-2404",
    "ubuntu-stable",
    "arch",
    "opensuse-tumbleweed",
    "rhel-9-8",
    "rhel-10-2",
];
const SUITES: [&str; 5] = ["networking", "storage", "expensive", "other", "devel"];
const TESTS: [&str; 12] = [
    "TestFirewall-testBasic",
    "TestMachines-testCreate",
    "TestStorage-testLvm",
    "TestLogin-testExpired",
    "TestUpdates-testReboot",
    "TestTerminal-testResize",
    "TestKdump-testConfig",
    "TestServices-testFilter",
    "TestAccounts-testKeys",
    "TestJournal-testLive",
    "TestSystemInfo-testMotd",
    "TestPages-testHistory",
];

/// The size of an object, by its name alone: a stub origin may serve the same.
pub fn size_of(path: &str) -> u64 {
    let mut chance = Chance::new(&[chance::hash(path)]);
    let mut drawn =
        |median: f64, sigma: f64, low: u64, high: u64| (chance.lognormal(median, sigma) as u64).clamp(low, high);
    match path.rsplit('/').next().unwrap_or_default() {
        "log" => drawn(900e3, 0.8, 4_000, 20_000_000),
        "log.html" => drawn(21e3, 0.02, 18_000, 24_000),
        "index.html" => drawn(6e3, 0.4, 1_500, 40_000),
        "prometheus" => drawn(5e3, 0.2, 3_000, 9_000),
        name if name.ends_with(".png") => drawn(90e3, 0.5, 8_000, 900_000),
        name if name.ends_with(".journal.gz") => drawn(700e3, 0.7, 30_000, 12_000_000),
        name if name.ends_with(".gz") => drawn(60e3, 0.8, 1_000, 5_000_000),
        name if name.ends_with(".qcow2") || name.ends_with(".xz") => drawn(1.2e9, 0.5, 500_000_000, 10_000_000_000),
        _ => drawn(20e3, 1.0, 200, 2_000_000),
    }
}

/// The files of one test's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Artifact {
    /// The list of all.
    Index,
    /// The viewer.
    Page,
    /// The whole log.
    Log,
    /// What the screen showed when a test failed.
    Picture,
    /// A compressed log of a test that failed.
    Detail,
    /// A journal of a test that failed.
    Journal,
}

/// One run of the tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// `/NAME/`.
    pub directory: String,
    /// When it begins.
    pub start_ms: i64,
    /// When it ends.
    pub end_ms: i64,
    /// How many tests failed; each leaves a picture, a log and a journal.
    pub failures: u64,
}

impl Run {
    /// The path of a file. Those of failures are numbered; a number beyond the last is none that exists.
    pub fn path(&self, artifact: Artifact, number: u64) -> String {
        let test = TESTS[(chance::hash(&self.directory).wrapping_add(number) % TESTS.len() as u64) as usize];
        let failed = |end: &str| format!("{}{test}-{number}-127.0.0.2-2{:03}-FAIL.{end}", self.directory, number * 100);
        match artifact {
            Artifact::Index => format!("{}index.html", self.directory),
            Artifact::Page => format!("{}log.html", self.directory),
            Artifact::Log => format!("{}log", self.directory),
            Artifact::Picture => failed("png"),
            Artifact::Detail => failed("log.gz"),
            Artifact::Journal => failed("journal.gz"),
        }
    }

    /// The paths of all files of a kind that exist.
    pub fn all(&self, artifact: Artifact) -> impl Iterator<Item = String> {
        let is_of_failure = matches!(artifact, Artifact::Picture | Artifact::Detail | Artifact::Journal);
        (0..if is_of_failure { self.failures } else { 1 }).map(move |number| self.path(artifact, number))
    }

    /// How many parts the log has when the run is over.
    pub fn ticks(&self) -> u64 {
        ((self.end_ms - self.start_ms) / TICK).max(1) as u64
    }

    /// How many bytes the log has after this many parts.
    pub fn length(&self, ticks: u64) -> u64 {
        let (whole, all) = (size_of(&self.path(Artifact::Log, 0)), self.ticks());
        if ticks == 0 || ticks >= all {
            return if ticks == 0 { 0 } else { whole };
        }
        let mean = whole / all;
        let sway = chance::blend(&[chance::hash(&self.directory), ticks]) % (mean / 2 + 1);
        mean * ticks + sway
    }

    /// The last part after so many ticks: where it begins and ends. Two of equal size became one, so that a part is as
    /// many ticks long as the largest power of two that divides their number.
    pub fn last_part(&self, ticks: u64) -> (u64, u64) {
        (self.length(ticks - (1 << ticks.trailing_zeros())), self.length(ticks))
    }

    /// The size of `log.chunks`: a list of numbers, one for each part.
    pub fn list_size(&self, ticks: u64) -> u64 {
        2 + u64::from(ticks.count_ones()) * 8
    }
}

/// The buckets at all times.
#[derive(Debug, Clone)]
pub struct Tree {
    seed: u64,
    slots: u32,
}

impl Tree {
    /// Buckets in which at most `slots` tests run each day.
    pub fn new(seed: u64, slots: u32) -> Self {
        Self { seed, slots: slots.max(1) }
    }

    /// How many tests may run in a day.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// The run in a slot of a day, counted from 1970. Fewer run on weekends.
    pub fn run(&self, day: i64, slot: u32) -> Option<Run> {
        let mut chance = Chance::new(&[self.seed, 0x7265_6531, day as u64, u64::from(slot)]);
        if !chance.hits(if rhythm::is_weekend(day * DAY) { 0.3 } else { 0.95 }) {
            return None;
        }
        // From 6 to 20 o'clock, most about noon, and a few at night; all end before the day does.
        let hour = if chance.hits(0.9) { 6.0 + 7.0 * (chance.unit() + chance.unit()) } else { 21.0 * chance.unit() };
        let start_ms = day * DAY + (hour * 3_600_000.0) as i64;
        let minutes = chance.lognormal(20.0, 0.6).clamp(2.0, 100.0);
        let (year, month, date) = rhythm::date(day);
        let (hours, minute, second) = rhythm::clock(start_ms);
        let directory = format!(
            "/pull-{}-{:08x}-{year}{month:02}{date:02}-{hours:02}{minute:02}{second:02}-{}-{}/",
            22_000 + day.rem_euclid(1000) * 3 + chance.below(60) as i64,
            chance.number() as u32,
            chance.pick(&SYSTEMS),
            chance.pick(&SUITES),
        );
        let failures = if chance.hits(0.45) { chance.geometric(2.5).min(8) } else { 0 };
        Some(Run { directory, start_ms, end_ms: start_ms + (minutes * 60_000.0) as i64, failures })
    }

    /// A run that has ended, its age about `days`.
    pub fn recent(&self, at_ms: i64, days: f64, chance: &mut Chance) -> Run {
        loop {
            let day = (at_ms as f64 - chance.exponential(days * DAY as f64)) as i64 / DAY;
            let run = self.run(day, chance.below(u64::from(self.slots)) as u32);
            if let Some(run) = run.filter(|run| run.end_ms < at_ms) {
                return run;
            }
        }
    }

    /// One of the images of a time: each is made anew every ten days. Number 12 and 13 of 14 are private.
    pub fn image(&self, at_ms: i64, number: u64) -> String {
        let number = number % SYSTEMS.len() as u64;
        let made = (at_ms / DAY + number as i64) / 10;
        let mut path = format!("/{}-", SYSTEMS[number as usize]);
        for part in 0..4 {
            let _ = write!(path, "{:016x}", chance::blend(&[self.seed, number, made as u64, part]));
        }
        path.push_str(if number % 5 == 3 { ".xz" } else { ".qcow2" });
        path
    }
}

/// How many images there are.
pub const IMAGES: u64 = SYSTEMS.len() as u64;
/// The images from this number on are private.
pub const PRIVATE: u64 = 12;
