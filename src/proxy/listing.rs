//! Listings: the origin is asked, and the client is shown what it could have.

use super::Front;
use super::connection::{Busy, fingerprint};
use super::context::{Context, Stopwatch};
use super::live::{Live, version};
use super::refusal::{Refusal, Reply, speak};
use super::site::Site;
use crate::facts::{Fact, Facts, Headers};
use crate::identity::{Entry, Proof};
use crate::origin::{Asked, Begin, Origin, Page};
use crate::path::CanonicalPath;
use crate::verdict::{Action, Done};
use http::{Method, StatusCode};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use std::sync::Arc;
use std::time::Duration;

/// A page has up to 1,000 keys of 1,024 bytes, which may take several bytes each once escaped.
const LARGEST: usize = 16 << 20;

/// The origin answered, with something else than a list. That says nothing of its objects.
const NO_LIST: ErrorType = ErrorType::new("NoList");
/// So many pages are asked for to fill one: more than 10,000 hidden names in a row end it before its time.
const PAGES: usize = 10;
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Whom the texts are for that a listing seals.
pub(super) fn scope(site: &str, entry: &Entry) -> String {
    format!("{site} {}", entry.name)
}

impl Front {
    /// Answers what a client that has proved itself asks of the site's bucket.
    pub(super) async fn list(&self, session: &mut Session, context: &mut Context, asked: Asked) -> Result<Reply> {
        let (Some(site), Some(entry)) = (context.site.clone(), context.entry.clone()) else {
            return Err(Error::explain(ErrorType::InternalError, "a listing for nobody"));
        };
        let Some(origin) = site.origins.first().cloned() else {
            return Err(Error::explain(ErrorType::InternalError, "a site without an origin"));
        };
        let region = match &entry.proof {
            Proof::Key(key) => key.region(),
            Proof::Bearer(_) | Proof::Certificate(_) => None,
        };
        let region = region.unwrap_or(&origin.region);
        let xml = "application/xml";
        match asked {
            Asked::Head => {
                let mut reply = Reply::new(StatusCode::OK, xml, String::new(), &context.request_id)?;
                reply.header.insert_header("x-amz-bucket-region", region)?;
                Ok(reply)
            }
            Asked::Location => {
                // S3 has no word for the first of its regions.
                let region = if region == "us-east-1" { "" } else { region };
                let body = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint xmlns=\"{NAMESPACE}\">{region}\
                     </LocationConstraint>\n"
                );
                Reply::new(StatusCode::OK, xml, body, &context.request_id)
            }
            Asked::Objects(listing) => {
                let (mut page, mut begin) = (Page::default(), None);
                // A page that ended at what is hidden would tell where that is: so it is filled with what is shown.
                for _ in 0..if listing.room() == 0 { 0 } else { PAGES } {
                    let answer = self.ask_for_page(&origin, &listing.query(begin.as_ref()), context).await;
                    let read = |answer: String| Page::read(&answer).map_err(|_| Error::explain(NO_LIST, "no list"));
                    let more = match answer.and_then(read) {
                        Ok(more) => more,
                        Err(error) => return self.refuse_list(&origin, &error, context),
                    };
                    begin = self.add_what_is_shown(&mut page, more, (session, context), &site, &entry);
                    if page.count() > listing.room() || begin.is_none() {
                        break;
                    }
                }
                let next = page.cut(listing.room()).or(begin);
                let name = site.prefix.as_deref().map_or(&*site.name, |prefix| prefix.trim_start_matches('/'));
                let body = page.write(&listing, name, next.as_ref(), &scope(&site.name, &entry), &self.gateway.seal);
                _ = context.meter.sent(u64::try_from(body.len()).unwrap_or(u64::MAX), Duration::ZERO);
                Reply::new(StatusCode::OK, xml, body, &context.request_id)
            }
        }
    }

    /// Says that the origin gave no list. Where it answered, that says nothing of its objects.
    fn refuse_list(&self, origin: &Origin, error: &Error, context: &mut Context) -> Result<Reply> {
        if error.etype() == &NO_LIST {
            self.warn_of_origin(&origin.name, error, "an origin gave no list", context);
        } else if context.route.failed.is_none() {
            self.give_up_origin(error, context);
        }
        (context.done, context.reason) = (Done::Refuse, Some("origin"));
        speak(&Refusal::origin_failed(false), context.dialect(), &context.request_id)
    }

    /// Adds what the client could have of `more` to `page`: objects, and folders as far as their names tell. Says where
    /// the list goes on.
    fn add_what_is_shown(
        &self,
        page: &mut Page,
        more: Page,
        (session, context): (&Session, &Context),
        site: &Site,
        entry: &Entry,
    ) -> Option<Begin> {
        let caller = context.caller?;
        let request = session.req_header();
        let socket = session.client_addr().and_then(|address| address.as_inet());
        let relayed = socket.is_none_or(|socket| self.peer.relays(socket.ip()));
        let live = Live::new(request, relayed);
        let version = if relayed { Fact::Unknown } else { Fact::Present(version(request.version)) };
        let ruling = self.gateway.ruling.load();
        let shows = |key: &str, folder: bool| {
            let path = format!("/{key}");
            let leads_on = folder && entry.paths.iter().any(|prefix| prefix.starts_with(&path));
            if CanonicalPath::check(&path).is_err() || !(leads_on || entry.may_read(&path)) {
                return false;
            }
            let facts = Facts {
                now: context.now,
                site: &site.name,
                host: Fact::Present(&context.host),
                method: "GET",
                path: &path,
                query: Fact::Present(""),
                client: caller.client,
                identity: caller.identity,
                client_name: Fact::Present(&entry.name),
                pass: None,
                user_agent: live.header("user-agent"),
                headers: &live,
                version,
                secure: Fact::Present(caller.secure),
                ja4: fingerprint(context.busy.as_ref().map(Busy::connection)),
                dialect: Fact::Present(caller.dialect),
            };
            let verdict = ruling.policy.decide(&facts, &*self.gateway.memory);
            matches!(verdict.action, Action::Allow | Action::Redirect)
        };
        page.add(more, |key| shows(key, false), |prefix| shows(prefix, true))
    }

    /// Asks the origin for a page. No answer is longer than [`LARGEST`].
    async fn ask_for_page(&self, origin: &Arc<Origin>, query: &str, context: &mut Context) -> Result<String> {
        let failed = |what: &'static str| Error::explain(NO_LIST, what);
        let root = CanonicalPath::parse("/").map_err(|_| failed("no path"))?;
        context.origin_stopwatch = Some(Stopwatch::start());
        let peer = self.choose_peer(context)?;
        let asker = &self.gateway.asker;
        let mut session = asker.ask((origin, &peer), Method::GET, &root, query, self.gateway.clock.now()).await?;
        let mut body = Vec::new();
        while let Some(piece) = session.read_body_bytes().await? {
            if body.len() + piece.len() > LARGEST {
                return Err(failed("a list of objects that is too long"));
            }
            body.extend_from_slice(&piece);
        }
        let status = session.resp_header().map(|response| response.status);
        asker.keep(session, &peer).await?;
        context.origin_bytes += u64::try_from(body.len()).unwrap_or(u64::MAX);
        self.count_answer(status.unwrap_or_default(), context);
        if status != Some(StatusCode::OK) {
            return Err(failed("the origin does not list its objects to us"));
        }
        String::from_utf8(body).map_err(|_| failed("the list is no text"))
    }
}
