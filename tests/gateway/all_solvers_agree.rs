//! cachewalk-1 is one function in Rust, in WebAssembly with and without SIMD, and in plain JS; the page of a challenge
//! takes the fastest that its browser has.

use crate::harness::browser::Browser;
use crate::harness::{Setup, World};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use wasmi::{Engine, Extern, Instance, Linker, Memory, Module, Store};
use windscreen::challenge::cachewalk;

/// The most that both modules together may take, in bytes: every page of a challenge carries them.
const MOST_BYTES: usize = 2560;

const HARD: &str = "version: 1\nmode: enforce\nrules: [{name: all, action: challenge}]\ndefault: {action: allow}\n\
    challenge: {tiers: {default: 8192}}\n";

struct Vector {
    challenge: &'static str,
    rounds: u32,
    nonce: u32,
    result: u32,
}

fn vectors() -> Vec<Vector> {
    let lines = include_str!("../vectors/cachewalk.txt").lines().filter(|line| !line.starts_with('#'));
    let vector = |line: &'static str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let (rounds, nonce) = (fields[1].parse().unwrap(), fields[2].parse().unwrap());
        Vector { challenge: fields[0], rounds, nonce, result: u32::from_str_radix(fields[3], 16).unwrap() }
    };
    lines.map(vector).collect()
}

fn asset(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/challenge/assets").join(name)
}

/// A module without its custom sections, in which the assembler keeps the names of functions and locals.
fn stripped(module: &[u8]) -> Vec<u8> {
    let (mut kept, mut rest) = (module[..8].to_vec(), &module[8..]);
    while !rest.is_empty() {
        // The length of a section is a LEB128 number.
        let digits = 1 + rest[1..].iter().take_while(|byte| **byte >= 0x80).count();
        let length = rest[1..=digits].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
        let (section, others) = rest.split_at(1 + digits + length);
        if section[0] != 0 {
            kept.extend_from_slice(section);
        }
        rest = others;
    }
    kept
}

#[test]
fn the_modules_are_what_their_text_says_and_are_small() {
    let mut bytes = 0;
    for name in ["cachewalk", "cachewalk-simd"] {
        let assembled = stripped(&wat::parse_file(asset(&format!("{name}.wat"))).unwrap());
        let path = asset(&format!("{name}.wasm"));
        if std::env::var_os("WINDSCREEN_UPDATE_WASM").is_some() {
            std::fs::write(&path, &assembled).unwrap();
        }
        let is_same = std::fs::read(&path).unwrap() == assembled;
        assert!(
            is_same,
            "{name}.wasm is not what {name}.wat says; WINDSCREEN_UPDATE_WASM=1 with this test assembles it"
        );
        bytes += assembled.len();
    }
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}

/// Both modules, with the memory that they share.
struct Modules {
    store: Store<()>,
    memory: Memory,
    /// Without SIMD, with SIMD.
    instances: [Instance; 2],
}

impl Modules {
    fn new() -> Modules {
        let engine = Engine::default();
        let mut store = Store::new(&engine, ());
        let module = |name: &str| Module::new(&engine, std::fs::read(asset(name)).unwrap()).unwrap();
        let mut linker = Linker::new(&engine);
        let base = linker.instantiate_and_start(&mut store, &module("cachewalk.wasm")).unwrap();
        let memory = base.get_memory(&store, "memory").unwrap();
        let exports: Vec<(String, Extern)> =
            base.exports(&store).map(|export| (export.name().to_owned(), export.into_extern())).collect();
        for (name, export) in exports {
            linker.define("", &name, export).unwrap();
        }
        let simd = linker.instantiate_and_start(&mut store, &module("cachewalk-simd.wasm")).unwrap();
        let mut modules = Modules { store, memory, instances: [base, simd] };
        modules.prepare();
        modules
    }

    fn write(&mut self, table: usize, words: impl IntoIterator<Item = u32>) {
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        self.memory.write(&mut self.store, 0x40000 + table, &bytes).unwrap();
    }

