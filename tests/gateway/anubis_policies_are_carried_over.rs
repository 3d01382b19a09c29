//! A policy of Anubis is carried over whole: what it says stands in ours, and what cannot stand there is named with its
//! place; `check` accepts what comes out. Files under tests/config/anubis stand beside the exact policies and notes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use windscreen::config::check_policy;
use windscreen::document::Diagnostics;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/anubis")
}

/// Runs the program as an operator would, in the folder of the policies.
fn import(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
    command.current_dir(folder()).args(["import", "anubis"]).args(arguments).output().unwrap()
}

fn assert_snapshot(name: &str, found: &[u8]) {
    let path = folder().join(name);
    let found = String::from_utf8_lossy(found);
    if std::env::var_os("WINDSCREEN_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &*found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap_or_default(), "{name}");
}

#[test]
fn every_construct_is_carried_over_or_noted() {
    let cases = [("everything.yaml", "everything"), ("few.json", "few"), ("corpus-policy.yaml", "corpus-policy")];
    for (file, name) in cases {
        let output = import(&[file, "--data", "data"]);
        assert_eq!(output.status.code(), Some(0), "{file}");
        assert_snapshot(&format!("{name}.policy"), &output.stdout);
        assert_snapshot(&format!("{name}.txt"), &output.stderr);

        let mut diagnostics = Diagnostics::default();
        assert!(check_policy(&folder().join(format!("{name}.policy")), &mut diagnostics).unwrap().is_some());
        assert_eq!(diagnostics.error_count(), 0, "{diagnostics}");
    }
}

#[test]
fn every_mistake_has_its_place() {
    for name in ["anchor", "broken", "cycle", "empty", "mistakes", "nothing"] {
        let output = import(&[&format!("bad/{name}.yaml")]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(output.stdout.is_empty(), "{name}");
        assert_snapshot(&format!("bad/{name}.txt"), &output.stderr);
    }
}

#[test]
fn an_unreadable_file_exits_with_2() {
    for arguments in [&["nowhere.yaml"][..], &["few.json", "-o", "nowhere/policy.yaml"], &[]] {
        let output = import(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_policy_goes_where_it_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.yaml");
    let output = import(&["few.json", "-o", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    assert_snapshot("few.policy", &std::fs::read(path).unwrap());
}

#[test]
fn findings_are_json_for_machines() {
    let output = import(&["few.json", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["ok"], &found["findings"]), (&true.into(), &serde_json::json!([])));
    assert_snapshot("few.policy", found["policy"].as_str().unwrap().as_bytes());

    let output = import(&["bad/empty.yaml", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["ok"], &found["policy"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(found["findings"][0]["severity"], "error");
    assert_eq!(found["findings"][0]["line"], 1);
}

#[test]
fn what_grows_too_long_when_it_is_joined_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let parts: Vec<String> = (0..300).map(|number| format!("path.contains('/part-{number}')")).collect();
    let text = format!("bots: [{{name: long, expression: {{any: {parts:?}}}, action: ALLOW}}]\n");
    let (there, here) = (directory.path().join("there.yaml"), directory.path().join("here.yaml"));
    std::fs::write(&there, text).unwrap();
    let output = import(&[there.to_str().unwrap(), "-o", here.to_str().unwrap()]);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("there.yaml:1:") && notes.contains("at most 4096 are allowed"), "{notes}");
    assert!(notes.contains("the rule is left out, since it would let in more than there"), "{notes}");
    let mut diagnostics = Diagnostics::default();
    assert!(check_policy(&here, &mut diagnostics).unwrap().is_some(), "{diagnostics}");
}
