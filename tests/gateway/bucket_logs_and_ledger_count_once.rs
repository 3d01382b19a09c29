//! Where a gateway stands before a bucket, logs of the bucket and the ledger together tell of each read once, and how much
//! went around the gateway.

use crate::harness::program::Program;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tempfile::TempDir;
use windscreen::clock::{ManualClock, Timestamp};
use windscreen::demo::store::{Settings, Store};
use windscreen::document::Diagnostics;
use windscreen::ledger::{Ledger, LedgerSettings};
use windscreen::metrics::Metrics;
use windscreen::traffic::{Billed, Entry, Key};
use windscreen::verdict::{Class, Done};

const HOUR: u64 = 3_600_000;
const DAYS: u64 = 7;
/// In each hour so many reads come through the gateway, of this size.
const THROUGH: (u64, u64) = (3, 1_000_000);
/// And one goes around it.
const AROUND: u64 = 500_000;
const GATEWAY: &str = "arn:aws:sts::111122223333:assumed-role/gateway";

/// A bucket with logs, a ledger, and a gateway file that names both.
struct Deployment {
    folder: TempDir,
    store: Store,
    /// The first hour: a midnight.
    start: u64,
}

/// A line of S3's log.
fn line(at: u64, bucket: &str, address: &str, requester: &str, bytes: u64, agent: &str, number: u64) -> String {
    let time = Timestamp(at).to_string();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months[time[5..7].parse::<usize>().unwrap() - 1];
    let time = format!("{}/{month}/{}:{} +0000", &time[8..10], &time[..4], &time[11..19]);
    let signature = if requester == "-" { "- - -" } else { "SigV4 - AuthHeader" };
    format!(
        "owner {bucket} [{time}] {address} {requester} ID{number:014X} REST.GET.OBJECT run/log \"GET /run/log HTTP/1.1\" 200 - \
         {bytes} {bytes} 20 10 \"-\" \"{agent}\" - host {signature} {bucket}.s3.us-east-1.amazonaws.com TLSv1.3 - - -\n"
    )
}

fn log(start: u64, day: u64, hour: u64) -> String {
    let at = start + (day * 24 + hour) * HOUR;
    let number = (day * 24 + hour) * 100;
    let mut text = String::new();
    for read in 0..THROUGH.0 {
        let session = format!("{GATEWAY}/i-{read}");
        text += &line(at + read * 1000, "ci-logs", "203.0.113.9", &session, THROUGH.1, "windscreen/1.0", number + read);
    }
    let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    text += &line(at + 5000, "ci-logs", "198.51.100.7", "-", AROUND, browser, number + 10);
    text += &line(at + 6000, "backups", "198.51.100.8", "-", 9_000_000, "curl/8.5.0", number + 11);
    text
}

