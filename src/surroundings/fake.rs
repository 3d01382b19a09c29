//! Name servers for tests: answers from tables, and a list of what was asked.

use super::dns::{Answer, Family, Resolve, Unanswered};
use async_trait::async_trait;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
pub(super) struct Fake {
    pointers: HashMap<String, Answer<String>>,
    addresses: HashMap<String, Answer<IpAddr>>,
    failing: HashSet<String>,
    asked: Mutex<Vec<String>>,
}

impl Fake {
    pub(super) fn pointer(mut self, name: &str, ttl: Duration, names: &[&str]) -> Self {
        let records = names.iter().map(|name| (*name).to_owned()).collect();
        self.pointers.insert(name.to_owned(), Answer { records, ttl });
        self
    }

    pub(super) fn address(mut self, name: &str, ttl: Duration, addresses: &[&str]) -> Self {
        let records = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.addresses.insert(name.to_owned(), Answer { records, ttl });
        self
    }

    pub(super) fn failing(mut self, name: &str) -> Self {
        self.failing.insert(name.to_owned());
        self
    }

    pub(super) fn share(self) -> Arc<Self> {
        Arc::new(self)
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn answer<T: Clone>(
        &self,
        table: &HashMap<String, Answer<T>>,
        name: &str,
        question: String,
    ) -> Result<Answer<T>, Unanswered> {
        self.asked.lock().unwrap().push(question);
        if self.failing.contains(name) {
            return Err(Unanswered);
        }
        Ok(table.get(name).cloned().unwrap_or(Answer { records: Vec::new(), ttl: Duration::ZERO }))
    }
}

#[async_trait]
impl Resolve for Fake {
    async fn pointers(&self, name: &str) -> Result<Answer<String>, Unanswered> {
        self.answer(&self.pointers, name, name.to_owned())
    }

    async fn addresses(&self, name: &str, family: Family) -> Result<Answer<IpAddr>, Unanswered> {
        let mut answer = self.answer(&self.addresses, name, format!("{name} {family:?}"))?;
        answer.records.retain(|address| Family::of(*address) == family);
        Ok(answer)
    }
}
