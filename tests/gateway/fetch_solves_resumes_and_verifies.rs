//! `windscreen fetch` gets an object where a browser would get it, goes on where it broke off, and says whether what came
//! is right. What it may use at one server, no other server sees.

use crate::harness::answering::{Reply, Scripted, header, object};
use crate::harness::program::Program;
use crate::harness::{ACCESS, OPEN, SECRET, STRANGER, Setup, World};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const POLICY: &str = "version: 1
mode: enforce
challenge: {tiers: {default: 64}}
rules:
  - {name: people, match: {site: logs}, action: challenge}
default: {action: allow}
";

/// A user with a folder to download to, and a cache.
struct User {
    folder: TempDir,
}

impl User {
    fn new() -> Self {
        User { folder: TempDir::new().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
        command.current_dir(self.folder.path()).env("XDG_CACHE_HOME", self.folder.path().join("cache"));
        command.env("AWS_ACCESS_KEY_ID", ACCESS).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.env("AWS_EC2_METADATA_DISABLED", "true").env_remove("AWS_REGION");
        command.args(["fetch", "--header", &format!("X-Forwarded-For: {STRANGER}")]).args(arguments);
        command
    }

    async fn fetch(&self, arguments: &[&str]) -> Program {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || Program::of(command.output().unwrap())).await.unwrap()
    }

