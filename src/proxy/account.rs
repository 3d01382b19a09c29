//! The books: what a request came to, in metrics, in the books of traffic and as one line of the access log.

use super::Front;
use super::connection::{Busy, fingerprint};
use super::context::Context;
use super::entry::would;
use crate::facts::header_text;
use crate::metrics::NO_SITE;
use crate::referer::path_at;
use crate::signal::Signals;
use crate::state::Fetch;
use crate::verdict::{Class, Done};
use http::header::{REFERER, USER_AGENT};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource};

/// Client-sent text longer than this is cut in the access log.
const MAX_LOGGED: usize = 512;

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_LOGGED)]
}

/// The words of the signals that are there.
fn words(signals: Option<Signals>) -> Option<String> {
    let words: Vec<&str> = signals?.present().map(|signal| signal.word()).collect();
    (!words.is_empty()).then(|| words.join(","))
}

impl Front {
    /// Has memory note what was asked for, and how it was answered.
    pub(super) fn note_fetch(&self, request: &RequestHeader, status: u16, bytes: u64, context: &Context) {
        let (Some(caller), Some(site), Some(path)) = (&context.caller, &context.site, &context.path) else { return };
        let header = |name| request.headers.get(name).map(header_text);
        let referer = header(REFERER).and_then(|referer| path_at(referer, &context.host));
        self.gateway.memory.note_fetch(&Fetch {
            at: context.now,
            prefix: caller.client.prefix,
            user_agent: header(USER_AGENT).unwrap_or_default(),
            site: &site.name,
            path: path.as_str(),
            referer: referer.and_then(|path| path.strip_prefix(site.prefix.as_deref().unwrap_or_default())),
            status,
            bytes,
        });
    }

