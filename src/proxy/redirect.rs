//! Sending clients to the origin itself, by a URL that is good for a minute: bytes that stay within a provider's region
//! are free, and the gateway is out of the way.
//!
//! An origin is asked for the object's header first, unless it is known: so that nobody is sent where the object is
//! not, and the bytes are charged to limits as if the gateway had carried them.

use super::Front;
use super::context::Context;
use super::refusal::{Refusal, Reply, lead};
use crate::origin::{Shape, Signer, presigned};
use crate::verdict::Done;
use http::header::{CONTENT_LENGTH, HeaderMap, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, RANGE};
use http::{HeaderName, Method};
use pingora::http::ResponseHeader;
use std::time::Duration;

/// How long the URL is good for: long enough to follow it, too short to pass it around.
const LIFE: Duration = Duration::from_secs(60);
/// What makes the answer hang on the object as it is now.
const CONDITIONS: [HeaderName; 4] = [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE];

impl Front {
    /// The redirect to an origin that is known to have the object. `None` where one has to be asked first.
    pub(super) fn lead_at_once(&self, request: &HeaderMap, context: &mut Context) -> Option<Result<Reply, Refusal>> {
        let (origin, shape) =
            context.route.known.seen.filter(|(origin, _)| context.route.next.first() == Some(origin))?;
        let is_open = context.site.as_ref()?.origins.get(origin)?.breaker.is_open();
        if is_open
            || context.route.known.found != Some(origin)
            || CONDITIONS.iter().any(|name| request.contains_key(name))
        {
            return None;
        }
        let range = request.get(RANGE).map(|range| range.to_str().unwrap_or_default());
        let bytes = range.map_or(Some(shape.size), |range| length(range, shape.size))?;
        context.route.attempt = origin;
        Some(self.lead_to_origin(bytes, shape.size, range, context))
    }

    /// Makes the redirect of an origin's answer to a HEAD.
    pub(super) fn lead_by(
        &self,
        request: &HeaderMap,
        response: &ResponseHeader,
        context: &mut Context,
    ) -> Result<Reply, Refusal> {
        let length = response.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let size = Shape::told(response.status, &response.headers).map_or(0, |shape| shape.size);
        let range = request.get(RANGE).and_then(|range| range.to_str().ok());
        self.lead_to_origin(length.unwrap_or(0), size, range, context)
    }

    /// The redirect to the origin that is being asked, for so many bytes of an object of this size. The signature binds
    /// the client to the range that it is charged for; where nobody signs it could take all.
    fn lead_to_origin(
        &self,
        bytes: u64,
        size: u64,
        range: Option<&str>,
        context: &mut Context,
    ) -> Result<Reply, Refusal> {
        let origin = context.origin().cloned().ok_or_else(Refusal::internal)?;
        let signs = !matches!(origin.redirect_signer.as_ref().unwrap_or(&origin.signer), Signer::Anonymous);
        let bytes = if signs { bytes } else { size };
        self.reserve(bytes, context)?;
        let path = context.path.as_ref().ok_or_else(Refusal::internal)?;
        let location =
            presigned(&origin, Method::GET.as_str(), path, range, LIFE, self.gateway.clock.now()).map_err(|error| {
                tracing::warn!(origin = &*origin.name, %error, "a redirect could not be signed");
                context.reason = Some("credentials");
                Refusal::origin_failed(false)
            })?;
        let reply = lead(&location, &context.request_id).map_err(|_| Refusal::internal())?;
        // How long it would have taken is the origin's business.
        let _ = context.meter.sent(bytes, Duration::ZERO);
        context.redirected = Some(bytes);
        context.done = Done::Redirect;
        Ok(reply)
    }
}

/// How many bytes of `size` a range asks for. `None` where there is more than one range, or none that can be read.
fn length(range: &str, size: u64) -> Option<u64> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let last = size.checked_sub(1)?;
    match (from.trim(), to.trim()) {
        ("", suffix) => suffix.parse::<u64>().ok().map(|suffix| suffix.min(size)),
        (from, to) => {
            let to = if to.is_empty() { last } else { to.parse::<u64>().ok()?.min(last) };
            (to + 1).checked_sub(from.parse().ok()?).filter(|bytes| *bytes > 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_charged_for_what_it_brings() {
        let cases = [
            ("bytes=0-99", 1000, Some(100)),
            ("bytes=900-", 1000, Some(100)),
            ("bytes=-100", 1000, Some(100)),
            ("bytes=-5000", 1000, Some(1000)),
            ("bytes=900-5000", 1000, Some(100)),
            ("bytes=999-999", 1000, Some(1)),
            ("bytes=1000-", 1000, None),
            ("bytes=5-4", 1000, None),
            ("bytes=0-", 0, None),
            ("bytes=0-1,5-6", 1000, None),
            ("bytes=0-18446744073709551615", 1000, Some(1000)),
            ("lines=1-2", 1000, None),
            ("", 1000, None),
        ];
        for (range, size, bytes) in cases {
            assert_eq!(length(range, size), bytes, "{range} of {size}");
        }
    }
}