    /// Fetches one URL, with its entry of the JSON document.
    async fn told(&self, arguments: &[&str]) -> (Program, Value) {
        let program = self.fetch(&[&["--json"], arguments].concat()).await;
        let document: Value = serde_json::from_str(&program.stdout).unwrap_or_else(|_| panic!("{program:?}"));
        let file = document["files"][0].clone();
        (program, file)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The files that hold passes.
    fn passes(&self) -> Vec<PathBuf> {
        let folder = self.path("cache/windscreen/passes");
        std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }
}

fn at(world: &World, path: &str) -> String {
    format!("http://{}{path}", world.server.addresses[0])
}

fn url(server: &Scripted, path: &str) -> String {
    format!("http://{}{path}", server.address)
}

fn hex(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn body(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index * 7 + index / 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_solved_and_its_pass_is_kept() {
    let world = Setup::new().policy(POLICY).start().await;
    world.put("logs", "run/log", b"the log");
    let (user, url) = (User::new(), at(&world, "/logs/run/log"));
    let (program, file) = user.told(&[&url]).await;
    assert_eq!((program.status, program.stderr.as_str()), (0, ""), "{program:?}");
    assert_eq!((user.read("log"), &file["challenges_solved"]), (b"the log".to_vec(), &Value::from(1)));
    assert_eq!(file["sha256"], hex(b"the log"));
    assert!(!user.has("log.part") && !user.has("log.part.json"));

    let passes = user.passes();
    let [pass] = &passes[..] else { panic!("{passes:?}") };
    assert_eq!(std::fs::metadata(pass).unwrap().permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_slice(&std::fs::read(pass).unwrap()).unwrap();
    let value = kept["value"].as_str().unwrap();
    assert!(!program.stdout.contains(value) && !program.stderr.contains(value), "passes are not shown");

    // The next run needs no challenge, until the pass is refused.
    let (program, file) = user.told(&[&url, "-o", "again"]).await;
    assert_eq!((program.status, &file["challenges_solved"]), (0, &Value::from(0)), "{program:?}");
    std::fs::write(pass, kept.to_string().replace(value, "p1~nonsense")).unwrap();
    let (program, file) = user.told(&[&url, "-o", "third"]).await;
    assert_eq!((program.status, &file["challenges_solved"]), (0, &Value::from(1)), "{program:?}");
    assert_eq!(user.read("third"), b"the log");
    assert!(!std::fs::read_to_string(pass).unwrap().contains("nonsense"));
    assert_eq!(world.metric("windscreen_challenges_solved_total{site=\"logs\"}").await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_urls_share_one_pass() {
    let world = Setup::new().policy(POLICY).start().await;
    let names: Vec<String> = (0..8).map(|n| format!("log-{n}")).collect();
    for name in &names {
        world.put("logs", name, name.as_bytes());
    }
    let urls: Vec<String> = names.iter().map(|name| at(&world, &format!("/logs/{name}"))).collect();
    let arguments: Vec<&str> = urls.iter().map(String::as_str).chain(["-d", "a/b", "-j", "8"]).collect();
    let user = User::new();
    let program = user.fetch(&arguments).await;
    assert_eq!((program.status, program.stderr.as_str(), program.stdout.as_str()), (0, "", ""), "{program:?}");
    for name in &names {
        assert_eq!(user.read(&format!("a/b/{name}")), name.as_bytes());
    }
    assert_eq!(world.metric("windscreen_challenges_solved_total{site=\"logs\"}").await, 1.0);
    // One that is missing does not keep the others.
    let missing = at(&world, "/logs/missing");
    let program = user.fetch(&[&urls[0], &missing, "-d", "c"]).await;
    assert_eq!(program.status, 1, "{program:?}");
    assert!(user.has("c/log-0") && program.stderr.contains("/logs/missing: the server answered"), "{program:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_pass_is_not_paid_for_ever() {
    let offers = Scripted::start(|_, request| {
        if request.starts_with("POST") {
            return Reply::new("204 No Content", "Set-Cookie: windscreen-logs=worthless\r\n", b"");
        }
        let offer = windscreen::challenge::Offer::new("c".into(), 1, "logs");
        let problem = serde_json::json!({ "detail": "A pass is needed.", "challenge": offer }).to_string();
        Reply::new("403 Forbidden", "Content-Type: application/problem+json\r\n", problem.as_bytes())
    })
    .await;
    let program = User::new().fetch(&[&url(&offers, "/x")]).await;
    assert_eq!(program.status, 1, "{program:?}");
    assert!(program.stderr.contains("3 challenges were solved, and it asks again"), "{program:?}");
    assert_eq!(offers.requests().iter().filter(|request| request.starts_with("POST")).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_goes_on_through_the_gateway() {
    let content = body(300_000);
    let served = content.clone();
    let origin = Scripted::start(move |_, request| {
        let reply = object(request, "\"one\"", &served);
        // The first ends early; what goes on is whole.
        if header(request, "range").is_none() { reply.cut(100_000) } else { reply }
    })
    .await;
    let origins = [format!("{{name: cuts, url: 'http://{}/images', credentials: anonymous}}", origin.address)];
    let world = Setup::new().policy(OPEN).image_origins(&origins).start().await;
    let user = User::new();
    let program = user.fetch(&[&at(&world, "/images/disk"), "--sha256", &hex(&content)]).await;
    assert_eq!((program.status, program.stderr.as_str()), (0, ""), "{program:?} {:?}", origin.requests());
    assert_eq!(user.read("disk"), content);
    let requests = origin.requests();
    let last = requests.last().unwrap();
    assert!(header(last, "range").is_some_and(|range| range != "bytes=0-"), "{last}");
    assert_eq!(header(last, "if-range"), Some("\"one\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changed_is_fetched_from_the_beginning() {
    let server = Scripted::start(|before, request| match before {
        0 => object(request, "\"old\"", &[1; 50_000]).cut(20_000),
        _ => object(request, "\"new\"", &[2; 40_000]),
    })
    .await;
    let user = User::new();
    let (program, file) = user.told(&[&url(&server, "/x")]).await;
    assert_eq!((program.status, user.read("x")), (0, vec![2; 40_000]), "{program:?}");
    assert_eq!(file["resumed_from"], 0);
    assert_eq!(header(&server.requests()[1], "if-range"), Some("\"old\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_former_run_left_is_used_if_it_fits() {
    let content = body(10_000);
    let served = content.clone();
    let server = Scripted::start(move |_, request| object(request, "\"one\"", &served)).await;
    let address = url(&server, "/x");
    let whole =
        |etag: &str, url: &str| serde_json::json!({ "url": url, "etag": etag, "last_modified": null }).to_string();
    let elsewhere = "http://elsewhere/x";
    // (what is left, what it is said to be a part of, from where it goes on)
    let cases: [(&str, &[u8], Option<String>, u64); 6] = [
        ("a part", &content[..4_000], Some(whole("\"one\"", &address)), 4_000),
        ("all of it", &content, Some(whole("\"one\"", &address)), 10_000),
        ("more than there is", &[9; 11_000], Some(whole("\"one\"", &address)), 0),
        ("a part of what it was", &[9; 4_000], Some(whole("\"other\"", &address)), 0),
        ("a part of something else", &[9; 4_000], Some(whole("\"one\"", elsewhere)), 0),
        ("a part of nobody knows what", &[9; 4_000], None, 0),
    ];
    for (what, left, whole, from) in cases {
        let user = User::new();
        std::fs::write(user.path("x.part"), left).unwrap();
        if let Some(whole) = whole {
            std::fs::write(user.path("x.part.json"), whole).unwrap();
        }
        let (program, file) = user.told(&[&address]).await;
        assert_eq!((program.status, &file["resumed_from"]), (0, &Value::from(from)), "{what}: {program:?}");
        assert!(user.read("x") == content && !user.has("x.part"), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_goes_on() {
    let content = body(400_000);
    let served = content.clone();
    let server = Scripted::start(move |before, request| match before {
        0 => object(request, "\"one\"", &served).cut(150_000).hanging(),
        _ => object(request, "\"one\"", &served),
    })
    .await;
    let (user, url) = (User::new(), url(&server, "/x"));
    let mut child = user.command(&[&url]).stderr(Stdio::null()).spawn().unwrap();
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let from = Instant::now();
    while length(&user.path("x.part")) < 250_000 {
        assert!(from.elapsed() < Duration::from_secs(20), "it does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Two at once would write over each other.
    let second = user.fetch(&[&url]).await;
    assert_eq!(second.status, 2, "{second:?}");
    assert!(second.stderr.contains("another `windscreen fetch` is writing"), "{second:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!user.has("x"));

    let (program, file) = user.told(&[&url]).await;
    assert_eq!((program.status, &file["resumed_from"]), (0, &Value::from(250_000)), "{program:?}");
    assert!(user.read("x") == content);
    assert_eq!(file["sha256"], hex(&content));
}

#[tokio::test(flavor = "multi_thread")]
async fn checksums_are_verified() {
    let content = b"an image".to_vec();
    let served = content.clone();
    let server = Scripted::start(move |_, request| object(request, "\"one\"", &served)).await;
    let (right, wrong) = (hex(&content), "0".repeat(64));
    let good = format!("disk-{right}.qcow2");
    let bad = format!("disk-{wrong}.qcow2");
    // (name, arguments, status, verified)
    let cases: [(&str, &[&str], i32, bool); 6] = [
        ("plain", &[], 0, false),
        ("plain", &["--sha256", &right], 0, true),
        ("plain", &["--sha256", &wrong], 1, false),
        (&good, &[], 0, true),
        (&bad, &[], 1, false),
        (&good, &["--sha256", &wrong], 1, false),
    ];
    for (name, arguments, status, verified) in cases {
        let user = User::new();
        let url = url(&server, &format!("/{name}"));
        let (program, file) = user.told(&[&[url.as_str()], arguments].concat()).await;
        assert_eq!(program.status, status, "{name} {arguments:?} {program:?}");
        if status == 0 {
            assert_eq!((user.read(name), &file["verified"]), (content.clone(), &Value::from(verified)));
        } else {
            assert!(!user.has(name) && !user.has(&format!("{name}.part")), "{name}");
            assert_eq!(user.read(&format!("{name}.bad")), content, "nothing is deleted");
            assert!(program.stderr.contains("the checksum is"), "{program:?}");
        }
    }
    // What is there already and right is not fetched again.
    let user = User::new();
    let before = server.requests().len();
    for _ in 0..2 {
        assert_eq!(user.fetch(&[&url(&server, &format!("/{good}"))]).await.status, 0);
    }
    assert_eq!(server.requests().len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_waited_for_within_bounds() {
    let server = Scripted::start(|before, request| match (before, request.contains("/patient")) {
        (0, true) => Reply::new("503 Slow Down", "Retry-After: 1\r\n", b""),
        (_, true) => object(request, "\"one\"", b"here it is"),
        _ => Reply::new("429 Too Many Requests", "Retry-After: 3600\r\nContent-Type: text/plain\r\n", b"Too many.\n"),
    })
    .await;
    let (user, from) = (User::new(), Instant::now());
    let program = user.fetch(&[&url(&server, "/patient")]).await;
    assert_eq!((program.status, user.read("patient")), (0, b"here it is".to_vec()), "{program:?}");
    assert!(from.elapsed() >= Duration::from_secs(1));
    let program = user.fetch(&[&url(&server, "/never")]).await;
    assert_eq!(program.status, 1, "{program:?}");
    assert!(program.stderr.contains("429: Too many; it asks to wait 3600 s more"), "{program:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_is_told_nothing() {
    let content = body(20_000);
    let served = content.clone();
    let elsewhere = Scripted::start(move |before, request| {
        let reply = object(request, "\"one\"", &served);
        if before == 0 { reply.cut(5_000) } else { reply }
    })
    .await;
    let to = format!("Location: http://{}/bucket/x?X-Amz-Signature=1\r\n", elsewhere.address);
    let cookie = "Set-Cookie: windscreen-logs=secret; Max-Age=60\r\n";
    let server = Scripted::start(move |_, _| Reply::new("307 Temporary Redirect", &(to.clone() + cookie), b"")).await;
    let user = User::new();
    let program = user.fetch(&[&url(&server, "/x"), "--header", "Authorization: Bearer token"]).await;
    assert_eq!((program.status, user.read("x")), (0, content), "{program:?}");
    let (home, away) = (server.requests(), elsewhere.requests());
    assert_eq!((home.len(), away.len()), (2, 2));
    assert_eq!(header(&home[1], "cookie"), Some("windscreen-logs=secret"));
    assert_eq!(header(&home[1], "authorization"), Some("Bearer token"));
    for request in &away {
        for name in ["cookie", "authorization", "x-forwarded-for"] {
            assert_eq!(header(request, name), None, "{request}");
        }
    }
    assert_eq!(header(&away[1], "range"), Some("bytes=15000-"));
    assert_eq!(header(&away[1], "if-range"), Some("\"one\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_output_takes_an_object() {
    let content = body(100_000);
    let served = content.clone();
    let server = Scripted::start(move |before, request| {
        let reply = object(request, "\"one\"", &served);
        if before == 0 { reply.cut(30_000) } else { reply }
    })
    .await;
    let user = User::new();
    let mut command = user.command(&[&url(&server, "/x"), "-o", "-", "--sha256", &hex(&content)]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    assert!(output.stdout == content);
    assert!(!user.has("x") && !user.has("-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_s3_itself_are_signed_for() {
    let world = Setup::new().policy(OPEN).start().await;
    world.put("images", "private", b"an image");
    let (user, url) = (User::new(), format!("http://{}/images/private", world.first.address));
    let program = user.fetch(&[&url]).await;
    assert_eq!(program.status, 1, "{program:?}");
    assert!(program.stderr.contains("AccessDenied"), "{program:?}");
    let program = user.fetch(&[&url, "--sign"]).await;
    assert_eq!((program.status, user.read("private")), (0, b"an image".to_vec()), "{program:?}");
    let program = user.fetch(&[&url, "--aws-profile", "nobody"]).await;
    assert_eq!(program.status, 2, "{program:?}");
    assert!(program.stderr.contains("no AWS credentials were found"), "{program:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_trusted_that_the_user_names() {
    let (server, pem) = Scripted::start_tls(|_, request| object(request, "\"one\"", b"by TLS")).await;
    let (user, url) = (User::new(), format!("https://localhost:{}/x", server.address.port()));
    std::fs::write(user.path("ca.pem"), pem).unwrap();
    let program = user.fetch(&[&url]).await;
    assert_eq!(program.status, 2, "{program:?}");
    assert!(program.stderr.contains("certificate"), "{program:?}");
    let program = user.fetch(&[&url, "--ca", "ca.pem"]).await;
    assert_eq!((program.status, user.read("x")), (0, b"by TLS".to_vec()), "{program:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_kept() {
    let server = Scripted::start(|_, request| object(request, "\"one\"", &body(200_000))).await;
    let (user, from) = (User::new(), Instant::now());
    let program = user.fetch(&[&url(&server, "/x"), "--limit-rate", "200 kB/s"]).await;
    assert_eq!((program.status, user.read("x")), (0, body(200_000)), "{program:?}");
    assert!(from.elapsed() >= Duration::from_millis(900), "{:?}", from.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_wrong_is_said_by_the_status() {
    let server = Scripted::start(|_, request| match request.contains("/there") {
        true => object(request, "\"one\"", b"x"),
        false => Reply::new("404 Not Found", "Content-Type: text/plain\r\n", b"No such \x1b[2Jobject.\n"),
    })
    .await;
    let (there, missing) = (url(&server, "/there"), url(&server, "/missing"));
    let folder = url(&server, "/folder/");
    let cases: [(&[&str], i32, &str); 11] = [
        (&[&missing], 1, "the server answered 404: No such \\u{1b}[2Jobject"),
        (&[&there, "-o", "no/such/folder"], 2, "cannot write `no/such/folder.part`"),
        (&[&there, &there], 2, "`there` is named twice"),
        (&[&there, &missing, "-o", "x"], 2, "are for one URL"),
        (&[&folder], 2, "does not end in the name of a file"),
        (&["ftp://h/x"], 2, "must begin with `https://` or `http://`"),
        (&["http://key:secret@h/x"], 2, "a URL must not hold credentials"),
        (&[&there, "--header", "Authorization secret"], 2, "expected a header such as"),
        (&[&there, "--sha256", "abc"], 2, "expected 64 hex digits"),
        (&[&there, "--ca", "none.pem"], 2, "cannot read `none.pem`"),
        (&[&there, "-o", "-", "--json"], 2, "not both"),
    ];
    for (arguments, status, message) in cases {
        let program = User::new().fetch(arguments).await;
        assert_eq!(program.status, status, "{arguments:?} {program:?}");
        assert!(program.stderr.contains(message), "{arguments:?} {program:?}");
        assert!(!program.stderr.contains("secret"), "what may be a secret is not shown: {program:?}");
    }
}
