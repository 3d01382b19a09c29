//! Private images are for the internal network. Access is not protection: no mode holds it back.

use crate::harness::{CI, HTML, INTERNAL, STRANGER, Setup, eventually};

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

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_can_tell_whom_they_are_for() {
    for mode in ["observe", "enforce"] {
        // The feed has nothing to be read yet.
        let policy = format!(
            "version: 1\nmode: {mode}\n\
             networks: {{office: [203.0.113.0/24, {{feed: 'file://{{directory}}/blocks.txt'}}]}}\nrules:\n\
             \x20 - {{name: open, match: {{path: /secret/terms}}, action: allow}}\n\
             \x20 - {{name: secret, match: {{path: {{prefix: /secret/}}, not: {{network: office}}}}, action: deny, mode: enforce}}\n\
             \x20 - {{name: strangers, match: {{path: /b, not: {{network: office}}}}, action: deny}}\n\
             default: {{action: allow}}\n"
        );
        let world = Setup::new().policy(&policy).start().await;
        for key in ["secret/a", "secret/terms", "b"] {
            world.put("logs", key, b"object");
        }
        let before = world.first.requests();
        let stranger = || world.client(STRANGER);
        let dialects = [
            (stranger().curl(), "text/plain"),
            (stranger().header("Accept", HTML), "text/html"),
            (stranger().header("Accept", "application/json"), "application/problem+json"),
            (stranger().header("User-Agent", "Boto3/1.34"), "application/xml"),
        ];
        for (client, spoken) in dialects {
            let answer = client.get("/logs/secret/a").await;
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")), "{mode} {spoken}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert!(answer.header("content-type").unwrap().starts_with(spoken), "{spoken}");
            assert!(answer.text().contains("cannot be decided yet"), "{}", answer.text());
        }
        assert_eq!(world.first.requests(), before, "the origin was asked");
        let withheld = "windscreen_withheld_total{rule=\"secret\",site=\"logs\"}";
        eventually("the refusals are counted", async || world.metric(withheld).await == 4.0).await;

        assert_eq!(world.client(INTERNAL).curl().get("/logs/secret/a").await.status, 200, "a known block is enough");
        assert_eq!(stranger().curl().get("/logs/secret/terms").await.status, 200, "a rule above it decides");
        assert_eq!(stranger().curl().get("/logs/b").await.status, 200, "protection is passed over");

        // Once the feed is there, it decides.
        std::fs::write(world.directory.path().join("blocks.txt"), "198.51.100.0/24\n").unwrap();
        let gateway = world.directory.path().join("gateway.yaml");
        let text = std::fs::read_to_string(&gateway).unwrap();
        std::fs::write(&gateway, format!("{text}feeds: {{timeout: 20s}}\n")).unwrap();
        let steering = world.server.steering.clone();
        assert!(tokio::task::spawn_blocking(move || steering.reload(&gateway)).await.unwrap().0);
        let status = async |address: &str| world.client(address).curl().get("/logs/secret/a").await.status;
        eventually("the feed is read", async || status(STRANGER).await == 403).await;
        assert_eq!(status(CI).await, 200);
    }
}
