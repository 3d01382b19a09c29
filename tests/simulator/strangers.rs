//! Sessions of a week that open a page without a pass: people who solve a challenge, people who leave or wait instead,
//! scrapers that drive a browser, and scrapers that run no scripts.
//!
//! Each knows beforehand what it would do if it were challenged, so that there is a truth. What is asked in a session does
//! not matter here, so sessions are no [events](super::Event).

use super::chance::{Chance, hash};

/// Hours of a week.
const HOURS: u64 = 168;

/// Who it really is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// Somebody whose browser solves.
    Reader,
    /// Somebody who does not wait for it, or whose browser gives up.
    Leaver,
    /// Somebody who runs no scripts, and follows the link after a while.
    Waiter,
    /// A scraper that drives a browser without a head, which solves.
    Headless,
    /// A scraper that runs no scripts.
    Plain,
}

/// One session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The hour of the week.
    pub hour: u64,
    /// Its /24, as the upper three bytes of an address.
    pub prefix: u32,
    /// Its User-Agent, by number.
    pub agent: u32,
    /// Who it is.
    pub who: Stranger,
}

/// How much there is of each kind.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// People at home, each on a network of its own.
    pub homes: u32,
    /// Offices, in which many people share one network.
    pub offices: u32,
    /// Networks that scrapers with a browser rotate through, an hour each.
    pub headless: u32,
    /// Networks that scrapers without scripts rotate through, an hour each.
    pub plain: u32,
    /// Machines that scrape in each hour, and call themselves by dozens of names.
    pub machines: u32,
}

impl Crowd {
    /// Four kinds of weeks: people with few scrapers, as many of each, scrapers with a browser, scrapers without scripts.
    pub const KINDS: [(&'static str, Crowd); 4] = [
        ("people", Crowd { homes: 900, offices: 10, headless: 60, plain: 90, machines: 0 }),
        ("mixed", Crowd { homes: 400, offices: 6, headless: 900, plain: 900, machines: 1 }),
        ("headless", Crowd { homes: 200, offices: 2, headless: 3000, plain: 100, machines: 2 }),
        ("plain", Crowd { homes: 200, offices: 2, headless: 60, plain: 3000, machines: 0 }),
    ];

    /// The sessions of a week.
    pub fn sessions(&self, seed: u64) -> Vec<Session> {
        let mut sessions = Vec::new();
        for number in 0..self.homes {
            let mut chance = Chance::new(&[seed, hash("home"), number.into()]);
            let (prefix, agent) = (network(&mut chance), chance.below(40) as u32);
            let habit = habit(&mut chance);
            for _ in 0..chance.geometric(3.0) {
                let hour = chance.below(7) * 24 + chance.between(6, 22);
                sessions.push(Session { hour, prefix, agent, who: habit.today(&mut chance) });
            }
        }
        for number in 0..self.offices {
            let mut chance = Chance::new(&[seed, hash("office"), number.into()]);
            let prefix = network(&mut chance);
            let habits: Vec<Habit> = (0..chance.between(4, 14)).map(|_| habit(&mut chance)).collect();
            for hour in (0..5).flat_map(|day| day * 24 + 8..day * 24 + 17) {
                for (agent, habit) in (0..).zip(&habits) {
                    if chance.hits(0.3) {
                        sessions.push(Session { hour, prefix, agent, who: habit.today(&mut chance) });
                    }
                }
            }
        }
        for (kind, count, who) in
            [("headless", self.headless, Stranger::Headless), ("plain", self.plain, Stranger::Plain)]
        {
            let mut chance = Chance::new(&[seed, hash(kind)]);
            for _ in 0..count {
                let (hour, prefix) = (chance.below(HOURS), network(&mut chance));
                let names = chance.lognormal(1.6, 0.9).clamp(1.0, 60.0) as u32;
                sessions.extend((0..names).map(|agent| Session { hour, prefix, agent, who }));
            }
        }
        for number in 0..self.machines {
            let mut chance = Chance::new(&[seed, hash("machine"), number.into()]);
            let (prefix, who) = (network(&mut chance), *chance.pick(&[Stranger::Headless, Stranger::Plain]));
            sessions.extend((0..HOURS).flat_map(|hour| (0..30).map(move |agent| Session { hour, prefix, agent, who })));
        }
        sessions
    }
}

fn network(chance: &mut Chance) -> u32 {
    chance.below(1 << 24) as u32
}

/// What somebody is used to do.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Solves { leaves: f64 },
    NoScripts { waits: f64 },
}

fn habit(chance: &mut Chance) -> Habit {
    if chance.hits(0.06) { Habit::NoScripts { waits: 0.6 } } else { Habit::Solves { leaves: chance.unit() * 0.25 } }
}

impl Habit {
    fn today(self, chance: &mut Chance) -> Stranger {
        let (turns, otherwise, mostly) = match self {
            Habit::Solves { leaves } => (leaves, Stranger::Leaver, Stranger::Reader),
            Habit::NoScripts { waits } => (waits, Stranger::Waiter, Stranger::Leaver),
        };
        if chance.hits(turns) { otherwise } else { mostly }
    }
}
