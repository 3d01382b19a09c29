//! The policy workbench: what a pasted policy would have decided otherwise, over the last hours of the access log.
//!
//! It changes nothing. A policy can keep a processor busy, so one is tried at a time, for ten seconds, over the end of
//! the log.

#![allow(clippy::disallowed_methods, reason = "rank 6: reads the access log and waits")]

use super::super::Sources;
use crate::clock::Timestamp;
use crate::config::{Known, load_pasted};
use crate::document::{Diagnostics, Severity};
use crate::replay::{self, Basis, Bounds, Format, Judge, Log, Places, Plan, Summary};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The longest policy that is tried, in bytes.
pub(super) const LONGEST_POLICY: usize = 256 << 10;
/// How much of the log's end is read, in bytes.
const TAIL: u64 = 64 << 20;
/// After this nothing more is judged.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// Expressions in conditions that are compiled one by one, each up to 2 MB.
const MOST_PATTERNS: usize = 256;
/// Lines of the gateway's log are nearly in order: a line is written when its request ends.
const BOUNDS: Bounds = Bounds { span: Duration::from_secs(600), records: 20_000 };
/// The most mistakes and changes that are told.
const MOST_TOLD: usize = 200;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    policy: String,
    #[serde(default = "six")]
    hours: u64,
}

fn six() -> u64 {
    6
}

impl Asked {
    /// Whether it may be tried.
    ///
    /// # Errors
    /// Says why not.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=24).contains(&self.hours) {
            return Err("`hours` is from 1 to 24".into());
        }
        if self.policy.len() > LONGEST_POLICY || self.policy.matches("matches(").count() > MOST_PATTERNS {
            let most = format!("{LONGEST_POLICY} bytes and {MOST_PATTERNS} `matches` are the most");
            return Err(format!("the policy is too large to be tried here: {most}"));
        }
        Ok(())
    }
}

/// Why nothing was tried.
#[derive(Debug)]
pub(super) struct Refused {
    /// In a sentence.
    pub message: String,
    /// The mistakes in the policy, each with its place.
    pub mistakes: Vec<String>,
}

impl From<String> for Refused {
    fn from(message: String) -> Self {
        Refused { message, mistakes: Vec::new() }
    }
}

