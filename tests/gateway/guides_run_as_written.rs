//! The guides that operators follow do what they say: their commands run as they stand, one after the other, from an empty
//! folder, and print what is shown. And the files that guides name are there.

use crate::harness::markdown::{blocks, links};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The first line of blocks that want root, a network or other programs.
const ELSEWHERE: &str = "# on your machine\n";

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(guide: &str) -> String {
    std::fs::read_to_string(project().join(guide)).unwrap()
}

/// Runs one block in the folder, and gives what it prints on both of its outputs.
fn run(folder: &TempDir, commands: &str) -> String {
    let ours = Path::new(env!("CARGO_BIN_EXE_windscreen")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(ours).chain(std::env::split_paths(&path))).unwrap();
    let mut command = Command::new("sh");
    command.current_dir(folder.path()).env("PATH", path).stdin(Stdio::null());
    // Not what the user keeps.
    command.env("XDG_CACHE_HOME", folder.path().join(".cache"));
    let output = command.args(["-euc", &format!("exec 2>&1\n{commands}")]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{commands}\n{said}");
    said
}

#[test]
fn the_way_from_anubis() {
    let folder = TempDir::new().unwrap();
    let blocks = blocks(&read("deploy/migration.md"));
    let mut compared = 0;
    for (place, block) in blocks.iter().enumerate() {
        if block.language != "sh" || block.text.starts_with(ELSEWHERE) {
            continue;
        }
        let said = run(&folder, &block.text);
        let shown = blocks.get(place + 1).filter(|next| next.language == "text");
        for line in shown.iter().flat_map(|shown| shown.text.lines()) {
            assert!(said.contains(line), "{}\nprints no `{line}`:\n{said}", block.text);
            compared += 1;
        }
    }
    assert!(compared >= 20, "only {compared} lines were compared");
}

#[test]
fn what_they_link_to_is_there() {
    for guide in ["README.md", "SECURITY.md", "deploy/README.md", "deploy/migration.md"] {
        let text = read(guide);
        let folder = project().join(guide).parent().unwrap().to_owned();
        for target in links(&text) {
            assert!(folder.join(target).exists(), "{guide} links to `{target}`");
        }
    }
}