    /// What does not hang on the challenge: the constants of SHA-256 and the padding of both blocks.
    fn prepare(&mut self) {
        let is_prime = |n: &u32| (2..*n).all(|divisor| !n.is_multiple_of(divisor));
        let fraction = |root: f64| (root.fract() * 2f64.powi(32)) as u32;
        let primes: Vec<f64> = (2..).filter(is_prime).map(f64::from).take(64).collect();
        self.write(0, primes[..8].iter().map(|prime| fraction(prime.sqrt())));
        self.write(64, primes.iter().map(|prime| fraction(prime.cbrt())));
        self.write(320 + 4 * 9, [1 << 31, 0, 0, 0, 0, 0, 9 * 32]);
        self.write(640 + 4 * 8, [1 << 31, 0, 0, 0, 0, 0, 0, 8 * 32]);
    }

    fn seed(&mut self, challenge: &str) {
        let seed = Sha256::new().chain_update(b"cw1").chain_update(challenge).finalize();
        self.write(320, seed.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())));
    }

    fn search(&mut self, simd: bool, nonce: u32, step: u32, count: u32, rounds: u32, most: u32) -> Vec<u32> {
        let instance = &self.instances[usize::from(simd)];
        let search = instance.get_typed_func::<(u32, u32, u32, u32, u32), u32>(&self.store, "search").unwrap();
        let found = search.call(&mut self.store, (nonce, step, count, rounds, most)).unwrap();
        let mut bytes = vec![0; 4 * found as usize];
        self.memory.read(&self.store, 0x40400, &mut bytes).unwrap();
        bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }
}

#[test]
fn both_modules_walk_as_the_vectors_say() {
    let mut modules = Modules::new();
    for Vector { challenge, rounds, nonce, result } in vectors() {
        modules.seed(challenge);
        for simd in [false, true] {
            // The module with SIMD is made for the rounds that challenges have.
            if simd && rounds != 4096 {
                continue;
            }
            let case = format!("{challenge} {rounds} {nonce}, simd: {simd}");
            assert_eq!(modules.search(simd, nonce, 1, 1, rounds, result), [nonce], "{case}");
            assert!(modules.search(simd, nonce, 1, 1, rounds, result - 1).is_empty(), "{case}");
        }
    }
}

/// The nonces among `nonces` that are solutions.
fn solutions(challenge: &str, nonces: impl Iterator<Item = u32>, difficulty: u32) -> Vec<u32> {
    let mut walker = cachewalk::Walker::new(challenge);
    nonces.filter(|nonce| walker.solves(*nonce, 4096, difficulty)).collect()
}

#[test]
fn one_call_searches_many_nonces() {
    let mut modules = Modules::new();
    modules.seed("test-challenge-0");
    let expected = solutions("test-challenge-0", (5..).step_by(3).take(40), 4);
    assert!(expected.len() > 3);
    for simd in [false, true] {
        assert_eq!(modules.search(simd, 5, 3, 40, 4096, (1 << 30) - 1), expected, "simd: {simd}");
    }
}

