//! What clients with one User-Agent are like, all together.

use super::session::Session;
use crate::hashing::IsHash;
use std::collections::HashMap;

/// User-Agents that are remembered. Newcomers find no place in a full table: what everybody uses was there before.
const CAP: usize = 20_000;
/// Fewer clients say nothing about the next one.
const ENOUGH: u32 = 20;

#[derive(Debug, Default)]
struct Agent {
    suspicious: u32,
    others: u32,
    /// Pages after which the next one came in haste, all that were followed by another, and the clients that opened them.
    hasty: u32,
    pages: u32,
    clients: u32,
}

#[derive(Debug, Default)]
pub(super) struct Agents {
    known: HashMap<u64, Agent, IsHash>,
}

impl Agents {
    /// Counts the session of a client with the User-Agent that hashes so.
    pub fn note(&mut self, agent: u64, session: &mut Session) {
        let (turn, haste) = (session.turn(), session.new_haste());
        if (turn.is_none() && haste.is_none()) || (self.known.len() >= CAP && !self.known.contains_key(&agent)) {
            return;
        }
        let agent = self.known.entry(agent).or_default();
        if let Some((hasty, pages, first)) = haste {
            agent.hasty = agent.hasty.saturating_add(hasty);
            agent.pages = agent.pages.saturating_add(pages);
            agent.clients = agent.clients.saturating_add(first.into());
        }
        let Some((before, suspicious)) = turn else { return };
        let count = |agent: &mut Agent, suspicious: bool, by: i32| {
            let counter = if suspicious { &mut agent.suspicious } else { &mut agent.others };
            *counter = counter.saturating_add_signed(by);
        };
        if let Some(before) = before {
            count(agent, before, -1);
        }
        count(agent, suspicious, 1);
    }

    /// What having this User-Agent adds to the log-odds: up to 5 where nearly all with it are suspicious.
    pub fn odds(&self, agent: u64) -> f64 {
        let Some(agent) = self.known.get(&agent) else { return 0.0 };
        let all = agent.suspicious + agent.others;
        if all < ENOUGH {
            return 0.0;
        }
        let share = f64::from(agent.suspicious) / f64::from(all);
        ((share - 0.5) * 10.0).max(0.0)
    }

    /// What it adds for a client that shows pages as browsers do: up to 5 where nearly all with it open them in haste.
    pub fn haste(&self, agent: u64) -> f64 {
        let Some(agent) = self.known.get(&agent).filter(|agent| agent.clients >= ENOUGH) else { return 0.0 };
        let share = f64::from(agent.hasty) / f64::from(agent.pages.max(1));
        ((share - 0.5) * 10.0).max(0.0)
    }
}
