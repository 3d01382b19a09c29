//! Chromium and Firefox: a person meets the challenge, passes it once, and is never sent in a circle; over https as over
//! http, and without WebAssembly.

use crate::harness::browser::{Browser, Driven};
use crate::harness::firefox::Firefox;
use crate::harness::tls::{authority, certify};
use crate::harness::{Setup, World, sum_in};
use rcgen::ExtendedKeyUsagePurpose::ServerAuth;
use rcgen::{SanType, SerialNumber};
use serde_json::json;
use windscreen::demo::samples::{Attributes, fill};

/// Every path needs a pass.
pub const EASY: &str = "version: 1\nmode: enforce\nrules: [{name: all, action: challenge}]\ndefault: {action: allow}\n\
    challenge: {tiers: {default: 64}}\n";
pub const CHALLENGED: &str = "document.getElementById('windscreen-challenge')";
const LOG_IS_THERE: &str = "document.getElementById('state')?.dataset.state === 'finished'";

/// How many pictures the gallery has.
const PICTURES: usize = 20;

pub async fn world(policy: &str, more: &str) -> (World, String) {
    let world = filled(Setup::new().policy(policy).more(more)).await;
    let url = format!("http://{}/logs", world.server.addresses[0]);
    (world, url)
}

/// One that browsers trust if they are told to trust everybody.
async fn secure_world() -> (World, String) {
    let address = |of: &mut rcgen::CertificateParams| {
        of.serial_number = Some(SerialNumber::from(1));
        of.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    };
    let pair = certify(&authority("of a test"), 1, ServerAuth, address);
    let tls = "tls: {certificates: [{certificate: '{directory}/logs.pem', key: '{directory}/logs.key'}]}";
    let setup = Setup::new().policy(EASY).listener(tls);
    let setup = setup.file("logs.pem", pair.certificate.as_bytes()).file("logs.key", pair.key.as_bytes());
    let world = filled(setup).await;
    let url = format!("https://{}/logs", world.server.addresses[0]);
    (world, url)
}

async fn filled(setup: Setup) -> World {
    let world = setup.start().await;
    fill(&world.directory.path().join("first"), &world.directory.path().join("second")).unwrap();
    let images: String = (0..PICTURES).map(|number| format!("<img src='{number}.svg' alt=''>")).collect();
    let page = format!("<!doctype html><html lang=en><title>Gallery</title><p>The gallery</p>{images}");
    world.put_with("logs", "gallery/index.html", page.as_bytes(), &Attributes::of("text/html"));
    for number in 0..PICTURES {
        let picture = "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>";
        world.put_with("logs", &format!("gallery/{number}.svg"), picture.as_bytes(), &Attributes::of("image/svg+xml"));
    }
    world
}

pub async fn challenges(world: &World) -> (u32, u32) {
    let metrics = world.metrics().await;
    let sum = |name| sum_in(&metrics, name, &[]) as u32;
    (sum("windscreen_challenges_issued_total"), sum("windscreen_challenges_solved_total"))
}

async fn a_first_visit_back_and_reload(browser: &dyn Driven) {
    first_visit_back_and_reload(browser, world(EASY, "").await).await;
}

async fn first_visit_back_and_reload(browser: &dyn Driven, (world, url): (World, String)) {
    let log = format!("{url}/pull-1234-fedora-42/log.html?q=a%23b#L5");
    browser.go(&log).await;
    browser.until(LOG_IS_THERE).await;
    assert_eq!(browser.try_run("return location.href + document.cookie").await, Some(json!(log)), "no cookie to read");
    assert_eq!(challenges(&world).await, (1, 1));

    browser.go(&format!("{url}/gallery/index.html")).await;
    browser.back().await;
    browser.until(LOG_IS_THERE).await;
    browser.reload().await;
    browser.until(LOG_IS_THERE).await;
    assert_eq!(challenges(&world).await, (1, 1), "Back and reload meet no challenge");
}

async fn back_to_the_page_before_the_challenge(browser: &dyn Driven) {
    let (world, url) = world(EASY, "").await;
    browser.go("about:blank").await;
    let gallery = format!("{url}/gallery/index.html");
    browser.go(&gallery).await;
    browser.until("document.body.innerText.includes('The gallery')").await;
    // The challenge has left no entry of its own.
    browser.back().await;
    browser.until("location.href === 'about:blank'").await;
    assert_eq!(challenges(&world).await, (1, 1));
}

async fn two_tabs_with_many_pictures(browser: &dyn Driven) {
    let (world, url) = world(EASY, "").await;
    let gallery = format!("{url}/gallery/index.html");
    browser.go(&gallery).await;
    browser.new_tab().await;
    browser.go(&gallery).await;
    let pictures = format!(
        "document.body.innerText.includes('The gallery') && document.images.length === {PICTURES} \
         && [...document.images].every(image => image.complete && image.naturalWidth === 8)"
    );
    browser.until(&pictures).await;
    browser.tab(0).await;
    browser.until(&pictures).await;
    let (issued, solved) = challenges(&world).await;
    assert!((1..=2).contains(&issued) && (1..=2).contains(&solved), "issued {issued}, solved {solved}");
}

