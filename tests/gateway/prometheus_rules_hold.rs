//! The rules, alerts and dashboards in `deploy` speak of metrics that are there, hold at a scrape every 15 minutes, and
//! work in a real Prometheus.

use crate::harness::{CI, Client, STRANGER, Setup, World};
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use windscreen::metrics::Metrics;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(deploy(name)).unwrap()
}

/// What stands behind `key` in each line that has it.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    text.lines()
        .filter_map(|line| line.trim_start().strip_prefix(key))
        .map(|rest| rest.trim().split(' ').next().unwrap())
        .collect()
}

fn recorded() -> Vec<String> {
    values(&text("prometheus/rules.yml"), "- record:").into_iter().map(str::to_owned).collect()
}

/// The labels of every name that a query may ask for; Prometheus itself adds two.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let mut known = BTreeMap::new();
    for family in Metrics::new().unwrap().families() {
        let mut labels: BTreeSet<String> = family.labels.iter().cloned().collect();
        labels.extend(["job".to_owned(), "instance".to_owned()]);
        if family.is_histogram {
            known.insert(format!("{}_sum", family.name), labels.clone());
            known.insert(format!("{}_count", family.name), labels.clone());
            labels.insert("le".into());
            known.insert(format!("{}_bucket", family.name), labels);
        } else {
            known.insert(family.name.clone(), labels);
        }
    }
    let all: BTreeSet<String> = known.values().flatten().cloned().collect();
    known.extend(recorded().into_iter().map(|name| (name, all.clone())));
    known
}

/// What is wrong with the names in a text.
fn mistakes(text: &str, known: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let all: BTreeSet<&String> = known.values().flatten().collect();
    let mut found = Vec::new();
    let name = Regex::new(r"\bwindscreen[_:][a-z0-9_:]*[a-z0-9](?:\{([^{}]*)\})?").unwrap();
    let label = Regex::new(r#"([a-z_]+)\s*(?:=~|!~|!=|=)\s*""#).unwrap();
    for captures in name.captures_iter(text) {
        let whole = captures[0].to_owned();
        let metric = whole.split('{').next().unwrap();
        let Some(labels) = known.get(metric) else {
            found.push(format!("no metric `{metric}`"));
            continue;
        };
        for part in label.captures_iter(captures.get(1).map_or("", |selector| selector.as_str())) {
            if !labels.contains(&part[1]) {
                found.push(format!("`{metric}` has no label `{}`", &part[1]));
            }
        }
    }
    let grouping = Regex::new(r"\b(?:by|on|without|ignoring|group_left|group_right) \(([a-z_, ]*)\)").unwrap();
    let template = Regex::new(r"\$labels\.([a-z_]+)").unwrap();
    for captures in grouping.captures_iter(text).chain(template.captures_iter(text)) {
        for part in captures[1].split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if !all.contains(&part.to_owned()) {
                found.push(format!("no metric has the label `{part}`"));
            }
        }
    }
    found
}

#[test]
fn every_metric_that_is_named_exists() {
    let known = known();
    for file in
        ["prometheus/rules.yml", "prometheus/rules.test.yml", "README.md", "../README.md", "../policies/README.md"]
    {
        let found = mistakes(&text(file), &known);
        assert!(found.is_empty(), "{file}: {found:#?}");
    }
    for dashboard in dashboards() {
        let strings = strings(&dashboard).join("\n");
        let found = mistakes(&strings, &known);
        assert!(found.is_empty(), "{}: {found:#?}", dashboard["title"]);
    }
    let wrong =
        r#"sum by (client) (windscreen_responses_total{class="a"}) / windscreen_nothing_total + windscreen:nothing"#;
    assert_eq!(mistakes(wrong, &known).len(), 3, "{:?}", mistakes(wrong, &known));
    assert_eq!(mistakes("by (colour) {{ $labels.colour }}", &known).len(), 2);
}

#[test]
fn every_family_says_what_it_is() {
    let mut silent = Vec::new();
    for family in Metrics::new().unwrap().families() {
        assert!(family.help.len() > 30 && family.help.ends_with('.'), "{}: {}", family.name, family.help);
        let named = |label: &String| family.help.contains(label.split('_').next().unwrap());
        let labels = family.labels.iter().filter(|label| !named(label) && !family.help.contains("labelled as"));
        silent.extend(labels.map(|label| format!("{} does not speak of `{label}`", family.name)));
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

fn dashboards() -> Vec<Value> {
    let entries = fs::read_dir(deploy("grafana")).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<Value> = entries.map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect();
    assert!(!found.is_empty());
    found
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(entries) => entries.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn dashboards_fit_a_current_grafana() {
    let recorded = recorded();
    let names = Regex::new(r"\b(windscreen[_:][a-z0-9_:]+|up)(\{[^{}]*\})?(\[\d+[mhd]\])?").unwrap();
    for dashboard in dashboards() {
        assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
        assert!(
            dashboard["templating"]["list"].as_array().unwrap().iter().any(|variable| variable["type"] == "datasource")
        );
        let mut ids = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            assert!(!title.is_empty() && ids.insert(panel["id"].as_u64().unwrap()), "{title}");
            if panel["type"] == "row" {
                continue;
            }
            assert!(panel["description"].as_str().is_some_and(|text| text.len() > 20), "{title}");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                // Prometheus forgets a sample after five minutes, and a recorded one is renewed each minute.
                for name in names.captures_iter(query) {
                    let holds = name.get(3).is_some() || recorded.iter().any(|record| *record == name[1]);
                    assert!(holds, "{title}: no range at {}", &name[0]);
                }
            }
        }
    }
}

/// Runs promtool; a missing one fails.
fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(deploy("prometheus")).stdin(Stdio::piped());
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("promtool of the package prometheus: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}\n{said}");
}