impl Deployment {
    async fn start(more: &str, ledger_from_day: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from(SystemTime::now()).0;
        let start = (now / (24 * HOUR) - DAYS - 1) * 24 * HOUR;
        let root = folder.path().join("store");
        for (day, hour) in (0..DAYS).flat_map(|day| (0..24).map(move |hour| (day, hour))) {
            let delivered = Timestamp(start + (day * 24 + hour) * HOUR).to_string().replace(['T', ':'], "-");
            let path = root.join(format!("access-logs/{}-0123456789ABCDEF", &delivered[..19]));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, log(start, day, hour)).unwrap();
        }
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let store = Settings::new(&root).credentials("KEY", "secret").start(loopback).await.unwrap();
        std::fs::write(folder.path().join("key"), "KEY secret").unwrap();
        let deployment = Deployment { folder, store, start };
        deployment.write_ledger(ledger_from_day);
        let endpoint = deployment.store.endpoint();
        let file = format!(
            "version: 1\nlisteners: [{{address: '127.0.0.1:0'}}]\nledger: {{path: ledger.db}}\n\
             credentials: {{logs: {{key_file: '{}'}}}}\n\
             sites: {{logs: {{origins: [{{name: aws, url: 'https://ci-logs.s3.us-east-1.amazonaws.com/'}}]}}}}\n\
             evidence: [{{s3_access_logs: 's3://access-logs/', endpoint: '{endpoint}', region: us-east-1, credentials: logs{more}}}]\n",
            deployment.path("key").display()
        );
        std::fs::write(deployment.path("gateway.yaml"), file).unwrap();
        deployment
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the gateway has counted of what went through it.
    fn write_ledger(&self, from_day: u64) {
        let text = format!("path: '{}'", self.path("ledger.db").display());
        let settings: LedgerSettings = windscreen::document::read(&text, &mut Diagnostics::new("x")).unwrap();
        let live = Arc::new(Ledger::live(Some(&settings)));
        let clock = Arc::new(ManualClock::new(Timestamp(self.start)));
        let ledger = Ledger::new(&settings, live.clone(), clock.clone(), &Metrics::new().unwrap());
        for hour in from_day * 24..DAYS * 24 {
            for read in 0..THROUGH.0 {
                let at = Timestamp(self.start + hour * HOUR + read * 1000);
                let key = Key {
                    site: "logs".into(),
                    source: "aws".into(),
                    class: Class::Human,
                    rule: "default".into(),
                    done: Done::Allow,
                    would: None,
                    status: 2,
                    billed: Billed::Get,
                    network: "".into(),
                    region: "".into(),
                    country: None,
                    asn: None,
                    undecided: None,
                };
                let prefix = "192.0.2.0/24".parse().unwrap();
                let user_agent = "Mozilla/5.0";
                live.enter(Entry { at, key, prefix, bytes: THROUGH.1, user_agent, path: "/run/log", shown: None });
            }
            clock.advance_to(Timestamp(self.start + (hour + 1) * HOUR));
            ledger.save();
        }
    }

