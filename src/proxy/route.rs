//! Which origins a request asks, in which order, and what their answers teach.

use super::Front;
use super::context::Context;
use super::refusal::Refusal;
use super::upstream::Failed;
use crate::clock::Timestamp;
use crate::origin::{Belief, Changing, Known, Shape};
use http::StatusCode;
use http::header::{HeaderMap, IF_MATCH, IF_RANGE, RANGE};
use pingora::Error;
use pingora::http::ResponseHeader;
use smallvec::SmallVec;

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

/// The way of one request through a site's origins, which have numbers from 0.
#[derive(Debug, Default)]
pub struct Route {
    /// Which one is being asked, and which may be asked after it.
    pub attempt: usize,
    pub next: SmallVec<[usize; 8]>,
    /// Whether those are asked, too, that keep failing: there are no others.
    desperate: bool,
    /// How long to believe what origins say of the object. `None` where the request is for something else than the
    /// object as it is now, an old version of it or a part.
    belief: Option<Belief>,
    /// What was known of the object before.
    pub known: Known,
    /// Those that said that they lack it.
    missed: SmallVec<[usize; 8]>,
    /// Why the origin that answered is not the site's first.
    pub fallback: Option<Fallback>,
    /// To how many addresses of the one that is being asked no connection was made.
    pub addresses_tried: usize,
    /// The first failure.
    pub failed: Option<Failed>,
    /// The status of the last one, when it did not have the object.
    pub miss: Option<StatusCode>,
}

impl Route {
    /// Whether the object never changes once it is there, so that what is known of it holds for all who ask.
    fn is_immutable(&self) -> bool {
        self.belief == Some(Belief::IMMUTABLE)
    }

    /// Why this origin is asked; `None` for the first.
    fn why(&self) -> Option<Fallback> {
        let lacks = |number| self.missed.contains(&number) || self.known.lacks(number);
        // It was found here because the others lacked it.
        let all = self.known.found == Some(self.attempt) || (0..self.attempt).all(lacks);
        (self.attempt > 0).then_some(if all { Fallback::Miss } else { Fallback::Failure })
    }
}

impl Front {
    /// The time since some moment in the past, for what must not hang on whether the clock was set.
    pub(super) fn steady(&self) -> Timestamp {
        Timestamp(0) + self.gateway.clock.elapsed()
    }

    /// Plans which origins to ask for the object. A refusal where all of them have just said that they lack it.
    pub(super) fn plan_route(&self, context: &mut Context) -> Option<Refusal> {
        let (site, path) = (context.site.as_ref()?, context.path.as_ref()?);
        let route = &mut context.route;
        route.belief = context.query.is_empty().then(|| Changing::belief(site.changing.as_ref(), path.as_str()));
        let now = self.steady();
        if route.belief.is_some() {
            route.known = self.gateway.whereabouts.recall(&site.name, path.as_str(), now);
        }
        route.next = route.known.order(site.origins.len()).collect();
        if let (true, Some(status)) = (route.next.is_empty(), route.known.status) {
            context.reason = Some("missing");
            return Some(Refusal::missing(status));
        }
        // Where all are left alone at the moment, whom else to ask?
        let admits = |number: &usize| site.origins.get(*number).is_some_and(|origin| origin.breaker.would_admit(now));
        route.desperate = !route.next.iter().any(admits);
        None
    }

    /// Moves on to the next origin, if there is one that is not left alone at the moment.
    pub(super) fn next_origin(&self, context: &mut Context) -> bool {
        let (Some(site), route) = (&context.site, &mut context.route) else { return false };
        route.addresses_tried = 0;
        while !route.next.is_empty() {
            let number = route.next.remove(0);
            let Some(origin) = site.origins.get(number) else { continue };
            if route.desperate || origin.breaker.admits(self.steady()) {
                route.attempt = number;
                return true;
            }
            // It may have the object.
            route.failed.get_or_insert(Failed::default());
        }
        false
    }

    /// Learns from an answer about the object. Says whether it may be sent: a client that goes on with a download must
    /// not get the rest of another object.
    pub(super) fn learn(&self, request: &HeaderMap, response: &ResponseHeader, context: &mut Context) -> bool {
        let (Some(site), Some(path)) = (&context.site, &context.path) else { return true };
        let route = &mut context.route;
        route.fallback = route.why();
        let Some(belief) = route.belief.filter(|_| site.origins.len() > 1) else { return true };
        let (name, object, attempt, now) = (&*site.name, path, route.attempt, self.steady());
        let path = object.as_str();
        let whereabouts = &self.gateway.whereabouts;
        let shape = Shape::told(response.status, &response.headers);
        let is_immutable = route.is_immutable();
        if let (Some(shape), Some((other, seen))) = (shape, route.known.seen)
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
        if (0..attempt).all(|number| route.missed.contains(&number)) {
            whereabouts.found(name, path, attempt, belief, now);
        }
        if let Some(shape) = shape {
            if attempt == 0 && is_immutable {
                self.compare(site, object, shape, context.now);
            }
            whereabouts.seen(name, path, attempt, shape, belief, now);
        }
        true
    }

    /// Learns that the origin which was asked lacks the object.
    pub(super) fn learn_missing(&self, status: StatusCode, context: &mut Context) {
        context.route.missed.push(context.route.attempt);
        if let (Some(belief), Some(site), Some(path)) = (context.route.belief, &context.site, &context.path) {
            let whereabouts = &self.gateway.whereabouts;
            whereabouts.missing(&site.name, path.as_str(), context.route.attempt, status, belief, self.steady());
        }
    }

    /// Learns that an answer broke off after its header was passed on.
    pub(super) fn learn_break(&self, error: &Error, context: &mut Context) {
        self.count_failure(error, context);
        if let (true, Some(site), Some(path)) = (context.route.is_immutable(), &context.site, &context.path) {
            self.gateway.whereabouts.broke_off(&site.name, path.as_str(), context.route.attempt, self.steady());
        }
    }
}
