//! What the gateway remembers of one request while it is being answered.

use super::connection::{Busy, Connection};
use super::draw::Draw;
use super::recording::Recorded;
use super::refusal::Refusal;
use super::route::Route;
use super::site::Site;
use crate::clock::Timestamp;
use crate::facts::{Client, Identity};
use crate::identity::Entry;
use crate::limit::{Meter, Quota};
use crate::metrics::Metrics;
use crate::origin::Asked;
use crate::path::CanonicalPath;
use crate::verdict::{Dialect, Done, Verdict};
use prometheus::{IntCounter, IntGauge};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Measures how long things take. The one place in this folder that reads the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[allow(clippy::disallowed_methods, reason = "latencies are measured, not decided upon")]
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    #[allow(clippy::disallowed_methods, reason = "latencies are measured, not decided upon")]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Where several transfers share a connection, what was read in one go is written in one go, too. None is silent for
/// longer then, however slow it should be: image-download gives up after 10 s.
const LONGEST_SILENCE: Duration = Duration::from_secs(4);

/// Counts a request as in flight until it is dropped, by a panic included, which is counted, too.
#[derive(Debug)]
pub struct InFlight {
    requests: IntGauge,
    panics: IntCounter,
}

impl InFlight {
    pub fn new(metrics: &Metrics) -> Self {
        metrics.in_flight.inc();
        InFlight { requests: metrics.in_flight.clone(), panics: metrics.connections.panics.clone() }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.requests.dec();
        if std::thread::panicking() {
            self.panics.inc();
        }
    }
}

/// The client as far as the connection and its headers tell.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    pub client: Client,
    /// Whether the client's side speaks TLS.
    pub secure: bool,
    pub dialect: Dialect,
    pub identity: Identity,
}

/// A limit that a request exceeded.
#[derive(Debug, Clone)]
pub struct OverLimit {
    /// The limit's name.
    pub limit: Arc<str>,
    /// The rule that charged the request to it.
    pub rule: Arc<str>,
    /// Whether it is in force.
    pub enforced: bool,
}

/// One request.
#[derive(Debug)]
pub struct Context {
    pub request_id: String,
    pub now: Timestamp,
    pub stopwatch: Stopwatch,
    pub in_flight: InFlight,
    /// Keeps the deadlines of its connection away.
    pub busy: Option<Busy>,
    pub caller: Option<Caller>,
    /// The client that the caller proved to be.
    pub entry: Option<Arc<Entry>>,
    /// What is asked of the bucket itself.
    pub listing: Option<Asked>,
    pub site: Option<Arc<Site>>,
    /// The host that is addressed.
    pub host: String,
    pub path: Option<CanonicalPath>,
    /// What of the query is sent on.
    pub query: String,
    pub verdict: Option<Verdict>,
    /// What the verdict rests on, where that is logged.
    pub recorded: Option<Recorded>,
    pub done: Done,
    /// A short word that says why: a refusal's reason, a pass's fault.
    pub reason: Option<&'static str>,
    /// A limit that was exceeded, enforced or not.
    pub limit: Option<OverLimit>,
    /// What the client is told of the limit that refused it.
    pub quota: Option<Quota>,
    /// What counts the response.
    pub meter: Meter,
    /// How long the request is delayed before it is answered.
    pub delay: Duration,
    /// How long the body was held back so far.
    pub held: Duration,
    /// How much of the body was written when the last part of it was held back, and for how long since then.
    pub written: usize,
    pub silent: Duration,
    /// The pass that the request draws on.
    pub pass: Option<Draw>,
    /// A cookie to set on the response.
    pub cookie: Option<String>,
    /// Whether another proxy asks whether it may answer, and nobody is asked for the object.
    pub checking: bool,
    /// Which origins are asked.
    pub route: Route,
    /// What to answer instead of a body for which a limit or the pass has no bytes left.
    pub overdrawn: Option<Refusal>,
    /// Whether the client is sent to the origin instead of getting the object here, and for how many bytes it was.
    pub redirecting: bool,
    pub redirected: Option<u64>,
    pub origin_stopwatch: Option<Stopwatch>,
    pub origin_bytes: u64,
    pub first_byte: Option<Duration>,
    /// When the body began to be sent at a slowed rate, and how much of it was so far.
    pub paced: Option<(Stopwatch, u64)>,
}

impl Context {
    pub fn new(request_id: String, now: Timestamp, in_flight: InFlight) -> Self {
        Context {
            request_id,
            now,
            stopwatch: Stopwatch::start(),
            in_flight,
            busy: None,
            caller: None,
            entry: None,
            listing: None,
            site: None,
            host: String::new(),
            path: None,
            query: String::new(),
            verdict: None,
            recorded: None,
            done: Done::Refuse,
            reason: None,
            limit: None,
            quota: None,
            meter: Meter::default(),
            delay: Duration::ZERO,
            held: Duration::ZERO,
            written: 0,
            silent: Duration::ZERO,
            pass: None,
            cookie: None,
            checking: false,
            route: Route::default(),
            overdrawn: None,
            redirecting: false,
            redirected: None,
            origin_stopwatch: None,
            origin_bytes: 0,
            first_byte: None,
            paced: None,
        }
    }

    /// The path of the object that is asked for.
    pub fn object(&self) -> &str {
        self.path.as_ref().map_or("", |path| path.as_str())
    }

    /// How to speak to the client.
    pub fn dialect(&self) -> Dialect {
        self.caller.map_or(Dialect::Plain, |caller| caller.dialect)
    }

    /// Sees to it that a body with `bytes` more keeps to its limits and to the rate that the policy slows it to: a
    /// connection of its own writes them evenly; on one that is shared the body has to wait, for as long as this says.
    /// Several parts may be held back so before all of them are written at once; `written` tells when that was.
    pub fn pace(&mut self, bytes: u64, written: usize) -> Option<Duration> {
        let own = self.busy.as_ref().map(Busy::connection).filter(|connection| !connection.is_shared());
        let ahead = own.map_or(Duration::ZERO, Connection::ahead);
        let mut wait = self.meter.sent(bytes, ahead);
        if let Some(rate) = self.verdict.as_ref().and_then(|verdict| verdict.slow) {
            let (since, sent) = self.paced.get_or_insert_with(|| (Stopwatch::start(), 0));
            *sent += bytes;
            let due = Duration::from_secs_f64(*sent as f64 / rate.max(1) as f64);
            wait = wait.max(due.saturating_sub(since.elapsed()));
        }
        if let Some(connection) = own {
            if !wait.is_zero() {
                self.held += connection.spread(bytes, wait);
            }
            return None;
        }
        if written != self.written {
            (self.written, self.silent) = (written, Duration::ZERO);
        }
        let wait = wait.min(LONGEST_SILENCE.saturating_sub(self.silent));
        self.silent += wait;
        self.held += wait;
        Some(wait).filter(|wait| !wait.is_zero())
    }
}
