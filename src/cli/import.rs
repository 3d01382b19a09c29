//! `windscreen import`.

#![allow(clippy::disallowed_methods, reason = "rank 6: reads and writes policy files")]

use super::EXIT_NO;
use super::check::findings;
use crate::importer::{Imported, Refused, anubis as carry_over};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// A policy of Anubis. Exit status 0, 1 when it is refused, 2 when it cannot be read.
    Anubis(ImportArguments),
}

#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// The policy, YAML or JSON.
    file: PathBuf,
    /// Where to write ours, instead of to standard output.
    #[arg(short, long, value_name = "POLICY")]
    output: Option<PathBuf>,
    /// The data folder of Anubis, which `(data)` in an import stands for.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Carries over a policy of Anubis.
pub(super) fn anubis(arguments: &ImportArguments) -> Result<u8, String> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
    };
    let (policy, found) = match carry_over(&arguments.file, arguments.data.as_deref(), &read) {
        Ok(Imported { policy, notes }) => (Some(policy), notes),
        Err(Refused::Mistakes(mistakes)) => (None, mistakes),
        Err(Refused::Unreadable(reason)) => return Err(reason),
    };
    if let (Some(policy), Some(output)) = (&policy, &arguments.output) {
        std::fs::write(output, policy).map_err(|error| format!("cannot write `{}`: {error}", output.display()))?;
    }
    let status = if policy.is_some() { 0 } else { EXIT_NO };
    if arguments.json {
        let shown = policy.as_ref().filter(|_| arguments.output.is_none());
        println!("{}", json!({"ok": policy.is_some(), "findings": findings(&found), "policy": shown}));
        return Ok(status);
    }
    eprint!("{found}");
    if let (Some(policy), None) = (policy, &arguments.output) {
        print!("{policy}");
    }
    Ok(status)
}
