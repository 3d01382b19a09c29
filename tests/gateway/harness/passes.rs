//! Solves challenges as a browser would.

use super::{Answer, BROWSER, World};
use serde_json::{Value, json};
use windscreen::challenge::cachewalk;

/// Where solutions go.
pub const VERIFY: &str = "/.windscreen/verify";

/// The challenge in a page.
pub fn challenge(page: &Answer) -> String {
    assert_eq!((page.status, page.header("content-type")), (403, Some("text/html; charset=utf-8")));
    let text = page.text();
    let data = text.split("id=\"windscreen-challenge\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!((&data["count"], &data["rounds"], &data["verify"]), (&json!(16), &json!(4096), &json!(VERIFY)));
    data["challenge"].as_str().unwrap().to_owned()
}

/// A challenge for whoever opens `path`.
pub async fn issue(world: &World, address: &str, path: &str) -> String {
    challenge(&world.client(address).navigating().get(path).await)
}

/// Posts a solution.
pub async fn submit(world: &World, address: &str, challenge: &str, nonces: &[u32]) -> Answer {
    let body = json!({"challenge": challenge, "nonces": nonces}).to_string();
    let client = world.client(address).header("User-Agent", BROWSER).header("Content-Type", "application/json");
    client.send_body("POST", VERIFY, body.as_bytes()).await
}

/// Sixteen nonces.
pub fn solve(challenge: &str, difficulty: u32) -> Vec<u32> {
    cachewalk::solve(challenge, 16, 4096, difficulty)
}

/// The cookie that a solved challenge buys.
pub async fn pass(world: &World, address: &str, path: &str, difficulty: u32) -> String {
    let challenge = issue(world, address, path).await;
    let answer = submit(world, address, &challenge, &solve(&challenge, difficulty)).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    answer.cookie().unwrap()
}

/// Puts so many objects at `/logs/0` and on: of one that is fetched again a pass hardly notices.
pub fn put_numbered(world: &World, count: usize) {
    (0..count).for_each(|number| world.put("logs", &number.to_string(), b"object"));
}

/// Opens so many of these pages with a pass, beginning with `/logs/{first}`: how many were served.
pub async fn served(world: &World, address: &str, cookie: &str, first: usize, count: usize) -> usize {
    let mut served = 0;
    for number in first..first + count {
        served += usize::from(with_pass(world, address, cookie, &format!("/logs/{number}")).await.status == 200);
    }
    served
}

/// Opens a page with a pass.
pub async fn with_pass(world: &World, address: &str, cookie: &str, path: &str) -> Answer {
    world.client(address).navigating().header("Cookie", cookie).get(path).await
}
