//! The pingora adapter: the one place where the stages are put in order.
//!
//! [`Front`] is what pingora calls, one per listener. Its hooks are thin: `intake` reads the request, `decide` runs
//! identity, policy, limits and the challenge, `upstream` asks the origin, `refusal` speaks, `account` keeps the books.

mod account;
mod answer;
mod ask;
mod caller;
mod challenge;
mod check;
mod command;
mod compare;
mod connection;
mod context;
mod decide;
mod draw;
mod entry;
mod gateway;
pub mod intake;
mod limits;
mod listing;
mod redirect;
mod refusal;
mod route;
mod sample;
mod sharing;
mod site;
mod upstream;
mod verify;
mod wait;

pub use ask::Asker;
pub use caller::{forwarded_query, proves};
pub use command::fetch_command;
pub use connection::{Connection, Phase};
pub use decide::{ALLOWED_METHODS, OWN};
pub use gateway::{Gateway, Ruling};
pub use refusal::{Refusal, Reply, Way, ask, lead, speak};
pub use sharing::Sharing;
pub use site::{Compare, NoSite, Site, Sites, authorities};
pub use upstream::peer_at;

use crate::clock::{Throttle, Timestamp};
use crate::identity::Peer;
use crate::metrics::NO_SITE;
use answer::has_answered;
use async_trait::async_trait;
use connection::Busy;
use context::{Context, InFlight};
use http::header::{EXPECT, HOST};
use http::{HeaderValue, Method, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, Result};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The gateway behind one listener.
pub struct Front {
    gateway: Arc<Gateway>,
    /// Whom this listener believes about client addresses.
    peer: Peer,
    /// Whether these may ask about requests that they answer themselves.
    checks: bool,
    /// What browsers that come by TLS are told: to come by TLS only.
    hsts: Option<HeaderValue>,
    peer_warnings: Throttle,
    origin_warnings: Throttle,
    /// What stands in the books where there is no name.
    nowhere: Arc<str>,
    no_site: Arc<str>,
}

/// A client that takes no byte for so long has left; its transfer would hold buffers and a connection to the origin.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// A warning whose cause may come with every request is given so often.
const WARNING_INTERVAL: Duration = Duration::from_secs(30);
/// An idle connection is closed after so many seconds.
const KEEP_ALIVE: u64 = 75;
/// A request body that stops for so long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

impl Front {
    /// The gateway as seen through a listener whose proxies are `peer`, who may ask about requests if it `checks`. Browsers
    /// come by TLS only for as long as `hsts` says.
    pub fn new(gateway: Arc<Gateway>, peer: Peer, checks: bool, hsts: Option<Duration>) -> Self {
        let hsts = hsts.and_then(|time| HeaderValue::from_str(&format!("max-age={}", time.as_secs())).ok());
        let throttle = || Throttle::new(WARNING_INTERVAL);
        Front {
            gateway,
            peer,
            checks,
            hsts,
            peer_warnings: throttle(),
            origin_warnings: throttle(),
            nowhere: "".into(),
            no_site: NO_SITE.into(),
        }
    }

    /// Counts a forwarding header from a peer that is not listed, and warns about it now and then.
    fn distrust(&self, socket: IpAddr, now: Timestamp) {
        self.gateway.metrics.untrusted_forwarding.inc();
        if self.peer_warnings.is_due(now) {
            tracing::warn!(
                peer = %socket,
                "a forwarding header from a peer that is not in trusted_proxies: its clients match no network; list the \
                 peer if it is your proxy"
            );
        }
    }
}

/// What the headers as they were parsed do not show, and another program might read differently.
fn ambiguity(session: &mut Session) -> Option<&'static str> {
    let request = session.req_header();
    if request.version < Version::HTTP_2 {
        let raw = session.to_h1_raw();
        let is_bare = |at: usize| at == 0 || raw.get(at - 1) != Some(&b'\r');
        return memchr::memchr_iter(b'\n', &raw).any(is_bare).then_some("a line does not end in CR LF");
    }
    // HTTP/2 does not announce a body.
    let has_none = matches!(request.method, Method::GET | Method::HEAD);
    (has_none && !session.is_body_empty()).then_some("a request body is not accepted here")
}

/// HTTP/2 names the host beside the headers, and all that follows reads it there.
fn name_host(request: &mut RequestHeader) -> Result<()> {
    if request.version == Version::HTTP_2 && !request.headers.contains_key(HOST) {
        let host = request.uri.authority().map(|authority| authority.as_str().to_owned());
        if let Some(host) = host {
            request.insert_header(HOST, host)?;
        }
    }
    Ok(())
}

