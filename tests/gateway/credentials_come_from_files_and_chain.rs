//! Credentials are read from where the operator keeps them, kept fresh, and never shown.

use crate::harness::{ACCESS, CI, OPEN, SECRET, Setup, eventually, sum_in};
use std::os::unix::fs::symlink;

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_key_file_is_read_again_and_a_vanished_one_keeps_the_last() {
    let world = Setup::new().policy(OPEN).key("TESTACCESSKEY wrong").start().await;
    world.put("logs", "a", b"a");
    assert_eq!(world.client(CI).get("/logs/a").await.status, 403);
    // Kubernetes swaps a symlink.
    let key = world.directory.path().join("s3-key");
    let next = world.directory.path().join("next");
    std::fs::write(&next, format!("{ACCESS} {SECRET}")).unwrap();
    std::fs::remove_file(&key).unwrap();
    symlink(&next, &key).unwrap();
    let mut served = false;
    for _ in 0..150 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        served = world.client(CI).get("/logs/a").await.status == 200;
        if served {
            break;
        }
    }
    assert!(served, "the new key is used within 15 s");
    std::fs::remove_file(&key).unwrap();
    let errors = || async {
        sum_in(&world.metrics().await, "windscreen_credentials_refreshes_total", &["test", "result=\"error\""]) > 0.0
    };
    for _ in 0..3 {
        if errors().await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    }
    eventually("the vanished file shows in the metrics", errors).await;
    assert_eq!(world.client(CI).get("/logs/a").await.status, 200, "the last credentials stay in use");
    let metrics = world.metrics().await;
    assert!(!metrics.contains(SECRET) && !metrics.contains(ACCESS));
}
