//! The stages in order: identity, policy, then limits or the challenge.

use super::caller::{forwarded_query, proves};
use super::connection::{Busy, fingerprint};
use super::context::{Caller, Context};
use super::draw::Draw;
use super::intake::{self, Intake, RequestLine};
use super::listing::scope;
use super::refusal::{Refusal, Reply, robots};
use super::site::{NoSite, Site};
use super::verify::{cookie_name, cookie_values, set_cookie};
use super::{Front, Ruling};
use crate::challenge::{ARRIVED_PATH, Pass, PassError, VERIFY_PATH, WAIT_PATH};
use crate::decisions::Kind;
use crate::facts::{Fact, Facts, Headers, HttpVersion, Identity, header_text};
use crate::identity::{Entry, client, dialect};
use crate::origin::Asked as BucketQuery;
use crate::verdict::{Action, BLOCKED, Dialect, Done, RUNTIME_BLOCK, Verdict};
use http::Method;
use http::header::HeaderMap;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

/// Paths of the gateway's own pages begin so.
pub const OWN: &str = "/.windscreen/";
/// What crawlers read first (RFC 9309).
const ROBOTS_PATH: &str = "/robots.txt";
/// No object of S3 has a longer key, in bytes.
const LONGEST_KEY: usize = 1024;
/// What may be asked of a site.
pub const ALLOWED_METHODS: &str = "GET, HEAD";

/// What to do next.
pub enum Decision {
    /// Ask the origin.
    Forward,
    /// Answer what is asked of the bucket itself.
    List(Box<BucketQuery>),
    /// Take a solution.
    Verify,
    /// Take a link that was waited for, with what it holds.
    Wait(String),
    /// See whether the pass that was given for this link has come back.
    Arrived(String),
    /// Answer with this.
    Reply(Box<Reply>),
    /// Refuse.
    Refuse(Box<Refusal>),
}

/// Headers of a live request: all of them are known, but what a proxy in between made of their order and case.
pub(super) struct Live<'a> {
    request: &'a RequestHeader,
    /// Whether the names of headers are as the client wrote them.
    as_sent: bool,
}

impl<'a> Live<'a> {
    /// What `request` says, which a proxy may have relayed.
    pub fn new(request: &'a RequestHeader, relayed: bool) -> Self {
        // HTTP/2 writes all names in lower case.
        Live { request, as_sent: !relayed && request.version < http::Version::HTTP_2 }
    }
}

impl Headers for Live<'_> {
    fn header(&self, name: &str) -> Fact<&str> {
        self.request.headers.get(name).map(header_text).into()
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
        for (name, value) in &self.request.headers {
            visit(name.as_str(), header_text(value));
        }
        true
    }

    fn as_sent(&self, visit: &mut dyn FnMut(&str)) -> bool {
        if !self.as_sent {
            return false;
        }
        for (name, _) in self.request.case_header_iter() {
            visit(std::str::from_utf8(name.as_slice()).unwrap_or_default());
        }
        true
    }
}

/// What is asked for, by whom, and what counts it.
pub(super) struct Asked<'a> {
    pub site: &'a Site,
    pub caller: Caller,
    /// The client that the caller proved to be.
    pub entry: Option<&'a Entry>,
    /// Whether the request bears something that proves who asks, whatever it proves.
    pub proves: bool,
    pub method: &'a str,
    pub request: &'a RequestHeader,
    pub ruling: &'a Ruling,
}

pub(super) fn version(version: http::Version) -> HttpVersion {
    match version {
        http::Version::HTTP_09 | http::Version::HTTP_10 => HttpVersion::Http10,
        http::Version::HTTP_11 => HttpVersion::Http11,
        _ => HttpVersion::Http2,
    }
}

pub(super) fn refuse(refusal: Refusal) -> Decision {
    Decision::Refuse(Box::new(refusal))
}

