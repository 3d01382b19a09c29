//! Which origins a request asks, in which order, and what their answers teach.

use super::Front;
use super::context::Context;
use super::refusal::Refusal;
use super::upstream::Failed;
use crate::clock::Timestamp;
use crate::origin::{Belief, Changing, Shape};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_MATCH, IF_RANGE, RANGE};
use http::{HeaderName, StatusCode};
use pingora::Error;
use pingora::http::ResponseHeader;

/// Why an origin was asked that is not the site's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Those before it lack the object.
    Miss,
    /// One of those before it could not say.
    Failure,
}

impl Fallback {
    /// The word for it in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Fallback::Miss => "miss",
            Fallback::Failure => "failure",
        }
    }
}

impl Context {
    /// How long to believe what origins say of the object. `None` where the request is for something else than the object
    /// as it is now, an old version of it or a part.
    fn belief(&self) -> Option<Belief> {
        let (site, path) = (self.site.as_ref()?, self.path.as_ref()?);
        self.query.is_empty().then(|| Changing::belief(site.changing.as_ref(), path.as_str()))
    }

    /// Whether the object never changes once it is there, so that what is known of it holds for all who ask.
    fn is_immutable(&self) -> bool {
        self.belief().is_some_and(|belief| belief.found == Belief::IMMUTABLE.found)
    }

    /// Why this origin is asked; `None` for the first.
    fn fallback(&self) -> Option<Fallback> {
        let lack = |number| self.missed.contains(&number) || self.known.lacks(number);
        // It was found here because the others lacked it.
        let all = self.known.found == Some(self.attempt) || (0..self.attempt).all(lack);
        (self.attempt > 0).then_some(if all { Fallback::Miss } else { Fallback::Failure })
    }
}

impl Front {
    /// The time since some moment in the past, for what must not hang on whether the clock was set.
    pub(super) fn steady(&self) -> Timestamp {
        Timestamp(0) + self.gateway.clock.elapsed()
    }

    /// Plans which origins to ask. A refusal where all of them have just said that they lack the object.
    pub(super) fn plan_route(&self, context: &mut Context) -> Option<Refusal> {
        let (site, path) = (context.site.clone()?, context.path.as_ref()?);
        if context.belief().is_some() {
            context.known = self.gateway.whereabouts.recall(&site.name, path.as_str(), self.steady());
        }
        context.route = context.known.order(site.origins.len()).collect();
        if let (true, Some(status)) = (context.route.is_empty(), context.known.status) {
            context.reason = Some("missing");
            return Some(Refusal::missing(status));
        }
        // Where all are left alone at the moment, whom else to ask?
        let now = self.steady();
        let admits = |number: &usize| site.origins.get(*number).is_some_and(|origin| origin.breaker.would_admit(now));
        context.desperate = !context.route.iter().any(admits);
        None
    }

    /// Moves on to the next origin, if there is one that is not left alone at the moment.
    pub(super) fn next_origin(&self, context: &mut Context) -> bool {
        let Some(site) = context.site.clone() else { return false };
        context.addresses_tried = 0;
        while !context.route.is_empty() {
            let number = context.route.remove(0);
            let Some(origin) = site.origins.get(number) else { continue };
            if context.desperate || origin.breaker.admits(self.steady()) {
                context.attempt = number;
                return true;
            }
            // It may have the object.
            context.failed.get_or_insert(Failed::default());
        }
        false
    }

    /// Learns from an answer about the object. Says whether it may be sent: a client that goes on with a download must not get
    /// the rest of another object.
    pub(super) fn learn(&self, request: &HeaderMap, response: &ResponseHeader, context: &mut Context) -> bool {
        let (Some(site), Some(path)) = (&context.site, &context.path) else { return true };
        let fallback = context.fallback();
        context.fallback = fallback;
        let Some(belief) = context.belief().filter(|_| site.origins.len() > 1) else { return true };
        let (name, path, attempt, now) = (&*site.name, path.as_str(), context.attempt, self.steady());
        let whereabouts = &self.gateway.whereabouts;
        let shape = shape(response);
        let is_immutable = context.is_immutable();
        if let (Some(shape), Some((other, seen))) = (shape, context.known.seen)
            && other != attempt
            && is_immutable
            && !seen.may_equal(&shape)
        {
            if let Some(origin) = site.origins.get(attempt) {
                self.gateway.metrics.origins.divergences.with_label_values(&[name, &*origin.name]).inc();
                tracing::warn!(
                    site = name,
                    origin = &*origin.name,
                    request_id = context.request_id,
                    "two origins have different objects of one name; the path is in the access log"
                );
            }
            let checks = request.contains_key(IF_RANGE) || request.contains_key(IF_MATCH);
            if request.contains_key(RANGE) && !checks {
                return false;
            }
        }
        // What was only remembered to be here is asked of the others again, when that is forgotten.
        if (0..attempt).all(|number| context.missed.contains(&number)) {
            whereabouts.found(name, path, attempt, belief, now);
        }
        if let Some(shape) = shape {
            if let (0, true, Some(object)) = (attempt, is_immutable, &context.path) {
                self.compare(site, object, shape, context.now);
            }
            whereabouts.seen(name, path, attempt, shape, belief, now);
        }
        true
    }

    /// Learns that the origin which was asked lacks the object.
    pub(super) fn learn_missing(&self, status: StatusCode, context: &mut Context) {
        context.missed.push(context.attempt);
        if let (Some(belief), Some(site), Some(path)) = (context.belief(), &context.site, &context.path) {
            let whereabouts = &self.gateway.whereabouts;
            whereabouts.missing(&site.name, path.as_str(), context.attempt, status, belief, self.steady());
        }
    }

    /// Learns that an answer broke off after its header was passed on.
    pub(super) fn learn_break(&self, error: &Error, context: &mut Context) {
        self.count_failure(error, context);
        if let (true, Some(site), Some(path)) = (context.is_immutable(), &context.site, &context.path) {
            self.gateway.whereabouts.broke_off(&site.name, path.as_str(), context.attempt, self.steady());
        }
    }
}

/// What an answer tells about the whole object.
pub(super) fn shape(response: &ResponseHeader) -> Option<Shape> {
    let text = |name: HeaderName| response.headers.get(name).and_then(|value| value.to_str().ok());
    let size = match response.status {
        StatusCode::OK => text(CONTENT_LENGTH)?,
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => text(CONTENT_RANGE)?.rsplit_once('/')?.1,
        _ => return None,
    };
    // Of what is encrypted with a key of its own the ETag is no MD5. Source: S3 API reference, Object, ETag.
    let encrypted = text(HeaderName::from_static("x-amz-server-side-encryption")).is_some_and(|how| how != "AES256")
        || response.headers.contains_key("x-amz-server-side-encryption-customer-algorithm");
    let tag = text(ETAG).map_or("", |tag| tag.trim_matches('"'));
    let md5 = Some(tag).filter(|tag| tag.len() == 32 && !encrypted);
    let md5 = md5.and_then(|hex| u128::from_str_radix(hex, 16).ok()).map(u128::to_be_bytes);
    Some(Shape { size: size.parse().ok()?, md5 })
}
