//! `windscreen check`.

use super::{CheckArguments, EXIT_NO};
use crate::config::{check_policy, load};
use crate::document::{Diagnostic, Diagnostics, Severity};
use serde_json::json;

/// Checks files and prints what was found.
pub(super) fn check(arguments: &CheckArguments) -> Result<u8, String> {
    let mut diagnostics = Diagnostics::default();
    if let Some(path) = &arguments.config {
        load(path, &mut diagnostics)?;
    }
    for path in &arguments.policies {
        check_policy(path, &mut diagnostics)?;
    }
    if arguments.json {
        println!("{}", json!({"ok": diagnostics.error_count() == 0, "findings": findings(&diagnostics)}));
    } else {
        print!("{diagnostics}");
        if diagnostics.error_count() == 0 {
            println!("ok");
        }
    }
    Ok(if diagnostics.error_count() == 0 { 0 } else { EXIT_NO })
}

/// Says what is wrong with a configuration.
pub(super) fn refused(diagnostics: &Diagnostics, json: bool) -> u8 {
    if json {
        println!("{}", json!({"ok": false, "findings": findings(diagnostics)}));
    } else {
        print!("{diagnostics}");
    }
    EXIT_NO
}

/// Findings for machines.
pub(super) fn findings(found: &Diagnostics) -> Vec<serde_json::Value> {
    let finding = |d: &Diagnostic| {
        json!({
            "file": d.file,
            "line": d.position.line,
            "column": d.position.column,
            "severity": if d.severity == Severity::Error { "error" } else { "warning" },
            "message": d.message,
        })
    };
    found.sorted().map(finding).collect()
}
