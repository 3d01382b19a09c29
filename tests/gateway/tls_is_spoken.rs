//! TLS as browsers and tools speak it, with the certificate of the name that they ask for, and HTTP/2 over it.

use crate::harness::{OPEN, Setup, World, eventually};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Writes a certificate for `names` and its key, and the authority that signed it.
fn certify(directory: &Path, file: &str, names: &[&str]) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::CommonName, format!("authority of {file}"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let write = |end: &str, text: String| fs::write(directory.join(format!("{file}{end}")), text).unwrap();
    write(".ca", authority.pem());
    write(".key", key.serialize_pem());
    write(".pem", certificate.pem());
}

const TLS: &str = "tls: {hsts: 365d, certificates: [{certificate: '{directory}/logs.pem', key: '{directory}/logs.key'}, \
                   {certificate: '{directory}/images.pem', key: '{directory}/images.key'}]}";

async fn world(listener: &str) -> (World, tempfile::TempDir) {
    let directory = tempfile::TempDir::new().unwrap();
    certify(directory.path(), "logs", &["logs.test", "*.ci.test"]);
    certify(directory.path(), "images", &["images.test"]);
    let listener = listener.replace("{directory}", directory.path().to_str().unwrap());
    let world = Setup::new().policy(OPEN).listener(&listener).start().await;
    world.put("logs", "a", b"object");
    (world, directory)
}

