//! Whoever tries to come in for less than a solution and a budget of one's own stays out: each attempt by its name.

use crate::harness::passes::{VERIFY, challenge, issue, pass, put_numbered, served, solve, submit, with_pass};
use crate::harness::{Answer, Client, HTML, STRANGER, Setup, World, manual_clock, metric_in};
use crate::those_without_scripts_wait::link;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use windscreen::challenge::cachewalk::Walker;
use windscreen::challenge::{ChallengeSettings, Gate, RedeemError, SigningKeys, Submission};
use windscreen::clock::Timestamp;
use windscreen::facts;

/// Easy puzzles and a small budget. Whoever says that it is sly pays more.
const POLICY: &str = "version: 1\nmode: enforce\n\
    rules:\n\
    \x20 - {name: sly, match: {user_agent: {regex: Sly}}, action: challenge, tier: hard}\n\
    \x20 - {name: hard, match: {path: /hard}, action: challenge, tier: hard}\n\
    \x20 - {name: all, action: challenge}\n\
    default: {action: allow}\n\
    challenge: {tiers: {default: 64, hard: 128}, pass: {requests: 10, bytes: 1 MB, per: 1h, prefixes: 2}}\n";
const SLY: &str = "Mozilla/5.0 (Sly)";
/// In another prefix than [`STRANGER`].
const ELSEWHERE: &str = "198.51.100.1";
const OBJECT: &str = "so much for the object";

fn put_objects(world: &World) {
    for key in ["a", "hard"] {
        world.put("logs", key, OBJECT.as_bytes());
        world.put("images", key, OBJECT.as_bytes());
    }
}

async fn world() -> World {
    let world = Setup::new().policy(POLICY).start().await;
    put_objects(&world);
    world
}

/// A challenge, and a solution of it.
async fn solved(world: &World) -> (String, Vec<u32>) {
    let challenge = issue(world, STRANGER, "/logs/a").await;
    let nonces = solve(&challenge, 64);
    (challenge, nonces)
}

fn count(metrics: &str, name: &str, labels: &str) -> f64 {
    metric_in(metrics, &format!("windscreen_{name}_total{{{labels}}}"))
}

/// Sees that a submission came to nothing: by what the client gets, and by what is counted.
async fn is_refused(world: &World, reason: &str, attempt: &str, submission: impl Future<Output = Answer>) {
    let before = world.metrics().await;
    let answer = submission.await;
    let after = world.metrics().await;
    let status = if reason == "malformed" { 400 } else { 403 };
    assert_eq!((answer.status, answer.header("set-cookie")), (status, None), "{attempt}: {}", answer.text());
    let more = |name, labels: &str| count(&after, name, labels) - count(&before, name, labels);
    assert_eq!(more("challenges_failed", &format!("reason=\"{reason}\"")), 1.0, "{attempt} is {reason}");
    assert_eq!(more("challenges_solved", "site=\"logs\""), 0.0, "{attempt}");
}

/// Sees that a pass did not open a page.
async fn is_shut(world: &World, reason: &str, attempt: &str, visit: impl Future<Output = Answer>) {
    let before = world.metrics().await;
    let answer = visit.await;
    assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{attempt}");
    assert!(!answer.text().contains(OBJECT), "{attempt}");
    let more = |site| {
        let labels = format!("reason=\"{reason}\",site=\"{site}\"");
        let before = count(&before, "passes_rejected", &labels);
        async move { count(&world.metrics().await, "passes_rejected", &labels) - before }
    };
    assert_eq!(more("logs").await + more("images").await, 1.0, "{attempt} is {reason}");
}

