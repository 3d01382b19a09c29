//! A gateway in front of two S3 servers, all in this process, each on a port of its own.

pub mod answering;
pub mod browser;
pub mod client;
pub mod firefox;
pub mod http2;
pub mod issuer;
pub mod judged;
pub mod markdown;
pub mod mmdb;
pub mod passes;
pub mod process;
pub mod program;
pub mod scripted;
pub mod serving;
pub mod signing;
pub mod tls;
pub mod valkey;

pub use client::{Answer, Client};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use windscreen::clock::{Clock, ManualClock, Timestamp};
use windscreen::config::load;
use windscreen::demo::samples::{Attributes, put};
use windscreen::demo::store::Store;
use windscreen::document::Diagnostics;
use windscreen::origin::{CredentialsCell, Origin, OriginRequest, OriginSettings, Signer};
use windscreen::path::CanonicalPath;
use windscreen::server::{Server, SystemClock};

pub const ACCESS: &str = "TESTACCESSKEY";
pub const SECRET: &str = "test-secret-key";
/// The address in this network is a CI machine by the test policies.
pub const CI: &str = "198.51.100.20";
pub const INTERNAL: &str = "203.0.113.30";
pub const STRANGER: &str = "192.0.2.40";
pub const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36";
pub const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Everything allowed, nothing limited: for promises that are not about policy.
pub const OPEN: &str = "version: 1\nmode: enforce\ndefault: {action: allow}\n";

