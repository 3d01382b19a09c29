//! Sites: what a request addresses.

use crate::clock::Throttle;
use crate::origin::{Changing, Origin};
use crate::path::CanonicalPath;
use pingora::protocols::tls::CaType;
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What a client addresses, and the origins behind it.
#[derive(Debug)]
pub struct Site {
    /// The name in policies, metrics and the access log.
    pub name: Arc<str>,
    /// Host names, lower case, without port. Empty together with `prefix`: any host.
    pub hosts: Vec<String>,
    /// The path prefix, without `/` at its end.
    pub prefix: Option<String>,
    /// Whether its objects are listed for clients that sign.
    pub lists: bool,
    /// Where the objects are: the next one is tried on a miss.
    pub origins: Vec<Arc<Origin>>,
    /// Which of its objects change; all may where nothing is said.
    pub changing: Option<Changing>,
    /// When its origins are compared; never where it is absent.
    pub compare: Option<Compare>,
    /// For each origin, the certificates that it is trusted by instead of the system's.
    pub authorities: Vec<Option<Arc<CaType>>>,
}

/// When origins are compared.
#[derive(Debug)]
pub struct Compare {
    /// How often.
    pub every: Throttle,
    /// One object at a time.
    pub turn: Arc<Semaphore>,
}

impl Compare {
    /// One object in so much time.
    pub fn new(every: Duration) -> Self {
        Compare { every: Throttle::new(every), turn: Arc::new(Semaphore::new(1)) }
    }
}

/// Certificates in the form that pingora wants. The configuration has checked that they parse.
pub fn authorities(pem: &[u8]) -> Arc<CaType> {
    CertificateDer::pem_slice_iter(pem)
        .filter_map(|certificate| certificate.ok())
        .map(|certificate| WrappedX509::new(certificate.to_vec(), parse_x509))
        .collect::<Vec<_>>()
        .into()
}

/// Why no site is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSite {
    /// No site has this host name: 421 Misdirected Request.
    Host,
    /// A site may be addressed by path here, but none has this one: 404.
    Path,
}

/// All sites of a gateway.
#[derive(Debug)]
pub struct Sites(Vec<Arc<Site>>);

impl Sites {
    /// Collects sites. Their order does not matter.
    pub fn new(sites: Vec<Site>) -> Self {
        let mut sites: Vec<_> = sites.into_iter().map(Arc::new).collect();
        // The longest prefix first, and sites of any host last.
        sites.sort_by_key(|site| {
            (site.hosts.is_empty(), std::cmp::Reverse(site.prefix.as_ref().map_or(0, String::len)))
        });
        Sites(sites)
    }

    /// Every site.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.0.iter()
    }

    fn of_host<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Arc<Site>> {
        self.0.iter().filter(move |site| site.hosts.is_empty() || site.hosts.iter().any(|known| known == host))
    }

    /// Whether `host` may address the site of this name.
    pub fn is_at(&self, host: &str, name: &str) -> bool {
        self.of_host(host).any(|site| &*site.name == name)
    }

    /// The site that `host` and `path` address, and the path below it.
    pub fn find(&self, host: &str, path: &CanonicalPath) -> Result<(Arc<Site>, CanonicalPath), NoSite> {
        let mut why = NoSite::Host;
        for site in self.of_host(host) {
            match &site.prefix {
                None => return Ok((site.clone(), path.clone())),
                Some(prefix) => match path.below(prefix) {
                    Some(rest) => return Ok((site.clone(), rest)),
                    None => why = NoSite::Path,
                },
            }
        }
        Err(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str, hosts: &[&str], prefix: Option<&str>) -> Site {
        Site {
            name: name.into(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            prefix: prefix.map(str::to_owned),
            lists: false,
            origins: Vec::new(),
            authorities: Vec::new(),
            changing: None,
            compare: None,
        }
    }

    #[test]
    fn sites_are_found_by_host_and_by_prefix() {
        let sites = Sites::new(vec![
            site("any", &[], Some("/any")),
            site("logs", &["logs.example.org"], None),
            site("a", &["shared.example.org"], Some("/a")),
            site("ab", &["shared.example.org"], Some("/a/b")),
        ]);
        let cases = [
            ("logs.example.org", "/x", Ok(("logs", "/x"))),
            ("shared.example.org", "/a/x", Ok(("a", "/x"))),
            ("shared.example.org", "/a/b/x", Ok(("ab", "/x"))),
            ("shared.example.org", "/a", Ok(("a", "/"))),
            ("shared.example.org", "/ab", Err(NoSite::Path)),
            ("else.example.org", "/any/x", Ok(("any", "/x"))),
            ("else.example.org", "/x", Err(NoSite::Path)),
        ];
        for (host, path, expected) in cases {
            let found = sites.find(host, &CanonicalPath::parse(path).unwrap());
            let found = found.as_ref().map(|(site, rest)| (&*site.name, rest.as_str())).map_err(|why| *why);
            assert_eq!(found, expected, "{host}{path}");
        }
        let sites = Sites::new(vec![site("logs", &["logs.example.org"], None)]);
        assert_eq!(sites.find("x", &CanonicalPath::parse("/").unwrap()).unwrap_err(), NoSite::Host);
    }
}
