//! From a described request to a decision and an answer, by the steps and the code of a live one.

use super::request::{Addressed, Described, Sent};
use crate::challenge::{Offer, Page, RedeemError, VERIFY_PATH, Visit};
use crate::clock::Timestamp;
use crate::decisions::Kind;
use crate::facts::{Client, Fact, Facts, HttpVersion, Identity, header_text};
use crate::identity::signature::Fault;
use crate::identity::{Claim, Peer, Roster, claim, client, dialect};
use crate::limit::{LimitSettings, Subject};
use crate::origin::presigned;
use crate::path::CanonicalPath;
use crate::policy::{Explanation, Policy};
use crate::proxy::intake::{self, Intake, RequestLine};
use crate::proxy::{
    ALLOWED_METHODS, NoSite, OWN, Refusal, Reply, Site, Sites, Way, ask, fetch_command, forwarded_query, lead, proves,
    speak,
};
use crate::state::State;
use crate::verdict::{Action, BLOCKED, Dialect, Mode, RUNTIME_BLOCK, Verdict};
use http::Method;
use http::header::{ACCEPT_LANGUAGE, HOST};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Stands where each live request has an id of its own.
const REQUEST_ID: &str = "0000000000000000";

/// As it is without a gateway file: what it says decides nothing.
static PAGE: LazyLock<Page> = LazyLock::new(Page::default);

/// What described requests are tried on.
pub struct Bench<'b> {
    /// What decides.
    pub policy: &'b Policy,
    /// The limits of the policy, in the order of their ids.
    pub limits: &'b [(String, LimitSettings)],
    /// What may be addressed by host.
    pub sites: &'b Sites,
    /// Whom the gateway believes about client addresses.
    pub peer: &'b Peer,
    /// What clients may ask for that have a name.
    pub clients: &'b Roster,
}

/// What the client would see.
#[derive(Debug)]
pub enum Answer {
    /// The object, or what the origins say of it.
    Object,
    /// An answer of the gateway itself.
    Gateway(Reply),
}

impl Answer {
    /// The HTTP status, where the gateway gives it.
    pub fn status(&self) -> Option<u16> {
        match self {
            Answer::Object => None,
            Answer::Gateway(reply) => Some(reply.header.status.as_u16()),
        }
    }
}

/// A limit that a request is charged to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charged {
    /// The limit's name.
    pub limit: String,
    /// The rule that charges.
    pub rule: Arc<str>,
    /// What it counts by, with the values for this request. A part that the request lacks has none: then the limit does
    /// not apply.
    pub key: Vec<(&'static str, Option<String>)>,
    /// Whether the limit refuses, or is only recorded.
    pub enforced: bool,
}

/// What became of a described request.
#[derive(Debug)]
pub struct Outcome {
    /// The site.
    pub site: Option<Arc<str>>,
    /// The host, where the request could be read.
    pub host: Option<String>,
    /// The canonical path below the site.
    pub path: Option<CanonicalPath>,
    /// The query as sent.
    pub query: String,
    /// The client behind the address.
    pub client: Client,
    /// Whether its side speaks TLS.
    pub secure: bool,
    /// Whether the certificate that it shows opens nothing there: then it is a stranger's.
    pub stranger: bool,
    /// How it is answered.
    pub dialect: Dialect,
    /// The mode of the policy as a whole.
    pub mode: Mode,
    /// How the policy decided; `None` for what is refused before.
    pub explanation: Option<Explanation>,
    /// What is done, in the words of metrics and the access log.
    pub action: &'static str,
    /// A short word that says why, where the policy is not the reason.
    pub reason: Option<&'static str>,
    /// The limits that the request is charged to, in their order. None of them is asked.
    pub charges: Vec<Charged>,
    /// What the client would see.
    pub answer: Answer,
}

impl Outcome {
    /// What the policy decided.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.explanation.as_ref().map(|explanation| &explanation.verdict)
    }
}

/// Why the policy is not asked: the action, the reason, and what is said.
struct Turned(&'static str, Option<&'static str>, Refusal);

fn refuse(reason: Option<&'static str>, refusal: Refusal) -> Turned {
    Turned("refuse", reason, refusal)
}

/// What a request asks for.
struct Target {
    site: Arc<Site>,
    path: CanonicalPath,
}