/// In the page of a challenge: `solver(way)` is the page's own solver, made to go that way, as the text of a worker;
/// `ask(text, message, enough)` sends it a message and collects the answers until there are enough.
const PAGE: &str = r#"
    const text = JSON.parse([...document.scripts].map((script) => script.textContent).join("").match(/SOLVER = ("(?:[^"\\]|\\.)*")/)[1]);
    const solver = (way) => way === "js" ? text.replace(/WASM = ".*"/, 'WASM = ""')
        : way === "wasm" ? text.replace(/SIMD = ".*"/, 'SIMD = ""') : text;
    const ask = (text, message, enough) => new Promise((resolve, reject) => {
        const worker = new Worker(URL.createObjectURL(new Blob([text])));
        const answers = [];
        worker.onerror = (event) => reject(new Error(event.message));
        worker.onmessage = ({ data }) => {
            answers.push(data);
            if (!enough(answers)) return;
            worker.terminate();
            resolve(answers);
        };
        worker.postMessage(message);
    });
"#;

/// A browser at the page of a challenge so hard that it stays there.
async fn challenged(more: &[&str]) -> (World, Browser) {
    let world = Setup::new().policy(HARD).start().await;
    let browser = Browser::start(more).await;
    let url = format!("http://{}/logs/some.log", world.server.addresses[0]);
    browser.page.goto(&url).await.unwrap();
    // Nothing else shall compute beside what is looked at.
    browser.run("dispatchEvent(new Event('pagehide'))").await;
    (world, browser)
}

async fn asked(browser: &Browser, script: &str, arguments: Vec<Value>) -> Value {
    browser.page.execute(&format!("{PAGE}{script}"), arguments).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_walks_as_the_vectors_say_in_a_browser() {
    let (_world, browser) = challenged(&[]).await;
    let cases = vectors();
    let tasks: Vec<Value> =
        cases.iter().map(|case| json!([case.challenge, case.rounds, case.nonce, case.result])).collect();
    let script = r#"
        const [way, tasks] = arguments;
        const test = `self.onmessage = ({ data }) => self.postMessage(data.map(([challenge, rounds, nonce, result]) => {
            setSeed(challenge);
            const [way, search] = choose(rounds);
            return [way, search(nonce, 1, 1, rounds, result), search(nonce, 1, 1, rounds, result - 1)];
        }));`;
        return (await ask(solver(way) + test, tasks, () => true))[0];
    "#;
    for way in ["simd", "wasm", "js"] {
        let results = asked(&browser, script, vec![json!(way), json!(tasks)]).await;
        for (case, result) in cases.iter().zip(results.as_array().unwrap()) {
            let way = if way == "simd" && case.rounds != 4096 { "wasm" } else { way };
            assert_eq!(*result, json!([way, [case.nonce], []]), "{} {} {}", case.challenge, case.rounds, case.nonce);
        }
    }
}

const SEARCH: &str = r#"
    const [way, task, trials] = arguments;
    return ask(solver(way), task, (all) => all.reduce((sum, { trials }) => sum + trials, 0) >= trials);
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_goes_the_fastest_way_and_leaves_no_nonce_out() {
    let (_world, browser) = challenged(&[]).await;
    for way in ["simd", "wasm", "js"] {
        let task = json!({"challenge": "c1~x", "difficulty": 64, "rounds": 4096, "first": 1, "step": 4});
        let answers = asked(&browser, SEARCH, vec![json!(way), task, json!(1000)]).await;
        let answers = answers.as_array().unwrap();
        let trials = answers.iter().map(|answer| answer["trials"].as_u64().unwrap()).sum::<u64>() as usize;
        let found: Vec<&Value> = answers.iter().flat_map(|answer| answer["found"].as_array().unwrap()).collect();
        assert_eq!(json!(found), json!(solutions("c1~x", (1..).step_by(4).take(trials), 64)), "{way}");
        assert!(answers.iter().all(|answer| answer["way"] == way), "{way}: {answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_a_compiler_says_that_it_is_slow_and_can_be_stopped() {
    let (_world, browser) = challenged(&["--js-flags=--jitless"]).await;
    let task = json!({"challenge": "c1~x", "difficulty": 64, "rounds": 4096, "first": 0, "step": 1});
    let answers = asked(&browser, SEARCH, vec![json!("simd"), task, json!(24)]).await;
    let answers = answers.as_array().unwrap();
    assert!(answers.iter().all(|answer| answer["way"] == "js"), "{answers:?}");
    assert_eq!(answers[0]["slow"], false, "not known yet");
    assert_eq!(answers.last().unwrap()["slow"], true);
    // A trial takes some milliseconds, and a worker ends between tasks only.
    assert!(answers.iter().all(|answer| answer["trials"].as_u64().unwrap() <= 8), "{answers:?}");
}
