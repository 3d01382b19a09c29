//! The very engine of live traffic, over requests of the past: what the policy would have done had it been enforced.
//!
//! Time is that of the log, for limits, strikes and passes, too. A log does not say who would have solved a challenge: whom
//! the policy takes for a person is taken to solve each one, everybody else none.

use super::logged::Logged;
use super::passes::Passes;
use super::recorded::{Agreement, Recorded};
use crate::challenge::PassSettings;
use crate::clock::{Clock, ManualClock, Throttle, Timestamp};
use crate::facts::{Client, Fact, Facts, Headers, HttpVersion, Identity};
use crate::hashing::quick_hash;
use crate::limit::{LimitSettings, Limits, Manner, Meter, Subject};
use crate::metrics::Metrics;
use crate::network::IpNet;
use crate::path::CanonicalPath;
use crate::policy::{NetworkId, Policy, ToldApart};
use crate::record::Recalled;
use crate::referer::path_at;
use crate::state::{Fetch, Memory, State};
use crate::surroundings::{Geo, StrikeSettings, Surroundings};
use crate::traffic::{Billed, Entry, Key, Would};
use crate::verdict::{Action, Class, Done, Mode, Verdict};
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Keys of each limit.
const CAP: usize = 500_000;
/// Memory forgets what is old so often, in the time of the log.
const SWEEP: Duration = Duration::from_secs(60);
/// Limits forget who is idle, in steps, after so many requests: a quiet minute of the log leaves little to forget.
const SWEEP_LIMITS: u32 = 1000;
/// Transfers that are held to be under way at once.
const MOST_TRANSFERS: usize = 100_000;

/// Whoever is as suspicious is no person.
const SUSPICIOUS: f64 = 0.8;

/// One request of the past.
#[derive(Debug, Clone)]
pub struct Past<'a> {
    /// When it came.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The client.
    pub address: IpAddr,
    /// The site that it addressed.
    pub site: Arc<str>,
    /// Where the bytes left from.
    pub source: Arc<str>,
    /// The method.
    pub method: &'a str,
    /// The path below the site, as it was sent.
    pub path: &'a str,
    /// The query without `?`.
    pub query: Fact<&'a str>,
    /// The host.
    pub host: Fact<&'a str>,
    /// How the client proved itself.
    pub identity: Identity,
    /// The name of the client's entry in the gateway file.
    pub client_name: Fact<&'a str>,
    /// The User-Agent.
    pub user_agent: Fact<&'a str>,
    /// The Referer.
    pub referer: Fact<&'a str>,
    /// The version of HTTP.
    pub version: Fact<HttpVersion>,
    /// Whether it came over TLS.
    pub secure: Fact<bool>,
    /// The JA4 fingerprint of the client's TLS.
    pub ja4: Fact<&'a str>,
    /// Whether the address may prove something.
    pub trusted: bool,
    /// What the gateway recorded of its decision.
    pub recorded: Option<&'a Recorded>,
    /// What was done with it then.
    pub done: Done,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub bytes: u64,
    /// How it was billed.
    pub billed: Billed,
    /// The region of the provider that it came from; empty where that is not known.
    pub region: Arc<str>,
}