impl Front {
    /// Runs the stages over the request in `session` and notes in `context` what came out.
    pub(super) fn decide(&self, session: &Session, context: &mut Context) -> Decision {
        let request = session.req_header();
        let headers = &request.headers;
        let metrics = &self.gateway.metrics;

        let query = request.uri.query().unwrap_or_default();
        let dialect = dialect(request.method.as_str(), headers, query);
        let socket = session.client_addr().and_then(|address| address.as_inet()).map(|inet| inet.ip());
        let tls = context.busy.as_ref().is_some_and(|busy| busy.connection().secure);
        let Some(socket) = socket else { return refuse(Refusal::internal()) };
        let (client, secure) = client(&self.peer, socket, tls, headers);
        let caller = context.caller.insert(Caller { client, secure, dialect, identity: Identity::None });
        let caller = *caller;
        if !client.trusted {
            self.distrust(socket, context.now);
        }

        let line =
            RequestLine { method: &request.method, target: request.raw_path(), version: request.version, headers };
        let Intake { host, path, query } = match intake::read(line) {
            Ok(intake) => intake,
            Err((reason, refusal)) => {
                context.reason = Some(reason);
                metrics.malformed_requests.with_label_values(&[reason]).inc();
                return refuse(refusal);
            }
        };
        context.host = host.clone();
        if path.as_str().starts_with(OWN) {
            // Nobody who is blocked keeps us busy with solutions.
            if self.gateway.memory.decided(&client, context.now).is_some_and(|decision| decision.kind == Kind::Block) {
                (context.done, context.reason) = (Done::Deny, Some(RUNTIME_BLOCK));
                return refuse(Refusal::denied(403, BLOCKED));
            }
            context.done = Done::Internal;
            let method = &request.method;
            return match path.as_str() {
                VERIFY_PATH if method == Method::POST => Decision::Verify,
                VERIFY_PATH => refuse(Refusal::method_not_allowed("POST")),
                WAIT_PATH if method == Method::GET => Decision::Wait(query),
                ARRIVED_PATH if method == Method::GET => Decision::Arrived(query),
                WAIT_PATH | ARRIVED_PATH => refuse(Refusal::method_not_allowed("GET")),
                _ => refuse(Refusal::not_found()),
            };
        }
        let found = self.gateway.sites.find(&host, &path);
        if path.as_str() == ROBOTS_PATH
            && matches!(request.method, Method::GET | Method::HEAD)
            && !matches!(found, Err(NoSite::Host))
            && !context.checking
            && let Some(text) = self.gateway.robots.load().as_deref()
        {
            context.done = Done::Internal;
            // Whoever reads it is no browser: that is remembered of the site that has the root.
            if let Ok((site, path)) = found {
                (context.site, context.path) = (Some(site), Some(path));
                self.note_fetch(request, 200, 0, context);
            }
            return match robots(text, &context.request_id) {
                Ok(reply) => Decision::Reply(Box::new(reply)),
                Err(_) => refuse(Refusal::internal()),
            };
        }
        let (site, path) = match found {
            Ok(found) => found,
            Err(NoSite::Host) => return refuse(Refusal::misdirected()),
            Err(NoSite::Path) => return refuse(Refusal::not_found()),
        };
        context.site = Some(site.clone());
        context.path = Some(path.clone());
        if path.key().len() > LONGEST_KEY {
            context.reason = Some("target");
            metrics.malformed_requests.with_label_values(&["target"]).inc();
            return refuse(Refusal::bad_request("the name of the object is longer than 1,024 bytes"));
        }
        if request.method != Method::GET && request.method != Method::HEAD && !context.checking {
            context.reason = Some("method");
            return refuse(Refusal::method_not_allowed(ALLOWED_METHODS));
        }
        match self.proven(session, &query, &site.name, &path, context) {
            Ok(entry) => context.entry = entry,
            Err(refusal) => return refuse(refusal),
        }
        let entry = context.entry.clone();
        let proven = entry.as_ref().map(|entry| entry.identity());
        if let Some(entry) = entry.as_ref().filter(|entry| site.lists && path.key().is_empty() && !entry.public) {
            match BucketQuery::read(&request.method, &query, &scope(&site.name, entry), &self.gateway.seal) {
                Ok(asked) => context.listing = Some(asked),
                Err(error) => {
                    context.reason = Some("listing");
                    return refuse(Refusal::bad_listing(&error.to_string()));
                }
            }
        }
        let forwarded = match context.listing {
            Some(_) => Ok(String::new()),
            None => forwarded_query(&query, proven),
        };
        match forwarded {
            Ok(query) => context.query = query,
            Err(error) => {
                context.reason = Some("query");
                metrics.malformed_requests.with_label_values(&["query"]).inc();
                return refuse(Refusal::bad_request(&error.to_string()));
            }
        }

        let passes = if entry.is_some() { Vec::new() } else { self.passes(headers, &host, &site, caller, context) };
        let mut passes = passes.into_iter();
        let mut pass = passes.next();
        let relayed = self.peer.relays(socket);
        let live = Live::new(request, relayed);
        let ruling = self.gateway.ruling.load();
        let connection = context.busy.as_ref().map(Busy::held);
        loop {
            let identity = proven.unwrap_or(if pass.is_some() { Identity::Pass } else { Identity::None });
            let caller = Caller { identity, ..caller };
            let facts = Facts {
                now: context.now,
                site: &site.name,
                host: Fact::Present(&host),
                method: request.method.as_str(),
                path: path.as_str(),
                query: Fact::Present(&query),
                client: caller.client,
                identity,
                client_name: entry.as_ref().map(|entry| &*entry.name).into(),
                pass: pass.as_ref().map(|pass| pass.difficulty),
                user_agent: live.header("user-agent"),
                headers: &live,
                version: if relayed { Fact::Unknown } else { Fact::Present(version(request.version)) },
                secure: Fact::Present(caller.secure),
                ja4: fingerprint(connection.as_deref()),
                dialect: Fact::Present(caller.dialect),
            };
            let verdict = ruling.policy.decide(&facts, &*self.gateway.memory);
            context.caller = Some(caller);
            let asked = Asked {
                site: &site,
                caller,
                entry: entry.as_deref(),
                proves: proves(headers, &query),
                method: request.method.as_str(),
                request,
                ruling: &ruling,
            };
            let decision = self.act(&verdict, &asked, pass.as_ref(), context);
            context.verdict = Some(verdict);
            match decision {
                Some(decision) => return decision,
                // The pass turned out to be worth nothing. An object's page may have planted it beside a good one.
                None => pass = passes.next(),
            }
        }
    }

