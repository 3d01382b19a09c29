//! `windscreen serve`.

use super::{EXIT_BAD_CONFIG, ServeArguments, logging, runtime};
use crate::config::{Config, Files, for_origin, load_noting};
use crate::document::Diagnostics;
use crate::server::{Server, SystemClock};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Transfers in flight get so long to end after SIGTERM.
const DRAIN: Duration = Duration::from_secs(3600);

/// Runs the gateway until it is told to stop.
pub(super) fn serve(arguments: &ServeArguments) -> Result<u8, String> {
    let mut diagnostics = Diagnostics::default();
    let mut files = Files::default();
    let config = match (&arguments.what.config, &arguments.what.origin) {
        (Some(path), _) => load_noting(path, &mut files, &mut diagnostics)?,
        (None, Some(url)) => {
            let (listen, admin) = (arguments.listen.to_string(), arguments.admin.to_string());
            for_origin(url, &listen, &admin, arguments.anonymous, &mut diagnostics)
        }
        (None, None) => None,
    };
    eprint!("{diagnostics}");
    let Some(config) = config else {
        eprintln!("windscreen: the configuration is refused");
        return Ok(EXIT_BAD_CONFIG);
    };
    let _guard = logging::start(std::io::stdout());
    let watched = arguments.what.config.clone().map(|path| (path, files));
    runtime()?.block_on(until_stopped(config, watched))
}

/// Serves until a signal comes. `watched` is the gateway file, with all files that it was read from.
async fn until_stopped(config: Config, watched: Option<(PathBuf, Files)>) -> Result<u8, String> {
    let mode = config.policy.policy.mode();
    // Before the first connection: a signal must never meet its default action while a transfer runs.
    let failed = |error| format!("signals cannot be received: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let server = Server::start(config, Arc::new(SystemClock::default())).await.map_err(|error| error.to_string())?;
    for address in &server.addresses {
        tracing::info!(%address, ?mode, "listening");
    }
    if let Some(address) = server.admin {
        tracing::info!(%address, "admin: /metrics, /healthz, /readyz, /decisions");
    }
    let reload = Arc::new(Notify::new());
    if let Some((path, files)) = watched {
        tokio::spawn(server.steering.clone().watch(path, files, reload.clone()));
    }
    loop {
        tokio::select! {
            _ = interrupt.recv() => {
                server.keep();
                return Ok(0);
            }
            _ = terminate.recv() => break,
            _ = hangup.recv() => reload.notify_one(),
        }
    }
    tracing::info!("stopping: no new connections; requests in flight end first");
    // Once more at the end; but the process may not live so long.
    server.keep();
    tokio::select! {
        ended = server.drain(DRAIN) => if !ended {
            tracing::warn!("some transfers did not end in time and are cut");
        },
        _ = interrupt.recv() => tracing::warn!("interrupted: transfers in flight are cut"),
    }
    Ok(0)
}
