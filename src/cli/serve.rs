//! `windscreen serve`, from the first signal that may come to the last transfer that ends.

#![allow(clippy::disallowed_methods, reason = "rank 6: waits")]

use super::{EXIT_BAD_CONFIG, ServeArguments, logging, runtime};
use crate::config::{Config, DrainSettings, Files, for_origin, load_noting};
use crate::document::Diagnostics;
use crate::listener::{Inherited, Predecessor};
use crate::server::{Server, SystemClock};
use sd_notify::NotifyState;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// While transfers end, it is said so often how many are left.
const PROGRESS: Duration = Duration::from_secs(30);

/// Runs the gateway until it is told to stop.
pub(super) fn serve(arguments: &ServeArguments) -> Result<u8, String> {
    // Before anything else may read standard input.
    let other = Predecessor::find().map_err(|error| format!("the gateway to take over from says nothing: {error}"))?;
    // Found again by its path, since it may be replaced by the time of an upgrade. Without /proc nobody knows it.
    let program = std::env::current_exe().unwrap_or_else(|_| "windscreen".into());
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
    raise_file_limit();
    runtime()?.block_on(until_stopped(config, watched, other, &program))
}

/// Each connection takes a descriptor, and one more to the origin. Services begin with 1,024, for the sake of programs that
/// cannot count further.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it may not, what there is must do: `doctor` says whether it does.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Tells the service manager, where there is one.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// What may tell the process to do something.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    upgrade: Signal,
}

impl Signals {
    fn new() -> Result<Self, String> {
        let of = |kind| signal(kind).map_err(|error| format!("signals cannot be received: {error}"));
        Ok(Signals {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
            upgrade: of(SignalKind::user_defined2())?,
        })
    }
}

/// Serves until a signal comes. `watched` is the gateway file, with all files that it was read from.
async fn until_stopped(
    config: Config,
    watched: Option<(PathBuf, Files)>,
    other: Option<(Predecessor, Inherited)>,
    program: &Path,
) -> Result<u8, String> {
    let mode = config.policy.policy.mode();
    let drain = config.file.drain.clone();
    // Before the first connection: a signal must never meet its default action while a transfer runs.
    let mut signals = Signals::new()?;
    let listening: Vec<String> = config.file.listeners.0.iter().map(|listener| listener.address.to_string()).collect();
    let clock = Arc::new(SystemClock::default());
    let server = Server::succeed(config, clock, other).await.map_err(|error| error.to_string())?;
    for address in &server.addresses {
        tracing::info!(%address, ?mode, "listening");
    }
    tracing::info!(?listening, "ready");
    if let Some(address) = server.admin {
        tracing::info!(%address, "admin: the dashboard at /, /metrics, /healthz, /readyz, /decisions");
    }
    notify(&[NotifyState::Ready, NotifyState::MainPid(std::process::id())]);
    if let Some(interval) = sd_notify::watchdog_enabled() {
        tokio::spawn(watchdog(interval / 2));
    }
    let reload = Arc::new(Notify::new());
    if let Some((path, files)) = watched {
        tokio::spawn(server.steering.clone().watch(path, files, reload.clone()));
    }
    loop {
        tokio::select! {
            _ = signals.interrupt.recv() => {
                server.keep();
                return Ok(0);
            }
            _ = signals.terminate.recv() => {
                notify(&[NotifyState::Stopping]);
                server.leave();
                tracing::info!(delay = ?drain.delay, "stopping: not ready any more");
                tokio::select! {
                    () = tokio::time::sleep(drain.delay.unwrap_or_default()) => {}
                    _ = signals.interrupt.recv() => {}
                }
                break;
            }
            _ = signals.hangup.recv() => reload.notify_one(),
            _ = signals.upgrade.recv() => {
                tracing::info!(program = %program.display(), "another process is started to take over");
                let arguments = std::env::args_os().skip(1).collect();
                match server.hand_over(program.to_owned(), arguments).await {
                    Ok(process) => {
                        tracing::info!(process, "it has taken over");
                        break;
                    }
                    Err(error) => tracing::error!(%error, "it could not take over: all goes on here"),
                }
            }
        }
    }
    drained(server, &drain, &mut signals).await;
    Ok(0)
}

/// Lets transfers end, and says how many are left now and then.
async fn drained(server: Server, settings: &DrainSettings, signals: &mut Signals) {
    tracing::info!(in_flight = server.in_flight(), "no new connections; requests in flight end first");
    // Once more at the end; but the process may not live so long.
    server.keep();
    let gauge = server.gateway.clone();
    let progress = async {
        loop {
            tokio::time::sleep(PROGRESS).await;
            tracing::info!(in_flight = gauge.metrics.in_flight.get(), "requests in flight end first");
        }
    };
    tokio::select! {
        ended = server.drain(settings.limit) => if !ended {
            tracing::warn!("some transfers did not end in time and are cut");
        },
        _ = signals.interrupt.recv() => tracing::warn!("interrupted: transfers in flight are cut"),
        () = progress => {}
    }
}

/// Tells the service manager that this process still answers: nothing runs here that could not.
async fn watchdog(interval: Duration) {
    loop {
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(interval).await;
    }
}
