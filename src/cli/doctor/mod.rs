//! `windscreen doctor`: looks at a deployment as its operator would have to, and says what to do.
//!
//! No secret is ever printed, and nothing is changed. Each part looks for a bounded time, all at the same time.

mod finding;
mod local;
mod origins;
mod running;
mod verdicts;

use super::{EXIT_NO, examples, paint, runtime};
use crate::clock::Timestamp;
use crate::config::{Config, load};
use crate::document::{Diagnostics, Severity};
use clap::Args;
use finding::{Finding, Verdict, text};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

#[derive(Debug, Args)]
#[command(after_help = examples::DOCTOR)]
pub(super) struct DoctorArguments {
    /// The gateway file.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// How often the progress moves.
const TICK: Duration = Duration::from_millis(100);

/// Looks at everything and prints what was found.
pub(super) fn doctor(arguments: &DoctorArguments) -> Result<u8, String> {
    let mut diagnostics = Diagnostics::default();
    let config = load(&arguments.config, &mut diagnostics)?;
    let mut findings = of_file(&arguments.config.display().to_string(), &diagnostics);
    if let Some(config) = config {
        findings.extend(runtime()?.block_on(examine(Arc::new(config)))?);
    }
    let bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    if arguments.json {
        let found: Vec<_> = findings.iter().map(Finding::to_json).collect();
        println!("{}", json!({ "version": 1, "ok": !bad, "findings": found }));
    } else {
        print!("{}", text(&findings, paint()));
    }
    Ok(if bad { EXIT_NO } else { 0 })
}

/// What was found in the gateway file and all that it refers to.
fn of_file(file: &str, diagnostics: &Diagnostics) -> Vec<Finding> {
    let found = diagnostics.sorted().map(|d| {
        let subject = format!("{}:{}:{}", d.file, d.position.line, d.position.column);
        match d.severity {
            Severity::Error => Finding::bad("config", subject, &d.message, "mend it: no gateway starts with this file"),
            Severity::Warning => {
                Finding::warning("config", subject, &d.message, "say what you mean, or leave it if that is it")
            }
        }
    });
    let mut found: Vec<Finding> = found.collect();
    if diagnostics.error_count() == 0 {
        found.insert(0, Finding::ok("config", file, "it is understood, with all that it refers to"));
    }
    found
}

/// Looks at everything that a good configuration names. The findings are in the order of the checks, whichever ended
/// first.
#[allow(clippy::disallowed_methods, reason = "rank 6: reads the wall clock")]
async fn examine(config: Arc<Config>) -> Result<Vec<Finding>, String> {
    let mut tasks: JoinSet<(usize, Vec<Finding>)> = JoinSet::new();
    let known = config.clone();
    tasks.spawn_blocking(move || (0, local::examine(&known, Timestamp::from(SystemTime::now()))));
    let known = config.clone();
    tasks.spawn(async move { (1, running::shared_state(&known).await) });
    let known = config.clone();
    tasks.spawn(async move { (2, running::metrics(&known).await) });
    let asker = Arc::default();
    for (number, place) in origins::places(&config).into_iter().enumerate() {
        let asker = Arc::clone(&asker);
        tasks.spawn(async move { (3 + number, origins::examine(place, &asker).await) });
    }
    let bar = bar(tasks.len());
    let mut parts = Vec::new();
    while let Some(part) = tasks.join_next().await {
        parts.push(part.map_err(|error| format!("a check ended early: {error}"))?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    parts.sort_by_key(|(number, _)| *number);
    Ok(parts.into_iter().flat_map(|(_, findings)| findings).collect())
}

/// How far it is, where a person looks.
fn bar(count: usize) -> ProgressBar {
    let shown = std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(u64::try_from(count).ok(), target);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} of {len} parts have been looked at") {
        bar.set_style(style);
    }
    if shown {
        bar.enable_steady_tick(TICK);
    }
    bar
}
