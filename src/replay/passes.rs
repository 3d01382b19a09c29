//! Passes as people would have had them: who is taken for a person solves, and the pass is drawn on as live.
//!
//! A client is an address with a User-Agent: a log has no cookies.

use crate::challenge::{PassSettings, Scale};
use crate::clock::Timestamp;
use crate::hashing::IsHash;
use std::collections::HashMap;

/// Clients that are remembered. Beyond, expired passes go first, and then all: their clients solve once more.
const CAP: usize = 200_000;

#[derive(Debug, Clone, Copy)]
struct Pass {
    difficulty: u32,
    first: Timestamp,
    issued: Timestamp,
    requests: u64,
    bytes: u64,
    /// In tenths of the budget, what renewals have added.
    added: u64,
    scale: Scale,
}

/// The passes that clients hold.
#[derive(Debug)]
pub(super) struct Passes {
    settings: PassSettings,
    held: HashMap<u64, Pass, IsHash>,
}

impl Passes {
    pub(super) fn new(settings: PassSettings) -> Self {
        Passes { settings, held: HashMap::default() }
    }

    fn budget(&self, pass: &Pass) -> (u64, u64) {
        let more = |budget: u64| budget + budget / 10 * pass.added;
        (more(self.settings.requests.get().into()), more(self.settings.bytes.0))
    }

    /// Whether `client` holds a pass, be it worth anything or not.
    pub(super) fn holds(&self, client: u64) -> bool {
        self.held.contains_key(&client)
    }

    /// The difficulty of the pass that `client` holds, if it is worth anything.
    pub(super) fn get(&mut self, client: u64, now: Timestamp) -> Option<u32> {
        let pass = *self.held.get(&client)?;
        let (requests, bytes) = self.budget(&pass);
        let age = now.since(pass.issued);
        let modest = pass.requests * 2 <= requests && pass.bytes * 2 <= bytes;
        let renewable = modest && now.since(pass.first) < self.settings.renew_until;
        if age >= self.settings.per / 2 && age < self.settings.per && renewable {
            self.held.insert(client, Pass { issued: now, added: pass.added + 1, ..pass });
        }
        let good = age < self.settings.per && pass.requests < requests && pass.bytes < bytes;
        good.then_some(pass.difficulty)
    }

    /// `client` has solved a challenge.
    pub(super) fn grant(&mut self, client: u64, difficulty: u32, now: Timestamp) {
        if self.held.len() >= CAP {
            let life = self.settings.per;
            self.held.retain(|_, pass| now.since(pass.issued) < life);
            if self.held.len() >= CAP {
                self.held.clear();
            }
        }
        let pass =
            Pass { difficulty, first: now, issued: now, requests: 0, bytes: 0, added: 0, scale: Scale::default() };
        self.held.insert(client, pass);
    }

    /// Draws a request for the object at `path` and its bytes on the pass of `client`.
    pub(super) fn draw(&mut self, client: u64, path: &str, bytes: u64) {
        if let Some(pass) = self.held.get_mut(&client) {
            // A log is past: nobody can choose paths by what they hash to.
            pass.requests += pass.scale.weigh(path, &[0; 16]);
            pass.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_pass_ends_by_its_budget_or_its_time_and_modest_use_renews_it() {
        let settings = PassSettings::default();
        let start = Timestamp(1_000_000);
        let mut passes = Passes::new(settings);
        assert_eq!(passes.get(1, start), None);
        passes.grant(1, 1024, start);
        passes.grant(2, 4096, start);
        passes.grant(3, 1024, start);
        for number in 0..settings.requests.get() {
            assert_eq!(passes.get(1, start), Some(1024));
            passes.draw(1, &format!("/{number}"), 1);
        }
        assert_eq!(passes.get(1, start), None, "its requests are used up");
        passes.draw(2, "/a", settings.bytes.0);
        assert_eq!(passes.get(2, start), None, "its bytes are used up");
        assert_eq!(passes.get(3, start + MINUTE * 61), None, "it was not renewed in time");
        passes.grant(3, 1024, start);
        for minutes in (40..24 * 60).step_by(40) {
            assert_eq!(passes.get(3, start + MINUTE * minutes), Some(1024), "after {minutes} minutes");
        }
        let last = start + MINUTE * 24 * 60;
        assert_eq!((passes.get(3, last), passes.get(3, last + MINUTE * 40)), (Some(1024), None), "not for ever");
    }
}
