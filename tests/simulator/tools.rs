//! Programs that people run: curl for pictures, wget for directories, downloads of images, and small programs in Go.

use super::chance::Chance;
use super::client::Kind;
use super::event::{Event, Label, Site, Who};
use super::networks;
use super::people::program;
use super::rhythm::{DAY, Rhythm};
use super::tree::{self, Artifact};
use super::{Actor, World};
use std::sync::Arc;

/// What one request for logs weighs, in the mean (measured).
pub const REQUEST_BYTES: f64 = 60e3;

/// How many people use programs for logs, and for images.
const USERS: (u32, u32) = (30, 8);

/// Adds the programs of a scenario.
pub fn enlist(world: &Arc<World>, actors: &mut Vec<Box<dyn Actor>>) {
    let scenario = &world.scenario;
    let images = ((scenario.tool_image_bytes / 1e9) as u32).clamp(1, USERS.1);
    for number in 0..USERS.0 + images {
        let mut chance = world.chance("tool", number);
        let (kind, agent) = match number % 3 {
            0 => (Kind::Curl, "curl/8.15.0"),
            1 => (Kind::Wget, "Wget/1.25.0"),
            _ if number < USERS.0 => (Kind::Go, "Go-http-client/1.1"),
            _ => (Kind::Curl, "curl/8.5.0"),
        };
        let who = Who {
            actor: 0x0070_0000 | number,
            label: Label::Tool,
            address: networks::any(if chance.hits(0.3) { networks::HOSTING } else { networks::ACCESS }, &mut chance),
            client: program(kind, agent),
            requester: None,
            is_tls: !chance.hits(0.1),
            speed: chance.lognormal(10e6, 0.8).clamp(5e5, 1e8) as u64,
            hosts: Arc::clone(&world.hosts),
        };
        let (at_ms, rhythm) = (scenario.start_ms, Rhythm::people(1));
        if number < USERS.0 {
            let per_day = scenario.tool_requests / f64::from(USERS.0);
            actors.push(Box::new(Tool { who, chance, rhythm, at_ms, per_day }));
        } else {
            let bytes_per_day = scenario.tool_image_bytes / f64::from(images);
            actors.push(Box::new(Download { who, chance, rhythm, at_ms, bytes_per_day }));
        }
    }
}

/// Reads logs, so many requests a day.
struct Tool {
    who: Who,
    chance: Chance,
    rhythm: Rhythm,
    at_ms: i64,
    per_day: f64,
}

impl Actor for Tool {
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool {
        let run = world.tree.recent(self.at_ms, 2.0, &mut self.chance);
        let paths = match self.who.client.kind {
            // A list is grepped for pictures.
            Kind::Curl => [run.path(Artifact::Index, 0)]
                .into_iter()
                .chain((0..run.failures).map(|number| run.path(Artifact::Picture, number)))
                .collect(),
            // All of a directory.
            Kind::Wget => [Artifact::Index, Artifact::Page, Artifact::Log]
                .map(|artifact| run.path(artifact, 0))
                .into_iter()
                .chain((0..run.failures).flat_map(|number| {
                    [Artifact::Picture, Artifact::Detail].map(|artifact| run.path(artifact, number))
                }))
                .collect(),
            _ => vec![run.path(Artifact::Index, 0)],
        };
        let wait = self.chance.exponential(paths.len() as f64 * DAY as f64 / self.per_day);
        self.at_ms = self.rhythm.after(self.at_ms, wait);
        let mut at = self.at_ms;
        for path in paths {
            out.push(self.who.get(at, Site::Logs, path));
            at += self.chance.between(50, 900) as i64;
        }
        true
    }
}

/// Fetches images, so many bytes a day.
struct Download {
    who: Who,
    chance: Chance,
    rhythm: Rhythm,
    at_ms: i64,
    bytes_per_day: f64,
}

impl Actor for Download {
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool {
        let path = world.tree.image(self.at_ms, self.chance.below(tree::PRIVATE));
        let mut job = Vec::new();
        let bytes = self.who.download(0, &path, false, &mut self.chance, &mut job);
        let wait = bytes as f64 / self.bytes_per_day * DAY as f64 * (0.5 + self.chance.unit());
        self.at_ms = self.rhythm.after(self.at_ms, wait);
        out.extend(job.into_iter().map(|event| Event { at_ms: event.at_ms + self.at_ms, ..event }));
        true
    }
}
