//! The admin listener: metrics, health, the dashboard, and what operators decide, on a socket of its own.
//!
//! It is another origin than the sites, whose pages are untrusted: Host and Origin are checked, framing is forbidden.

#![allow(clippy::disallowed_methods, reason = "rank 6: owns a socket")]

mod dashboard;
mod decisions;

use crate::auto::Auto;
use crate::cost::{Location, PriceBook};
use crate::identity::Peer;
use crate::ledger::LedgerSettings;
use crate::policy::Deployment;
use crate::proxy::Gateway;
use crate::register::Register;
use crate::reload::Steering;
use crate::surroundings::Surroundings;
use dashboard::Dashboard;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A scraper that has not sent its request by then is cut.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failed accept the loop waits so long instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where what the admin listener shows comes from.
pub struct Sources {
    /// What requests share.
    pub gateway: Arc<Gateway>,
    /// What operators decide is entered there.
    pub register: Arc<Register>,
    /// What is remembered about clients.
    pub surroundings: Arc<Surroundings>,
    /// Whether rules of mode `auto` are in force, and why.
    pub auto: Arc<Auto>,
    /// What became of the last reload.
    pub steering: Arc<Steering>,
    /// What origins charge.
    pub prices: Arc<PriceBook>,
    /// Where the gateway stands.
    pub location: Option<Location>,
    /// The ledger, if there is one.
    pub ledger: Option<LedgerSettings>,
    /// The file that the access log is in, where that is known.
    pub access_log: Option<PathBuf>,
    /// Whom the first listener believes about client addresses.
    pub peer: Peer,
    /// What policies may name.
    pub deployment: Deployment,
}

/// The admin listener.
pub struct Admin {
    of: Arc<Sources>,
    hosts: Vec<String>,
    dashboard: Arc<Dashboard>,
}

type Body = http_body_util::Full<bytes::Bytes>;

impl Admin {
    /// Shows `sources` to whoever addresses it by an IP address, `localhost` or one of `hosts`.
    pub fn new(sources: Sources, hosts: &[String]) -> Self {
        let of = Arc::new(sources);
        let dashboard = Arc::new(Dashboard::new(of.clone()));
        Admin { of, hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(), dashboard }
    }

    /// Accepts connections until `closed`, and answers requests until `stop`.
    pub async fn serve(self: Arc<Self>, socket: TcpListener, stop: CancellationToken, closed: CancellationToken) {
        tokio::spawn(stop.clone().run_until_cancelled_owned(self.dashboard.clone().watch()));
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = closed.cancelled() => return,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let admin = self.clone();
            let service = service_fn(move |request| {
                let admin = admin.clone();
                async move { Ok::<_, Infallible>(admin.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(stop.clone().run_until_cancelled_owned(connection));
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if !self.is_addressed(request.headers()) {
            let detail = "address the admin listener by an IP address, localhost or a name in `admin.hosts`\n";
            return respond(StatusCode::MISDIRECTED_REQUEST, detail.into());
        }
        let path = request.uri().path();
        let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
        if [decisions::PATH, decisions::PAGE_PATH].iter().any(|own| path.strip_prefix(own).is_some_and(is_below)) {
            return self.decisions(request).await;
        }
        if path.starts_with(dashboard::API) {
            return self.dashboard.answer(request).await;
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".into());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/metrics" => self.metrics(),
            "/healthz" => respond(StatusCode::OK, "ok\n".into()),
            "/readyz" => self.readiness(),
            _ => dashboard::asset(path).unwrap_or_else(|| {
                let there = "there are the dashboard at /, and /metrics, /healthz, /readyz and /decisions\n";
                respond(StatusCode::NOT_FOUND, there.into())
            }),
        }
    }

    /// A page elsewhere can make a browser send requests here, under a name that its owner made resolve to this
    /// address. Such a name is not listed; an IP address cannot be rebound. A cross-origin request says so itself.
    fn is_addressed(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let Some(host) = text(header::HOST) else { return false };
        if let Some(origin) = text(header::ORIGIN)
            && origin.split_once("://").map(|(_, rest)| rest) != Some(host)
        {
            return false;
        }
        let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
        let name = authority.host().to_ascii_lowercase();
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        is_address || name == "localhost" || self.hosts.contains(&name)
    }

    fn metrics(&self) -> Response<Body> {
        let metrics = &self.of.gateway.metrics;
        metrics.passes_live.set(count(self.of.gateway.gate.live_passes()));
        let spent = count(self.of.gateway.gate.spent_challenges());
        metrics.table_entries.with_label_values(&["spent_challenges"]).set(spent);
        metrics.table_entries.with_label_values(&["passes"]).set(count(self.of.gateway.gate.live_passes()));
        for (name, size) in self.of.gateway.ruling.load().limits.sizes() {
            metrics.table_entries.with_label_values(&[&format!("limit:{name}")]).set(count(size));
        }
        match metrics.encode() {
            Ok(text) => {
                let mut response = respond(StatusCode::OK, text);
                let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, format);
                response
            }
            Err(error) => respond(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n").into()),
        }
    }

    /// Ready until it is about to stop, when every site has an origin that could be connected to. The policy is loaded, or
    /// there were no gateway.
    fn readiness(&self) -> Response<Body> {
        let mut text = String::from("policy: loaded\n");
        let mut ready = !self.of.gateway.leaving.load(Ordering::Relaxed);
        if !ready {
            text.push_str("stopping: no new clients, please\n");
        }
        for site in self.of.gateway.sites.iter() {
            let mut any = false;
            for origin in &site.origins {
                let reachable = origin.addresses.is_reachable();
                let state = if reachable { "reachable" } else { "not reachable" };
                text.push_str(&format!("site {}, origin {}: {state}\n", site.name, origin.name));
                any |= reachable;
            }
            ready &= any;
        }
        respond(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text.into())
    }
}

fn count(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn respond(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
