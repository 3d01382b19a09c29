//! The dashboard: one page for operators, and the JSON that it polls.
//!
//! Page, style and script are in the binary and need nothing from elsewhere. All of it reads; to decide takes a
//! token, by `/decisions`. What clients sent is text in JSON, which the page shows as text.

#![allow(clippy::disallowed_methods, reason = "rank 6: waits")]

mod books;
mod explain;
mod history;
mod now;
mod outlook;
mod workbench;

use super::{Body, Sources, decisions, respond};
use crate::clock::Timestamp;
use crate::proxy::Sites;
use crate::traffic::HOUR;
use history::History;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Where the JSON is.
pub(super) const API: &str = "/api/";
/// The page, and what it is made of.
const ASSETS: [(&str, &str, &str); 3] = [
    ("/", "text/html; charset=utf-8", include_str!("page.html")),
    ("/dashboard.css", "text/css; charset=utf-8", include_str!("style.css")),
    ("/dashboard.js", "text/javascript; charset=utf-8", include_str!("script.js")),
];
/// Nothing from elsewhere, nothing inline, no frames, no forms that lead anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What is shown is as old as this at most, however many look.
const FRESH: Duration = Duration::from_secs(2);
/// The report on the ledger is made anew so often, where somebody looks.
const REPORT: Duration = Duration::from_secs(600);
/// The longest body, in bytes: a policy, whose every character may be escaped.
const LARGEST: usize = 6 * workbench::LONGEST_POLICY + 4096;
/// A body that has not come by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// A trial that is told to stop has so long to do so.
const GRACE: Duration = Duration::from_secs(5);

/// What the dashboard knows.
pub(super) struct Dashboard {
    of: Arc<Sources>,
    /// As the gateway's, without credentials.
    sites: Sites,
    history: Mutex<History>,
    now: Mutex<Option<(Timestamp, u64, String)>>,
    report: tokio::sync::Mutex<Option<(Timestamp, Value)>>,
    /// One policy is tried at a time.
    turn: Arc<Semaphore>,
}

/// An answer that is no.
struct No(StatusCode, Value);

fn no(status: StatusCode, message: impl Into<String>) -> No {
    No(status, json!({ "error": message.into() }))
}

/// A mistake of ours, or the end of the process.
fn failed(_: tokio::task::JoinError) -> No {
    no(StatusCode::INTERNAL_SERVER_ERROR, "it failed: see the log")
}

/// The page, or a part of it.
pub(super) fn asset(path: &str) -> Option<Response<Body>> {
    let (_, kind, text) = ASSETS.into_iter().find(|(known, ..)| *known == path)?;
    let mut response = respond(StatusCode::OK, text.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Some(response)
}

/// Whether a page of another origin asks: browsers say so by fetch metadata.
pub(super) fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"))
}

impl Dashboard {
    pub fn new(of: Arc<Sources>) -> Self {
        let sites = explain::unsigned(&of.gateway.sites);
        let (history, now, report) = Default::default();
        Dashboard { of, sites, history, now, report, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Keeps the history, for ever.
    pub async fn watch(self: Arc<Self>) {
        loop {
            let samples = self.of.gateway.metrics.samples();
            let now = self.of.gateway.clock.now();
            self.history.lock().unwrap_or_else(PoisonError::into_inner).step(&samples, now);
            tokio::time::sleep(history::STEP).await;
        }
    }

    /// Answers what the page asks, below [`API`].
    pub async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        if is_foreign(request.headers()) {
            return decisions::say(StatusCode::FORBIDDEN, &json!({"error": "this is for the dashboard's own page"}));
        }
        match self.api(request).await {
            Ok(response) => response,
            Err(No(status, value)) => decisions::say(status, &value),
        }
    }

    async fn api(self: &Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, No> {
        let path = request.uri().path().strip_prefix(API).unwrap_or_default().to_owned();
        let reads = request.method() == Method::GET || request.method() == Method::HEAD;
        let told = match (&*path, reads, request.method() == Method::POST) {
            ("now", true, _) => {
                let hours = request.uri().query().and_then(|query| query.strip_prefix("hours="));
                let hours = hours.map_or(Ok(2), str::parse).ok().filter(|hours| (1..=25).contains(hours));
                let hours = hours.ok_or_else(|| no(StatusCode::BAD_REQUEST, "`hours` is from 1 to 25"))?;
                let mut response = decisions::say(StatusCode::OK, &Value::Null);
                // Merging the books of a day takes a while.
                let dashboard = self.clone();
                let told = tokio::task::spawn_blocking(move || dashboard.now(hours)).await;
                *response.body_mut() = told.map_err(failed)?.into();
                return Ok(response);
            }
            ("report", true, _) => self.report().await?,
            ("explain", _, true) => {
                let operators = self.of.gateway.operators.load_full();
                let knows = operators.verify(request.headers(), self.of.gateway.clock.now()).is_ok();
                let asked = read(request).await?;
                let found = explain::explain(&asked, &self.of, &self.sites, knows);
                found.map_err(|message| no(StatusCode::BAD_REQUEST, message))?
            }
            ("workbench", _, true) => self.workbench(request).await?,
            _ => {
                let there =
                    "there are GET /api/now and /api/report, POST /api/explain and /api/workbench, and /api/decisions";
                return Err(no(StatusCode::NOT_FOUND, there));
            }
        };
        Ok(decisions::say(StatusCode::OK, &told))
    }

    /// All that changes from moment to moment, with the books of the last `hours`.
    fn now(&self, hours: u64) -> String {
        let gateway = &self.of.gateway;
        let at = gateway.clock.now();
        let mut last = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, of, text)) = &*last
            && *of == hours
            && at.since(*then) < FRESH
        {
            return text.clone();
        }
        let samples = gateway.metrics.samples();
        let mut told = now::now(&self.of, &samples);
        told["history"] = self.history.lock().unwrap_or_else(PoisonError::into_inner).to_json(&samples, at);
        let first = (at.0 / HOUR + 1).saturating_sub(hours);
        told["books"] = gateway.books.look(at, |books| books::books(books, first));
        let text = told.to_string();
        *last = Some((at, hours, text.clone()));
        text
    }

