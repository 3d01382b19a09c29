//! People whose page follows a test while it runs: it polls every half minute, and reads the log when the test is over.

use super::chance::Chance;
use super::client::{Kind, Purpose};
use super::event::{Event, Label, Site, Who};
use super::rhythm::DAY;
use super::tree::{Artifact, Run, TICK};
use super::{Actor, World, people};
use std::sync::Arc;

/// What one takes a day, in the mean (measured).
pub const DAY_BYTES: f64 = 3.4e6;

/// Adds the viewers of a scenario.
pub fn enlist(world: &Arc<World>, actors: &mut Vec<Box<dyn Actor>>) {
    for number in 0..world.scenario.live_viewers {
        let mut chance = world.chance("viewer", number);
        let mut who = people::reader(world, "viewer", number + 1000, Label::LiveViewer, &mut chance);
        while who.client.kind == Kind::Text {
            who.client = Arc::new(chance.weighted(&(world.behaviour.browsers)()).clone());
        }
        actors.push(Box::new(Viewer { who, chance, at_ms: world.scenario.start_ms }));
    }
}

struct Viewer {
    who: Who,
    chance: Chance,
    at_ms: i64,
}

impl Viewer {
    /// The first of some runs that can still be joined today, and when.
    fn choose(&mut self, world: &World) -> Option<(i64, Run)> {
        let day = self.at_ms / DAY;
        let mut found: Option<(i64, Run)> = None;
        for _ in 0..6 {
            let slot = self.chance.below(u64::from(world.tree.slots())) as u32;
            let Some(run) = world.tree.run(day, slot) else { continue };
            let joins = run.start_ms + ((run.end_ms - run.start_ms) as f64 * 0.6 * self.chance.unit()) as i64;
            if joins > self.at_ms && found.as_ref().is_none_or(|(at, _)| joins < *at) {
                found = Some((joins, run));
            }
        }
        found
    }

    fn watch(&mut self, joins: i64, run: &Run, out: &mut Vec<Event>) {
        let page = run.path(Artifact::Page, 0);
        let here = self.who.page(&page);
        let from = self.chance.hits(0.8).then_some("https://github.com/");
        out.push(self.who.get(joins, Site::Logs, page).from(from, Purpose::Navigation));
        let leaves = if self.chance.hits(0.6) {
            i64::MAX
        } else {
            joins + self.chance.below((run.end_ms - joins).max(1) as u64) as i64
        };
        let mut have = 0;
        let mut at = joins + self.chance.between(80, 400) as i64;
        loop {
            self.at_ms = at + 1000;
            if at > leaves {
                return;
            }
            let list = self.who.get(at, Site::Logs, format!("{}log.chunks", run.directory));
            let list = list.from(Some(&here), Purpose::Fetch);
            let soon = at + self.chance.between(30, 200) as i64;
            if at >= run.end_ms {
                out.push(list.missing());
                let log = self.who.get(soon, Site::Logs, run.path(Artifact::Log, 0));
                out.push(log.from(Some(&here), Purpose::Fetch));
                return;
            }
            let ticks = ((at - run.start_ms) / TICK) as u64;
            out.push(list.sized(run.list_size(ticks), self.who.speed));
            self.read_parts(soon, run, ticks, &mut have, &here, out);
            at += TICK + self.chance.below(300) as i64;
        }
    }

    /// Reads what is new: the parts, from the last one back to those that are there already.
    fn read_parts(&self, at: i64, run: &Run, ticks: u64, have: &mut u64, here: &str, out: &mut Vec<Event>) {
        let mut parts = Vec::new();
        let mut left = ticks;
        while left > 0 && run.length(left) > *have {
            parts.push(run.last_part(left));
            left -= 1 << left.trailing_zeros();
        }
        for (number, (start, end)) in (0_i64..).zip(parts.into_iter().rev()) {
            let part = self.who.get(at + number * 60, Site::Logs, format!("{}log.{start}-{end}", run.directory));
            let part = part.from(Some(here), Purpose::Fetch).sized(end - start, self.who.speed);
            let known = have.saturating_sub(start);
            out.push(if known > 0 { part.ranged(known, end - start - 1, self.who.speed) } else { part });
            *have = end;
        }
    }
}

impl Actor for Viewer {
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool {
        match self.choose(world) {
            Some((joins, run)) => self.watch(joins, &run, out),
            None => self.at_ms = (self.at_ms / DAY + 1) * DAY,
        }
        if self.chance.hits(0.4) {
            // Has other things to do today.
            self.at_ms = (self.at_ms / DAY + 1) * DAY;
        }
        self.at_ms < world.scenario.end_ms()
    }
}
