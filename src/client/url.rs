//! The URLs that are fetched.

use super::Checksum;
use http::Uri;
use http::uri::{Authority, PathAndQuery};
use percent_encoding::percent_decode_str;

/// A URL by http or https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    tls: bool,
    authority: Authority,
    target: PathAndQuery,
}

impl Url {
    /// Reads a URL. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = crate::printable::printable(text);
        let text = text.split('#').next().unwrap_or_default();
        let uri: Uri = text.parse().map_err(|_| format!("`{shown}` is not a URL; is every odd character encoded?"))?;
        let parts = uri.into_parts();
        let tls = match parts.scheme.as_ref().map(|scheme| scheme.as_str()) {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("`{shown}` must begin with `https://` or `http://`")),
        };
        let authority = parts.authority.filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| format!("`{shown}` names no host"))?;
        if authority.as_str().contains('@') {
            return Err("a URL must not hold credentials: use `--header` or `--sign`".into());
        }
        let target = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Url { tls, authority, target })
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host with its port, unless that is the scheme's own: the value of the Host header.
    pub fn authority(&self) -> String {
        let host = self.authority.host().to_ascii_lowercase();
        match self.authority.port_u16() {
            Some(port) if port != self.default_port() => format!("{host}:{port}"),
            _ => host,
        }
    }

    fn default_port(&self) -> u16 {
        if self.tls { 443 } else { 80 }
    }

    /// The server, such as `https://logs.example.org`: whoever is told a secret is told it as this.
    pub fn server(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.target.as_str()
    }

    /// Server and path, without the query, which may hold a signature.
    pub fn without_query(&self) -> String {
        self.server() + self.target.path()
    }

    /// The last part of the path, decoded.
    pub fn name(&self) -> String {
        let name = self.target.path().rsplit('/').next().unwrap_or_default();
        percent_decode_str(name).decode_utf8_lossy().into_owned()
    }

    /// Another path on the same server.
    ///
    /// # Errors
    /// When `path` is none, or could lead to another server.
    pub fn sibling(&self, path: &str) -> Result<Self, String> {
        let target = path.parse().ok().filter(|_| path.starts_with('/') && !path.starts_with("//"));
        let wrong = || format!("`{}` is no path", crate::printable::printable(path));
        Ok(Url { target: target.ok_or_else(wrong)?, ..self.clone() })
    }

    /// Where a redirect leads: a URL or an absolute path, and never from https to plain http.
    pub fn redirected(&self, location: &str) -> Result<Self, String> {
        if location.starts_with('/') && !location.starts_with("//") {
            return self.sibling(location.split('#').next().unwrap_or_default());
        }
        let to = Url::parse(location).map_err(|error| format!("a redirect that leads nowhere: {error}"))?;
        if self.tls && !to.tls { Err("a redirect away from https is not followed".into()) } else { Ok(to) }
    }

    /// As hyper takes it.
    pub(super) fn uri(&self) -> Result<Uri, String> {
        let scheme = if self.tls { "https" } else { "http" };
        let parts = Uri::builder().scheme(scheme).authority(self.authority()).path_and_query(self.target.clone());
        parts.build().map_err(|error| error.to_string())
    }
}

/// The checksum in names such as `image-<64 hex digits>.qcow2`.
pub(super) fn named_checksum(name: &str) -> Option<Checksum> {
    name.match_indices('-').find_map(|(at, _)| {
        let rest = &name[at + 1..];
        let hex = rest.get(..64).filter(|_| rest[64..].starts_with('.'))?;
        checksum(hex)
    })
}

/// Sixty-four hex digits.
pub(crate) fn checksum(digits: &str) -> Option<Checksum> {
    let mut sum = [0; 32];
    hex::decode_to_slice(digits, &mut sum).ok().map(|()| sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_server_target_and_name() {
        let cases = [
            ("https://Logs.example.org/a/b%20c?d=e#f", "https://logs.example.org", "/a/b%20c?d=e", "b c"),
            ("https://h:443/x", "https://h", "/x", "x"),
            ("http://h:443", "http://h:443", "/", ""),
            ("http://[2001:db8::1]:8080/a/", "http://[2001:db8::1]:8080", "/a/", ""),
        ];
        for (text, server, target, name) in cases {
            let url = Url::parse(text).unwrap();
            assert_eq!((&*url.server(), url.target(), &*url.name()), (server, target, name), "{text}");
        }
        for bad in ["", "a", "ftp://h/", "https://", "https://key:secret@h/", "https://h/a b"] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn redirects_stay_as_safe_as_they_began() {
        let cases = [
            ("https://a/x", "https://b/y?z#part", Some("https://b/y")),
            ("https://a:8443/x", "/y", Some("https://a:8443/y")),
            ("http://a/x", "https://b/", Some("https://b/")),
            ("http://a/x", "http://b/", Some("http://b/")),
            ("https://a/x", "http://a/x", None),
            ("https://a/x", "//b/x", None),
            ("https://a/x", "file:///etc/passwd", None),
            ("https://a/x", "y", None),
        ];
        for (from, location, to) in cases {
            let followed = Url::parse(from).unwrap().redirected(location);
            assert_eq!(followed.ok().map(|url| url.without_query()).as_deref(), to, "{from} {location}");
        }
        let url = Url::parse("https://a/x").unwrap();
        for bad in ["//b/verify", "https://b/verify", "verify", ""] {
            assert!(url.sibling(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_hold_checksums() {
        let hex = "0123456789abcdef".repeat(4);
        let expected = checksum(&hex);
        assert!(expected.is_some());
        for name in [format!("fedora-42-{hex}.qcow2"), format!("x-{hex}.tar.gz"), format!("-{hex}.")] {
            assert_eq!(named_checksum(&name), expected, "{name}");
        }
        let none =
            [hex.clone(), format!("x-{hex}"), format!("x-{hex}0.y"), format!("x-{}.y", &hex[1..]), "-\u{e4}".into()];
        for name in none {
            assert_eq!(named_checksum(&name), None, "{name}");
        }
    }
}
