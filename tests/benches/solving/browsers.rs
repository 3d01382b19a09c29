//! The page's own solver in real browsers, without a driver: a page asks this program what to do next.

use super::native::{self, Way};
use super::processor_time;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The ways of the solver, the fastest first.
pub const WAYS: [&str; 3] = ["simd", "wasm", "js"];
/// Trials of one round: about half a second.
const TRIALS: u32 = 12_800;
/// A browser has so long for its start and for each round.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser: its name, its program and how it opens one page without a display.
pub struct Browser {
    pub name: &'static str,
    pub program: &'static str,
    arguments: &'static [&'static str],
    profile: &'static str,
}

pub const BROWSERS: [Browser; 2] = [
    Browser {
        name: "Chromium",
        program: "chromium",
        arguments: &["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server"],
        profile: "--user-data-dir=",
    },
    Browser {
        name: "Firefox",
        program: "firefox-esr",
        arguments: &["--headless", "--no-remote", "--profile"],
        profile: "",
    },
];

/// One worker for each way; `/next?TIME` tells what the last round took and asks for another one.
const PAGE: &str = r#"<!doctype html><title>cachewalk-1</title><script type="module">
const start = (way) => new Promise((resolve, reject) => {
  const worker = new Worker(`/${way}.js`);
  worker.onerror = reject;
  worker.onmessage = () => resolve((task) => new Promise((done) => {
    worker.onmessage = ({ data }) => done(data);
    worker.postMessage(task);
  }));
});
const workers = {};
for (const way of ["simd", "wasm", "js"]) workers[way] = await start(way);
let took = 0;
for (;;) {
  const { way, first, trials } = await (await fetch(`/next?${took}`)).json();
  if (!way) break;
  took = await workers[way]([first, trials]);
}
</script>"#;

/// In place of the solver's own way to be asked.
const WORKER: &str = r#"
setSeed("c1~7f6c280b~logs~1024~1763840000000~e47119871cf9abe035174a4158b8a0b7~203.0.113.0/24~");
const [way, search] = choose(4096);
if (way !== WAY) throw new Error(`no ${WAY} here`);
self.onmessage = ({ data: [first, trials] }) => {
  const began = performance.now();
  for (let tried = 0; tried < trials; tried += 128) search(first + tried, 1, 128, 4096, 2 ** 22);
  self.postMessage(performance.now() - began);
};
self.postMessage(0);
"#;

fn worker(way: &str) -> String {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/challenge/assets");
    let module = |name: &str, wanted: bool| {
        if wanted { STANDARD.encode(fs::read(assets.join(name)).unwrap()) } else { String::new() }
    };
    let solver = fs::read_to_string(assets.join("solver.js")).unwrap();
    let solver = solver
        .replace("{{wasm}}", &module("cachewalk.wasm", way != "js"))
        .replace("{{simd}}", &module("cachewalk-simd.wasm", way == "simd"));
    format!("{solver}const WAY = \"{way}\";{WORKER}")
}

/// Microseconds per trial of all rounds, by way: of processor time, and by the browser's clock; and of the native way,
/// measured between them.
#[derive(Default)]
pub struct Times {
    pub cpu: HashMap<&'static str, Vec<f64>>,
    pub clock: HashMap<&'static str, Vec<f64>>,
    pub native: Vec<f64>,
}

/// Measures so many rounds of each way, with one of the native way between any two.
///
/// # Errors
/// When the browser does not start, or stops asking.
pub fn measure(browser: &Browser, native: &mut Way, rounds: u32) -> Result<Times, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let running = Running::start(browser, &format!("http://{address}/")).map_err(|error| error.to_string())?;
    let mut times = Times::default();
    // The first round of each way is for the compilers.
    let mut tasks = (0..=rounds).flat_map(|round| WAYS.map(|way| (round, way)));
    let mut under_way: Option<(u32, &'static str, HashMap<String, f64>)> = None;
    loop {
        let (mut stream, request) = accept(&listener).ok_or_else(|| format!("{} says nothing", browser.name))?;
        let path = request.split(' ').nth(1).unwrap_or_default();
        let Some(took) = path.strip_prefix("/next?") else {
            let way = WAYS.into_iter().find(|way| path == format!("/{way}.js"));
            let (kind, text) = way.map_or(("html", PAGE.to_owned()), |way| ("javascript", worker(way)));
            answer(&mut stream, kind, &text);
            continue;
        };
        if let Some((round, way, before)) = under_way.take().filter(|(round, ..)| *round > 0) {
            // The worker is the thread that computed most.
            let busy = running.threads().into_iter().map(|(thread, time)| time - before.get(&thread).unwrap_or(&0.0));
            times.cpu.entry(way).or_default().push(busy.fold(0.0, f64::max) / f64::from(TRIALS));
            let took = took.parse::<f64>().map_err(|_| format!("a time was expected, not `{took}`"))?;
            times.clock.entry(way).or_default().push(took * 1e3 / f64::from(TRIALS));
            times.native.push(native::measure(native, round * TRIALS, TRIALS));
        }
        let Some((round, way)) = tasks.next() else {
            answer(&mut stream, "json", "{}");
            return Ok(times);
        };
        under_way = Some((round, way, running.threads()));
        let first = round * TRIALS;
        answer(&mut stream, "json", &format!(r#"{{"way": "{way}", "first": {first}, "trials": {TRIALS}}}"#));
    }
}

/// The next request. None where none comes for a minute.
fn accept(listener: &TcpListener) -> Option<(TcpStream, String)> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        // Browsers open connections that they may never use.
        let _ = (stream.set_nonblocking(false), stream.set_read_timeout(Some(Duration::from_millis(300))));
        let mut request = [0; 4096];
        if let Ok(length @ 1..) = stream.read(&mut request) {
            return Some((stream, String::from_utf8_lossy(&request[..length]).into_owned()));
        }
    }
    None
}

fn answer(stream: &mut TcpStream, kind: &str, text: &str) {
    let kind = if kind == "json" { "application/json".to_owned() } else { format!("text/{kind}") };
    let head = format!("Content-Type: {kind}\r\nContent-Length: {}\r\nConnection: close", text.len());
    // Who does not listen any more asks again.
    let _ = write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n{text}");
}

/// A browser in a process group of its own, which ends with the value.
struct Running {
    child: Child,
    _profile: TempDir,
}

impl Running {
    fn start(browser: &Browser, url: &str) -> std::io::Result<Running> {
        let profile = TempDir::new()?;
        let mut command = Command::new(browser.program);
        command.args(browser.arguments).arg(format!("{}{}", browser.profile, profile.path().display())).arg(url);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()?;
        Ok(Running { child, _profile: profile })
    }

    /// Processor time of every thread of the group, in microseconds.
    fn threads(&self) -> HashMap<String, f64> {
        let group = self.child.id().to_string();
        let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_ours = |process: &Path| {
            let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(2)) == Some(&group)
        };
        let threads =
            entries(Path::new("/proc")).filter(|path| is_ours(path)).flat_map(|path| entries(&path.join("task")));
        threads
            .filter_map(|path| {
                let time = processor_time(&fs::read_to_string(path.join("stat")).ok()?)?;
                Some((path.display().to_string(), time))
            })
            .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}
