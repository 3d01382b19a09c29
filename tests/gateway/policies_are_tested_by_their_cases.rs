//! `windscreen test` tries the cases beside a policy, and our own policies pass theirs, with no rule left untried.
//! Policies under tests/config/cases stand beside cases and the exact output.

use crate::harness::program::{Program, assert_snapshot};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn program(arguments: &[&str]) -> Program {
    Program::run("tests/config/cases", &[&["test"], arguments].concat())
}

/// The policies that we ship, from the root of the project.
fn shipped() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_policy = |name: &String| name.ends_with(".yaml") && !name.ends_with(".cases.yaml");
    let mut policies: Vec<String> = names.filter(is_policy).map(|name| format!("policies/{name}")).collect();
    policies.sort();
    policies
}

#[test]
fn every_rule_that_we_ship_is_met_and_passed_by() {
    let policies = shipped();
    assert!(policies.contains(&"policies/cockpit.yaml".to_owned()));
    let mut arguments = vec!["test", "--require-coverage"];
    arguments.extend(policies.iter().map(String::as_str));
    let Program { status, stdout, stderr } = Program::run(".", &arguments);
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.ends_with(" passed, 0 failed\n") && stdout.lines().count() == 1, "{stdout}");
}

#[test]
fn every_list_that_we_ship_has_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let policy = std::fs::read_to_string(root.join("policies/lists.yaml")).unwrap();
    let lists: Vec<PathBuf> =
        std::fs::read_dir(root.join("policies/lists")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!lists.is_empty());
    for list in lists {
        let name = list.file_stem().unwrap().to_str().unwrap();
        assert!(policy.contains(&format!("lists/{name}.yaml")), "policies/lists.yaml does not import {name}");
        assert!(policy.contains(&format!("{{list: {name}}}")), "policies/lists.yaml does not try {name}");
    }
}

#[test]
fn a_failure_tells_what_was_expected_and_why_it_came_otherwise() {
    let Program { status, stdout, stderr } = program(&["failing.yaml"]);
    assert_eq!((status, stderr.as_str()), (1, ""));
    assert_snapshot("tests/config/cases/failing.txt", &stdout);
}

#[test]
fn rules_that_no_case_meets_or_passes_by_are_named() {
    let Program { status, stdout, .. } = program(&["uncovered.yaml"]);
    assert_eq!(status, 0);
    assert_snapshot("tests/config/cases/uncovered.txt", &stdout);

    let required = program(&["uncovered.yaml", "--require-coverage"]);
    assert_eq!(required.status, 1);
    assert_eq!(required.stdout, stdout.replace("warning:", "error:"));
}

#[test]
fn mistakes_in_cases_and_policies_have_their_place() {
    for name in ["mistakes", "names", "broken"] {
        let Program { status, stdout, .. } = program(&[&format!("{name}.yaml")]);
        assert_eq!(status, 1, "{stdout}");
        assert_snapshot(&format!("tests/config/cases/{name}.txt"), &stdout);
    }
}

#[test]
fn what_cannot_run_exits_with_2() {
    let cases: [&[&str]; 4] =
        [&["missing.yaml"], &["nowhere.yaml"], &[], &["failing.yaml", "--filter", "office", "--require-coverage"]];
    for arguments in cases {
        let Program { status, stdout, stderr } = program(arguments);
        assert_eq!((status, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(!stderr.is_empty(), "{arguments:?}");
    }
    let missing = program(&["missing.yaml"]).stderr;
    assert!(missing.starts_with("windscreen: cannot read the cases of `missing.yaml`, `missing.cases.yaml`: "));
}

#[test]
fn a_filter_picks_cases_and_asks_for_no_coverage() {
    let Program { status, stdout, .. } = program(&["failing.yaml", "--filter", "office"]);
    assert_eq!((status, stdout.as_str()), (0, "1 passed, 0 failed\n"));
}

#[test]
fn results_are_json_for_machines() {
    let Program { status, stdout, .. } = program(&["failing.yaml", "uncovered.yaml", "mistakes.yaml", "--json"]);
    assert_eq!(status, 1);
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&found["ok"], &found["passed"], &found["failed"]), (&json!(false), &json!(4), &json!(4)));
    assert_eq!(found["cases"].as_array().unwrap().len(), 8);
    let failed = &found["cases"][1];
    assert_eq!(failed["place"], "failing.cases.yaml:7");
    assert_eq!(failed["mismatches"][0], json!({"key": "action", "expected": "allow", "actual": "deny"}));
    assert_eq!(failed["outcome"]["decision"]["rule"], "private");
    assert_eq!(found["cases"][0]["outcome"], Value::Null);
    assert_eq!(found["uncovered"][0]["rule"], "robots");
    assert!(found["findings"].as_array().unwrap().iter().all(|finding| finding["file"] == "mistakes.cases.yaml"));
}

#[test]
fn a_filter_that_fits_no_case_is_a_failure() {
    let Program { status, stdout, .. } = program(&["failing.yaml", "--filter", "ofice"]);
    assert_eq!((status, stdout.as_str()), (1, "no case has `ofice` in its name\n0 passed, 0 failed\n"));
}
