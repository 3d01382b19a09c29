//! What people see where the challenge does not just pass: in their language, without barriers, and with a way out.

use crate::browsers_of_both_kinds_pass::{CHALLENGED, EASY, challenges, world};
use crate::harness::browser::{Browser, Driven};
use crate::harness::{BROWSER, HTML, eventually, passes, sum_in};
use crate::simulator::{Delivery, Scenario, write_s3_directory};
use serde_json::json;
use std::process::Command;

/// Brings the page into a state by its query, without computing anything, and has a way without JavaScript.
const STAGED: &str = "
const state = new URLSearchParams(location.search).get('state');
if (state) {
  const parse = JSON.parse;
  JSON.parse = (...all) => {
    const value = parse(...all);
    if (value?.challenge) value.wait = {href: '/.windscreen/wait?sealed', seconds: 8};
    return value;
  };
  window.Worker = class {
    constructor() { if (state === 'failed') throw new Error('blocked'); }
    postMessage() { setTimeout(() => this.onmessage({data: {trials: state === 'slow' ? 500 : 5000, found: [1, 2, 3], slow: state === 'slow'}}), 100); }
    terminate() {}
  };
  if (state === 'cookie') Object.defineProperty(Navigator.prototype, 'cookieEnabled', {get: () => false});
}";

const STATES: [(&str, &str); 4] = [
    (
        "running",
        "document.getElementById('progress').value > 0 && document.getElementById('detail').textContent.includes('·')",
    ),
    ("slow", "!document.getElementById('way').hidden"),
    ("failed", "!document.getElementById('retry').hidden && !document.getElementById('way').hidden"),
    ("cookie", "!document.getElementById('retry').hidden"),
];