impl Bench<'_> {
    /// Tries one request.
    ///
    /// # Errors
    /// When an answer of the gateway cannot be written: a mistake of ours.
    pub fn run(&self, request: &Described) -> Result<Outcome, String> {
        let headers = request.header_map();
        let query = request.target.split_once('?').map_or("", |(_, query)| query);
        let (client, secure) = client(self.peer, request.address, request.secure, &headers);
        let mut outcome = Outcome {
            site: None,
            host: None,
            path: None,
            query: query.to_owned(),
            client,
            secure,
            dialect: dialect(request.method.as_str(), &headers, query),
            stranger: false,
            mode: self.policy.mode(),
            explanation: None,
            action: "refuse",
            reason: None,
            charges: Vec::new(),
            answer: Answer::Object,
        };
        let target = match self.target(request, &headers, &mut outcome) {
            Ok(target) => target,
            Err(Turned(action, reason, refusal)) => {
                (outcome.action, outcome.reason) = (action, reason);
                let spoken = if action == "internal" { Dialect::Fetch } else { outcome.dialect };
                return self.say(speak(&refusal, spoken, REQUEST_ID), request, outcome);
            }
        };

        let relayed = self.peer.relays(request.address);
        let (identity, client_name) = match outcome.stranger {
            true => (Identity::None, None),
            false => (request.identity, request.client_name.as_deref()),
        };
        let sent = Sent { request, map: &headers, relayed };
        let facts = Facts {
            now: request.now,
            site: &target.site.name,
            host: Fact::from(outcome.host.as_deref()),
            method: request.method.as_str(),
            path: target.path.as_str(),
            query: Fact::Present(query),
            client,
            identity,
            client_name: client_name.into(),
            pass: request.pass,
            user_agent: crate::facts::Headers::header(&sent, "user-agent"),
            headers: &sent,
            version: if relayed { Fact::Unknown } else { Fact::Present(request.version) },
            secure: Fact::Present(secure),
            ja4: if relayed { Fact::Unknown } else { request.ja4.as_str() },
            dialect: Fact::Present(outcome.dialect),
        };
        let explanation = self.policy.explain(&facts, &request.state);
        let subject = Subject {
            client,
            site: &target.site.name,
            pass: request.pass.map(|_| [0; 16]),
            identity: client_name,
            shared: request.identity == Identity::PublicKey,
            asn: request.state.asn(client.address).present(),
        };
        outcome.charges = self.charges(&explanation.verdict, &subject);
        let (action, withheld) = (explanation.verdict.action.clone(), explanation.verdict.withheld);
        outcome.explanation = Some(explanation);
        outcome.action = action.word();
        let reply = match &action {
            Action::Deny { .. } if withheld => {
                outcome.reason = Some("undecided");
                speak(&Refusal::undecided(), outcome.dialect, REQUEST_ID)
            }
            Action::Deny { status, reason } => speak(&Refusal::denied(*status, reason), outcome.dialect, REQUEST_ID),
            Action::Challenge { difficulty, .. } => {
                let (site, difficulty) = (&target.site.name, *difficulty);
                let way = match outcome.dialect {
                    Dialect::Fetch => Some(Way::Offer(Offer::new(String::new(), difficulty, site))),
                    Dialect::Plain => {
                        let host = headers.get(HOST).map_or("", header_text);
                        Some(Way::Command(fetch_command(secure, host, request.target.as_bytes())))
                    }
                    Dialect::Page | Dialect::S3 => None,
                };
                match outcome.dialect {
                    Dialect::Page => {
                        let visit = Visit {
                            challenge: "",
                            difficulty,
                            site,
                            request_id: REQUEST_ID,
                            cookie: "",
                            brought: false,
                            now: Timestamp::default(),
                            wait: None,
                        };
                        // For people to read, whatever the client can.
                        ask(&PAGE, &visit, headers.get(ACCEPT_LANGUAGE).map_or("", header_text), false)
                    }
                    dialect => speak(&Refusal::pass_needed(way), dialect, REQUEST_ID),
                }
            }
            Action::Allow | Action::Redirect if target.path.key().is_empty() && !is_listing(identity, &target) => {
                (outcome.action, outcome.reason) = ("refuse", Some("listing"));
                speak(&Refusal::listing(), outcome.dialect, REQUEST_ID)
            }
            // Who has proved itself to the gateway is not sent elsewhere with its proof.
            Action::Redirect if proves(&headers, query) => {
                outcome.action = Action::Allow.word();
                return Ok(outcome);
            }
            Action::Redirect => redirect(request, &target),
            Action::Allow => return Ok(outcome),
        };
        self.say(reply, request, outcome)
    }

    fn say(&self, reply: pingora::Result<Reply>, request: &Described, mut outcome: Outcome) -> Result<Outcome, String> {
        let mut reply = reply.map_err(|error| format!("the answer could not be written: {error}"))?;
        if request.method == Method::HEAD {
            reply.body.clear();
        }
        outcome.answer = Answer::Gateway(reply);
        Ok(outcome)
    }

    /// What the request asks for, by the order of refusals of `proxy::decide`.
    fn target(&self, request: &Described, headers: &http::HeaderMap, outcome: &mut Outcome) -> Result<Target, Turned> {
        let version = match request.version {
            HttpVersion::Http10 => http::Version::HTTP_10,
            HttpVersion::Http11 => http::Version::HTTP_11,
            HttpVersion::Http2 => http::Version::HTTP_2,
        };
        let method = &request.method;
        let line = RequestLine { method, target: request.target.as_bytes(), version, headers };
        let Intake { host, path, query } =
            intake::read(line).map_err(|(reason, refusal)| refuse(Some(reason), refusal))?;
        outcome.host = Some(host.clone());
        outcome.path = Some(path.clone());
        if path.as_str().starts_with(OWN) {
            let decided = request.state.decided(&outcome.client, request.now);
            if decided.is_some_and(|decision| decision.kind == Kind::Block) {
                return Err(Turned("deny", Some(RUNTIME_BLOCK), Refusal::denied(403, BLOCKED)));
            }
            let refusal = match path.as_str() {
                // A description has no body, so no solution either.
                VERIFY_PATH if method == Method::POST => {
                    let refusal = Refusal::bad_request(&RedeemError::Malformed.to_string());
                    return Err(Turned("internal", Some(RedeemError::Malformed.word()), refusal));
                }
                VERIFY_PATH => Refusal::method_not_allowed("POST"),
                _ => Refusal::not_found(),
            };
            return Err(Turned("internal", None, refusal));
        }
        let (site, path) = match &request.addressed {
            Addressed::Host => self.sites.find(&host, &path).map_err(|why| match why {
                NoSite::Host => refuse(None, Refusal::misdirected()),
                NoSite::Path => refuse(None, Refusal::not_found()),
            })?,
            Addressed::Site(name) => {
                let (name, hosts) = (name.as_str().into(), vec![host]);
                let site = Site {
                    name,
                    hosts,
                    prefix: None,
                    lists: false,
                    origins: Vec::new(),
                    authorities: Vec::new(),
                    changing: None,
                    compare: None,
                };
                (Arc::new(site), path)
            }
        };
        outcome.site = Some(site.name.clone());
        outcome.path = Some(path.clone());
        if method != Method::GET && method != Method::HEAD {
            return Err(refuse(Some("method"), Refusal::method_not_allowed(ALLOWED_METHODS)));
        }
        if let Some(entry) = self.clients.entries().find(|entry| Some(&*entry.name) == request.client_name.as_deref()) {
            // Who shows a certificate that opens nothing here is a stranger.
            let is_shown = request.identity == Identity::Certificate;
            let fault = match entry.is_valid(request.now) {
                false => Some(Fault::KeyTime),
                true => Some(Fault::Scope).filter(|_| !entry.may_ask(&site.name, &path)),
            };
            outcome.stranger = is_shown && fault.is_some();
            if let Some(fault) = fault.filter(|_| !is_shown) {
                return Err(refuse(Some(fault.word()), Refusal::signature(fault)));
            }
        }
        let signs = matches!(request.identity, Identity::Signature | Identity::PublicKey);
        if claim(headers, &query) == Claim::Signature && !signs {
            return Err(refuse(Some("unknown-key"), Refusal::signature(Fault::UnknownKey)));
        }
        let target = Target { site, path };
        let identity = if outcome.stranger { Identity::None } else { request.identity };
        if !is_listing(identity, &target) {
            forwarded_query(&query, Some(identity))
                .map_err(|error| refuse(Some("query"), Refusal::bad_request(&error.to_string())))?;
        }
        Ok(target)
    }

    fn charges(&self, verdict: &Verdict, subject: &Subject<'_>) -> Vec<Charged> {
        let mut charged = Vec::new();
        for charge in &verdict.charges {
            for (name, settings) in charge.limits.iter().filter_map(|id| self.limits.get(*id)) {
                charged.push(Charged {
                    limit: name.clone(),
                    rule: charge.rule.clone(),
                    key: settings.key.of(subject),
                    enforced: charge.enforced,
                });
            }
        }
        charged
    }
}

/// Whether the request is about what a bucket holds, and may be. Which parameters it has is not looked at.
fn is_listing(identity: Identity, target: &Target) -> bool {
    target.path.key().is_empty()
        && target.site.lists
        && matches!(identity, Identity::Signature | Identity::Token | Identity::Certificate)
}

/// The way to the first origin. Where no origin is known, neither is the location.
fn redirect(request: &Described, target: &Target) -> pingora::Result<Reply> {
    let origin = target.site.origins.first();
    let location = origin.and_then(|origin| {
        presigned(origin, request.method.as_str(), &target.path, None, Duration::ZERO, request.now).ok()
    });
    let mut reply = lead(location.as_deref().unwrap_or_default(), REQUEST_ID)?;
    if location.is_none() {
        reply.header.remove_header("location");
    }
    Ok(reply)
}
