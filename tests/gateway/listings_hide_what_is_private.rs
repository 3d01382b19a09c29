//! A listing shows each client what it could have, and nothing tells it of the rest. Nobody else gets one.

use crate::harness::signing::Signing;
use crate::harness::{Answer, STRANGER, Setup, World};

const HOST: &str = "127.0.0.1";
const POLICY: &str = "version: 1\nmode: observe\nrules:\n\
    \x20 - {name: private, match: {path: {prefix: /rhel}, not: {client: ci}}, mode: enforce, action: deny}\n\
    default: {action: allow}\n";
const CLIENTS: &str = "clients:\n\
    \x20 - {name: ci, key_file: ci, sites: [images, logs]}\n\
    \x20 - {name: other, key_file: other, sites: [images]}\n\
    \x20 - {name: folder, key_file: folder, sites: [images], paths: [/dir/sub/]}\n\
    \x20 - {name: known, key_file: known, sites: [images], public: true}\n";
const SITES: &str = "  logs:\n    prefix: /logs\n    origins: [{name: first, url: 'http://{first}/logs', credentials: test}]\n\
    \x20 images:\n    prefix: /images\n    list: signed\n\
    \x20   origins: [{name: first, url: 'http://{first}/images', credentials: test}]\n";
const KEYS: [&str; 8] = ["a b&c", "dir/one", "dir/sub/two", "fedora", "rhel-8", "rhel-9", "rhel/10", "z"];

async fn world() -> World {
    let setup = Setup::new().policy(POLICY).more(CLIENTS).sites(SITES);
    let names = ["ci", "other", "folder", "known"];
    let setup = names.iter().fold(setup, |setup, name| setup.file(name, format!("{name} secret-{name}").as_bytes()));
    let world = setup.start().await;
    KEYS.iter().for_each(|key| world.put("images", key, key.as_bytes()));
    world
}

async fn ask(world: &World, name: &str, method: &str, target: &str) -> Answer {
    let secret = format!("secret-{name}");
    Signing::new(name, &secret, HOST).send(world.client(STRANGER), method, target, &[]).await
}

/// The texts of an element.
fn texts(answer: &str, name: &str) -> Vec<String> {
    let begin = format!("<{name}>");
    let parts = answer.split(&begin).skip(1);
    parts.map(|rest| rest.split("</").next().unwrap().replace("&amp;", "&")).collect()
}

