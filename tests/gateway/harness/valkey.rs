//! A private Valkey or Redis server, to be killed, paused and filled.

use redis::{Client, FromRedisValue};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub struct Valkey {
    directory: TempDir,
    port: u16,
    arguments: Vec<String>,
    password: String,
    process: Option<Child>,
}

impl Valkey {
    /// An empty server on a port of its own, and on a socket in a directory of its own.
    pub fn start() -> Self {
        Self::start_with("", &[])
    }

    /// As [`start`](Self::start), with a password and more settings.
    pub fn start_with(password: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let directory = TempDir::new().unwrap();
        let mut server = Valkey { directory, port: 0, arguments, password: password.to_owned(), process: None };
        for _ in 0..5 {
            // Others may take the port before the server does.
            server.port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            if server.run() {
                return server;
            }
        }
        panic!("no server could be started");
    }

    /// Starts it again, on the same port, empty.
    pub fn revive(&mut self) {
        assert!(self.run(), "port {} has been taken", self.port);
    }

    /// Starts it and waits until it answers. False where it has ended instead.
    fn run(&mut self) -> bool {
        self.kill();
        self.process = ["valkey-server", "redis-server"].iter().find_map(|program| self.spawn(program));
        assert!(self.process.is_some(), "neither valkey-server nor redis-server is installed");
        for _ in 0..500 {
            if self.process.as_mut().unwrap().try_wait().unwrap().is_some() {
                self.process = None;
                return false;
            }
            if self.client().get_connection().is_ok() {
                let id = format!("process_id:{}\r", self.process.as_ref().unwrap().id());
                return self.ask::<String>(&["INFO", "server"]).contains(&id);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not answer");
    }

    fn spawn(&self, program: &str) -> Option<Child> {
        let mut command = Command::new(program);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]);
        command.arg("--dir").arg(self.directory.path()).arg("--unixsocket").arg(self.socket());
        command.args(["--requirepass", &self.password]).args(&self.arguments);
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => Some(child),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => panic!("{program}: {error}"),
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    fn client(&self) -> Client {
        let login = if self.password.is_empty() { String::new() } else { format!(":{}@", self.password) };
        Client::open(format!("redis://{login}127.0.0.1:{}", self.port)).unwrap()
    }

    /// Asks the server itself.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = self.client().get_connection().unwrap();
        redis::cmd(words[0]).arg(&words[1..]).query(&mut connection).unwrap()
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Stops it in its tracks: connections stay, and nothing is answered.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        self.kill();
    }
}