/// Reads until it is told to stop, and counts.
struct Tail {
    file: std::io::Take<File>,
    stop: Arc<AtomicBool>,
    read: Arc<AtomicU64>,
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The end of the file at `path`, of at most `most` bytes, and how many it is.
fn tail(path: &Path, most: u64) -> std::io::Result<(File, u64)> {
    // A pipe would be waited for.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let size = length.min(most);
    file.seek(SeekFrom::Start(length - size))?;
    Ok((file, size))
}

/// Tries a policy. Once `stop` is set it comes to an end, and says that it is not all.
///
/// # Errors
/// When the policy has mistakes, or there is no log that could be read.
pub(super) fn attempt(asked: &Asked, of: &Sources, stop: Arc<AtomicBool>) -> Result<Value, Refused> {
    let now = of.gateway.clock.now();
    let Asked { policy, hours } = asked;
    let log = of.access_log.as_ref().ok_or_else(|| {
        "there is no log to try it on: have standard output written to a file, and name that in `admin.access_log` of \
         the gateway file"
            .to_owned()
    })?;
    let (pasted, warnings) = compiled(policy, of, &stop)?;
    let unreadable = |error| format!("cannot read `{}`: {error}", log.display());
    let (file, size) = tail(log, TAIL).map_err(unreadable)?;
    let read = Arc::new(AtomicU64::new(0));
    let input = Tail { file: file.take(size), stop: stop.clone(), read: read.clone() };
    let name = log.display().to_string();
    let log = Log { name, alone: true, input: Ok(Box::new(input)) };
    let plan = Plan {
        format: Format::Json,
        since: Timestamp(now.0.saturating_sub(hours * 3_600_000)),
        bounds: BOUNDS,
        stop: stop.clone(),
        ..Plan::new(std::iter::once(log), Places::default())
    };
    let judge = |basis| Judge::new(basis, &of.gateway.priced, Timestamp(0));
    let (mut ours, mut theirs) = (judge(in_force(of))?, judge(pasted)?);
    let replayed = replay::replay(plan, &mut ours, Some(&mut theirs));
    let judged: u64 = replayed.books.cells().map(|(_, _, cell)| cell.requests).sum();
    let mut told = Summary::new(&replayed, "the policy in force").to_json();
    // Lines of the log hold what clients sent, and nobody needs them here.
    if let Some(told) = told.as_object_mut() {
        told.remove("unreadable");
        told.remove("buckets");
    }
    if let Some(recorded) = told["recorded"].as_object_mut() {
        recorded.remove("differing");
    }
    if let Some(changes) = told["changes"].as_array_mut() {
        changes.sort_by_key(|change| std::cmp::Reverse((change["bytes"].as_u64(), change["requests"].as_u64())));
        changes.truncate(MOST_TOLD);
    }
    told["judged"] = judged.into();
    told["bytes"] = json!({"read": read.load(Ordering::Relaxed), "of": size});
    told["cut"] = stop.load(Ordering::Relaxed).into();
    told["warnings"] = warnings.into();
    Ok(told)
}

/// The pasted policy, with the doubts about it.
fn compiled(text: &str, of: &Sources, stop: &Arc<AtomicBool>) -> Result<(Basis, Vec<String>), Refused> {
    let ruling = of.gateway.ruling.load();
    let network = |(id, name): (_, &Arc<str>)| (name.to_string(), ruling.policy.networks.parts(id));
    let known = Known {
        networks: ruling.networks.named().map(network).collect(),
        lists: ruling.lists.clone(),
        // The counter of passes is no limit of the policy.
        limits: ruling.limits.settings().into_iter().filter(|(name, _)| !name.contains(' ')).collect(),
        deployment: of.deployment.clone(),
    };
    let mut diagnostics = Diagnostics::default();
    diagnostics.give_up_on(stop.clone());
    let loaded = load_pasted(text, known, &mut diagnostics);
    let told = |severity| {
        let found = diagnostics.sorted().filter(move |found| found.severity == severity);
        found.take(MOST_TOLD).map(ToString::to_string).collect::<Vec<_>>()
    };
    let Some(loaded) = loaded else {
        let mistakes = told(Severity::Error);
        return Err(Refused { message: "this policy is refused".into(), mistakes });
    };
    let basis = Basis {
        policy: Arc::new(loaded.policy),
        limits: loaded.limits,
        passes: loaded.challenge.pass,
        strikes: loaded.strikes,
        networks: loaded.networks,
        geo: of.surroundings.geo(),
    };
    Ok((basis, told(Severity::Warning)))
}

/// The policy in force.
fn in_force(of: &Sources) -> Basis {
    let ruling = of.gateway.ruling.load();
    Basis {
        policy: ruling.policy.clone(),
        limits: ruling.limits.settings(),
        passes: of.gateway.gate.pass_settings(),
        strikes: of.surroundings.strike_settings(),
        networks: ruling.networks.named().map(|(id, name)| (id, name.to_string())).collect(),
        geo: of.surroundings.geo(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_log_is_read_and_no_pipe() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "0123456789").unwrap();
        for (most, expected) in [(4, "6789"), (10, "0123456789"), (99, "0123456789")] {
            let (file, size) = tail(&path, most).unwrap();
            let mut text = String::new();
            let (stop, read) = (Arc::new(AtomicBool::new(false)), Arc::default());
            Tail { file: file.take(size), stop, read }.read_to_string(&mut text).unwrap();
            assert_eq!((size, &*text), (expected.len() as u64, expected));
        }
        assert!(tail(directory.path(), 1).is_err());
        assert!(tail(&directory.path().join("none"), 1).is_err());
    }

    #[test]
    fn reading_ends_when_it_is_told_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "0123456789").unwrap();
        let (file, size) = tail(&path, 10).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let mut input = Tail { file: file.take(size), stop: stop.clone(), read: Arc::default() };
        assert_eq!(input.read(&mut [0; 4]).unwrap(), 4);
        stop.store(true, Ordering::Relaxed);
        assert_eq!((input.read(&mut [0; 4]).unwrap(), input.read.load(Ordering::Relaxed)), (0, 4));
    }
}
