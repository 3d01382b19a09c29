//! The gateway is stopped, upgraded and started by a service manager, and nobody notices.

use crate::harness::process::Process;
use crate::harness::{Client, OPEN, Setup, World};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

const LARGE: usize = 48 << 20;

async fn world(policy: &str, more: &str) -> World {
    let world = Setup::new().policy(policy).more(more).fixed_pass_keys().start().await;
    world.put("logs", "a", b"object");
    let large: Vec<u8> = (0..LARGE).map(|at| (at / 7) as u8).collect();
    world.put("images", "large", &large);
    world
}

fn serve(world: &World) -> Process {
    Process::serving(&world.directory.path().join("gateway.yaml"))
}

/// Downloads the large object so slowly that it takes `time`, and says whether it came as it is.
async fn download(address: SocketAddr, time: Duration) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    stream
        .write_all(b"GET /images/large HTTP/1.1\r\nHost: images\r\nConnection: close\r\n\r\n")
        .await
        .map_err(failed)?;
    let (mut head, mut body, mut taken) = (Vec::new(), Sha256::new(), 0);
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.map_err(failed)?);
    }
    let mut buffer = vec![0; 1 << 20];
    let from = Instant::now();
    loop {
        let count = stream.read(&mut buffer).await.map_err(failed)?;
        if count == 0 {
            break;
        }
        body.update(&buffer[..count]);
        taken += count;
        let due = time.mul_f64(taken as f64 / LARGE as f64);
        tokio::time::sleep(due.saturating_sub(from.elapsed())).await;
    }
    let large: Vec<u8> = (0..LARGE).map(|at| (at / 7) as u8).collect();
    if body.finalize() == Sha256::digest(&large) { Ok(()) } else { Err(format!("{taken} bytes of {LARGE}")) }
}

/// One request on a connection of its own.
async fn get(address: SocketAddr) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.write_all(b"GET /logs/a HTTP/1.1\r\nHost: logs\r\nConnection: close\r\n\r\n").await.map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(failed)?;
    let good = answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("object");
    if good { Ok(()) } else { Err(answer) }
}

