//! Access logs that S3 delivers to a bucket are read from there.

use crate::harness::program::Program;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use windscreen::demo::store::{Settings, Store};
use windscreen::origin::{BucketAddress, CredentialsCell, OriginUrl, Signer};
use windscreen::replay::{Access, Bucket, Format, LogObject, Object, Reader, unpacked};

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
    let objects = bucket.fetch(logs, progress.clone(), None);
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
    let address: BucketAddress = "s3://access-logs/".parse().unwrap();
    let error = Bucket::open(address.clone(), access(&store, "wrong")).await.err().unwrap().to_string();
    assert!(error.starts_with("`s3://access-logs/`: the server answered 403 Forbidden Signature"), "{error}");
    let error = Bucket::open("s3://other-logs".parse().unwrap(), access(&store, "secret")).await.err().unwrap();
    assert!(error.to_string().contains("404 Not Found NoSuchBucket"), "{error}");

    let bucket = Bucket::open(address, access(&store, "secret")).await.unwrap();
    let log = |key: &str| LogObject { key: key.into(), bytes: 1, version: String::new() };
    let objects = bucket.fetch(vec![log("gone"), log("a")], Arc::default(), None);
    let read = |object: Object| std::io::read_to_string(object);
    let read = tokio::task::spawn_blocking(move || objects.map(read).collect::<Vec<_>>()).await.unwrap();
    assert!(read[0].as_ref().unwrap_err().to_string().contains("404"));
    assert_eq!(read[1].as_ref().unwrap(), LINE);
}

/// How many objects were fetched so far.
fn gets(store: &Store) -> usize {
    let recent = store.recent();
    let is_object = |target: &str| target.starts_with("/access-logs/") && !target.contains("list-type");
    recent.iter().filter(|request| request.method == "GET" && is_object(&request.target)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_gets_only_what_is_new() {
    let (root, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = |hour: u32| format!("2026-11-01-{hour:02}-00-00-0123456789ABCDEF");
    let line = |number: u32| LINE.replace("192.0.2.1", &format!("192.0.2.{number}"));
    (0..10).for_each(|hour| put(root.path(), &key(hour), line(hour).as_bytes()));
    let store = store(root.path()).await;
    let run = async |more: &[&str]| {
        let endpoint = store.endpoint();
        let mut arguments = vec!["replay".to_owned(), "--json".to_owned(), "s3://access-logs/".to_owned()];
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        let before = gets(&store);
        let program = tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let environment = [
                ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "KEY"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
            ];
            Program::run_with(".", &arguments, &environment)
        });
        let program = program.await.unwrap();
        let found: Value = serde_json::from_str(&program.stdout).unwrap_or_else(|_| panic!("{}", program.stderr));
        assert_eq!(found["damaged"], serde_json::json!([]));
        (gets(&store) - before, found)
    };
    let cache = ["--cache", cache.path().to_str().unwrap()];
    let counts = |found: &Value| ["records", "copies", "anew"].map(|key| found["read"][key].as_u64());

    let (fetched, found) = run(&cache).await;
    assert_eq!((fetched, counts(&found)), (10, [Some(10), Some(0), Some(10)]));
    let (fetched, again) = run(&cache).await;
    assert_eq!((fetched, counts(&again)), (0, [Some(10), Some(10), Some(0)]));
    assert_eq!(again["would"], found["would"]);

    // Two are new, and one is not what it was.
    put(root.path(), &key(10), line(10).as_bytes());
    put(root.path(), &key(11), line(11).as_bytes());
    put(root.path(), &key(3), [line(3), line(33)].concat().as_bytes());
    let (fetched, found) = run(&cache).await;
    assert_eq!((fetched, counts(&found)), (3, [Some(13), Some(9), Some(3)]));
    let (fetched, whole) = run(&["--no-cache"]).await;
    assert_eq!((fetched, counts(&whole)), (12, [Some(13), None, None]));
    assert_eq!((&whole["would"], &whole["read"]["lines"]), (&found["would"], &found["read"]["lines"]));

    // Of what is older than asked for neither is a copy read.
    let mut since = cache.to_vec();
    since.extend(["--since", "2026-11-02T00:00:00Z"]);
    let (fetched, found) = run(&since).await;
    assert_eq!((fetched, counts(&found)), (0, [Some(0), None, None]));
}
