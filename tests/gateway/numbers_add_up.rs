//! The metrics account for every request and every byte: exactly for completed responses, within a batch and the
//! socket's buffer for cancelled ones.

use crate::harness::{CI, INTERNAL, STRANGER, Setup, eventually, sum_in};

#[tokio::test(flavor = "multi_thread")]
async fn every_request_and_every_byte() {
    let world = Setup::new().start().await;
    world.put("logs", "run/log", &[b'l'; 12_345]);
    world.put("images", "fedora", &vec![b'i'; 3_000_000]);
    world.put("images", "rhel-9", b"private");
    world.put_second("images", "debian", &[b'd'; 777]);
    let (mut requests, mut bytes) = (0u64, 0u64);
    let mut statuses = std::collections::BTreeMap::<u16, u64>::new();
    for _ in 0..3 {
        let answers = [
            world.client(CI).curl().get("/images/fedora").await,
            world.client(CI).curl().header("Range", "bytes=10-99").get("/images/fedora").await,
            world.client(CI).curl().send("HEAD", "/images/fedora").await,
            world.client(CI).curl().get("/images/debian").await,
            world.client(CI).curl().get("/images/missing").await,
            world.client(INTERNAL).curl().get("/images/rhel-9").await,
            world.client(STRANGER).curl().get("/images/rhel-9").await,
            world.client(STRANGER).curl().get("/logs/run/log").await,
            world.client(STRANGER).navigating().get("/logs/run/log").await,
            world.client(STRANGER).header("User-Agent", "GPTBot/1").get("/logs/run/log").await,
            world.client(STRANGER).curl().get("/logs/run//log").await,
            world.client(STRANGER).curl().send("PUT", "/logs/run/log").await,
            world.client(STRANGER).curl().get("/elsewhere").await,
        ];
        for answer in answers {
            requests += 1;
            bytes += answer.body.len() as u64;
            *statuses.entry(answer.status).or_default() += 1;
        }
    }
    // A response is booked after its last byte is sent.
    eventually("all requests are booked", async || {
        sum_in(&world.metrics().await, "windscreen_requests_total", &[]) as u64 == requests
    })
    .await;
    let metrics = world.metrics().await;
    assert_eq!(sum_in(&metrics, "windscreen_response_bytes_total", &[]) as u64, bytes);
    for (status, count) in statuses {
        let label = format!("status=\"{status}\"");
        assert_eq!(sum_in(&metrics, "windscreen_responses_total", &[&label]) as u64, count, "{status}");
    }
    // name, labels, value
    let lines: [(&str, &[&str], u64); 9] = [
        ("windscreen_requests_total", &["class=\"ci\"", "action=\"allow\""], 15),
        ("windscreen_response_bytes_total", &["class=\"ci\"", "site=\"images\""], sent_to_ci(&metrics)),
        ("windscreen_requests_total", &["action=\"deny\"", "site=\"images\""], 3),
        ("windscreen_requests_total", &["action=\"deny\"", "class=\"declared-bot\""], 3),
        ("windscreen_requests_total", &["action=\"challenge\"", "class=\"human\""], 3),
        ("windscreen_requests_total", &["action=\"refuse\"", "site=\"none\""], 6),
        ("windscreen_challenges_issued_total", &["site=\"logs\""], 3),
        ("windscreen_origin_requests_total", &["origin=\"second\"", "status_class=\"2xx\""], 3),
        ("windscreen_origin_requests_total", &["origin=\"second\"", "status_class=\"4xx\""], 1), // and is not asked again at once
    ];
    for (name, labels, value) in lines {
        assert_eq!(sum_in(&metrics, name, labels) as u64, value, "{name} {labels:?}\n{metrics}");
    }
    assert!(sent_to_ci(&metrics) >= 3 * (3_000_000 + 90 + 777));
    assert_eq!(sum_in(&metrics, "windscreen_origin_errors_total", &[]), 0.0, "a miss is not an error");
    assert!(metrics.contains("windscreen_requests_in_flight 0"));
}

fn sent_to_ci(metrics: &str) -> u64 {
    sum_in(metrics, "windscreen_response_bytes_total", &["class=\"ci\"", "action=\"allow\""]) as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_transfer_is_counted_as_far_as_it_went() {
    let world = Setup::new().start().await;
    let size = 64 << 20;
    world.put("images", "fedora", &vec![0; size]);
    let read = world.client(CI).curl().abandon("/images/fedora", 8 << 20).await;
    eventually("the request is booked", async || {
        sum_in(&world.metrics().await, "windscreen_requests_total", &[]) as u64 == 1
    })
    .await;
    let metrics = world.metrics().await;
    let booked = sum_in(&metrics, "windscreen_response_bytes_total", &[]) as usize;
    // Above what the client read lie the kernel's two socket buffers (a few MiB on loopback) and one batch.
    assert!(booked + (1 << 20) >= read && booked < read + (16 << 20), "read {read}, booked {booked}");
    assert!(metrics.contains("windscreen_requests_in_flight 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_closed_sets() {
    let world = Setup::new().start().await;
    for index in 0..50 {
        let client = world.client(STRANGER).curl().header("Host", &format!("host-{index}.example"));
        client.header("Referer", &format!("http://r{index}/")).send(&format!("M{index}"), &format!("/p{index}")).await;
        world.client(STRANGER).header("User-Agent", &format!("agent-{index}")).get(&format!("/logs/k{index}")).await;
    }
    let metrics = world.metrics().await;
    for word in ["host-", "/p1", "agent-", "k1\"", "M1\""] {
        assert!(!metrics.contains(word), "{word}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_answers_only_those_who_address_it() {
    let world = Setup::new().start().await;
    let admin = world.admin();
    assert_eq!(admin.get("/healthz").await.status, 200);
    let ready = admin.get("/readyz").await;
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert!(ready.text().contains("site images, origin second: reachable"));
    assert_eq!(admin.clone().header("Host", "localhost:9090").get("/healthz").await.status, 200);
    assert_eq!(admin.clone().header("Host", "rebound.example").get("/metrics").await.status, 421);
    assert_eq!(admin.clone().header("Origin", "http://evil.example").get("/metrics").await.status, 421);
    assert_eq!(admin.send("POST", "/metrics").await.status, 405);
    assert_eq!(admin.get("/nothing").await.status, 404);
    assert_eq!(admin.get("/metrics").await.header("x-frame-options"), Some("DENY"));
    assert_eq!(world.client(STRANGER).curl().get("/metrics").await.status, 404, "not on the public listener");
}
