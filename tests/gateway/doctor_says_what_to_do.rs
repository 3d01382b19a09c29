//! `windscreen doctor` finds what would go wrong with a deployment, and says what to do; completions and manual pages name
//! every command.

use crate::harness::program::Program;
use crate::harness::valkey::Valkey;
use crate::harness::{ACCESS, OPEN, SECRET, Setup, World};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::Value;
use std::fs;
use std::path::Path;

const LOGS: &str =
    "  logs:\n    prefix: /logs\n    origins: [{name: first, url: 'http://{first}/logs', credentials: test}]\n";
/// Each command, as the help lists them.
const COMMANDS: [&str; 21] = [
    "serve",
    "demo",
    "check",
    "doctor",
    "explain",
    "test",
    "report",
    "replay",
    "origins",
    "fetch",
    "healthcheck",
    "import",
    "schema",
    "keygen",
    "token",
    "block",
    "allow",
    "off",
    "decisions",
    "completions",
    "man",
];

fn setup() -> Setup {
    Setup::new().policy(OPEN).sites(LOGS).fixed_pass_keys()
}

/// Has the doctor look at the gateway file in a folder.
fn look(directory: &Path) -> (i32, Vec<Value>) {
    let folder = directory.to_str().unwrap();
    let Program { status, stdout, stderr } = Program::run(folder, &["doctor", "-c", "gateway.yaml", "--json"]);
    let document: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
    let findings = document["findings"].as_array().unwrap().clone();
    assert_eq!(document["ok"], status == 0, "{stdout}");
    assert!(stderr.is_empty(), "no progress where no person looks: {stderr}");
    // People are told the same.
    let text = Program::run(folder, &["doctor", "-c", "gateway.yaml"]);
    assert_eq!(text.status, status, "{}", text.stdout);
    for finding in &findings {
        // Addresses and dates stand still; what a moment brings, such as the room on the disk, does not.
        let line = format!("  {}: {}: ", finding["check"].as_str().unwrap(), finding["subject"].as_str().unwrap());
        assert!(text.stdout.contains(&line), "{line} is not in\n{}", text.stdout);
        let told = finding["advice"].as_str();
        assert!(told.is_none_or(|advice| text.stdout.contains(&format!("-> {advice}\n"))), "{told:?}\n{}", text.stdout);
        assert!(told.is_some() || finding["verdict"] == "ok", "nothing is said to do: {finding}");
    }
    for secret in [SECRET, ACCESS] {
        assert!(!stdout.contains(secret) && !text.stdout.contains(secret), "{}", text.stdout);
    }
    (status, findings)
}

async fn looked(world: &World) -> (i32, Vec<Value>) {
    let directory = world.directory.path().to_owned();
    tokio::task::spawn_blocking(move || look(&directory)).await.unwrap()
}

/// The one finding of a check, or that of this verdict where there are several.
fn of<'a>(findings: &'a [Value], check: &str, verdict: &str) -> &'a Value {
    let mut found = findings.iter().filter(|finding| finding["check"] == check && finding["verdict"] == verdict);
    found.next().unwrap_or_else(|| panic!("no {verdict} {check} in {findings:#?}"))
}

fn says(finding: &Value, key: &str, part: &str) {
    assert!(finding[key].as_str().unwrap_or_default().contains(part), "`{part}` is not in {finding:#}");
}

