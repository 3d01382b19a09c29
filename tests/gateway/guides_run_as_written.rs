//! The guides that operators follow do what they say: their commands run as they stand, one after the other, from an empty
//! folder, and print what is shown. And the files that guides name are there.

use crate::harness::markdown::{blocks, links};
use crate::harness::{ACCESS, SECRET, STRANGER, Setup, eventually};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use windscreen::identity::Token;

/// The first line of blocks that want root, a network or other programs.
const ELSEWHERE: &str = "# on your machine\n";

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(guide: &str) -> String {
    std::fs::read_to_string(project().join(guide)).unwrap()
}

/// A shell there that finds our program.
fn shell(folder: &Path) -> Command {
    let ours = Path::new(env!("CARGO_BIN_EXE_windscreen")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(ours).chain(std::env::split_paths(&path))).unwrap();
    let mut command = Command::new("sh");
    command.current_dir(folder).env("PATH", path).stdin(Stdio::null());
    // Not what the user keeps.
    command.env("XDG_CACHE_HOME", folder.join(".cache"));
    command
}

/// Runs one block in the folder, and gives what it prints on both of its outputs.
fn run(folder: &TempDir, commands: &str) -> String {
    let mut command = shell(folder.path());
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

/// Commands of the README that need the internet, or do not end by themselves. Their tests are elsewhere.
const TRIED_ELSEWHERE: [&str; 3] = ["windscreen serve ", "windscreen report s3://", "windscreen doctor "];

/// What stands in the README for what everybody has of their own.
fn of_ours(line: &str, site: &str, admin: &str) -> String {
    let ours = [
        ("https://logs.example.org/run/log", format!("{site}/logs/run/log")),
        ("https://images.example.org/", format!("{site}/images/")),
        ("HEX --limit-rate", format!("{EMPTY} --limit-rate")),
        (" URL", format!(" {site}/images/empty")),
    ];
    let line = ours.iter().fold(line.to_owned(), |line, (theirs, ours)| line.replace(theirs, ours));
    let word = line.split(' ').nth(1).unwrap_or_default();
    if ["block", "allow", "off", "decisions"].contains(&word) { format!("{line} --admin {admin}") } else { line }
}

/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_is_known() {
    let token = Token::new(&[1; 32]);
    let policy = "version: 1\nmode: enforce\ndefault: {action: allow}\n";
    let cases = "version: 1\ncases:\n  - {name: all, request: {site: logs, path: /a}, expect: {action: allow}}\n";
    let log = "192.0.2.9 - - [01/Sep/2026:10:00:00 +0000] \"GET /run/log HTTP/1.1\" 200 1000 \"-\" \"curl/8.0\"\n";
    let setup = Setup::new().policy(policy).more("ledger: {path: ledger.db, interval: 1s}\n");
    let setup = setup.admin(&format!(", tokens: [{{name: alice, token: '{}'}}]", token.hash()));
    let world = setup.start().await;
    world.put("logs", "run/log", b"the log");
    for name in ["a.qcow2", "b.qcow2", "rhel.qcow2", "empty"] {
        world.put("images", name, b"");
    }
    let folder = world.directory.path();
    std::fs::create_dir(folder.join("logs")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("logs/access.log", log);
    for name in ["policy.yaml", "ours.yaml", "theirs.yaml"] {
        write(name, policy);
    }
    write("policy.cases.yaml", cases);
    write("botPolicies.yaml", "bots:\n  - {name: all, path_regex: .*, action: CHALLENGE}\n");
    let site = format!("http://{}", world.server.addresses[0]);
    let admin = format!("http://{}", world.server.admin.unwrap());
    assert_eq!(world.client(STRANGER).get("/logs/run/log").await.status, 200);
    let reported =
        || shell(folder).args(["-euc", "windscreen report -c gateway.yaml"]).output().unwrap().status.success();
    eventually("it is in the ledger", async || reported()).await;
    let readme = read("README.md");
    let mut tried = 0;
    for block in blocks(&readme) {
        let lines = block.text.lines().filter(|line| line.starts_with("windscreen "));
        for line in lines.filter(|line| !TRIED_ELSEWHERE.iter().any(|known| line.starts_with(known))) {
            let command = of_ours(line.split("  #").next().unwrap().trim_end(), &site, &admin);
            let mut shell = shell(folder);
            shell.env("XDG_CACHE_HOME", folder.join("cache"));
            shell.env("AWS_ACCESS_KEY_ID", ACCESS).env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_REGION", "us-east-1");
            shell.env("WINDSCREEN_ADMIN_TOKEN", token.reveal());
            let output = tokio::task::block_in_place(|| shell.args(["-euc", &command]).output().unwrap());
            let said = String::from_utf8_lossy(&output.stderr);
            // 1 is an answer, too: that a key is not known here, or that no log tells when something was asked for last.
            assert!(matches!(output.status.code(), Some(0 | 1)), "{command}\n{said}");
            tried += 1;
        }
    }
    assert!(tried >= 20, "only {tried} commands were found");
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
