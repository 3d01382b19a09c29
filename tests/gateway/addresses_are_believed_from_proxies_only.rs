//! Client addresses come from the socket, or from the configured header of a listed proxy.

use crate::harness::{CI, Client, INTERNAL, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_proxy_names_the_client() {
    let world = Setup::new().start().await;
    world.put("images", "rhel-9", b"private");
    let get = async |header: &str, value: &str| {
        let client = Client::new(world.server.addresses[0]).curl().header(header, value);
        client.get("/images/rhel-9").await.status
    };
    assert_eq!(get("X-Forwarded-For", INTERNAL).await, 200);
    assert_eq!(get("X-Forwarded-For", &format!("{CI}, {INTERNAL}")).await, 200);
    // The rightmost unlisted hop counts; what stands left of it anyone may write.
    assert_eq!(get("X-Forwarded-For", &format!("{INTERNAL}, {CI}")).await, 403);
    assert_eq!(get("X-Real-IP", INTERNAL).await, 403, "only the configured header counts");
    assert_eq!(get("Forwarded", &format!("for={INTERNAL}")).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlisted_peer_with_a_forwarding_header_matches_no_network() {
    let policy = "version: 1\nmode: enforce\nnetworks: {here: [127.0.0.0/8]}\n\
                  rules: [{name: here, match: {network: here}, action: allow}]\ndefault: {action: deny}\n";
    let world = Setup::new().policy(policy).start().await;
    // The test harness lists 127.0.0.1; another loopback address is not listed.
    let text = std::fs::read_to_string(world.directory.path().join("gateway.yaml")).unwrap();
    let path = world.directory.path().join("strict.yaml");
    std::fs::write(&path, text.replace("trusted_proxies: [127.0.0.1]", "trusted_proxies: [192.0.2.1]")).unwrap();
    let mut diagnostics = windscreen::document::Diagnostics::default();
    let config = windscreen::config::load(&path, &mut diagnostics).unwrap().unwrap();
    let clock = std::sync::Arc::new(windscreen::server::SystemClock::default());
    let strict = windscreen::server::Server::start(config, clock).await.unwrap();
    world.put("logs", "a", b"a");

    let client = Client::new(strict.addresses[0]).curl();
    assert_eq!(client.get("/logs/a").await.status, 200);
    for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP"] {
        assert_eq!(client.clone().header(header, "127.0.0.1").get("/logs/a").await.status, 403, "{header}");
    }
    let metrics = Client::new(strict.admin.unwrap()).get("/metrics").await.text();
    assert!(metrics.contains("windscreen_untrusted_forwarding_total 4"), "{metrics}");
}
