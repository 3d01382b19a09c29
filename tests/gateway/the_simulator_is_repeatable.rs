//! The simulated traffic that other promises are tested with: it repeats, it is in order, and its truth is exact.

use crate::simulator::client::{Kind, Purpose};
use crate::simulator::rhythm::SECOND;
use crate::simulator::{
    Delivery, Event, Label, Scenario, Site, Total, Totals, Variant, combined_line, networks, s3_line,
    write_s3_directory,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

const FAMILIES: [Variant; 2] = [Variant::Tuning, Variant::Held];

fn small(seed: u64) -> Scenario {
    Scenario::borderline(seed).scaled(0.1).lasting(3)
}

fn all_of(scenario: &Scenario) -> String {
    let line = |event: &Event| format!("{:?} {} {:?}\n", event.label, s3_line(event), event.headers());
    scenario.traffic().map(|event| line(&event)).collect()
}

fn totals(scenario: &Scenario) -> Totals {
    let mut totals = Totals::default();
    scenario.traffic().for_each(|event| totals.add(&event));
    totals
}

/// The fields of a line of a server access log.
fn fields(line: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), line);
    while !rest.is_empty() {
        let (open, close) = match rest.as_bytes()[0] {
            b'"' => (1, "\""),
            b'[' => (1, "]"),
            _ => (0, " "),
        };
        let end = rest[open..].find(close).map_or(rest.len(), |at| at + open);
        found.push(&rest[open..end]);
        rest = rest.get(end + open..).unwrap_or("").trim_start();
    }
    found
}

#[test]
fn one_seed_is_one_traffic() {
    for family in FAMILIES {
        let first = all_of(&small(1).by(family));
        assert!(first.lines().count() > 10_000, "{family:?}");
        assert_eq!(first, all_of(&small(1).by(family)));
        assert_ne!(first, all_of(&small(2).by(family)));
    }
    assert_ne!(all_of(&small(1)), all_of(&small(1).by(Variant::Held)));
}

#[test]
fn a_knob_turns_nobody_else() {
    let others = |scenario: Scenario| -> Vec<String> {
        let mut lines: Vec<_> = scenario
            .traffic()
            .filter(|event| event.label != Label::DisguisedScraper)
            .map(|event| format!("{} {}", event.at_ms, combined_line(&event)))
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(others(small(1)), others(Scenario { scraper_bytes: 9e9, ..small(1) }));
}

#[test]
fn time_goes_forward_and_stays_within() {
    for scenario in [small(3), small(3).by(Variant::Held), Scenario::scraped(4).lasting(1)] {
        let mut last = scenario.start_ms;
        for (number, event) in (0..).zip(scenario.traffic()) {
            assert_eq!(event.number, number);
            assert!(event.at_ms >= last && event.at_ms < scenario.end_ms(), "{event:?}");
            last = event.at_ms;
        }
        assert!(last > scenario.end_ms() - 3600 * SECOND);
    }
}

#[test]
fn volumes_are_what_the_knobs_say() {
    for family in FAMILIES {
        let scenario = Scenario::borderline(5).by(family).scaled(0.3).lasting(7);
        let totals = totals(&scenario);
        let near = |is: u64, per_day: f64, tolerance: f64| {
            let should = per_day * 7.0;
            assert!((is as f64 / should - 1.0).abs() < tolerance, "{is} instead of {should}\n{totals}");
        };
        let ci = totals.label(Label::Ci);
        near(ci.free_bytes, scenario.ci_free_bytes, 0.1);
        near(ci.paid_bytes(), scenario.ci_paid_bytes, 0.15);
        near(totals.label(Label::DisguisedScraper).bytes, scenario.scraper_bytes, 0.15);
        near(totals.label(Label::DeclaredCrawler).reads, scenario.crawler_requests, 0.15);
        near(totals.label(Label::SlowCrawler).reads, 1_200.0 * f64::from(scenario.slow_crawlers), 0.35);
        for label in Label::ALL {
            assert_eq!(totals.label(label).writes > 0, label == Label::Ci, "{label:?}");
        }
        let people = totals.label(Label::Person).actors.len();
        assert!((34..=42).contains(&people), "{people} people");
    }
}

#[test]
fn scrapers_take_the_share_that_they_are_told() {
    for family in FAMILIES {
        for share in [0.05, 0.4] {
            let scenario = Scenario::clean(6).by(family).scaled(0.2).lasting(7).with_scraper_share(share);
            let taken = totals(&scenario).share(Label::DisguisedScraper, Total::paid_bytes);
            assert!((taken - share).abs() < 0.02 + 0.1 * share, "{family:?}: {taken} instead of {share}");
        }
    }
}

#[test]
fn lines_say_what_events_say() {
    let mut seen = HashSet::new();
    for event in small(7).traffic() {
        let line = s3_line(&event);
        let fields = fields(&line);
        assert_eq!(fields.len(), 27, "{line}");
        assert!(seen.insert(fields[5].to_owned()), "the request id of {line} is not its own");
        let number = |text: &str| if text == "-" { 0 } else { text.parse::<u64>().unwrap() };
        assert_eq!(fields[3], event.address.to_string());
        assert_eq!(fields[8], format!("{} {} HTTP/1.1", event.method, event.target()));
        assert_eq!((number(fields[9]), number(fields[11])), (u64::from(event.status), event.bytes));
        assert_eq!(number(fields[12]), event.object_size.unwrap_or(0));
        assert_eq!(fields[22], event.host());
        let words = combined_line(&event);
        assert!(words.contains(&format!("\" {} {} \"", event.status, event.bytes)), "{words}");
        assert!(event.path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)));
    }
}

