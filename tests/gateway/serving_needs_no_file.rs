//! The program itself: `serve --origin` needs no file, signs with the standard AWS chain, logs one line of JSON per
//! request, and ends without cutting a transfer.

use crate::harness::{ACCESS, Answer, Client, OPEN, SECRET, Setup, World};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", ACCESS), ("AWS_SECRET_ACCESS_KEY", SECRET)];

/// A running `windscreen`, killed when the test ends.
struct Program {
    child: Child,
    address: SocketAddr,
    _stderr: std::thread::JoinHandle<()>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts it with an environment that holds nothing of this machine's AWS settings.
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).env_clear();
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
        let mut child = command.envs(environment.iter().copied()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut address = None;
        let mut seen = String::new();
        while address.is_none() && stderr.read_line(&mut seen).unwrap() > 0 {
            let line = seen.lines().last().unwrap();
            let found = line.split("listening address=").nth(1).and_then(|rest| rest.split(' ').next());
            address = found.map(|text| text.parse().unwrap());
        }
        let address = address.unwrap_or_else(|| panic!("it did not start:\n{seen}"));
        // Its messages must not fill the pipe.
        let _stderr = std::thread::spawn(move || drop(std::io::copy(&mut stderr, &mut std::io::sink())));
        Program { child, address, _stderr }
    }

    fn origin(world: &World, more: &[&str], environment: &[(&str, &str)]) -> Program {
        let url = format!("http://{}/logs", world.first.address);
        let mut arguments = vec!["serve", "--origin", &url, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        arguments.extend(more);
        Program::start(&arguments, environment)
    }

    async fn get(&self, path: &str) -> Answer {
        Client::new(self.address).curl().get(path).await
    }

    fn resident_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end and returns the access log.
    fn finish(&mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code().unwrap_or_else(|| panic!("{status}")), log)
    }
}

