//! Clients that sign are verified, and then served: with what their key opens, and nothing else. A signature that is
//! wrong is refused with S3's code, and never taken for none.

use crate::harness::signing::Signing;
use crate::harness::{Answer, STRANGER, Setup, World, eventually, metric_in};
use std::time::{Duration, SystemTime};

const HOST: &str = "images.example.org";
const POLICY: &str = "version: 1\nmode: enforce\nrules:\n\
    \x20 - {name: private, match: {site: images, path: {prefix: /rhel}, not: {identity: signature}}, action: deny}\n\
    \x20 - {name: next, match: {client: next, path: /only-ci}, action: deny}\n\
    \x20 - {name: moved, match: {path: /moved}, action: redirect}\n\
    default: {action: allow}\n";
const CLIENTS: &str = "clients:\n\
    \x20 - {name: ci, key_file: ci, sites: [images]}\n\
    \x20 - {name: next, key_file: next, sites: [images], region: eu-central-1}\n\
    \x20 - {name: folder, key_file: folder, sites: [images], paths: [/ci/, /fedora-]}\n\
    \x20 - {name: logs, key_file: logs, sites: [logs]}\n\
    \x20 - {name: session, key_file: session, sites: [images]}\n\
    \x20 - {name: old, key_file: old, sites: [images], expires: 2026-01-01}\n\
    \x20 - {name: early, key_file: early, sites: [images], not_before: 2126-01-01}\n\
    \x20 - {name: known, key_file: known, sites: [images], public: true}\n";
const NAMES: [&str; 8] = ["ci", "next", "folder", "logs", "session", "old", "early", "known"];

/// The access key of a client; its secret is `secret-NAME`.
fn access(name: &str) -> String {
    format!("AK{}", name.to_uppercase())
}

async fn world() -> World {
    let mut setup = Setup::new().policy(POLICY).more(CLIENTS);
    for name in NAMES {
        let token = if name == "session" { " token+with/odd==signs" } else { "" };
        setup = setup.file(name, format!("{} secret-{name}{token}\n", access(name)).as_bytes());
    }
    let world = setup.start().await;
    for (bucket, key) in [("images", "rhel-9"), ("images", "fedora-44"), ("images", "ci/a b+c"), ("logs", "rhel-9")] {
        world.put(bucket, key, key.as_bytes());
    }
    for key in ["only-ci", "moved"] {
        world.put("images", key, key.as_bytes());
    }
    world
}

async fn ask(world: &World, signing: &Signing<'_>, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    signing.send(world.client(STRANGER), method, target, headers).await
}