    /// Does what the verdict says. `None` when the pass that it rests on is not honoured.
    fn act(
        &self,
        verdict: &Verdict,
        asked: &Asked<'_>,
        pass: Option<&Pass>,
        context: &mut Context,
    ) -> Option<Decision> {
        let Asked { site, caller, .. } = *asked;
        if let Some(refusal) = self.over_limit(verdict, asked, pass, context) {
            return Some(refuse(refusal));
        }
        match &verdict.action {
            Action::Deny { .. } if verdict.withheld => {
                context.done = Done::Deny;
                context.reason = Some("undecided");
                let labels = [&*site.name, &*verdict.rule];
                self.gateway.metrics.withheld.with_label_values(&labels).inc();
                Some(refuse(Refusal::undecided()))
            }
            Action::Deny { status, reason } => {
                context.done = Done::Deny;
                Some(refuse(Refusal::denied(*status, reason)))
            }
            Action::Challenge { .. } if self.has_grace(verdict, asked, context) => {
                context.done = Done::Allow;
                context.reason = Some("grace");
                Some(Decision::Forward)
            }
            Action::Challenge { tier, difficulty } => {
                context.done = Done::Challenge;
                if pass.is_some() {
                    self.reject(site, PassError::Tier, context);
                }
                Some(self.challenge(asked, tier, *difficulty, context))
            }
            Action::Allow | Action::Redirect => {
                if let Some(asked) = context.listing.clone().filter(|_| !context.checking) {
                    context.done = Done::Allow;
                    return Some(Decision::List(Box::new(asked)));
                }
                if context.path.as_ref().is_none_or(|path| path.key().is_empty()) && !context.checking {
                    context.done = Done::Refuse;
                    context.reason = Some("listing");
                    return Some(refuse(Refusal::listing()));
                }
                if let Some(pass) = pass.filter(|_| verdict.draws_on_pass)
                    && let Err(error) = self.spend(pass, site, caller, context)
                {
                    self.reject(site, error, context);
                    context.meter.undo();
                    return None;
                }
                // Who has proved itself to the gateway is not sent elsewhere with its proof.
                context.redirecting = verdict.action == Action::Redirect && !asked.proves;
                context.done = Done::Allow;
                Some(Decision::Forward)
            }
        }
    }

