//! Reports on logs go to the network for feeds when they are told to, and remember what they got.

use crate::harness::program::Program;
use serde_json::{Value, json};
use std::path::Path;

fn replay(caches: &Path, policy: &Path, more: &[&str]) -> Program {
    let log = policy.with_file_name("access.log");
    let line = "192.0.2.1 - - [01/Nov/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 200 1000 \"-\" \"curl/8.5.0\"\n";
    std::fs::write(&log, line).unwrap();
    let arguments = ["replay", "--policy", policy.to_str().unwrap(), log.to_str().unwrap()];
    let environment = [("XDG_CACHE_HOME", caches.to_str().unwrap())];
    Program::run_with(".", &[&arguments, more].concat(), &environment)
}

/// The class of the one request, and the feeds that are unknown.
fn found(program: &Program) -> (Value, Value) {
    let found: Value = serde_json::from_str(&program.stdout).unwrap_or_else(|_| panic!("{}", program.stderr));
    (found["would"][0]["class"].clone(), found["unknown_feeds"].clone())
}

#[test]
fn what_was_fetched_once_is_known_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let (blocks, policy) = (folder.path().join("blocks"), folder.path().join("policy.yaml"));
    std::fs::write(&blocks, "192.0.2.0/24\n").unwrap();
    let feed = format!("{{feed: 'file://{}', format: list}}", blocks.display());
    let text = format!(
        "version: 1\nnetworks: {{machines: [{feed}]}}\nclasses: [{{class: ci, match: {{network: machines}}}}]\n\
         default: {{action: allow}}\n"
    );
    std::fs::write(&policy, text).unwrap();
    let name = blocks.display().to_string();
    let caches = folder.path().join("caches");

    let unknown = replay(&caches, &policy, &["--json"]);
    assert_eq!(found(&unknown), (json!("unknown"), json!([name])));
    let text = replay(&caches, &policy, &[]).stdout;
    assert!(text.contains("who is in the feed") && text.contains("`--fetch-feeds` fetches it"), "{text}");

    let fetched = replay(&caches, &policy, &["--json", "--fetch-feeds"]);
    assert_eq!(found(&fetched), (json!("ci"), json!([])));
    assert_eq!(found(&replay(&caches, &policy, &["--json"])), (json!("ci"), json!([])));

    // A folder that is named is used alone.
    let own = folder.path().join("own");
    let named = ["--json", "--feeds", own.to_str().unwrap()];
    assert_eq!(found(&replay(&caches, &policy, &named)).1, json!([name]));
    assert_eq!(found(&replay(&caches, &policy, &[&named[..], &["--fetch-feeds"]].concat())).1, json!([]));
    assert_eq!(found(&replay(&caches, &policy, &named)).1, json!([]));

    // Without a copy there is no answer that somebody asked for.
    std::fs::remove_file(&blocks).unwrap();
    let failed = replay(&folder.path().join("empty"), &policy, &["--fetch-feeds"]);
    assert_eq!((failed.status, &*failed.stdout), (2, ""));
    for part in ["cannot fetch the feed", "put its content into", "or leave out `--fetch-feeds`"] {
        assert!(failed.stderr.contains(part), "{}", failed.stderr);
    }
}
