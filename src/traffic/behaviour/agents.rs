//! What clients with one User-Agent are like, all together.

use super::session::Session;
use std::collections::HashMap;

/// User-Agents that are remembered. Newcomers find no place in a full table: what everybody uses was there before.
const CAP: usize = 20_000;
/// Fewer clients say nothing about the next one.
const ENOUGH: u32 = 20;

#[derive(Debug, Default)]
struct Agent {
    suspicious: u32,
    others: u32,
}

#[derive(Debug, Default)]
pub(super) struct Agents {
    known: HashMap<u64, Agent>,
}

impl Agents {
    /// Counts the session of a client with the User-Agent that hashes so.
    pub fn note(&mut self, agent: u64, session: &mut Session) {
        let Some((before, suspicious)) = session.turn() else { return };
        if self.known.len() >= CAP && !self.known.contains_key(&agent) {
            return;
        }
        let agent = self.known.entry(agent).or_default();
        let count = |agent: &mut Agent, suspicious: bool, by: i32| {
            let counter = if suspicious { &mut agent.suspicious } else { &mut agent.others };
            *counter = counter.saturating_add_signed(by);
        };
        if let Some(before) = before {
            count(agent, before, -1);
        }
        count(agent, suspicious, 1);
    }

    /// What having this User-Agent adds to the log-odds: up to 4 where nearly all with it are suspicious.
    pub fn odds(&self, agent: u64) -> f64 {
        let Some(agent) = self.known.get(&agent) else { return 0.0 };
        let all = agent.suspicious + agent.others;
        if all < ENOUGH {
            return 0.0;
        }
        let share = f64::from(agent.suspicious) / f64::from(all);
        ((share - 0.5) * 8.0).max(0.0)
    }
}