#[test]
fn deliveries_hold_each_event_once_beside_what_they_say() {
    let scenario = small(8);
    let delivery = Delivery { damaged: 0.003, truncated: 0.003, duplicated: 0.005, late: 0.05, ..Delivery::default() };
    let directory = tempfile::tempdir().unwrap();
    let done = write_s3_directory(directory.path(), scenario.traffic(), &delivery).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path()).collect();
    names.sort();
    assert_eq!(names.len() as u64, done.files);
    let (mut bytes, mut lines, mut unreadable, mut twice, mut behind) = (0, 0, 0, 0, 0);
    let (mut ids, mut last) = (HashSet::new(), String::new());
    for name in names {
        for line in std::fs::read(name).unwrap().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            lines += 1;
            let parsed = std::str::from_utf8(line).map(fields).ok().filter(|fields| fields.len() >= 27);
            let Some(fields) = parsed else {
                unreadable += 1;
                continue;
            };
            if !ids.insert(fields[5].to_owned()) {
                twice += 1;
                continue;
            }
            bytes += fields[11].parse::<u64>().unwrap_or(0);
            // The day is enough to see that some are late.
            let day = fields[2][..2].to_owned();
            behind += u64::from(day < last);
            last = last.max(day);
        }
    }
    assert_eq!((lines, unreadable, twice), (done.lines, done.unreadable(), done.duplicates), "{done:?}");
    assert_eq!(bytes, totals(&scenario).sum(|total| total.bytes));
    assert_eq!(ids.len() as u64, done.lines - done.unreadable() - done.duplicates);
    assert!(done.late > 100 && behind > 0 && done.damaged > 0 && done.truncated > 0 && done.future > 0, "{done:?}");
}

#[test]
fn ci_signs_or_comes_from_networks_that_are_known() {
    let mut programs = BTreeSet::new();
    for event in Scenario::clean(15).lasting(2).traffic().filter(|event| event.label == Label::Ci) {
        let known = [networks::CI, networks::AWS_US_EAST_1, networks::AWS_EU_CENTRAL_1, networks::GITHUB_ACTIONS];
        assert!(event.requester.is_some() || known.iter().any(|known| networks::holds(known, event.address)));
        assert!(event.is_read() || event.requester.is_some(), "{event:?}");
        assert!(event.status < 400 || !event.path.starts_with("/rhel"), "{event:?}");
        programs.extend(event.user_agent().and_then(|agent| agent.split('/').next()).map(str::to_owned));
    }
    assert_eq!(programs.into_iter().collect::<Vec<_>>(), ["Prometheus", "Python-urllib", "curl"]);
}

#[test]
fn people_read_pages_as_browsers_load_them() {
    let mut opened: HashSet<(u32, String)> = HashSet::new();
    let mut loaded = 0;
    for event in small(9).traffic().filter(|event| event.label == Label::Person) {
        if event.path.ends_with("/log.html") {
            opened.insert((event.actor, event.path.clone()));
        } else if event.path.ends_with("/log") || event.path.ends_with(".png") || event.path.ends_with(".gz") {
            loaded += 1;
            let referer = event.referer.clone().unwrap();
            let page = referer.split_once(event.host()).unwrap().1.to_owned();
            assert!(opened.contains(&(event.actor, page)), "{event:?}");
        }
    }
    assert!(loaded > 100);
}

