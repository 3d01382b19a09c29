//! In a real Chromium over plain http: a person meets the challenge once, passes it, and reads; pages that are open go
//! on working.

use crate::harness::browser::{Browser, Driven};
use crate::harness::{Setup, World, sum_in};
use windscreen::demo::samples::fill;

const CHALLENGED: &str = "document.getElementById('windscreen-challenge')";

/// Every path needs a pass.
const EASY: &str = "version: 1\nmode: enforce\nrules: [{name: all, action: challenge}]\ndefault: {action: allow}\n\
    challenge: {tiers: {default: 64}}\n";

async fn world(policy: Option<&str>) -> (World, String) {
    let setup = Setup::new();
    let world = policy.map_or(Setup::new(), |text| setup.policy(text)).start().await;
    let (first, second) = (world.directory.path().join("first"), world.directory.path().join("second"));
    fill(&first, &second).unwrap();
    let url = format!("http://{}/logs", world.server.addresses[0]);
    (world, url)
}

async fn solved(world: &World) -> u32 {
    sum_in(&world.metrics().await, "windscreen_challenges_solved_total", &[]) as u32
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_meets_the_challenge_once_and_reads_the_log() {
    let (world, url) = world(None).await;
    let browser = Browser::start(&[]).await;
    let page = format!("{url}/pull-1234-fedora-42/log.html?q=a%23b#L5");
    browser.page.goto(&page).await.unwrap();
    browser.until("document.getElementById('state')?.dataset.state === 'finished'").await;
    assert_eq!(browser.page.current_url().await.unwrap().as_str(), page, "query and fragment are kept");
    let text = browser.run("return document.getElementById('log').textContent").await;
    assert!(text.as_str().unwrap().contains("TestLogin"), "{text}");
    browser.picture("log").await;
    assert_eq!(solved(&world).await, 1);
    let cookie = browser.run("return document.cookie").await;
    assert_eq!(cookie, "", "pages of pull requests cannot read the pass");

    // Subresources and links ride on the pass.
    browser.page.goto(&format!("{url}/pull-1234-fedora-42/index.html")).await.unwrap();
    assert_eq!(browser.run(&format!("return Boolean({CHALLENGED})")).await, false);
    let png = "const a = await fetch('TestLogin-testBasic.png'); return a.status + ' ' + a.headers.get('content-type')";
    assert_eq!(browser.run(png).await, "200 image/png");
    let journal = "const a = await fetch('journal.log.gz'); return (await a.text()).length > 1000";
    assert_eq!(browser.run(journal).await, true, "the browser decodes what the object's Content-Encoding says");
    assert_eq!(solved(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_happens_in_light_and_dark_and_at_phone_width() {
    let policy = EASY.replace("64", "8192");
    let (_world, url) = world(Some(&policy)).await;
    for (name, more) in [
        ("challenge-light", &["--window-size=1280,900"][..]),
        (
            "challenge-dark-phone",
            &["--window-size=500,800", "--force-dark-mode", "--blink-settings=preferredColorScheme=0"][..],
        ),
    ] {
        let browser = Browser::start(more).await;
        browser.page.goto(&format!("{url}/pull-1234-fedora-42/log.html")).await.unwrap();
        browser.until("Number(document.getElementById('progress').value) > 0").await;
        let text = browser.run("return document.body.innerText").await.to_string();
        assert!(text.contains("Why am I seeing this?"), "{text}");
        let overflow = "return document.documentElement.scrollWidth > window.innerWidth";
        assert_eq!(browser.run(overflow).await, false, "no sideways scrolling");
        let requests =
            "return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('blob:'))";
        assert_eq!(browser.run(requests).await, serde_json::json!([]), "no outside resource");
        browser.picture(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn back_reload_two_tabs_and_a_fetch_without_a_pass() {
    let (world, url) = world(Some(EASY)).await;
    let browser = Browser::start(&[]).await;
    let index = format!("{url}/pull-1234-fedora-42/index.html");
    let log = format!("{url}/pull-1234-fedora-42/log.html");

    // Two tabs at once: both end at their page.
    let first = browser.page.window().await.unwrap();
    let second = browser.page.new_window(true).await.unwrap().handle;
    browser.page.switch_to_window(second).await.unwrap();
    browser.page.goto(&log).await.unwrap();
    browser.page.switch_to_window(first).await.unwrap();
    browser.page.goto(&index).await.unwrap();
    browser.until(&format!("!{CHALLENGED} && document.body.innerText.includes('log')")).await;
    let handles = browser.page.windows().await.unwrap();
    let other = handles.into_iter().last().unwrap();
    browser.page.switch_to_window(other).await.unwrap();
    browser.until("document.getElementById('state')?.dataset.state === 'finished'").await;
    assert!((1..=2).contains(&solved(&world).await));

    // Back and reload meet no challenge.
    let before = solved(&world).await;
    browser.page.goto(&index).await.unwrap();
    browser.page.back().await.unwrap();
    browser.until("document.getElementById('state')?.dataset.state === 'finished'").await;
    browser.page.refresh().await.unwrap();
    browser.until("document.getElementById('state')?.dataset.state === 'finished'").await;
    assert_eq!(solved(&world).await, before);

    // A fetch without a pass is told so in JSON, not with a page, and an open page lives on once the pass is back.
    browser.page.delete_all_cookies().await.unwrap();
    let fetch = "const a = await fetch('log', {cache: 'no-store'}); return [a.status, a.headers.get('content-type'), (await a.json()).status]";
    assert_eq!(browser.run(fetch).await, serde_json::json!([403, "application/problem+json", 403]));
    // The page remembers that it was passed a moment ago, and would say that the cookie does not stick.
    browser.run("sessionStorage.clear()").await;
    browser.page.refresh().await.unwrap();
    browser.until("document.getElementById('state')?.dataset.state === 'finished'").await;
    assert_eq!(solved(&world).await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_loses_the_cookie_is_told_why() {
    let (world, url) = world(Some(EASY)).await;
    let browser = Browser::start(&[]).await;
    browser.page.goto(&format!("{url}/pull-1234-fedora-42/index.html")).await.unwrap();
    browser.until(&format!("!{CHALLENGED}")).await;
    // The pass does not stick: the page says so and does not ask in a circle.
    browser.page.delete_all_cookies().await.unwrap();
    browser.page.refresh().await.unwrap();
    browser.until("document.body.innerText.includes('A cookie is needed')").await;
    browser.picture("challenge-cookie").await;
    assert_eq!(solved(&world).await, 1);
}
