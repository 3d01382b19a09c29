//! Records that wait: they own their texts, and share what many of them have in common.

use super::judge::Past;
use crate::clock::Timestamp;
use crate::facts::{Fact, HttpVersion, Identity};
use crate::hashing::{IsHash, Quick};
use crate::traffic::Billed;
use crate::verdict::Done;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Kinds of records of which a reader keeps one copy.
const KINDS: usize = 20_000;

/// What many records have in common.
#[derive(Debug, PartialEq, Hash)]
pub(super) struct Kind<T> {
    pub site: T,
    pub source: T,
    pub method: T,
    pub tells_query: bool,
    pub host: Fact<T>,
    pub identity: Identity,
    pub client_name: Fact<T>,
    pub user_agent: Fact<T>,
    pub version: Fact<HttpVersion>,
    pub secure: Fact<bool>,
    pub ja4: Fact<T>,
    pub region: T,
}

impl<T: AsRef<str>> Kind<T> {
    /// The same, with what `change` makes of its texts.
    fn map<'a, U>(&'a self, change: impl Fn(&'a str) -> U) -> Kind<U> {
        Kind {
            site: change(self.site.as_ref()),
            source: change(self.source.as_ref()),
            method: change(self.method.as_ref()),
            tells_query: self.tells_query,
            host: self.host.as_str().map(&change),
            identity: self.identity,
            client_name: self.client_name.as_str().map(&change),
            user_agent: self.user_agent.as_str().map(&change),
            version: self.version,
            secure: self.secure,
            ja4: self.ja4.as_str().map(&change),
            region: change(self.region.as_ref()),
        }
    }
}

/// A record that owns its texts.
#[derive(Debug)]
pub(super) struct Owned {
    pub kind: Arc<Kind<Arc<str>>>,
    pub took: Duration,
    pub address: IpAddr,
    /// Path, query and Referer, one after the other.
    pub texts: Box<str>,
    pub path: u32,
    pub target: u32,
    pub referer: Fact<()>,
    pub status: u16,
    pub bytes: u64,
    pub billed: Billed,
}

impl Owned {
    pub(super) fn past(&self, at: Timestamp) -> Past<'_> {
        let (target, referer) = self.texts.split_at(self.target as usize);
        let (path, query) = target.split_at(self.path as usize);
        let kind = &*self.kind;
        Past {
            at,
            took: self.took,
            address: self.address,
            site: kind.site.clone(),
            source: kind.source.clone(),
            method: &kind.method,
            path,
            query: if kind.tells_query { Fact::Present(query.trim_start_matches('?')) } else { Fact::Unknown },
            host: kind.host.as_str(),
            identity: kind.identity,
            client_name: kind.client_name.as_str(),
            user_agent: kind.user_agent.as_str(),
            referer: self.referer.map(|()| referer),
            version: kind.version,
            secure: kind.secure,
            ja4: kind.ja4.as_str(),
            done: Done::Allow,
            status: self.status,
            bytes: self.bytes,
            billed: self.billed,
            region: kind.region.clone(),
        }
    }
}

/// One copy of each kind of records.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    keys: Quick,
    known: HashMap<u64, Arc<Kind<Arc<str>>>, IsHash>,
}

impl Kinds {
    /// The one copy of `kind`.
    pub(super) fn get(&mut self, kind: &Kind<&str>) -> Arc<Kind<Arc<str>>> {
        let hash = self.keys.hash_one(kind);
        if let Some(known) = self.known.get(&hash).filter(|known| known.map(|text| text) == *kind) {
            return known.clone();
        }
        if self.known.len() >= KINDS {
            self.known.clear();
        }
        let shared = Arc::new(kind.map(Arc::from));
        self.known.insert(hash, shared.clone());
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_copy() {
        let kind = |user_agent| Kind {
            site: "logs",
            source: "bucket",
            method: "GET",
            tells_query: true,
            host: Fact::Unknown,
            identity: Identity::None,
            client_name: Fact::Absent,
            user_agent,
            version: Fact::Unknown,
            secure: Fact::Unknown,
            ja4: Fact::Unknown,
            region: "",
        };
        let mut kinds = Kinds::default();
        let [first, again] = [(), ()].map(|()| kinds.get(&kind(Fact::Present("curl/8"))));
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(first.user_agent.as_str(), Fact::Present("curl/8"));
        let others = [Fact::Present(""), Fact::Absent, Fact::Unknown].map(|agent| kinds.get(&kind(agent)));
        assert_eq!(
            others.each_ref().map(|other| other.user_agent.as_str()),
            [Fact::Present(""), Fact::Absent, Fact::Unknown]
        );
    }
}