/// Waits as long as limits say that a request must.
#[allow(clippy::disallowed_methods, reason = "limits decide by the time that they are given; this only waits")]
async fn delay(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

#[async_trait]
impl ProxyHttp for Front {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        let request_id = format!("{:016x}", rand::random::<u64>());
        Context::new(request_id, self.gateway.clock.now(), InFlight::new(&self.gateway.metrics))
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        // A client that closes its sending side still wants the answer.
        session.set_abort_on_close(false);
        session.set_read_timeout(Some(READ_TIMEOUT));
        session.set_total_drain_timeout(Some(READ_TIMEOUT));
        context.busy = Busy::with(session);
        let sharing = context.busy.as_ref().and_then(|busy| busy.connection().sharing.as_ref());
        session.set_write_timeout(Some(sharing.map_or(WRITE_TIMEOUT, |sharing| sharing.patience)));
        name_host(session.req_header_mut())?;
        if self.gateway.leaving.load(Ordering::Relaxed) {
            session.set_keepalive(None);
        } else if session.get_keepalive().is_some() {
            session.set_keepalive(Some(KEEP_ALIVE));
        }
        let method = session.req_header().method.clone();
        let mut decision = match self.begin_check(session) {
            Ok(_) if let Some(detail) = ambiguity(session) => {
                context.reason = Some("framing");
                self.gateway.metrics.malformed_requests.with_label_values(&["framing"]).inc();
                decide::refuse(Refusal::bad_request(detail))
            }
            Ok(checking) => {
                context.checking = checking;
                let deciding = AssertUnwindSafe(|| self.decide(session, context));
                std::panic::catch_unwind(deciding).unwrap_or_else(|_| {
                    self.gateway.metrics.connections.panics.inc();
                    decide::refuse(Refusal::internal())
                })
            }
            Err(refusal) => {
                context.reason = Some("check");
                decide::refuse(refusal)
            }
        };
        if context.checking {
            // It is this request that is answered.
            session.req_header_mut().set_method(method);
        }
        if let decide::Decision::Forward = decision
            && let Some(answered) = self.prepare(context)
        {
            decision = answered?;
        }
        if let (decide::Decision::Forward, true) = (&decision, context.redirecting) {
            decision = match self.lead_at_once(&session.req_header().headers, context) {
                Some(Ok(reply)) => decide::Decision::Reply(Box::new(reply)),
                Some(Err(refusal)) => decide::Decision::Refuse(Box::new(refusal)),
                None => decision,
            };
        }
        if let decide::Decision::Forward = decision {
            self.next_origin(context);
        }
        if matches!(decision, decide::Decision::Forward | decide::Decision::List(_)) || context.checking {
            delay(context.delay).await;
            context.meter.waited();
        } else {
            // What is no object costs next to nothing, and is not delayed.
            context.delay = Duration::ZERO;
        }
        let mut answer = match decision {
            decide::Decision::Forward => return Ok(false),
            decide::Decision::List(asked) => self.list(session, context, *asked).await?,
            decide::Decision::Verify => self.verify(session, context).await?,
            decide::Decision::Wait(sealed) => self.wait(session, &sealed, context).await?,
            decide::Decision::Arrived(sealed) => self.arrived(session, &sealed, context)?,
            decide::Decision::Reply(reply) => *reply,
            decide::Decision::Refuse(refusal) => {
                if matches!(refusal.status.as_u16(), 400 | 431) {
                    // Whoever sent this may have more to come that would be read differently.
                    session.set_keepalive(None);
                }
                speak(&refusal, context.dialect(), &context.request_id)?
            }
        };
        if context.checking {
            check::say_no(&mut answer, context)?;
        }
        if session.req_header().headers.contains_key(EXPECT) && !session.is_body_done() {
            // Without the word to go on the body may never come, and the next request would be taken for it.
            session.set_keepalive(None);
        }
        self.reply(session, context, answer).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, context: &mut Context) -> Result<Box<HttpPeer>> {
        self.choose_peer(context)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        self.write_request(&session.req_header().headers, request, context)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        self.judge_response(session.req_header(), response, context)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        self.dress_response(session.req_header(), response, context)
    }

    fn upstream_response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<bytes::Bytes>,
        _end: bool,
        context: &mut Context,
    ) -> Result<Option<Duration>> {
        context.origin_bytes += body.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Ok(None)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<bytes::Bytes>,
        _end: bool,
        context: &mut Context,
    ) -> Result<Option<Duration>> {
        let bytes = body.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Ok(context.pace(bytes, session.body_bytes_sent()))
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if context.try_next_address() {
            error.set_retry(true);
            return error;
        }
        self.give_up_origin(&error, context);
        error.set_retry(self.next_origin(context));
        error
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        context: &mut Context,
        client_reused: bool,
    ) -> Box<Error> {
        if has_answered(session) {
            // A retry now would splice two objects into one body.
            error.set_retry(false);
            if *error.esource() == ErrorSource::Upstream {
                self.learn_break(&error, context);
            }
            return error;
        }
        error.retry.decide_reuse(client_reused);
        if *error.esource() == ErrorSource::Upstream && !upstream::is_decided(&error) && !error.retry() {
            self.give_up_origin(&error, context);
            error.set_retry(self.next_origin(context));
        }
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Context) -> FailToProxy {
        if has_answered(session) {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        }
        let Some((reason, refusal)) = upstream::refusal_for(error, context) else {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        context.reason.get_or_insert(reason);
        if reason == "internal" {
            tracing::error!(request_id = context.request_id, %error, "a request could not be answered");
        }
        // A request that was read well leaves a connection that can serve the next one.
        let can_reuse_downstream = reason == "missing";
        if !can_reuse_downstream {
            session.set_keepalive(None);
        }
        match self.refuse(session, context, &refusal).await {
            Ok(()) => FailToProxy { error_code: refusal.status.as_u16(), can_reuse_downstream },
            Err(_) => FailToProxy { error_code: 0, can_reuse_downstream: false },
        }
    }

    fn suppress_error_log(&self, _: &Session, _: &Context, _: &Error) -> bool {
        // The access log has a line for every request that could be read, failed ones included.
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Context,
        _: &Error,
        _: pingora::proxy::ProxyWarnLogContext,
    ) -> bool {
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Context) {
        self.account(session, error, context);
    }
}
