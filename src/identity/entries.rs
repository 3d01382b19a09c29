//! The clients whose proofs are accepted, and what each of them opens.

use super::bearer::{BearerProof, Bearers};
use super::certificate::{CertificateName, ShownCertificate};
use super::oidc::{KeyCell, KeySource};
use super::rejection::Rejection;
use super::signature::{AccessKey, Fault, Sent, Signed};
use crate::clock::Timestamp;
use crate::facts::Identity;
use crate::path::CanonicalPath;
use std::collections::HashMap;
use std::sync::Arc;

/// By what a client proves itself.
#[derive(Debug)]
pub enum Proof {
    /// Signatures by an access key.
    Key(AccessKey),
    /// Tokens.
    Bearer(BearerProof),
    /// Certificates with this name.
    Certificate(CertificateName),
}

/// One client.
#[derive(Debug)]
pub struct Entry {
    /// Its name in policies, limits, metrics and the access log.
    pub name: Arc<str>,
    /// By what it proves itself.
    pub proof: Proof,
    /// The sites that it may ask.
    pub sites: Vec<String>,
    /// How the paths begin that it may ask for, as texts. Any path where there is none.
    pub paths: Vec<String>,
    /// From when on it is accepted.
    pub not_before: Option<Timestamp>,
    /// From when on it is not accepted any more.
    pub expires: Option<Timestamp>,
    /// Whether everybody knows its key: then it says who published it, and nothing about who asks.
    pub public: bool,
}

impl Entry {
    /// How a client of this entry has proved itself.
    pub fn identity(&self) -> Identity {
        match self.proof {
            Proof::Key(_) if self.public => Identity::PublicKey,
            Proof::Key(_) => Identity::Signature,
            Proof::Bearer(_) => Identity::Token,
            Proof::Certificate(_) => Identity::Certificate,
        }
    }

    /// Whether it may ask for this canonical path of a site that it may ask.
    pub fn may_read(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|prefix| path.starts_with(&**prefix))
    }

    /// Whether it may ask for `path` of `site`. The bucket itself is no object: what is seen of it is up to listings.
    pub fn may_ask(&self, site: &str, path: &CanonicalPath) -> bool {
        self.sites.iter().any(|known| known == site) && (path.key().is_empty() || self.may_read(path.as_str()))
    }

    /// Whether its time has come and is not over.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|from| from <= now) && self.expires.is_none_or(|until| now < until)
    }
}

/// All clients whose proofs are accepted.
#[derive(Debug, Default)]
pub struct Roster {
    entries: Vec<Arc<Entry>>,
    by_key: HashMap<String, Arc<Entry>>,
    bearers: Bearers,
    /// Numbers of entries, in the order of the file.
    by_certificate: HashMap<CertificateName, Vec<usize>>,
}

impl Roster {
    /// Of several entries with one access key or token the first counts: the configuration has none such.
    pub fn new(entries: Vec<Entry>) -> Self {
        let entries: Vec<Arc<Entry>> = entries.into_iter().map(Arc::new).collect();
        let (mut by_key, mut proofs) = (HashMap::new(), Vec::new());
        let mut by_certificate: HashMap<_, Vec<usize>> = HashMap::new();
        for (number, entry) in entries.iter().enumerate() {
            match &entry.proof {
                Proof::Key(key) => drop(by_key.entry(key.id().to_owned()).or_insert_with(|| entry.clone())),
                Proof::Bearer(proof) => proofs.push((number, proof.clone())),
                Proof::Certificate(name) => by_certificate.entry(name.clone()).or_default().push(number),
            }
        }
        Roster { entries, by_key, bearers: Bearers::new(proofs), by_certificate }
    }

    /// The same with the cells in which the keys of issuers are kept. `keys` is asked once for each issuer.
    pub fn with_keys(self, keys: impl FnMut(&KeySource) -> Arc<KeyCell>) -> Self {
        Roster { bearers: self.bearers.with_keys(keys), ..self }
    }

