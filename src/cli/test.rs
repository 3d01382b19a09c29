//! `windscreen test`.

#![allow(clippy::disallowed_methods, reason = "rank 6: reads the files of cases")]

use super::{EXIT_NO, examples, paint};
use crate::config::load_with_networks;
use crate::document::{Diagnostics, read};
use crate::identity::{Peer, Roster};
use crate::proxy::Sites;
use crate::trial::{Bench, Case, CasesFile, Coverage, Gap, Mismatch, Outcome, Paint, path_to_text, to_json};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = examples::TEST)]
pub(super) struct TestArguments {
    /// Policy files.
    #[arg(value_name = "POLICY", required = true)]
    policies: Vec<PathBuf>,
    /// Only cases whose name contains this. Coverage is not looked at then.
    #[arg(long, value_name = "TEXT", conflicts_with = "require_coverage")]
    filter: Option<String>,
    /// Fail where no case meets a rule, or none passes it by.
    #[arg(long)]
    require_coverage: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What the cases of all policies came to.
#[derive(Default)]
struct Tally {
    cases: Vec<Value>,
    passed: usize,
    failed: usize,
    /// How many were run: their names fit the filter.
    chosen: usize,
    gaps: Vec<Gap>,
    diagnostics: Diagnostics,
}

/// Runs the cases beside each policy.
pub(super) fn test(arguments: &TestArguments) -> Result<u8, String> {
    let mut tally = Tally::default();
    for policy in &arguments.policies {
        run(policy, arguments, &mut tally)?;
    }
    let Tally { cases, passed, failed, chosen, gaps, diagnostics } = tally;
    let mistakes = diagnostics.error_count();
    // A filter that fits nothing is a slip, and would else look like success.
    let missed = arguments.filter.as_ref().filter(|_| chosen == 0 && mistakes == 0);
    let good = failed == 0 && mistakes == 0 && missed.is_none() && (gaps.is_empty() || !arguments.require_coverage);
    if arguments.json {
        let gaps: Vec<Value> = gaps.iter().map(gap_to_json).collect();
        println!(
            "{}",
            json!({"ok": good, "passed": passed, "failed": failed, "cases": cases, "uncovered": gaps,
                   "findings": super::check::findings(&diagnostics)})
        );
        return Ok(if good { 0 } else { EXIT_NO });
    }
    let paint = paint();
    print!("{}", errors(&diagnostics));
    let severity = if arguments.require_coverage { paint.red("error") } else { paint.yellow("warning") };
    for gap in &gaps {
        println!("{}: {severity}: {}", gap.place, gap.message());
    }
    if let Some(text) = missed {
        println!("no case has `{text}` in its name");
    }
    let failures = format!("{failed} failed");
    let failures = if failed > 0 { paint.red(&failures) } else { failures };
    let more = |count, what| if count > 0 { format!(", {count} {what}") } else { String::new() };
    println!("{passed} passed, {failures}{}{}", more(gaps.len(), "not covered"), more(mistakes, "not understood"));
    Ok(if good { 0 } else { EXIT_NO })
}

/// Mistakes without the doubts, which `check` is for.
fn errors(diagnostics: &Diagnostics) -> String {
    use crate::document::Severity::Error;
    diagnostics.sorted().filter(|found| found.severity == Error).map(|found| format!("{found}\n")).collect()
}

/// The file of cases beside a policy: `x.cases.yaml` for `x.yaml`.
fn beside(policy: &Path) -> PathBuf {
    policy.with_extension("cases.yaml")
}

fn run(policy: &Path, arguments: &TestArguments, tally: &mut Tally) -> Result<(), String> {
    let path = beside(policy);
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("cannot read the cases of `{}`, `{name}`: {error}", policy.display()))?;
    let diagnostics = &mut tally.diagnostics;
    let before = diagnostics.error_count();
    diagnostics.enter(name.clone());
    let file = read::<CasesFile>(&text, diagnostics);
    let networks = file.as_ref().and_then(|file| file.networks.as_ref()).map(|node| (node, path.as_path()));
    let loaded = load_with_networks(policy, networks, diagnostics)?;
    let (Some(file), Some(mut loaded)) = (file, loaded) else { return Ok(()) };
    let limits: Vec<&str> = loaded.limits.iter().map(|(name, _)| name.as_str()).collect();
    let tiers: Vec<(&str, u32)> =
        loaded.challenge.tiers.0.iter().map(|(name, difficulty)| (name.as_str(), *difficulty)).collect();
    diagnostics.enter(name.clone());
    let cases = file.cases(&loaded.policy, &limits, &tiers, diagnostics);
    if diagnostics.error_count() > before {
        return Ok(());
    }
    let chosen = |case: &&Case| arguments.filter.as_ref().is_none_or(|text| case.name.contains(text));
    let (sites, peer, clients) = (Sites::new(Vec::new()), Peer::default(), Roster::default());
    let mut coverage = Coverage::default();
    for case in cases.iter().filter(chosen) {
        tally.chosen += 1;
        loaded.policy.set_mode(case.mode);
        let bench =
            Bench { policy: &loaded.policy, limits: &loaded.limits, sites: &sites, peer: &peer, clients: &clients };
        let outcome = bench.run(&case.request)?;
        coverage.note(&outcome);
        let mismatches = case.expected.compare(&outcome);
        let place = format!("{name}:{}", case.line);
        if mismatches.is_empty() {
            tally.passed += 1
        } else {
            tally.failed += 1
        }
        if arguments.json {
            tally.cases.push(case_to_json(policy, &place, case, &outcome, &mismatches));
        } else if !mismatches.is_empty() {
            print!("{}", failure(&place, case, &outcome, &mismatches, paint()));
        }
    }
    if arguments.filter.is_none() {
        tally.gaps.extend(coverage.gaps(&loaded.policy));
    }
    Ok(())
}

fn failure(place: &str, case: &Case, outcome: &Outcome, mismatches: &[Mismatch], paint: Paint) -> String {
    let mut out = format!("{place}: {}: {}\n", paint.red("failed"), paint.bold(&case.name));
    for Mismatch { key, expected, actual } in mismatches {
        out += &format!("{}\n", paint.red(&format!("  - {key}: {expected}")));
        out += &format!("{}\n", paint.green(&format!("  + {key}: {actual}")));
    }
    match &outcome.explanation {
        Some(explanation) => out + &path_to_text(explanation, false, paint) + "\n",
        None => out + "  refused before the policy\n\n",
    }
}

fn case_to_json(policy: &Path, place: &str, case: &Case, outcome: &Outcome, mismatches: &[Mismatch]) -> Value {
    let wrong =
        |Mismatch { key, expected, actual }: &Mismatch| json!({"key": key, "expected": expected, "actual": actual});
    json!({
        "policy": policy.display().to_string(),
        "place": place,
        "name": case.name,
        "ok": mismatches.is_empty(),
        "mismatches": mismatches.iter().map(wrong).collect::<Vec<_>>(),
        "outcome": (!mismatches.is_empty()).then(|| to_json(&case.request, outcome)),
    })
}

fn gap_to_json(gap: &Gap) -> Value {
    json!({"rule": &*gap.rule, "place": gap.place, "message": gap.message()})
}
