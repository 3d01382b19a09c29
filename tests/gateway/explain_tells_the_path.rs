//! `windscreen explain` tells every step from a request to its answer, and says what it does not know. The requests
//! are decided by tests/config/explain; the exact texts stand there.

use crate::harness::program::{Program, assert_snapshot};
use serde_json::{Value, json};

/// A moment for all requests.
const NOON: [&str; 2] = ["--time", "2026-11-18T12:00:00Z"];

/// Explains a request to the gateway of tests/config/explain.
fn explain(arguments: &[&str]) -> Program {
    Program::run("tests/config/explain", &[&["explain", "-c", "gateway.yaml"], &NOON[..], arguments].concat())
}

fn told(arguments: &[&str]) -> String {
    let Program { status, stdout, stderr } = explain(arguments);
    assert_eq!((status, stderr.as_str()), (0, ""), "{arguments:?}");
    stdout
}

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_str(&told(&[&["--json"], arguments].concat())).unwrap()
}

#[test]
fn every_step_is_told() {
    let cases: [(&str, &[&str]); 4] = [
        (
            "runner",
            &["--ip", "198.18.0.4", "--dress", "curl", "--strikes", "0", "GET", "https://logs.example.org/run/log.gz"],
        ),
        (
            "pass",
            &[
                "--ip",
                "2001:db8::7",
                "--dress",
                "browser",
                "--pass",
                "GET",
                "https://logs.example.org/run/log.html?a=b",
            ],
        ),
        (
            "private",
            &[
                "--ip",
                "192.0.2.1",
                "--dress",
                "browser",
                "--strikes=4",
                "--verbose",
                "GET",
                "https://logs.example.org/private/plan",
            ],
        ),
        ("nowhere", &["--ip", "192.0.2.1", "--user-agent", "me/1", "HEAD", "http://nowhere.example.org:8080/a"]),
    ];
    for (name, arguments) in cases {
        assert_snapshot(&format!("tests/config/explain/{name}.txt"), &told(arguments));
    }
}

#[test]
fn machines_read_the_same() {
    let url = "https://logs.example.org/run/log.gz";
    let found = json_of(&["--ip", "198.18.0.4", "--dress", "curl", "--strikes", "0", "GET", url]);
    let request = &found["request"];
    assert_eq!((&request["site"], &request["path"]), (&json!("logs"), &json!("/run/log.gz")));
    assert_eq!((&request["prefix"], &request["dialect"]), (&json!("198.18.0.0/24"), &json!("plain")));
    let decision = &found["decision"];
    assert_eq!((&decision["action"], &decision["rule"]), (&json!("challenge"), &json!("heavy")));
    assert_eq!(
        (&decision["class"], &decision["weight"], &decision["strikes"]),
        (&json!("tool"), &json!(3), &json!(1.0))
    );
    assert_eq!((&decision["slow"], &decision["undecided"]), (&json!(256 * 1024), &json!(true)));
    assert_eq!(decision["held_back"], json!({"rule": "no-tools", "action": "deny"}));
    let clouds = decision["rules"].as_array().unwrap().iter().find(|rule| rule["name"] == "clouds").unwrap();
    assert_eq!(clouds["fate"], "undecided");
    assert_eq!(clouds["why"], json!({"test": "network: clouds", "holds": "unknown", "parts": []}));
    let charged = json!({
        "limit": "everybody", "rule": "heavy", "key": {"prefix": "198.18.0.0/24"}, "enforced": true,
    });
    assert_eq!(found["limits"], json!([charged]));
    assert_eq!((&found["response"]["status"], &found["response"]["from"]), (&json!(403), &json!("gateway")));
    let feeds = json!([
        {"feed": "github-meta key=actions", "known": true}, {"feed": "example.org/blocks.txt", "known": false},
    ]);
    assert_eq!(found["feeds"], feeds);
}

