//! The dashboard shows operators what happens, to nobody else, harms nobody by what clients send, and lets them try a policy
//! without changing anything.

use crate::harness::browser::{Browser, Driven};
use crate::harness::{Answer, Client, STRANGER, Setup, World, eventually};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};
use windscreen::clock::Timestamp;
use windscreen::identity::Token;

const SCRAPER: &str = "198.51.100.77";
/// What must do nothing but stand there.
const EVIL: &str = "\"><img src=x onerror=alert(1)><script>alert(2)</script>";
const POLICY: &str = "version: 1\nmode: observe\nnetworks: {office: [203.0.113.0/24]}\n\
    lists: {bots: {source: us, date: 2026-01-01, contains: [Scraper]}}\n\
    classes:\n\
    \x20 - {class: suspect, match: {user_agent: {list: bots}}}\n\
    \x20 - {class: tool, match: {user_agent: {regex: curl}}}\n\
    rules:\n\
    \x20 - {name: suspects, match: {class: suspect}, action: deny}\n\
    default: {action: allow, limits: [few]}\n\
    limits: {few: {key: prefix, requests: 100/s}}\n\
    auto: {any: [{requests: 50/s, per: 1m}]}\n";
/// Says it otherwise, with names that the policy in force defines.
const PASTED: &str = "version: 1\nmode: observe\nclasses: [{class: suspect, match: {user_agent: {list: bots}}}]\n\
    rules: [{name: tarpit, match: {class: suspect, not: {network: office}}, action: challenge}]\n\
    default: {action: allow, limits: [few]}\n\
    challenge: {tiers: {default: 64}}\n";

static ALICE: LazyLock<Token> = LazyLock::new(|| Token::new(&[1; 32]));

fn setup(more: &str) -> Setup {
    let admin = format!(", tokens: [{{name: alice, token: '{}'}}]{more}", ALICE.hash());
    Setup::new().policy(POLICY).admin(&admin)
}

async fn world() -> World {
    let world = setup("").start().await;
    world.put("logs", "run/log", &[b'x'; 5000]);
    world
}

async fn traffic(world: &World) {
    for _ in 0..12 {
        world.client(SCRAPER).header("User-Agent", "Scraper/1").get("/logs/run/log").await;
    }
    for _ in 0..3 {
        world.client(STRANGER).curl().get("/logs/run/log").await;
    }
    world.client(STRANGER).header("User-Agent", EVIL).get("/logs/%22%3E%3Cimg%20src=x%20onerror=alert(3)%3E/log").await;
}

/// The admin listener as its own page sees it.
fn page(world: &World) -> Client {
    let origin = format!("http://{}", world.server.admin.unwrap());
    world.admin().header("Origin", &origin).header("Sec-Fetch-Site", "same-origin")
}

fn parsed(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("no JSON: {}", answer.text()))
}

async fn now(world: &World) -> Value {
    parsed(&world.admin().get("/api/now").await)
}

async fn post(client: Client, path: &str, body: &Value) -> Answer {
    client.header("Content-Type", "application/json").send_body("POST", path, body.to_string().as_bytes()).await
}

async fn attempt(world: &World, policy: &str) -> Answer {
    post(page(world), "/api/workbench", &json!({"policy": policy, "hours": 6})).await
}

