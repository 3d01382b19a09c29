//! `windscreen import`.

#![allow(clippy::disallowed_methods, reason = "rank 6: reads and writes policy files")]

use super::check::findings;
use super::{EXIT_NO, ImportArguments};
use crate::importer::{Imported, Refused, anubis as carry_over};
use serde_json::json;
use std::path::Path;

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
