//! Promise: the keys of issuers are fetched beside requests: at start, and at once when a token names a new one, as
//! often as one a minute. An issuer that fails takes nothing away.

use crate::harness::issuer::{IssuerServer, TokenKey};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;
use windscreen::clock::Timestamp;
use windscreen::document::{Diagnostics, read};
use windscreen::identity::{BearerProof, Bearers, KeySource, OidcSettings, Rejection};
use windscreen::issuers::Issuers;
use windscreen::metrics::Metrics;

struct Kept {
    server: IssuerServer,
    issuers: Issuers,
    metrics: Metrics,
    settings: OidcSettings,
    bearers: Bearers,
    stop: CancellationToken,
}

impl Kept {
    async fn start(keys: &[&TokenKey], jwks: bool) -> Self {
        let server = IssuerServer::start(keys).await;
        let jwks = if jwks { format!("jwks: '{}/keys', ", server.url) } else { String::new() };
        let text = format!("{{issuer: '{}', audience: a, {jwks}claims: {{project: 1}}}}", server.url);
        let settings: OidcSettings = read(&text, &mut Diagnostics::default()).unwrap();
        let (metrics, stop) = (Metrics::new().unwrap(), CancellationToken::new());
        let issuers = Issuers::new(metrics.clone(), stop.clone());
        let bearers = Self::bearers(&settings, &issuers);
        Kept { server, issuers, metrics, settings, bearers, stop }
    }

    fn bearers(settings: &OidcSettings, issuers: &Issuers) -> Bearers {
        Bearers::new([(0, BearerProof::Oidc(settings.clone()))]).with_keys(|source| issuers.keys(source))
    }

    fn verify(&self, key: &TokenKey) -> Result<usize, Rejection> {
        let now = Timestamp::from(SystemTime::now());
        let claims = json!({ "iss": self.server.url, "aud": "a", "exp": now.seconds() + 60, "project": "1" });
        self.bearers.verify(&key.token(&claims), now, |_| Ok(()))
    }

    fn source(&self) -> KeySource {
        self.settings.source()
    }

    fn refreshes(&self, result: &str) -> u64 {
        self.metrics.issuer_refreshes.with_label_values(&[self.source().name(), result]).get()
    }

    async fn refreshed(&self, result: &str, times: u64) {
        eventually(|| self.refreshes(result) >= times, &format!("{times} refreshes with {result}")).await;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn eventually(holds: impl Fn() -> bool, what: &str) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

/// Longer than it takes to see that keys are wanted.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

#[tokio::test]
async fn keys_are_fetched_at_start() {
    let ours = TokenKey::es256("ours");
    for jwks in [false, true] {
        let kept = Kept::start(&[&ours, &TokenKey::rs256("more")], jwks).await;
        kept.refreshed("ok", 1).await;
        assert_eq!(kept.verify(&ours), Ok(0));
        let source = kept.source();
        assert_eq!(kept.metrics.issuer_keys.with_label_values(&[source.name()]).get(), 2);
        assert!(kept.metrics.issuer_last_success.with_label_values(&[source.name()]).get() > 1_700_000_000);
        // A reload goes on with the keys that are there, and asks nobody.
        let again = Kept::bearers(&kept.settings, &kept.issuers);
        assert!(Arc::ptr_eq(&kept.issuers.keys(&source), &kept.issuers.keys(&source)));
        drop(again);
        assert_eq!(kept.server.asked(), 1);
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_once_it_is_named() {
    let (old, new) = (TokenKey::es256("old"), TokenKey::rs256("new"));
    let kept = Kept::start(&[&old], false).await;
    kept.refreshed("ok", 1).await;
    kept.server.set_keys(&[&new]);
    a_while().await;
    assert_eq!(kept.server.asked(), 1, "nobody asked for it");
    assert_eq!(kept.verify(&new), Err(Rejection::UnknownKey));
    kept.refreshed("ok", 2).await;
    assert_eq!(kept.verify(&new), Ok(0));
    assert_eq!(kept.verify(&old), Err(Rejection::UnknownKey), "what the issuer took back is good no more");
}

#[tokio::test]
async fn made_up_keys_cause_one_fetch_a_minute() {
    let ours = TokenKey::es256("ours");
    let kept = Kept::start(&[&ours], false).await;
    kept.refreshed("ok", 1).await;
    for n in 0..3 {
        for made_up in 0..20 {
            let stranger = TokenKey::es256(&format!("{n} {made_up}"));
            assert_eq!(kept.verify(&stranger), Err(Rejection::UnknownKey));
        }
        a_while().await;
    }
    assert_eq!((kept.server.asked(), kept.refreshes("ok")), (2, 2));
    assert_eq!(kept.verify(&ours), Ok(0));
}

#[tokio::test]
async fn an_issuer_that_fails_takes_nothing_away() {
    let (ours, stranger) = (TokenKey::es256("ours"), TokenKey::es256("stranger"));
    type Break = fn(&IssuerServer);
    let broken: [(&str, Break); 3] = [
        ("an error", |server| server.set_broken(true)),
        ("no keys", |server| server.set_keys(&[])),
        ("another issuer", |server| server.set_issuer("http://127.0.0.1:1")),
    ];
    for (what, set) in broken {
        let kept = Kept::start(&[&ours], false).await;
        kept.refreshed("ok", 1).await;
        set(&kept.server);
        assert_eq!(kept.verify(&stranger), Err(Rejection::UnknownKey));
        kept.refreshed("error", 1).await;
        assert_eq!(kept.verify(&ours), Ok(0), "{what}");
        assert_eq!(kept.refreshes("ok"), 1, "{what}");
    }
}

#[tokio::test]
async fn keys_that_nobody_uses_are_not_fetched() {
    let ours = TokenKey::es256("ours");
    let mut kept = Kept::start(&[&ours], false).await;
    kept.refreshed("ok", 1).await;
    assert_eq!(kept.verify(&TokenKey::es256("made-up")), Err(Rejection::UnknownKey));
    kept.bearers = Bearers::default();
    a_while().await;
    assert_eq!(kept.server.asked(), 1);
}
