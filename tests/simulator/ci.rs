//! CI: machines that fetch images, look what is there, upload what tests leave, and the scrape of metrics.

use super::chance::Chance;
use super::client::Kind;
use super::event::{Event, Label, Site, Who};
use super::networks::{self, Prefix};
use super::people::program;
use super::rhythm::{DAY, Rhythm};
use super::tree::{self, Artifact, Run, TICK};
use super::{Actor, World};
use std::net::IpAddr;
use std::sync::Arc;

/// The user that CI signs as.
pub const REQUESTER: &str = "arn:aws:iam::123456789012:user/ci";

/// A kind of machine: its networks, how many there are, whether it signs, whether each job has a new address, and how
/// many bytes a second it takes.
struct Fleet {
    name: &'static str,
    networks: &'static [Prefix],
    machines: u32,
    signs: f64,
    fresh: bool,
    speed: u64,
}

const FLEETS: [Fleet; 4] = [
    Fleet { name: "ec2", networks: networks::AWS_US_EAST_1, machines: 40, signs: 0.7, fresh: true, speed: 90 << 20 },
    Fleet {
        name: "ec2-eu",
        networks: networks::AWS_EU_CENTRAL_1,
        machines: 3,
        signs: 0.7,
        fresh: true,
        speed: 30 << 20,
    },
    Fleet { name: "cloud", networks: networks::CI, machines: 10, signs: 0.5, fresh: false, speed: 60 << 20 },
    Fleet {
        name: "github",
        networks: networks::GITHUB_ACTIONS,
        machines: 12,
        signs: 0.0,
        fresh: true,
        speed: 40 << 20,
    },
];
/// Which part of the bytes that are not free each fleet outside the region fetches.
const PAID: [f64; 4] = [0.0, 0.15, 0.45, 0.40];

/// Adds the machines of a scenario.
pub fn enlist(world: &Arc<World>, actors: &mut Vec<Box<dyn Actor>>) {
    let scenario = &world.scenario;
    for (fleet, paid) in FLEETS.iter().zip(PAID) {
        let bytes = if paid > 0.0 { scenario.ci_paid_bytes * paid } else { scenario.ci_free_bytes };
        // A machine that fetches less than two images a day is hardly worth its rent.
        let machines = ((bytes / 2.4e9) as u32).clamp(1, fleet.machines);
        for number in 0..machines {
            actors.push(Box::new(Machine::new(world, fleet, number, bytes / f64::from(machines))));
        }
    }
    let checkers = 8;
    for number in 0..checkers {
        let per_day = scenario.ci_checks / f64::from(checkers);
        actors.push(Box::new(Checker::new(world, number, per_day)));
    }
    for slot in 0..scenario.runs_per_day {
        actors.push(Box::new(Runner::new(world, slot)));
    }
    let who = machine(world, 900, IpAddr::from([192, 0, 2, 250]), Kind::Prometheus, "Prometheus/3.7.3");
    actors.push(Box::new(Scrape { who, at_ms: scenario.start_ms + 137_000 }));
}

fn machine(world: &World, actor: u32, address: IpAddr, kind: Kind, agent: &str) -> Who {
    Who {
        actor: 0x00c1_0000 | actor,
        label: Label::Ci,
        address,
        client: program(kind, agent),
        requester: None,
        is_tls: true,
        speed: 50 << 20,
        hosts: Arc::clone(&world.hosts),
    }
}

fn signed() -> Option<Arc<str>> {
    Some(Arc::from(REQUESTER))
}

/// The query of a presigned URL. Its signature is made up.
fn presigned(at_ms: i64, chance: &mut Chance) -> String {
    let ((year, month, day), (hour, minute, second)) =
        (super::rhythm::date(at_ms.div_euclid(DAY)), super::rhythm::clock(at_ms));
    let signature: String = (0..4).map(|_| format!("{:016x}", chance.number())).collect();
    format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F{year}{month:02}{day:02}%2Fus-east-1%2Fs3\
         %2Faws4_request&X-Amz-Date={year}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z&X-Amz-Expires=43200\
         &X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
    )
}

/// Fetches images, so many bytes a day.
struct Machine {
    who: Who,
    fleet: &'static Fleet,
    chance: Chance,
    rhythm: Rhythm,
    at_ms: i64,
    bytes_per_day: f64,
}

impl Machine {
    fn new(world: &World, fleet: &'static Fleet, number: u32, bytes_per_day: f64) -> Self {
        let mut chance = world.chance(fleet.name, number);
        let address = networks::any(fleet.networks, &mut chance);
        // Not every workflow of GitHub has image-download.
        let (kind, agent) = if fleet.signs == 0.0 && number % 4 == 3 {
            (Kind::Curl, "curl/8.5.0")
        } else {
            (Kind::Urllib, *chance.pick(&["Python-urllib/3.13", "Python-urllib/3.14", "Python-urllib/3.9"]))
        };
        let actor = super::chance::hash(fleet.name) as u32 & 0xff00 | number;
        let who = Who { speed: fleet.speed, ..machine(world, actor, address, kind, agent) };
        let at_ms = world.scenario.start_ms;
        Self { who, fleet, rhythm: Rhythm::machines(), at_ms, bytes_per_day, chance }
    }
}

