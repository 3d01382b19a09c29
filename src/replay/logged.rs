//! What a log says of a request, as facts are read from it.

use super::judge::Past;
use crate::facts::{Fact, Headers, Recollection};

/// What a log records of headers, and what the gateway recorded besides.
pub(super) struct Logged<'a> {
    past: &'a Past<'a>,
    recorded: Option<Recollection<'a>>,
}

impl<'a> Logged<'a> {
    /// Of `past`, which a policy of this hash judges.
    pub fn new(past: &'a Past<'a>, policy: &str) -> Self {
        let recorded = past.recorded.map(|recorded| {
            let same_policy = *recorded.policy == *policy;
            Recollection { facts: &recorded.facts, same_policy }
        });
        Logged { past, recorded }
    }

    /// Whether the very policy decided then.
    pub fn is_same_policy(&self) -> bool {
        self.recorded.is_some_and(|recorded| recorded.same_policy)
    }

    /// The host.
    pub fn host(&self) -> Fact<&'a str> {
        match self.recorded.and_then(|recorded| recorded.facts.host.as_deref()) {
            Some(host) => Fact::Present(host),
            None => self.past.host,
        }
    }
}

impl Headers for Logged<'_> {
    fn header(&self, name: &str) -> Fact<&str> {
        if let Some(known) = self.recorded.and_then(|recorded| recorded.facts.header(name)) {
            return known;
        }
        match name {
            "user-agent" => self.past.user_agent,
            "referer" => self.past.referer,
            "host" => self.past.host,
            _ => Fact::Unknown,
        }
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
        let is_recorded = |name| self.recorded.is_some_and(|recorded| recorded.facts.headers.get(name).is_some());
        for (name, value) in [("user-agent", self.past.user_agent), ("referer", self.past.referer)] {
            if let (Fact::Present(value), false) = (value, is_recorded(name)) {
                visit(name, value);
            }
        }
        let Some(Recollection { facts, .. }) = self.recorded else { return false };
        for (name, text) in facts.headers.iter() {
            text.texts().iter().for_each(|text| visit(name, text));
        }
        facts.all_headers
    }

    fn as_sent(&self, _: &mut dyn FnMut(&str)) -> bool {
        false
    }

    fn recorded(&self) -> Option<Recollection<'_>> {
        self.recorded
    }
}