#[test]
fn viewers_read_a_log_without_gaps() {
    let mut ends: HashMap<(u32, String), u64> = HashMap::new();
    let mut ranges = 0;
    for event in small(10).traffic().filter(|event| event.label == Label::LiveViewer) {
        let (folder, name) = event.path.rsplit_once('/').unwrap();
        let Some((start, end)) = name.strip_prefix("log.").and_then(|part| part.split_once('-')) else { continue };
        let (start, end): (u64, u64) = (start.parse().unwrap(), end.parse().unwrap());
        let have = ends.entry((event.actor, folder.to_owned())).or_default();
        assert_eq!(start + event.range.map_or(0, |(first, _)| first), *have, "{event:?}");
        assert_eq!(*have + event.bytes, end);
        *have = end;
        ranges += u64::from(event.range.is_some());
    }
    assert!(ends.len() > 3 && ranges > 10);
}

#[test]
fn scrapers_come_from_many_networks() {
    for (family, most) in [(Variant::Tuning, 30), (Variant::Held, 15)] {
        let scenario = Scenario { scraper_images: 0.0, ..Scenario::scraped(11).by(family).lasting(1) };
        let mut requests: HashMap<IpAddr, u64> = HashMap::new();
        let mut networks = HashSet::new();
        for event in scenario.traffic().filter(|event| event.label == Label::DisguisedScraper) {
            *requests.entry(event.address).or_default() += 1;
            if let IpAddr::V4(address) = event.address {
                networks.insert([address.octets()[0], address.octets()[1], address.octets()[2]]);
            }
        }
        assert!(networks.len() > 2_000, "{family:?}: {} networks", networks.len());
        let within = requests.values().filter(|requests| **requests <= most).count();
        // A headless browser takes what each page needs, and two sessions may have one exit.
        assert!(within as f64 > 0.9 * requests.len() as f64, "{family:?}: {within} of {}", requests.len());
    }
}

#[test]
fn clients_send_the_headers_of_their_programs() {
    let mut kinds = BTreeSet::new();
    let scenario = Scenario { days: 2, ..Scenario::borderline(12) };
    for event in scenario.traffic().filter(|event| event.number.is_multiple_of(3)) {
        let headers = event.headers();
        let value = |wanted: &str| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
        assert_eq!(value("Host"), Some(event.host()));
        assert_eq!(value("User-Agent"), event.user_agent());
        assert_eq!(value("If-None-Match").is_some(), event.status == 304);
        let is_browser = matches!(event.client.kind, Kind::Chromium { .. } | Kind::Firefox | Kind::Safari);
        assert_eq!(value("Sec-Fetch-Site").is_some(), is_browser && event.is_tls, "{headers:?}");
        let is_chromium = matches!(event.client.kind, Kind::Chromium { .. });
        assert_eq!(value("sec-ch-ua-platform").is_some(), is_chromium && event.is_tls, "{headers:?}");
        assert_eq!(value("Referer"), event.referer.as_deref(), "{headers:?}");
        if event.client.kind == Kind::Urllib && event.is_read() {
            assert_eq!(value("Content-Length"), Some("0"));
            assert_eq!((value("Accept"), value("Connection")), (None, Some("close")));
            assert_eq!(
                event.site == Site::Images && event.method == "GET" && event.path != "/",
                value("Range").is_some()
            );
        }
        if event.purpose == Purpose::Fetch && event.range.is_some() {
            assert!(value("Range").is_some_and(|range| range.ends_with('-')), "{headers:?}");
        }
        let names: BTreeSet<_> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        assert_eq!(names.len(), headers.len(), "{headers:?}");
        kinds.insert(format!("{:?}", event.client.kind).split(' ').next().unwrap().to_owned());
    }
    assert_eq!(kinds.len(), 12, "{kinds:?}");
}

#[test]
fn an_actor_is_one_thing() {
    let mut labels: BTreeMap<u32, Label> = BTreeMap::new();
    for event in Scenario::scraped(13).lasting(1).traffic() {
        assert_eq!(*labels.entry(event.actor).or_insert(event.label), event.label);
        assert!(event.bytes <= event.whole && event.took_ms > 0, "{event:?}");
    }
}

#[test]
fn memory_holds_actors_and_not_events() {
    let mut traffic = Scenario::scraped(14).traffic();
    let mut most = 0;
    for number in 0..1_000_000 {
        assert!(traffic.next().is_some());
        if number % 10_000 == 0 {
            most = most.max(traffic.held());
        }
    }
    assert!(most < 60_000, "{most} events were held");
}
