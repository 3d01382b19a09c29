//! `windscreen fetch`.

#![allow(clippy::disallowed_methods, reason = "rank 6: reads the environment, makes folders")]

use super::{EXIT_FAILED, EXIT_NO, logs, runtime};
use crate::client::{
    Checksum, Destination, FetchError, Fetched, Jar, Job, RateLimit, Session, Signing, Solving, Transport, Url, Watch,
    checksum,
};
use crate::credentials::CredentialsSource;
use crate::printable::is_hidden;
use crate::quantity::byte_rate;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Headers that belong to the connection, or by which a part is continued.
const OURS: [&str; 9] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "if-range",
    "range",
    "transfer-encoding",
    "upgrade",
];

const EXIT_CODES: &str = "\
Examples:
  windscreen fetch https://logs.example.org/run/log
  windscreen fetch -d images -j 4 https://images.example.org/a.qcow2 https://images.example.org/b.qcow2
  windscreen fetch -o - https://logs.example.org/run/log | grep Error

Exit status:
  0  all is there, and every checksum that is known holds
  1  the server said no (403, 404, or busy for ten minutes), or a checksum is wrong
  2  usage, no server could be reached, or a file cannot be written

A part stays in FILE.part, with FILE.part.json beside it, and the next run goes on there. Where a checksum is wrong, what \
came is in FILE.bad. A checksum is known by --sha256, and from names such as image-<64 hex digits>.qcow2.";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct FetchArguments {
    /// What to fetch.
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// Where to write it; `-` is standard output. Where absent, what the URL ends in.
    #[arg(short, long, value_name = "FILE", conflicts_with = "directory")]
    output: Option<PathBuf>,
    /// The folder to write to. It is made where it is missing.
    #[arg(short, long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// How many are fetched at the same time.
    #[arg(short, long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// The SHA-256 that it must have.
    #[arg(long, value_name = "HEX", value_parser = sum)]
    sha256: Option<Checksum>,
    /// Where passes are kept; where absent, windscreen/passes in the user's cache directory.
    #[arg(long, value_name = "DIR")]
    pass_cache: Option<PathBuf>,
    /// Show no progress. In a pipe none is shown anyway.
    #[arg(long)]
    no_progress: bool,
    /// Sign with the credentials of the standard AWS chain.
    #[arg(long)]
    sign: bool,
    /// Sign with the credentials of this profile of ~/.aws/config.
    #[arg(long, value_name = "NAME", conflicts_with = "sign")]
    aws_profile: Option<String>,
    /// The region of signatures; where absent, that of the environment, of the host name, or us-east-1.
    #[arg(long, value_name = "R")]
    region: Option<String>,
    /// A header to send, to the host of the URL alone.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// How much to take per second, over all, such as `10 MB/s`.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    limit_rate: Option<u64>,
    /// A PEM file of certificates to trust besides the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print one JSON document about what was fetched.
    #[arg(long)]
    json: bool,
}

fn sum(text: &str) -> Result<Checksum, String> {
    checksum(text).ok_or_else(|| "expected 64 hex digits".to_owned())
}

fn rate(text: &str) -> Result<u64, String> {
    let rate = byte_rate(text).or_else(|| byte_rate(&format!("{text}/s"))).filter(|rate| rate.0 > 0);
    rate.map(|rate| rate.0).ok_or_else(|| "expected bytes per second, such as `10 MB/s`".to_owned())
}

/// A header. What is wrong with it is said without it: it may hold a secret, which clap would show.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let pair = text.split_once(':').and_then(|(name, value)| {
        Some((name.trim().parse::<HeaderName>().ok()?, value.trim().parse::<HeaderValue>().ok()?))
    });
    let (name, mut value) = pair.ok_or("expected a header such as `Authorization: Bearer TOKEN`")?;
    if OURS.contains(&name.as_str()) {
        return Err(format!("`{name}` is set by the program itself"));
    }
    value.set_sensitive(true);
    Ok((name, value))
}

