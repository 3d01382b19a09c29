//! State that notes what it is asked.

use super::Answers;
use crate::clock::Timestamp;
use crate::decisions::{Decision, Kind};
use crate::facts::{Client, Fact};
use crate::network::IpNet;
use crate::state::State;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// What stands for an answer that there is nothing.
pub(super) const NONE: &str = "none";
/// What stands for an answer that nobody knows.
pub(super) const UNKNOWN: &str = "unknown";

/// Questions, as they are written.
pub(super) const STRIKES: &str = "strikes";
pub(super) const LOAD: &str = "load";
pub(super) const EVIDENCE: &str = "evidence";
pub(super) const SAMPLE_POINT: &str = "sample point";
pub(super) const COUNTRY: &str = "country";
pub(super) const ASN: &str = "asn";
pub(super) const SUSPICION: &str = "suspicion";
pub(super) const DECIDED: &str = "decided";
/// As that, of a client whose address proves nothing.
pub(super) const DECIDED_OF_STRANGERS: &str = "decided of strangers";

/// The question whether a DNS block list has an address.
pub(super) fn listed(zone: &str) -> String {
    format!("dnsbl {zone}")
}

/// The question whether an address has a name in these domains.
pub(super) fn named(domains: &[String]) -> String {
    format!("name {}", domains.join(" "))
}

/// What is noted.
#[derive(Default)]
struct Notes {
    decided: [Option<Option<Arc<Decision>>>; 2],
    strikes: Option<Fact<f64>>,
    load: Option<Fact<[f64; 3]>>,
    evidence: Option<Fact<Timestamp>>,
    sample_point: Option<Fact<u64>>,
    country: Option<Fact<[u8; 2]>>,
    asn: Option<Fact<u32>>,
    suspicion: Option<Fact<f64>>,
    looked_up: Vec<(String, Fact<bool>)>,
}

/// State for one decision, which notes all that it is asked. What it has said once it says again, so that the decision hangs
/// on its notes alone. Not noted is what was fetched: that is read for signals, which are facts on record.
pub struct Noting<'s> {
    state: &'s dyn State,
    notes: Mutex<Notes>,
}

impl<'s> Noting<'s> {
    /// Asks `state`.
    pub fn new(state: &'s dyn State) -> Self {
        Noting { state, notes: Mutex::default() }
    }

    /// What was noted.
    pub fn answers(self) -> Answers {
        let notes = self.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut answers = Answers::default();
        let decisions = [DECIDED_OF_STRANGERS, DECIDED].into_iter().zip(&notes.decided);
        // That nothing was decided goes without saying.
        for (question, decision) in decisions {
            if let Some(decision) = decision.as_ref().and_then(Option::as_ref) {
                answers.add(question, Kind::word(decision.kind).into());
            }
        }
        write(&mut answers, STRIKES, notes.strikes);
        write(&mut answers, LOAD, notes.load.map(|load| load.map(|[a, b, c]| format!("{a} {b} {c}"))));
        write(&mut answers, EVIDENCE, notes.evidence.map(|since| since.map(|since| since.0)));
        write(&mut answers, SAMPLE_POINT, notes.sample_point);
        let country = notes.country.map(|country| country.map(|code| String::from_utf8_lossy(&code).into_owned()));
        write(&mut answers, COUNTRY, country);
        write(&mut answers, ASN, notes.asn);
        write(&mut answers, SUSPICION, notes.suspicion);
        for (question, answer) in notes.looked_up {
            write(&mut answers, &question, Some(answer));
        }
        answers
    }

    fn once<T: Clone>(&self, slot: impl FnOnce(&mut Notes) -> &mut Option<T>, ask: impl FnOnce() -> T) -> T {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        slot(&mut notes).get_or_insert_with(ask).clone()
    }

    fn look_up(&self, question: String, ask: impl FnOnce() -> Fact<bool>) -> Fact<bool> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = notes.looked_up.iter().find(|(known, _)| *known == question) {
            return *answer;
        }
        let answer = ask();
        notes.looked_up.push((question, answer));
        answer
    }
}

fn write<T: Display>(answers: &mut Answers, question: &str, answer: Option<Fact<T>>) {
    match answer {
        Some(Fact::Present(value)) => answers.add(question, value.to_string().into()),
        Some(Fact::Absent) => answers.add(question, NONE.into()),
        Some(Fact::Unknown) => answers.add(question, UNKNOWN.into()),
        None => {}
    }
}

impl State for Noting<'_> {
    fn decided(&self, client: &Client, now: Timestamp) -> Option<Arc<Decision>> {
        self.once(|notes| &mut notes.decided[usize::from(client.trusted)], || self.state.decided(client, now))
    }

    fn strikes(&self, prefix: IpNet, now: Timestamp) -> Fact<f64> {
        self.once(|notes| &mut notes.strikes, || self.state.strikes(prefix, now))
    }

    fn load(&self) -> Fact<[f64; 3]> {
        self.once(|notes| &mut notes.load, || self.state.load())
    }

    fn evidence(&self) -> Fact<Timestamp> {
        self.once(|notes| &mut notes.evidence, || self.state.evidence())
    }

    fn sample_point(&self, prefix: IpNet, now: Timestamp) -> Fact<u64> {
        self.once(|notes| &mut notes.sample_point, || self.state.sample_point(prefix, now))
    }

    fn country(&self, address: IpAddr) -> Fact<[u8; 2]> {
        self.once(|notes| &mut notes.country, || self.state.country(address))
    }

    fn asn(&self, address: IpAddr) -> Fact<u32> {
        self.once(|notes| &mut notes.asn, || self.state.asn(address))
    }

    fn is_listed(&self, zone: &str, address: IpAddr) -> Fact<bool> {
        self.look_up(listed(zone), || self.state.is_listed(zone, address))
    }

    fn has_name_in(&self, domains: &[String], address: IpAddr) -> Fact<bool> {
        self.look_up(named(domains), || self.state.has_name_in(domains, address))
    }

    fn suspicion(&self, prefix: IpNet, user_agent: &str, now: Timestamp) -> Fact<f64> {
        self.once(|notes| &mut notes.suspicion, || self.state.suspicion(prefix, user_agent, now))
    }

    fn has_fetched(&self, prefix: IpNet, site: &str, path: &str) -> Fact<bool> {
        self.state.has_fetched(prefix, site, path)
    }
}