/// Changes the gateway file.
fn edit(world: &World, from: &str, to: &str) {
    let file = world.directory.path().join("gateway.yaml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_deployment_is_good() {
    let more = "ledger: {path: ledger.db}\ncounters: {file: counters}\ndecisions: {file: decisions}\n";
    let world = setup().more(more).start().await;
    world.put("logs", "a folder/an object", b"object");
    let (status, findings) = looked(&world).await;
    assert_eq!(status, 0, "{findings:#?}");
    // Of this machine alone the limit on open files and the room on the disk are not ours to say.
    let doubtful = |finding: &&Value| finding["verdict"] != "ok" && finding["check"] != "descriptors";
    let doubtful: Vec<&Value> = findings.iter().filter(doubtful).collect();
    assert!(doubtful.iter().all(|finding| finding["check"] == "ledger"), "{doubtful:#?}");
    for check in ["config", "connect", "credentials", "clock", "signature", "public", "pass_keys", "proxies", "traffic"]
    {
        of(&findings, check, "ok");
    }
    says(of(&findings, "signature", "ok"), "message", "says which objects it lacks");
    says(of(&findings, "public", "ok"), "message", "cannot be read without a signature");
    says(of(&findings, "ledger", "ok"), "message", "it can be written");
    for check in ["counters", "decisions"] {
        says(of(&findings, check, "ok"), "message", "it can be written");
    }
    let left: Vec<_> = fs::read_dir(world.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("doctor")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_do_not_fit_are_told_apart() {
    for (key, said, advised) in [
        (format!("{ACCESS} not-the-secret"), "the secret key is not that of the access key", "write both keys anew"),
        (format!("NOBODY {SECRET}"), "has no account with our access key", "write a key that exists there"),
    ] {
        let world = setup().key(&key).start().await;
        let (status, findings) = looked(&world).await;
        let bad = of(&findings, "signature", "bad");
        assert_eq!((status, &bad["subject"]), (1, &"logs/first".into()));
        says(bad, "message", said);
        says(bad, "advice", advised);
    }
    let world = setup().key("only-one-word").start().await;
    let (status, findings) = looked(&world).await;
    assert_eq!(status, 1);
    says(of(&findings, "credentials", "bad"), "message", "does not hold one line `ACCESS SECRET [TOKEN]`");
    assert!(!format!("{findings:?}").contains("only-one-word"), "what was read is not shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_not_there_is_bad() {
    // Nothing listens on the port of a socket that is closed.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sites = format!(
        "  logs:\n    prefix: /logs\n    origins:\n      - {{name: gone, url: 'http://{gone}/logs', credentials: test}}\n      \
         - {{name: nameless, url: 'http://no-such-host.invalid/logs', credentials: test}}\n      \
         - {{name: plain, url: 'https://{{first}}/logs', credentials: test}}\n"
    );
    let world = Setup::new().policy(OPEN).sites(&sites).start().await;
    let (status, findings) = looked(&world).await;
    assert_eq!(status, 1);
    says(of(&findings, "connect", "bad"), "subject", "logs/gone");
    says(of(&findings, "connect", "bad"), "advice", "firewalls");
    says(of(&findings, "dns", "bad"), "message", "`no-such-host.invalid` has no address");
    says(of(&findings, "tls", "bad"), "subject", "logs/plain");
    says(of(&findings, "pass_keys", "warning"), "advice", "windscreen keygen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_anybody_can_read_is_told_of() {
    let sites = LOGS.replace("credentials: test", "credentials: anonymous");
    let world = setup().sites(&sites).open_first().start().await;
    let (status, findings) = looked(&world).await;
    assert_eq!(status, 0, "{findings:#?}");
    let public = of(&findings, "public", "warning");
    says(public, "message", "scrapers go around it");
    says(public, "advice", "deploy/buckets/close.sh");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let names = vec!["logs.test".to_owned()];
    let (key, mut old) = (KeyPair::generate().unwrap(), CertificateParams::new(names).unwrap());
    (old.not_before, old.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 4, 1));
    fs::write(directory.path().join("old.pem"), old.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(directory.path().join("old.key"), key.serialize_pem()).unwrap();
    let listener = "tls: {certificates: [{certificate: '{directory}/old.pem', key: '{directory}/old.key'}]}";
    let listener = listener.replace("{directory}", directory.path().to_str().unwrap());
    let world = setup().listener(&listener).start().await;
    let (status, findings) = looked(&world).await;
    assert_eq!(status, 1);
    says(of(&findings, "certificate", "bad"), "message", "it has been expired since 2020-04-01T00:00:00Z");
    says(of(&findings, "certificate", "bad"), "advice", "renew it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_of_files_is_told_of() {
    let world = setup().start().await;
    fs::write(world.directory.path().join("ledger.db"), "this is no ledger".repeat(1_000)).unwrap();
    edit(&world, "policy:", "ledger: {path: ledger.db}\npolicy:");
    let (status, findings) = looked(&world).await;
    assert_eq!(status, 1);
    says(of(&findings, "ledger", "bad"), "message", "it cannot be read");
    // The folder is a file: no gateway starts with that.
    edit(&world, "ledger: {path: ledger.db}", "counters: {file: ledger.db/counters}");
    let (status, findings) = looked(&world).await;
    assert_eq!(status, 1);
    says(of(&findings, "config", "bad"), "message", "its directory does not exist");
    says(of(&findings, "config", "bad"), "subject", "gateway.yaml:");
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_that_are_not_listed_show_in_the_traffic() {
    let world = setup().start().await;
    edit(&world, "admin: {address: '127.0.0.1:0'", &format!("admin: {{address: '{}'", world.server.admin.unwrap()));
    let (_, findings) = looked(&world).await;
    says(of(&findings, "traffic", "ok"), "message", "no forwarding header");
    world.server.gateway.metrics.untrusted_forwarding.inc();
    let (status, findings) = looked(&world).await;
    assert_eq!(status, 0, "{findings:#?}");
    says(of(&findings, "traffic", "warning"), "advice", "list it");
    edit(&world, "trusted_proxies: [127.0.0.1]", "trusted_proxies: [0.0.0.0/0, 10.0.0.0/7]");
    let (status, findings) = looked(&world).await;
    assert_eq!(status, 1, "{findings:#?}");
    says(of(&findings, "proxies", "bad"), "message", "is everybody");
    says(of(&findings, "proxies", "warning"), "message", "is very wide");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_state_that_is_away_is_bad() {
    let mut store = Valkey::start();
    let world = setup().start().await;
    edit(&world, "policy:", &format!("shared_state: {{url: '{}'}}\npolicy:", store.url()));
    says(of(&looked(&world).await.1, "shared_state", "ok"), "message", "takes writes");
    store.kill();
    let (status, findings) = looked(&world).await;
    assert_eq!(status, 1);
    says(of(&findings, "shared_state", "bad"), "advice", "until then each gateway counts alone");
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let Program { status, stdout, stderr } = Program::run(".", &["completions", shell]);
        assert_eq!((status, &*stderr), (0, ""), "{shell}");
        for command in COMMANDS {
            assert!(stdout.contains(command), "{shell} does not complete {command}");
        }
    }
    let page = Program::run(".", &["man"]);
    assert!(page.status == 0 && page.stdout.contains(".TH windscreen 1"), "{}", page.stdout);
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    assert_eq!(Program::run(".", &["man", pages.to_str().unwrap()]).status, 0);
    for command in COMMANDS {
        assert!(page.stdout.contains(&format!("windscreen\\-{command}(1)")), "{command}: {}", page.stdout);
        let page = fs::read_to_string(pages.join(format!("windscreen-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    let blocked = directory.path().join("file");
    fs::write(&blocked, "").unwrap();
    let refused = Program::run(".", &["man", blocked.join("man1").to_str().unwrap()]);
    assert!(refused.status == 2 && refused.stderr.contains("cannot write to"), "{}", refused.stderr);
}

#[test]
fn help_is_plain_where_no_person_looks_and_has_examples() {
    let help = Program::run(".", &["--help"]);
    let lists = |command: &str| help.stdout.lines().any(|line| line.trim_start().starts_with(&format!("{command} ")));
    assert!(COMMANDS.iter().all(|command| lists(command)), "{}", help.stdout);
    for command in ["serve", "check", "doctor", "explain", "test", "report", "replay", "origins", "fetch", "block"] {
        let help = Program::run(".", &[command, "--help"]).stdout;
        assert!(help.contains(&format!("Examples:\n  windscreen {command} ")), "{help}");
        assert!(!help.contains('\u{1b}'), "{help}");
    }
    let version = Program::run(".", &["--version"]).stdout;
    assert!(version.starts_with(concat!("windscreen ", env!("CARGO_PKG_VERSION"))), "{version}");
}
