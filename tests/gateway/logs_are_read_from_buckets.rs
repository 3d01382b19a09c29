//! Access logs that S3 delivers to a bucket are read from there.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use windscreen::demo::store::{Settings, Store};
use windscreen::origin::{CredentialsCell, OriginUrl, Signer};
use windscreen::replay::{Access, Address, Bucket, Format, LogObject, Object, Reader, unpacked};

const LINE: &str = "192.0.2.1 - - [01/Nov/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\"\n";

async fn store(root: &Path) -> Store {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    Settings::new(root).credentials("KEY", "secret").start(loopback).await.unwrap()
}

fn access(store: &Store, secret: &str) -> Access {
    let cell = CredentialsCell::default();
    cell.store(Some(Arc::new(aws_credential_types::Credentials::new("KEY", secret, None, None, "test").into())));
    Access {
        endpoint: Some(OriginUrl::parse(&store.endpoint()).unwrap()),
        region: None,
        signer: Signer::Credentials(cell),
    }
}

fn put(root: &Path, key: &str, content: &[u8]) {
    let path = root.join("access-logs").join(key);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

async fn found(bucket: &Bucket, since: Option<&str>) -> Vec<String> {
    let since = since.map(|since| since.parse().unwrap());
    bucket.find(since).await.unwrap().into_iter().map(|log| log.key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_listed_from_a_day_on_and_read_in_order() {
    let root = tempfile::tempdir().unwrap();
    let flat = |hour: u32, day: u32| format!("flat/a-2026-11-{day:02}-{hour:02}-00-00-0123456789ABCDEF");
    // More than a page.
    for number in 0..1500 {
        put(root.path(), &flat(number % 24, number / 24 % 28 + 1), LINE.as_bytes());
    }
    let deep =
        |bucket: &str, day: u32| format!("deep/1111/us-east-1/{bucket}/2026/11/{day:02}/2026-11-{day:02}-00-00-00-AB");
    for bucket in ["images", "logs"] {
        for day in [1, 7, 8] {
            put(root.path(), &deep(bucket, day), LINE.as_bytes());
        }
    }
    put(root.path(), "deep/.hidden", b"x");
    let store = store(root.path()).await;
    let open = |text: &str| Bucket::open(text.parse().unwrap(), access(&store, "secret"));

    let bucket = open("s3://access-logs/flat/a-").await.unwrap();
    assert_eq!(found(&bucket, None).await.len(), 28 * 24);
    let since = found(&bucket, Some("2026-11-28T12:00:00Z")).await;
    assert_eq!((since.len(), &since[0]), (24, &flat(0, 28)));

    let bucket = open("s3://access-logs/deep/").await.unwrap();
    let expected = [deep("images", 7), deep("logs", 7), deep("images", 8), deep("logs", 8)];
    assert_eq!(found(&bucket, Some("2026-11-07T23:00:00Z")).await, expected);
    assert_eq!(found(&bucket, None).await.len(), 6);

    let logs = bucket.find(None).await.unwrap();
    let (progress, bytes) = (Arc::new(AtomicU64::new(0)), logs.iter().map(|log| log.bytes).sum::<u64>());
    let objects = bucket.fetch(logs, progress.clone());
    let reader = tokio::task::spawn_blocking(move || {
        let mut reader = Reader::new(Format::Auto);
        for object in objects {
            let name = object.name.clone();
            reader.read(&name, unpacked(object).unwrap(), |_| {});
        }
        reader
    });
    let tally = reader.await.unwrap().tally;
    assert_eq!((tally.files, tally.records, tally.unparsable.count, tally.damaged_files), (6, 6, 0, 0));
    assert_eq!(progress.load(Ordering::Relaxed), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said_and_the_rest_goes_on() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "a", LINE.as_bytes());
    let store = store(root.path()).await;
    let address: Address = "s3://access-logs/".parse().unwrap();
    let error = Bucket::open(address.clone(), access(&store, "wrong")).await.err().unwrap().to_string();
    assert!(error.starts_with("`s3://access-logs/`: the server answered 403 Forbidden Signature"), "{error}");
    let error = Bucket::open("s3://other-logs".parse().unwrap(), access(&store, "secret")).await.err().unwrap();
    assert!(error.to_string().contains("404 Not Found NoSuchBucket"), "{error}");

    let bucket = Bucket::open(address, access(&store, "secret")).await.unwrap();
    let log = |key: &str| LogObject { key: key.into(), bytes: 1 };
    let objects = bucket.fetch(vec![log("gone"), log("a")], Arc::default());
    let read = |object: Object| std::io::read_to_string(object);
    let read = tokio::task::spawn_blocking(move || objects.map(read).collect::<Vec<_>>()).await.unwrap();
    assert!(read[0].as_ref().unwrap_err().to_string().contains("404"));
    assert_eq!(read[1].as_ref().unwrap(), LINE);
}
