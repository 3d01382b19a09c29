//! Promise: a token opens what its entry says, if the issuer that the entry names signed it for this gateway, now; and
//! nothing that a stranger can write does.

use crate::harness::issuer::{TokenKey, base64url, unsigned};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;
use windscreen::clock::Timestamp;
use windscreen::document::{Diagnostics, Position, read};
use windscreen::identity::{BearerProof, Bearers, KeyCell, KeySet, OidcSettings, Rejection, Token};

const NOW: Timestamp = Timestamp(1_795_221_000_000);
const ISSUER: &str = "https://token.actions.githubusercontent.com";

fn settings(text: &str) -> OidcSettings {
    let mut diagnostics = Diagnostics::new("gateway.yaml");
    let settings: Option<OidcSettings> = read(text, &mut diagnostics);
    if let Some(settings) = &settings {
        settings.check(Position::default(), &mut diagnostics);
    }
    assert_eq!(diagnostics.to_string(), "");
    settings.unwrap()
}

fn cell(keys: &[&TokenKey]) -> Arc<KeyCell> {
    let cell = Arc::new(KeyCell::default());
    let set = json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() });
    cell.set(KeySet::parse(set.to_string().as_bytes()).unwrap());
    cell
}

/// Three entries: 0 for pushes to branches, 1 for another repository, 2 for another gateway.
fn bearers(keys: &Arc<KeyCell>) -> Bearers {
    let entries = [
        "{issuer: 'https://token.actions.githubusercontent.com', audience: 'https://images.example.org',
          claims: {repository_id: '123', event_name: [push, schedule], ref: 'refs/heads/*'}}",
        "{issuer: 'https://token.actions.githubusercontent.com', audience: 'https://images.example.org',
          claims: {repository_id: 456}}",
        "{issuer: 'https://token.actions.githubusercontent.com', audience: other, claims: {repository_id: '123'}}",
    ];
    let proofs = entries.into_iter().map(|text| BearerProof::Oidc(settings(text)));
    Bearers::new(proofs.enumerate()).with_keys(|_| keys.clone())
}

fn claims() -> Value {
    let now = NOW.seconds();
    json!({
        "iss": ISSUER, "aud": "https://images.example.org", "exp": now + 300, "nbf": now - 300, "iat": now,
        "sub": "repo:octo/ci:ref:refs/heads/main", "repository_id": "123", "event_name": "push",
        "ref": "refs/heads/main",
    })
}

/// The claims with one of them changed, or left out where it is null.
fn but(name: &str, value: impl Into<Value>) -> Value {
    let (mut claims, value) = (claims(), value.into());
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(name),
        value => claims.as_object_mut().unwrap().insert(name.into(), value),
    };
    claims
}

#[test]
fn what_a_token_says_decides() {
    let now = NOW.seconds();
    let cases = [
        (claims(), Ok(0)),
        (but("aud", json!(["x", "https://images.example.org"])), Ok(0)),
        (but("aud", "other"), Ok(2)),
        (but("event_name", "schedule"), Ok(0)),
        (but("repository_id", 123), Ok(0)),
        (but("repository_id", "456"), Ok(1)),
        (but("exp", now - 59), Ok(0)),
        (but("exp", now as f64 + 0.5), Ok(0)),
        (but("nbf", now + 60), Ok(0)),
        (but("nbf", Value::Null), Ok(0)),
        (but("iat", Value::Null), Ok(0)),
        (but("exp", now - 60), Err(Rejection::Expired)),
        (but("exp", 0), Err(Rejection::Expired)),
        (but("exp", -1), Err(Rejection::Expired)),
        (but("exp", Value::Null), Err(Rejection::Malformed)),
        (but("exp", "9999999999"), Err(Rejection::Malformed)),
        (but("nbf", now + 61), Err(Rejection::NotYet)),
        (but("nbf", "soon"), Err(Rejection::Malformed)),
        (but("iat", now + 61), Err(Rejection::NotYet)),
        (but("iss", "https://token.actions.githubusercontent.com/"), Err(Rejection::UnknownIssuer)),
        (but("iss", "https://token.actions.githubusercontent.com.example.org"), Err(Rejection::UnknownIssuer)),
        (but("iss", json!([ISSUER])), Err(Rejection::UnknownIssuer)),
        (but("iss", Value::Null), Err(Rejection::UnknownIssuer)),
        (but("aud", "https://images.example.org/"), Err(Rejection::Audience)),
        (but("aud", json!([])), Err(Rejection::Audience)),
        (but("aud", json!({ "https://images.example.org": 1 })), Err(Rejection::Audience)),
        (but("aud", Value::Null), Err(Rejection::Audience)),
        (but("repository_id", "1234"), Err(Rejection::Claims)),
        (but("repository_id", Value::Null), Err(Rejection::Claims)),
        (but("event_name", "pull_request"), Err(Rejection::Claims)),
        (but("event_name", "Push"), Err(Rejection::Claims)),
        (but("ref", "refs/pull/1/merge"), Err(Rejection::Claims)),
        (but("ref", "xrefs/heads/main"), Err(Rejection::Claims)),
        (but("ref", Value::Null), Err(Rejection::Claims)),
    ];
    let keys = [TokenKey::es256("new"), TokenKey::rs256("old")];
    let bearers = bearers(&cell(&[&keys[0], &keys[1]]));
    for (claims, expected) in cases {
        for key in &keys {
            assert_eq!(bearers.verify(&key.token(&claims), NOW, |_| Ok(())), expected, "{claims}");
        }
    }
}