/// All keys and folders, page by page. Also says how many pages there were.
async fn walk(world: &World, name: &str, query: &str, v2: bool) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut from) = (Vec::new(), 0, String::new());
    loop {
        let answer = ask(world, name, "GET", &format!("/images/?{query}{from}")).await;
        let text = answer.text();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/xml")), "{text}");
        if name != "ci" {
            assert!(!text.contains("rhel"), "{text}");
        }
        found.extend(texts(&text, "Key"));
        let folders = text.split("<CommonPrefixes>").skip(1).flat_map(|part| texts(part, "Prefix"));
        found.extend(folders);
        pages += 1;
        assert!(pages < 20);
        let next = texts(&text, if v2 { "NextContinuationToken" } else { "NextMarker" });
        assert_eq!(texts(&text, "IsTruncated"), [(!next.is_empty()).to_string()]);
        let Some(next) = next.first() else { return (found, pages) };
        from = format!("&{}={next}", if v2 { "continuation-token" } else { "marker" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_sees_what_it_could_have() {
    let world = world().await;
    let open = ["a b&c", "dir/one", "dir/sub/two", "fedora", "z"];
    for (name, query, expected) in [
        ("ci", "prefix=", &KEYS[..]),
        ("other", "prefix=", &open),
        ("folder", "prefix=", &["dir/sub/two"]),
        ("ci", "delimiter=%2F", &["a b&c", "dir/", "fedora", "rhel-8", "rhel-9", "rhel/", "z"]),
        ("other", "delimiter=%2F", &["a b&c", "dir/", "fedora", "z"]),
        ("folder", "delimiter=%2F", &["dir/"]),
        ("folder", "delimiter=%2F&prefix=dir%2F", &["dir/sub/"]),
        ("ci", "prefix=fed", &["fedora"]),
    ] {
        for v2 in [true, false] {
            for most in [1000, 1, 2, 3] {
                let query = format!("{}{query}&max-keys={most}", if v2 { "list-type=2&" } else { "" });
                let (mut found, pages) = walk(&world, name, &query, v2).await;
                found.sort();
                assert_eq!(found, expected, "{name} {query}");
                assert!(pages == 1 || most < 1000);
            }
        }
    }
    let (none, _) = walk(&world, "ci", "prefix=rh&start-after=rhel%2F&list-type=2", true).await;
    assert_eq!(none, ["rhel/10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_tells_nothing_of_what_it_hides() {
    let world = world().await;
    // Behind `fedora` all but `z` is hidden: the page says what comes next, and whether something does.
    for (after, expected, truncated) in
        [("fedora", &["z"][..], false), ("rhel-8", &["z"], false), ("z", &[], false), ("dir", &["dir/one"], true)]
    {
        let text =
            ask(&world, "other", "GET", &format!("/images?list-type=2&max-keys=1&start-after={after}")).await.text();
        assert_eq!(texts(&text, "Key"), expected, "{after}");
        assert_eq!(texts(&text, "IsTruncated"), [truncated.to_string()], "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_gets_a_list() {
    let world = world().await;
    let before = world.first.requests();
    let token = {
        let text = ask(&world, "ci", "GET", "/images?list-type=2&max-keys=1").await.text();
        texts(&text, "NextContinuationToken").remove(0)
    };
    assert_eq!(world.first.requests(), before + 1);
    let of_another = format!("/images?list-type=2&continuation-token={token}");
    for (name, target, status, code) in [
        ("known", "/images?list-type=2", 400, "InvalidRequest"),
        ("known", "/images", 403, "AccessDenied"),
        ("ci", "/logs", 403, "AccessDenied"),
        ("ci", "/logs?list-type=2", 400, "InvalidRequest"),
        ("other", "/logs", 403, "AccessDenied"),
        ("other", &of_another, 400, "InvalidArgument"),
        ("ci", "/images?list-type=2&continuation-token=rhel", 400, "InvalidArgument"),
        ("ci", "/images?delimiter=h", 400, "InvalidArgument"),
        ("ci", "/images?acl", 400, "InvalidArgument"),
        ("ci", "/images?versions", 400, "InvalidArgument"),
        ("ci", "/images?uploads=", 400, "InvalidArgument"),
    ] {
        let answer = ask(&world, name, "GET", target).await;
        assert_eq!(answer.status, status, "{name} {target} {}", answer.text());
        assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{name} {target} {}", answer.text());
    }
    let boto = || world.client(STRANGER).header("User-Agent", "Boto3/1.40");
    assert_eq!((boto().get("/images").await.status, boto().get("/images?list-type=2").await.status), (403, 400));
    assert_eq!(world.first.requests(), before + 1, "the origin was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_ask_of_a_bucket_first_is_answered() {
    let world = world().await;
    let head = ask(&world, "other", "HEAD", "/images").await;
    assert_eq!((head.status, head.header("x-amz-bucket-region"), head.body.len()), (200, Some("us-east-1"), 0));
    let location = ask(&world, "other", "GET", "/images/?location").await;
    assert!(location.text().contains("<LocationConstraint "), "{}", location.text());
    assert_eq!(world.client(STRANGER).send("HEAD", "/images").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_fails_is_no_empty_list() {
    // The key of the gateway is not the store's.
    let setup = Setup::new().policy(POLICY).more("clients: [{name: ci, key_file: ci, sites: [images]}]\n");
    let world = setup.sites(SITES).file("ci", b"ci secret-ci").key("WRONG wrong").start().await;
    let answer = ask(&world, "ci", "GET", "/images").await;
    assert_eq!(answer.status, 502, "{}", answer.text());
}
