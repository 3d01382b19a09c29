//! The command line.

mod access_log;
mod asking;
mod check;
mod decisions;
mod demo;
mod doctor;
mod examples;
mod explain;
mod fetch;
mod healthcheck;
mod import;
mod kept;
mod keygen;
mod logging;
mod logs;
mod manual;
mod origins;
mod replay;
mod report;
mod schema;
mod serve;
mod test;
mod token;

use crate::clock::Timestamp;
use crate::cost::Preset;
use crate::replay::Format;
use crate::report::Need;
use crate::trial::Paint;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::time::SystemTime;

/// The answer is no: a check failed.
pub const EXIT_NO: u8 = 1;
/// It could not run.
pub const EXIT_FAILED: u8 = 2;
/// The configuration is bad (`EX_USAGE` of sysexits.h).
pub const EXIT_BAD_CONFIG: u8 = 64;

/// An edge gateway that shields public S3 buckets from scrapers.
#[derive(Debug, Parser)]
#[command(name = "windscreen", version = manual::version(), about, styles = manual::STYLES, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(ServeArguments),
    /// Run the gateway over an embedded S3 server with sample buckets.
    Demo {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        /// Where the admin listener listens.
        #[arg(long, default_value = "127.0.0.1:9090")]
        admin: SocketAddr,
    },
    /// Check a gateway file with all that it refers to, or policy files. Exit status 0, or 1 with every mistake.
    Check(CheckArguments),
    /// Look at a deployment as its operator would have to: files, clock, origins, credentials, buckets that others can read.
    /// Exit status 0, or 1 where something is bad.
    Doctor(doctor::DoctorArguments),
    /// Show how one request would be decided, step by step, and what its client would see.
    Explain(explain::ExplainArguments),
    /// Run the cases beside each policy: for `x.yaml` those in `x.cases.yaml`. Exit status 0, or 1 with every failure.
    Test(test::TestArguments),
    /// Say from past logs whether protection is needed, what traffic costs, and whom the policy would hurt.
    Report(ReportArguments),
    /// Judge past logs by a policy as if it had been enforced: what it would have stopped, and whom it would have hit.
    Replay(ReplayArguments),
    /// Say whether the second store of each site can be switched off, from what the ledger knows. Exit status 0, or 1 where
    /// one is still needed or not enough is known.
    Origins(origins::OriginsArguments),
    /// Fetch objects: solves the challenge of a gateway where a pass is needed, goes on where it broke off, verifies.
    Fetch(fetch::FetchArguments),
    /// Carry over the policy of another gateway. What could not be carried over as it was is said on standard error.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Say whether the gateway on this machine is ready. Exit status 0, or 1.
    Healthcheck(healthcheck::HealthcheckArguments),
    /// Print the JSON Schema of a kind of file, for editors.
    Schema {
        /// Which kind.
        of: SchemaOf,
    },
    /// Make a new key for `pass_keys`, and print it.
    Keygen {
        /// Write it to a new file in this folder instead, whose name makes it the one that signs.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Tokens by which clients prove who they are.
    #[command(subcommand)]
    Token(token::TokenCommand),
    #[command(flatten)]
    Decide(decisions::DecideCommand),
    /// Print what a shell needs to complete this command line.
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command.
    #[command(after_help = examples::MAN)]
    Man {
        /// The folder to write them to. It is made where it is missing.
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SchemaOf {
    /// The gateway file.
    Gateway,
    /// Policies, and the files that they import.
    Policy,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false, id = "what")]
struct What {
    /// The gateway file.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The URL of a bucket to serve without any file: observe mode, the built-in policy.
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::SERVE)]
struct ServeArguments {
    #[command(flatten)]
    what: What,
    /// Where to listen (with --origin).
    #[arg(long, default_value = "127.0.0.1:8080", conflicts_with = "config")]
    listen: SocketAddr,
    /// Where the admin listener listens (with --origin).
    #[arg(long, default_value = "127.0.0.1:9090", conflicts_with = "config")]
    admin: SocketAddr,
    /// The bucket is public: do not sign requests to it (with --origin). Else the standard AWS chain signs.
    #[arg(long, conflicts_with = "config")]
    anonymous: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::CHECK)]
struct CheckArguments {
    /// The gateway file.
    #[arg(short, long, value_name = "FILE", conflicts_with = "policies", required_unless_present = "policies")]
    config: Option<PathBuf>,
    /// Policy files.
    #[arg(value_name = "POLICY")]
    policies: Vec<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Which logs are read, and how they are understood.
#[derive(Debug, Args)]
struct LogArguments {
    /// The gateway file: its sites and networks, and its policy.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The policy, in place of that of the gateway file, or of the built-in one.
    #[arg(long, value_name = "POLICY")]
    policy: Option<PathBuf>,
    /// Only what came since then: a moment such as 2026-11-01T00:00:00Z, or how long ago, such as 30d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only what came before then.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// A folder with copies of the policy's feeds, such as `aws-ip-ranges.json` and `github-meta.json`, in place of
    /// `feeds.directory` of the gateway file.
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
    /// Fetch those of the policy's feeds of which there is no copy, or one older than 12 hours. They are kept in `--feeds`, or
    /// else in `~/.cache/windscreen/feeds`, where later runs find them.
    #[arg(long)]
    fetch_feeds: bool,
    /// Where copies of logs from buckets are kept, so that the next run fetches only new ones; 20 GB at most, for 40 days
    /// after a run asked for them. `~/.cache/windscreen/logs` where absent.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Neither keep copies of logs from buckets nor use them.
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
    /// Of which site a bucket or host is, where the gateway file does not say so: `logs=my-bucket`.
    #[arg(long, value_name = "SITE=BUCKET", value_parser = assignment)]
    site: Vec<(String, String)>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::REPLAY)]
