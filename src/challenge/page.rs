//! The challenge page: one file with everything inline, put together once at start.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

const MARKUP: &str = include_str!("assets/page.html");
const STYLE: &str = include_str!("assets/page.css");
const SCRIPT: &str = include_str!("assets/page.js");
const SOLVER: &str = include_str!("assets/solver.js");
const WASM: &[u8] = include_bytes!("assets/cachewalk.wasm");
const SIMD: &[u8] = include_bytes!("assets/cachewalk-simd.wasm");

/// Where the page posts its solution.
pub const VERIFY_PATH: &str = "/.windscreen/verify";

/// The page around the place where each request's challenge goes.
#[derive(Debug, Clone)]
pub struct Page {
    before: String,
    after: String,
    policy: String,
}

/// What the page's script reads.
#[derive(Serialize)]
struct Data<'a> {
    challenge: &'a str,
    difficulty: u32,
    count: usize,
    rounds: u32,
    verify: &'a str,
    site: &'a str,
    request_id: &'a str,
}

impl Default for Page {
    fn default() -> Self {
        // A JSON string is a JavaScript string; `<` must not end the script element.
        let solver = without_comments(SOLVER)
            .replace("{{wasm}}", &STANDARD.encode(WASM))
            .replace("{{simd}}", &STANDARD.encode(SIMD));
        let solver = serde_json::Value::from(solver).to_string().replace('<', "\\u003c");
        let script = without_comments(SCRIPT).replace("\"{{solver}}\"", &solver);
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}' 'wasm-unsafe-eval'; style-src 'sha256-{}'; worker-src blob:; \
             connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
            hash(&script),
            hash(STYLE),
        );
        let page = MARKUP.replace("/*{{css}}*/", STYLE).replace("/*{{js}}*/", &script);
        let (before, after) = page.split_once("{{challenge}}").unwrap_or((&page, ""));
        Page { before: before.to_owned(), after: after.to_owned(), policy }
    }
}

/// A script without indentation and without comments that have a line to themselves.
fn without_comments(script: &str) -> String {
    let lines: Vec<&str> = script.lines().map(str::trim).filter(|line| !line.starts_with("//")).collect();
    lines.join("\n")
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

impl Page {
    /// The page for one challenge.
    pub fn render(&self, challenge: &str, difficulty: u32, site: &str, request_id: &str) -> String {
        let data = Data {
            challenge,
            difficulty,
            count: super::puzzle::SOLUTIONS,
            rounds: super::puzzle::ROUNDS,
            verify: VERIFY_PATH,
            site,
            request_id,
        };
        let data = serde_json::to_string(&data).unwrap_or_default().replace('<', "\\u003c");
        [self.before.as_str(), &data, &self.after].concat()
    }

    /// The Content-Security-Policy that lets exactly this page's script and style run.
    pub fn content_security_policy(&self) -> &str {
        &self.policy
    }
}