async fn speak(browser: &Browser, language: &str) {
    browser.cdp("Network.enable", json!({})).await;
    browser.cdp("Network.setExtraHTTPHeaders", json!({"headers": {"Accept-Language": language}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_state_has_barriers() {
    let (_world, url) = world(EASY, "page: {name: Logs, contact: ops@example.org}\n").await;
    let browser = Browser::start(&[]).await;
    browser.inject(STAGED).await;
    for (scheme, width, language, direction) in [
        ("light", 1280, "en", "ltr"),
        ("dark", 360, "de-AT,de;q=0.9", "ltr"),
        ("light", 360, "ar", "rtl"),
        ("dark", 1280, "he", "rtl"),
    ] {
        browser.prefer(scheme).await;
        browser.resize(width, 800).await;
        speak(&browser, language).await;
        for (state, reached) in STATES {
            browser.go(&format!("{url}/gallery/index.html?state={state}")).await;
            browser.until(reached).await;
            let place = format!("{state} {scheme} {width} {language}");
            assert_eq!(browser.barriers().await, Vec::<String>::new(), "{place}");
            assert_eq!(browser.run("return document.documentElement.dir").await, direction);
            browser.keep(&format!("challenge-{state}-{}-{scheme}-{width}", &language[..2])).await;
            let said = "const said = document.querySelectorAll('[role=status], [aria-live]'); \
                return said.length === 1 && said[0].ariaLive === 'polite'";
            assert_eq!(browser.run(said).await, true, "{place}: one polite voice");
            // As narrow as 320 pixels, or with text of twice the size in half the width.
            for (width, size) in [(320, "100%"), (640, "200%")] {
                browser.resize(width, 800).await;
                let overflow = "document.documentElement.style.fontSize = arguments[0]; \
                    return document.documentElement.scrollWidth - window.innerWidth";
                let overflow = browser.page.execute(overflow, vec![json!(size)]).await.unwrap();
                assert!(overflow.as_i64().unwrap() <= 0, "{place}: {overflow} pixels aside at {width}, {size}");
            }
            browser.resize(width, 800).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_can_be_reached_and_seen_by_keyboard_and_nothing_moves_where_that_is_unwanted() {
    let (_world, url) = world(EASY, "page: {contact: ops@example.org}\n").await;
    let browser = Browser::start(&[]).await;
    browser.inject(STAGED).await;
    browser.go(&format!("{url}/gallery/index.html?state=failed")).await;
    browser.until(STATES[2].1).await;
    let mut reached = Vec::new();
    for _ in 0..3 {
        for kind in ["keyDown", "keyUp"] {
            let tab = json!({"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9});
            browser.cdp("Input.dispatchKeyEvent", tab).await;
        }
        let focused = "const a = document.activeElement, s = getComputedStyle(a); \
            return [a.textContent, s.outlineStyle, parseFloat(s.outlineWidth) >= 2]";
        reached.push(browser.run(focused).await);
    }
    let seen = |text: &str| json!([text, "solid", true]);
    assert_eq!(reached, [seen("Try again"), seen("Continue without JavaScript"), seen("ops@example.org")]);

    for (name, value) in
        [("prefers-reduced-motion", "reduce"), ("prefers-contrast", "more"), ("forced-colors", "active")]
    {
        let features = json!({"features": [{"name": name, "value": value}]});
        browser.cdp("Emulation.setEmulatedMedia", features).await;
        browser.go(&format!("{url}/gallery/index.html?state=running")).await;
        browser.until(STATES[0].1).await;
        assert_eq!(browser.barriers().await, Vec::<String>::new(), "{name}");
        browser.keep(&format!("challenge-{name}")).await;
        let moving = "return document.getAnimations().length";
        assert!(name != "prefers-reduced-motion" || browser.run(moving).await == 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_it_in_their_language_and_are_told_whom_to_ask() {
    let (world, url) = world(
        &EASY.replace("64", "8192"),
        "page: {contact: 'https://example.org/help', text: {ja: もう一つ, en: More}}\n",
    )
    .await;
    let browser = Browser::start(&[]).await;
    for (language, tag, words) in [
        ("ja", "ja", "残り約"),
        ("fa-IR", "fa", "تلاش در ثانیه"),
        ("zh-TW,zh;q=0.9", "zh-Hant", "大約還需"),
        ("tlh, *;q=0.1", "en", "tries a second"),
    ] {
        speak(&browser, language).await;
        browser.go(&format!("{url}/gallery/index.html")).await;
        browser.until(&format!("document.getElementById('detail').textContent.includes('{words}')")).await;
        assert_eq!(browser.run("return document.documentElement.lang").await, tag);
        let text = browser.text().await;
        assert!(text.contains("https://example.org/help"), "{text}");
        assert_eq!(text.contains("もう一つ"), tag == "ja", "{text}");
    }
    // Each file of words is a language.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/challenge/assets/languages");
    for file in std::fs::read_dir(folder).unwrap() {
        let tag = file.unwrap().file_name().to_string_lossy().trim_end_matches(".yaml").to_owned();
        let client = world.client("192.0.2.40").header("User-Agent", BROWSER).header("Accept", HTML);
        let answer = client.header("Accept-Language", &tag).get("/logs/gallery/index.html").await;
        let languages = [answer.header("content-language"), answer.header("vary")];
        assert_eq!((answer.status, languages), (403, [Some(&*tag), Some("Accept-Language, Accept-Encoding")]));
    }
}

/// What a person sees, without a script in the page: the texts of the accessibility tree.
async fn seen(browser: &Browser) -> String {
    let tree = browser.cdp("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().unwrap();
    let shown = nodes.iter().filter(|node| node["ignored"] == false && node["role"]["value"] == "StaticText");
    shown.filter_map(|node| node["name"]["value"].as_str()).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_the_page_says_what_it_needs() {
    let (_world, url) = world(EASY, "").await;
    let browser = Browser::with(&[], json!({"profile.default_content_setting_values.javascript": 2})).await;
    browser.go(&format!("{url}/gallery/index.html")).await;
    let text = seen(&browser).await;
    assert!(text.contains("JavaScript is switched off in your browser"), "{text}");
    assert!(text.contains("Why am I seeing this?") && text.contains("Request"), "{text}");
    browser.keep("challenge-without-javascript").await;
}

/// As [`EASY`], with a way without JavaScript.
const WAIT: &str = "version: 1\nmode: enforce\nrules: [{name: all, action: challenge}]\ndefault: {action: allow}\n\
    limits: {waits: {key: prefix, requests: 100/hour}}\n\
    challenge: {tiers: {default: 64}, wait: {after: 1s, tiers: [default], requests: 50, limits: [waits]}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_a_browser_waits_and_reads_on() {
    let (world, url) = world(WAIT, "").await;
    let browser = Browser::with(&[], json!({"profile.default_content_setting_values.javascript": 2})).await;
    browser.go(&format!("{url}/gallery/index.html?a=1")).await;
    // The page and its pictures come by themselves.
    let served =
        async || sum_in(&world.metrics().await, "windscreen_responses_total", &["site=\"logs\"", "status=\"200\""]);
    eventually("the page comes by itself", async || served().await >= 21.0).await;
    assert!(seen(&browser).await.contains("The gallery"));
    let url = browser.page.current_url().await.unwrap();
    assert!(url.as_str().ends_with("/logs/gallery/index.html?a=1"), "{url}");
    assert_eq!(world.metric("windscreen_passes_waited_total{site=\"logs\"}").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_compiles_nothing_says_that_it_is_slow_and_may_wait_instead() {
    let (world, url) = world(&WAIT.replace("64", "8192"), "").await;
    let browser = Browser::start(&["--js-flags=--jitless"]).await;
    browser.go(&format!("{url}/gallery/index.html")).await;
    browser.until("!document.getElementById('way').hidden").await;
    assert!(browser.text().await.contains("calculates slowly"));
    browser.run("document.getElementById('way').click()").await;
    browser.until(&format!("!{CHALLENGED} && document.body.innerText.includes('The gallery')")).await;
    assert_eq!(world.metric("windscreen_passes_waited_total{site=\"logs\"}").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_a_day_off_does_no_harm() {
    for shift in [-2, 2] {
        let (world, url) = world(EASY, "").await;
        let browser = Browser::start(&[]).await;
        browser.inject(&format!("const now = Date.now; Date.now = () => now() + {shift} * 86400000;")).await;
        browser.go(&format!("{url}/gallery/index.html")).await;
        browser.until(&format!("!{CHALLENGED}")).await;
        assert_eq!(challenges(&world).await, (1, 1));
        // Where the cookie does not stick, the clock may be why.
        browser.page.delete_all_cookies().await.unwrap();
        browser.reload().await;
        browser.until("document.body.innerText.includes('A cookie is needed')").await;
        let text = browser.text().await;
        assert!(text.contains("did not keep the cookie \u{2068}windscreen-logs\u{2069}"), "{text}");
        assert!(text.contains("The clock of this device seems to be wrong by 2 days"), "{text}");
    }
    // Browsers count the cookie's age from when it came.
    let (world, _) = world(EASY, "").await;
    let challenge = passes::issue(&world, "192.0.2.40", "/logs/gallery/index.html").await;
    let answer = passes::submit(&world, "192.0.2.40", &challenge, &passes::solve(&challenge, 64)).await;
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("; Max-Age=") && !cookie.to_lowercase().contains("expires"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_rounds_it_stops() {
    let (world, url) = world(EASY, "").await;
    let browser = Browser::start(&[]).await;
    browser.inject(&STAGED.replace("window.Worker", "window.Nothing")).await;
    // With a query that stages nothing but the way without JavaScript.
    let gallery = format!("{url}/gallery/index.html?state=staged");
    browser.go(&gallery).await;
    for round in 1..=3 {
        browser.until(&format!("!{CHALLENGED} && document.body.innerText.includes('The gallery')")).await;
        assert_eq!(challenges(&world).await, (round, round));
        // Something between keeps spoiling the pass.
        let cookie = json!({"name": "windscreen-logs", "value": "spoilt", "url": url, "httpOnly": true});
        browser.cdp("Network.setCookie", cookie).await;
        browser.reload().await;
    }
    browser.until("document.getElementById('status').className === 'notice'").await;
    let text = browser.text().await;
    assert!(text.contains("has passed the check several times"), "{text}");
    assert!(text.contains("Continue without JavaScript") && text.contains("Try again"), "{text}");
    assert_eq!(challenges(&world).await, (4, 3), "it has stopped by itself");
    // A person may try again, and then it goes on.
    browser.run("document.getElementById('retry').click()").await;
    browser.until(&format!("!{CHALLENGED}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_have_no_barriers() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("logs");
    let traffic = Scenario::clean(7).scaled(0.02).traffic();
    write_s3_directory(&log, traffic, &Delivery::default()).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_windscreen")).args(["report", "--format", "html"]).arg(&log).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = directory.path().join("report.html");
    std::fs::write(&page, &output.stdout).unwrap();
    let browser = Browser::start(&[]).await;
    for (scheme, width, height) in [("light", 1280, 900), ("dark", 1280, 900), ("light", 390, 844), ("dark", 390, 844)]
    {
        browser.prefer(scheme).await;
        browser.resize(width, height).await;
        browser.go(&format!("file://{}", page.display())).await;
        assert_eq!(browser.barriers().await, Vec::<String>::new(), "{scheme} {width}");
        let aside = "return document.documentElement.scrollWidth - window.innerWidth";
        assert!(browser.run(aside).await.as_i64().unwrap() <= 0, "{scheme} {width}: the page scrolls aside");
        browser.keep(&format!("report-{scheme}-{width}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_the_page_says() {
    let (world, _) = world(EASY, "page: {name: Before}\n").await;
    let path = world.directory.path().join("gateway.yaml");
    let ask = || async { world.client("192.0.2.40").navigating().get("/logs/gallery/index.html").await.text() };
    assert!(ask().await.contains("Before"));
    for (from, to, good) in
        [("Before", "Later", true), ("name: Later", "name: Never, colours: {text: {dark: '#222222'}}", false)]
    {
        let text = std::fs::read_to_string(&path).unwrap().replace(from, to);
        std::fs::write(&path, text).unwrap();
        assert_eq!(world.server.steering.reload(&path).0, good);
        assert!(ask().await.contains("Later"));
    }
}
