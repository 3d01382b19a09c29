//! Which site a record is of, and where its bytes left from.

use super::record::Record;
use crate::facts::Fact;
use crate::origin::OriginSettings;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The site of records that say neither bucket nor host.
static ANY: LazyLock<Arc<str>> = LazyLock::new(|| "site".into());
/// What words in the name of a bucket say of it, where no configuration does: the sites of the built-in policy.
const GUESSES: [(&str, &str); 4] = [("logs", "logs"), ("log", "logs"), ("images", "images"), ("image", "images")];

/// A site, as a gateway file describes it.
#[derive(Debug, Clone)]
pub struct Addressed<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its host names, lower case.
    pub hosts: Vec<String>,
    /// The prefix of its paths.
    pub prefix: Option<&'a str>,
    /// Where its objects are.
    pub origins: &'a [OriginSettings],
}

/// What a host name addresses.
#[derive(Debug, Clone)]
struct Host {
    host: String,
    prefix: Option<String>,
    site: Arc<str>,
    source: Arc<str>,
}

/// Where records belong.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Site and source by the name of a bucket.
    buckets: BTreeMap<String, (Arc<str>, Arc<str>)>,
    /// The longest prefix first.
    hosts: Vec<Host>,
    /// Sites by name, with their sources.
    sites: BTreeMap<String, (Arc<str>, Arc<str>)>,
    /// Whether the name of a bucket may tell its site.
    guess: bool,
}

/// Where a record belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The site.
    pub site: Arc<str>,
    /// Where the bytes left from: an origin, or a bucket.
    pub source: Arc<str>,
    /// How much of the path is the site's prefix.
    pub prefix: usize,
}

impl Places {
    /// Without a configuration: a bucket is a site, and its name may say which one of the built-in policy.
    pub fn guessed() -> Self {
        Places { guess: true, ..Places::default() }
    }