    /// Every entry, in the order of the file.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|entry| &**entry)
    }

    /// Whose signature a request bears, which claims to bear one.
    ///
    /// # Errors
    /// Says what is wrong with it. Such a request is not an anonymous one.
    pub fn verify(&self, sent: Sent<'_>, now: Timestamp) -> Result<Arc<Entry>, Fault> {
        let signed = Signed::read(sent, |key| self.by_key.contains_key(key))?;
        let entry = self.by_key.get(signed.key()).ok_or(Fault::UnknownKey)?;
        let Proof::Key(key) = &entry.proof else { return Err(Fault::UnknownKey) };
        if !entry.is_valid(now) {
            return Err(Fault::KeyTime);
        }
        signed.verify(key, now)?;
        Ok(entry.clone())
    }

    /// Whose token this is, who may ask for `path` of `site`: of several whom it proves, the first one.
    ///
    /// # Errors
    /// Says why it is nobody's, or not now. Such a request is not an anonymous one.
    pub fn verify_token(
        &self,
        token: &str,
        site: &str,
        path: &CanonicalPath,
        now: Timestamp,
    ) -> Result<Arc<Entry>, Rejection> {
        let entry = |number: usize| self.entries.get(number).ok_or(Rejection::UnknownToken);
        let accepts = |number| match entry(number)? {
            entry if !entry.is_valid(now) => Err(Rejection::Expired),
            entry if !entry.may_ask(site, path) => Err(Rejection::Scope),
            _ => Ok(()),
        };
        entry(self.bearers.verify(token, now, accepts)?).cloned()
    }

    /// Whose certificate this is, who may ask for `path` of `site`: of several whom it names, the first one. Nobody's is no
    /// fault: it was shown to the listener, whatever is asked for by the connection.
    pub fn holder(
        &self,
        certificate: &ShownCertificate,
        site: &str,
        path: &CanonicalPath,
        now: Timestamp,
    ) -> Option<Arc<Entry>> {
        if now >= certificate.expires {
            return None;
        }
        let numbers = certificate.names.iter().filter_map(|name| self.by_certificate.get(name)).flatten();
        let accepts = |entry: &Entry| entry.is_valid(now) && entry.may_ask(site, path);
        let known = numbers.filter(|number| self.entries.get(**number).is_some_and(|entry| accepts(entry)));
        known.min().and_then(|number| self.entries.get(*number)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, key: &str, paths: &[&str]) -> Entry {
        Entry {
            name: name.into(),
            proof: Proof::Key(AccessKey::parse(&format!("{key} secret"), None).unwrap()),
            sites: vec!["images".into()],
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            not_before: Some(Timestamp(1000)),
            expires: Some(Timestamp(2000)),
            public: false,
        }
    }

    #[test]
    fn an_entry_opens_its_sites_and_paths_in_its_time() {
        let cases: [(&[&str], &str, &str, bool); 8] = [
            (&[], "images", "/a", true),
            (&[], "logs", "/a", false),
            (&["/ci/", "/fedora-"], "images", "/ci/a", true),
            (&["/ci/", "/fedora-"], "images", "/fedora-44", true),
            (&["/ci/", "/fedora-"], "images", "/ci", false),
            (&["/ci/", "/fedora-"], "images", "/cirrus", false),
            // What is seen of the bucket itself is up to listings.
            (&["/ci/"], "images", "/", true),
            (&["/ci/"], "logs", "/", false),
        ];
        for (paths, site, path, expected) in cases {
            let path = CanonicalPath::parse(path).unwrap();
            assert_eq!(entry("a", "A", paths).may_ask(site, &path), expected, "{paths:?} {site} {path:?}");
        }
        let entry = entry("a", "A", &[]);
        for (now, expected) in [(999, false), (1000, true), (1999, true), (2000, false)] {
            assert_eq!(entry.is_valid(Timestamp(now)), expected, "{now}");
        }
        assert_eq!(entry.identity(), Identity::Signature);
        assert_eq!(Entry { public: true, ..entry }.identity(), Identity::PublicKey);
    }

    #[test]
    fn a_certificate_is_its_holders_where_and_when_that_one_may_ask() {
        let by = |name: &str, certificate: CertificateName, paths: &[&str]| Entry {
            proof: Proof::Certificate(certificate),
            ..entry(name, "A", paths)
        };
        let (dns, common) = (CertificateName::Dns("ci.test".into()), CertificateName::CommonName("ci.test".into()));
        let roster = Roster::new(vec![
            by("folder", dns.clone(), &["/ci/"]),
            by("common", common.clone(), &[]),
            by("all", dns.clone(), &[]),
        ]);
        let other = CertificateName::Uri("ci.test".into());
        // names, site, path, time, whose
        type Case<'a> = (&'a [&'a CertificateName], &'a str, &'a str, u64, Option<&'a str>);
        let cases: [Case<'_>; 9] = [
            (&[&dns], "images", "/ci/a", 1500, Some("folder")),
            (&[&dns], "images", "/a", 1500, Some("all")),
            (&[&common], "images", "/ci/a", 1500, Some("common")),
            (&[&dns, &common], "images", "/a", 1500, Some("common")),
            (&[&dns], "logs", "/a", 1500, None),
            (&[&other], "images", "/a", 1500, None),
            (&[], "images", "/a", 1500, None),
            (&[&dns], "images", "/a", 999, None),
            // The certificate ends before the entry does.
            (&[&dns], "images", "/a", 1900, None),
        ];
        for (names, site, path, now, expected) in cases {
            let names = names.iter().map(|name| (*name).clone()).collect();
            let shown = ShownCertificate { names, expires: Timestamp(1900) };
            let found = roster.holder(&shown, site, &CanonicalPath::parse(path).unwrap(), Timestamp(now));
            assert_eq!(found.as_ref().map(|entry| &*entry.name), expected, "{shown:?} {site} {path} {now}");
            assert!(found.is_none_or(|entry| entry.identity() == Identity::Certificate));
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", Roster::new(vec![entry("ci", "AKID", &[])]));
        assert!(shown.contains("AKID") && !shown.contains("secret"), "{shown}");
    }
}