#[test]
fn nobody_but_the_issuer_makes_tokens() {
    let (ours, rsa) = (TokenKey::es256("ours"), TokenKey::rs256("rsa"));
    let (thief, rsa_thief) = (TokenKey::es256("ours"), TokenKey::rs256("ours"));
    let bearers = bearers(&cell(&[&ours, &rsa]));
    let header = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid });
    let with = |name: &str, value: Value| {
        let mut header = ours.header();
        header[name] = value;
        header
    };
    let claims = claims();
    let by_hash = |secret: &[u8]| {
        let signed = unsigned(&header("HS256", "ours"), &claims);
        let tag = Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", base64url(tag))
    };
    let x = ours.jwk()["x"].as_str().unwrap().to_owned();
    let good = ours.token(&claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = unsigned(&ours.header(), &but("repository_id", "456"));
    assert_eq!(bearers.verify(&good, NOW, |_| Ok(())), Ok(0));
    let cases = [
        (thief.token(&claims), Rejection::Signature),
        (thief.token_of(&with("jwk", thief.jwk()), &claims), Rejection::Signature),
        (format!("{other}.{signature}"), Rejection::Signature),
        (format!("{signed}."), Rejection::Signature),
        (format!("{signed}.{}", base64url([0; 64])), Rejection::Signature),
        (format!("{signed}.{}", base64url([1; 4000])), Rejection::Signature),
        (TokenKey::es256("made-up").token(&claims), Rejection::UnknownKey),
        // Each key is for one algorithm.
        (rsa_thief.token(&claims), Rejection::Algorithm),
        (rsa.token_of(&header("ES256", "rsa"), &claims), Rejection::Algorithm),
        (rsa.token_of(&header("RS256", "ours"), &claims), Rejection::Algorithm),
        (rsa.token_of(&header("RS512", "rsa"), &claims), Rejection::Algorithm),
        (rsa.token_of(&header("PS256", "rsa"), &claims), Rejection::Algorithm),
        (ours.token_of(&header("es256", "ours"), &claims), Rejection::Algorithm),
        (format!("{}.", unsigned(&header("none", "ours"), &claims)), Rejection::Algorithm),
        (format!("{}.", unsigned(&header("None", "ours"), &claims)), Rejection::Algorithm),
        (by_hash(x.as_bytes()), Rejection::Algorithm),
        (by_hash(ours.jwk().to_string().as_bytes()), Rejection::Algorithm),
        (by_hash(b""), Rejection::Algorithm),
        // What has another form.
        (ours.token_of(&json!({ "alg": "ES256" }), &claims), Rejection::Malformed),
        (ours.token_of(&json!({ "kid": "ours" }), &claims), Rejection::Malformed),
        (ours.token_of(&header("ES256", &"k".repeat(300)), &claims), Rejection::Malformed),
        (ours.token_of(&with("crit", json!(["exp"])), &claims), Rejection::Malformed),
        (ours.token_of(&ours.header(), &json!([claims])), Rejection::Malformed),
        (ours.token(&but("padding", "x".repeat(16 << 10))), Rejection::Malformed),
        (signed.to_owned(), Rejection::Malformed),
        (format!("{good}.{signature}"), Rejection::Malformed),
        (format!("{good}="), Rejection::Malformed),
        (format!("{good} "), Rejection::Malformed),
        ("..".into(), Rejection::Malformed),
        ("\u{e9}.\u{e9}.\u{e9}".into(), Rejection::Malformed),
        (Token::new(&[0; 32]).reveal().to_owned(), Rejection::UnknownToken),
    ];
    for (token, expected) in cases {
        assert_eq!(bearers.verify(&token, NOW, |_| Ok(())), Err(expected), "{token}");
    }
    for ours in [&ours, &rsa] {
        let good = ours.token(&claims);
        for (at, changed) in (0..good.len()).flat_map(|at| ["A", "x", "."].map(|changed| (at, changed))) {
            let token = format!("{}{changed}{}", &good[..at], &good[at + 1..]);
            assert!(token == good || bearers.verify(&token, NOW, |_| Ok(())).is_err(), "{token}");
        }
    }
}

