//! People who read logs: page by page, with what each page loads, at the hours of their time zone.

use super::chance::Chance;
use super::client::{Client, Kind, Purpose};
use super::event::{Event, Label, Site, Who};
use super::networks;
use super::rhythm::{DAY, Rhythm, SECOND};
use super::tree::{Artifact, Run};
use super::{Actor, World};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// What a page weighs in the mean, with all that it loads and that is opened from it (measured).
pub const PAGE_BYTES: f64 = 1.2e6;

/// How many pages a browser still has.
const CACHED: usize = 24;
/// How many people share one address where networks put many behind one.
const CROWD: u32 = 6;

/// Where somebody reads.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Always the same address.
    Fixed(IpAddr),
    /// A home with both families: mostly IPv6, which changes each day.
    Dual(IpAddr, u64),
    /// On the way: another address of a mobile network at each visit.
    Roaming,
}

/// Adds the people of a scenario.
pub fn enlist(world: &Arc<World>, actors: &mut Vec<Box<dyn Actor>>) {
    for number in 0..world.scenario.people {
        actors.push(Box::new(Person::new(world, number)));
    }
}

/// Somebody at a browser, and the line that it is on.
pub fn reader(world: &World, kind: &str, number: u32, label: Label, chance: &mut Chance) -> Who {
    let address = if number.is_multiple_of(4) {
        // Those who share an address share the chance that it is drawn with.
        networks::any(networks::SHARED, &mut world.chance("crowd", number / 4 / CROWD))
    } else {
        networks::any(networks::ACCESS, chance)
    };
    Who {
        actor: super::chance::hash(kind) as u32 & 0xfff0_0000 | number,
        label,
        address,
        client: Arc::new(chance.weighted(&(world.behaviour.browsers)()).clone()),
        requester: None,
        is_tls: !chance.hits(0.03),
        speed: chance.lognormal(6e6, 0.8).clamp(2e5, 1e8) as u64,
        hosts: Arc::clone(&world.hosts),
    }
}

struct Person {
    who: Who,
    chance: Chance,
    rhythm: Rhythm,
    places: Vec<Place>,
    at_ms: i64,
    /// Between two visits, in the mean.
    gap: f64,
    pages_left: u64,
    cached: VecDeque<Run>,
    icon_day: i64,
}

impl Person {
    fn new(world: &World, number: u32) -> Self {
        let mut chance = world.chance("person", number);
        let who = reader(world, "person", number, Label::Person, &mut chance);
        let mut places = vec![Place::Fixed(who.address)];
        if !number.is_multiple_of(4) && chance.hits(0.4) {
            places = vec![Place::Dual(who.address, networks::home(&mut chance))];
        }
        if chance.hits(0.25) {
            places.push(Place::Roaming);
        }
        // Some read ten times as much as others; the mean of this is 1.
        let eager = chance.lognormal(1.0, 0.8) / (0.8_f64 * 0.8 / 2.0).exp();
        let visits = (world.scenario.pages_per_person * eager / world.behaviour.pages_per_visit).max(0.01);
        let ahead = *chance.weighted(&[(6.0, 1), (2.0, 0), (3.0, -5), (1.0, -8), (1.0, 5)]);
        Self {
            who,
            rhythm: Rhythm::people(ahead),
            places,
            at_ms: world.scenario.start_ms,
            gap: DAY as f64 / visits,
            pages_left: 0,
            cached: VecDeque::new(),
            icon_day: 0,
            chance,
        }
    }

    /// Goes somewhere for the next visit.
    fn settle(&mut self) {
        self.who.address = match *self.chance.pick(&self.places) {
            Place::Fixed(address) => address,
            Place::Dual(address, _) if self.chance.hits(0.25) => address,
            Place::Dual(_, home) => {
                let day = (self.at_ms / DAY) as u64;
                networks::at_home(home, &mut Chance::new(&[home, day]))
            }
            Place::Roaming => networks::any(networks::SHARED, &mut self.chance),
        };
    }

