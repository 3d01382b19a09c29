//! A gateway in a process of its own that is told things by signals, and may be followed by another.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A gateway, through all its processes.
pub struct Process {
    lines: Arc<Mutex<Vec<String>>>,
    first: std::process::Child,
    /// Of the one that serves.
    pub id: u32,
}

fn signal(id: u32, name: &str) -> bool {
    let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).stderr(Stdio::null()).status();
    sent.unwrap().success()
}

impl Process {
    /// Runs a command that serves, and waits until it does.
    pub fn start(command: &mut Command) -> Self {
        Process::start_with(command.stdout(Stdio::null()))
    }

    fn start_with(command: &mut Command) -> Self {
        let mut first = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (said, into) = (BufReader::new(first.stderr.take().unwrap()).lines().map_while(Result::ok), lines.clone());
        std::thread::spawn(move || said.for_each(|line| into.lock().unwrap().push(line)));
        let process = Process { lines, id: first.id(), first };
        process.wait_for(" ready listening=");
        process
    }

    /// `windscreen serve` with a gateway file.
    pub fn serving(file: &std::path::Path) -> Self {
        Process::start(Command::new(env!("CARGO_BIN_EXE_windscreen")).args(["serve", "-c"]).arg(file))
    }

    /// `windscreen serve` with a gateway file, whose access log goes to `log`.
    pub fn logging(file: &std::path::Path, log: std::fs::File) -> Self {
        Process::start_with(Command::new(env!("CARGO_BIN_EXE_windscreen")).args(["serve", "-c"]).arg(file).stdout(log))
    }

    /// What it has said so far.
    pub fn said(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The last line that contains `text`, as soon as there is one.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_more(text, 0)
    }

    /// The last line that contains `text`, as soon as there are more than `known`.
    pub fn wait_for_more(&self, text: &str, known: usize) -> String {
        let from = Instant::now();
        loop {
            let said = self.said();
            let found: Vec<&String> = said.iter().filter(|line| line.contains(text)).collect();
            if found.len() > known {
                return found[found.len() - 1].clone();
            }
            assert!(from.elapsed() < Duration::from_secs(60), "it never said {text:?}: {said:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A number or address that follows `name=` in the last line that contains `text`.
    pub fn told<T: std::str::FromStr>(&self, text: &str, name: &str) -> T {
        let line = self.wait_for(text);
        let value = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap();
        value.parse().ok().unwrap_or_else(|| panic!("{line}"))
    }

    /// Where the first listener is.
    pub fn address(&self) -> SocketAddr {
        self.told(" listening address=", "address")
    }

    pub fn admin(&self) -> SocketAddr {
        self.told(" admin: ", "address")
    }

    pub fn tell(&self, name: &str) {
        assert!(signal(self.id, name), "it is gone: {:#?}", self.said());
    }

    /// Has another process take over, and waits until it has.
    pub fn upgrade(&mut self) {
        let known = self.said().iter().filter(|line| line.contains("it has taken over")).count();
        self.tell("USR2");
        self.wait_for_more("it has taken over", known);
        self.id = self.told("it has taken over", "process");
    }

    /// Whether the process that serves is there.
    pub fn lives(&self) -> bool {
        // A process that nobody has waited for yet is still there.
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.id)).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    }

    pub fn wait_until_gone(&self, id: u32) {
        let from = Instant::now();
        let gone = || {
            let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        while !gone() {
            assert!(from.elapsed() < Duration::from_secs(30), "{id} is still there: {:#?}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        signal(self.id, "KILL");
        let _ = self.first.kill();
        let _ = self.first.wait();
    }
}