async fn cookies_are_off(browser: &dyn Driven) {
    let (world, url) = world(EASY, "").await;
    browser.go(&format!("{url}/gallery/index.html")).await;
    browser.until("document.getElementById('status').textContent").await;
    let text = browser.text().await;
    assert!(text.contains("A cookie is needed") && text.contains("accepts no cookies from this site"), "{text}");
    assert_eq!(challenges(&world).await, (1, 0), "nothing is computed for nothing");
    browser.keep("challenge-cookies-off").await;
}

async fn pictures_for_people(browser: &dyn Driven, scheme: &str) {
    let more = "page: {name: Logs of the project, contact: ops@example.org, text: 'Mirrors are welcome: write to us.', \
        logo: 'data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAyNCAyNCI+PHBhdGggZmlsbD0iIzFjNmI1YSIgZD0iTTIgMjAgMTIgNGwxMCAxNnoiLz48L3N2Zz4='}\n";
    let (_world, url) = world(&EASY.replace("64", "8192"), more).await;
    for (size, width, height) in [("desktop", 1280, 900), ("phone", 360, 740)] {
        browser.resize(width, height).await;
        browser.go(&format!("{url}/gallery/index.html")).await;
        browser.until("Number(document.getElementById('progress').value) > 0").await;
        let overflow = "return document.documentElement.scrollWidth > window.innerWidth";
        assert_eq!(browser.try_run(overflow).await, Some(json!(false)), "no sideways scrolling");
        assert_eq!(
            browser.try_run("return document.title").await,
            Some(json!("A short check before this page – Logs of the project"))
        );
        browser.keep(&format!("challenge-{scheme}-{size}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium() {
    a_first_visit_back_and_reload(&Browser::start(&[]).await).await;
    back_to_the_page_before_the_challenge(&Browser::start(&[]).await).await;
    two_tabs_with_many_pictures(&Browser::start(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_firefox() {
    a_first_visit_back_and_reload(&Firefox::start(&[]).await).await;
    back_to_the_page_before_the_challenge(&Firefox::start(&[]).await).await;
    two_tabs_with_many_pictures(&Firefox::start(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_private_windows() {
    a_first_visit_back_and_reload(&Browser::start(&["--incognito"]).await).await;
    a_first_visit_back_and_reload(&Firefox::start(&[("browser.privatebrowsing.autostart", "true")]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https() {
    first_visit_back_and_reload(&Browser::start(&["--ignore-certificate-errors"]).await, secure_world().await).await;
    first_visit_back_and_reload(&Firefox::start(&[]).await, secure_world().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_webassembly() {
    let chromium = Browser::start(&[]).await;
    // It has no switch for that: the page and its workers begin without.
    chromium
        .inject(
            "delete window.WebAssembly; const plain = Blob; window.Blob = class extends plain { \
             constructor(parts, options) { super(['delete self.WebAssembly;', ...parts], options); } };",
        )
        .await;
    let firefox = Firefox::start(&[("javascript.options.wasm", "false")]).await;
    for browser in [&chromium as &dyn Driven, &firefox] {
        let (world, url) = world(EASY, "").await;
        browser.go(&format!("{url}/gallery/index.html")).await;
        browser.until("document.body.innerText.includes('The gallery')").await;
        assert_eq!(browser.try_run("return typeof WebAssembly").await, Some(json!("undefined")), "{}", browser.kind());
        assert_eq!(challenges(&world).await, (1, 1));
    }
}

/// How fast depends on the machine and on what else it does: `--nocapture` shows it.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_painted_at_once() {
    let (_world, url) = world(&EASY.replace("64", "8192"), "").await;
    let (chromium, firefox) = (Browser::start(&[]).await, Firefox::start(&[]).await);
    for browser in [&chromium as &dyn Driven, &firefox] {
        let mut times = Vec::new();
        for _ in 0..5 {
            browser.go(&format!("{url}/gallery/index.html")).await;
            let painted = "performance.getEntriesByName('first-contentful-paint')[0]";
            browser.until(painted).await;
            times.push(browser.try_run(&format!("return {painted}.startTime")).await.unwrap().as_f64().unwrap());
            browser.go("about:blank").await;
        }
        times.sort_by(f64::total_cmp);
        println!("{}: first contentful paint after {times:.0?} ms", browser.kind());
        assert!(times[0] < 1000.0, "{}: {times:?}", browser.kind());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_no_cookies_is_told_at_once() {
    let blocked = json!({"profile.default_content_setting_values.cookies": 2});
    cookies_are_off(&Browser::with(&[], blocked).await).await;
    cookies_are_off(&Firefox::start(&[("network.cookie.cookieBehavior", "2")]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_looks_well_in_light_and_dark() {
    for scheme in ["light", "dark"] {
        let chromium = Browser::start(&[]).await;
        chromium.prefer(scheme).await;
        pictures_for_people(&chromium, scheme).await;
        let preference = if scheme == "dark" { "0" } else { "1" };
        let firefox = Firefox::start(&[("layout.css.prefers-color-scheme.content-override", preference)]).await;
        pictures_for_people(&firefox, scheme).await;
    }
}
