//! What a report says that traffic costs is what AWS would bill: to the cent, by a sum that shares no code with the
//! gateway's, from prices as they were published.

use crate::harness::program::Program;
use crate::simulator::{Delivery, Event, Scenario, Site, write_s3_directory};
use serde_json::Value;

/// Nano-dollars.
const DOLLAR: u128 = 1_000_000_000;
const GIB: u128 = 1 << 30;
/// Hours of a month and of a week: what was measured in one is told of the other.
const MONTH: u128 = 730;
const WEEK: u128 = 168;

/// What of a site is on the bill.
#[derive(Debug, Clone, Copy, Default)]
struct Metered {
    gets: u128,
    lists: u128,
    internet: u128,
    other_region: u128,
}

impl Metered {
    /// Error pages for strangers, and what S3 could not answer, are free.
    fn add(&mut self, event: &Event) {
        if !event.is_read() || event.status >= 500 || event.status == 403 && event.requester.is_none() {
            return;
        }
        match event.path.as_str() {
            "/" => self.lists += 1,
            _ => self.gets += 1,
        }
        match event.region {
            Some("us-east-1") => {}
            Some(_) => self.other_region += u128::from(event.bytes),
            None => self.internet += u128::from(event.bytes),
        }
    }
}

/// What so many bytes to the internet cost in a month, in nano-dollars times a week's hours: 100 GiB are free, then up to
/// 10 TiB at $0.09 a GiB, up to 50 TiB at $0.085.
fn internet(bytes: u128) -> u128 {
    let (bytes, gib) = (bytes * MONTH, GIB * WEEK);
    let first = bytes.min(10 * 1024 * gib);
    let second = bytes.saturating_sub(10 * 1024 * gib);
    assert!(bytes < 50 * 1024 * gib);
    let free = 100 * gib;
    (first.saturating_sub(free) * 90_000_000 + second * 85_000_000) / GIB
}

fn cents(dollars: &Value) -> i64 {
    (dollars.as_f64().unwrap() * 100.0).round() as i64
}

#[test]
fn a_week_costs_what_an_independent_sum_says() {
    // The second one sends beyond the first 10 TiB of a month.
    let few = |seed| Scenario::scraped(seed).scaled(0.1).lasting(7);
    let scenarios = [few(21), Scenario { ci_paid_bytes: 600e9, ..few(22) }];
    for (seed, scenario) in scenarios.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let (mut logs, mut images) = (Metered::default(), Metered::default());
        let events = scenario.traffic().inspect(|event| match event.site {
            Site::Logs => logs.add(event),
            Site::Images => images.add(event),
        });
        write_s3_directory(folder.path(), events, &Delivery::default()).unwrap();
        let output = Program::run(".", &["report", "--format", "json", folder.path().to_str().unwrap()]);
        let report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr));
        assert_eq!(report["evidence"]["days"], 7);

        // In nano-dollars times a week's hours.
        let out = logs.internet + images.internet;
        let transfer = internet(out);
        let own = |site: Metered| {
            let requests = (site.gets * 400 + site.lists * 5_000) * MONTH;
            // Of what the internet costs, a site's part is that of its bytes.
            requests + site.other_region * MONTH * 20_000_000 / GIB + transfer * site.internet / out
        };
        let to_cents = |nanos: u128| i64::try_from((nanos * 100 / WEEK + DOLLAR / 2) / DOLLAR).unwrap();
        let site = |name: &str| -> f64 {
            let rows = report["sites"].as_array().unwrap().iter().filter(|row| row["site"] == name);
            rows.map(|row| row["cost"].as_f64().unwrap()).sum()
        };
        for (name, metered) in [("logs", logs), ("images", images)] {
            let found = (site(name) * 100.0).round() as i64;
            assert_eq!(found, to_cents(own(metered)), "{seed}, {name}: {metered:?}");
        }
        assert_eq!(cents(&report["answer"]["total"]), to_cents(own(logs) + own(images)), "{seed}");
        assert!(cents(&report["answer"]["total"]) > [500, 90_000][seed], "{}", report["answer"]["total"]);
    }
}
