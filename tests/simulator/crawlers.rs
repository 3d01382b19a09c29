//! Crawlers that say what they are, and liars among them.

use super::chance::Chance;
use super::client::Kind;
use super::event::{Event, Label, Site, Who};
use super::networks::{self, Prefix};
use super::people::program;
use super::rhythm::{DAY, Rhythm};
use super::tree::Artifact;
use super::{Actor, World};
use std::sync::Arc;

/// What one request weighs, in the mean (measured).
pub const REQUEST_BYTES: f64 = 30e3;

/// A crawler: its part of the requests, its name, its networks.
type Crawl = (f64, &'static str, &'static [Prefix]);

const GOOGLEBOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const CRAWLERS: [Crawl; 7] = [
    (
        0.28,
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.3; +https://openai.com/gptbot)",
        networks::GPTBOT,
    ),
    (
        0.22,
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
        networks::CLAUDEBOT,
    ),
    (
        0.18,
        "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; \
         Bytespider; spider-feedback@bytedance.com)",
        networks::BYTESPIDER,
    ),
    (
        0.10,
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Amazonbot/0.1; \
         +https://developer.amazon.com/support/amazonbot) Chrome/119.0.6045.214 Safari/537.36",
        networks::AMAZONBOT,
    ),
    (0.12, GOOGLEBOT, networks::GOOGLEBOT),
    (0.06, "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", networks::BINGBOT),
    // Says that it is Google's, from a machine that anybody can rent.
    (0.04, GOOGLEBOT, networks::HOSTING),
];

/// Adds the crawlers of a scenario.
pub fn enlist(world: &Arc<World>, actors: &mut Vec<Box<dyn Actor>>) {
    for (number, (part, agent, networks)) in (0..).zip(CRAWLERS) {
        let mut chance = world.chance("crawler", number);
        let who = Who {
            actor: 0x00cc_0000 | number,
            label: Label::DeclaredCrawler,
            address: networks::any(networks, &mut chance),
            client: program(Kind::Crawler, agent),
            requester: None,
            is_tls: true,
            speed: 4 << 20,
            hosts: Arc::clone(&world.hosts),
        };
        let (at_ms, per_day) = (world.scenario.start_ms, world.scenario.crawler_requests * part);
        actors.push(Box::new(Crawler { who, networks, chance, at_ms, per_day }));
    }
}

struct Crawler {
    who: Who,
    networks: &'static [Prefix],
    chance: Chance,
    at_ms: i64,
    per_day: f64,
}

impl Crawler {
    fn next(&mut self, world: &World, at: i64) -> Event {
        let run = world.tree.recent(at, 25.0, &mut self.chance);
        let get = |path| self.who.get(at, Site::Logs, path);
        let artifact = *self.chance.weighted(&[
            (0.45, Some(Artifact::Index)),
            (0.33, Some(Artifact::Page)),
            (0.08, Some(Artifact::Picture)),
            (0.02, Some(Artifact::Log)),
            (0.12, None),
        ]);
        match artifact {
            Some(Artifact::Picture) if run.failures == 0 => get(run.path(Artifact::Picture, 0)).missing(),
            Some(Artifact::Picture) => get(run.path(Artifact::Picture, self.chance.below(run.failures))),
            Some(artifact) if self.chance.hits(0.1) => get(run.path(artifact, 0)).unchanged(),
            Some(artifact) => get(run.path(artifact, 0)),
            // It has links to runs that were deleted long ago.
            None => get(run.path(Artifact::Page, 0).replacen("pull-2", "pull-1", 1)).missing(),
        }
    }
}

impl Actor for Crawler {
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool {
        let count = self.chance.between(10, 80);
        let wait = self.chance.exponential(count as f64 * DAY as f64 / self.per_day);
        self.at_ms = Rhythm::flat().after(self.at_ms, wait);
        self.who.address = networks::any(self.networks, &mut self.chance);
        if self.chance.hits(0.15) {
            out.push(self.who.get(self.at_ms, Site::Logs, "/robots.txt".into()).missing());
        }
        let mut at = self.at_ms;
        for _ in 0..count {
            at += self.chance.between(100, 1500) as i64;
            let event = self.next(world, at);
            out.push(event);
        }
        true
    }
}
