//! The `origins` entries of a gateway file.

use crate::document::{Decode, Diagnostics, Node, Schemas, Spanned, pattern};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

crate::settings! {
    /// One bucket of a site.
    pub struct OriginSettings {
        /// The name that appears in metrics and the access log.
        name: Spanned<String>,
        /// The bucket's URL, virtual-hosted (`https://BUCKET.s3.REGION.amazonaws.com/`) or path style
        /// (`https://s3.example.org/BUCKET/`).
        url: OriginUrl,
        /// What requests are signed with: a name from `credentials`, `chain` (the standard AWS chain) or `anonymous`.
        credentials: Option<Spanned<String>> = None,
        /// What the URLs of `redirect` rules are signed with, where that is not `credentials`: a key that may do
        /// nothing but `s3:GetObject` on what is public.
        redirect_credentials: Option<Spanned<String>> = None,
        /// The region that signatures are made for. Read from AWS host names where absent, else `us-east-1`.
        region: Option<String> = None,
        /// PEM certificates of the private CA that signed the origin's certificate, trusted instead of the system's.
        ca: Option<PathBuf> = None,
        /// How long connecting, TLS included, may take.
        connect_timeout: Duration = Duration::from_secs(5),
        /// How long the origin may be silent.
        read_timeout: Duration = Duration::from_secs(30),
        /// How long the origin may take no byte.
        write_timeout: Duration = Duration::from_secs(30),
        /// How long an idle connection is kept.
        idle_timeout: Duration = Duration::from_secs(60),
    }
}

/// A bucket's URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginUrl {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// The host name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path that keys are appended to: empty or `/BUCKET`.
    pub base: String,
}

impl OriginUrl {
    /// Reads a URL. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let uri: http::Uri = text.parse().map_err(|_| format!("`{text}` is not a URL"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("`{text}` must begin with `https://` or `http://`")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(format!("`{text}` names no host"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("a URL must not hold credentials: use `credentials`".into());
        }
        if uri.query().is_some() {
            return Err(format!("`{text}` must not have a query"));
        }
        let path = crate::path::CanonicalPath::parse(uri.path()).map_err(|error| format!("`{text}`: {error}"))?;
        Ok(OriginUrl {
            tls,
            host: host.trim_matches(['[', ']']).to_ascii_lowercase(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            base: path.encoded().trim_end_matches('/').to_owned(),
        })
    }

    /// The value of the Host header: without the scheme's own port, as it is signed.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = if self.tls { 443 } else { 80 };
        if self.port == default { host } else { format!("{host}:{}", self.port) }
    }

    /// The bucket: the first segment of a path-style URL, else what stands before `.s3` or before the first dot.
    pub fn bucket(&self) -> Option<&str> {
        match self.base.strip_prefix('/') {
            Some(base) => base.split('/').next(),
            None => {
                let aws = self.host.strip_suffix(".amazonaws.com");
                let end = aws.and_then(|host| {
                    host.find(".s3.").or(host.find(".s3-")).or(host.strip_suffix(".s3").map(str::len))
                });
                let end = end.or(self.host.find('.').filter(|_| aws.is_none()))?;
                self.host.get(..end).filter(|bucket| !bucket.is_empty())
            }
        }
    }

    /// The region in an AWS host name (`BUCKET.s3.eu-central-1.amazonaws.com`, also dual-stack).
    pub fn region(&self) -> Option<&str> {
        let host = self.host.strip_suffix(".amazonaws.com")?;
        let region = host.rsplit('.').next()?;
        (region.matches('-').count() >= 2 && !region.starts_with("s3")).then_some(region)
    }
}

impl Decode for OriginUrl {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let text = String::decode(node, diagnostics)?;
        OriginUrl::parse(&text).map_err(|message| diagnostics.error(node.position, message)).ok()
    }

    fn schema(_: &mut Schemas) -> Value {
        let examples = ["https://BUCKET.s3.REGION.amazonaws.com/", "https://s3.example.org/BUCKET/"];
        pattern("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+([/#]|$)", &examples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_style_authority_and_region() {
        let cases = [
            ("https://logs.s3.us-east-1.amazonaws.com/", "logs.s3.us-east-1.amazonaws.com", "", Some("us-east-1")),
            (
                "https://s3.dualstack.eu-central-1.amazonaws.com/b",
                "s3.dualstack.eu-central-1.amazonaws.com",
                "/b",
                Some("eu-central-1"),
            ),
            ("https://b.s3.amazonaws.com", "b.s3.amazonaws.com", "", None),
            ("http://127.0.0.1:9000/my%20bucket/", "127.0.0.1:9000", "/my%20bucket", None),
            ("https://[2001:db8::1]/b/c/", "[2001:db8::1]", "/b/c", None),
            ("http://S3.Example.org:80/b", "s3.example.org", "/b", None),
        ];
        for (text, authority, base, region) in cases {
            let url = OriginUrl::parse(text).unwrap();
            assert_eq!((&*url.authority(), &*url.base, url.region()), (authority, base, region), "{text}");
        }
        let buckets = [
            ("https://a.b-logs.s3.us-east-1.amazonaws.com/", Some("a.b-logs")),
            ("https://logs.s3.amazonaws.com/", Some("logs")),
            ("https://logs.s3-eu-west-1.amazonaws.com/", Some("logs")),
            ("https://logs.s3.dualstack.eu-west-1.amazonaws.com/", Some("logs")),
            ("https://s3.us-east-1.amazonaws.com/logs/", Some("logs")),
            ("https://s3.us-east-1.amazonaws.com/", None),
            ("https://logs.us-east-1.linodeobjects.com/", Some("logs")),
            ("http://127.0.0.1:9000/logs/deep", Some("logs")),
            ("http://localhost:9000/", None),
        ];
        for (text, bucket) in buckets {
            assert_eq!(OriginUrl::parse(text).unwrap().bucket(), bucket, "{text}");
        }
        for bad in ["", "logs", "ftp://x/", "https://", "https://key:secret@host/", "https://h/?x", "https://h/a/../b"]
        {
            assert!(OriginUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
