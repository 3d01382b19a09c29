use super::*;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const OLD: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/103.0.0.0 Safari/537.36";

struct World {
    behaviour: Behaviour,
    now: Timestamp,
}

impl World {
    /// One in which twenty people have read a log each.
    fn new() -> Self {
        let mut world = World { behaviour: Behaviour::default(), now: Timestamp(1_760_000_000_000) };
        for person in 0..20 {
            world.read(person, &format!("/first-{person}"));
        }
        world
    }

    fn fetch(&mut self, client: u32, user_agent: &str, path: &str, referer: Option<&str>) {
        self.now = self.now + Duration::from_millis(300);
        let seen = Fetch {
            at: self.now,
            prefix: prefix(client),
            user_agent,
            site: "logs",
            path,
            referer,
            status: 200,
            bytes: 1000,
        };
        self.behaviour.note(&seen);
    }

    fn read(&mut self, person: u32, run: &str) {
        let page = format!("{run}/log.html");
        self.fetch(person, BROWSER, &page, None);
        for part in ["log.chunks", "log", "shot-1.png"] {
            self.fetch(person, BROWSER, &format!("{run}/{part}"), Some(&page));
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    fn suspicion(&self, client: u32, user_agent: &str) -> Suspicion {
        self.behaviour.suspicion(prefix(client), user_agent, self.now)
    }
}

fn prefix(client: u32) -> IpNet {
    let [_, a, b, c] = client.to_be_bytes();
    IpNet::new_assert([20 + a, b, c, 0].into(), 24)
}

#[test]
fn who_shows_pages_is_not_suspicious_however_much_they_read() {
    let mut world = World::new();
    for page in 0..60 {
        world.wait(7 + page * page % 97);
        world.read(500, &format!("/run-{page}"));
        // The moment after a page was opened says nothing.
        world.fetch(500, BROWSER, "/next/log.html", None);
        assert!(world.suspicion(500, BROWSER).score < 0.5, "{}", world.suspicion(500, BROWSER));
        world.fetch(500, BROWSER, "/next/log", Some("/next/log.html"));
    }
    assert!(world.suspicion(999, BROWSER).score < 0.1, "nothing is known of it");
}

#[test]
fn whoever_opens_pages_without_their_parts_is_found() {
    let mut world = World::new();
    for page in 0..3 {
        world.fetch(600, BROWSER, &format!("/run-{page}/log.html"), None);
        world.wait(40);
    }
    let suspicion = world.suspicion(600, BROWSER);
    assert!(suspicion.score >= 0.8 && suspicion.causes == [Cause::NoParts], "{suspicion}");

    for number in 0..8 {
        world.fetch(601, BROWSER, &format!("/run-{number}/shot-1.png"), None);
    }
    let suspicion = world.suspicion(601, BROWSER);
    assert!(suspicion.score >= 0.8 && suspicion.causes.contains(&Cause::NoPage), "{suspicion}");
    assert!(world.suspicion(0, BROWSER).score < 0.1, "people with the same browser are not");
}

#[test]
fn a_referer_to_what_was_not_opened_is_forged() {
    let mut world = World::new();
    for number in 0..8 {
        world.fetch(602, BROWSER, &format!("/run-{number}/log"), Some("/index.html"));
        world.wait(3);
    }
    let suspicion = world.suspicion(602, BROWSER);
    assert!(suspicion.score >= 0.6 && suspicion.causes.contains(&Cause::ForgedReferer), "{suspicion}");
}

#[test]
fn clockwork_and_long_walks_are_found_though_pages_are_shown() {
    let mut world = World::new();
    for number in 0..200 {
        world.fetch(603, OLD, &format!("/walk-{number}/log.html"), None);
        world.wait(9);
    }
    let suspicion = world.suspicion(603, OLD);
    for cause in [Cause::NoParts, Cause::FanOut, Cause::Regular] {
        assert!(suspicion.causes.contains(&cause), "{suspicion}");
    }
}

#[test]
fn what_all_with_one_user_agent_do_is_expected_of_the_next() {
    let mut world = World::new();
    for client in 1000..1040 {
        for page in 0..2 {
            world.fetch(client, OLD, &format!("/run-{client}-{page}/log.html"), None);
            world.wait(40);
        }
        world.fetch(client, OLD, &format!("/run-{client}/log.html"), None);
    }
    let suspicion = world.suspicion(5000, OLD);
    assert!(suspicion.score >= 0.8 && suspicion.causes == [Cause::Agent], "{suspicion}");
    assert!(world.suspicion(5000, BROWSER).score < 0.1);
}

#[test]
fn tools_need_no_disguise_and_memory_is_bounded() {
    let mut world = World::new();
    world.behaviour.cap = 100;
    for client in 0..1000 {
        world.fetch(client, BROWSER, "/x", None);
        world.fetch(client, "curl/8.5.0", "/run/log.html", None);
        assert!(world.behaviour.len() <= 100);
    }
    assert_eq!(world.suspicion(999, "curl/8.5.0"), Suspicion::default());
}
