//! The servers of the benchmark with their configurations: the origin, the proxies, all in one temporary directory.

use super::load;
use super::process::{Core, Server, find};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

/// The built-in policy.
const POLICY: &str = include_str!("../../../policies/cockpit.yaml");
/// How its limit for tools begins, and what stands there instead: a rate that no load reaches.
const TOOLS: &str = "  tools:     {key: prefix,";
const TOOLS_UNREACHED: &str = "  tools: {key: prefix, requests: 1000000/s, burst: 1000000}";
/// The deployment's networks. The load comes from neither.
const NETWORKS: &str = "internal: [203.0.113.0/24]\nci: [198.51.100.0/24]\n";
const S3_KEY: &str = "BENCHACCESSKEY 0123456789abcdef0123456789abcdef\n";
/// Where the objects are, as clients and origin see it.
pub const SITE: &str = "/logs";

/// A directory that is removed again. It is on the disk of the build, as a log would be.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Result<Self, String> {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-proxy");
        // A run that was killed leaves its files. There is never a second one beside this: they would share a core.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
        Ok(Directory(path))
    }

    /// A new directory below this one, with files.
    fn with(&self, name: &str, files: &[(&str, &str)]) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        let write = || {
            fs::create_dir_all(&path)?;
            files.iter().try_for_each(|(name, text)| fs::write(path.join(name), text))
        };
        write().map_err(|error| format!("`{}`: {error}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port that nobody listens at now.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}

/// Fills in `@name@` places.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value))
}

const COMMON: (&str, &str) = ("common.conf", include_str!("conf/common.conf"));

fn start_nginx(directory: &Path, core: Core, port: u16) -> Result<Server, String> {
    let nginx = find("nginx").ok_or("nginx is gone")?;
    let arguments = ["-p", ".", "-c", "nginx.conf", "-e", "errors.log"];
    Server::start(&nginx, &arguments, directory, &directory.join("output.log"), core, port)
}

/// Static files behind two ports.
pub struct Origin {
    plain: u16,
    signed: u16,
    _server: Server,
}

impl Origin {
    /// Serves objects of these names and sizes. They are holes on the disk and zeros in the page cache.
    pub fn start(directory: &Directory, objects: &[(&str, u64)]) -> Result<Self, String> {
        let (plain, signed) = (free_port()?, free_port()?);
        let ports = [("plain", &*plain.to_string()), ("signed", &*signed.to_string())];
        let configuration = fill(include_str!("conf/origin.conf"), &ports);
        let place = directory.with("origin", &[COMMON, ("nginx.conf", &configuration)])?;
        let site = place.join("objects").join(&SITE[1..]);
        let create = |(name, size): &(&str, u64)| File::create(site.join(name))?.set_len(*size);
        let created = fs::create_dir_all(&site).and_then(|()| objects.iter().try_for_each(create));
        created.map_err(|error| format!("`{}`: {error}", site.display()))?;
        Ok(Origin { plain, signed, _server: start_nginx(&place, Core::Other, plain)? })
    }
}

/// A proxy under test.
pub struct Proxy {
    /// Its name in the table.
    pub name: String,
    /// Where it listens.
    pub port: u16,
    /// Its processes.
    pub server: Server,
    log: PathBuf,
    /// Where its metrics are, of a gateway.
    pub admin: Option<u16>,
}

impl Proxy {
    /// An nginx with further directives about buffers.
    pub fn nginx(name: &str, buffers: &str, directory: &Directory, origin: &Origin) -> Result<Self, String> {
        let port = free_port()?;
        let values = [("listen", &*port.to_string()), ("origin", &*origin.plain.to_string()), ("buffers", buffers)];
        let configuration = fill(include_str!("conf/proxy.conf"), &values);
        let place = directory.with(name, &[COMMON, ("nginx.conf", &configuration)])?;
        let server = start_nginx(&place, Core::Proxy, port)?;
        Ok(Proxy { name: name.into(), port, server, log: place.join("access.log"), admin: None })
    }

    /// The gateway of this binary, with the built-in policy and limits that no load reaches.
    pub fn gateway(name: &str, binary: &Path, directory: &Directory, origin: &Origin) -> Result<Self, String> {
        let limit = POLICY.lines().find(|line| line.starts_with(TOOLS));
        let limit = limit.ok_or(format!("policies/cockpit.yaml has no `{TOOLS}` any more: adapt tests/benches"))?;
        Self::gateway_with(name, binary, directory, origin, &POLICY.replace(limit, TOOLS_UNREACHED))
    }

    /// The gateway of this binary with this policy.
    pub fn gateway_with(
        name: &str,
        binary: &Path,
        directory: &Directory,
        origin: &Origin,
        policy: &str,
    ) -> Result<Self, String> {
        let (port, admin) = (free_port()?, free_port()?);
        let (listen, metrics, bucket) = (port.to_string(), admin.to_string(), origin.signed.to_string());
        let place =
            directory.with(name, &[("policy.yaml", policy), ("networks.yaml", NETWORKS), ("s3-key", S3_KEY)])?;
        let values = [
            ("listen", &*listen),
            ("admin", &*metrics),
            ("origin", &*bucket),
            ("directory", &*place.to_string_lossy()),
        ];
        let configuration = fill(include_str!("conf/gateway.yaml"), &values);
        directory.with(name, &[("gateway.yaml", &configuration)])?;
        let log = place.join("access.log");
        let server = Server::start(binary, &["serve", "-c", "gateway.yaml"], &place, &log, Core::Proxy, port)?;
        Ok(Proxy { name: name.into(), port, server, log, admin: Some(admin) })
    }

    /// This program as a server that does nothing but answer: see `null` in its arguments.
    pub fn null(directory: &Directory) -> Result<Self, String> {
        let port = free_port()?;
        let place = directory.with("null", &[])?;
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let log = place.join("output.log");
        let server = Server::start(&own, &["null", &port.to_string()], &place, &log, Core::Proxy, port)?;
        Ok(Proxy { name: "null".into(), port, server, log, admin: None })
    }

    /// Empties the access log. All servers append to it.
    pub fn clear_log(&self) -> Result<(), String> {
        let file = File::options().write(true).open(&self.log).and_then(|file| file.set_len(0));
        file.map_err(|error| format!("`{}`: {error}", self.log.display()))
    }

    /// How many lines the access log has.
    pub fn log_lines(&self) -> Result<u64, String> {
        let count = || -> io::Result<u64> {
            let mut reader = BufReader::with_capacity(1 << 20, File::open(&self.log)?);
            let mut lines = 0;
            loop {
                let block = reader.fill_buf()?;
                if block.is_empty() {
                    return Ok(lines);
                }
                lines += block.iter().filter(|byte| **byte == b'\n').count() as u64;
                let length = block.len();
                reader.consume(length);
            }
        };
        count().map_err(|error| format!("`{}`: {error}", self.log.display()))
    }

    /// Whether the gateway's own books agree that it did all of its work: that every request was allowed as a tool's
    /// by an enforced policy. Says nothing about an nginx.
    pub fn check_books(&self) -> Result<(), String> {
        let Some(admin) = self.admin else { return Ok(()) };
        let metrics = load::text(admin, "/metrics")?;
        let mut requests = metrics.lines().filter(|line| line.starts_with("windscreen_requests_total{")).peekable();
        if requests.peek().is_none() {
            return Err("the metrics know of no request".into());
        }
        let expected = [r#"action="allow""#, r#"class="tool""#, r#"mode="enforce""#, r#"site="logs""#];
        match requests.find(|line| expected.iter().any(|label| !line.contains(label))) {
            Some(line) => Err(format!("the gateway did something else than to serve a tool: {line}")),
            None => Ok(()),
        }
    }
}