/// A log of the gateway: `count` lines of the last minutes, every second one of a scraper.
fn log(count: usize) -> String {
    let mut text = String::new();
    let now = Timestamp::from(SystemTime::now()).0;
    for number in 0..count {
        let (client, agent) = if number % 2 == 0 { (SCRAPER, "Scraper/1") } else { (STRANGER, "curl/8") };
        let at = Timestamp(now - 600_000 + number as u64 * 600_000 / count as u64);
        _ = writeln!(
            text,
            r#"{{"timestamp":"{at}","request_id":"{number:016x}","site":"logs","client":"{client}","trusted":true,"method":"GET","path":"/run/log","status":200,"bytes":5000,"class":"unknown","identity":"none","dialect":"plain","rule":"default","action":"allow","mode":"observe","seconds":0.01,"user_agent":"{agent}"}}"#
        );
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_small_and_needs_nothing_from_elsewhere() {
    let world = world().await;
    let mut size = 0;
    for (path, kind) in [("/", "text/html"), ("/dashboard.css", "text/css"), ("/dashboard.js", "text/javascript")] {
        let answer = world.admin().get(path).await;
        assert_eq!((answer.status, answer.header("content-type").unwrap().starts_with(kind)), (200, true), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"] {
            assert!(policy.contains(part) && !policy.contains("unsafe"), "{path}: {policy}");
        }
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let text = answer.text();
        let elsewhere = text.replace("http://www.w3.org/2000/svg", "").replace("https://logs.example.org", "");
        assert!(!elsewhere.contains("://"), "{path}");
        assert!(!text.contains("innerHTML") && !text.contains("Storage"), "{path}");
        size += text.len();
    }
    assert!(size < 40_000, "{size} bytes");
    assert_eq!(world.admin().send("HEAD", "/").await.status, 200);
    assert_eq!(world.admin().get("/dashboard.html").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_who_takes_what_and_why() {
    let world = world().await;
    traffic(&world).await;
    eventually("all is in the books", async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        now(&world).await["books"]["classes"].as_array().unwrap().len() == 3
    })
    .await;
    let told = now(&world).await;
    assert_eq!((&told["state"], &told["policy"]["mode"]), (&json!("observe"), &json!("observe")));
    assert_eq!(told["auto"]["conditions"].as_array().unwrap().len(), 1);
    let takers = told["books"]["takers"].as_array().unwrap();
    let scraper = takers.iter().find(|taker| taker["prefix"] == "198.51.100.0/24").unwrap();
    assert_eq!((&scraper["class"], &scraper["requests"]), (&json!("suspect"), &json!(12)));
    assert_eq!(scraper["why"], json!({"rule": "suspects", "action": "deny", "requests": 12}));
    let agents: Vec<&str> =
        told["books"]["agents"].as_array().unwrap().iter().map(|a| a["user_agent"].as_str().unwrap()).collect();
    assert!(agents.contains(&EVIL), "{agents:?}");
    assert_eq!(told["limits"][0]["limit"], "few");
    assert_eq!(told["origins"].as_array().unwrap().len(), 3);
    let report = parsed(&world.admin().get("/api/report").await);
    assert!(report["headline"].as_str().unwrap().contains("add `ledger:"), "{report}");
    assert_eq!(world.admin().get("/api/now?hours=26").await.status, 400);
    assert_eq!(world.admin().get("/api/nothing").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_reported_on() {
    let world = setup("").more("ledger: {path: ledger.db, interval: 1s}\n").start().await;
    world.put("logs", "run/log", &[b'x'; 5000]);
    traffic(&world).await;
    world.server.keep();
    let report = parsed(&world.admin().get("/api/report").await);
    assert_eq!(report["need"], "not-enough-data");
    assert!(report["headline"].as_str().unwrap().starts_with("Not enough data to say"), "{report}");
    assert_eq!(report["today"]["suspect"]["requests"], 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_is_refused_is_shown_until_it_is_mended() {
    let world = world().await;
    let (gateway, policy) = (world.directory.path().join("gateway.yaml"), world.directory.path().join("policy.yaml"));
    std::fs::write(&policy, POLICY.replace("action: deny", "action: dney")).unwrap();
    assert!(!world.server.steering.reload(&gateway).0);
    let refused = &now(&world).await["refused"];
    assert!(refused["because"][0].as_str().unwrap().contains("policy.yaml:9:"), "{refused}");
    std::fs::write(&policy, POLICY).unwrap();
    assert!(world.server.steering.reload(&gateway).0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(now(&world).await["refused"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_others_are_refused() {
    let world = setup(", access_log: access.log").file("access.log", log(10).as_bytes()).start().await;
    let body = json!({"policy": PASTED}).to_string();
    let kind = ("Content-Type", "application/json");
    let evil = ("Origin", "https://evil.example.org");
    let cross = ("Sec-Fetch-Site", "cross-site");
    let sibling = ("Sec-Fetch-Site", "same-site");
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, &str, Headers<'_>, u16); 11] = [
        ("GET", "/", &[("Host", "evil.example.org")], 421),
        ("GET", "/api/now", &[("Host", "evil.example.org")], 421),
        ("GET", "/api/now", &[evil], 421),
        ("GET", "/api/now", &[cross], 403),
        ("GET", "/api/report", &[sibling], 403),
        ("POST", "/api/workbench", &[evil, kind], 421),
        ("POST", "/api/workbench", &[cross, kind], 403),
        ("POST", "/api/workbench", &[("Content-Type", "text/plain")], 415),
        ("POST", "/api/explain", &[cross, kind], 403),
        ("POST", "/", &[], 405),
        ("POST", "/api/workbench", &[kind], 200),
    ];
    for (method, path, headers, expected) in cases {
        let client = headers.iter().fold(world.admin(), |client, (name, value)| client.header(name, value));
        let answer = client.send_body(method, path, if method == "POST" { body.as_bytes() } else { b"" }).await;
        assert_eq!(answer.status, expected, "{method} {path} {headers:?}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn to_decide_takes_a_token() {
    let world = world().await;
    let bearing = |client: Client| client.header("Authorization", &format!("Bearer {}", ALICE.reveal()));
    let block = json!({"kind": "block", "prefix": "192.0.2.0/24", "for": "1h", "reason": "secret matter"});
    assert_eq!(post(page(&world), "/api/decisions", &block).await.status, 401);
    let foreign = world.admin().header("Origin", "https://evil.example.org");
    assert_eq!(post(bearing(foreign), "/api/decisions", &block).await.status, 421);
    let foreign = world.admin().header("Sec-Fetch-Site", "cross-site");
    assert_eq!(post(bearing(foreign), "/api/decisions", &block).await.status, 403);
    assert_eq!(world.client(STRANGER).get("/logs/run/log").await.status, 200);
    let answer = post(bearing(page(&world)), "/api/decisions", &block).await;
    assert_eq!(
        (answer.status, world.client(STRANGER).get("/logs/run/log").await.status),
        (200, 403),
        "{}",
        answer.text()
    );

    let asked = json!({"url": "http://x/logs/run/log", "address": STRANGER});
    for (client, knows) in [(page(&world), false), (bearing(page(&world)), true)] {
        let answer = post(client, "/api/explain", &asked).await;
        assert_eq!((answer.status, answer.text().contains("secret matter")), (200, knows), "{}", answer.text());
    }
    for path in ["/api/now", "/api/report"] {
        assert!(!world.admin().get(path).await.text().contains("secret matter"), "{path}");
    }
    assert_eq!(now(&world).await["decisions"]["block"], 1.0);
    assert_eq!(bearing(page(&world)).send("DELETE", "/api/decisions/192.0.2.0/24").await.status, 200);
    assert_eq!(world.client(STRANGER).get("/logs/run/log").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_what_the_command_tells() {
    let world = world().await;
    let asked = json!({"url": "http://x/logs/run/log", "address": SCRAPER, "user_agent": "Scraper/1", "headers": ["Accept: */*"]});
    let found = parsed(&post(page(&world), "/api/explain", &asked).await);
    assert_eq!(
        (&found["class"], &found["action"], &found["rule"]),
        (&json!("suspect"), &json!("allow"), &json!("default"))
    );
    assert_eq!(found["held_back"], json!({"rule": "suspects", "action": "deny"}));
    assert!(found["text"].as_str().unwrap().contains("deny by `suspects` is what would be"), "{found}");
    for (key, value, wanted) in [
        ("address", json!("here"), "`address` is an IP address"),
        ("url", json!("log"), "`log` is not a URL"),
        ("dress", json!("gown"), "`dress` is one of"),
        ("headers", json!(["x"]), "`x` is not a header"),
        ("method", json!("G T"), "`method` is"),
    ] {
        let mut asked = asked.clone();
        asked[key] = value;
        let answer = post(page(&world), "/api/explain", &asked).await;
        assert!(answer.status == 400 && answer.text().contains(wanted), "{key}: {}", answer.text());
    }
    // A redirect is shown without a signature that would open anything.
    let redirecting = "version: 1\nmode: enforce\ndefault: {action: redirect}\n";
    let world = Setup::new().policy(redirecting).start().await;
    let found = parsed(&post(page(&world), "/api/explain", &asked).await);
    assert_eq!(found["action"], "redirect");
    assert!(!found.to_string().contains("X-Amz-Signature"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workbench_shows_what_a_policy_would_change() {
    let world = setup(", access_log: access.log").file("access.log", log(2000).as_bytes()).start().await;
    let answer = attempt(&world, PASTED).await;
    let told = parsed(&answer);
    assert_eq!((answer.status, &told["judged"], &told["cut"]), (200, &json!(2000), &json!(false)), "{told}");
    let changes = told["changes"].as_array().unwrap();
    let scrapers = changes.iter().find(|change| change["from"]["class"] == "suspect").unwrap();
    let (from, to) = (&scrapers["from"], &scrapers["to"]);
    assert_eq!(
        (&from["class"], &from["action"], &from["rule"]),
        (&json!("suspect"), &json!("deny"), &json!("suspects"))
    );
    assert_eq!(
        (&to["action"], &to["rule"], &scrapers["requests"]),
        (&json!("challenge"), &json!("tarpit"), &json!(1000))
    );
    assert_eq!(scrapers["example"], "198.51.100.0/24");
    assert!(changes.iter().any(|change| change["from"]["class"] == "tool" && change["to"]["class"] == "unknown"));
    let rules = now(&world).await["policy"]["rules"].clone();
    assert_eq!(rules, 2, "nothing has changed");
    assert_eq!(parsed(&attempt(&world, POLICY).await)["changes"], json!([]), "the same policy says the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workbench_reads_nothing_but_the_log() {
    let world = setup(", access_log: access.log").file("access.log", log(10).as_bytes()).start().await;
    let with = |line: &str| format!("version: 1\n{line}\ndefault: {{action: allow}}\n");
    for (policy, wanted) in [
        (with("import: [/etc/passwd]"), "`/etc/passwd` is not imported: nothing is read here"),
        (with("import: [lists/tools.yaml]"), "is not imported"),
        (with("networks: {a: [{file: /etc/passwd}]}"), "no file is read here: leave `a` out"),
        (with("networks: {a: {feed: aws-ip-ranges}}"), "no feed or URL is fetched here: leave `a` out"),
        (with("networks: {a: {feed: 'http://127.0.0.1:1/', format: list}}"), "no feed or URL is fetched here"),
        (with("networks: {a: {url: 'http://127.0.0.1:1/'}}"), "unknown key `url`"),
        (with("rules: [{name: x, match: {network: nowhere}, action: deny}]"), "pasted policy:2:"),
        ("no policy".into(), "pasted policy:1:1"),
    ] {
        let answer = attempt(&world, &policy).await;
        let told = parsed(&answer);
        assert!(answer.status == 422 && told["mistakes"].to_string().contains(wanted), "{policy}: {told}");
        assert!(!answer.text().contains("root:"), "{told}");
    }
    let answer = post(page(&world), "/api/workbench", &json!({"policy": PASTED, "hours": 100})).await;
    assert!(answer.status == 422 && answer.text().contains("`hours` is from 1 to 24"));
    let without = setup("").start().await;
    let answer = attempt(&without, PASTED).await;
    assert!(answer.status == 422 && answer.text().contains("`admin.access_log`"), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workbench_is_bounded() {
    // More than is read, and more than can be judged in time.
    let lines = log(250_000);
    assert!(lines.len() > 72 << 20, "{}", lines.len());
    let world = setup(", access_log: access.log").file("access.log", lines.as_bytes()).start().await;
    let begin = Instant::now();
    let (first, second) = tokio::join!(attempt(&world, PASTED), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        attempt(&world, PASTED).await
    });
    assert_eq!(second.status, 429, "one at a time: {}", second.text());
    let told = parsed(&first);
    assert_eq!(first.status, 200, "{told}");
    assert!(begin.elapsed() < Duration::from_secs(18), "{:?}", begin.elapsed());
    assert_eq!(told["bytes"]["of"], 64 << 20);
    assert!(told["cut"] == true || told["bytes"]["read"] == 64 << 20, "{}", told["bytes"]);
    assert!(told["judged"].as_u64().unwrap() > 0);

    // Expressions that take long to compile, each of them allowed.
    let heavy: Vec<String> = (0..3000).map(|number| format!("'{number}\\pL{{9}}[a-z]{{9}}'")).collect();
    let heavy = format!(
        "version: 1\nrules: [{{name: heavy, match: {{path: {{regex: [{}]}}}}, action: deny}}]\ndefault: {{action: allow}}\n",
        heavy.join(", ")
    );
    let begin = Instant::now();
    let answer = attempt(&world, &heavy).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(begin.elapsed() < Duration::from_secs(18), "{:?}", begin.elapsed());
    let large = format!("{PASTED}# {}\n", "x".repeat(256 << 10));
    let answer = attempt(&world, &large).await;
    assert!(answer.status == 422 && answer.text().contains("too large to be tried"), "{}", answer.text());
    let body = json!({"policy": "x".repeat(2 << 20)});
    assert_eq!(post(page(&world), "/api/workbench", &body).await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_looks_and_acts() {
    let world = setup(", access_log: access.log").file("access.log", log(2000).as_bytes()).start().await;
    world.put("logs", "run/log", &[b'x'; 5000]);
    traffic(&world).await;
    let browser = Browser::start(&[]).await;
    browser.inject("window.alert = () => { window.harmed = true };").await;
    let url = format!("http://{}/", world.server.admin.unwrap());
    let shown = |text: &str| format!("document.body.innerText.includes({})", json!(text));
    for (scheme, width, height) in [("light", 1280, 900), ("dark", 1280, 900), ("light", 390, 844), ("dark", 390, 844)]
    {
        browser.prefer(scheme).await;
        browser.resize(width, height).await;
        browser.go(&url).await;
        browser.until(&shown("Observing: nobody is stopped")).await;
        browser.until(&shown("198.51.100.0/24")).await;
        browser.until(&shown("without a ledger")).await;
        assert_eq!(browser.barriers().await, Vec::<String>::new(), "{scheme} {width}");
        let aside = "return document.documentElement.scrollWidth - window.innerWidth";
        assert!(browser.run(aside).await.as_i64().unwrap() <= 0, "{scheme} {width}: the page scrolls aside");
        browser.keep(&format!("dashboard-{scheme}-{width}")).await;
    }
    // What clients send is text.
    assert!(browser.text().await.contains(EVIL), "{}", browser.text().await);
    let harm = "return [window.harmed ?? false, document.querySelectorAll('img, main script, iframe').length]";
    assert_eq!(browser.run(harm).await, json!([false, 0]));

    // Who took most is explained.
    browser.resize(1280, 900).await;
    browser.run("document.querySelector('[aria-label=\"Explain 198.51.100.0/24\"]').click()").await;
    browser.until("!document.getElementById('steps').hidden").await;
    let text = browser.text().await;
    assert!(text.contains("198.51.100.0, prefix 198.51.100.0/24"), "{text}");
    assert!(text.contains("suspect: allow by default, observed; deny by suspects is held back"), "{text}");

    // To block takes the token.
    let fill = |id: &str, value: &str| format!("document.getElementById('{id}').value = {};", json!(value));
    let send =
        |id: &str, button: &str| format!("const form = document.getElementById('{id}'); form.requestSubmit({button});");
    assert_eq!(browser.run("return document.getElementById('deciding').hidden").await, true);
    browser.run(&(fill("token", "wsop_wrong") + &send("token-form", ""))).await;
    browser.until("document.getElementById('decide-said').textContent.startsWith('Refused')").await;
    assert_eq!(browser.run("return document.getElementById('deciding').hidden").await, true);
    browser.run(&(fill("token", ALICE.reveal()) + &send("token-form", ""))).await;
    browser.until("!document.getElementById('deciding').hidden").await;
    assert_eq!(browser.run("return document.body.innerHTML.includes(arguments[0]) || localStorage.length + sessionStorage.length > 0").await, false);
    browser.run("document.querySelector('[aria-label=\"Block 198.51.100.0/24\"]').click()").await;
    browser.run(&(fill("reason", "ticket 4711") + &send("decide", "form.querySelector('[value=block]')"))).await;
    browser.until(&shown("ticket 4711")).await;
    assert_eq!(world.client(SCRAPER).get("/logs/run/log").await.status, 403);
    assert_eq!(browser.barriers().await, Vec::<String>::new());
    browser.run("document.querySelector('[aria-label=\"Remove 198.51.100.0/24\"]').click()").await;
    browser.until(&shown("198.51.100.0/24 is taken back")).await;
    assert_eq!(world.client(SCRAPER).get("/logs/run/log").await.status, 200);

    // A policy is tried.
    browser.run(&(fill("pasted", PASTED) + &send("bench", ""))).await;
    browser.until(&shown("of 2,000 requests")).await;
    browser.until(&shown("challenge (tarpit)")).await;
    browser.run("document.getElementById('bench').scrollIntoView()").await;
    browser.keep("dashboard-workbench").await;
    assert_eq!(browser.barriers().await, Vec::<String>::new());
    browser.run(&(fill("pasted", "import: x") + &send("bench", ""))).await;
    browser.until(&shown("Refused: this policy is refused")).await;

    // All can be reached by keys, beginning with the way past the header.
    browser.go(&url).await;
    for kind in ["keyDown", "keyUp"] {
        let tab = json!({"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9});
        browser.cdp("Input.dispatchKeyEvent", tab).await;
    }
    assert_eq!(browser.run("return document.activeElement.textContent").await, "Skip to the answer");

    // When the gateway is gone it says so.
    browser.until(&shown("Updated")).await;
    drop(world);
    browser.until(&shown("No contact: this is from")).await;
}
