//! The `shared_state` section of the gateway file.

use crate::document::{Decode, Diagnostics, Node, NonEmpty, Schemas, Spanned, pattern, text_like};
use http::Uri;
use serde_json::Value;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

crate::settings! {
    /// A Valkey or Redis server through which replicas share what they count.
    pub struct SharedStateSettings {
        /// One server with its replicas, tried in order until one takes writes. Redis Cluster is not supported.
        url: NonEmpty<StoreUrl>,
        /// The user of the server's access control list; its default user where absent. Needs `password_file`.
        username: Option<Spanned<String>> = None,
        /// A file with the password on one line, read again at every connection.
        password_file: Option<PathBuf> = None,
        /// PEM certificates of the authority that signed the server's; those that the system trusts where absent.
        ca: Option<Spanned<PathBuf>> = None,
        /// How often changes are exchanged.
        interval: Interval = Interval(Duration::from_millis(200)),
        /// How long connecting to one server, one batch of an exchange, and spending may take.
        timeout: Patience = Patience(Duration::from_millis(500)),
        /// What keys begin with, so that several deployments can share one server.
        prefix: Prefix = Prefix("windscreen".into()),
    }
}

/// How often changes are exchanged: 50 ms to 2 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval(pub Duration);

/// How long the server is waited for: 10 ms to 5 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience(pub Duration);

fn within(from: u64, to: u64, wanted: &str, node: &Node, diagnostics: &mut Diagnostics) -> Option<Duration> {
    let duration = Duration::decode(node, diagnostics)?;
    let good = (Duration::from_millis(from)..=Duration::from_millis(to)).contains(&duration);
    if !good {
        diagnostics.error(node.position, format!("expected {wanted}, found {}", node.describe()));
    }
    good.then_some(duration)
}

impl Decode for Interval {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        within(50, 2000, "a duration from `50ms` to `2s`", node, diagnostics).map(Interval)
    }

    fn schema(schemas: &mut Schemas) -> Value {
        Duration::schema(schemas)
    }

    fn written(&self) -> Option<Value> {
        self.0.written()
    }
}

impl Decode for Patience {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        within(10, 5000, "a duration from `10ms` to `5s`", node, diagnostics).map(Patience)
    }

    fn schema(schemas: &mut Schemas) -> Value {
        Duration::schema(schemas)
    }

    fn written(&self) -> Option<Value> {
        self.0.written()
    }
}

/// What keys begin with: letters, digits, `-`, `_` and `.`, at most 64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(pub String);

impl Decode for Prefix {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let text = String::decode(node, diagnostics)?;
        let good =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !good {
            let message = format!("`{text}` cannot be a prefix: use letters, digits, `-`, `_` and `.`, at most 64");
            diagnostics.error(node.position, message);
        }
        good.then_some(Prefix(text))
    }

    fn schema(_: &mut Schemas) -> Value {
        text_like("^[A-Za-z0-9._-]{1,64}$")
    }

    fn written(&self) -> Option<Value> {
        Some(self.0.clone().into())
    }
}

/// Where a server is. It holds no password, so that it may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `redis://host:6379/0`, or by TLS `rediss://host:6379/0`.
    Tcp {
        /// A name or an IP address, the latter without brackets.
        host: String,
        /// 6379 where the URL has none.
        port: u16,
        /// The number of the database; 0 where the URL has none.
        database: i64,
        /// Whether it is asked by TLS.
        tls: bool,
    },
    /// `unix:///path/of/the.sock`.
    Unix(PathBuf),
}

impl StoreUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is none of the above. The message never repeats what may be a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = "is not a store: expected `redis://host:6379/0`, `rediss://host:6379/0` or `unix:///path`";
        if text.contains('@') {
            return Err("a URL here holds no user and no password: use `username` and `password_file`".into());
        }
        if text.contains(['?', '#']) {
            return Err("a URL here has no `?` and no `#`: what can be set has keys of its own".into());
        }
        let malformed = || format!("`{text}` {wanted}");
        if let Some(path) = text.strip_prefix("unix://") {
            let path = Some(path).filter(|path| path.starts_with('/') && path.len() > 1);
            return path.map(|path| StoreUrl::Unix(path.into())).ok_or_else(malformed);
        }
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let tls = match uri.scheme_str() {
            Some("redis") => false,
            Some("rediss") => true,
            _ => return Err(malformed()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(malformed)?;
        // A port that is no number, or too large, is not seen as one.
        let (authority, port) = (uri.authority().map_or("", |authority| authority.as_str()), uri.port_u16());
        if authority != port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")) {
            return Err(malformed());
        }
        let number = uri.path().trim_start_matches('/');
        let database = if number.is_empty() { Some(0) } else { number.parse::<u16>().ok() };
        Ok(StoreUrl::Tcp {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.unwrap_or(6379),
            database: database.ok_or_else(malformed)?.into(),
            tls,
        })
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Tcp { host, port, database, tls } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "{scheme}://{open}{host}{close}:{port}/{database}")
            }
            StoreUrl::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Decode for StoreUrl {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let text = String::decode(node, diagnostics)?;
        StoreUrl::parse(&text).map_err(|message| diagnostics.error(node.position, message)).ok()
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern(
            "^([Rr][Ee][Dd][Ii][Ss]{1,2}|unix)://",
            &["redis://valkey.example.org:6379/0", "unix:///run/valkey.sock"],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written() {
        let good = [
            ("redis://valkey.example.org", "redis://valkey.example.org:6379/0"),
            ("redis://10.0.0.1:7000/3", "redis://10.0.0.1:7000/3"),
            ("rediss://valkey:6380/", "rediss://valkey:6380/0"),
            ("redis://[2001:db8::1]:6379", "redis://[2001:db8::1]:6379/0"),
            ("unix:///run/valkey.sock", "unix:///run/valkey.sock"),
        ];
        for (text, written) in good {
            assert_eq!(StoreUrl::parse(text).unwrap().to_string(), written, "{text}");
        }
        let bad = [
            "valkey:6379",
            "redis://",
            "redis:///0",
            "http://valkey",
            "redis://valkey/x",
            "redis://valkey/0/1",
            "unix://",
            "unix://relative",
            "redis://valkey:99999",
            "rediss://valkey#insecure",
            "unix:///s?db=1",
            "",
        ];
        for text in bad {
            assert!(StoreUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        for text in ["redis://user:s3cret@valkey", "redis://:s3cret@valkey:6379/0", "s3cret@x", "unix:///x?pass=s3cret"]
        {
            let message = StoreUrl::parse(text).unwrap_err();
            assert!(!message.contains("s3cret"), "{message}");
        }
    }
}
