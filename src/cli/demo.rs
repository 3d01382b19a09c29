//! `windscreen demo`.

#![allow(clippy::disallowed_methods, reason = "rank 6: a temporary directory and timers")]

use super::{logging, runtime};
use crate::config::load;
use crate::demo::samples::RunningTest;
use crate::demo::{Demo, traffic};
use crate::document::Diagnostics;
use crate::server::{Server, SystemClock};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The running test writes a line so often.
const TEST_STEP: Duration = Duration::from_secs(2);
/// Transfers in flight get so long to end after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(2);

/// A directory that is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("windscreen-demo-{:08x}", rand::random::<u32>()));
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind lies in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the demo until Ctrl-C.
pub(super) fn demo(listen: SocketAddr, admin: SocketAddr) -> Result<u8, String> {
    let scratch = Scratch::new().map_err(|error| format!("no temporary directory: {error}"))?;
    let log = scratch.0.join("access.log");
    let file = std::fs::File::create(&log).map_err(|error| format!("cannot write `{}`: {error}", log.display()))?;
    let _guard = logging::start(file);
    runtime()?.block_on(until_interrupted(&scratch.0, &log, listen, admin))?;
    Ok(0)
}

async fn until_interrupted(directory: &Path, log: &Path, listen: SocketAddr, admin: SocketAddr) -> Result<(), String> {
    let demo =
        Demo::start(directory, listen, admin).await.map_err(|error| format!("the demo cannot start: {error}"))?;
    let mut diagnostics = Diagnostics::default();
    let config = load(&demo.gateway, &mut diagnostics)?.ok_or_else(|| diagnostics.to_string())?;
    let server = Server::start(config, Arc::new(SystemClock::default())).await.map_err(|error| error.to_string())?;
    let address = server.addresses.first().copied().unwrap_or(listen);
    println!(
        "windscreen demo: {address} in front of two S3 servers ({} signed, {} public)\n\
         gateway file: {}\naccess log:   {}\n\
         Personas are played by X-Forwarded-For, which only the demo believes from this machine.\n",
        demo.first.address,
        demo.second.address,
        demo.gateway.display(),
        log.display(),
    );
    println!("{}", demo.personas(address, server.admin.unwrap_or(admin)));
    println!("Ctrl-C ends the demo.");
    let test = async {
        let mut test = RunningTest::new(&demo.first_root)?;
        loop {
            tokio::time::sleep(TEST_STEP).await;
            test.append()?;
        }
        #[allow(unreachable_code, reason = "names the type of the block")]
        Ok::<(), std::io::Error>(())
    };
    let outcome = tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped.map_err(|error| format!("signals cannot be received: {error}")),
        stopped = test => stopped.map_err(|error| format!("the running test cannot be written: {error}")),
        () = traffic::run(address, &demo) => Ok(()),
    };
    server.drain(DRAIN).await;
    println!("stopped");
    outcome
}
