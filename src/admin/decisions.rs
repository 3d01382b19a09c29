//! `/decisions`: what operators decide while the gateway runs, as JSON.
//!
//! `GET /decisions` lists what holds; `POST /decisions` decides, by `{"kind": "block", "prefix": "192.0.2.0/24", "for":
//! "1h", "reason": "..."}`; `DELETE /decisions/192.0.2.0/24` and `DELETE /decisions/off` take something back. All of it is for
//! programs with a token of `admin.tokens`. No page of a browser is heard: it would say its origin.
//!
//! `/api/decisions` is the same for the dashboard's own page, whose origin is this listener's.

use super::dashboard::is_foreign;
use super::{Admin, Body, respond};
use crate::clock::Throttle;
use crate::decisions::{Decision, Kind, LONGEST, Proposal, USUAL, prefix};
use crate::quantity::duration;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Where it all is.
pub(super) const PATH: &str = "/decisions";
/// Where it is for the dashboard.
pub(super) const PAGE_PATH: &str = "/api/decisions";
/// The longest body that is read, in bytes: a reason of 200 characters, escaped, has room in it.
const LARGEST: usize = 8 << 10;
/// A body that has not come by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bad tokens are logged so often at most.
static BAD_TOKENS: Throttle = Throttle::new(Duration::from_secs(10));

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    kind: String,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    r#for: Option<String>,
    reason: String,
}

/// An answer that is no.
struct No(StatusCode, String);

impl Asked {
    fn proposal(&self) -> Result<Proposal, String> {
        let words = Kind::WORDS.map(|(word, _)| word).join(", ");
        let kind = Kind::of(&self.kind).ok_or_else(|| format!("`kind` is one of {words}"))?;
        let lasts = match &self.r#for {
            None => USUAL,
            Some(text) => {
                let most = LONGEST.as_secs() / 86_400;
                duration(text).ok_or_else(|| format!("`for` is a time such as `1h`, and at most `{most}d`"))?
            }
        };
        Proposal::new(kind, self.prefix.as_deref(), lasts, &self.reason)
    }
}

/// A decision as it is listed.
fn listed(decision: &Decision) -> Value {
    json!({
        "kind": decision.kind.word(),
        "prefix": decision.prefix,
        "since": decision.since.to_string(),
        "until": decision.until.to_string(),
        "who": &*decision.who,
        "reason": &*decision.reason,
    })
}

pub(super) fn say(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = respond(status, format!("{value}\n").into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Admin {
    /// Answers a request for [`PATH`], or below it.
    pub(super) async fn decisions(&self, request: Request<Incoming>) -> Response<Body> {
        self.decide(request).await.unwrap_or_else(|No(status, message)| {
            let mut response = say(status, &json!({ "error": message }));
            let (name, value) = match status {
                StatusCode::METHOD_NOT_ALLOWED => (header::ALLOW, "GET, POST, DELETE"),
                StatusCode::UNAUTHORIZED => (header::WWW_AUTHENTICATE, "Bearer"),
                _ => return response,
            };
            response.headers_mut().insert(name, HeaderValue::from_static(value));
            response
        })
    }

    async fn decide(&self, request: Request<Incoming>) -> Result<Response<Body>, No> {
        let no = |status, message: &str| Err(No(status, message.to_owned()));
        let path = request.uri().path();
        let (own, is_heard) = match path.starts_with(PAGE_PATH) {
            // That the origin is ours has been checked.
            true => (PAGE_PATH, !is_foreign(request.headers())),
            false => (PATH, !request.headers().contains_key(header::ORIGIN)),
        };
        if !is_heard {
            return no(
                StatusCode::FORBIDDEN,
                "this is for programs, not for pages of a browser: send no Origin header",
            );
        }
        if ![Method::GET, Method::POST, Method::DELETE].contains(request.method()) {
            return no(StatusCode::METHOD_NOT_ALLOWED, "there are GET, POST and DELETE");
        }
        let who = self.operator(&request)?;
        let below = path.strip_prefix(own).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
        match (request.method(), below) {
            (&Method::GET, None) => {
                let all: Vec<Value> = self.of.register.list().iter().map(|decision| listed(decision)).collect();
                Ok(say(StatusCode::OK, &json!({ "decisions": all })))
            }
            (&Method::POST, None) => {
                let reading = tokio::time::timeout(PATIENCE, Limited::new(request.into_body(), LARGEST).collect());
                let Ok(Ok(body)) = reading.await else {
                    let message = format!("a body of {LARGEST} bytes at most is read, for {PATIENCE:?}");
                    return Err(No(StatusCode::PAYLOAD_TOO_LARGE, message));
                };
                let asked: Asked = serde_json::from_slice(&body.to_bytes()).map_err(|error| {
                    No(StatusCode::BAD_REQUEST, format!("the body is not what is expected: {error}"))
                })?;
                let proposal = asked.proposal().map_err(|message| No(StatusCode::BAD_REQUEST, message))?;
                let register = self.of.register.clone();
                // It writes a file.
                let decided = tokio::task::spawn_blocking(move || register.decide(proposal, &who)).await;
                match decided {
                    Ok(Ok((decision, kept))) => {
                        Ok(say(StatusCode::OK, &json!({ "decision": listed(&decision), "kept": kept })))
                    }
                    Ok(Err(full)) => no(StatusCode::CONFLICT, &full.to_string()),
                    Err(_) => no(StatusCode::INTERNAL_SERVER_ERROR, "it failed: see the log"),
                }
            }
            (&Method::DELETE, Some(what)) => {
                let about = if what == Kind::Off.word() { None } else { Some(prefix(&what)) };
                let about = about.transpose().map_err(|message| No(StatusCode::BAD_REQUEST, message))?;
                let register = self.of.register.clone();
                match tokio::task::spawn_blocking(move || register.lift(about, &who)).await {
                    Ok(Some((decision, kept))) => {
                        Ok(say(StatusCode::OK, &json!({ "removed": listed(&decision), "kept": kept })))
                    }
                    Ok(None) => {
                        no(StatusCode::NOT_FOUND, "nothing is decided about that: `windscreen decisions` lists what is")
                    }
                    Err(_) => no(StatusCode::INTERNAL_SERVER_ERROR, "it failed: see the log"),
                }
            }
            _ => no(
                StatusCode::NOT_FOUND,
                "there are GET /decisions, POST /decisions, DELETE /decisions/PREFIX and DELETE /decisions/off",
            ),
        }
    }

    /// Who sent the request.
    fn operator(&self, request: &Request<Incoming>) -> Result<Arc<str>, No> {
        let operators = self.of.gateway.operators.load();
        if operators.is_empty() {
            let message = "nobody may decide here: make a token by `windscreen token new --operator --name NAME`, and enter \
                           it in `admin.tokens` of the gateway file";
            return Err(No(StatusCode::FORBIDDEN, message.into()));
        }
        let now = self.of.gateway.clock.now();
        operators.verify(request.headers(), now).map_err(|rejection| {
            if BAD_TOKENS.is_due(now) {
                tracing::warn!(reason = rejection.word(), "a request to the admin listener had no good token");
            }
            let message = "send a token of `admin.tokens` that has not expired, as `Authorization: Bearer TOKEN`";
            No(StatusCode::UNAUTHORIZED, message.into())
        })
    }
}