/// The challenge and its solution are as good as ever.
async fn still_opens(world: &World, challenge: &str, nonces: &[u32]) {
    let answer = submit(world, STRANGER, challenge, nonces).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// A sealed text with one field changed after the other: as said, or for `*` by one digit of it.
fn tampered(sealed: &str, changes: &[(usize, &str)]) -> Vec<String> {
    let change = |(at, value): &(usize, &str)| {
        let mut fields: Vec<String> = sealed.split('~').map(str::to_owned).collect();
        fields[*at] = match *value {
            "*" => {
                let digit = if fields[*at].ends_with('1') { "2" } else { "1" };
                format!("{}{digit}", &fields[*at][..fields[*at].len() - 1])
            }
            value => value.to_owned(),
        };
        fields.join("~")
    };
    changes.iter().map(change).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_submissions_of_one_solution_at_once_are_one_pass() {
    let world = Arc::new(world().await);
    put_numbered(&world, 40);
    let (challenge, nonces) = solved(&world).await;
    let submissions: Vec<_> = (0..1000)
        .map(|_| {
            let (world, challenge, nonces) = (world.clone(), challenge.clone(), nonces.clone());
            tokio::spawn(async move { submit(&world, STRANGER, &challenge, &nonces).await })
        })
        .collect();
    let mut cookies = BTreeSet::new();
    for submission in submissions {
        let answer = submission.await.unwrap();
        // While the first is being checked, the others are told that it is spent.
        assert_eq!(answer.status, if answer.cookie().is_some() { 204 } else { 403 }, "{}", answer.text());
        cookies.extend(answer.cookie());
    }
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert_eq!(world.metric("windscreen_challenges_solved_total{site=\"logs\"}").await, 1.0);
    let cookie = cookies.first().unwrap();
    assert_eq!(served(&world, STRANGER, cookie, 0, 20).await, 10, "and one account");
    // Nor is it a new one when that is used up.
    let again = submit(&world, STRANGER, &challenge, &nonces).await;
    assert_eq!((again.status, again.cookie().as_ref()), (204, Some(cookie)));
    assert_eq!(served(&world, STRANGER, cookie, 20, 20).await, 0);
}

/// Replicas that share a store spend a challenge once: `three_gateways_count_as_one`. Without one they have the keys alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_solution_replayed_on_another_replica_is_the_same_pass() {
    let clock = manual_clock();
    let replica = async || Setup::new().policy(POLICY).clock(clock.clone()).fixed_pass_keys().start().await;
    let (one, other) = (replica().await, replica().await);
    let (challenge, nonces) = solved(&one).await;
    let mut cookies = BTreeSet::new();
    for replica in [&one, &other, &one] {
        clock.advance(Duration::from_secs(1));
        cookies.extend(submit(replica, STRANGER, &challenge, &nonces).await.cookie());
    }
    assert_eq!(cookies.len(), 1, "one account, wherever it is kept, and no later end: {cookies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_solved_on_one_prefix_is_not_redeemed_on_another() {
    let world = world().await;
    let (challenge, nonces) = solved(&world).await;
    for address in [ELSEWHERE, "192.0.3.40", "2001:db8::1", "::ffff:198.51.100.1"] {
        is_refused(&world, "prefix", address, submit(&world, address, &challenge, &nonces)).await;
    }
    still_opens(&world, &challenge, &nonces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_easy_pass_does_not_open_what_is_hard() {
    let world = world().await;
    let easy = pass(&world, STRANGER, "/logs/a", 64).await;
    is_shut(&world, "tier", "an easy pass", with_pass(&world, STRANGER, &easy, "/logs/hard")).await;
    let hard = pass(&world, STRANGER, "/logs/hard", 128).await;
    for path in ["/logs/hard", "/logs/a"] {
        assert_eq!(with_pass(&world, STRANGER, &hard, path).await.text(), OBJECT, "a hard pass opens {path}");
    }
}

/// Nonces that an easier challenge would have taken.
fn solved_too_easily(challenge: &str) -> Vec<u32> {
    let mut walker = Walker::new(challenge);
    let easy = (0..).filter(|nonce| walker.solves(*nonce, 4096, 64) && !walker.solves(*nonce, 4096, 128));
    easy.take(16).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_change_between_the_steps_lower_nothing() {
    let world = world().await;
    let sly = |client: Client| client.header("User-Agent", SLY).header("Accept", HTML);
    let hard = challenge(&sly(world.client(STRANGER)).get("/logs/a").await);
    assert!(hard.contains("~logs~128~"), "{hard}");
    // It is sent as an ordinary browser, with what such a one would have had to solve.
    let easily = solved_too_easily(&hard);
    is_refused(&world, "wrong", "solved too easily", submit(&world, STRANGER, &hard, &easily)).await;
    // A pass that was bought as somebody else is worth what was paid.
    let easy = pass(&world, STRANGER, "/logs/a", 64).await;
    let visit = sly(world.client(STRANGER)).header("Cookie", &easy);
    is_shut(&world, "tier", "an easy pass", visit.get("/logs/a")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_field_of_a_challenge_can_be_changed() {
    let world = world().await;
    let (challenge, nonces) = solved(&world).await;
    let soon = "99999999999999";
    // Version, key, site, difficulty, time of issue, id, prefix, tag.
    let changes = [(0, "c2"), (0, ""), (1, "*"), (2, "images"), (3, "1"), (3, "0"), (3, "64.0"), (3, "+64"), (4, "*")];
    let more = [(4, soon), (4, "-1"), (5, "*"), (5, ""), (6, "198.51.100.0/24"), (6, "0.0.0.0/0"), (7, "*"), (7, "")];
    let (text, tag) = challenge.rsplit_once('~').unwrap();
    let mut forged = tampered(&challenge, &[&changes[..], &more[..]].concat());
    forged.extend([
        text.to_owned(),
        format!("{text}~{tag}0"),
        format!("{text}~{}", tag.to_uppercase()),
        format!("{text}~192.0.2.0/24~{tag}"),
        format!(" {challenge}"),
        format!("{challenge}\0"),
        challenge.to_uppercase(),
        String::new(),
        "~".repeat(500),
    ]);
    for forged in forged {
        for address in [STRANGER, ELSEWHERE] {
            is_refused(&world, "forged", &forged, submit(&world, address, &forged, &nonces)).await;
        }
    }
    // Nor is anything else that we have signed a challenge, or a challenge a pass.
    let cookie = pass(&world, STRANGER, "/logs/a", 64).await;
    let value = cookie.split_once('=').unwrap().1;
    is_refused(&world, "forged", "a pass", submit(&world, STRANGER, value, &nonces)).await;
    let cookie = format!("windscreen-logs={challenge}");
    is_shut(&world, "forged", "a challenge", with_pass(&world, STRANGER, &cookie, "/logs/a")).await;
    still_opens(&world, &challenge, &nonces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_field_of_a_pass_can_be_changed() {
    let world = world().await;
    let cookie = pass(&world, STRANGER, "/logs/a", 64).await;
    let (name, value) = cookie.split_once('=').unwrap();
    // Version, key, id, site, difficulty, end, first issue, prefix, tag.
    let changes = [(0, "w1"), (1, "*"), (2, "*"), (3, "images"), (4, "8192"), (5, "99999999999999"), (6, "*")];
    for forged in tampered(value, &[&changes[..], &[(7, "0.0.0.0/0"), (8, "*"), (8, "")]].concat()) {
        let cookie = format!("{name}={forged}");
        is_shut(&world, "forged", &forged, with_pass(&world, STRANGER, &cookie, "/logs/a")).await;
    }
    assert_eq!(with_pass(&world, STRANGER, &cookie, "/logs/a").await.text(), OBJECT);
    let both = format!("{name}=p1~nonsense; {cookie}");
    assert_eq!(with_pass(&world, STRANGER, &both, "/logs/a").await.text(), OBJECT, "what is planted shuts nobody out");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_challenge_buys_nothing() {
    let clock = manual_clock();
    let world = Setup::new().policy(POLICY).clock(clock.clone()).start().await;
    let (challenge, nonces) = solved(&world).await;
    clock.advance(Duration::from_secs(120));
    is_refused(&world, "expired", "two minutes later", submit(&world, STRANGER, &challenge, &nonces)).await;
    let (challenge, nonces) = solved(&world).await;
    clock.advance(Duration::from_millis(119_999));
    still_opens(&world, &challenge, &nonces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_from_the_future_buys_nothing() {
    let clock = manual_clock();
    let ahead = Setup::new().policy(POLICY).clock(clock.clone()).fixed_pass_keys();
    clock.advance(Duration::from_secs(60));
    let ahead = ahead.start().await;
    let world = Setup::new().policy(POLICY).clock(manual_clock()).fixed_pass_keys().start().await;
    let (challenge, nonces) = solved(&ahead).await;
    is_refused(&world, "expired", "a minute early", submit(&world, STRANGER, &challenge, &nonces)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_more_doubled_and_unsorted_nonces_are_no_solution() {
    let world = world().await;
    let (challenge, nonces) = solved(&world).await;
    let with = |change: &dyn Fn(&mut Vec<u32>)| {
        let mut nonces = nonces.clone();
        change(&mut nonces);
        nonces
    };
    let shapes = [
        ("k - 1", nonces[1..].to_vec()),
        ("none", Vec::new()),
        ("k + 1", with(&|nonces| nonces.push(u32::MAX))),
        ("one twice", with(&|nonces| nonces[1] = nonces[0])),
        ("one sixteen times", vec![nonces[0]; 16]),
        ("unsorted", with(&|nonces| nonces.swap(0, 1))),
    ];
    for (shape, nonces) in shapes {
        is_refused(&world, "malformed", shape, submit(&world, STRANGER, &challenge, &nonces)).await;
    }
    still_opens(&world, &challenge, &nonces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_solution_spends_the_challenge() {
    let world = world().await;
    let (challenge, nonces) = solved(&world).await;
    let wrong: Vec<u32> = (4_000_000_000..4_000_000_016).collect();
    is_refused(&world, "wrong", "no solutions", submit(&world, STRANGER, &challenge, &wrong)).await;
    is_refused(&world, "spent", "the solution, too late", submit(&world, STRANGER, &challenge, &nonces)).await;
}

/// Two of sixteen are looked at, so whoever has two gets in by one try in 120, and has worked for 240.
#[test]
fn two_good_nonces_of_sixteen_get_in_as_seldom_as_theory_says() {
    const TRIES: u32 = 10_000;
    const DIFFICULTY: u32 = 8;
    const NOW: Timestamp = Timestamp(1_763_840_000_000);
    let gate = Gate::new(SigningKeys::new([7; 32], []), ChallengeSettings::default(), NOW);
    let gets_in = |number: u32, random: u64| {
        // Each from a network of its own, since one has a quota.
        let client = facts::Client::new(Ipv4Addr::from(0x0a00_0000 + number * 256).into(), true);
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let challenge = gate.issue("logs", DIFFICULTY, client.prefix, id, NOW);
        let (mut walker, mut good, mut nonces) = (Walker::new(&challenge), 0, Vec::new());
        for nonce in 0.. {
            let solves = walker.solves(nonce, 4096, DIFFICULTY);
            let is_wanted = if solves { good < 2 } else { nonces.len() - good < 14 };
            if is_wanted {
                nonces.push(nonce);
                good += usize::from(solves);
            }
            if nonces.len() == 16 {
                break;
            }
        }
        let submission = Submission { challenge, nonces };
        let attempt = gate.attempt(&submission, |_| true, client, NOW).unwrap();
        match gate.redeem(attempt, &submission, random) {
            Ok(_) => true,
            Err(RedeemError::Wrong) => {
                let again = gate.attempt(&submission, |_| true, client, NOW).map(drop);
                assert_eq!(again.unwrap_err(), RedeemError::Spent, "there is no second try");
                false
            }
            Err(error) => panic!("{error}"),
        }
    };
    let got_in = std::thread::scope(|scope| {
        let half = |half: u32| {
            let mut random = StdRng::seed_from_u64(half.into());
            (0..TRIES / 2).filter(|number| gets_in(2 * number + half, random.random())).count()
        };
        let threads = [0, 1].map(|number| scope.spawn(move || half(number)));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    let chance = 2.0 / f64::from(16 * 15);
    let expected = chance * f64::from(TRIES);
    let spread = (expected * (1.0 - chance)).sqrt();
    assert!((got_in as f64 - expected).abs() <= 4.0 * spread, "{got_in} got in, {expected} expected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_of_another_site_or_gateway_buys_nothing() {
    let site = |name: &str| {
        format!(
            "  {name}:\n    hosts: [{name}.test]\n    origins: [{{name: a, url: 'http://{{first}}/{name}', credentials: test}}]\n"
        )
    };
    let world = Setup::new().policy(POLICY).sites(&format!("{}{}", site("logs"), site("images"))).start().await;
    put_objects(&world);
    let at = |host: &str| world.client(STRANGER).header("Host", host);
    let challenge = challenge(&at("logs.test").navigating().get("/a").await);
    let nonces = solve(&challenge, 64);
    let body = json!({"challenge": challenge, "nonces": nonces}).to_string();
    let post = |host: &str| at(host).header("Content-Type", "application/json");
    for host in ["images.test", "nowhere.test"] {
        is_refused(&world, "site", host, post(host).send_body("POST", VERIFY, body.as_bytes())).await;
    }
    let answer = post("logs.test").send_body("POST", VERIFY, body.as_bytes()).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let moved = answer.cookie().unwrap().replace("windscreen-logs=", "windscreen-images=");
    let visit = at("images.test").navigating().header("Cookie", &moved);
    is_shut(&world, "site", "a pass of another site", visit.get("/a")).await;

    let other = self::world().await;
    // Each has keys of its own.
    let (challenge, nonces) = solved(&self::world().await).await;
    is_refused(&other, "forged", "another gateway's", submit(&other, STRANGER, &challenge, &nonces)).await;
    let foreign = pass(&self::world().await, STRANGER, "/logs/a", 64).await;
    is_shut(&other, "forged", "another gateway's", with_pass(&other, STRANGER, &foreign, "/logs/a")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_and_malformed_bodies_are_refused() {
    let world = world().await;
    let (challenge, nonces) = solved(&world).await;
    let good = json!({"challenge": challenge, "nonces": nonces}).to_string();
    let with_nonces = |nonces: &str| format!("{{\"challenge\":\"{challenge}\",\"nonces\":{nonces}}}");
    let bodies = [
        String::new(),
        "{}".into(),
        "null".into(),
        "[]".into(),
        "challenge=x&nonces=1".into(),
        good[1..].into(),
        good[..good.len() - 1].into(),
        format!("{good}{good}"),
        format!("{good}\0"),
        good.replacen('{', "{\"more\":1,", 1),
        good.replacen('{', "{\"nonces\":[1],", 1),
        with_nonces("null"),
        with_nonces("\"1\""),
        with_nonces("[-1]"),
        with_nonces("[1.5]"),
        with_nonces("[4294967296]"),
        with_nonces("[1e3]"),
        with_nonces(&format!("{}{}", "[".repeat(1500), "]".repeat(1500))),
        "[".repeat(4000),
        "x".repeat(4097),
        "x".repeat(100_000),
        format!("{good}{}", " ".repeat(100_000)),
    ];
    let client = world.client(STRANGER).header("Content-Type", "application/json");
    for body in &bodies {
        let attempt = &body[..body.len().min(60)];
        is_refused(&world, "malformed", attempt, client.send_body("POST", VERIFY, body.as_bytes())).await;
    }
    is_refused(&world, "malformed", "no UTF-8", client.send_body("POST", VERIFY, b"{\"challenge\":\"\xff\"}")).await;
    // Another site's page can send these types without asking first.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        let client = world.client(STRANGER).header("Content-Type", kind);
        is_refused(&world, "malformed", kind, client.send_body("POST", VERIFY, good.as_bytes())).await;
    }
    // A body that does not say how long it gets.
    let head = format!(
        "POST {VERIFY} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {STRANGER}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let answer = client.raw(format!("{head}{}", chunk.repeat(16)).as_bytes()).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.to_lowercase().contains("set-cookie"), "{answer}");
    still_opens(&world, &challenge, &nonces).await;
}

/// The page itself returns by loading its own address again; a link of those without scripts says where it leads.
#[tokio::test(flavor = "multi_thread")]
async fn a_return_path_leads_to_this_site_only() {
    let wait = "wait: {after: 1s, tiers: [default], limits: [waits]}";
    let policy = POLICY.replace("pass: {", &format!("{wait}, pass: {{"));
    let policy = policy + "limits: {waits: {key: prefix, requests: 1000/hour, burst: 1000}}\n";
    let sites = "  logs:\n    prefix: /logs\n    origins: [{name: a, url: 'http://{first}/logs', credentials: test}]\n\
                 \x20 images:\n    hosts: [images.test]\n    origins: [{name: a, url: 'http://{first}/images', credentials: test}]\n";
    let clock = manual_clock();
    let world = Setup::new().policy(&policy).sites(sites).clock(clock.clone()).start().await;
    let mut led = Vec::new();
    for target in [
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "/%2fevil.example/",
        "/%5cevil.example/",
        "/./evil.example",
        "/.//evil.example",
        "/logs/..//evil.example",
        "/logs//evil.example",
        "http://evil.example/logs/a",
        "/javascript:alert(1)",
        "/logs/a%0d%0aLocation:%20//evil.example",
        "/logs/a%0aset-cookie:x=y",
        "/logs/a?b=%0d%0aLocation:%20//evil.example",
        "/logs/a?//evil.example",
        "/logs/a?javascript:alert(1)",
        "/logs/a?b=c%23d&e=%2F",
    ] {
        for host in ["x.test", "images.test"] {
            let visitor = || world.client(STRANGER).header("Host", host).navigating();
            let page = visitor().get(target).await;
            assert!((400..500).contains(&page.status), "{target}: {}", page.status);
            assert_eq!((page.header("location"), page.header("set-cookie")), (None, None), "{target}");
            if page.status != 403 {
                continue;
            }
            let link = link(&page).unwrap();
            clock.advance(Duration::from_secs(1));
            let sold = visitor().get(&link).await;
            let (cookie, arrived) = (sold.cookie().unwrap(), sold.header("location").unwrap());
            assert!(arrived.starts_with("/.windscreen/arrived?"), "{target}: {arrived}");
            let back = visitor().header("Cookie", &cookie).get(arrived).await;
            assert_eq!((back.status, back.header("location")), (303, Some(target)), "{host}");
            assert_eq!(back.header("set-cookie"), None, "{target}");
            led.push((host, target));
        }
    }
    let is_of_this_site = |target: &str| target.starts_with('/') && !target[1..].starts_with(['/', '\\']);
    assert!(led.iter().all(|(_, target)| is_of_this_site(target)), "{led:?}");
    assert!(led.contains(&("x.test", "/logs/a?//evil.example")), "{led:?}");
    // Lines that are none.
    for line in ["/logs/a\r\nLocation: //evil.example", "javascript:alert('evil.example')", "//evil.example\r\nX: y"] {
        let request = format!("GET {line} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {STRANGER}\r\n\r\n");
        let answer = String::from_utf8_lossy(&world.client(STRANGER).raw(request.as_bytes()).await).into_owned();
        assert!(!answer.to_lowercase().contains("evil.example"), "{line:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_a_thousand_addresses_share_is_worth_one_budget() {
    let world = world().await;
    put_numbered(&world, 40);
    let cookie = pass(&world, "2001:db8:7::1", "/logs/a", 64).await;
    let mut good = 0;
    for number in 0..1000 {
        // Half of them in its own prefix, half everywhere.
        let address = match number % 2 {
            0 => format!("2001:db8:7:{number:x}::{number:x}"),
            _ => format!("2001:db8:{number:x}::1"),
        };
        good += served(&world, &address, &cookie, number % 40, 1).await;
    }
    assert_eq!(good, 10, "the budget of one pass");
    assert_eq!(world.metric("windscreen_passes_live").await, 1.0);

    let cookie = pass(&world, STRANGER, "/logs/a", 64).await;
    let mut statuses = Vec::new();
    for address in [STRANGER, ELSEWHERE, "203.0.113.1", STRANGER] {
        statuses.push(with_pass(&world, address, &cookie, "/logs/a").await.status);
    }
    assert_eq!(statuses, [200, 200, 403, 200], "two prefixes at a time");
}
