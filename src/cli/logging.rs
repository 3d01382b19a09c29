//! Where lines go: the access log to one writer as JSON, everything else to standard error.

use super::access_log;
use std::io::{BufWriter, IsTerminal, Write};
use tracing::Level;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{EnvFilter, FilterFn, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The target of access log lines.
const ACCESS: &str = "access";
/// Libraries log what concerns their authors, pingora even each client that leaves; WINDSCREEN_LOG shows it.
const DEFAULT_FILTER: &str = "info,pingora_core=off,pingora_proxy=off,hickory_resolver=error,s3s=off,s3s_fs=off";
/// Lines that wait for a slow reader before further ones are dropped. Requests never wait for the log.
const BUFFERED_LINES: usize = 65_536;

/// Starts logging. The guard writes out what is buffered when it is dropped.
pub(super) fn start(access: impl Write + Send + 'static) -> WorkerGuard {
    // The writer is flushed whenever no line waits: under load many lines go out in one write.
    let access = BufWriter::with_capacity(64 * 1024, access);
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(BUFFERED_LINES).finish(access);
    let access = fmt::layer()
        .event_format(access_log::Line)
        .with_writer(writer)
        .with_filter(FilterFn::new(|metadata| metadata.target() == ACCESS).with_max_level_hint(LevelFilter::INFO));
    let filter = EnvFilter::try_from_env("WINDSCREEN_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let messages = fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_filter(filter.and_not_access());
    // A second start, in tests, keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(access).with(messages).try_init();
    guard
}

trait AndNotAccess<S> {
    fn and_not_access(self) -> impl tracing_subscriber::layer::Filter<S> + 'static;
}

impl<S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>> AndNotAccess<S> for EnvFilter {
    fn and_not_access(self) -> impl tracing_subscriber::layer::Filter<S> + 'static {
        use tracing_subscriber::filter::FilterExt;
        // The hint leaves the level to the filter that was configured; without one, libraries would format every debug
        // line for nothing.
        self.and(
            FilterFn::new(|metadata| {
                let target = metadata.target();
                // Below warnings these libraries print headers and signatures, secrets among them.
                let talks = ["pingora", "aws_", "hyper", "h2"].iter().any(|library| target.starts_with(library));
                target != ACCESS && (!talks || *metadata.level() <= Level::WARN)
            })
            .with_max_level_hint(LevelFilter::TRACE),
        )
    }
}