/// A transfer that is under way until the given time.
struct Transfer(Timestamp, #[allow(dead_code, reason = "its drop gives the slot back")] Meter);

impl PartialEq for Transfer {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Transfer {}

impl PartialOrd for Transfer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Transfer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// What is judged by.
pub struct Basis {
    /// The policy. It is enforced, whatever its mode.
    pub policy: Arc<Policy>,
    /// Its limits, in the order of their ids.
    pub limits: Vec<(String, LimitSettings)>,
    /// What passes are worth.
    pub passes: PassSettings,
    /// How strikes are forgotten.
    pub strikes: StrikeSettings,
    /// Its networks, and what they are called.
    pub networks: Vec<(NetworkId, String)>,
    /// Databases of countries and autonomous systems.
    pub geo: Geo,
}

/// Judges requests of the past.
pub struct Judge {
    policy: Arc<Policy>,
    limits: Limits,
    passes: Passes,
    memory: Surroundings,
    clock: Arc<ManualClock>,
    swept: Throttle,
    /// Requests since limits forgot who is idle.
    unswept: u32,
    transfers: BinaryHeap<Reverse<Transfer>>,
    networks: ToldApart,
    nowhere: Arc<str>,
    refused: Arc<str>,
    compares: bool,
    agreement: Agreement,
}

impl Judge {
    /// Judges by `basis`. `priced` are networks that are told apart before others; `start` is before the first request.
    ///
    /// # Errors
    /// When metrics cannot be set up: a mistake of ours.
    pub fn new(basis: Basis, priced: &[String], start: Timestamp) -> Result<Self, String> {
        let Basis { policy, limits, passes, strikes, networks, geo } = basis;
        let clock = Arc::new(ManualClock::new(start));
        let metrics = Metrics::new().map_err(|error| error.to_string())?;
        let as_clock: Arc<dyn Clock> = clock.clone();
        Ok(Judge {
            policy,
            limits: Limits::new(&limits, CAP, [0; 16], &as_clock),
            passes: Passes::new(passes),
            memory: Surroundings::new(&strikes, geo, as_clock, &metrics),
            clock,
            swept: Throttle::new(SWEEP),
            unswept: 0,
            transfers: BinaryHeap::new(),
            networks: ToldApart::new(networks, priced),
            nowhere: "".into(),
            refused: "refuse".into(),
            compares: true,
            agreement: Agreement::default(),
        })
    }

    /// Has it pass over what was decided then: that is compared with one policy.
    pub fn compare_nothing(&mut self) {
        self.compares = false;
    }

    /// How verdicts compare so far with those that were recorded.
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// Judges the next request. They must come in the order of their times, or nearly so.
    pub fn judge<'a>(&mut self, past: &'a Past<'a>, path: &'a mut String) -> Entry<'a> {
        self.clock.advance_to(past.at);
        if self.swept.is_due(past.at) {
            self.memory.sweep(past.at);
        }
        self.unswept += 1;
        if self.unswept >= SWEEP_LIMITS {
            self.unswept = 0;
            self.limits.sweep();
        }
        while self.transfers.peek().is_some_and(|Reverse(transfer)| transfer.0 <= past.at) {
            self.transfers.pop();
        }

        let client = Client::new(past.address, past.trusted);
        let user_agent = past.user_agent.present().unwrap_or_default();
        let network = self.networks.first(&self.policy.networks, client.address);
        let asn = self.memory.asn(client.address).present();
        let mut entry = Entry {
            at: past.at,
            key: Key {
                site: past.site.clone(),
                source: past.source.clone(),
                class: Class::Unknown,
                rule: self.nowhere.clone(),
                done: past.done,
                would: None,
                status: u8::try_from(past.status / 100).unwrap_or(0),
                billed: past.billed,
                network: network.unwrap_or_else(|| self.nowhere.clone()),
                region: past.region.clone(),
                country: self.memory.country(client.address).present(),
                asn,
                undecided: None,
            },
            prefix: client.prefix,
            bytes: past.bytes,
            user_agent,
            path: "",
            shown: None,
        };
        let refuse = |entry: &mut Entry<'_>, refused: &Arc<str>| {
            let action = Done::Refuse.word();
            entry.key.would = Some(Would { rule: refused.clone(), action });
        };
        let Ok(canonical) = CanonicalPath::parse(past.path) else {
            refuse(&mut entry, &self.refused);
            return entry;
        };

        let holder = holder(client.address, user_agent);
        let pass = match past.identity {
            Identity::None if self.passes.holds(holder) && !self.is_suspicious(client.prefix, user_agent, past.at) => {
                self.passes.get(holder, past.at)
            }
            _ => past.recorded.and_then(|recorded| recorded.facts.pass),
        };
        let logged = Logged::new(past, self.policy.hash());
        let recalled = past.recorded.map(|recorded| Recalled::new(&recorded.state, &self.memory));
        let facts = Facts {
            now: past.at,
            site: &past.site,
            host: logged.host(),
            method: past.method,
            path: canonical.as_str(),
            query: past.query,
            client,
            identity: if pass.is_some() { Identity::Pass } else { past.identity },
            client_name: past.client_name,
            pass,
            user_agent: logged.header("user-agent"),
            headers: &logged,
            version: past.version,
            secure: past.secure,
            ja4: past.ja4,
            dialect: Fact::Unknown,
        };
        let as_if_enforced = recalled.map(|recalled| recalled.as_if_enforced(logged.is_same_policy()));
        let state = as_if_enforced.as_ref().map_or(&self.memory as &dyn State, |recalled| recalled);
        let verdict = self.policy.decide_as(Mode::Enforce, &facts, state);
        let again = recalled.zip(past.recorded).filter(|_| self.compares).map(|(recalled, recorded)| {
            let facts = Facts { identity: past.identity, pass: recorded.facts.pass, ..facts };
            (recorded, self.policy.decide(&facts, &recalled), logged.is_same_policy())
        });
        if verdict.strikes > 0.0 {
            self.memory.strike(client.prefix, verdict.strikes, past.at);
        }
        self.memory.note_fetch(&Fetch {
            at: past.at,
            prefix: client.prefix,
            user_agent,
            site: &past.site,
            path: canonical.as_str(),
            referer: referer(past),
            status: past.status,
            bytes: past.bytes,
        });
        entry.key.would = self.would(past, client, asn, &verdict, holder);
        if let Some((recorded, again, same_policy)) = again {
            let would = entry.key.would.as_ref().map(|would| would.action);
            self.agreement.note(past.at, recorded, &again, same_policy, would);
        }
        if entry.key.would.is_none() && canonical.key().is_empty() {
            refuse(&mut entry, &self.refused);
        }
        entry.key.class = verdict.class;
        entry.key.rule = verdict.rule;
        entry.key.undecided = verdict.undecided;
        *path = canonical.into_string();
        entry.path = path;
        entry
    }

    /// Whether a client does not act as people do: then it is not taken to have solved what it was taken to solve.
    pub(super) fn is_suspicious(&self, prefix: IpNet, user_agent: &str, now: Timestamp) -> bool {
        let suspicion = self.memory.suspicion(prefix, user_agent, now).present();
        suspicion.is_some_and(|suspicion| suspicion >= SUSPICIOUS)
    }

    /// What would have been done besides sending the object.
    fn would(
        &mut self,
        past: &Past<'_>,
        client: Client,
        asn: Option<u32>,
        verdict: &Verdict,
        holder: u64,
    ) -> Option<Would> {
        if let Some(rule) = self.over_limit(past, client, asn, verdict) {
            return Some(Would { rule, action: Done::Limit.word() });
        }
        let action = verdict.action.word();
        match &verdict.action {
            Action::Allow => {
                if verdict.draws_on_pass {
                    self.passes.draw(holder, past.path, past.bytes);
                }
                return None;
            }
            // Nobody knows whether it should have been.
            Action::Deny { .. } if verdict.withheld => return None,
            Action::Challenge { difficulty, .. } if verdict.class == Class::Human && past.method == "GET" => {
                self.passes.grant(holder, *difficulty, past.at);
                self.passes.draw(holder, past.path, past.bytes);
            }
            _ => {}
        }
        Some(Would { rule: verdict.rule.clone(), action })
    }

    /// Charges the limits, and says which rule's would have refused.
    fn over_limit(&mut self, past: &Past<'_>, client: Client, asn: Option<u32>, verdict: &Verdict) -> Option<Arc<str>> {
        if verdict.charges.is_empty() {
            return None;
        }
        let charges: SmallVec<[_; 4]> = verdict.charges.iter().map(|c| (&*c.limits, c.enforced)).collect();
        let shared = past.identity == Identity::PublicKey;
        let identity = past.client_name.present();
        let subject = Subject { client, site: &past.site, pass: None, identity, shared, asn };
        let signed = past.identity == Identity::Signature;
        let manner = Manner {
            never_refused: signed || past.method == "HEAD",
            patience: Duration::ZERO,
            has_body: past.method != "HEAD",
        };
        match self.limits.admit(&charges, &subject, manner) {
            Err(exceeded) => verdict.charges.get(exceeded.charge).map(|charge| charge.rule.clone()),
            Ok(admission) => {
                let meter = admission.meter;
                // Who served them did not slow them down.
                if past.took.is_zero() || self.transfers.len() >= MOST_TRANSFERS {
                    meter.ended(past.bytes);
                } else {
                    _ = meter.sent(past.bytes, Duration::ZERO);
                    self.transfers.push(Reverse(Transfer(past.at + past.took, meter)));
                }
                None
            }
        }
    }
}

/// What stands for the holder of a pass.
fn holder(address: IpAddr, user_agent: &str) -> u64 {
    quick_hash(&(address, user_agent))
}

/// The path that the Referer names, where it is of the same host. A log without hosts tells that only where both are in
/// one folder.
fn referer<'a>(past: &Past<'a>) -> Option<&'a str> {
    let referer = past.referer.present()?;
    match past.host {
        Fact::Present(host) => path_at(referer, host.rsplit_once(':').map_or(host, |(name, _)| name)),
        _ => {
            let (_, rest) = referer.split_once("://")?;
            let path = rest.find('/').map(|at| rest[at..].split(['?', '#']).next().unwrap_or_default())?;
            let folder = |path: &'a str| path.rsplit_once('/').map(|(folder, _)| folder);
            (folder(path) == folder(past.path)).then_some(path)
        }
    }
}