#[test]
fn what_is_pretended_decides() {
    let url = "https://logs.example.org/a";
    let cases: [(&[&str], &str, &str); 9] = [
        (&["--ip", "198.51.100.1"], "allow", "ci"),
        // Nobody but a listed proxy says who the client is.
        (&["--ip", "10.0.0.1", "-H", "X-Forwarded-For: 198.51.100.1"], "allow", "ci"),
        (&["--ip", "198.51.100.1", "-H", "X-Forwarded-For: 192.0.2.1"], "challenge", "unknown"),
        (&["--ip", "192.0.2.1", "--strikes", "3"], "challenge", "suspect"),
        (&["--ip", "192.0.2.1", "--pass"], "allow", "unknown"),
        (&["--ip", "192.0.2.1", "--pass=hard", "--user-agent", "curl/8"], "allow", "tool"),
        (&["--ip", "192.0.2.1", "--mode", "observe"], "allow", "unknown"),
        (&["--ip", "192.0.2.1", "--dress", "urllib"], "challenge", "tool"),
        (&["--ip", "192.0.2.1", "--dress", "curl", "--user-agent", "me/1"], "challenge", "unknown"),
    ];
    for (arguments, action, class) in cases {
        let found = json_of(&[arguments, &["GET", url]].concat());
        assert_eq!((&found["action"], &found["decision"]["class"]), (&json!(action), &json!(class)), "{arguments:?}");
    }
}

#[test]
fn refusals_before_the_policy_are_told() {
    // method, URL, status, action
    let cases = [
        ("GET", "https://elsewhere.example.org/a", 421, "refuse"),
        ("POST", "https://logs.example.org/a", 405, "refuse"),
        ("GET", "https://logs.example.org/a/%2e%2e/b", 400, "refuse"),
        ("GET", "https://logs.example.org/a?acl", 400, "refuse"),
        ("GET", "https://images.example.org/a", 404, "refuse"),
        ("GET", "https://logs.example.org/.windscreen/verify", 405, "internal"),
    ];
    for (method, url, status, action) in cases {
        let found = json_of(&["--ip", "198.51.100.1", method, url]);
        assert_eq!(found["decision"], Value::Null, "{url}");
        assert_eq!((&found["response"]["status"], &found["action"]), (&json!(status), &json!(action)), "{url}");
    }
}

#[test]
fn a_redirect_leads_to_the_origin() {
    let found = json_of(&["--ip", "192.0.2.1", "GET", "https://images.example.org/images/fedora"]);
    assert_eq!(found["action"], "redirect");
    assert_eq!(found["response"]["status"], 307);
    assert_eq!(found["response"]["headers"]["location"], "http://127.0.0.1:9000/images/fedora");
}

#[test]
fn a_bad_configuration_is_told_as_check_tells_it() {
    let arguments = ["explain", "-c", "broken.yaml", "--ip", "192.0.2.1", "GET", "http://logs.example.org/"];
    let Program { status, stdout, .. } = Program::run("tests/config/explain", &arguments);
    let check = Program::run("tests/config/explain", &["check", "-c", "broken.yaml"]);
    assert_eq!((status, stdout), (1, check.stdout));

    let Program { status, stdout, .. } = Program::run("tests/config/explain", &[&arguments[..], &["--json"]].concat());
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((status, &found["ok"], &found["findings"][0]["line"]), (1, &json!(false), &json!(3)));
}