    /// Whether the request is a part of a page that was open when evidence switched the challenge on. All in one prefix
    /// draw on one pass, which nobody paid for, and which ends with the grace of passes.
    fn has_grace(&self, verdict: &Verdict, asked: &Asked<'_>, context: &mut Context) -> bool {
        let Asked { site, caller, request, ruling, .. } = *asked;
        let Fact::Present(since) = self.gateway.memory.evidence() else { return false };
        let is_part = caller.dialect == Dialect::Fetch && is_same_origin(&request.headers, &context.host);
        let is_object = context.path.as_ref().is_some_and(|path| !path.key().is_empty());
        if !(is_part && is_object && ruling.policy.is_auto(&verdict.rule)) {
            return false;
        }
        let pass = self.gateway.gate.grace(&site.name, caller.client.prefix, since);
        let draws = pass.expires > context.now;
        let draws = draws && self.gateway.gate.draw(&pass, caller.client.prefix, context.object(), context.now).is_ok();
        context.pass = draws.then(|| Draw::new(&self.gateway.gate, pass));
        draws
    }

    /// Draws the request on the pass, and renews the pass where that is due.
    fn spend(&self, pass: &Pass, site: &Site, caller: Caller, context: &mut Context) -> Result<(), PassError> {
        let renewed = self.gateway.gate.renew(pass, context.now);
        if renewed.is_none() && pass.expires <= context.now {
            return Err(PassError::Expired);
        }
        let parts = self.gateway.gate.draw(pass, caller.client.prefix, context.object(), context.now)?;
        self.count_bought(pass, parts);
        if let Some(renewed) = renewed {
            let value = self.gateway.gate.seal(&renewed);
            context.cookie = Some(set_cookie(&site.name, caller.secure, &value));
            self.gateway.metrics.passes_renewed.with_label_values(&[&*site.name]).inc();
        }
        context.pass = Some(Draw::new(&self.gateway.gate, pass.clone()));
        Ok(())
    }

    /// The passes in the request's cookies that are honoured so far.
    fn passes(&self, headers: &HeaderMap, host: &str, site: &Site, caller: Caller, context: &mut Context) -> Vec<Pass> {
        let may_revive = caller.dialect == Dialect::Fetch && is_same_origin(headers, host);
        let name = cookie_name(&site.name, caller.secure);
        let (mut passes, mut fault) = (Vec::new(), None);
        for value in cookie_values(headers, &name) {
            match self.gateway.gate.inspect(value, &site.name, caller.client.prefix, may_revive, context.now) {
                Ok(pass) => passes.push(pass),
                Err(error) => fault = Some(error),
            }
        }
        if let Some(error) = fault.filter(|_| passes.is_empty()) {
            self.reject(site, error, context);
        }
        passes
    }

    fn reject(&self, site: &Site, error: PassError, context: &mut Context) {
        context.reason = Some(error.word());
        self.gateway.metrics.passes_rejected.with_label_values(&[&*site.name, error.word()]).inc();
    }
}

/// Whether a fetch comes from a page of the same origin: by fetch metadata, or the Referer where plain http has none.
fn is_same_origin(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => {
            let referer = text("referer").and_then(|referer| referer.parse::<http::Uri>().ok());
            referer.is_some_and(|uri| uri.host().is_some_and(|name| name.eq_ignore_ascii_case(host)))
        }
    }
}
