//! What origins are asked, and what they answer.

use super::FIRST_BYTE_BUCKETS;
use super::registrar::Registrar;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

/// How requests to origins fail.
const KINDS: [&str; 9] =
    ["connect", "timeout", "tls", "reset", "unresolved", "credentials", "status", "protocol", "diverged"];

/// Handles on the families about origins.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the HELP text beside each name in `new` is the documentation")]
pub struct OriginMetrics {
    pub requests: IntCounterVec,
    pub bytes: IntCounterVec,
    pub errors: IntCounterVec,
    pub first_byte_seconds: HistogramVec,
    pub up: IntGaugeVec,
    pub divergences: IntCounterVec,
    pub comparisons: IntCounterVec,
    pub fallback_responses: IntCounterVec,
    pub fallback_bytes: IntCounterVec,
}

impl OriginMetrics {
    pub(super) fn new(r: &Registrar) -> Result<Self, prometheus::Error> {
        Ok(OriginMetrics {
            requests: r.counters(
                "origin_requests_total",
                "Answers of origins, by site, origin and class of the status (2xx to 5xx). Those that did not \
                 answer are in windscreen_origin_errors_total.",
                &["site", "origin", "status_class"],
            )?,
            bytes: r.counters(
                "origin_bytes_total",
                "Bytes of response bodies received from origins, by site and origin. Read ahead of a client that leaves, so more than was sent.",
                &["site", "origin"],
            )?,
            errors: r.counters(
                "origin_errors_total",
                "Requests to origins that failed, by site, origin and kind (connect, timeout, tls, reset, \
                 unresolved, credentials, status: an answer that is neither the object nor its absence, protocol, \
                 diverged: another object than another origin had). Another address or origin may have answered in \
                 its place.",
                &["site", "origin", "kind"],
            )?,
            first_byte_seconds: r.histograms(
                "origin_first_byte_seconds",
                "Seconds from sending a request to an origin to its response's header, by site and origin.",
                &["site", "origin"],
                &FIRST_BYTE_BUCKETS,
            )?,
            up: r.gauges(
                "origin_up",
                "1 if the last connection check reached an address of the origin, else 0, by site and origin. It is \
                 checked every 10 seconds without asking for anything.",
                &["site", "origin"],
            )?,
            divergences: r.counters(
                "origin_divergences_total",
                "Answers of origins with another object of the same name than another origin had just had, by site and the later origin.",
                &["site", "origin"],
            )?,
            comparisons: r.counters(
                "origin_comparisons_total",
                "Objects of the first origin that were compared with another one, by site, the other origin and result (same, differs, lacks, failed).",
                &["site", "origin", "result"],
            )?,
            fallback_responses: r.counters(
                "fallback_responses_total",
                "Objects from an origin that is not the site's first, by site, that origin, and reason: miss (those \
                 before it lack it), failure (they could not say).",
                &["site", "origin", "reason"],
            )?,
            fallback_bytes: r.counters(
                "fallback_bytes_total",
                "Bytes of response bodies in windscreen_fallback_responses_total, labelled as that.",
                &["site", "origin", "reason"],
            )?,
        })
    }

    /// Makes what alerts look at show zeros.
    pub(super) fn introduce(&self, site: &str, origin: &str) {
        for kind in KINDS {
            self.errors.with_label_values(&[site, origin, kind]);
        }
        for reason in ["miss", "failure"] {
            self.fallback_responses.with_label_values(&[site, origin, reason]);
        }
    }
}