async fn world() -> World {
    let world = Setup::new().policy(OPEN).start().await;
    world.put("logs", "run/log", b"the log");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_is_enough_and_the_environment_signs() {
    let world = world().await;
    let mut program = Program::origin(&world, &[], &KEYS);
    assert_eq!(program.get("/run/log").await.text(), "the log");
    // Observe mode holds the crawler rule back, and says so.
    let crawler = Client::new(program.address).header("User-Agent", "GPTBot/1.2").header("Cookie", "token=sesame");
    assert_eq!(crawler.get("/run/log?X-Ignored=1").await.status, 200);
    let signed = format!("/run/log?X-Amz-Signature={SECRET}");
    assert_eq!(program.get(&signed).await.status, 400);
    program.terminate();
    let (status, log) = program.finish();
    assert_eq!(status, 0);
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{log}");
    // A line is written once its connection has its answer, so those of three connections come in any order.
    let crawler = |line: &&Value| line["user_agent"] == "GPTBot/1.2";
    let first = lines.iter().find(|line| line["status"] == 200 && !crawler(line)).unwrap();
    for (field, value) in
        [("method", "GET"), ("path", "/run/log"), ("class", "tool"), ("rule", "tools"), ("site", "site")]
    {
        assert_eq!(first[field], value, "{field}: {first}");
    }
    assert_eq!((&first["status"], &first["bytes"]), (&200.into(), &7.into()));
    let crawler = lines.iter().find(crawler).unwrap();
    assert_eq!((&crawler["would_rule"], &crawler["would_action"]), (&"ai-crawlers".into(), &"deny".into()));
    assert_eq!(crawler["mode"], "observe");
    for secret in [SECRET, "sesame", "Signature"] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_two_files_and_nobody_at_all() {
    let world = world().await;
    let directory = world.directory.path();
    let profiles = directory.join("aws-credentials");
    let text = format!(
        "[default]\naws_access_key_id = WRONG\naws_secret_access_key = wrong\n[ci]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n"
    );
    std::fs::write(&profiles, text).unwrap();
    std::fs::write(directory.join("access"), format!("{ACCESS}\n")).unwrap();
    std::fs::write(directory.join("secret"), format!("{SECRET}\n")).unwrap();
    let file = |name: &str, credentials: &str| {
        let path = directory.join(name);
        let address = world.first.address;
        let text = format!(
            "version: 1\nlisteners: [{{address: '127.0.0.1:0'}}]\ncredentials: {{mine: {credentials}}}\n\
             sites: {{logs: {{origins: [{{name: first, url: 'http://{address}/logs', credentials: mine}}]}}}}\n"
        );
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    std::fs::write(directory.join("both"), format!("{ACCESS} {SECRET}\n")).unwrap();
    // Beside the gateway file, wherever it was started.
    let two = "{access_key_file: access, secret_key_file: secret}";
    let environment = [("AWS_SHARED_CREDENTIALS_FILE", profiles.to_str().unwrap())];
    for path in [file("profile.yaml", "{profile: ci}"), file("two.yaml", two), file("one.yaml", "{key_file: both}")] {
        let program = Program::start(&["serve", "-c", &path], &environment);
        assert_eq!(program.get("/run/log").await.text(), "the log", "{path}");
    }
    // Without credentials the gateway says so instead of asking unsigned.
    let program = Program::origin(&world, &[], &[]);
    let before = world.first.requests();
    assert_eq!(program.get("/run/log").await.status, 502);
    assert_eq!(world.first.requests(), before);
    // Where the operator says so, it asks unsigned; this store refuses that.
    let program = Program::origin(&world, &["--anonymous"], &[]);
    assert_eq!(program.get("/run/log").await.status, 403);
    assert_eq!(world.first.requests(), before + 1);
}

/// A service on loopback that answers as the container and the instance metadata services of AWS do.
async fn metadata() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&buffer[..count]).into_owned();
            let keys = format!(
                "{{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"{ACCESS}\",\"SecretAccessKey\":\"{SECRET}\",\
                 \"Token\":\"token\",\"Expiration\":\"2099-01-01T00:00:00Z\",\"LastUpdated\":\"2026-01-01T00:00:00Z\"}}"
            );
            let with_token = request.to_ascii_lowercase().contains("x-aws-ec2-metadata-token: sesame");
            let (status, body) = match request.split(' ').take(2).collect::<Vec<_>>()[..] {
                ["GET", "/container"] => (200, keys),
                ["PUT", "/latest/api/token"] => (200, "sesame".into()),
                ["GET", path] if with_token && path.ends_with("/security-credentials/") => (200, "role".into()),
                ["GET", path] if with_token && path.ends_with("/security-credentials/role") => (200, keys),
                _ => (404, String::new()),
            };
            let ttl = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600\r\nContent-Type: application/json\r\n";
            let answer = format!(
                "HTTP/1.1 {status} X\r\n{ttl}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_and_instances_find_their_role() {
    let world = world().await;
    let service = metadata().await;
    let (container, instance) = (format!("http://{service}/container"), format!("http://{service}"));
    let environments = [
        vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str())],
        vec![("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.as_str())],
    ];
    for environment in environments {
        let program = Program::origin(&world, &[], &environment);
        assert_eq!(program.get("/run/log").await.text(), "the log", "{environment:?}");
        let received = world.first.recent().pop().unwrap();
        assert_eq!(received.headers.get("x-amz-security-token").unwrap(), "token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_in_flight_outlives_the_signal_to_stop() {
    let world = world().await;
    world.put("logs", "big", b"");
    let big: &Path = &world.directory.path().join("first/logs/big");
    std::fs::File::options().write(true).open(big).unwrap().set_len(256 << 20).unwrap();
    let mut program = Program::origin(&world, &[], &KEYS);
    let mut stream = tokio::net::TcpStream::connect(program.address).await.unwrap();
    let request = "GET /big HTTP/1.1\r\nHost: x\r\nUser-Agent: curl/8\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut total = stream.read(&mut buffer).await.unwrap();
    program.terminate();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(std::net::TcpStream::connect(program.address).is_err(), "no new connection is accepted");
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            count => total += count,
        }
    }
    assert!(total > 256 << 20, "{total}: {}", String::from_utf8_lossy(&buffer[..600]));
    let ended = Instant::now();
    let (status, _) = program.finish();
    assert_eq!(status, 0);
    assert!(ended.elapsed() < Duration::from_secs(5), "it ends when the transfer does");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_passes_without_being_held() {
    const SIZE: u64 = 1 << 30;
    let world = Setup::new().policy(OPEN).start().await;
    world.put("logs", "big", b"");
    // Sparse: the store reads zeros, the disk holds nothing.
    let path = world.directory.path().join("first/logs/big");
    std::fs::File::options().write(true).open(path).unwrap().set_len(SIZE).unwrap();
    let program = Program::origin(&world, &[], &KEYS);

    let mut stream = tokio::net::TcpStream::connect(program.address).await.unwrap();
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let (mut total, mut base, mut peak) = (0u64, 0, 0);
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        if count == 0 {
            break;
        }
        if base == 0 {
            base = program.resident_kib();
        }
        total += count as u64;
        if total % (8 << 20) < count as u64 {
            peak = peak.max(program.resident_kib());
        }
    }
    assert!((SIZE..SIZE + 4096).contains(&total), "{total} bytes");
    let growth = peak.saturating_sub(base) / 1024;
    assert!(growth < 32, "resident memory grew by {growth} MiB");
}
