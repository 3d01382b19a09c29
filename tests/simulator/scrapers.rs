//! Scrapers that say they are browsers: campaigns through rotating proxies, single machines that take images, and slow
//! ones that take one thing a minute.

use super::behaviour::{Disguise, Gap, Walk};
use super::chance::Chance;
use super::client::{Kind, Purpose};
use super::event::{Event, Label, Site, Who};
use super::people::{load, program};
use super::rhythm::{DAY, SECOND};
use super::tree::{self, Artifact, Run};
use super::{Actor, World, networks};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a slow crawler takes a day, in the mean (measured).
pub const SLOW_DAY_BYTES: f64 = 560e6;

/// How far back campaigns go, in days.
const HISTORY: i64 = 365;

/// Adds the scrapers of a scenario.
pub fn enlist(world: &Arc<World>, actors: &mut Vec<Box<dyn Actor>>) {
    let scenario = &world.scenario;
    let mut images = scenario.scraper_bytes * scenario.scraper_images;
    if images < 1.5e9 {
        images = 0.0;
    }
    let logs = scenario.scraper_bytes - images;
    // Sessions that run side by side.
    let lanes = if logs > 0.0 { (logs / 60e6).ceil().clamp(1.0, 2000.0) as u32 } else { 0 };
    for lane in 0..lanes {
        actors.push(Box::new(Campaign::new(world, lane, lanes, logs / f64::from(lanes))));
    }
    let machines = if images > 0.0 { ((images / 6e9) as u32).clamp(1, 12) } else { 0 };
    for number in 0..machines {
        actors.push(Box::new(Greedy::new(world, number, images / f64::from(machines))));
    }
    for number in 0..scenario.slow_crawlers {
        actors.push(Box::new(Slow::new(world, number)));
    }
}

fn scraper(world: &World, actor: u32, label: Label, kind: Kind, chance: &mut Chance) -> Who {
    Who {
        actor: 0x0bad_0000 | actor,
        label,
        address: networks::any(networks::HOSTING, chance),
        client: program(kind, chance.pick::<&str>(world.behaviour.borrowed)),
        requester: None,
        is_tls: true,
        speed: 1 << 20,
        hosts: Arc::clone(&world.hosts),
    }
}

/// One lane of a campaign: session after session, each from another address, so many bytes a day. All lanes are one
/// actor, and each walks its own part of the runs.
struct Campaign {
    who: Who,
    chance: Chance,
    at_ms: i64,
    bytes_per_day: f64,
    walk: Walk,
    /// What a wide walk takes of each run.
    kind: Artifact,
    lane: u32,
    lanes: u32,
    /// How many runs this lane has come to.
    runs: u64,
    /// The page of the last run, and which of its files are still to be taken.
    page: String,
    files: VecDeque<String>,
}

impl Campaign {
    fn new(world: &World, lane: u32, lanes: u32, bytes_per_day: f64) -> Self {
        let mut chance = world.chance("campaign", lane);
        let who = scraper(world, 0, Label::DisguisedScraper, Kind::Bare, &mut chance);
        let walk = *chance.weighted(world.behaviour.walks);
        let kind = *chance.weighted(world.behaviour.takes);
        let (at_ms, page, files) = (world.scenario.start_ms, String::new(), VecDeque::new());
        Self { who, at_ms, bytes_per_day, walk, kind, lane, lanes, runs: 0, page, files, chance }
    }

    /// The run that comes next on the walk.
    fn run(&mut self, world: &World) -> Run {
        if self.walk == Walk::Random {
            return world.tree.recent(self.at_ms, HISTORY as f64 / 4.0, &mut self.chance);
        }
        let slots = u64::from(world.tree.slots());
        let today = world.scenario.start_ms / DAY;
        loop {
            let step = self.runs * u64::from(self.lanes) + u64::from(self.lane);
            self.runs += 1;
            let day = today - 1 - (step / slots) as i64 % HISTORY;
            if let Some(run) = world.tree.run(day, (step % slots) as u32) {
                return run;
            }
        }
    }

    /// The path that comes next.
    fn path(&mut self, world: &World) -> String {
        loop {
            if let Some(path) = self.files.pop_front() {
                return path;
            }
            let run = self.run(world);
            self.page = self.who.page(&run.path(Artifact::Page, 0));
            let takes = world.behaviour.takes;
            self.files = match self.walk {
                Walk::Deep => takes.iter().flat_map(|(_, kind)| run.all(*kind)).collect(),
                Walk::Wide => run.all(self.kind).collect(),
                Walk::Random => run.all(*self.chance.weighted(takes)).take(1).collect(),
            };
        }
    }

    fn take(&mut self, world: &World, at: i64) -> Event {
        let behaviour = &world.behaviour;
        let path = self.path(world);
        let event = if self.chance.hits(behaviour.guesses) {
            let folder = &path[..=path.rfind('/').unwrap_or(0)];
            let guess = format!("{folder}{}", self.chance.pick(&["log.1", "logs/", "screenshots/", "log.txt"]));
            self.who.get(at, Site::Logs, guess).missing()
        } else {
            self.who.get(at, Site::Logs, path)
        };
        let referer = self.chance.hits(behaviour.made_up_referers).then(|| {
            let all = ["https://www.google.com/".to_owned(), self.who.page("/"), self.page.clone()];
            self.chance.pick(&all).clone()
        });
        event.from(referer.as_deref(), Purpose::Navigation)
    }