/// curl, for a host that stands for the gateway.
async fn curl(world: &World, authority: &Path, host: &str, arguments: &[&str]) -> Output {
    let port = world.server.addresses[0].port();
    let mut command = Command::new("curl");
    command.args(["-sS", "--resolve", &format!("{host}:{port}:127.0.0.1"), "--cacert"]).arg(authority);
    command.args(arguments).arg(format!("https://{host}:{port}/logs/a"));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_gets_its_certificate_and_what_was_asked_for() {
    let (world, directory) = world(TLS).await;
    let ca = |name: &str| directory.path().join(format!("{name}.ca"));
    for (host, signed_by, other) in
        [("logs.test", "logs", "images"), ("a.ci.test", "logs", "images"), ("images.test", "images", "logs")]
    {
        for versions in [&["--tlsv1.3", "--http2"][..], &["--tls-max", "1.2", "--http1.1"], &["--tls-max", "1.2"]] {
            let answer = curl(&world, &ca(signed_by), host, &[&["-i"], versions].concat()).await;
            let seen = text(&answer);
            let version = if versions.contains(&"--http1.1") { "HTTP/1.1 200" } else { "HTTP/2 200" };
            assert!(seen.starts_with(version) && seen.ends_with("object"), "{host} {versions:?}: {seen}");
            assert!(seen.to_lowercase().contains("strict-transport-security: max-age=31536000\r"), "{seen}");
        }
        let answer = curl(&world, &ca(other), host, &[]).await;
        assert_eq!(answer.status.code(), Some(60), "{host} must not be signed by {other}: {}", text(&answer));
    }
    // Who names nobody gets the first.
    let answer = curl(&world, &ca("logs"), "127.0.0.1", &["-k"]).await;
    assert_eq!(text(&answer), "object");
}

/// Refuses those whose TLS is old, and in another way those of whom that is not known.
const BY_FINGERPRINT: &str = "version: 1\nmode: enforce\nrules:\n\
    \x20 - {name: old, match: {ja4: 't12d*'}, action: deny, status: 410}\n\
    \x20 - {name: known, match: {when: \"ja4.startsWith('t13d') && size(ja4) == 36\"}, action: deny, status: 404}\n\
    \x20 - {name: unknown, match: {ja4: 't13*'}, action: deny, mode: enforce}\n\
    default: {action: allow}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_known_by_its_hello_where_tls_ends_here() {
    let directory = tempfile::TempDir::new().unwrap();
    certify(directory.path(), "logs", &["logs.test"]);
    let listener = "tls: {certificates: {certificate: '{directory}/logs.pem', key: '{directory}/logs.key'}}";
    let listener = listener.replace("{directory}", directory.path().to_str().unwrap());
    let world = Setup::new().policy(BY_FINGERPRINT).listener(&listener).start().await;
    let ca = directory.path().join("logs.ca");
    let status = async |arguments: &[&str]| {
        let arguments = [&["-o", "/dev/null", "-w", "%{http_code}"], arguments].concat();
        text(&curl(&world, &ca, "logs.test", &arguments).await)
    };
    // 127.0.0.2 is nobody's proxy.
    assert_eq!(status(&["--interface", "127.0.0.2", "--tls-max", "1.2"]).await, "410");
    assert_eq!(status(&["--interface", "127.0.0.2", "--tlsv1.3"]).await, "404");
    assert_eq!(status(&["--interface", "127.0.0.2", "--tlsv1.3", "--http1.1"]).await, "404");
    // What a proxy says first is not what its clients said.
    assert_eq!(status(&[]).await, "503");
    let plain = Setup::new().policy(BY_FINGERPRINT).start().await;
    assert_eq!(plain.admin().get("/healthz").await.status, 200);
    assert_eq!(plain.client("192.0.2.40").get("/logs/a").await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_and_weak_ciphers_are_not_spoken() {
    let (world, _directory) = world(TLS).await;
    let address = world.server.addresses[0].to_string();
    let shakes = async |arguments: &'static [&'static str]| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &address, "-servername", "logs.test"]).args(arguments);
        command.stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = text(&output);
        said.contains("Cipher is ") && !said.contains("Cipher is (NONE)")
    };
    for good in [
        &["-tls1_3"][..],
        &["-tls1_2"],
        &["-tls1_2", "-cipher", "ECDHE+AESGCM"],
        &["-tls1_2", "-cipher", "ECDHE+CHACHA20"],
        &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
    ] {
        assert!(shakes(good).await, "{good:?}");
    }
    for bad in [
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"][..],
        &["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "AES128-SHA:AES256-GCM-SHA384:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "DHE:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"],
    ] {
        assert!(!shakes(bad).await, "{bad:?}");
    }
    eventually("refusals are counted", async || {
        let metrics = world.admin().get("/metrics").await.text();
        metrics.contains("windscreen_connections_refused_total{reason=\"tls\"} 6")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_and_tls_1_2_can_be_switched_off() {
    let listener = TLS.replace("tls: {", "tls: {http2: false, min_version: '1.3', ");
    let (world, directory) = world(&listener).await;
    let ca = directory.path().join("logs.ca");
    let seen = text(&curl(&world, &ca, "logs.test", &["-i", "--http2"]).await);
    assert!(seen.starts_with("HTTP/1.1 200 "), "{seen}");
    let old = curl(&world, &ca, "logs.test", &["--tls-max", "1.2"]).await;
    assert_eq!(old.status.code(), Some(35), "{}", text(&old));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_replaced_while_clients_come() {
    let (world, directory) = world(TLS).await;
    let file = world.directory.path().join("gateway.yaml");
    let ca = directory.path().join("logs.ca");
    let before = directory.path().join("before.ca");
    fs::copy(&ca, &before).unwrap();
    assert_eq!(text(&curl(&world, &ca, "logs.test", &[]).await), "object");
    certify(directory.path(), "logs", &["logs.test"]);
    let steering = world.server.steering.clone();
    let (good, _) = tokio::task::spawn_blocking(move || steering.reload(&file)).await.unwrap();
    assert!(good);
    assert_eq!(text(&curl(&world, &ca, "logs.test", &[]).await), "object");
    assert!(!curl(&world, &before, "logs.test", &[]).await.status.success());
    // A key that is not that of the certificate changes nothing.
    fs::copy(directory.path().join("images.key"), directory.path().join("logs.key")).unwrap();
    let (file, steering) = (world.directory.path().join("gateway.yaml"), world.server.steering.clone());
    let (good, _) = tokio::task::spawn_blocking(move || steering.reload(&file)).await.unwrap();
    assert!(!good);
    assert_eq!(text(&curl(&world, &ca, "logs.test", &[]).await), "object");
    let metrics = world.admin().get("/metrics").await.text();
    let line = "windscreen_certificate_expires_timestamp_seconds{certificate=";
    assert_eq!(metrics.matches(line).count(), 2, "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_under_load_fails_nobody_and_cuts_nothing() {
    let (world, directory) = world(TLS).await;
    let large: Vec<u8> = (0..16 << 20).map(|at: usize| (at / 7) as u8).collect();
    world.put("logs", "large", &large);
    // Two pairs, and who trusts both.
    let other = tempfile::TempDir::new().unwrap();
    certify(other.path(), "next", &["logs.test"]);
    for end in [".ca", ".key", ".pem"] {
        fs::copy(directory.path().join(format!("logs{end}")), other.path().join(format!("last{end}"))).unwrap();
    }
    let both = ["last.ca", "next.ca"].map(|name| fs::read_to_string(other.path().join(name)).unwrap()).concat();
    let trusted = other.path().join("both.ca");
    fs::write(&trusted, both).unwrap();
    let port = world.server.addresses[0].port();
    let begin = |object: &str, arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--resolve", &format!("logs.test:{port}:127.0.0.1"), "--cacert"]).arg(&trusted);
        command.args(arguments).arg(format!("https://logs.test:{port}/logs/{object}"));
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    // It takes four seconds.
    let download = begin("large", &["--limit-rate", "4M"]);
    let mut asked = Vec::new();
    for time in 0..10 {
        asked.extend((0..3).map(|_| begin("a", &[])));
        let pair = ["next", "last"][time % 2];
        for end in [".key", ".pem"] {
            fs::copy(other.path().join(format!("{pair}{end}")), directory.path().join(format!("logs{end}"))).unwrap();
        }
        let (file, steering) = (world.directory.path().join("gateway.yaml"), world.server.steering.clone());
        let (good, _) = tokio::task::spawn_blocking(move || steering.reload(&file)).await.unwrap();
        assert!(good);
    }
    for answer in asked {
        let answer = answer.await.unwrap();
        assert_eq!(text(&answer), "object", "{:?}", answer.status);
    }
    let answer = download.await.unwrap();
    assert!(answer.stdout == large, "{} bytes, {}", answer.stdout.len(), String::from_utf8_lossy(&answer.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_a_get_is_refused_over_http2_too() {
    let (world, directory) = world(TLS).await;
    let ca = directory.path().join("logs.ca");
    let seen = text(&curl(&world, &ca, "logs.test", &["-i", "--http2", "-X", "GET", "-d", "x"]).await);
    // Where the answer comes before the body was sent, curl takes that for an error.
    assert!(seen.starts_with("HTTP/2 400") || seen.starts_with("curl: (92)"), "{seen}");
    eventually("it is counted", async || {
        let metrics = world.admin().get("/metrics").await.text();
        metrics.contains("windscreen_malformed_requests_total{reason=\"framing\"} 1")
    })
    .await;
}
