//! Which origins a request asks, in which order, and what their answers teach.

use super::Front;
use super::context::Context;
use super::refusal::Refusal;
use super::upstream::Failed;
use crate::origin::{Belief, Changing, Shape};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_MATCH, IF_RANGE, RANGE};
use http::{HeaderValue, StatusCode};
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

    /// Why this origin is asked; `None` for the first.
    fn fallback(&self) -> Option<Fallback> {
        let lack = |number| self.missed.contains(&number) || self.known.lacks(number);
        // It was found here because the others lacked it.
        let all = self.known.found == Some(self.attempt) || (0..self.attempt).all(lack);
        (self.attempt > 0).then_some(if all { Fallback::Miss } else { Fallback::Failure })
    }
}

impl Front {
    /// Plans which origins to ask. A refusal where all of them have just said that they lack the object.
    pub(super) fn plan_route(&self, context: &mut Context) -> Option<Refusal> {
        let (site, path) = (context.site.clone()?, context.path.as_ref()?);
        if context.belief().is_some() {
            context.known = self.gateway.whereabouts.recall(&site.name, path.as_str(), context.now);
        }
        context.route = context.known.order(site.origins.len()).collect();
        let first = context.route.first().copied();
        if let (None, Some(status)) = (first, context.known.status) {
            context.reason = Some("missing");
            return Some(Refusal::missing(status));
        }
        if !self.next_origin(context) {
            // All of them are left alone at the moment, and whom else to ask?
            (context.attempt, context.failed) = (first.unwrap_or_default(), None);
        }
        None
    }

    /// Moves on to the next origin, if there is one that is not left alone at the moment.
    pub(super) fn next_origin(&self, context: &mut Context) -> bool {
        let Some(site) = context.site.clone() else { return false };
        context.addresses_tried = 0;
        while !context.route.is_empty() {
            let number = context.route.remove(0);
            if site.origins.get(number).is_some_and(|origin| origin.breaker.admits(self.gateway.clock.now())) {
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
        let (name, path, attempt, now) = (&*site.name, path.as_str(), context.attempt, context.now);
        let whereabouts = &self.gateway.whereabouts;
        let shape = shape(response);
        let is_immutable = belief.found == Belief::IMMUTABLE.found;
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
        if fallback != Some(Fallback::Failure) {
            whereabouts.found(name, path, attempt, belief, now);
        }
        if let Some(shape) = shape {
            if let (0, true, Some(object)) = (attempt, is_immutable, &context.path) {
                self.compare(site, object, shape, now);
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
            whereabouts.missing(&site.name, path.as_str(), context.attempt, status, belief, context.now);
        }
    }

    /// Learns that an answer broke off after its header was passed on.
    pub(super) fn learn_break(&self, error: &Error, context: &mut Context) {
        self.count_failure(error, context);
        if let (Some(site), Some(path)) = (&context.site, &context.path) {
            self.gateway.whereabouts.broke_off(&site.name, path.as_str(), context.attempt, context.now);
        }
    }
}

/// What an answer tells about the whole object.
pub(super) fn shape(response: &ResponseHeader) -> Option<Shape> {
    let text = |value: Option<&HeaderValue>| value.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let size = match response.status {
        StatusCode::OK => text(response.headers.get(CONTENT_LENGTH))?,
        StatusCode::PARTIAL_CONTENT => text(response.headers.get(CONTENT_RANGE))?.rsplit_once('/')?.1.to_owned(),
        _ => return None,
    };
    let etag = text(response.headers.get(ETAG)).unwrap_or_default();
    let hex = etag.trim_matches('"').get(..32).filter(|hex| etag.trim_matches('"') == *hex);
    let md5 = hex.and_then(|hex| u128::from_str_radix(hex, 16).ok()).map(u128::to_be_bytes);
    Some(Shape { size: size.parse().ok()?, md5 })
}
