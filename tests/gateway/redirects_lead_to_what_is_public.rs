//! A redirect leads to an origin that has the object, for a minute, opens nothing that is private, and is charged to limits
//! as if the gateway had carried the bytes.

use crate::harness::{CI, Client, INTERNAL, OPEN, SECRET, STRANGER, Setup, World, sum_in};

const POLICY: &str = "version: 1\nmode: enforce\nnetworks: {internal: [203.0.113.0/24]}\nrules:\n\
    \x20 - {name: private, match: {path: {prefix: /rhel}, not: {network: internal}}, action: deny, mode: enforce}\n\
    \x20 - {name: near, match: {site: images}, action: redirect, limits: [bytes]}\ndefault: {action: allow}\n\
    limits: {bytes: {key: address, bytes: 100 B/day, over: refuse}}\n";

async fn world() -> World {
    let world = Setup::new().policy(POLICY).start().await;
    world.put("images", "near image", b"the image");
    world.put("images", "rhel-9", b"private");
    world.put_second("images", "elsewhere", b"in the second");
    world
}

fn path_at(store: std::net::SocketAddr, location: &str) -> String {
    let path = location.strip_prefix(&format!("http://{store}"));
    path.unwrap_or_else(|| panic!("{location} is not at {store}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_leads_to_the_object_for_a_minute() {
    let world = world().await;
    for round in 0..2 {
        let client = world.client(STRANGER).curl().header("Range", "bytes=4-6");
        let answer = client.get("/images/near%20image").await;
        assert_eq!((answer.status, answer.header("cache-control")), (307, Some("no-store")), "{round}");
        assert_eq!((answer.header("content-length"), &*answer.body), (Some("0"), &b""[..]));
        assert_eq!((answer.header("etag"), answer.header("content-range")), (None, None));
        let target = path_at(world.first.address, answer.header("location").unwrap());
        assert!(target.starts_with("/images/near%20image?") && target.contains("X-Amz-Expires=60"), "{target}");
        let direct = Client::new(world.first.address).curl().header("Range", "bytes=4-6");
        let object = direct.get(&target).await;
        assert_eq!((object.status, &*object.body), (206, &b"ima"[..]), "the client brings its range along");
        let all = Client::new(world.first.address).curl().get(&target).await;
        assert_eq!(all.status, 403, "the signature is for one range, which was charged");
        let other = direct.get(&target.replace("near%20image", "rhel-9")).await;
        assert_eq!(other.status, 403, "the signature is for one object");
    }
    let metrics = world.metrics().await;
    assert_eq!(sum_in(&metrics, "windscreen_requests_total", &["action=\"redirect\""]), 2.0);
    assert_eq!(sum_in(&metrics, "windscreen_redirected_bytes_total", &["images"]), 6.0);
    assert_eq!(sum_in(&metrics, "windscreen_origin_requests_total", &["first", "2xx"]), 1.0, "known after the first");
    assert_eq!(world.client(STRANGER).curl().get("/images/").await.status, 403, "a bucket is not listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_leads_where_the_object_is_or_says_that_it_is_nowhere() {
    let world = world().await;
    let answer = world.client(STRANGER).curl().get("/images/elsewhere").await;
    let target = path_at(world._second.address, answer.header("location").unwrap());
    assert_eq!((answer.status, &*target), (307, "/images/elsewhere"), "the second is public: nothing is signed");
    let answer = world.client(STRANGER).curl().get("/images/nowhere").await;
    assert_eq!((answer.status, answer.header("location")), (403, None));
    // The answer to a condition is the origin's.
    let client = world.client(STRANGER).curl().header("If-None-Match", "*");
    assert_eq!(client.get("/images/near%20image").await.status, 304);
    let head = world.client(STRANGER).curl().send("HEAD", "/images/near%20image").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("9")), "a HEAD has no bytes to save");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_are_denied_is_served_to_those_who_may_have_it() {
    let world = world().await;
    assert_eq!(world.client(STRANGER).curl().get("/images/rhel-9").await.status, 403);
    for _ in 0..2 {
        let answer = world.client(INTERNAL).curl().get("/images/rhel-9").await;
        assert_eq!((answer.status, answer.text().as_str(), answer.header("location")), (200, "private", None));
    }
    let answer = world.client(INTERNAL).curl().get("/images/near%20image").await;
    assert_eq!(answer.status, 307);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_bytes_are_charged() {
    let world = world().await;
    world.put("images", "large", &[7; 60]);
    let statuses = async |client: &str| {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(world.client(client).curl().get("/images/large").await.status);
        }
        statuses
    };
    assert_eq!(statuses(STRANGER).await, [307, 307, 429], "what exceeds the budget is the last");
    assert_eq!(statuses(CI).await[0], 307, "others have their own");
    let ranged = world.client(INTERNAL).curl().header("Range", "bytes=0-9");
    for _ in 0..9 {
        assert_eq!(ranged.get("/images/large").await.status, 307, "only the range is charged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_only_read_what_is_public_signs_it() {
    let sites = "  images:\n    prefix: /images\n    origins: [{name: first, url: 'http://{first}/images', credentials: test, \
        redirect_credentials: only-get}]\n";
    let rules = OPEN.replace("{action: allow}", "{action: redirect}");
    let setup = Setup::new().policy(&rules).sites(sites).file("only-get", format!("ONLYGET {SECRET}").as_bytes());
    let world = setup.more_credentials("only-get: {key_file: '{directory}/only-get'}").start().await;
    world.put("images", "a", b"object");
    let answer = world.client(STRANGER).curl().get("/images/a").await;
    let location = answer.header("location").unwrap();
    assert!(location.contains("X-Amz-Credential=ONLYGET%2F") && !location.contains("TESTACCESSKEY"), "{location}");
}
