//! Promise: the command line makes keys and tokens that the gateway takes, keeps them from others, and destroys none.

use crate::harness::program::Program;
use serde_json::Value;
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use windscreen::challenge::SigningKeys;
use windscreen::clock::Timestamp;
use windscreen::document::{Diagnostics, Kind, Node};
use windscreen::identity::TokenHash;

fn keygen(directory: &Path) -> Program {
    Program::run(".", &["keygen", "--dir", directory.to_str().unwrap()])
}

fn files(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_key_is_printed_as_the_gateway_reads_it() {
    let printed: HashSet<_> = (0..3)
        .map(|_| {
            let program = Program::run(".", &["keygen"]);
            assert_eq!((program.status, &*program.stderr), (0, ""));
            assert_eq!(program.stdout.lines().count(), 1);
            SigningKeys::parse(&program.stdout).unwrap()
        })
        .collect();
    assert_eq!(printed.len(), 3);
}

#[test]
fn a_key_file_comes_last_and_is_for_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    for older in ["2020-01-01T000000Z", "..data", ".zzz"] {
        std::fs::write(directory.path().join(older), "older").unwrap();
    }
    let program = keygen(directory.path());
    assert_eq!((program.status, &*program.stderr), (0, ""));
    assert_eq!(program.stdout.lines().count(), 1);
    let last = files(directory.path()).pop().unwrap();
    assert!(program.stdout.contains(&last) && *last > *"2026", "{last}: {}", program.stdout);
    let path = directory.path().join(&last);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    SigningKeys::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(files(directory.path()).len(), 4);
}

#[test]
fn a_key_file_replaces_none() {
    let directory = tempfile::tempdir().unwrap();
    // Two within a second: the later one is refused, or has another name.
    let runs: Vec<Program> = (0..3).map(|_| keygen(directory.path())).collect();
    let written = runs.iter().filter(|program| program.status == 0).count();
    assert_eq!(files(directory.path()).len(), written);
    for refused in runs.iter().filter(|program| program.status != 0) {
        assert_eq!(refused.status, 2);
        assert!(refused.stderr.contains("File exists"), "{}", refused.stderr);
    }
}

#[test]
fn a_key_that_would_not_sign_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("primary"), "key").unwrap();
    let program = keygen(directory.path());
    assert_eq!((program.status, &*program.stdout), (2, ""));
    assert!(program.stderr.contains("primary` would go on signing"), "{}", program.stderr);
    assert_eq!(files(directory.path()), ["primary"]);
    assert_eq!(keygen(&directory.path().join("nowhere")).status, 2);
}

#[test]
fn a_token_comes_with_the_entry_that_takes_it() {
    let arguments = ["token", "new", "--name", "ci", "--expires", "90d", "--sites", "logs,images"];
    let program = Program::run(".", &arguments);
    assert_eq!((program.status, &*program.stderr), (0, ""));
    let token = program.stdout.lines().next().unwrap();
    assert_eq!(program.stdout.matches("wst_").count(), 1, "it is shown once");
    let entry = program.stdout.lines().last().unwrap().trim();
    let node = Node::parse(entry, &mut Diagnostics::default()).unwrap();
    let Kind::List(items) = &node.kind else { panic!("{entry}") };
    let Kind::Map(keys) = &items[0].kind else { panic!("{entry}") };
    let value = |key: &str| &keys.iter().find(|(name, ..)| name == key).unwrap().2;
    assert_eq!(value("name").text(), Some("ci"));
    assert_eq!(value("token").text().unwrap().parse::<TokenHash>().ok(), TokenHash::of(token));
    let Kind::List(sites) = &value("sites").kind else { panic!("{entry}") };
    assert_eq!(sites.iter().filter_map(Node::text).collect::<Vec<_>>(), ["logs", "images"]);
    let days = value("expires").text().unwrap().parse::<Timestamp>().unwrap().seconds() / 86_400;
    let today = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    assert!((89..=91).contains(&(days - today)), "{entry}");
}

#[test]
fn a_token_can_be_read_by_a_machine() {
    let program = Program::run(".", &["token", "new", "--name", "null", "--json"]);
    assert_eq!((program.status, &*program.stderr), (0, ""));
    let printed: Value = serde_json::from_str(&program.stdout).unwrap();
    let hash = TokenHash::of(printed["token"].as_str().unwrap()).unwrap();
    assert_eq!(printed["client"], serde_json::json!({ "name": "null", "token": hash.to_string(), "sites": [] }));
}

#[test]
fn a_token_of_an_operator_comes_with_an_entry_without_sites() {
    let program = Program::run(".", &["token", "new", "--name", "alice", "--operator"]);
    assert_eq!((program.status, &*program.stderr), (0, ""));
    let (token, entry) = (program.stdout.lines().next().unwrap(), program.stdout.lines().last().unwrap());
    assert!(program.stdout.contains("`admin.tokens`") && program.stdout.contains("WINDSCREEN_ADMIN_TOKEN"));
    assert_eq!(entry.trim(), format!("- {{name: 'alice', token: '{}'}}", TokenHash::of(token).unwrap()));
    let program = Program::run(".", &["token", "new", "--name", "alice", "--operator", "--json"]);
    let printed: Value = serde_json::from_str(&program.stdout).unwrap();
    let hash = TokenHash::of(printed["token"].as_str().unwrap()).unwrap();
    assert_eq!(printed["operator"], serde_json::json!({ "name": "alice", "token": hash.to_string() }));
}

#[test]
fn what_no_gateway_would_take_is_refused() {
    let cases: [&[&str]; 7] = [
        &[],
        &["--name", "a b"],
        &["--name", ""],
        &["--name", "ci", "--sites", "logs,'x"],
        &["--name", "ci", "--sites", "logs", "--operator"],
        &["--name", "ci", "--expires", "soon"],
        &["--name", "ci", "--expires", "0d"],
    ];
    for case in cases {
        let program = Program::run(".", &[&["token", "new"], case].concat());
        assert_eq!((program.status, &*program.stdout), (2, ""), "{case:?}");
        assert!(!program.stderr.contains("wst_"));
    }
}