    /// As a gateway file says: a bucket is an origin of a site.
    pub fn of<'a>(sites: impl IntoIterator<Item = Addressed<'a>>) -> Self {
        let mut places = Places::default();
        for Addressed { name, hosts, prefix, origins } in sites {
            let site: Arc<str> = name.into();
            for origin in origins {
                if let Some(bucket) = origin.url.bucket() {
                    let source = origin.name.value.as_str().into();
                    places.buckets.entry(bucket.to_owned()).or_insert((site.clone(), source));
                }
            }
            let Some(first) = origins.first() else { continue };
            let source: Arc<str> = first.name.value.as_str().into();
            for host in hosts {
                places.hosts.push(Host {
                    host,
                    prefix: prefix.map(str::to_owned),
                    site: site.clone(),
                    source: source.clone(),
                });
            }
            places.sites.insert(name.to_owned(), (site, source));
        }
        places.hosts.sort_by_key(|host| std::cmp::Reverse(host.prefix.as_ref().map_or(0, String::len)));
        places
    }

    /// Says of which site a bucket, or a host, is.
    pub fn assign(&mut self, site: &str, bucket: &str) {
        self.buckets.insert(bucket.to_owned(), (site.into(), bucket.into()));
        let host = bucket.to_ascii_lowercase();
        self.hosts.insert(0, Host { host, prefix: None, site: site.into(), source: bucket.into() });
    }

    /// Whether `bucket` is known to be of a site.
    pub fn knows(&self, bucket: &str) -> bool {
        self.buckets.contains_key(bucket)
    }

    /// Where `record` belongs. What was found by a bucket's name is remembered.
    pub fn find(&mut self, record: &Record<'_>) -> Place {
        let place =
            |(site, source): &(Arc<str>, Arc<str>)| Place { site: site.clone(), source: source.clone(), prefix: 0 };
        if let Some(bucket) = record.bucket {
            if let Some(known) = self.buckets.get(bucket) {
                return place(known);
            }
            let found = (self.guess(bucket), Arc::from(bucket));
            self.buckets.insert(bucket.to_owned(), found.clone());
            return place(&found);
        }
        if let Some(site) = &record.site {
            if let Some(known) = self.sites.get(&**site) {
                return place(known);
            }
            let name: Arc<str> = Arc::from(&**site);
            self.sites.insert(site.to_string(), (name.clone(), name.clone()));
            return Place { site: name.clone(), source: name, prefix: 0 };
        }
        if let Fact::Present(host) = record.host {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            let is_at = |host: &&Host| {
                let below = |prefix: &String| record.path().strip_prefix(prefix.as_str());
                let is_below = |prefix: &String| below(prefix).is_some_and(|rest| rest.starts_with('/'));
                host.host.eq_ignore_ascii_case(name) && host.prefix.as_ref().is_none_or(is_below)
            };
            if let Some(host) = self.hosts.iter().find(is_at) {
                let prefix = host.prefix.as_ref().map_or(0, String::len);
                return Place { site: host.site.clone(), source: host.source.clone(), prefix };
            }
        }
        match self.sites.first_key_value() {
            // There is but one site that it can be.
            Some((_, only)) if self.sites.len() == 1 => place(only),
            _ => Place { site: ANY.clone(), source: ANY.clone(), prefix: 0 },
        }
    }

    fn guess(&self, bucket: &str) -> Arc<str> {
        let mut words = bucket.split(['-', '.', '_']).rev().filter(|_| self.guess);
        let site = words.find_map(|word| GUESSES.iter().find(|(known, _)| *known == word));
        site.map_or(bucket, |(_, site)| site).into()
    }

    /// Adds the buckets that others met.
    pub fn merge(&mut self, others: Places) {
        self.buckets.extend(others.buckets);
    }

    /// Each bucket that was met or is known, with its site.
    pub fn buckets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.buckets.iter().map(|(bucket, (site, _))| (bucket.as_str(), &**site))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use std::borrow::Cow;

    fn record<'a>(bucket: Option<&'a str>, host: Option<&'a str>, target: &'a str) -> Record<'a> {
        let host = host.into();
        Record { bucket, host, ..Record::new(Timestamp(0), Cow::Borrowed("GET"), Cow::Borrowed(target)) }
    }

    fn found(places: &mut Places, record: &Record<'_>) -> (String, String, usize) {
        let Place { site, source, prefix } = places.find(record);
        (site.to_string(), source.to_string(), prefix)
    }

    #[test]
    fn without_a_configuration_the_name_of_a_bucket_says_its_site() {
        let mut places = Places::guessed();
        places.assign("logs", "artifacts");
        let cases = [
            ("cockpit-ci-logs", "logs"),
            ("cockpit.image", "images"),
            ("images-and-logs", "logs"),
            ("backup", "backup"),
            ("catalogs", "catalogs"),
            ("artifacts", "logs"),
        ];
        for (bucket, site) in cases {
            let expected = (site.to_owned(), bucket.to_owned(), 0);
            assert_eq!(found(&mut places, &record(Some(bucket), None, "/x")), expected);
        }
        assert_eq!(found(&mut places, &record(None, None, "/x")).0, "site");
        assert_eq!(found(&mut places, &record(None, Some("ARTIFACTS:80"), "/x")).0, "logs");
    }

    #[test]
    fn a_configuration_says_it_by_bucket_host_and_prefix() {
        let origins = |urls: &[(&str, &str)]| -> Vec<OriginSettings> {
            let read = |(name, url)| {
                let text = format!("{{name: {name}, url: '{url}'}}");
                crate::document::read(&text, &mut crate::document::Diagnostics::new("x")).unwrap()
            };
            urls.iter().copied().map(read).collect()
        };
        let logs = origins(&[("aws", "https://ci-a.s3.us-east-1.amazonaws.com/")]);
        let images =
            origins(&[("aws", "https://ci-b.s3.us-east-1.amazonaws.com/"), ("linode", "https://s3.example.org/ci-c")]);
        let sites = [
            Addressed { name: "logs", hosts: vec!["logs.example.org".into()], prefix: None, origins: &logs },
            Addressed {
                name: "images",
                hosts: vec!["all.example.org".into()],
                prefix: Some("/images"),
                origins: &images,
            },
        ];
        let mut places = Places::of(sites);
        let cases = [
            (record(Some("ci-a"), None, "/x"), ("logs", "aws", 0)),
            (record(Some("ci-b"), None, "/x"), ("images", "aws", 0)),
            (record(Some("ci-c"), None, "/x"), ("images", "linode", 0)),
            (record(Some("ci-logs"), None, "/x"), ("ci-logs", "ci-logs", 0)),
            (record(None, Some("logs.example.org:443"), "/x"), ("logs", "aws", 0)),
            (record(None, Some("all.example.org"), "/images/x"), ("images", "aws", 7)),
            (record(None, Some("all.example.org"), "/imagesx"), ("site", "site", 0)),
        ];
        for (record, (site, source, prefix)) in cases {
            assert_eq!(found(&mut places, &record), (site.to_owned(), source.to_owned(), prefix), "{record:?}");
        }
        let ours = Record { site: Some(Cow::Borrowed("images")), ..record(None, None, "/x") };
        assert_eq!(found(&mut places, &ours), ("images".into(), "aws".into(), 0));
    }
}