/// Fetches all that is asked for.
pub(super) fn fetch(arguments: &FetchArguments) -> Result<u8, String> {
    let jobs = jobs(arguments)?;
    if let Some(folder) = &arguments.directory {
        std::fs::create_dir_all(folder).map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
    }
    runtime()?.block_on(all(arguments, jobs))
}

/// What goes where.
fn jobs(arguments: &FetchArguments) -> Result<Vec<Job>, String> {
    let FetchArguments { urls, output, directory, sha256, json, .. } = arguments;
    if urls.len() > 1 && (output.is_some() || sha256.is_some()) {
        return Err("`--output` and `--sha256` are for one URL; write several to a folder by `--directory`".into());
    }
    let mut taken = HashSet::new();
    let mut jobs = Vec::new();
    for url in urls {
        let url = Url::parse(url)?;
        let to = match output {
            Some(path) if path.as_os_str() == "-" => Destination::Stdout,
            Some(path) => Destination::File(path.clone()),
            None => {
                let name = url.name();
                let shown = url.without_query();
                let odd = |c: char| c == '/' || is_hidden(c);
                if name.is_empty() || name == "." || name == ".." || name.contains(odd) {
                    return Err(format!("`{shown}` does not end in the name of a file: say one by `--output`"));
                }
                let path = directory.as_ref().map_or_else(|| PathBuf::from(&name), |folder| folder.join(&name));
                if !taken.insert(path.clone()) {
                    return Err(format!("`{}` is named twice: fetch them one by one", path.display()));
                }
                Destination::File(path)
            }
        };
        if to == Destination::Stdout && *json {
            return Err("standard output takes the object or `--json`, not both".into());
        }
        jobs.push(Job { url, to, sha256: *sha256 });
    }
    Ok(jobs)
}

async fn all(arguments: &FetchArguments, jobs: Vec<Job>) -> Result<u8, String> {
    let session = Arc::new(session(arguments).await?);
    let hidden = arguments.no_progress || !std::io::stderr().is_terminal();
    let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bars = MultiProgress::with_draw_target(target);
    let (slots, mut tasks) = (Arc::new(Semaphore::new(arguments.jobs.into())), JoinSet::new());
    for (index, job) in jobs.into_iter().enumerate() {
        let (session, slots, bars) = (session.clone(), slots.clone(), bars.clone());
        tasks.spawn(async move {
            let _slot = slots.acquire_owned().await;
            let bar = Bar { bar: bars.add(ProgressBar::no_length()), bars, name: job.url.name() };
            let fetched = session.fetch(&job, &bar).await;
            bar.bar.finish_and_clear();
            bar.say(&job, &fetched, hidden);
            (index, job, fetched)
        });
    }
    let (mut status, mut files) = (0, Vec::new());
    while let Some(task) = tasks.join_next().await {
        let (index, job, fetched) = task.map_err(|error| format!("a fetch ended early: {error}"))?;
        status = status.max(match &fetched {
            Ok(_) => 0,
            Err(FetchError::Refused(_)) => EXIT_NO,
            Err(FetchError::Failed(_)) => EXIT_FAILED,
        });
        files.push((index, told(&job, &fetched)));
    }
    if arguments.json {
        files.sort_by_key(|(index, _)| *index);
        let files: Vec<Value> = files.into_iter().map(|(_, file)| file).collect();
        println!("{}", json!({ "files": files }));
    }
    Ok(status)
}