    /// Opens the page of a run and what hangs on it.
    fn view(&mut self, world: &World, run: &Run, known: bool, from: Option<&str>, out: &mut Vec<Event>) {
        let behaviour = &world.behaviour;
        let page = run.path(Artifact::Page, 0);
        let here = self.who.page(&page);
        let get = |who: &Who, at, path| who.get(at, Site::Logs, path);
        let mut at = self.at_ms;
        let mut soon = |chance: &mut Chance| {
            at += chance.between(40, 400) as i64;
            at
        };

        let opened = get(&self.who, self.at_ms, page).from(from, Purpose::Navigation);
        if !known {
            out.push(opened);
        } else if self.chance.hits(0.6) {
            out.push(opened.unchanged());
        }
        if self.who.client.kind == Kind::Text {
            // No script runs: the log is a link.
            out.push(
                get(&self.who, soon(&mut self.chance), run.path(Artifact::Log, 0)).from(Some(&here), Purpose::Other),
            );
            return;
        }
        if self.icon_day != self.at_ms / DAY {
            self.icon_day = self.at_ms / DAY;
            let icon = get(&self.who, soon(&mut self.chance), "/favicon.ico".into());
            out.push(icon.from(Some(&here), Purpose::Image).missing());
        }
        let chunks = get(&self.who, soon(&mut self.chance), format!("{}log.chunks", run.directory));
        out.push(chunks.from(Some(&here), Purpose::Fetch).missing());
        if !known || self.chance.hits(0.3) {
            let log = get(&self.who, soon(&mut self.chance), run.path(Artifact::Log, 0));
            let log = log.from(Some(&here), Purpose::Fetch);
            out.push(if known { log.unchanged() } else { log });
        }
        for number in 0..run.failures {
            if !known && self.chance.hits(behaviour.pictures) {
                let picture = get(&self.who, soon(&mut self.chance), run.path(Artifact::Picture, number));
                out.push(picture.from(Some(&here), Purpose::Image));
            }
        }
        if run.failures > 0 && self.chance.hits(behaviour.details) {
            let artifact = *self.chance.weighted(&[(0.6, Artifact::Detail), (0.4, Artifact::Journal)]);
            let path = run.path(artifact, self.chance.below(run.failures));
            let later = at + self.chance.lognormal(15e3, 0.7) as i64;
            let detail = get(&self.who, later, path).from(Some(&here), Purpose::Navigation);
            let went_away = self.chance.hits(0.05);
            out.push(if went_away { detail.cut(65_536, self.who.speed) } else { detail });
        }
    }
}

impl Actor for Person {
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool {
        let behaviour = &world.behaviour;
        let arrives = self.pages_left == 0;
        if arrives {
            let wait = self.chance.exponential(self.gap);
            self.at_ms = self.rhythm.after(self.at_ms, wait);
            self.pages_left = self.chance.geometric(behaviour.pages_per_visit);
            self.settle();
        } else {
            self.at_ms += self.chance.lognormal(behaviour.reading.0 * 1000.0, behaviour.reading.1) as i64;
        }
        self.pages_left -= 1;

        let seen = if self.chance.hits(behaviour.again) { self.cached.len() as u64 } else { 0 };
        let known = seen > 0;
        let run = if known {
            self.cached[self.chance.below(seen) as usize].clone()
        } else {
            world.tree.recent(self.at_ms, 0.8, &mut self.chance)
        };
        let github = self.chance.hits(behaviour.from_github).then_some("https://github.com/");
        if self.chance.hits(behaviour.index_first) {
            let index = self.who.get(self.at_ms, Site::Logs, run.path(Artifact::Index, 0));
            let list = self.who.page(&index.path);
            out.push(index.from(github, Purpose::Navigation));
            self.at_ms += self.chance.between(2, 12) as i64 * SECOND;
            self.view(world, &run, known, Some(&list), out);
        } else {
            self.view(world, &run, known, github, out);
        }
        if !known {
            if self.cached.len() == CACHED {
                self.cached.pop_front();
            }
            self.cached.push_back(run);
        }
        true
    }
}

/// The browser of a scraper that shows pages: it asks for what a page needs, as people's browsers do.
pub fn load(who: &Who, at_ms: i64, run: &Run, referer: Option<&str>, chance: &mut Chance, out: &mut Vec<Event>) -> i64 {
    let page = run.path(Artifact::Page, 0);
    let here = who.page(&page);
    let mut at = at_ms;
    let get = |at, path| who.get(at, Site::Logs, path);
    out.push(get(at, page).from(referer, Purpose::Navigation));
    at += chance.between(60, 300) as i64;
    out.push(get(at, format!("{}log.chunks", run.directory)).from(Some(&here), Purpose::Fetch).missing());
    at += chance.between(60, 200) as i64;
    out.push(get(at, run.path(Artifact::Log, 0)).from(Some(&here), Purpose::Fetch));
    for number in 0..run.failures {
        at += chance.between(5, 60) as i64;
        out.push(get(at, run.path(Artifact::Picture, number)).from(Some(&here), Purpose::Image));
    }
    at
}

/// A client of a kind, to be shared.
pub fn program(kind: Kind, user_agent: &str) -> Arc<Client> {
    Arc::new(Client::program(kind, user_agent))
}