    fn pause(&mut self, gap: Gap, number: u64) -> i64 {
        let pause = match gap {
            Gap::Steady(pause) => pause,
            Gap::Jittered(median, sigma) => self.chance.lognormal(median, sigma),
            Gap::Bursts(many, pause) => {
                if number % many == many - 1 {
                    pause
                } else {
                    20.0
                }
            }
        };
        pause as i64
    }
}

impl Actor for Campaign {
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool {
        let behaviour = &world.behaviour;
        let disguise = *self.chance.weighted(behaviour.disguises);
        self.who.address = networks::any(behaviour.exits, &mut self.chance);
        self.who.speed = self.chance.lognormal(8e5, 0.6).clamp(5e4, 1e7) as u64;
        self.who.client = match disguise {
            Disguise::Bare => program(Kind::Bare, self.chance.pick::<&str>(behaviour.borrowed)),
            Disguise::Copied => program(Kind::Copied, self.chance.pick::<&str>(behaviour.borrowed)),
            Disguise::Headless => Arc::new((behaviour.headless)()),
        };
        let requests = self.chance.between(behaviour.requests_per_exit.0, behaviour.requests_per_exit.1);
        let gap = *self.chance.weighted(behaviour.gaps);
        let (mut at, mut session) = (0, Vec::new());
        if disguise == Disguise::Headless {
            // A page takes about five requests.
            for _ in 0..requests.div_ceil(5) {
                let run = self.run(world);
                at = load(&self.who, at, &run, None, &mut self.chance, &mut session);
                at += SECOND + self.pause(gap, 0);
            }
        } else {
            for number in 0..requests {
                let event = self.take(world, at);
                session.push(event);
                at += self.pause(gap, number);
            }
        }
        let bytes: u64 = session.iter().map(|event| event.bytes).sum();
        // Bytes come at an even rate, whatever a session weighs.
        let wait = bytes as f64 / self.bytes_per_day * DAY as f64 * (0.5 + self.chance.unit());
        self.at_ms += (wait as i64).max(1);
        out.extend(session.into_iter().map(|event| Event { at_ms: event.at_ms + self.at_ms, ..event }));
        true
    }
}

/// A machine that takes images, in the name of a browser.
struct Greedy {
    who: Who,
    chance: Chance,
    at_ms: i64,
    bytes_per_day: f64,
}

impl Greedy {
    fn new(world: &World, number: u32, bytes_per_day: f64) -> Self {
        let mut chance = world.chance("greedy", number);
        let who = scraper(world, 100 + number, Label::DisguisedScraper, Kind::Bare, &mut chance);
        Self { who: Who { speed: 20 << 20, ..who }, at_ms: world.scenario.start_ms, bytes_per_day, chance }
    }
}

impl Actor for Greedy {
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool {
        let number = self.chance.below(tree::IMAGES);
        let path = world.tree.image(self.at_ms, number);
        if number >= tree::PRIVATE {
            self.at_ms += 900;
            out.push(self.who.get(self.at_ms, Site::Images, path).denied());
            return true;
        }
        let mut job = Vec::new();
        let bytes = self.who.download(0, &path, false, &mut self.chance, &mut job);
        let wait = bytes as f64 / self.bytes_per_day * DAY as f64 * (0.5 + self.chance.unit());
        self.at_ms += wait as i64;
        out.extend(job.into_iter().map(|event| Event { at_ms: event.at_ms + self.at_ms, ..event }));
        true
    }
}

/// One address that takes one thing a minute.
struct Slow {
    who: Who,
    chance: Chance,
    at_ms: i64,
}

impl Slow {
    fn new(world: &World, number: u32) -> Self {
        let mut chance = world.chance("slow", number);
        let kind = chance.pick(&[Kind::Bare, Kind::Copied]).clone();
        let who = scraper(world, 200 + number, Label::SlowCrawler, kind, &mut chance);
        Self { who, at_ms: world.scenario.start_ms + chance.below(DAY as u64 / 2) as i64, chance }
    }
}

impl Actor for Slow {
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool {
        let (median, sigma) = world.behaviour.slow;
        self.at_ms += self.chance.lognormal(median * 1000.0, sigma) as i64;
        let run = world.tree.recent(self.at_ms, HISTORY as f64 / 4.0, &mut self.chance);
        let artifact = *self.chance.weighted(world.behaviour.slow_takes);
        let exists = matches!(artifact, Artifact::Page | Artifact::Log | Artifact::Index) || run.failures > 0;
        let path = run.path(artifact, self.chance.below(run.failures.max(1)));
        let event = self.who.get(self.at_ms, Site::Logs, path);
        out.push(if exists { event } else { event.missing() }.from(None, Purpose::Navigation));
        true
    }
}
