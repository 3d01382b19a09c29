//! A gateway in a process of its own, which can be killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running process. It is killed when this is dropped.
pub struct Serving {
    pub address: SocketAddr,
    process: Child,
}

impl Serving {
    /// Serves a gateway file with one listener, and waits until it listens.
    pub fn start(file: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
        command.args(["serve", "-c"]).arg(file).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let address = loop {
            let Some(line) = lines.next() else { panic!("it did not start: {said:?}") };
            if let Some((_, rest)) = line.split_once(" listening address=") {
                break rest.split(' ').next().unwrap().parse().unwrap();
            }
            said.push(line);
        };
        // Whoever writes to a full pipe waits.
        std::thread::spawn(move || lines.for_each(drop));
        Serving { address, process }
    }

    /// Ends it at once, with no chance to do anything.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let from = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            assert!(from.elapsed() < Duration::from_secs(20), "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