    async fn run(&self, arguments: &[&str]) -> Program {
        let mut arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        arguments.extend(["-c".into(), self.path("gateway.yaml").display().to_string()]);
        let cache = self.path("caches").display().to_string();
        let run = move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            Program::run_with(".", &arguments, &[("XDG_CACHE_HOME", &cache)])
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    async fn report(&self, more: &[&str]) -> Value {
        let arguments: Vec<&str> = ["report", "--format", "json"].iter().chain(more).copied().collect();
        let program = self.run(&arguments).await;
        serde_json::from_str(&program.stdout).unwrap_or_else(|_| panic!("{}{}", program.stdout, program.stderr))
    }
}

/// Reads and bytes of all classes.
fn total(report: &Value) -> (u64, u64) {
    let sum = |key: &str| report["classes"].as_array().unwrap().iter().map(|row| row[key].as_u64().unwrap()).sum();
    (sum("reads"), sum("bytes"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_read_counts_once_and_what_went_around_is_told() {
    let deployment = Deployment::start(&format!(", requesters: ['{GATEWAY}']"), 0).await;
    let hours = DAYS * 24;
    let report = deployment.report(&[]).await;
    assert_eq!(total(&report), (hours * (THROUGH.0 + 1), hours * (THROUGH.0 * THROUGH.1 + AROUND)));
    assert_eq!(report["evidence"]["days"], 7);
    assert_eq!(report["evidence"]["described"], "ledgers of 1 gateway, access logs of 1 bucket");
    let left_out = &report["evidence"]["left_out"];
    let found = [&left_out["own_reads"], &left_out["elsewhere"], &left_out["duplicates"], &left_out["unreadable"]];
    assert_eq!(found, [hours * THROUGH.0, hours, 0, 0]);
    assert_eq!(left_out["own_requesters"], serde_json::json!({}), "there is no doubt who they are");
    let around = &report["around"];
    assert_eq!([&around["reads"], &around["bytes"], &around["paid_bytes"]], [hours, hours * AROUND, hours * AROUND]);
    let share = around["share"].as_f64().unwrap();
    assert!((share - 0.5 / 3.5).abs() < 1e-9, "{share}");

    let text = deployment.run(&["report"]).await.stdout;
    let told = "Around the gateway: 14 % of paid bytes (84 MB in 168 reads), most of it human";
    assert!(text.replace("\n  ", " ").contains(told), "{text}");
    assert!(text.replace("\n  ", " ").contains("504 reads of the gateway, 168 of buckets that no site has"), "{text}");

    // Logs that are named are read alone, and the gateway's own reads are left out there, too.
    let logs = deployment.path("store/access-logs").display().to_string();
    let report = deployment.report(&[&logs]).await;
    assert_eq!(report["evidence"]["left_out"]["own_reads"], hours * THROUGH.0);
    assert_eq!((total(&report), &report["around"]), ((2 * hours, hours * (AROUND + 9_000_000)), &Value::Null));
    let program = deployment.run(&["replay", "--json", &logs]).await;
    let replayed: Value = serde_json::from_str(&program.stdout).unwrap();
    assert_eq!(replayed["left_out"]["own_reads"], hours * THROUGH.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_the_gateways_user_agent_is_not_the_gateway() {
    let other = "arn:aws:iam::444455556666:user/other";
    let add = |deployment: &Deployment| {
        let folder = deployment.path("store/access-logs");
        let at = deployment.start + 36 * HOUR + 9000;
        let lines = [
            line(at, "ci-logs", "198.51.100.66", other, 7_000_000, "windscreen/1.0", 90_001),
            line(at, "ci-logs", "198.51.100.66", "-", 7_000_000, "windscreen/1.0", 90_002),
        ];
        std::fs::write(folder.join("2026-01-01-00-00-00-FFFF"), lines.concat()).unwrap();
    };
    let known = Deployment::start(&format!(", requesters: ['{GATEWAY}']"), 0).await;
    add(&known);
    let all = |known: &Path| known.display().to_string();
    let hours = DAYS * 24;
    // A log of this name is older than all that is asked for: it is named.
    let logs = all(&known.path("store/access-logs"));
    let ledger = all(&known.path("ledger.db"));
    let report = known.report(&[&logs, &ledger]).await;
    assert_eq!(report["evidence"]["left_out"]["own_reads"], hours * THROUGH.0);
    assert_eq!(report["around"]["reads"], hours * 2 + 2);

    // Where the gateway has no name, the report names who was taken for it.
    let unknown = Deployment::start("", 0).await;
    add(&unknown);
    let logs = all(&unknown.path("store/access-logs"));
    let report = unknown.report(&[&logs, &all(&unknown.path("ledger.db"))]).await;
    let left_out = &report["evidence"]["left_out"];
    assert_eq!(
        (&left_out["own_reads"], &left_out["own_requesters"][other]),
        (&(hours * THROUGH.0 + 1).into(), &1.into())
    );
    assert_eq!(left_out["own_requesters"].as_object().unwrap().len(), 4);

    // What is not signed is its own by its address alone.
    let anonymous = Deployment::start(&format!(", requesters: ['{GATEWAY}'], addresses: [198.51.100.64/28]"), 0).await;
    add(&anonymous);
    let report = anonymous.report(&[&all(&anonymous.path("store/access-logs"))]).await;
    assert_eq!(report["evidence"]["left_out"]["own_reads"], hours * THROUGH.0 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_counts_where_both_tell_of_it() {
    let deployment = Deployment::start(&format!(", requesters: ['{GATEWAY}']"), 2).await;
    let report = deployment.report(&[]).await;
    assert_eq!(report["evidence"]["days"], DAYS - 2, "the gateway has read before its ledger began");
    let hours = (DAYS - 2) * 24;
    assert_eq!(total(&report).0, hours * (THROUGH.0 + 1));
    assert_eq!(report["around"]["reads"], hours);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_cannot_be_read_are_an_error() {
    let deployment = Deployment::start("", 0).await;
    std::fs::write(deployment.path("key"), "KEY wrong").unwrap();
    let program = deployment.run(&["report"]).await;
    assert_eq!(program.status, 2);
    assert!(program.stderr.contains("`s3://access-logs/`: the server answered 403"), "{}", program.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn ledgers_of_several_gateways_are_held_against_the_same_logs() {
    let deployment = Deployment::start(&format!(", requesters: ['{GATEWAY}']"), 0).await;
    std::fs::rename(deployment.path("ledger.db"), deployment.path("one.db")).unwrap();
    let report = deployment.report(&[&deployment.path("one.db").display().to_string()]).await;
    assert_eq!(report["around"]["reads"], DAYS * 24);
    assert_eq!(total(&report).0, DAYS * 24 * (THROUGH.0 + 1));
}