    pub(super) fn account(&self, session: &Session, error: Option<&Error>, context: &mut Context) {
        if let Some(sharing) = context.busy.as_ref().and_then(|busy| busy.connection().sharing.as_ref()) {
            sharing.ended(error.is_some_and(|error| error.esource() == &ErrorSource::Downstream));
        }
        let metrics = &self.gateway.metrics;
        let sent = session.body_bytes_sent() as u64;
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let elapsed = context.stopwatch.elapsed();
        if let Some(pass) = &mut context.pass {
            let parts = pass.charge(context.redirected.unwrap_or(sent));
            self.count_bought(pass.pass(), parts);
            self.note_doing(session.req_header(), context);
        }

        let is_about_the_object = context.origin_stopwatch.is_some() || context.reason == Some("missing");
        if status >= 400 && is_about_the_object {
            self.note_fetch(session.req_header(), status, 0, context);
        }

        let site = context.site.as_ref().map_or(NO_SITE, |site| &*site.name);
        let verdict = context.verdict.as_ref();
        let class = verdict.map_or(Class::Unknown, |verdict| verdict.class).word();
        let held_back = verdict.and_then(|verdict| verdict.held_back.as_ref());
        let passed_over = held_back.is_some() && context.done == Done::Allow;
        let observed = passed_over || verdict.is_some_and(|verdict| !verdict.enforced);
        let sampled = verdict.is_some_and(|verdict| verdict.sampled);
        let mode = if sampled {
            "sample"
        } else if observed {
            "observe"
        } else {
            "enforce"
        };
        let labels = [site, class, context.done.word(), mode];
        metrics.requests.with_label_values(&labels).inc();
        metrics.response_bytes.with_label_values(&labels).inc_by(sent);
        let code = if status == 0 { "none".into() } else { status.to_string() };
        metrics.responses.with_label_values(&[site, &code]).inc();
        metrics.request_seconds.with_label_values(&[site]).observe(elapsed.as_secs_f64());
        if let Some(bytes) = context.redirected {
            metrics.redirected_bytes.with_label_values(&[site, class]).inc_by(bytes);
        }
        if let Some(first) = context.first_byte {
            metrics.first_byte_seconds.with_label_values(&[site]).observe(first.as_secs_f64());
        }
        let slowed = context.delay + context.held;
        if !slowed.is_zero() {
            metrics.slowed_requests.with_label_values(&[site, class]).inc();
            metrics.slowed_seconds.with_label_values(&[site, class]).inc_by(slowed.as_secs_f64());
        }
        if let Some(would) = would(context) {
            metrics.would_be.with_label_values(&[site, class, &*would.rule, would.action]).inc();
        }
        if let Some(verdict) = verdict {
            metrics.expression_errors.inc_by(verdict.errors.into());
            if let Some(caller) = context.caller.filter(|_| verdict.strikes > 0.0) {
                self.gateway.memory.strike(caller.client.prefix, verdict.strikes, context.now);
            }
        }
        let origin = context.site.as_ref().filter(|_| context.origin_stopwatch.is_some());
        let origin = origin.and_then(|site| site.origins.get(context.route.attempt));
        if let Some(origin) = origin {
            metrics.origins.bytes.with_label_values(&[site, &*origin.name]).inc_by(context.origin_bytes);
            if let Some(fallback) = context.route.fallback {
                let labels = [site, &*origin.name, fallback.word()];
                metrics.origins.fallback_responses.with_label_values(&labels).inc();
                metrics.origins.fallback_bytes.with_label_values(&labels).inc_by(sent);
            }
        }

        let request = session.req_header();
        self.enter(request, origin, status, sent, context);
        let header = |name| request.headers.get(name).map(|value| cut(header_text(value)));
        // The query is left out: a presigned one is a secret.
        let path = match &context.path {
            Some(path) => path.as_str().to_owned(),
            None => {
                let target = String::from_utf8_lossy(request.raw_path()).into_owned();
                target.split('?').next().unwrap_or_default().to_owned()
            }
        };
        let caller = context.caller.as_ref();
        tracing::info!(
            target: "access",
            request_id = context.request_id,
            site,
            client = caller.map(|c| tracing::field::display(c.client.address)),
            prefix = caller.map(|c| tracing::field::display(c.client.prefix)),
            trusted = caller.map(|c| c.client.trusted),
            method = cut(request.method.as_str()),
            path = cut(&path),
            status,
            bytes = sent,
            class,
            identity = caller.map(|c| c.identity.word()),
            client_name = context.entry.as_ref().map(|entry| &*entry.name),
            dialect = caller.map(|c| c.dialect.word()),
            rule = verdict.map(|v| &*v.rule),
            action = context.done.word(),
            mode,
            reason = context.reason,
            decision = verdict.and_then(|v| v.decided.as_ref()).map(|decision| decision.kind.word()),
            decision_reason = verdict.and_then(|v| v.decided.as_ref()).map(|decision| &*decision.reason),
            signals = verdict.and_then(|v| words(v.signals)),
            weight = verdict.map(|v| v.weight).filter(|weight| *weight != 0),
            strikes = verdict.map(|v| v.strikes).filter(|strikes| *strikes > 0.0),
            slow = verdict.and_then(|v| v.slow),
            undecided = verdict.and_then(|v| v.undecided.as_deref()),
            would_rule = held_back.map(|held| &*held.rule),
            would_action = held_back.map(|held| held.action),
            limit = context.limit.as_ref().map(|over| &*over.limit),
            delay_seconds = Some(context.delay.as_secs_f64()).filter(|seconds| *seconds > 0.0),
            held_seconds = Some(context.held.as_secs_f64()).filter(|seconds| *seconds > 0.0),
            origin = origin.map(|origin| &*origin.name),
            origin_bytes = context.origin_bytes,
            fallback = context.route.fallback.map(|fallback| fallback.word()),
            redirected_bytes = context.redirected,
            error = error.map(|error| error.etype().as_str()),
            seconds = elapsed.as_secs_f64(),
            first_byte_seconds = context.first_byte.map(|first| first.as_secs_f64()),
            ja4 = fingerprint(context.busy.as_ref().map(Busy::connection)).present(),
            user_agent = header(USER_AGENT),
            referer = header(REFERER).map(|referer| referer.split('?').next().unwrap_or_default()),
        );
    }
}