/// Two clients that ask all the time, each time whoever `whom` names, on a new connection.
struct Clients {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Clients {
    fn asking(whom: impl Fn(usize) -> SocketAddr + Send + Sync + 'static) -> Self {
        let (stop, served, whom) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(whom));
        let task = |number: usize| {
            let (stop, served, whom) = (stop.clone(), served.clone(), whom.clone());
            tokio::spawn(async move {
                for time in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    get(whom(number + time)).await.unwrap();
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let tasks = (0..2).map(task).collect();
        Clients { stop, served, tasks }
    }

    async fn go_on(&self) {
        let known = self.served.load(Ordering::Relaxed);
        crate::harness::eventually("it serves", async || self.served.load(Ordering::Relaxed) > known + 5).await;
    }

    /// How many requests were answered; all were.
    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.served.load(Ordering::Relaxed)
    }
}

/// Upgrades so often, under load.
async fn upgrade(times: usize) {
    let world = world(OPEN, "").await;
    let mut process = serve(&world);
    let (address, admin) = (process.address(), process.admin());
    let clients = Clients::asking(move |_| address);
    let (mut downloads, mut before) = (Vec::new(), Vec::new());
    for _ in 0..times {
        downloads.push(tokio::spawn(download(address, Duration::from_secs(4))));
        tokio::time::sleep(Duration::from_millis(300)).await;
        before.push(process.id);
        process = tokio::task::spawn_blocking(move || {
            process.upgrade();
            process
        })
        .await
        .unwrap();
        clients.go_on().await;
        // The admin listener has gone over, too.
        assert_eq!(Client::new(admin).get("/readyz").await.status, 200);
        let asked = Command::new(env!("CARGO_BIN_EXE_windscreen"))
            .args(["healthcheck", "--admin", &format!("http://{admin}")])
            .status();
        assert!(asked.unwrap().success());
    }
    for download in downloads {
        download.await.unwrap().unwrap();
    }
    let served = clients.end().await;
    before.iter().for_each(|id| process.wait_until_gone(*id));
    assert!(process.lives() && !before.contains(&process.id));
    println!("{times} upgrades: {served} requests answered, {times} downloads whole");
}

/// Two replicas, one of which is drained at a time, so often; whoever is in front asks who is ready, as Kubernetes does.
async fn drain(times: usize) {
    let world = world(OPEN, "drain: {delay: 3s}\n").await;
    let mut replicas = [serve(&world), serve(&world)];
    let ready = Arc::new(Mutex::new(replicas.each_ref().map(|replica| Some(replica.address())).to_vec()));
    let whom = {
        let ready = ready.clone();
        move |number: usize| {
            let ready: Vec<SocketAddr> = ready.lock().unwrap().iter().flatten().copied().collect();
            ready[number % ready.len()]
        }
    };
    let (clients, mut downloads) = (Clients::asking(whom), Vec::new());
    for time in 0..times {
        let leaving = &replicas[time % 2];
        let (address, admin) = (leaving.address(), leaving.admin());
        downloads.push(tokio::spawn(download(address, Duration::from_secs(4))));
        tokio::time::sleep(Duration::from_millis(300)).await;
        leaving.tell("TERM");
        crate::harness::eventually("it says that it leaves", async || {
            Client::new(admin).get("/readyz").await.status == 503
        })
        .await;
        ready.lock().unwrap()[time % 2] = None;
        leaving.wait_for("requests in flight end first");
        clients.go_on().await;
        let next = serve(&world);
        ready.lock().unwrap()[time % 2] = Some(next.address());
        let leaving = std::mem::replace(&mut replicas[time % 2], next);
        // It is killed when it is dropped, so not before its download is over.
        downloads.push(tokio::task::spawn_blocking(move || {
            leaving.wait_until_gone(leaving.id);
            Ok(())
        }));
    }
    for ended in downloads {
        ended.await.unwrap().unwrap();
    }
    let served = clients.end().await;
    println!("{times} drains: {served} requests answered, {times} downloads whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_refuses_nobody_and_cuts_nothing() {
    upgrade(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_drained_is_missed_by_nobody() {
    drain(2).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make soak"]
async fn twenty_upgrades() {
    upgrade(20).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make soak"]
async fn twenty_drains() {
    drain(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_hands_over_what_was_counted() {
    let policy = "version: 1\nmode: enforce\nlimits: {few: {key: address, requests: 1/h, burst: 5}}\n\
                  default: {action: allow, limits: [few]}\n";
    let world = world(policy, "counters: {file: counters}\n").await;
    let mut process = serve(&world);
    let address = process.address();
    let statuses = async |count: usize| {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(Client::new(address).curl().get("/logs/a").await.status);
        }
        statuses
    };
    assert_eq!(statuses(3).await, [200; 3]);
    let (first, download) = (process.id, tokio::spawn(download(address, Duration::from_secs(10))));
    tokio::time::sleep(Duration::from_millis(500)).await;
    process = tokio::task::spawn_blocking(move || {
        process.upgrade();
        process
    })
    .await
    .unwrap();
    assert_eq!(statuses(3).await, [200, 429, 429]);
    // What the first process writes down when it ends at last must not undo what the second one has counted.
    process.tell("TERM");
    process.wait_until_gone(process.id);
    let counters = world.directory.path().join("counters");
    let counted = std::fs::read_to_string(&counters).unwrap();
    download.await.unwrap().unwrap();
    process.wait_until_gone(first);
    assert_eq!(std::fs::read_to_string(&counters).unwrap(), counted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_fails_changes_nothing() {
    let world = world(OPEN, "").await;
    let process = serve(&world);
    let file = world.directory.path().join("gateway.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace("sites:", "sights:")).unwrap();
    process.tell("USR2");
    process.wait_for("it could not take over: all goes on here");
    get(process.address()).await.unwrap();
    assert_eq!(Client::new(process.admin()).get("/readyz").await.status, 200);
    assert!(process.lives());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_announced_and_waits_for_transfers() {
    let world = world(OPEN, "drain: {delay: 1s}\n").await;
    let process = serve(&world);
    let (address, admin) = (process.address(), process.admin());
    let download = tokio::spawn(download(address, Duration::from_secs(8)));
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /logs/a HTTP/1.1\r\nHost: logs\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    process.tell("TERM");
    process.wait_for("not ready any more");
    let readiness = Client::new(admin).get("/readyz").await;
    assert_eq!(readiness.status, 503, "{}", readiness.text());
    let asked = Command::new(env!("CARGO_BIN_EXE_windscreen"))
        .args(["healthcheck", "--admin", &format!("http://{admin}")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(asked.status.code() == Some(1) && said.contains("stopping"), "{said}");
    let alive = Command::new(env!("CARGO_BIN_EXE_windscreen"))
        .args(["healthcheck", "--alive", "--admin", &format!("http://{admin}")])
        .status();
    assert!(alive.unwrap().success(), "nobody should kill it for that");
    // Whoever is in front has not noticed yet.
    get(address).await.unwrap();
    process.wait_for("requests in flight end first");
    let from = Instant::now();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(from.elapsed() < Duration::from_secs(2), "an idle connection is closed at once");
    crate::harness::eventually("nobody is accepted", async || TcpStream::connect(address).await.is_err()).await;
    assert!(process.lives(), "{:#?}", process.said());
    download.await.unwrap().unwrap();
    process.wait_until_gone(process.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_listened_at() {
    let world = Setup::new().policy(OPEN).listen("unix:{directory}/gateway.sock").start().await;
    world.put("logs", "a", b"object");
    let path = world.directory.path().join("gateway.sock");
    let ask = async || {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"GET /logs/a HTTP/1.1\r\nHost: logs\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = ask().await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("object"), "{answer}");
    // Another one must not take it away, and what a dead one has left is no hindrance.
    let second = Command::new(env!("CARGO_BIN_EXE_windscreen"))
        .args(["serve", "-c"])
        .arg(world.directory.path().join("gateway.yaml"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && said.contains("another process listens there"), "{said}");
    assert!(ask().await.ends_with("object"));
    world.server.drain(Duration::from_secs(5)).await;
    assert!(UnixStream::connect(&path).await.is_err());
    let again = Process::serving(&world.directory.path().join("gateway.yaml"));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /logs/a HTTP/1.1\r\nHost: logs\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("object"), "{answer}");
    drop(again);
}

/// Does what systemd does: opens a socket, and runs the program with it.
const ACTIVATE: &str = "import os, socket, sys\n\
    s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(9)\n\
    print('opened', s.getsockname()[1], file=sys.stderr, flush=True)\n\
    os.dup2(s.fileno(), 3); os.set_inheritable(3, True)\n\
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='http')\n\
    os.execv(sys.argv[1], sys.argv[1:])\n";

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_the_service_manager_are_used_and_it_is_told() {
    let world = world(OPEN, "").await;
    let text = std::fs::read_to_string(world.directory.path().join("gateway.yaml")).unwrap();
    let file = world.directory.path().join("activated.yaml");
    std::fs::write(&file, text.replacen("address: '127.0.0.1:0'", "address: 'systemd:http'", 1)).unwrap();
    let told = world.directory.path().join("notify");
    let manager = UnixDatagram::bind(&told).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let hear = || {
        let mut buffer = [0; 500];
        let count = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let mut command = Command::new("python3");
    command.args(["-c", ACTIVATE, env!("CARGO_BIN_EXE_windscreen"), "serve", "-c"]).arg(&file);
    command.env("NOTIFY_SOCKET", &told).env("WATCHDOG_USEC", "400000");
    let mut process = Process::start(&mut command);
    let port: u16 = process.wait_for("opened ").split(' ').nth(1).unwrap().parse().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    get(address).await.unwrap();
    let ready = hear();
    assert!(ready.contains("READY=1") && ready.contains(&format!("MAINPID={}", process.id)), "{ready}");
    assert!(hear().contains("WATCHDOG=1") && hear().contains("WATCHDOG=1"));
    let before = process.id;
    process = tokio::task::spawn_blocking(move || {
        process.upgrade();
        process
    })
    .await
    .unwrap();
    let heard = (0..100).map(|_| hear()).find(|told| told.contains("MAINPID=")).unwrap();
    assert!(heard.contains(&format!("MAINPID={}", process.id)) && process.id != before, "{heard}");
    get(address).await.unwrap();
    process.tell("TERM");
    assert!((0..100).map(|_| hear()).any(|told| told.contains("STOPPING=1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_nobody_opened_is_missed() {
    let world = world(OPEN, "").await;
    let text = std::fs::read_to_string(world.directory.path().join("gateway.yaml")).unwrap();
    let file = world.directory.path().join("missing.yaml");
    std::fs::write(&file, text.replacen("address: '127.0.0.1:0'", "address: 'systemd:https'", 1)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_windscreen")).args(["serve", "-c"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the service manager has opened no socket that is called `https`"), "{said}");
}