#[test]
fn an_unknown_key_is_asked_for_and_a_made_up_issuer_is_not() {
    let ours = TokenKey::es256("ours");
    let keys = cell(&[&ours]);
    let bearers = bearers(&keys);
    let stranger = TokenKey::es256("made-up");
    assert_eq!(
        bearers.verify(&stranger.token(&but("iss", "https://example.org")), NOW, |_| Ok(())),
        Err(Rejection::UnknownIssuer)
    );
    assert_eq!(bearers.verify(&ours.token(&claims()), NOW, |_| Ok(())), Ok(0));
    assert!(!keys.take_wanted());
    assert_eq!(bearers.verify(&stranger.token(&claims()), NOW, |_| Ok(())), Err(Rejection::UnknownKey));
    assert!(keys.take_wanted() && !keys.take_wanted());
    // Before the first keys are there, every key is unknown.
    let empty = Arc::new(KeyCell::default());
    assert_eq!(self::bearers(&empty).verify(&ours.token(&claims()), NOW, |_| Ok(())), Err(Rejection::UnknownKey));
    assert!(empty.take_wanted());
}

#[test]
fn of_a_key_set_what_signs_is_taken() {
    let (elliptic, rsa) = (TokenKey::es256("e"), TokenKey::rs256("r"));
    let with = |key: &TokenKey, name: &str, value: Value| {
        let mut jwk = key.jwk();
        jwk[name] = value;
        jwk
    };
    let cases = [
        (elliptic.jwk(), true),
        (rsa.jwk(), true),
        (with(&rsa, "alg", json!("RS256")), true),
        (with(&rsa, "x5c", json!(["whatever"])), true),
        (with(&elliptic, "key_ops", json!(["verify"])), true),
        (with(&elliptic, "use", json!("enc")), false),
        (with(&elliptic, "key_ops", json!(["deriveKey"])), false),
        (with(&elliptic, "alg", json!("ES384")), false),
        (with(&elliptic, "alg", json!("RS256")), false),
        (with(&elliptic, "crv", json!("P-384")), false),
        (with(&elliptic, "x", json!("AAAA")), false),
        (with(&elliptic, "x", json!(5)), false),
        (with(&elliptic, "kid", Value::Null), false),
        (with(&elliptic, "kid", json!("k".repeat(300))), false),
        (with(&rsa, "kty", json!("oct")), false),
        (with(&rsa, "alg", json!("PS256")), false),
        (with(&rsa, "n", json!(base64url([0xff; 128]))), false),
        (with(&rsa, "n", json!(base64url([0xff; 2048]))), false),
        (json!("key"), false),
    ];
    for (key, good) in cases {
        let set = json!({ "keys": [rsa.jwk(), key.clone()], "more": 1 }).to_string();
        assert_eq!(KeySet::parse(set.as_bytes()).unwrap().len(), 1 + usize::from(good), "{key}");
    }
    let many = |count: usize| json!({ "keys": vec![elliptic.jwk(); count] }).to_string();
    assert_eq!(KeySet::parse(many(64).as_bytes()).unwrap().len(), 64);
    let large = many(1) + &" ".repeat(256 << 10);
    for refused in [&many(65), &large, "", "[]", "{}", "{\"keys\": []}", "{\"keys\": [{}]}", "<html>"] {
        assert!(KeySet::parse(refused.as_bytes()).is_err());
    }
}

