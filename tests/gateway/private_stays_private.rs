//! Private images are for the internal network. Access is not protection: no mode holds it back.

use crate::harness::{CI, INTERNAL, STRANGER, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn in_every_mode() {
    for mode in ["observe", "enforce", "auto"] {
        let world = Setup::new().mode(mode).start().await;
        world.put("images", "rhel-9", b"private");
        for address in [STRANGER, CI] {
            for method in ["GET", "HEAD"] {
                let answer = world.client(address).curl().send(method, "/images/rhel-9").await;
                assert_eq!(answer.status, 403, "{mode} {address} {method}");
                assert!(!answer.text().contains("private\n"));
            }
        }
        assert_eq!(world.client(INTERNAL).curl().get("/images/rhel-9").await.text(), "private", "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_private_object_exists_does_not_show() {
    let world = Setup::new().start().await;
    world.put("images", "rhel-9", b"private");
    let before = world.first.requests();
    let mut answers = Vec::new();
    for path in ["/images/rhel-9", "/images/rhel-8"] {
        let answer = world.client(STRANGER).curl().get(path).await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        let headers: Vec<&String> = answer.headers.iter().map(|(name, _)| name).collect();
        answers.push(format!("{} {headers:?} {}", answer.status, answer.text().replace(&id, "ID")));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(world.first.requests(), before, "the origin was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_by_an_unknown_key_opens_nothing() {
    let world = Setup::new().start().await;
    world.put("images", "rhel-9", b"private");
    world.put("images", "open", b"public");
    let authorization =
        "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00";
    for path in ["/images/rhel-9", "/images/open"] {
        let answer = world.client(STRANGER).header("Authorization", authorization).get(path).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.text().contains("<Code>InvalidAccessKeyId</Code>"), "{}", answer.text());
        let presigned = format!("{path}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA&X-Amz-Signature=00");
        let answer = world.client(STRANGER).get(&presigned).await;
        assert!(answer.text().contains("<Code>InvalidAccessKeyId</Code>"), "{}", answer.text());
    }
}
