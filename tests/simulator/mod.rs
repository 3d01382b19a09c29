//! Labelled traffic of a site of logs and images: who asks what, when, with which headers, and who that really is.
//!
//! It knows nothing of the gateway, so that what the gateway says can be held against it. It depends on std alone and
//! repeats: one scenario, one traffic, to the byte. Memory holds what the actors are about to do, not all events.
//!
//! ```ignore
//! let scenario = Scenario::clean(7).lasting(7);
//! let mut totals = Totals::default();
//! for event in scenario.traffic() {
//!     totals.add(&event);
//! }
//! ```

#![allow(dead_code, reason = "each test, bench or example uses a part of it")]

pub mod behaviour;
pub mod chance;
pub mod ci;
pub mod client;
pub mod crawlers;
pub mod delivery;
pub mod event;
pub mod lines;
pub mod networks;
pub mod people;
pub mod rhythm;
pub mod scenario;
pub mod scrapers;
pub mod strangers;
pub mod tools;
pub mod totals;
pub mod tree;
pub mod viewers;

#[allow(unused_imports, reason = "each test, bench or example uses a part of it")]
pub use {
    behaviour::Variant,
    delivery::{Delivered, Delivery, write_s3_directory},
    event::{Event, Hosts, Label, Site},
    lines::{combined_line, s3_line},
    scenario::Scenario,
    totals::{Total, Totals},
};

use chance::Chance;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

/// What all actors see.
#[derive(Debug)]
pub struct World {
    /// The knobs.
    pub scenario: Scenario,
    /// How everybody behaves.
    pub behaviour: behaviour::Behaviour,
    /// The buckets.
    pub tree: tree::Tree,
    /// Their names.
    pub hosts: Arc<Hosts>,
}

impl World {
    /// The chance of an actor. `kind` tells kinds apart.
    pub fn chance(&self, kind: &str, number: u32) -> Chance {
        Chance::new(&[self.scenario.seed, chance::hash(kind), u64::from(number), self.scenario.variant as u64])
    }
}

/// Somebody who acts.
pub trait Actor: Send {
    /// Adds the events of the next thing to do: some hundreds at most. `false` where there is nothing more to do.
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool;
}

/// The events of a scenario, in the order of time.
pub struct Traffic {
    world: Arc<World>,
    actors: Vec<Box<dyn Actor>>,
    pending: Vec<VecDeque<Event>>,
    /// When each actor's first pending event is.
    next: BinaryHeap<Reverse<(i64, usize)>>,
    batch: Vec<Event>,
    end_ms: i64,
    served: u64,
}

impl Traffic {
    fn new(scenario: Scenario) -> Self {
        let world = Arc::new(World {
            behaviour: behaviour::Behaviour::of(scenario.variant),
            tree: tree::Tree::new(scenario.seed, scenario.runs_per_day),
            hosts: Arc::new(scenario.hosts.clone()),
            scenario,
        });
        let mut actors: Vec<Box<dyn Actor>> = Vec::new();
        people::enlist(&world, &mut actors);
        viewers::enlist(&world, &mut actors);
        ci::enlist(&world, &mut actors);
        crawlers::enlist(&world, &mut actors);
        tools::enlist(&world, &mut actors);
        scrapers::enlist(&world, &mut actors);
        let end_ms = world.scenario.end_ms();
        let pending = actors.iter().map(|_| VecDeque::new()).collect();
        let mut traffic =
            Self { world, actors, pending, next: BinaryHeap::new(), batch: Vec::new(), end_ms, served: 0 };
        for index in 0..traffic.actors.len() {
            traffic.refill(index, traffic.world.scenario.start_ms);
        }
        traffic
    }

    /// What all actors see.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// How many events are held at the moment.
    pub fn held(&self) -> usize {
        self.pending.iter().map(VecDeque::len).sum()
    }

    /// Asks an actor for what comes next; nothing of it is before `from_ms`.
    fn refill(&mut self, index: usize, from_ms: i64) {
        while self.pending[index].is_empty() {
            let goes_on = self.actors[index].act(&self.world, &mut self.batch);
            self.batch.sort_by_key(|event| event.at_ms);
            let Some(first) = self.batch.first().map(|event| event.at_ms) else {
                if goes_on { continue } else { break }
            };
            // Who is not done with the last thing does the next one later.
            let delay = (from_ms - first).max(0);
            for mut event in self.batch.drain(..) {
                event.at_ms += delay;
                if event.at_ms < self.end_ms {
                    self.pending[index].push_back(event);
                }
            }
            let is_over = first + delay >= self.end_ms;
            if is_over || !goes_on {
                break;
            }
        }
        if let Some(first) = self.pending[index].front() {
            self.next.push(Reverse((first.at_ms, index)));
        }
    }
}

impl Iterator for Traffic {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let Reverse((_, index)) = self.next.pop()?;
        let mut event = self.pending[index].pop_front()?;
        event.number = self.served;
        self.served += 1;
        match self.pending[index].front() {
            Some(following) => self.next.push(Reverse((following.at_ms, index))),
            None => self.refill(index, event.at_ms),
        }
        Some(event)
    }
}