/// How a [`World`] is made.
pub struct Setup {
    policy: Option<String>,
    mode: &'static str,
    clock: Arc<dyn Clock>,
    sites: Option<String>,
    key: String,
    origins: Vec<String>,
    pass_keys: bool,
    more: String,
    more_credentials: String,
    open_first: bool,
    checks: bool,
    address: String,
    listener: String,
    admin: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Setup {
    /// The built-in policy, enforced, by the wall clock.
    pub fn new() -> Self {
        Setup {
            policy: None,
            mode: "enforce",
            clock: Arc::new(SystemClock::default()),
            sites: None,
            key: format!("{ACCESS} {SECRET}"),
            origins: Vec::new(),
            pass_keys: false,
            more: String::new(),
            more_credentials: String::new(),
            open_first: false,
            checks: false,
            address: "127.0.0.1:0".to_owned(),
            listener: String::new(),
            admin: String::new(),
            files: Vec::new(),
        }
    }

    pub fn policy(mut self, text: &str) -> Self {
        self.policy = Some(text.to_owned());
        self
    }

    pub fn mode(mut self, mode: &'static str) -> Self {
        self.mode = mode;
        self
    }

    pub fn clock(mut self, clock: Arc<ManualClock>) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces the `sites` section; `{first}` and `{second}` stand for the stores' addresses.
    pub fn sites(mut self, text: &str) -> Self {
        self.sites = Some(text.to_owned());
        self
    }

    /// What the gateway signs with.
    pub fn key(mut self, line: &str) -> Self {
        self.key = line.to_owned();
        self
    }

    /// Replaces the origins of the images site by these flow mappings.
    pub fn image_origins(mut self, origins: &[String]) -> Self {
        self.origins = origins.to_vec();
        self
    }

    /// Signs passes with fixed keys, so that a second gateway honours them.
    pub fn fixed_pass_keys(mut self) -> Self {
        self.pass_keys = true;
        self
    }

    /// Adds sections to the gateway file.
    pub fn more(mut self, text: &str) -> Self {
        self.more = text.to_owned();
        self
    }

    /// Adds an entry to `credentials`; `{directory}` stands for where files are.
    pub fn more_credentials(mut self, text: &str) -> Self {
        self.more_credentials = text.to_owned();
        self
    }

    /// Has the first store ask for no signature, as the second.
    pub fn open_first(mut self) -> Self {
        self.open_first = true;
        self
    }

    /// Lets proxies ask whether they may answer requests themselves.
    pub fn checks(mut self) -> Self {
        self.checks = true;
        self
    }

    /// Adds settings to the listener, as of a flow mapping; `{directory}` stands for where files are.
    pub fn listener(mut self, text: &str) -> Self {
        self.listener = format!(", {text}");
        self
    }

    /// Has the gateway listen there.
    pub fn listen(mut self, address: &str) -> Self {
        self.address = address.to_owned();
        self
    }

    /// Adds keys to `admin`, each with a comma before it.
    pub fn admin(mut self, text: &str) -> Self {
        self.admin = text.to_owned();
        self
    }

    /// Puts a file beside the gateway file; `{directory}` in the policy stands for where they are.
    pub fn file(mut self, name: &str, content: &[u8]) -> Self {
        self.files.push((name.to_owned(), content.to_vec()));
        self
    }

    pub async fn start(self) -> World {
        let directory = TempDir::new().unwrap();
        for (name, content) in &self.files {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        let (first_root, second_root) = (directory.path().join("first"), directory.path().join("second"));
        for root in [&first_root, &second_root] {
            for bucket in ["logs", "images"] {
                std::fs::create_dir_all(root.join(bucket)).unwrap();
            }
        }
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = Store::start(loopback, &first_root, (!self.open_first).then_some((ACCESS, SECRET))).await.unwrap();
        let second = Store::start(loopback, &second_root, None).await.unwrap();

        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("s3-key", &self.key);
        write("networks.yaml", "internal: [203.0.113.0/24]\nci: [198.51.100.0/24]\n");
        let policy = match &self.policy {
            Some(text) => {
                write("policy.yaml", &text.replace("{directory}", directory.path().to_str().unwrap()));
                "{file: policy.yaml}".to_owned()
            }
            None => format!("{{networks: networks.yaml, mode: {}}}", self.mode),
        };
        let keys = directory.path().join("pass-keys");
        std::fs::create_dir_all(&keys).unwrap();
        std::fs::write(keys.join("2026"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
        let pass_keys = if self.pass_keys { "pass_keys: {dir: pass-keys}\n" } else { "" };
        let default = [
            "{name: first, url: 'http://{first}/images', credentials: test}".to_owned(),
            "{name: second, url: 'http://{second}/images', credentials: anonymous}".to_owned(),
        ];
        let origins = if self.origins.is_empty() { &default[..] } else { &self.origins };
        let sites = self.sites.unwrap_or_else(|| {
            format!(
                "  logs:\n    prefix: /logs\n    origins: [{{name: first, url: 'http://{{first}}/logs', credentials: test}}]\n\
                 \x20 images:\n    prefix: /images\n    origins: [{}]\n",
                origins.join(", ")
            )
        });
        let sites =
            sites.replace("{first}", &first.address.to_string()).replace("{second}", &second.address.to_string());
        let key = directory.path().join("s3-key");
        let in_place = |text: &str| text.replace("{directory}", directory.path().to_str().unwrap());
        let gateway = format!(
            "version: 1\nlisteners:\n  - {{address: '{address}', trusted_proxies: [127.0.0.1], check: {}{listener}}}\n\
             admin: {{address: '127.0.0.1:0'{}}}\npolicy: {policy}\n{pass_keys}{more}credentials:\n  test: {{key_file: {}}}\n  {}\nsites:\n{sites}",
            self.checks,
            self.admin,
            key.display(),
            self.more_credentials.replace("{directory}", directory.path().to_str().unwrap()),
            more = self.more,
            address = in_place(&self.address),
            listener = in_place(&self.listener),
        );
        write("gateway.yaml", &gateway);
        let mut diagnostics = Diagnostics::default();
        let config = load(&directory.path().join("gateway.yaml"), &mut diagnostics).unwrap();
        let Some(config) = config else { panic!("the test configuration is refused:\n{diagnostics}\n{gateway}") };
        let server = Server::start(config, self.clock).await.unwrap();
        World { directory, first, _second: second, server }
    }
}

/// A running gateway with its stores.
pub struct World {
    pub directory: TempDir,
    pub first: Store,
    /// Lives as long as the world.
    pub _second: Store,
    pub server: Server,
}

impl World {
    /// A client whose address the gateway takes from X-Forwarded-For.
    pub fn client(&self, address: &str) -> Client {
        Client::new(self.server.addresses[0]).header("X-Forwarded-For", address)
    }

    /// A client of the admin listener.
    pub fn admin(&self) -> Client {
        Client::new(self.server.admin.unwrap())
    }

    /// Puts an object into the first store.
    pub fn put(&self, bucket: &str, key: &str, body: &[u8]) {
        self.put_with(bucket, key, body, &Attributes::of("text/plain"));
    }

    pub fn put_with(&self, bucket: &str, key: &str, body: &[u8], attributes: &Attributes) {
        put(&self.directory.path().join("first"), bucket, key, body, attributes).unwrap();
    }

    /// Puts an object into the second store.
    pub fn put_second(&self, bucket: &str, key: &str, body: &[u8]) {
        put(&self.directory.path().join("second"), bucket, key, body, &Attributes::of("text/plain")).unwrap();
    }

    /// Asks the first store itself with a signature.
    pub async fn direct(&self, method: &str, bucket: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = signed_request(self.first.address, bucket, method, path);
        let mut client = Client::new(self.first.address).bare();
        for (name, value) in &request.headers {
            client = client.header(name.as_str(), value.to_str().unwrap());
        }
        for (name, value) in headers {
            client = client.header(name, value);
        }
        client.send(method, &request.target).await
    }

    /// The value of one metric line, as `name{labels}`.
    pub async fn metric(&self, line: &str) -> f64 {
        metric_in(&self.metrics().await, line)
    }

    pub async fn metrics(&self) -> String {
        let answer = self.admin().get("/metrics").await;
        assert_eq!(answer.status, 200);
        answer.text()
    }
}

pub fn metric_in(text: &str, line: &str) -> f64 {
    let value = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// The sum of all metric lines that begin with `name` and contain every one of `parts`.
pub fn sum_in(text: &str, name: &str, parts: &[&str]) -> f64 {
    text.lines()
        .filter(|line| line.starts_with(&format!("{name}{{")) && parts.iter().all(|part| line.contains(part)))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum()
}

/// Signs with the gateway's own code, to ask a store directly.
fn signed_request(store: SocketAddr, bucket: &str, method: &str, path: &str) -> OriginRequest {
    let cell = CredentialsCell::default();
    let credentials = aws_credential_types::Credentials::new(ACCESS, SECRET, None, None, "test");
    cell.store(Some(Arc::new(credentials.into())));
    let mut diagnostics = Diagnostics::default();
    let settings: OriginSettings =
        windscreen::document::read(&format!("{{name: x, url: 'http://{store}/{bucket}'}}"), &mut diagnostics).unwrap();
    let origin = Origin::new(settings, Signer::Credentials(cell), None);
    let path = CanonicalPath::parse(path).unwrap();
    let mut request = OriginRequest::new(&origin, &path, "", http::HeaderMap::new());
    request.sign(&origin, method, Timestamp::from(SystemTime::now())).unwrap();
    request
}

/// A clock that stands at the real time until it is moved.
pub fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from(SystemTime::now())))
}

/// Waits until `holds`, for things that other tasks do. Fails after ten seconds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never happened: {what}");
}