#[test]
fn what_cannot_be_meant_exits_with_2() {
    let (ip, url) = (["--ip", "192.0.2.1"], "https://logs.example.org/a");
    let cases: [(&[&str], &str); 13] = [
        (&["GET", "/a"], "`/a` is not a URL: expected `https://HOST/PATH` or `http://HOST/PATH`"),
        (&["GET", "ftp://logs.example.org/a"], "`ftp://logs.example.org/a` is not a URL"),
        (&["-H", "accept", "GET", url], "`accept` is not a header: expected `name: value`"),
        (&["-H", "a b: c", "GET", url], "`a b: c` is not a header"),
        (&["--pass=hardest", "GET", url], "unknown tier `hardest`, expected one of: default, hard"),
        (&["--dress", "crul", "GET", url], "unknown word `crul`, did you mean `curl`?"),
        (&["--country", "br", "GET", url], "expected a country such as `BR`, found `br`"),
        (
            &["--ja4", "771,4865", "GET", url],
            "expected a JA4 fingerprint such as `t13d1516h2_8daaf6152771_e5627efa2ab1`",
        ),
        (&["--time", "noon", "GET", url], "expected a moment such as `2026-11-01T00:00:00Z`, found `noon`"),
        (&["--strikes", "nan", "GET", url], "expected a number that is not below 0"),
        (&["--strikes=-1", "GET", url], "expected a number that is not below 0"),
        (&["G T", url], "invalid value 'G T'"),
        (&["-c", "nowhere.yaml", "GET", url], "cannot"),
    ];
    for (arguments, expected) in cases {
        let start: &[&str] = if arguments[0] == "-c" { &["explain"] } else { &["explain", "-c", "gateway.yaml"] };
        let Program { status, stdout, stderr } =
            Program::run("tests/config/explain", &[start, &ip, arguments].concat());
        assert_eq!((status, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_fingerprint_is_pretended() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "gateway.yaml",
        "version: 1\nlisteners: [{address: '[::]:8080'}]\npolicy: {file: policy.yaml}\n\
         sites: {logs: {origins: {name: store, url: 'http://127.0.0.1:9000/logs', credentials: anonymous}}}\n",
    );
    write(
        "policy.yaml",
        "version: 1\nmode: enforce\nrules: [{name: scraper, match: {ja4: 't13d1516h2_*'}, action: deny}]\n\
         default: {action: allow}\n",
    );
    let fingerprint = "t13d1516h2_8daaf6152771_e5627efa2ab1";
    let other = "t13d1517h2_8daaf6152771_e5627efa2ab1";
    for (pretended, action, undecided) in
        [(Some(fingerprint), "deny", false), (Some(other), "allow", false), (None, "allow", true)]
    {
        let mut arguments = vec!["explain", "-c", "gateway.yaml", "--json", "--ip", "192.0.2.1"];
        arguments.extend(pretended.iter().flat_map(|pretended| ["--ja4", pretended]));
        arguments.extend(["GET", "https://logs.example.org/a"]);
        let json = Program::run(folder.path().to_str().unwrap(), &arguments).stdout;
        let found: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&found["action"], &found["request"]["ja4"]), (&json!(action), &json!(pretended)), "{json}");
        assert_eq!(found["decision"]["undecided"], undecided, "{pretended:?}");
    }
}

#[test]
fn feeds_are_found_from_any_directory() {
    let url = "https://logs.example.org/a";
    let arguments = ["explain", "-c", "explain/gateway.yaml", "--json", "--ip", "192.0.2.1", "GET", url];
    let Program { stdout, .. } = Program::run("tests/config", &arguments);
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(found["feeds"][0], json!({"feed": "github-meta key=actions", "known": true}));
}

#[test]
fn what_guards_access_refuses_while_nobody_can_tell() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "gateway.yaml",
        "version: 1\nlisteners: [{address: '[::]:8080'}]\npolicy: {file: policy.yaml}\n\
         sites: {logs: {origins: {name: store, url: 'http://127.0.0.1:9000/logs', credentials: anonymous}}}\n",
    );
    write(
        "policy.yaml",
        "version: 1\nnetworks: {office: {feed: 'https://example.org/blocks.txt'}}\n\
         rules: [{name: private, match: {not: {network: office}}, action: deny, mode: enforce}]\n\
         default: {action: allow}\n",
    );
    let arguments = ["explain", "-c", "gateway.yaml", "--ip", "192.0.2.1", "GET", "https://logs.example.org/a"];
    let Program { stdout, .. } = Program::run(folder.path().to_str().unwrap(), &arguments);
    for line in
        ["  withheld        private  deny ", "answer    deny (undecided) by `private`, enforced", "response  503 "]
    {
        assert!(stdout.contains(line), "{line}\n{stdout}");
    }
    let json = Program::run(folder.path().to_str().unwrap(), &[&arguments[..], &["--json"]].concat()).stdout;
    let found: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&found["action"], &found["reason"]), (&json!("deny"), &json!("undecided")));
    assert_eq!(found["decision"]["withheld"], true);
}
