//! Clients that send a token are known by it, and served what their entry opens. A token that proves nothing is refused,
//! and never taken for none.

use crate::harness::issuer::{IssuerServer, TokenKey, base64url, unsigned};
use crate::harness::{Answer, INTERNAL, STRANGER, Setup, World, eventually, sum_in};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use windscreen::identity::Token;

const POLICY: &str = "version: 1\nmode: enforce\nclasses: [{class: ci, match: {identity: token}}]\nrules:\n\
    \x20 - {name: private, match: {path: {prefix: /rhel}, not: {identity: token}}, action: deny}\n\
    \x20 - {name: robots, match: {client: robot, path: /only-jobs}, action: deny}\n\
    default: {action: allow}\n";

/// The token of a client: always the same one.
fn token(number: u8) -> Token {
    Token::new(&[number; 32])
}

fn clients(issuer: &str) -> String {
    let hash = |number| token(number).hash();
    format!(
        "clients:\n\
         \x20 - {{name: robot, token: '{}', sites: [images]}}\n\
         \x20 - {{name: folder, token: '{}', sites: [images], paths: [/ci/]}}\n\
         \x20 - {{name: old, token: '{}', sites: [images], expires: 2026-01-01}}\n\
         \x20 - {{name: jobs, sites: [images], oidc: {{issuer: '{issuer}', audience: windscreen, \
         claims: {{repository_id: '42', ref: 'refs/heads/*', event_name: [push, schedule]}}}}}}\n\
         \x20 - {{name: log-jobs, sites: [logs], oidc: {{issuer: '{issuer}', audience: windscreen, \
         claims: {{repository_id: '42', ref: 'refs/heads/*', event_name: [push, schedule]}}}}}}\n",
        hash(1),
        hash(2),
        hash(3),
    )
}

async fn world(issuer: &IssuerServer) -> World {
    let world = Setup::new().policy(POLICY).more(&clients(&issuer.url)).start().await;
    for key in ["rhel-9", "fedora-44", "ci/a", "only-jobs"] {
        world.put("images", key, key.as_bytes());
    }
    world.put("logs", "rhel-9", b"log");
    world
}

async fn ask(world: &World, token: &str, target: &str) -> Answer {
    world.client(STRANGER).header("Authorization", &format!("Bearer {token}")).get(target).await
}

fn claims(issuer: &IssuerServer) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({
        "iss": issuer.url, "aud": "windscreen", "iat": now, "nbf": now - 5, "exp": now + 300,
        "repository_id": "42", "ref": "refs/heads/main", "event_name": "push", "sub": "repo:a/b:ref:refs/heads/main",
    })
}