fn code(answer: &Answer) -> String {
    let text = answer.text();
    text.split_once("<Code>").map_or("", |(_, rest)| rest.split('<').next().unwrap()).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_opens_what_it_is_for() {
    let world = world().await;
    let (open, denied, unknown) = (200, (403, "AccessDenied"), (403, "InvalidAccessKeyId"));
    let served = (open, "");
    let cases = [
        ("ci", "/images/rhel-9", served),
        ("ci", "/images/ci/a%20b%2Bc", served),
        ("ci", "/images/only-ci", served),
        ("ci", "/images/nothing", denied),
        ("ci", "/logs/rhel-9", denied),
        ("next", "/images/only-ci", denied),
        ("folder", "/images/ci/a%20b%2Bc", served),
        ("folder", "/images/fedora-44", served),
        ("folder", "/images/rhel-9", denied),
        ("logs", "/logs/rhel-9", served),
        ("logs", "/images/fedora-44", denied),
        ("session", "/images/rhel-9", served),
        ("old", "/images/fedora-44", unknown),
        ("early", "/images/fedora-44", unknown),
        // A published key opens nothing private.
        ("known", "/images/fedora-44", served),
        ("known", "/images/rhel-9", denied),
    ];
    for presigned in [None, Some(Duration::from_secs(60))] {
        for (name, target, (status, expected)) in cases {
            let (access, secret) = (access(name), format!("secret-{name}"));
            let region = if name == "next" { "eu-central-1" } else { "any" };
            let token = (name == "session").then_some("token+with/odd==signs");
            let signing = Signing { region, token, presigned, ..Signing::new(&access, &secret, HOST) };
            let answer = ask(&world, &signing, "GET", target, &[]).await;
            let got = (answer.status, code(&answer));
            assert_eq!(got, (status, expected.to_owned()), "{name} {target} {presigned:?}: {}", answer.text());
            let head = ask(&world, &signing, "HEAD", target, &[]).await;
            assert_eq!((head.status, head.body.len()), (status, 0), "{name} {target}");
        }
    }
    let metrics = world.metrics().await;
    for (line, least) in [
        (r#"windscreen_signatures_total{result="ok",site="images"}"#, 30.0),
        (r#"windscreen_signatures_total{result="scope",site="logs"}"#, 4.0),
        (r#"windscreen_signatures_total{result="key-time",site="images"}"#, 8.0),
        (r#"windscreen_clients_expire_timestamp_seconds{client="old"}"#, 1_767_225_600.0),
    ] {
        assert!(metric_in(&metrics, line) >= least, "{line}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_as_s3_says_it() {
    let world = world().await;
    let good = Signing::new("AKCI", "secret-ci", HOST);
    let presigned = Signing { presigned: Some(Duration::from_secs(60)), ..good.clone() };
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    let soon = SystemTime::now() + Duration::from_secs(1000);
    let cases = [
        (Signing { secret: "secret-no", ..good.clone() }, 403, "SignatureDoesNotMatch"),
        (Signing { secret: "secret-no", ..presigned.clone() }, 403, "SignatureDoesNotMatch"),
        (Signing { access: "AKNO", ..good.clone() }, 403, "InvalidAccessKeyId"),
        (Signing { token: Some("of a session"), ..good.clone() }, 403, "InvalidAccessKeyId"),
        (Signing { access: "AKSESSION", secret: "secret-session", ..good.clone() }, 403, "InvalidAccessKeyId"),
        (Signing { access: "AKNEXT", secret: "secret-next", ..good.clone() }, 400, "AuthorizationHeaderMalformed"),
        (Signing { at: ago(1000), ..good.clone() }, 403, "RequestTimeTooSkewed"),
        (Signing { at: soon, ..good.clone() }, 403, "RequestTimeTooSkewed"),
        (Signing { at: ago(61), ..presigned.clone() }, 403, "AccessDenied"),
        (Signing { at: soon, ..presigned.clone() }, 403, "AccessDenied"),
        (
            Signing { presigned: Some(Duration::from_secs(604_801)), ..good.clone() },
            400,
            "AuthorizationQueryParametersError",
        ),
    ];
    let before = world.first.requests();
    for (signing, status, expected) in cases {
        let answer = ask(&world, &signing, "GET", "/images/fedora-44", &[]).await;
        assert_eq!((answer.status, &*code(&answer)), (status, expected), "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    // A header and a query at once, the old signature, and what a signature does not cover.
    let (target, _) = presigned.sign("GET", "/images/fedora-44", &[]);
    let (_, headers) = good.sign("GET", "/images/fedora-44", &[]);
    let signed = |client| headers.iter().fold(client, |client: crate::harness::Client, (n, v)| client.header(n, v));
    let plain = || world.client(STRANGER);
    let hosted = || plain().header("Host", HOST);
    let cases = [
        (signed(plain()), &*target, 400, "InvalidArgument"),
        (hosted().header("Authorization", "Bearer x"), &*target, 400, "InvalidArgument"),
        (hosted().header("Authorization", "AWS AKCI:c2ln"), "/images/fedora-44", 400, "InvalidRequest"),
        (hosted(), "/images/fedora-44?AWSAccessKeyId=AKCI&Signature=x&Expires=9", 400, "InvalidRequest"),
        (signed(plain()).header("x-amz-acl", "private"), "/images/fedora-44", 403, "AccessDenied"),
        (signed(plain()), "/images/fedora-44?versionId=1", 403, "SignatureDoesNotMatch"),
        (signed(plain()), "/images/fedora-4%34", 403, "SignatureDoesNotMatch"),
        (signed(plain()), "/images/rhel-9", 403, "SignatureDoesNotMatch"),
    ];
    for (client, target, status, expected) in cases {
        let answer = client.get(target).await;
        assert_eq!((answer.status, &*code(&answer)), (status, expected), "{target} {}", answer.text());
    }
    assert_eq!(world.first.requests(), before, "the origin was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_signed_request_brings_stays_here() {
    let world = world().await;
    let signing = Signing { presigned: Some(Duration::from_secs(60)), ..Signing::new("AKCI", "secret-ci", HOST) };
    let answer = ask(&world, &signing, "GET", "/images/fedora-44", &[]).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("private")));
    let signing = Signing { presigned: None, ..signing };
    let answer = ask(&world, &signing, "GET", "/images/fedora-44?x-id=GetObject", &[("range", "bytes=0-2")]).await;
    assert_eq!((answer.status, &*answer.text()), (206, "fed"));
    for received in world.first.recent() {
        assert!(received.target.ends_with("/images/fedora-44"), "{}", received.target);
        let authorization = received.headers.get("authorization").unwrap().to_str().unwrap();
        assert!(!authorization.contains("AKCI"), "{authorization}");
        assert!(authorization.contains(crate::harness::ACCESS), "{authorization}");
    }
    // Parameters that change the answer are not signed by us, whoever asks.
    let answer = ask(&world, &signing, "GET", "/images/fedora-44?response-content-type=text%2Fhtml", &[]).await;
    assert_eq!(answer.status, 400);
    // What is sent elsewhere would take its proof along.
    assert_eq!(ask(&world, &signing, "GET", "/images/moved", &[]).await.text(), "moved");
    let basic = world.client(STRANGER).header("Authorization", "Basic x").get("/images/moved").await;
    assert_eq!((basic.status, world.client(STRANGER).get("/images/moved").await.status), (200, 307));
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_signed_with_and_without_a_port() {
    let world = world().await;
    let port = world.server.addresses[0].port();
    for (sent, signed) in [
        (HOST.to_owned(), HOST.to_owned()),
        (format!("{HOST}:{port}"), HOST.to_owned()),
        (HOST.to_owned(), format!("{HOST}:{port}")),
        (HOST.to_uppercase(), HOST.to_owned()),
    ] {
        let signing = Signing::new("AKCI", "secret-ci", &signed);
        let (target, headers) = signing.sign("GET", "/images/rhel-9", &[]);
        let client = headers.iter().filter(|(name, _)| name != "Host");
        let client = client.fold(world.client(STRANGER), |client, (name, value)| client.header(name, value));
        let answer = client.header("Host", &sent).get(&target).await;
        assert_eq!(answer.status, 200, "{sent} {signed}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_count_by_the_clients_name_and_pace_it() {
    let policy = "version: 1\nmode: enforce\nlimits: {each: {key: identity, requests: 1/min, burst: 2}}\n\
                  default: {action: allow, limits: [each]}\n";
    let setup = Setup::new().policy(policy).more(CLIENTS);
    let setup =
        NAMES.iter().fold(setup, |setup, name| setup.file(name, format!("{} secret-{name}", access(name)).as_bytes()));
    let world = setup.start().await;
    world.put("images", "a", b"object");
    let status = async |name: &str, address: &str| {
        let (access, secret) = (access(name), format!("secret-{name}"));
        let signing = Signing::new(&access, &secret, HOST);
        signing.send(world.client(address), "GET", "/images/a", &[]).await.status
    };
    // Whoever signs with a published key counts with its neighbours.
    assert_eq!((status("known", "192.0.2.1").await, status("known", "192.0.2.2").await), (200, 200));
    assert_eq!((status("known", "192.0.2.3").await, status("known", "198.51.100.1").await), (503, 200));
    assert_eq!((status("ci", "192.0.2.1").await, status("ci", "198.51.100.1").await), (200, 200));
    let begun = std::time::Instant::now();
    assert_eq!(status("ci", "203.0.113.1").await, 200, "a retry would carry a stale signature");
    assert!(begun.elapsed() > Duration::from_secs(4), "it is paced");
    assert_eq!(status("folder", "192.0.2.1").await, 403, "it is not for this path");
    // Who is anonymous has no name.
    assert_eq!(world.client("192.0.2.1").get("/images/a").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_come_and_go_with_a_reload() {
    let world = world().await;
    let gateway = world.directory.path().join("gateway.yaml");
    let steering = world.server.steering.clone();
    let (_, files) = tokio::task::spawn_blocking({
        let (steering, gateway) = (steering.clone(), gateway.clone());
        move || steering.reload(&gateway)
    })
    .await
    .unwrap();
    assert!(files.0.contains(&world.directory.path().join("ci")), "key files are watched");
    tokio::spawn(steering.watch(gateway.clone(), files, std::sync::Arc::new(tokio::sync::Notify::new())));
    let status = async |access: &str, secret: &str| {
        ask(&world, &Signing::new(access, secret, HOST), "GET", "/images/rhel-9", &[]).await.status
    };
    assert_eq!(status("AKCI", "secret-ci").await, 200);
    std::fs::write(world.directory.path().join("ci"), "AKCI2 another-secret\n").unwrap();
    eventually("the new key is accepted", async || status("AKCI2", "another-secret").await == 200).await;
    assert_eq!(status("AKCI", "secret-ci").await, 403);
    let text = std::fs::read_to_string(&gateway).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.contains("name: ci,")).collect();
    std::fs::write(&gateway, without.join("\n")).unwrap();
    eventually("the client is gone", async || status("AKCI2", "another-secret").await == 403).await;
    assert!(!world.metrics().await.contains(r#"timestamp_seconds{client="ci"}"#));
}
