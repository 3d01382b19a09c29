//! Clients that show a certificate are known by it, however they go on, and served what their entry opens. Nobody else
//! speaks for them: no header, no proxy, no authority that is not believed.

use crate::harness::tls::{Authority, Pair, TlsClient, authority, certify};
use crate::harness::{Setup, World, eventually};
use rcgen::{
    CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, KeyIdMethod, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use std::fs;
use std::process::Command;

const POLICY: &str = "version: 1\nmode: enforce\nrules:\n\
    \x20 - {name: private, match: {path: {prefix: /private/}, not: {identity: certificate}}, action: deny, mode: enforce}\n\
    \x20 - {name: robots, match: {client: robot, path: /only-people}, action: deny, status: 410}\n\
    \x20 - {name: counted, match: {path: /counted}, action: limit, limits: [each]}\n\
    default: {action: allow}\nlimits: {each: {key: identity, requests: 2/h}}\n";
const CLIENTS: &str = "clients:\n\
    \x20 - {name: ci, certificate: {dns: CI.test}, sites: [logs]}\n\
    \x20 - {name: robot, certificate: {uri: 'spiffe://test/robot'}, sites: [logs], paths: [/private/robots/, /only-people]}\n\
    \x20 - {name: person, certificate: {common_name: Somebody}, sites: [logs]}\n\
    \x20 - {name: elsewhere, certificate: {dns: elsewhere.test}, sites: [images]}\n";
/// Nobody's proxy.
const DIRECT: &str = "127.0.0.2";
const PRIVATE: &str = "/logs/private/a";

struct Scene {
    world: World,
    servers: Authority,
    clients: Authority,
}

impl Scene {
    /// A gateway that asks for certificates, with more settings of that and of its listener.
    async fn new(asks: &str, listener: &str) -> Self {
        let (servers, clients) = (authority("servers"), authority("clients"));
        let names = |parameters: &mut rcgen::CertificateParams| {
            parameters.subject_alt_names.push(SanType::DnsName("logs.test".try_into().unwrap()));
        };
        let server = certify(&servers, 1, ExtendedKeyUsagePurpose::ServerAuth, names);
        let listener = format!(
            "tls: {{certificates: {{certificate: server.pem, key: server.key}}, \
             client_certificates: {{authorities: clients.pem{asks}}}}}{listener}"
        );
        let setup = Setup::new().policy(POLICY).more(CLIENTS).listener(&listener);
        let setup = setup.file("server.pem", server.certificate.as_bytes()).file("server.key", server.key.as_bytes());
        let setup =
            setup.file("clients.pem", clients.pem().as_bytes()).file("revoked.pem", revoked(&clients, 13).as_bytes());
        let world = setup.start().await;
        for key in ["a", "only-people", "counted", "private/a", "private/robots/a"] {
            world.put("logs", key, b"object");
        }
        Scene { world, servers, clients }
    }

    /// A client that shows a certificate for a DNS name.
    fn named(&self, name: &str) -> TlsClient {
        self.shows(Some(&dns(&self.clients, 7, name)))
    }

    fn shows(&self, pair: Option<&Pair>) -> TlsClient {
        TlsClient::new(&self.servers, pair, &["http/1.1"])
    }

    async fn get(&self, client: &TlsClient, target: &str) -> u16 {
        client.get(self.world.server.addresses[0], DIRECT, b"", target, "").await.0
    }

    async fn reload(&self) -> bool {
        let (file, steering) = (self.world.directory.path().join("gateway.yaml"), self.world.server.steering.clone());
        tokio::task::spawn_blocking(move || steering.reload(&file)).await.unwrap().0
    }
}

fn dns(by: &Authority, number: u64, name: &str) -> Pair {
    certify(by, number, ExtendedKeyUsagePurpose::ClientAuth, |parameters| {
        parameters.subject_alt_names.push(SanType::DnsName(name.try_into().unwrap()));
    })
}

/// A list that revokes the certificate of this number.
fn revoked(by: &Authority, number: u64) -> String {
    let gone = RevokedCertParams {
        serial_number: SerialNumber::from(number),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let parameters = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2036, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![gone],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    parameters.signed_by(by).unwrap().pem().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_certificate_opens_what_its_entry_says() {
    let scene = Scene::new("", "").await;
    let robot = certify(&scene.clients, 8, ExtendedKeyUsagePurpose::ClientAuth, |parameters| {
        parameters.subject_alt_names.push(SanType::URI("spiffe://test/robot".try_into().unwrap()));
    });
    let person = certify(&scene.clients, 9, ExtendedKeyUsagePurpose::ClientAuth, |parameters| {
        parameters.distinguished_name.push(DnType::CommonName, "Somebody");
        // What stands among other names is no DNS name.
        parameters.subject_alt_names.push(SanType::Rfc822Name("ci.test".try_into().unwrap()));
    });
    let posing = certify(&scene.clients, 10, ExtendedKeyUsagePurpose::ClientAuth, |parameters| {
        parameters.distinguished_name.push(DnType::CommonName, "ci.test");
    });
    let (ci, nobody) = (scene.named("ci.test"), scene.shows(None));
    let (robot, person, posing) = (scene.shows(Some(&robot)), scene.shows(Some(&person)), scene.shows(Some(&posing)));
    let (unknown, elsewhere) = (scene.named("unknown.test"), scene.named("elsewhere.test"));
    for (who, client, target, status) in [
        ("ci", &ci, PRIVATE, 200),
        ("ci", &ci, "/logs/a", 200),
        ("ci", &ci, "/logs/only-people", 200),
        ("robot", &robot, "/logs/private/robots/a", 200),
        ("robot", &robot, PRIVATE, 403),
        ("robot", &robot, "/logs/a", 200),
        ("robot", &robot, "/logs/only-people", 410),
        ("person", &person, PRIVATE, 200),
        ("a common name that is another's DNS name", &posing, PRIVATE, 403),
        ("nobody", &nobody, PRIVATE, 403),
        ("nobody", &nobody, "/logs/a", 200),
        ("unknown", &unknown, PRIVATE, 403),
        ("unknown", &unknown, "/logs/a", 200),
        ("elsewhere", &elsewhere, PRIVATE, 403),
    ] {
        assert_eq!(scene.get(client, target).await, status, "{who} {target}");
    }
    // What the request itself claims is looked at first.
    let address = scene.world.server.addresses[0];
    let claims = "Authorization: Bearer wst_nonsense\r\n";
    assert_eq!(ci.get(address, DIRECT, b"", PRIVATE, claims).await.0, 401);
    // A name is a key of limits: whoever has another certificate has another budget.
    assert_eq!((scene.get(&ci, "/logs/counted").await, scene.get(&ci, "/logs/counted").await), (200, 200));
    assert!(matches!(scene.get(&ci, "/logs/counted").await, 429 | 503));
    assert_eq!(scene.get(&person, "/logs/counted").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_vouched_for_is_not_let_in() {
    let scene = Scene::new(", revocation_lists: revoked.pem", "").await;
    let others = authority("clients");
    let posing = scene.shows(Some(&dns(&others, 7, "ci.test")));
    let gone = scene.shows(Some(&dns(&scene.clients, 13, "ci.test")));
    let over = certify(&scene.clients, 14, ExtendedKeyUsagePurpose::ClientAuth, |parameters| {
        parameters.subject_alt_names.push(SanType::DnsName("ci.test".try_into().unwrap()));
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 1, 1);
    });
    let server = certify(&scene.clients, 15, ExtendedKeyUsagePurpose::ServerAuth, |parameters| {
        parameters.subject_alt_names.push(SanType::DnsName("ci.test".try_into().unwrap()));
    });
    for (who, client) in [
        ("another authority's", &posing),
        ("revoked", &gone),
        ("over", &scene.shows(Some(&over))),
        ("a server's", &scene.shows(Some(&server))),
    ] {
        assert_eq!(scene.get(client, "/logs/a").await, 0, "{who}");
    }
    eventually("refusals are counted", async || {
        scene.world.metrics().await.contains("windscreen_connections_refused_total{reason=\"tls\"} 4")
    })
    .await;
    assert_eq!(scene.get(&scene.named("ci.test"), PRIVATE).await, 200);
    assert_eq!(scene.get(&scene.shows(None), "/logs/a").await, 200);
    let required = Scene::new(", require: true", "").await;
    assert_eq!(required.get(&required.shows(None), "/logs/a").await, 0);
    assert_eq!(required.get(&required.named("ci.test"), PRIVATE).await, 200);
    assert_eq!(required.get(&required.named("unknown.test"), PRIVATE).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_shows_its_certificate_by_all_versions() {
    let scene = Scene::new("", "").await;
    let directory = tempfile::TempDir::new().unwrap();
    let ci = dns(&scene.clients, 7, "ci.test");
    for (name, text) in [("ca", &scene.servers.pem()), ("pem", &ci.certificate), ("key", &ci.key)] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let port = scene.world.server.addresses[0].port();
    for versions in [&["--tlsv1.3", "--http2"][..], &["--tls-max", "1.2", "--http2"], &["--http1.1"]] {
        for (shown, status) in [(&["--cert", "pem", "--key", "key"][..], "200 200"), (&[], "403 403")] {
            let mut command = Command::new("curl");
            command.current_dir(directory.path()).args(["-sS", "--interface", DIRECT, "--cacert", "ca"]);
            command.args(["--resolve", &format!("logs.test:{port}:127.0.0.1"), "-w", "%{http_code} "]);
            command.args(versions).args(shown);
            // Two, by one connection.
            for _ in 0..2 {
                command.args(["-o", "/dev/null", &format!("https://logs.test:{port}{PRIVATE}")]);
            }
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), status, "{versions:?} {output:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_speaks_for_the_holder() {
    let scene = Scene::new("", "").await;
    let address = scene.world.server.addresses[0];
    let (ci, nobody) = (scene.named("ci.test"), scene.shows(None));
    let forged = "X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-CN: ci.test\r\nX-Forwarded-Client-Cert: \
                  DNS=ci.test\r\nClient-Cert: :bm9uZQ==:\r\n";
    assert_eq!(nobody.get(address, DIRECT, b"", PRIVATE, forged).await.0, 403);
    // 127.0.0.1 is a proxy, whose certificate is not that of its clients.
    assert_eq!(ci.get(address, "127.0.0.1", b"", PRIVATE, "X-Forwarded-For: 192.0.2.1\r\n").await.0, 403);
    assert_eq!(nobody.get(address, "127.0.0.1", b"", PRIVATE, forged).await.0, 403);
    // One that carries bytes brings the client's own.
    let behind = Scene::new("", ", proxy_protocol: true").await;
    let (address, line) = (behind.world.server.addresses[0], b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 443\r\n");
    assert_eq!(behind.named("ci.test").get(address, "127.0.0.1", line, PRIVATE, "").await.0, 200);
    assert_eq!(behind.shows(None).get(address, "127.0.0.1", line, PRIVATE, "").await.0, 403);
    let own = b"PROXY UNKNOWN\r\n";
    assert_eq!(behind.named("ci.test").get(address, "127.0.0.1", own, PRIVATE, "").await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_with_its_holder_until_other_authorities_are_believed() {
    let scene = Scene::new("", "").await;
    let address = scene.world.server.addresses[0];
    let ci = scene.named("ci.test");
    let get = async |client: &TlsClient| client.get(address, DIRECT, b"", PRIVATE, "").await;
    assert_eq!(get(&ci).await, (200, false));
    assert_eq!(get(&ci).await, (200, true));
    assert!(scene.reload().await);
    assert_eq!(get(&ci).await, (200, true), "nothing has changed");
    // What cannot be read changes nothing.
    let file = scene.world.directory.path().join("clients.pem");
    fs::write(&file, "nothing").unwrap();
    assert!(!scene.reload().await);
    assert_eq!(get(&ci).await, (200, true));
    let others = authority("others");
    fs::write(&file, others.pem()).unwrap();
    assert!(scene.reload().await);
    assert_eq!(get(&ci).await, (0, false));
    assert_eq!(get(&scene.shows(Some(&dns(&others, 7, "ci.test")))).await, (200, false));
}
