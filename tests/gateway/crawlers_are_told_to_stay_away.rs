//! `/robots.txt` asks AI crawlers to stay away, says what a file says, or is the bucket's own.

use crate::harness::program::Program;
use crate::harness::{Answer, STRANGER, Setup, World};

/// Nobody gets anything, but for robots.txt.
const CLOSED: &str = "version: 1\nmode: enforce\ndefault: {action: deny, reason: closed}\n";

async fn robots(world: &World, host: &str) -> Answer {
    world.client(STRANGER).curl().header("Host", host).get("/robots.txt").await
}

/// The names that a text turns away from all paths.
fn turned_away(text: &str) -> Vec<&str> {
    let group = text.split("\n\n").next().unwrap();
    assert!(group.lines().any(|line| line == "Disallow: /"), "{text}");
    group.lines().filter_map(|line| line.strip_prefix("User-agent: ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ai_crawlers_are_asked_to_stay_away() {
    let world = Setup::new().policy(CLOSED).start().await;
    let answer = robots(&world, "example.org").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=3600"));
    let text = answer.text();
    let names = turned_away(&text);
    for name in ["GPTBot", "ClaudeBot", "CCBot", "Bytespider", "Google-Extended", "Applebot-Extended"] {
        assert!(names.contains(&name), "{name}: {text}");
    }
    assert!(!names.iter().any(|name| ["*", "Googlebot", "bingbot"].contains(name)), "search engines may come");
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))));
    assert!(text.ends_with("\n\nUser-agent: *\nDisallow: /.windscreen/\n"), "{text}");
    let head = world.client(STRANGER).curl().send("HEAD", "/robots.txt").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(text.len().to_string().as_str()));
    // Only at the root of the host.
    assert_eq!(world.client(STRANGER).curl().get("/logs/robots.txt").await.status, 403);
    assert_eq!(world.client(STRANGER).curl().send("PUT", "/robots.txt").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_says_what_an_operator_wants() {
    let setup = Setup::new().policy(CLOSED).file("robots.txt", b"User-agent: *\nDisallow: /\n");
    let world = setup.more("robots: robots.txt\n").start().await;
    assert_eq!(robots(&world, "example.org").await.text(), "User-agent: *\nDisallow: /\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_may_have_its_own() {
    let world = Setup::new().policy(crate::harness::OPEN).more("robots: origin\n").start().await;
    assert_eq!(robots(&world, "example.org").await.status, 404, "no site has the root of this host");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("gateway.yaml");
    let text = "version: 1\nlisteners: [{address: '127.0.0.1:0'}]\nrobots: nothing.txt\n\
                sites: {a: {hosts: [a], origins: [{name: a, url: 'http://127.0.0.1:9/a', credentials: anonymous}]}}\n";
    std::fs::write(&file, text).unwrap();
    let found = Program::run(".", &["check", "-c", file.to_str().unwrap()]);
    assert_eq!(found.status, 1, "{}", found.stderr);
    let said = format!("{}{}", found.stdout, found.stderr);
    assert!(said.contains("gateway.yaml:3:9: ") && said.contains("nothing.txt"), "{said}");
}
