//! What a report says about logs of S3 is what happened: bytes to the byte, the answer, and whom a policy would stop.

use crate::harness::program::Program;
use crate::simulator::{Delivery, Event, Label, Scenario, Totals, networks, write_s3_directory};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::path::Path;

/// Copies of the feeds, with the networks that the simulator's clients come from.
fn write_feeds(folder: &Path) {
    let cidr = |(address, length): &networks::Prefix| format!("{}/{length}", Ipv4Addr::from(*address));
    let aws: Vec<Value> = networks::AWS_US_EAST_1
        .iter()
        .map(|prefix| json!({"ip_prefix": cidr(prefix), "region": "us-east-1", "network_border_group": "us-east-1", "service": "EC2"}))
        .collect();
    let aws = json!({"syncToken": "1", "createDate": "2026-11-01-00-00-00", "prefixes": aws, "ipv6_prefixes": []});
    let github = json!({"actions": networks::GITHUB_ACTIONS.iter().map(cidr).collect::<Vec<_>>()});
    std::fs::write(folder.join("aws-ip-ranges.json"), aws.to_string()).unwrap();
    std::fs::write(folder.join("github-meta.json"), github.to_string()).unwrap();
}

/// What is true of logs.
struct Truth {
    totals: Totals,
    files: u64,
    future: u64,
    /// Bytes of refusals to strangers, which S3 does not bill.
    unbilled: u64,
    unreadable: u64,
    duplicates: u64,
}

/// Logs of a scenario with damaged, late and repeated lines, and what is true of them.
fn logs(folder: &Path, scenario: &Scenario, lines_per_file: usize) -> Truth {
    let (mut totals, mut unbilled) = (Totals::default(), 0);
    let events = scenario.traffic().inspect(|event: &Event| {
        totals.add(event);
        if event.is_read() && event.status == 403 && event.requester.is_none() {
            unbilled += event.bytes;
        }
    });
    let delivery = Delivery { lines_per_file, damaged: 0.001, truncated: 0.001, future: 0.01, ..Delivery::default() };
    let delivered = write_s3_directory(folder, events, &delivery).unwrap();
    let (unreadable, duplicates) = (delivered.unreadable() as u64, delivered.duplicates as u64);
    Truth { totals, files: delivered.files, future: delivered.future, unbilled, unreadable, duplicates }
}

fn run(arguments: &[&str]) -> Program {
    Program::run(".", arguments)
}

fn parsed(program: &Program) -> Value {
    serde_json::from_str(&program.stdout).unwrap_or_else(|error| panic!("{error}: {}", program.stderr))
}

#[test]
fn every_byte_of_a_week_is_in_the_books_and_the_answer_fits_the_month() {
    // A quarter of the traffic, with scrapers of a whole month.
    let quarter = |seed, scraper_bytes| Scenario { scraper_bytes, ..Scenario::clean(seed).scaled(0.25) };
    // Lines of a file, the answer, and what `--fail-if` exits with.
    let needs = [
        (Scenario::clean(7).scaled(0.25), 100, "not-needed", ("watch", 0)),
        (quarter(9, 8e9), 1500, "watch", ("watch", 1)),
        (quarter(8, 40e9), 1500, "needed", ("needed", 1)),
    ];
    for (scenario, lines_per_file, need, (fail_if, status)) in needs {
        let folder = tempfile::tempdir().unwrap();
        let (feeds, bucket) = (folder.path().join("feeds"), folder.path().join("logs"));
        std::fs::create_dir(&feeds).unwrap();
        write_feeds(&feeds);
        let Truth { totals, files, future, unbilled, unreadable, duplicates } =
            logs(&bucket, &scenario.lasting(7), lines_per_file);
        let (feeds, bucket) = (feeds.to_str().unwrap(), bucket.to_str().unwrap());

        let output = run(&["report", "--feeds", feeds, "--format", "json", "--fail-if", fail_if, bucket]);
        let report = parsed(&output);
        assert_eq!((report["answer"]["need"].as_str(), output.status), (Some(need), status), "{report}");
        let sum = |field: &str| -> u64 {
            report["classes"].as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap()).sum()
        };
        assert_eq!(sum("reads"), totals.sum(|total| total.reads));
        assert_eq!(sum("bytes") + unbilled, totals.sum(|total| total.bytes));
        let left_out = &report["evidence"]["left_out"];
        assert_eq!(left_out["unreadable"], unreadable);
        // Those of writes are left out as writes.
        let repeated = left_out["duplicates"].as_u64().unwrap();
        assert!(repeated > 0 && repeated <= duplicates, "{repeated} of {duplicates}");
        assert!(left_out["writes"].as_u64().unwrap() >= totals.label(Label::Ci).writes);

        let replayed = parsed(&run(&["replay", "--feeds", feeds, "--json", bucket]));
        // A thousand files, with lines of all kinds in them.
        assert_eq!(replayed["read"]["files"], files);
        assert!(files >= 1000 || lines_per_file > 100, "{files}");
        assert!(unreadable > 100 && future > 1000, "{unreadable}, {future}");
        assert_eq!(replayed["damaged"], json!([]));
        let hit = replayed["hit"].as_array().unwrap();
        assert!(hit.iter().all(|hit| hit["class"] != "ci"), "{hit:?}");
        let would: u64 = replayed["would"].as_array().unwrap().iter().map(|row| row["bytes"].as_u64().unwrap()).sum();
        assert_eq!(would, totals.sum(|total| total.bytes));
    }
}

#[test]
fn another_policy_shows_whose_verdict_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let line = |address: &str, agent: &str, path: &str| {
        format!("{address} - - [01/Nov/2026:10:00:00 +0000] \"GET {path} HTTP/1.1\" 200 1000 \"-\" \"{agent}\"\n")
    };
    let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let text = [line("192.0.2.1", "curl/8.5.0", "/a/b"), line("198.51.100.1", browser, "/a/b")].concat();
    std::fs::write(&log, text).unwrap();
    let write = |name: &str, policy: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, policy).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ours = write("ours.yaml", "version: 1\ndefault: {action: allow}\n");
    let rule = "{name: tools, match: {user_agent: {regex: ^curl}}, action: deny}";
    let theirs = write("theirs.yaml", &format!("version: 1\nrules: [{rule}]\ndefault: {{action: allow}}\n"));
    let log = log.to_str().unwrap();
    let found = parsed(&run(&["replay", "--json", "--policy", &ours, "--diff", &theirs, log]));
    let expected = json!([{
        "from": {"class": "unknown", "action": "allow", "rule": "default"},
        "to": {"class": "unknown", "action": "deny", "rule": "tools"},
        "requests": 1, "bytes": 1000, "prefixes": 1, "example": "192.0.2.0/24",
    }]);
    assert_eq!(found["changes"], expected);
}

#[test]
fn what_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let missing = run(&["report", "/nowhere/at/all"]);
    assert_eq!(missing.status, 2);
    assert!(missing.stderr.contains("cannot read `/nowhere/at/all`"));
    let empty = run(&["report", folder.path().to_str().unwrap()]);
    assert_eq!(empty.status, 2);
    assert!(empty.stderr.contains("nothing to report"));
    let bad = folder.path().join("bad.yaml");
    std::fs::write(&bad, "version: 1\nrulse: []\n").unwrap();
    let refused = run(&["replay", "--policy", bad.to_str().unwrap(), folder.path().to_str().unwrap()]);
    assert_eq!(refused.status, 1);
    assert!(refused.stdout.contains("bad.yaml:2:1: error: unknown key `rulse`"));
}