    /// What the ledger says. Whoever asks while it is read waits for the same answer.
    async fn report(&self) -> Result<Value, No> {
        let Some(ledger) = &self.of.ledger else {
            let hint = "Whether protection is needed nobody can tell without a ledger: add `ledger: {path: \
                        /var/lib/windscreen/ledger.db}` to the gateway file.";
            return Ok(json!({"need": "no-ledger", "headline": hint}));
        };
        let now = self.of.gateway.clock.now();
        let mut last = self.report.lock().await;
        if let Some((at, told)) = &*last
            && now.since(*at) < REPORT
        {
            return Ok(told.clone());
        }
        let (of, path) = (self.of.clone(), ledger.path.value.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let ruling = of.gateway.ruling.load_full();
            let policy = ruling.policy.rules().last().map_or("", |rule| &*rule.file);
            outlook::outlook(&path, now, &of.prices, of.location.as_ref(), &ruling.decision, policy)
        });
        let told = match reading.await {
            Ok(Ok(told)) => told,
            Ok(Err(message)) => {
                json!({"need": "not-enough-data", "headline": format!("The ledger cannot be read: {message}.")})
            }
            Err(error) => return Err(failed(error)),
        };
        *last = Some((now, told.clone()));
        Ok(told)
    }

    async fn workbench(&self, request: Request<Incoming>) -> Result<Value, No> {
        let asked: workbench::Asked = read(request).await?;
        asked.check().map_err(|message| no(StatusCode::UNPROCESSABLE_ENTITY, message))?;
        let busy = |_| no(StatusCode::TOO_MANY_REQUESTS, "another policy is being tried: one at a time");
        let turn = self.turn.clone().try_acquire_owned().map_err(busy)?;
        let (of, stop) = (self.of.clone(), Arc::new(AtomicBool::new(false)));
        let told_to = stop.clone();
        let mut trying = tokio::task::spawn_blocking(move || {
            let tried = workbench::attempt(&asked, &of, told_to);
            drop(turn);
            tried
        });
        let tried = match tokio::time::timeout(workbench::DEADLINE, &mut trying).await {
            Ok(tried) => tried,
            Err(_) => {
                stop.store(true, Ordering::Relaxed);
                let late = |_| no(StatusCode::UNPROCESSABLE_ENTITY, "this policy takes too long to be tried here");
                tokio::time::timeout(GRACE, trying).await.map_err(late)?
            }
        };
        match tried {
            Ok(Ok(told)) => Ok(told),
            Ok(Err(refused)) => {
                let told = json!({"error": refused.message, "mistakes": refused.mistakes});
                Err(No(StatusCode::UNPROCESSABLE_ENTITY, told))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// What a page says in JSON. A form of a page elsewhere cannot say that it is JSON without asking first.
async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, No> {
    let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind != Some(b"application/json") {
        return Err(no(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is `application/json`"));
    }
    let reading = tokio::time::timeout(PATIENCE, Limited::new(request.into_body(), LARGEST).collect());
    let Ok(Ok(body)) = reading.await else {
        let message = format!("a body of {LARGEST} bytes at most is read, for {PATIENCE:?}");
        return Err(no(StatusCode::PAYLOAD_TOO_LARGE, message));
    };
    let read = serde_json::from_slice(&body.to_bytes());
    read.map_err(|error| no(StatusCode::BAD_REQUEST, format!("the body is not what is expected: {error}")))
}
