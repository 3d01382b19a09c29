//! Keys that sign passes and keys of clients change while the gateway runs: two generations hold at once, the old one ends
//! when it is taken away, and nobody notices.

use crate::harness::passes::{pass, with_pass};
use crate::harness::signing::Signing;
use crate::harness::{STRANGER, Setup, World};

const HOST: &str = "images.example.org";
const POLICY: &str = "version: 1\nmode: enforce\nrules: [{name: people, match: {site: logs}, action: challenge}]\n\
    default: {action: allow}\nchallenge: {tiers: {default: 64}}\n";
const CLIENTS: &str = "clients:\n\
    \x20 - {name: ci, key_file: ci, sites: [images]}\n\
    \x20 - {name: ci-next, key_file: ci-next, sites: [images]}\n";

async fn world() -> World {
    let setup = Setup::new().policy(POLICY).fixed_pass_keys().more(CLIENTS);
    let world = setup.file("ci", b"AKFIRST first").file("ci-next", b"AKSECOND second").start().await;
    world.put("logs", "log", b"log");
    world.put("images", "image", b"image");
    world
}

fn reload(world: &World) -> bool {
    let (good, files) = world.server.steering.reload(&world.directory.path().join("gateway.yaml"));
    assert!(files.0.contains(&world.directory.path().join("pass-keys")), "a key that is added is seen: {files:?}");
    good
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_of_two_generations_hold_until_the_old_key_goes() {
    let world = world().await;
    let keys = world.directory.path().join("pass-keys");
    let opens = async |cookie: &str| with_pass(&world, STRANGER, cookie, "/logs/log").await.status == 200;
    let old = pass(&world, STRANGER, "/logs/log", 64).await;
    assert!(opens(&old).await);

    std::fs::write(keys.join("2027"), "ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A=\n").unwrap();
    assert!(reload(&world));
    let new = pass(&world, STRANGER, "/logs/log", 64).await;
    let signer = |cookie: &str| cookie.split(['=', '~', '.', '!']).nth(2).map(str::to_owned);
    assert_ne!(signer(&old), signer(&new), "{old} {new}");
    assert!(opens(&old).await && opens(&new).await);

    std::fs::write(keys.join("2028"), "no key").unwrap();
    assert!(!reload(&world));
    assert!(opens(&old).await && opens(&new).await, "a bad key changes nothing");
    std::fs::remove_file(keys.join("2028")).unwrap();

    std::fs::remove_file(keys.join("2026")).unwrap();
    assert!(reload(&world));
    assert!(!opens(&old).await && opens(&new).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_two_generations_sign_until_the_old_key_goes() {
    let world = world().await;
    let signs = async |key: &str, secret: &str| {
        let signing = Signing::new(key, secret, HOST);
        signing.send(world.client(STRANGER), "GET", "/images/image", &[]).await.status
    };
    assert_eq!((signs("AKFIRST", "first").await, signs("AKSECOND", "second").await), (200, 200));
    let write = |name: &str, text: &str| std::fs::write(world.directory.path().join(name), text).unwrap();
    write("ci", "AKTHIRD third");
    assert!(reload(&world));
    assert_eq!((signs("AKFIRST", "first").await, signs("AKSECOND", "second").await), (403, 200));
    assert_eq!(signs("AKTHIRD", "third").await, 200);
    write("ci", "AKSECOND second");
    assert!(!reload(&world), "two clients of one key are refused");
    assert_eq!((signs("AKTHIRD", "third").await, signs("AKSECOND", "second").await), (200, 200));
}
