//! How verdicts compare with those that were recorded, for people and for machines.

use super::recorded::{Agreement, Difference, Told};
use crate::printable::printable;
use crate::report::grouped;
use serde_json::{Value, json};
use std::fmt::Write;

/// For machines; `null` where the log records no verdicts.
pub(super) fn json(agreement: &Agreement) -> Value {
    if agreement.lines == 0 {
        return Value::Null;
    }
    let told = |told: &Told| {
        json!({
            "class": told.class, "action": told.action, "rule": told.rule, "undecided": told.undecided,
            "would_rule": told.held_back.as_ref().map(|(rule, _)| rule),
            "would_action": told.held_back.as_ref().map(|(_, action)| action),
        })
    };
    let difference = |difference: &Difference| {
        json!({
            "at": difference.at.to_string(), "request_id": difference.request_id,
            "same_policy": difference.same_policy,
            "recorded": told(&difference.recorded), "replayed": told(&difference.replayed),
        })
    };
    json!({
        "lines": agreement.lines,
        "same_policy": agreement.same_policy,
        "equal": agreement.equal,
        "equal_of_same_policy": agreement.equal_of_same,
        "lacking": agreement.lacking,
        "limited": {
            "then": agreement.limited_then, "now": agreement.limited_now, "both": agreement.limited_both,
        },
        "differing": agreement.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}

/// For people; nothing where the log records no verdicts.
pub(super) fn write(agreement: &Agreement, out: &mut String) -> std::fmt::Result {
    let Agreement { lines, same_policy, equal, equal_of_same, lacking, .. } = agreement;
    if *lines == 0 {
        return Ok(());
    }
    let of = |some: u64, all: u64| format!("{} of {}", grouped(some), grouped(all));
    writeln!(out, "replayed verdicts equal the recorded ones in {} lines", of(*equal, *lines))?;
    writeln!(out, "  same policy: {} lines have its hash", of(*same_policy, *lines))?;
    if (1..*lines).contains(same_policy) {
        writeln!(out, "  of these, {} verdicts are equal", of(*equal_of_same, *same_policy))?;
    }
    if *lacking > 0 {
        writeln!(out, "  {} hang on what their line does not say", grouped(*lacking))?;
    }
    if agreement.limited_then + agreement.limited_now > 0 {
        let [then, now, both] = [agreement.limited_then, agreement.limited_now, agreement.limited_both].map(grouped);
        writeln!(out, "  limits refused {then} then and {now} here, {both} of them both times")?;
    }
    if agreement.differences.is_empty() {
        return Ok(());
    }
    writeln!(out, "  differing:")?;
    for Difference { at, request_id, recorded, replayed, .. } in &agreement.differences {
        writeln!(out, "    {at} {}: was {}, is {}", printable(request_id), said(recorded), said(replayed))?;
    }
    Ok(())
}

/// A verdict in a line. What a log says may be anybody's.
fn said(told: &Told) -> String {
    let Told { class, action, rule, held_back, undecided } = told;
    let held_back = held_back.as_ref().map(|(rule, action)| format!(", would {action} ({rule})")).unwrap_or_default();
    let undecided = undecided.as_ref().map(|rule| format!(", undecided ({rule})")).unwrap_or_default();
    printable(&format!("{class} {action} ({rule}){held_back}{undecided}"))
}