impl Actor for Machine {
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool {
        if self.fleet.fresh {
            self.who.address = networks::any(self.fleet.networks, &mut self.chance);
        }
        let signs = self.chance.hits(self.fleet.signs);
        self.who.requester = signs.then(signed).flatten();
        let images = if signs { tree::IMAGES } else { tree::PRIVATE };
        let path = world.tree.image(self.at_ms, self.chance.below(images));
        let is_urllib = self.who.client.kind == Kind::Urllib;
        let asks_first = is_urllib && self.chance.hits(0.9);
        let mut job = Vec::new();
        let bytes = self.who.download(0, &path, is_urllib, &mut self.chance, &mut job);
        // It fetches when it may have fetched that much: so many bytes come in a day.
        let wait = bytes as f64 / self.bytes_per_day * DAY as f64 * (0.5 + self.chance.unit());
        self.at_ms = self.rhythm.after(self.at_ms, wait);
        if asks_first {
            out.push(self.who.get(self.at_ms, Site::Images, path).by("HEAD"));
        }
        let query = (signs && self.chance.hits(0.15)).then(|| presigned(self.at_ms, &mut self.chance));
        out.extend(job.into_iter().map(|mut event| {
            event.at_ms += self.at_ms + 250;
            event.query.clone_from(&query);
            event
        }));
        true
    }
}

/// Asks which images there are, by HEAD and sometimes by a list.
struct Checker {
    who: Who,
    chance: Chance,
    rhythm: Rhythm,
    at_ms: i64,
    per_day: f64,
}

impl Checker {
    fn new(world: &World, number: u32, per_day: f64) -> Self {
        let mut chance = world.chance("checker", number);
        let networks = *chance.pick(&[networks::AWS_US_EAST_1, networks::CI]);
        let who =
            machine(world, 800 + number, networks::any(networks, &mut chance), Kind::Urllib, "Python-urllib/3.13");
        Self { who, rhythm: Rhythm::machines(), at_ms: world.scenario.start_ms, per_day, chance }
    }
}

impl Actor for Checker {
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool {
        let count = self.chance.between(1, tree::PRIVATE);
        let wait = self.chance.exponential(count as f64 * DAY as f64 / self.per_day);
        self.at_ms = self.rhythm.after(self.at_ms, wait);
        if self.chance.hits(0.03) {
            self.who.requester = signed();
            let site = *self.chance.pick(&[Site::Images, Site::Logs]);
            let list =
                self.who.get(self.at_ms, site, "/".into()).sized(self.chance.between(900, 250_000), self.who.speed);
            out.push(Event { object_size: None, ..list.with_query("list-type=2&prefix=".into()) });
            self.who.requester = None;
        }
        for number in 0..count {
            let at = self.at_ms + number as i64 * self.chance.between(30, 200) as i64;
            out.push(self.who.get(at, Site::Images, world.tree.image(at, number)).by("HEAD"));
        }
        true
    }
}

/// Uploads what the tests of one slot leave, run after run.
struct Runner {
    who: Who,
    chance: Chance,
    slot: u32,
    day: i64,
}

impl Runner {
    fn new(world: &World, slot: u32) -> Self {
        let mut chance = world.chance("runner", slot);
        let networks = *chance.weighted(&[(0.6, networks::AWS_US_EAST_1), (0.4, networks::CI)]);
        let mut who =
            machine(world, 1000 + slot, networks::any(networks, &mut chance), Kind::Urllib, "Python-urllib/3.13");
        who.requester = signed();
        Self { who, chance, slot, day: world.scenario.start_ms / DAY }
    }

    fn put(&self, at_ms: i64, path: String, size: u64) -> Event {
        self.who.get(at_ms, Site::Logs, path).sized(size, self.who.speed).by("PUT")
    }

    fn upload(&mut self, run: &Run, out: &mut Vec<Event>) {
        let list = format!("{}log.chunks", run.directory);
        let file = |artifact, number| {
            let path = run.path(artifact, number);
            let size = tree::size_of(&path);
            (path, size)
        };
        let (page, size) = file(Artifact::Page, 0);
        out.push(self.put(run.start_ms, page, size));
        for tick in 1..run.ticks() {
            let at = run.start_ms + tick as i64 * TICK - self.chance.between(1, 200) as i64;
            let (start, end) = run.last_part(tick);
            out.push(self.put(at, format!("{}log.{start}-{end}", run.directory), end - start));
            out.push(self.put(at + 40, list.clone(), run.list_size(tick)));
        }
        let mut files = vec![file(Artifact::Log, 0)];
        for number in 0..run.failures {
            files.extend(
                [Artifact::Picture, Artifact::Detail, Artifact::Journal].map(|artifact| file(artifact, number)),
            );
        }
        files.push(file(Artifact::Index, 0));
        for (number, (path, size)) in (0_i64..).zip(files) {
            out.push(self.put(run.end_ms - 2000 + number * 60, path, size));
        }
        out.push(self.put(run.end_ms, list, 0).by("DELETE"));
    }
}

impl Actor for Runner {
    fn act(&mut self, world: &World, out: &mut Vec<Event>) -> bool {
        if let Some(run) = world.tree.run(self.day, self.slot) {
            self.upload(&run, out);
        }
        self.day += 1;
        self.day * DAY < world.scenario.end_ms()
    }
}

/// Prometheus, each quarter of an hour.
struct Scrape {
    who: Who,
    at_ms: i64,
}

impl Actor for Scrape {
    fn act(&mut self, _: &World, out: &mut Vec<Event>) -> bool {
        out.push(self.who.get(self.at_ms, Site::Logs, "/prometheus".into()));
        self.at_ms += DAY / 96;
        true
    }
}
