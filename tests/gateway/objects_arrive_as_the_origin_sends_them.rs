//! What the gateway sends equals what a signed request to the origin itself gets: status, body, and the headers about
//! the object. And a large object passes through without being held in memory.

use crate::harness::{CI, OPEN, Setup, World};
use windscreen::demo::samples::Attributes;

/// Headers of an answer that are about the object.
const ABOUT_THE_OBJECT: [&str; 11] = [
    "etag",
    "last-modified",
    "content-type",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "accept-ranges",
    "cache-control",
    "expires",
    "x-amz-meta-origin",
];

async fn world() -> World {
    let world = Setup::new().policy(OPEN).start().await;
    let body: Vec<u8> = (0..5000u32).flat_map(u32::to_be_bytes).collect();
    let mut attributes = Attributes::of("text/html; charset=utf-8").with("content_encoding", "gzip");
    attributes.user_metadata.insert("origin".into(), "a test".into());
    world.put_with("logs", "a/log", &body, &attributes);
    world.put("logs", "empty", b"");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_conditions_give_what_the_origin_gives() {
    let world = world().await;
    let first = world.direct("HEAD", "logs", "/a/log", &[]).await;
    let etag = first.header("etag").unwrap().to_owned();
    let modified = first.header("last-modified").unwrap().to_owned();
    let (old, new) = ("Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT");
    let conditions: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![("Range", "bytes=0-0")],
        vec![("Range", "bytes=100-199")],
        vec![("Range", "bytes=19990-")],
        vec![("Range", "bytes=-10")],
        vec![("Range", "bytes=19999-30000")],
        vec![("Range", "bytes=20000-")],
        vec![("Range", "bytes=-0")],
        vec![("Range", "bytes=5-2")],
        vec![("Range", "bytes=0-1,5-6")],
        vec![("Range", "nonsense")],
        vec![("If-None-Match", &etag)],
        vec![("If-None-Match", "\"other\"")],
        vec![("If-None-Match", "*")],
        vec![("If-Match", &etag)],
        vec![("If-Match", "\"other\"")],
        vec![("If-Modified-Since", &modified)],
        vec![("If-Modified-Since", old)],
        vec![("If-Modified-Since", new)],
        vec![("If-Unmodified-Since", &modified)],
        vec![("If-Unmodified-Since", old)],
        vec![("If-Range", &etag), ("Range", "bytes=5-9")],
        vec![("If-Range", "\"other\""), ("Range", "bytes=5-9")],
        vec![("If-Range", &modified), ("Range", "bytes=5-9")],
        vec![("If-Range", old), ("Range", "bytes=5-9")],
        vec![("If-None-Match", &etag), ("Range", "bytes=5-9")],
        vec![("If-Match", "\"other\""), ("Range", "bytes=5-9")],
    ];
    let mut seen = std::collections::BTreeSet::new();
    for path in ["/a/log", "/empty", "/missing"] {
        for method in ["GET", "HEAD"] {
            for condition in &conditions {
                let mut client = world.client(CI);
                for (name, value) in condition {
                    client = client.header(name, value);
                }
                let through = client.send(method, &format!("/logs{path}")).await;
                let direct = world.direct(method, "logs", path, condition).await;
                let what = format!("{method} {path} {condition:?}");
                assert_eq!(through.status, direct.status, "{what}");
                if through.status == 404 {
                    // The origin's error document stays behind; what it is about does not change.
                    assert!(method == "HEAD" || through.text().contains("no such object"), "{what}");
                } else {
                    assert!(through.body == direct.body, "{what}: the bodies differ");
                    for name in ABOUT_THE_OBJECT {
                        assert_eq!(through.header(name), direct.header(name), "{what}: {name}");
                    }
                }
                seen.insert(through.status);
            }
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [200, 206, 304, 404, 412, 416]);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_about_the_account_stay_behind() {
    let world = world().await;
    let direct = world.direct("GET", "logs", "/a/log", &[]).await;
    assert!(direct.header("x-amz-request-id").is_some(), "the store sends what the test looks for");
    let through = world.client(CI).get("/logs/a/log").await;
    assert_eq!(through.header("x-amz-request-id"), None);
    assert_eq!(through.header("x-amz-id-2"), None);
    assert_eq!(through.header("x-amz-meta-origin"), Some("a test"));
    assert!(through.header("x-request-id").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_headers_that_select_a_representation_reach_the_origin() {
    let world = world().await;
    let client = world
        .client(CI)
        .header("Cookie", "secret=1")
        .header("Authorization", "Basic c2VjcmV0")
        .header("X-Amz-Security-Token", "evil")
        .header("X-Amz-Expected-Bucket-Owner", "1")
        .header("X-Custom", "1")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Range", "bytes=0-3");
    assert_eq!(client.get("/logs/a/log?v=3&cache=no").await.status, 206);
    let received = world.first.recent().pop().unwrap();
    assert_eq!(received.target, "/logs/a/log");
    let mut names: Vec<&str> = received.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    let expected = ["authorization", "host", "range", "user-agent", "x-amz-content-sha256", "x-amz-date"];
    assert_eq!(names, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_by_the_store() {
    let world = Setup::new().policy(OPEN).key("TESTACCESSKEY wrong").start().await;
    world.put("logs", "a", b"a");
    let answer = world.client(CI).get("/logs/a").await;
    assert_eq!(answer.status, 403);
    assert_eq!(world.first.recent().pop().unwrap().status, 403, "the store refused it");
    // The store's words quote the access key and what was signed.
    assert!(!answer.text().contains("Signature") && !answer.text().contains("TESTACCESSKEY"), "{}", answer.text());
}
