//! What is remembered about clients and measured about the machine, as far as policy reads it.
//!
//! Policy is a function of a request's facts and of this state. Reading never waits: what has to be looked up first is
//! unknown until then, and a match on it is undecided.

use crate::clock::Timestamp;
use crate::decisions::Decision;
use crate::facts::{Client, Fact};
use crate::network::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// No record holds more strikes, so that ten half-lives later nothing is left of any.
pub const MOST_STRIKES: f64 = 100.0;

/// Where prefixes stand in the draw of an hour is below this.
pub const SAMPLE_POINTS: u64 = 1 << 63;

/// State that policy reads. All methods return at once and take no lock for long. What an implementation does not say is
/// unknown.
pub trait State: Send + Sync {
    /// What an operator has decided about `client`, beside the policy. Where nobody can decide, nothing.
    fn decided(&self, _client: &Client, _now: Timestamp) -> Option<Arc<Decision>> {
        None
    }

    /// The strikes on the record of `prefix`, decayed until `now`. At least 0.
    fn strikes(&self, _prefix: IpNet, _now: Timestamp) -> Fact<f64> {
        Fact::Unknown
    }

    /// The load averages over 1, 5 and 15 minutes, as the kernel counts them.
    fn load(&self) -> Fact<[f64; 3]> {
        Fact::Unknown
    }

    /// Since when the evidence says that rules of mode `auto` are enforced; absent while it says that they are not, and
    /// unknown where nobody collects any.
    fn evidence(&self) -> Fact<Timestamp> {
        Fact::Unknown
    }

    /// Where `prefix` stands in the draw of the hour of `now`: as likely at any point below [`SAMPLE_POINTS`], and the same
    /// at every gateway with the same pass keys. Those below a share of it are the sample.
    fn sample_point(&self, _prefix: IpNet, _now: Timestamp) -> Fact<u64> {
        Fact::Unknown
    }

    /// The country (ISO 3166-1 alpha-2, upper case) that a database places `address` in.
    fn country(&self, _address: IpAddr) -> Fact<[u8; 2]> {
        Fact::Unknown
    }

    /// The number of the autonomous system that announces `address`.
    fn asn(&self, _address: IpAddr) -> Fact<u32> {
        Fact::Unknown
    }

    /// Whether the DNS block list `zone` lists `address`.
    fn is_listed(&self, _zone: &str, _address: IpAddr) -> Fact<bool> {
        Fact::Unknown
    }

    /// Whether a name that `address` resolves to, and that resolves back to it, is one of `domains` or below one.
    fn has_name_in(&self, _domains: &[String], _address: IpAddr) -> Fact<bool> {
        Fact::Unknown
    }

    /// How suspicious the client in `prefix` with this User-Agent is by what it did before, from 0 to 1.
    fn suspicion(&self, _prefix: IpNet, _user_agent: &str, _now: Timestamp) -> Fact<f64> {
        Fact::Unknown
    }

    /// Whether somebody in `prefix` fetched `path` of `site` within the last hours.
    fn has_fetched(&self, _prefix: IpNet, _site: &str, _path: &str) -> Fact<bool> {
        Fact::Unknown
    }
}

/// One request with its answer, as far as memory goes.
#[derive(Debug, Clone, Copy)]
pub struct Fetch<'a> {
    /// When it came.
    pub at: Timestamp,
    /// Where it came from.
    pub prefix: IpNet,
    /// The User-Agent; empty where there is none.
    pub user_agent: &'a str,
    /// The site.
    pub site: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// The path that the Referer names, where it is of the same site.
    pub referer: Option<&'a str>,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of its body, as far as they are known when it begins.
    pub bytes: u64,
}

impl Fetch<'_> {
    /// Whether it found what it asked for.
    pub fn is_found(&self) -> bool {
        matches!(self.status, 200..=399)
    }
}

/// State that also takes notes.
pub trait Memory: State {
    /// Adds `strikes` to the record of `prefix`.
    fn strike(&self, prefix: IpNet, strikes: f64, now: Timestamp);

    /// Notes what somebody asked for.
    fn note_fetch(&self, fetch: &Fetch<'_>);
}

/// Knows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Blank;

impl State for Blank {}