struct ReplayArguments {
    #[command(flatten)]
    logs: LogArguments,
    /// The format of the logs: auto, s3, combined, json or cloudfront.
    #[arg(long, default_value = "auto", value_parser = |text: &str| word(text, &Format::WORDS))]
    format: Format,
    /// Another policy: show whose verdict it would change.
    #[arg(long, value_name = "POLICY")]
    diff: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Log files, folders of them, or `s3://BUCKET/PREFIX`; gzip or not.
    #[arg(value_name = "LOG", required = true)]
    paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::REPORT)]
struct ReportArguments {
    #[command(flatten)]
    logs: LogArguments,
    /// The format of the logs: auto, s3, combined, json or cloudfront.
    #[arg(long, default_value = "auto", value_parser = |text: &str| word(text, &Format::WORDS))]
    log_format: Format,
    /// How the report is written: text, md, html or json.
    #[arg(long, default_value = "text", value_parser = |text: &str| word(text, &Written::WORDS))]
    format: Written,
    /// Prices in place of those of the gateway file: aws-us-east-1 (where there is no file), aws-eu-central-1, linode
    /// or cloudfront.
    #[arg(long, value_name = "PRESET", value_parser = |text: &str| word(text, &Preset::WORDS))]
    prices: Option<Preset>,
    /// Exit with 1 where the answer is `watch`, or worse; or only where it is `needed`.
    #[arg(long, value_name = "ANSWER", value_parser = |text: &str| word(text, &FAIL_IF))]
    fail_if: Option<Need>,
    /// Log files, folders of them, or `s3://BUCKET/PREFIX`; gzip or not. Ledgers of gateways, too: files that end in
    /// `.db`. Where none is named, the ledger of the gateway file. Where no log is named, those that its `evidence` names as
    /// well, of the last 35 days unless `--since` says otherwise.
    #[arg(value_name = "LOG", required_unless_present = "config")]
    paths: Vec<PathBuf>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Text,
    Markdown,
    Html,
    Json,
}

impl Written {
    const WORDS: [(&'static str, Written); 4] =
        [("text", Written::Text), ("md", Written::Markdown), ("html", Written::Html), ("json", Written::Json)];
}

/// The answers that may make a report fail.
const FAIL_IF: [(&str, Need); 2] = [("watch", Need::Watch), ("needed", Need::Needed)];

/// Reads one of a closed set of words.
fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let known = words.iter().map(|(word, _)| *word);
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| crate::document::unknown_word("word", text, known))
}

/// Colours where a person looks, unless they said no (<https://no-color.org>).
fn paint() -> Paint {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Paint(std::io::stdout().is_terminal() && !refused)
}

/// Runs the command line and says with which status to exit. clap exits by itself with 2 on bad usage.
pub fn run() -> ExitCode {
    let status = match Arguments::parse().command {
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::Demo { listen, admin } => demo::demo(listen, admin),
        Command::Check(arguments) => check::check(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Test(arguments) => test::test(&arguments),
        Command::Report(arguments) => report::report(&arguments),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Origins(arguments) => origins::origins(&arguments),
        Command::Fetch(arguments) => fetch::fetch(&arguments),
        Command::Import(import::ImportCommand::Anubis(arguments)) => import::anubis(&arguments),
        Command::Healthcheck(arguments) => healthcheck::healthcheck(&arguments),
        Command::Schema { of } => schema::schema(of),
        Command::Keygen { dir } => keygen::keygen(dir.as_deref()),
        Command::Token(command) => token::token(&command),
        Command::Decide(command) => decisions::decide(&command),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { dir } => manual::man(dir.as_deref()),
    };
    match status {
        Ok(status) => status.into(),
        Err(message) => {
            eprintln!("windscreen: {message}");
            EXIT_FAILED.into()
        }
    }
}

/// A runtime for everything that serves.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime could not start: {error}"))
}

/// A span of time.
fn span(text: &str) -> Result<Duration, String> {
    crate::quantity::duration(text).ok_or_else(|| format!("expected a span of time such as 14d, not `{text}`"))
}

/// A moment, or how long ago it was.
#[allow(clippy::disallowed_methods, reason = "rank 6: reads the wall clock")]
fn moment(text: &str) -> Result<Timestamp, String> {
    let ago = crate::quantity::duration(text).and_then(|ago| SystemTime::now().checked_sub(ago));
    let expected =
        || format!("expected a moment such as 2026-11-01T00:00:00Z, or how long ago, such as 30d, not `{text}`");
    ago.map(Timestamp::from).or_else(|| text.parse().ok()).ok_or_else(expected)
}

/// A site and a bucket.
fn assignment(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(site, bucket)| !site.is_empty() && !bucket.is_empty());
    let expected = || format!("expected a site and a bucket such as `logs=my-bucket`, not `{text}`");
    parts.map(|(site, bucket)| (site.to_owned(), bucket.to_owned())).ok_or_else(expected)
}