/// What all fetches share.
async fn session(arguments: &FetchArguments) -> Result<Session, String> {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let source = match &arguments.aws_profile {
        Some(profile) => Some(CredentialsSource::Profile(profile.clone())),
        None => arguments.sign.then_some(CredentialsSource::Chain),
    };
    let signing = match source {
        Some(source) => {
            let region = arguments.region.clone();
            let region = region.or_else(|| named("AWS_REGION")).or_else(|| named("AWS_DEFAULT_REGION"));
            let signer = logs::signer("fetch", &source).await?;
            if !signer.is_ready() {
                return Err("no AWS credentials were found: check the environment, or name a profile".into());
            }
            Some(Signing { signer, region })
        }
        None => None,
    };
    let cache = || {
        let cache = named("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = cache.or_else(|| Some(PathBuf::from(named("HOME")?).join(".cache")))?;
        Some(cache.join("windscreen").join("passes"))
    };
    let mut headers = HeaderMap::new();
    for text in &arguments.header {
        let (name, value) = header(text)?;
        headers.append(name, value);
    }
    Ok(Session {
        transport: Transport::new(arguments.ca.as_deref(), arguments.limit_rate.is_some())?,
        jar: Jar::new(arguments.pass_cache.clone().or_else(cache)),
        headers,
        signing,
        rate: arguments.limit_rate.map(RateLimit::new),
        turn: tokio::sync::Mutex::default(),
    })
}

/// What is said of one object in JSON.
fn told(job: &Job, fetched: &Result<Fetched, FetchError>) -> Value {
    let url = job.url.without_query();
    match fetched {
        Ok(Fetched { bytes, sha256, verified, resumed_from, solved }) => {
            let file = match &job.to {
                Destination::File(path) => Some(path.display().to_string()),
                Destination::Stdout => None,
            };
            json!({
                "url": url,
                "file": file,
                "bytes": bytes,
                "sha256": hex::encode(sha256),
                "verified": verified,
                "resumed_from": resumed_from,
                "challenges_solved": solved,
            })
        }
        Err(error) => json!({ "url": url, "error": error.to_string() }),
    }
}

/// How far one object has come, for a person who looks.
struct Bar {
    bar: ProgressBar,
    bars: MultiProgress,
    name: String,
}

impl Bar {
    fn styled(&self, template: &str) {
        let name: String = self.name.chars().filter(|c| !is_hidden(*c)).take(24).collect();
        self.bar.set_prefix(name);
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }

    /// Says how it ended: what went wrong always, what went well where a person looks.
    fn say(&self, job: &Job, fetched: &Result<Fetched, FetchError>, hidden: bool) {
        let url = job.url.without_query();
        let line = match fetched {
            Err(error) => format!("windscreen: {url}: {error}"),
            Ok(_) if hidden => return,
            Ok(Fetched { bytes, verified, .. }) => {
                let verified = if *verified { ", verified" } else { "" };
                format!("{url}: {}{verified}", HumanBytes(*bytes))
            }
        };
        self.bars.suspend(|| eprintln!("{line}"));
    }
}

impl Watch for Bar {
    fn begin(&self, have: u64, total: Option<u64>) {
        match total {
            Some(total) => {
                self.styled("{prefix:24} {bar:30} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left");
                self.bar.set_length(total);
            }
            None => {
                self.styled("{prefix:24} {bytes}  {bytes_per_sec}");
                self.bar.unset_length();
            }
        }
        self.bar.set_position(have);
        self.bar.reset_eta();
    }

    fn more(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn solving(&self, Solving { found, count, left }: Solving) {
        self.styled("{prefix:24} {bar:30} solving a challenge, {msg}");
        self.bar.set_length(count as u64);
        self.bar.set_position(found as u64);
        let left = left.map_or_else(|| "for a moment".to_owned(), |left| format!("some {} left", HumanDuration(left)));
        self.bar.set_message(left);
    }

    fn waiting(&self, time: Duration, why: &str) {
        self.styled("{prefix:24} {msg}");
        self.bar.set_message(format!("{why}; again in {} s", time.as_secs_f64().ceil()));
    }

    fn note(&self, text: &str) {
        self.bars.suspend(|| eprintln!("windscreen: {text}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_would_break_a_fetch_are_refused() {
        assert_eq!(header("X-A:  b: c ").map(|(name, value)| (name.to_string(), value)).unwrap().1, "b: c");
        for bad in ["Range: bytes=1-", "host: x", "nonsense", "a b: c", "a: b\nc: d"] {
            let error = header(bad).unwrap_err();
            assert!(!error.contains("bytes") && !error.contains("c: d"), "{error}");
        }
    }

    #[test]
    fn rates_are_read() {
        for (text, bytes) in [("10 MB/s", Some(10_000_000)), ("64KiB", Some(65_536)), ("0", None), ("5/min", None)] {
            assert_eq!(rate(text).ok(), bytes, "{text}");
        }
    }
}
