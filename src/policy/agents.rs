//! What a User-Agent says by its text alone, found once: few of them are behind most requests.

use super::atoms::AtomId;
use super::signals::Browser;
use crate::hashing::quick_hash;
use std::fmt;

/// Sets of places; a text has its place in one of them.
const SETS: usize = 64;
/// Places of a set.
const WAYS: usize = 4;
/// Longer texts are looked at anew each time, in bytes.
const LONGEST: usize = 256;
/// As are those in which more patterns are found.
const MOST: usize = 16;

/// What is known of one text.
#[derive(Clone)]
pub struct Agent {
    hash: u64,
    length: usize,
    text: [u8; LONGEST],
    count: usize,
    found: [AtomId; MOST],
    browser: Option<Browser>,
}

impl Agent {
    const EMPTY: Agent =
        Agent { hash: 0, length: usize::MAX, text: [0; LONGEST], count: 0, found: [0; MOST], browser: None };

    fn is(&self, hash: u64, text: &str) -> bool {
        self.hash == hash && self.text.get(..self.length) == Some(text.as_bytes())
    }

    /// The atoms that were found.
    pub fn found(&self) -> &[AtomId] {
        &self.found[..self.count]
    }

    /// The browser that it claims to be.
    pub fn browser(&self) -> Option<Browser> {
        self.browser
    }
}

/// The texts that came last, in memory of fixed size.
#[derive(Clone)]
pub struct Agents {
    places: Box<[Agent]>,
    /// The place of each set that the next newcomer takes.
    next: [u8; SETS],
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Agents")
    }
}

impl Agents {
    /// None is known yet.
    pub fn new() -> Self {
        Agents { places: vec![Agent::EMPTY; SETS * WAYS].into_boxed_slice(), next: [0; SETS] }
    }

    /// What is known in this place.
    pub fn at(&self, place: usize) -> &Agent {
        &self.places[place]
    }

    /// The place of `text`; for a new one `find` reports the atoms that it holds, some more than once. `None` where that is
    /// more than can be remembered.
    pub fn place(&mut self, text: &str, find: impl FnOnce(&mut dyn FnMut(AtomId))) -> Option<usize> {
        if text.len() > LONGEST {
            return None;
        }
        let hash = quick_hash(text);
        let set = hash as usize % SETS;
        let ways = set * WAYS..(set + 1) * WAYS;
        if let Some(place) = ways.clone().find(|place| self.places[*place].is(hash, text)) {
            return Some(place).filter(|place| self.places[*place].count <= MOST);
        }
        let place = ways.start + usize::from(self.next[set]);
        let agent = &mut self.places[place];
        self.next[set] = (self.next[set] + 1) % WAYS as u8;
        (agent.hash, agent.length, agent.count) = (hash, text.len(), 0);
        agent.text[..text.len()].copy_from_slice(text.as_bytes());
        agent.browser = Browser::claimed(text);
        find(&mut |atom| {
            if !agent.found.iter().take(agent.count).any(|known| *known == atom) {
                if let Some(place) = agent.found.get_mut(agent.count) {
                    *place = atom;
                }
                agent.count += 1;
            }
        });
        (agent.count <= MOST).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known of `text`, in which each of `atoms` is found, and whether it was looked at.
    fn get(agents: &mut Agents, text: &str, atoms: &[AtomId]) -> (Option<Vec<AtomId>>, bool) {
        let mut looked = false;
        let place = agents.place(text, |report| {
            looked = true;
            atoms.iter().for_each(|atom| report(*atom));
        });
        (place.map(|place| agents.at(place).found().to_vec()), looked)
    }

    #[test]
    fn a_text_is_looked_at_once_unless_it_holds_too_much() {
        let mut agents = Agents::new();
        assert_eq!(get(&mut agents, "curl/8", &[3, 1, 3]), (Some(vec![3, 1]), true));
        assert_eq!(get(&mut agents, "curl/8", &[]), (Some(vec![3, 1]), false));
        assert_eq!(get(&mut agents, "", &[]), (Some(vec![]), true));
        let many: Vec<AtomId> = (0..=MOST as AtomId).collect();
        assert_eq!(get(&mut agents, "many", &many).0, None);
        assert_eq!(get(&mut agents, "many", &many).0, None, "nor the second time");
        assert_eq!(get(&mut agents, &"x".repeat(LONGEST + 1), &[1]), (None, false));
        for number in 0..10_000 {
            let text = format!("agent-{number}");
            assert_eq!(get(&mut agents, &text, &[number]), (Some(vec![number]), true), "it has the place of another");
        }
        assert_eq!(get(&mut agents, "agent-9999", &[]), (Some(vec![9999]), false));
    }
}