/// Waits until the keys of the issuer have been fetched.
async fn ready(world: &World) {
    eventually("the issuer's keys are there", async || {
        sum_in(&world.metrics().await, "windscreen_issuer_keys", &[]) > 0.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_opens_what_its_entry_says() {
    let issuer = IssuerServer::start(&[&TokenKey::es256("k")]).await;
    let world = world(&issuer).await;
    let cases = [
        (1, "/images/rhel-9", 200),
        (1, "/images/fedora-44", 200),
        (1, "/images/only-jobs", 403),
        (1, "/logs/rhel-9", 403),
        (2, "/images/ci/a", 200),
        (2, "/images/rhel-9", 403),
        (3, "/images/fedora-44", 401),
        (4, "/images/fedora-44", 401),
    ];
    for (number, target, status) in cases {
        let answer = ask(&world, token(number).reveal(), target).await;
        assert_eq!(answer.status, status, "{number} {target}: {}", answer.text());
        let asks = answer.header("www-authenticate");
        assert_eq!(asks.is_some(), status == 401, "{asks:?}");
    }
    assert_eq!(world.client(STRANGER).get("/images/rhel-9").await.status, 403, "nobody without one");
    for sent in ["", "hunter2", "wst_", &token(1).reveal()[..51]] {
        let answer = ask(&world, sent, "/images/fedora-44").await;
        assert_eq!(answer.status, 401, "`{sent}` is not taken for none: {}", answer.text());
        assert!(!answer.text().contains("wst_"), "{}", answer.text());
    }
    let two = world.client(STRANGER).header("Authorization", &format!("Bearer {}", token(1).reveal()));
    let two = two.header("Authorization", "Bearer x").get("/images/fedora-44").await;
    assert_eq!(two.status, 401, "of two tokens none counts");
    let metrics = world.metrics().await;
    let counted =
        |result: &str| sum_in(&metrics, "windscreen_tokens_total", &["images", &format!("result=\"{result}\"")]);
    assert_eq!((counted("ok"), counted("expired"), counted("scope")), (4.0, 1.0, 1.0));
    assert_eq!((counted("unknown-token"), counted("malformed")), (1.0, 5.0));
    assert!(sum_in(&metrics, "windscreen_requests_total", &["class=\"ci\""]) >= 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_prove_themselves_by_what_their_issuer_signs() {
    let (key, stranger) = (TokenKey::rs256("k"), TokenKey::es256("k"));
    let issuer = IssuerServer::start(&[&key]).await;
    let world = world(&issuer).await;
    ready(&world).await;
    let with = |name: &str, value: Value| {
        let mut claims = claims(&issuer);
        claims[name] = value;
        claims
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let cases = [
        (claims(&issuer), 200, "ok"),
        (with("event_name", json!("schedule")), 200, "ok"),
        (with("aud", json!(["other", "windscreen"])), 200, "ok"),
        (with("aud", json!("other")), 401, "audience"),
        (with("repository_id", json!("43")), 401, "claims"),
        (with("event_name", json!("pull_request")), 401, "claims"),
        (with("ref", json!("refs/pull/7/merge")), 401, "claims"),
        (with("exp", json!(now - 100)), 401, "expired"),
        (with("nbf", json!(now + 100)), 401, "not-yet"),
        (with("iss", json!("https://token.actions.githubusercontent.com")), 401, "unknown-issuer"),
    ];
    for (claims, status, result) in cases {
        let before = counted(&world, result).await;
        let answer = ask(&world, &key.token(&claims), "/images/rhel-9").await;
        assert_eq!(answer.status, status, "{claims}: {}", answer.text());
        assert_eq!(counted(&world, result).await, before + 1.0, "{claims}");
    }
    let elsewhere = ask(&world, &key.token(&claims(&issuer)), "/logs/rhel-9").await;
    assert_eq!(elsewhere.status, 200, "of several entries that it proves, the one for this site counts");
    let good = claims(&issuer);
    let none = format!("{}.", unsigned(&json!({ "alg": "none", "kid": "k" }), &good));
    let public = key.jwk().to_string();
    let hmac = key.token_of(&json!({ "alg": "HS256", "kid": "k" }), &good);
    let long = with("sub", json!("x".repeat(20_000)));
    let unsigned = format!("{}.{}", self::unsigned(&key.header(), &good), base64url(public));
    let forged = [none, hmac, stranger.token_of(&key.header(), &good), unsigned, key.token(&long)];
    for token in forged {
        let answer = ask(&world, &token, "/images/rhel-9").await;
        assert_eq!(answer.status, 401, "{token}: {}", answer.text());
    }
}

async fn counted(world: &World, result: &str) -> f64 {
    sum_in(&world.metrics().await, "windscreen_tokens_total", &["images", &format!("result=\"{result}\"")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_of_the_issuer_is_known_to_who_tries_again() {
    let (old, new) = (TokenKey::es256("old"), TokenKey::es256("new"));
    let issuer = IssuerServer::start(&[&old]).await;
    let world = world(&issuer).await;
    ready(&world).await;
    issuer.set_keys(&[&old, &new]);
    let answer = ask(&world, &new.token(&claims(&issuer)), "/images/rhel-9").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")), "{}", answer.text());
    eventually("the key is fetched", async || {
        ask(&world, &new.token(&claims(&issuer)), "/images/rhel-9").await.status == 200
    })
    .await;
    issuer.set_broken(true);
    assert_eq!(ask(&world, &old.token(&claims(&issuer)), "/images/rhel-9").await.status, 200, "no request asks it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_tokens_and_keeps_the_keys_of_issuers() {
    let key = TokenKey::es256("k");
    let issuer = IssuerServer::start(&[&key]).await;
    let world = world(&issuer).await;
    ready(&world).await;
    issuer.set_broken(true);
    let path = world.directory.path().join("gateway.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let hash = |number| token(number).hash().to_string();
    std::fs::write(&path, text.replace(&hash(1), &hash(9))).unwrap();
    assert!(world.server.steering.reload(&path).0);
    for (number, status) in [(1, 401), (9, 200)] {
        assert_eq!(ask(&world, token(number).reveal(), "/images/fedora-44").await.status, status, "{number}");
    }
    assert_eq!(ask(&world, &key.token(&claims(&issuer)), "/images/rhel-9").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_no_secret_of_the_access_log_or_the_origin() {
    let issuer = IssuerServer::start(&[&TokenKey::es256("k")]).await;
    let world = world(&issuer).await;
    // The store takes the gateway's signature: a token that was sent on would be another scheme.
    assert_eq!(ask(&world, token(1).reveal(), "/images/rhel-9").await.text(), "rhel-9");
    assert_eq!(world.client(INTERNAL).get("/images/fedora-44").await.text(), "fedora-44");
    assert!(!world.metrics().await.contains(token(1).reveal()));
}