#[test]
fn entries_that_admit_strangers_are_refused() {
    let github = "issuer: 'https://token.actions.githubusercontent.com', audience: a";
    let every = "every repository of GitHub could come";
    let cases = [
        (format!("{{{github}, claims: {{repository_id: 1}}}}"), ""),
        (format!("{{{github}, claims: {{repository_owner_id: ['1', 2], event_name: push}}}}"), ""),
        (format!("{{{github}, claims: {{repository: 'octo/*'}}}}"), ""),
        (format!("{{{github}, claims: {{sub: 'repo:octo/ci:*'}}}}"), every),
        (format!("{{{github}, claims: {{repository: 'octo*'}}}}"), every),
        (format!("{{{github}, claims: {{repository_owner: [octo, 'o*']}}}}"), every),
        (format!("{{{github}, claims: {{event_name: push}}}}"), every),
        (format!("{{{github}}}"), "missing key `claims`"),
        (format!("{{{github}, claims: {{}}}}"), "expected a claim"),
        (format!("{{{github}, claims: {{repository_id: []}}}}"), "at least one item"),
        (format!("{{{github}, claims: {{repository_id: '*'}}}}"), "`*` is no value of a claim"),
        (format!("{{{github}, claims: {{repository_id: 1, ref: 'a*b'}}}}"), "`a*b` is no value of a claim"),
        (format!("{{{github}, claims: {{repository_id: 1, aud: b}}}}"), "`audience` says"),
        (format!("{{{github}, claim: {{repository_id: 1}}}}"), "did you mean `claims`?"),
        ("{issuer: 'https://gitlab.com', audience: a, claims: {project_id: 5}}".into(), ""),
        ("{issuer: 'http://127.0.0.1:1', audience: a, claims: {a: 5}}".into(), ""),
        ("{issuer: 'http://[::1]/x', audience: a, claims: {a: 5}}".into(), ""),
        ("{issuer: 'http://gitlab.com', audience: a, claims: {a: 5}}".into(), "write `https://`"),
        ("{issuer: 'http://localhost.example.org', audience: a, claims: {a: 5}}".into(), "write `https://`"),
        ("{issuer: 'ftp://gitlab.com', audience: a, claims: {a: 5}}".into(), "write `https://`"),
        ("{issuer: 'https://a@gitlab.com', audience: a, claims: {a: 5}}".into(), "without a user"),
        ("{issuer: 'https://gitlab.com/#a', audience: a, claims: {a: 5}}".into(), "without `?` and `#`"),
        ("{issuer: gitlab, audience: a, claims: {a: 5}}".into(), "`gitlab`"),
        ("{issuer: 'https://gitlab.com', audience: '', claims: {a: 5}}".into(), "expected some text"),
        (
            "{issuer: 'https://gitlab.com', audience: a, jwks: 'http://gitlab.com', claims: {a: 5}}".into(),
            "write `https://`",
        ),
    ];
    for (text, expected) in cases {
        let mut diagnostics = Diagnostics::new("gateway.yaml");
        if let Some(settings) = read::<OidcSettings>(&text, &mut diagnostics) {
            settings.check(Position::default(), &mut diagnostics);
        }
        let found = diagnostics.to_string();
        assert_eq!(found.is_empty(), expected.is_empty(), "{text}: {found}");
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn a_token_of_two_clients_is_that_of_the_first() {
    let ours = TokenKey::es256("ours");
    let keys = cell(&[&ours]);
    let entry = "{issuer: 'https://token.actions.githubusercontent.com', audience: 'https://images.example.org',
                  claims: {repository_id: '123'}}";
    let token = Token::new(&[5; 32]);
    let proofs = [
        (8, BearerProof::Token(token.hash())),
        (9, BearerProof::Oidc(settings(entry))),
        (1, BearerProof::Oidc(settings(entry))),
    ];
    let mut asked = 0;
    let bearers = Bearers::new(proofs).with_keys(|_| {
        asked += 1;
        keys.clone()
    });
    assert_eq!(asked, 1);
    assert_eq!(bearers.verify(&ours.token(&claims()), NOW, |_| Ok(())), Ok(9));
    assert_eq!(bearers.verify(token.reveal(), NOW + Duration::from_secs(1 << 32), |_| Ok(())), Ok(8));
}
