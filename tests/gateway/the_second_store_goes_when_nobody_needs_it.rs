//! `windscreen origins` says from the ledger whether the second store of a site can be switched off, and why not.

use crate::harness::program::Program;
use crate::harness::scripted::{Deed, Scripted};
use crate::harness::{CI, OPEN, Setup, World, eventually, sum_in};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use windscreen::clock::{ManualClock, Timestamp};

const HOUR: Duration = Duration::from_secs(3600);

/// A gateway whose clock begins five hours ago. The first origin has `/images/new`, the second everything.
async fn world(more: &str) -> (World, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from(SystemTime::now() - 5 * HOUR)));
    let second = Scripted::start(Deed::Has(b"object")).await;
    let origins =
        format!("{{name: aws, url: 'http://{{first}}/images', credentials: anonymous}}, {}", second.origin("linode"));
    let sites = format!("  images: {{prefix: /images, mutable: [], origins: [{origins}]}}\n");
    let setup = Setup::new().policy(OPEN).clock(clock.clone()).sites(&sites).open_first();
    let world = setup.more(more).start().await;
    world.put("images", "new", b"object");
    (world, clock)
}

fn ask(world: &World, more: &[&str]) -> (i32, String, String) {
    let directory = world.directory.path().to_str().unwrap();
    let Program { status, stdout, stderr } =
        Program::run(directory, &[&["origins", "-c", "gateway.yaml"], more].concat());
    (status, stdout, stderr)
}

/// Gets an object, and waits until that is booked.
async fn get(world: &World, path: &str) {
    let booked = async || sum_in(&world.metrics().await, "windscreen_requests_total", &[]);
    let before = booked().await;
    assert_eq!(world.client(CI).curl().get(path).await.text(), "object", "{path}");
    eventually("it is booked", async || booked().await > before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_would_be_missing_and_when_nothing_would() {
    let (world, clock) = world("ledger: {path: ledger.db}\n").await;
    get(&world, "/images/old image").await;
    get(&world, "/images/old image").await;
    get(&world, "/images/new").await;
    world.server.gateway.watch_origins();
    world.server.keep();

    let (status, text, _) = ask(&world, &["--quiet", "1h"]);
    assert_eq!(status, 1, "{text}");
    assert!(text.starts_with("site images, origin linode: not enough data\n"), "{text}");

    clock.advance(5 * HOUR);
    get(&world, "/images/new").await;
    world.server.keep();
    let (status, text, _) = ask(&world, &["--quiet", "2h"]);
    assert!(status == 1 && text.contains("nobody has looked yet whether it is needed"), "{text}");
    world.server.gateway.watch_origins();
    world.server.keep();
    let (status, text, _) = ask(&world, &["--quiet", "6h"]);
    assert_eq!(status, 1, "{text}");
    assert!(
        text.starts_with("site images, origin linode: NOT YET\n  - 1 object came from it alone: 2 requests, 12 B"),
        "{text}"
    );
    assert!(text.contains("/old image  only-here"), "{text}");
    let (status, text, _) = ask(&world, &["--quiet", "2h"]);
    assert_eq!(
        (status, &*text),
        (0, "site images, origin linode: safe to remove\n  - nothing came from it alone for 2 hours\n")
    );

    let (status, text, _) = ask(&world, &["--quiet", "6h", "--json", "ledger.db"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    let answer = &document["origins"][0];
    assert_eq!((status, &answer["removal"], &answer["origin"]), (1, &"not-yet".into(), &"linode".into()));
    assert_eq!(answer["shown"]["only-here"]["requests"], 2);
    assert_eq!(answer["objects"][0]["path"], "/old image");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_needs_a_ledger() {
    let (world, _) = world("").await;
    let (status, _, error) = ask(&world, &[]);
    assert!(status == 2 && error.contains("the gateway file has no `ledger`"), "{error}");
    let (status, _, error) = ask(&world, &["nowhere.db"]);
    assert!(status == 2 && error.contains("cannot read `nowhere.db`"), "{error}");
    let (status, _, error) = ask(&world, &["--quiet", "soon"]);
    assert!(status == 2 && error.contains("expected a span of time such as 14d"), "{error}");
}
