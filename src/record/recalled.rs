//! State as it is on record.

use super::Answers;
use super::noting::{
    ASN, COUNTRY, DECIDED, DECIDED_OF_STRANGERS, EVIDENCE, LOAD, NONE, SAMPLE_POINT, STRIKES, SUSPICION, UNKNOWN,
    listed, named,
};
use crate::clock::Timestamp;
use crate::decisions::{Decision, Kind};
use crate::facts::{Client, Fact};
use crate::network::IpNet;
use crate::state::State;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// State that answers what it answered then; what it was not asked then another one is asked.
#[derive(Clone, Copy)]
pub struct Recalled<'r> {
    answers: &'r Answers,
    otherwise: &'r dyn State,
    /// Whether strikes are those of then, which another policy may not have given.
    strikes: bool,
    /// Whether protection is held back as it was: by operators, for lack of evidence, and where there is a sample.
    held_back: bool,
}

impl<'r> Recalled<'r> {
    /// All as it was.
    pub fn new(answers: &'r Answers, otherwise: &'r dyn State) -> Self {
        Recalled { answers, otherwise, strikes: true, held_back: true }
    }

    /// As if whatever policy decides were enforced. `strikes` says whether those of then count.
    pub fn as_if_enforced(self, strikes: bool) -> Self {
        Recalled { strikes, held_back: false, ..self }
    }

    fn answer<T>(&self, question: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Fact<T>> {
        match &**self.answers.get(question)? {
            UNKNOWN => Some(Fact::Unknown),
            NONE => Some(Fact::Absent),
            text => read(text).map(Fact::Present),
        }
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

impl State for Recalled<'_> {
    fn decided(&self, client: &Client, now: Timestamp) -> Option<Arc<Decision>> {
        if !self.held_back {
            return self.otherwise.decided(client, now);
        }
        let kind = self.answers.get(if client.trusted { DECIDED } else { DECIDED_OF_STRANGERS })?;
        let (until, nobody) = (Timestamp(u64::MAX), || Arc::from(""));
        let decision =
            Decision { kind: Kind::of(kind)?, prefix: None, since: now, until, who: nobody(), reason: nobody() };
        Some(Arc::new(decision))
    }

    fn strikes(&self, prefix: IpNet, now: Timestamp) -> Fact<f64> {
        let recorded = self.strikes.then(|| self.answer(STRIKES, number)).flatten();
        recorded.unwrap_or_else(|| self.otherwise.strikes(prefix, now))
    }

    fn load(&self) -> Fact<[f64; 3]> {
        let read = |text: &str| {
            let mut loads = text.split(' ').map(number);
            Some([loads.next()??, loads.next()??, loads.next()??])
        };
        self.answer(LOAD, read).unwrap_or_else(|| self.otherwise.load())
    }

    fn evidence(&self) -> Fact<Timestamp> {
        let recorded = self.held_back.then(|| self.answer(EVIDENCE, |text| number(text).map(Timestamp))).flatten();
        recorded.unwrap_or_else(|| self.otherwise.evidence())
    }

    fn sample_point(&self, prefix: IpNet, now: Timestamp) -> Fact<u64> {
        let recorded = self.held_back.then(|| self.answer(SAMPLE_POINT, number)).flatten();
        recorded.unwrap_or_else(|| self.otherwise.sample_point(prefix, now))
    }

    fn country(&self, address: IpAddr) -> Fact<[u8; 2]> {
        let read = |text: &str| text.as_bytes().try_into().ok();
        self.answer(COUNTRY, read).unwrap_or_else(|| self.otherwise.country(address))
    }

    fn asn(&self, address: IpAddr) -> Fact<u32> {
        self.answer(ASN, number).unwrap_or_else(|| self.otherwise.asn(address))
    }

    fn is_listed(&self, zone: &str, address: IpAddr) -> Fact<bool> {
        self.answer(&listed(zone), number).unwrap_or_else(|| self.otherwise.is_listed(zone, address))
    }

    fn has_name_in(&self, domains: &[String], address: IpAddr) -> Fact<bool> {
        self.answer(&named(domains), number).unwrap_or_else(|| self.otherwise.has_name_in(domains, address))
    }

    fn suspicion(&self, prefix: IpNet, user_agent: &str, now: Timestamp) -> Fact<f64> {
        let recorded = self.answer(SUSPICION, number);
        recorded.unwrap_or_else(|| self.otherwise.suspicion(prefix, user_agent, now))
    }

    fn has_fetched(&self, prefix: IpNet, site: &str, path: &str) -> Fact<bool> {
        self.otherwise.has_fetched(prefix, site, path)
    }
}