#[test]
fn rules_are_right_by_their_tests() {
    promtool(&["check", "config", "prometheus.yml"], "");
    promtool(&["check", "rules", "rules.yml"], "");
    promtool(&["test", "rules", "rules.test.yml"], "");
}

#[test]
fn every_alert_is_tested_both_ways_and_says_what_to_do() {
    let (rules, tests) = (text("prometheus/rules.yml"), text("prometheus/rules.test.yml"));
    let alerts = values(&rules, "- alert:");
    assert!(alerts.len() > 15);
    for alert in &alerts {
        let rule = rules.split("- alert: ").find(|rule| rule.starts_with(&format!("{alert}\n"))).unwrap();
        for key in ["for:", "severity:", "summary:", "description:"] {
            assert!(rule.contains(key), "{alert} has no `{key}`");
        }
        let silent = Regex::new(&format!(r"alertname: {alert}\}}")).unwrap().is_match(&tests);
        let fires = Regex::new(&format!(r"alertname: {alert}\n\s+exp_alerts:")).unwrap().is_match(&tests);
        assert!(silent && fires, "{alert} is not tested: silent {silent}, fires {fires}");
    }
}

/// A private Prometheus. It is killed when this is dropped.
struct Prometheus {
    api: SocketAddr,
    process: Child,
    _directory: TempDir,
}

impl Prometheus {
    /// Scrapes `admin` every second by the configuration in `deploy`, and evaluates its rules as often.
    async fn start(admin: SocketAddr) -> Self {
        let quick = |text: String, changes: &[(&str, &str)]| {
            changes.iter().fold(text, |text, (from, to)| {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            })
        };
        let admin = format!("'{admin}'");
        let changes = [("15m ", "1s "), ("30s", "1s"), ("1m ", "1s "), ("'windscreen-admin:9090'", &admin)];
        for _ in 0..5 {
            let directory = TempDir::new().unwrap();
            let write = |name: &str, text: String| fs::write(directory.path().join(name), text).unwrap();
            write("prometheus.yml", quick(text("prometheus/prometheus.yml"), &changes));
            write("rules.yml", quick(text("prometheus/rules.yml"), &[("interval: 1m", "interval: 1s")]));
            // Others may take the port before the server does.
            let api = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
            let mut command = Command::new("prometheus");
            command.arg(format!("--config.file={}", directory.path().join("prometheus.yml").display()));
            command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
            command.arg(format!("--web.listen-address={api}")).stdout(Stdio::null()).stderr(Stdio::null());
            let spawned = command.spawn();
            let process = spawned.unwrap_or_else(|error| panic!("prometheus of the package prometheus: {error}"));
            let mut server = Prometheus { api, process, _directory: directory };
            for _ in 0..200 {
                if server.process.try_wait().unwrap().is_some() {
                    break;
                }
                if tokio::net::TcpStream::connect(api).await.is_ok()
                    && server.client().get("/-/ready").await.status == 200
                {
                    return server;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        panic!("no Prometheus could be started");
    }

    fn client(&self) -> Client {
        Client::new(self.api)
    }

    async fn ask(&self, path: &str) -> Value {
        let answer = self.client().get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        answer["data"].clone()
    }

    /// The samples of a query that is a name.
    async fn samples(&self, name: &str) -> Vec<Value> {
        self.ask(&format!("query?query={name}")).await["result"].as_array().unwrap().clone()
    }

    /// What of the rules has no sample yet, was not evaluated, or failed.
    async fn lacks(&self) -> Vec<String> {
        let mut lacks = Vec::new();
        for name in recorded() {
            if self.samples(&name).await.is_empty() {
                lacks.push(name);
            }
        }
        let answer = self.ask("rules").await;
        let groups = answer["groups"].as_array().unwrap();
        for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
            if rule["health"] != "ok" {
                lacks.push(format!("{}: {} {}", rule["name"], rule["health"], rule["lastError"]));
            }
        }
        lacks
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Somebody of each kind: one is allowed, one would be challenged.
async fn visit(world: &World) {
    assert_eq!(world.client(CI).curl().get("/images/fedora").await.status, 200);
    assert_eq!(world.client(STRANGER).navigating().get("/logs/run/log").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_the_gateway_and_evaluates_the_rules() {
    let world = Setup::new().mode("observe").start().await;
    world.put("logs", "run/log", b"log");
    world.put("images", "fedora", &[b'i'; 10_000]);
    visit(&world).await;
    let prometheus = Prometheus::start(world.server.admin.unwrap()).await;
    let mut lacks = Vec::new();
    for _ in 0..100 {
        // What is new must grow to have increased.
        visit(&world).await;
        lacks = prometheus.lacks().await;
        if lacks.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(lacks.is_empty(), "{lacks:#?}\n{}", world.metrics().await);
    let up = prometheus.samples("up").await;
    assert_eq!(up.len(), 1);
    assert_eq!((&up[0]["value"][1], &up[0]["metric"]["job"]), (&"1".into(), &"windscreen".into()));
    promtool(&["check", "metrics"], &world.metrics().await);
}
