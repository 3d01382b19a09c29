//! A site is what a host name or a path prefix addresses; the port does not matter.

use crate::harness::{CI, OPEN, Setup};

const SITES: &str = "  logs:\n    hosts: [logs.example.org, LOGS.example.com]\n    origins: [{name: first, url: 'http://{first}/logs', credentials: test}]\n\
                     \x20 images:\n    hosts: [shared.example.org]\n    prefix: /images\n    origins: [{name: first, url: 'http://{first}/images', credentials: test}]\n";

#[tokio::test(flavor = "multi_thread")]
async fn by_host_and_by_prefix() {
    let world = Setup::new().policy(OPEN).sites(SITES).start().await;
    world.put("logs", "images/a", b"log");
    world.put("images", "a", b"image");
    let cases = [
        ("logs.example.org", "/images/a", 200, "log"),
        ("logs.example.org:8443", "/images/a", 200, "log"),
        ("Logs.Example.Com", "/images/a", 200, "log"),
        ("logs.example.org.", "/images/a", 200, "log"),
        ("shared.example.org", "/images/a", 200, "image"),
        ("shared.example.org", "/imagesa", 404, ""),
        ("shared.example.org", "/other/a", 404, ""),
        ("evil.example.org", "/images/a", 421, ""),
    ];
    for (host, target, status, body) in cases {
        let answer = world.client(CI).header("Host", host).get(target).await;
        assert_eq!(answer.status, status, "{host}{target}");
        if status == 200 {
            assert_eq!(answer.text(), body, "{host}{target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_refused_and_writes_are() {
    let world = Setup::new().policy(OPEN).start().await;
    world.put("logs", "a", b"a");
    for target in ["/logs", "/logs/"] {
        let answer = world.client(CI).get(target).await;
        assert_eq!(answer.status, 403, "{target}");
    }
    for method in ["PUT", "POST", "DELETE", "OPTIONS", "PATCH"] {
        let answer = world.client(CI).send(method, "/logs/a").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    assert_eq!(world.client(CI).get("/.windscreen/verify").await.header("allow"), Some("POST"));
    assert_eq!(world.client(CI).get("/.windscreen/nothing").await.status, 404);
}
