//! A bad configuration is refused whole, with every mistake at its place and the nearest valid word. Each file under
//! tests/config/bad stands beside the exact messages; each under tests/config/good is
//! accepted, and each under tests/config/doubtful with a warning.

use std::path::{Path, PathBuf};
use std::process::Command;

fn corpus(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(kind);
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Runs the program as an operator would, in the file's directory.
fn check(path: &Path) -> (Option<i32>, String) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
    command.current_dir(path.parent().unwrap()).arg("check");
    if name.starts_with("gateway") {
        command.arg("-c");
    }
    let output = command.arg(name).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Compares what `check` finds in each file of a corpus with the text beside it.
fn compare(kind: &str, expected_status: i32) {
    let update = std::env::var_os("WINDSCREEN_UPDATE_SNAPSHOTS").is_some();
    for path in corpus(kind) {
        let (status, found) = check(&path);
        assert_eq!(status, Some(expected_status), "{}: {found}", path.display());
        let snapshot = path.with_extension("txt");
        if update {
            std::fs::write(&snapshot, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&snapshot).unwrap_or_default();
        assert_eq!(found, expected, "{}", path.display());
    }
}

#[test]
fn every_mistake_has_its_place() {
    compare("bad", 1);
}

#[test]
fn doubts_are_told_and_accepted() {
    compare("doubtful", 0);
}

#[test]
fn good_files_are_accepted() {
    for path in corpus("good") {
        let (status, found) = check(&path);
        assert_eq!((status, found.as_str()), (Some(0), "ok\n"), "{}", path.display());
    }
}

#[test]
fn a_pattern_finds_files_beside_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, "version: 1\nimport: 'more-*.yaml'\ndefault: {action: allow}\n").unwrap();
    let (status, found) = check(&policy);
    assert_eq!(status, Some(1));
    assert!(found.contains("no file matches `more-*.yaml`"), "{found}");
    std::fs::write(folder.path().join("more-1.yaml"), "version: 1\n").unwrap();
    assert_eq!(check(&policy), (Some(0), "ok\n".to_owned()));
}

#[test]
fn paths_beside_a_file_without_a_directory_are_in_the_current_one() {
    let folder = tempfile::tempdir().unwrap();
    let text = "{version: 1, listeners: [{address: '127.0.0.1:0'}], ledger: {path: ledger.db}, sites: {logs: {origins: \
                [{name: a, url: 'http://127.0.0.1:1/b', credentials: anonymous}]}}}";
    std::fs::write(folder.path().join("gateway.yaml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
    let output = command.current_dir(folder.path()).args(["check", "-c", "gateway.yaml"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "ok\n");
}

#[test]
fn a_broken_file_is_not_replaced_by_the_built_in_one_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    let rules = "rules: [{name: a, match: {user_agent: {list: tools}}, action: deny}]";
    for import in ["lists/tools.yaml", "lists/tool*.yaml"] {
        let text = format!("version: 1\nimport: '{import}'\n{rules}\ndefault: {{action: allow}}\n");
        std::fs::write(&policy, text).unwrap();
        assert_eq!(check(&policy), (Some(0), "ok\n".to_owned()), "there is none beside the policy");
        let own = folder.path().join("lists/tools.yaml");
        std::fs::create_dir(folder.path().join("lists")).unwrap();
        std::os::unix::fs::symlink("nowhere", &own).unwrap();
        let (status, found) = check(&policy);
        assert!(status == Some(1) && found.contains("cannot read `"), "{found}");
        std::fs::remove_file(&own).unwrap();
        std::fs::write(&own, [0xff]).unwrap();
        let (status, found) = check(&policy);
        assert!(status == Some(1) && found.contains("cannot read `"), "{found}");
        std::fs::remove_dir_all(folder.path().join("lists")).unwrap();
    }
}

#[test]
fn a_file_is_imported_once_however_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let text = "version: 1\nnetworks: {lab: 192.0.2.0/24}\n";
    std::fs::write(folder.path().join("one.yaml"), text).unwrap();
    let imports = "[one.yaml, ./one.yaml, sub/../one.yaml, 'o*.yaml']";
    let rest = "rules: [{name: a, match: {network: lab}, action: deny}]\ndefault: {action: allow}";
    std::fs::write(&policy, format!("version: 1\nimport: {imports}\n{rest}\n")).unwrap();
    assert_eq!(check(&policy), (Some(0), "ok\n".to_owned()));
    std::fs::write(folder.path().join("one.yaml"), "version: 1\nimport: sub/../one.yaml\n").unwrap();
    let (status, found) = check(&policy);
    assert!(status == Some(1) && found.contains("the imports go round in a circle"), "{found}");
}

#[test]
fn what_we_ship_is_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["deploy/gateway.yaml", "policies/cockpit.yaml"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
        command.current_dir(root).arg("check");
        if file.starts_with("deploy") {
            command.arg("-c");
        }
        let output = command.arg(file).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n", "{file}");
    }
}

#[test]
fn serve_refuses_to_start_with_status_64() {
    for path in corpus("bad").iter().filter(|path| path.to_string_lossy().contains("gateway")) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
        let name = path.file_name().unwrap();
        let output = command.current_dir(path.parent().unwrap()).args(["serve", "-c"]).arg(name).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{}", path.display());
    }
}

#[test]
fn usage_and_unreadable_files_exit_with_2() {
    let cases: [&[&str]; 5] = [
        &["check"],
        &["serve"],
        &["check", "-c", "/nonexistent.yaml"],
        &["serve", "-c", "/nonexistent.yaml"],
        &["fly"],
    ];
    for arguments in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_windscreen")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn findings_are_json_for_machines() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad/policy-unknown-keys.yaml");
    let output = Command::new(env!("CARGO_BIN_EXE_windscreen")).arg("check").arg(path).arg("--json").output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["ok"], false);
    assert!(found["findings"][0]["line"].is_u64());
}
