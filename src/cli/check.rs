//! `windscreen check`.

use super::{CheckArguments, EXIT_NO};
use crate::config::{check_policy, load};
use crate::document::{Diagnostics, Severity};

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
        let found: Vec<_> = diagnostics
            .sorted()
            .map(|d| {
                serde_json::json!({
                    "file": d.file,
                    "line": d.position.line,
                    "column": d.position.column,
                    "severity": if d.severity == Severity::Error { "error" } else { "warning" },
                    "message": d.message,
                })
            })
            .collect();
        println!("{}", serde_json::json!({"ok": diagnostics.error_count() == 0, "findings": found}));
    } else {
        print!("{diagnostics}");
        if diagnostics.error_count() == 0 {
            println!("ok");
        }
    }
    Ok(if diagnostics.error_count() == 0 { 0 } else { EXIT_NO })
}
