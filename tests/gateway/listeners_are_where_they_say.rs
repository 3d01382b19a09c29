//! A listener is where its address says, for both families and beside others, and comes back when the system is short of
//! files.

use crate::harness::process::Process;
use crate::harness::{Client, OPEN, Setup, World, eventually, metric_in};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use tokio::net::TcpStream;

async fn world(address: &str, listener: &str) -> World {
    let world = Setup::new().policy(OPEN).listen(address).listener(listener).start().await;
    world.put("logs", "a", b"object");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn both_families_come_by_one_socket() {
    let world = world("[::]:0", "").await;
    let port = world.server.addresses[0].port();
    for address in [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))] {
        assert_eq!(Client::new(address).get("/logs/a").await.status, 200, "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_may_listen_there_where_both_say_so() {
    for (shares, listener) in [(true, "reuse_port: true"), (false, "")] {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let world = world(&free.to_string(), listener).await;
        let file = world.directory.path().join("gateway.yaml");
        if shares {
            let other = Process::serving(&file);
            assert_eq!(other.address(), free);
            world.server.drain(std::time::Duration::from_secs(5)).await;
            assert_eq!(Client::new(free).get("/logs/a").await.status, 200, "the other one is still there");
            continue;
        }
        let mut second = Command::new(env!("CARGO_BIN_EXE_windscreen"));
        let second = second.args(["serve", "-c"]).arg(&file).stdout(Stdio::null()).output().unwrap();
        assert!(!second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_accepts_again_when_files_are_free_again() {
    let world = world("127.0.0.1:0", "").await;
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 80; exec \"$0\" serve -c \"$1\"", env!("CARGO_BIN_EXE_windscreen")]);
    let process = Process::start(command.arg(world.directory.path().join("gateway.yaml")));
    let mut held = Vec::new();
    for _ in 0..150 {
        // The system accepts them for it, and lets them wait.
        held.push(TcpStream::connect(process.address()).await.unwrap());
    }
    let said = tokio::task::spawn_blocking(move || {
        process.wait_for("connections cannot be accepted");
        process
    });
    let process = said.await.unwrap();
    drop(held);
    let (client, admin) = (Client::new(process.address()), Client::new(process.admin()));
    assert_eq!(client.get("/logs/a").await.status, 200);
    let metrics = admin.get("/metrics").await.text();
    assert!(metric_in(&metrics, "windscreen_connections_refused_total{reason=\"error\"}") >= 1.0);
    eventually("nobody is left", async || {
        metric_in(&admin.get("/metrics").await.text(), "windscreen_connections") == 0.0
    })
    .await;
}
