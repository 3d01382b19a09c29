//! Metrics: every family that the gateway exports, declared in this one place.
//!
//! Label values are closed sets: names from the configuration and words from enums. No text that a client sends is ever
//! a label value.

mod origins;
mod registrar;

pub use origins::OriginMetrics;

use crate::challenge::{PassError, RedeemError};
use crate::identity::Rejection;
use crate::identity::signature::Fault;
use prometheus::{
    CounterVec, Encoder, GaugeVec, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use registrar::Registrar;

/// Seconds; downloads of gigabytes take minutes, a first byte milliseconds.
const REQUEST_BUCKETS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0];
const FIRST_BYTE_BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Where a request's path does not belong to a site, and for the gateway's own pages.
pub const NO_SITE: &str = "none";

/// Handles on all families.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the HELP text beside each name in `new` is the documentation")]
pub struct Metrics {
    registry: Registry,
    pub requests: IntCounterVec,
    pub response_bytes: IntCounterVec,
    pub responses: IntCounterVec,
    pub would_be: IntCounterVec,
    pub withheld: IntCounterVec,
    pub request_seconds: HistogramVec,
    pub first_byte_seconds: HistogramVec,
    pub in_flight: IntGauge,
    pub limits_hit: IntCounterVec,
    pub slowed_requests: IntCounterVec,
    pub slowed_seconds: CounterVec,
    pub challenges_issued: IntCounterVec,
    pub challenges_solved: IntCounterVec,
    pub challenges_failed: IntCounterVec,
    pub passes_rejected: IntCounterVec,
    pub passes_renewed: IntCounterVec,
    pub passes_live: IntGauge,
    pub table_entries: IntGaugeVec,
    pub origins: OriginMetrics,
    pub redirected_bytes: IntCounterVec,
    pub malformed_requests: IntCounterVec,
    pub untrusted_forwarding: IntCounter,
    pub credentials_refreshes: IntCounterVec,
    pub credentials_expire: IntGaugeVec,
    pub signatures: IntCounterVec,
    pub tokens: IntCounterVec,
    pub clients_expire: IntGaugeVec,
    pub resolutions: IntCounterVec,
    pub connections: IntGauge,
    pub lookups: IntCounterVec,
    pub expression_errors: IntCounter,
    pub reloads: IntCounterVec,
    pub auto_active: IntGaugeVec,
    pub auto_evidence_ratio: GaugeVec,
    pub auto_switches: IntCounterVec,
    pub last_reload_good: IntGauge,
    pub loaded_at: IntGauge,
    pub feed_refreshes: IntCounterVec,
    pub feed_last_success: IntGaugeVec,
    pub feed_prefixes: IntGaugeVec,
    pub issuer_refreshes: IntCounterVec,
    pub issuer_last_success: IntGaugeVec,
    pub issuer_keys: IntGaugeVec,
    pub shared_state_up: IntGaugeVec,
    pub shared_state_exchanges: IntCounterVec,
    pub shared_state_exchange_seconds: HistogramVec,
    pub shared_state_counters: IntCounter,
    pub shared_state_dropped: IntCounter,
    pub shared_state_spends: IntCounterVec,
    pub ledger_up: IntGaugeVec,
    pub ledger_rows: IntGaugeVec,
    pub ledger_bytes: IntGaugeVec,
    pub ledger_last_write: IntGaugeVec,
    pub ledger_failed_writes: IntCounter,
    pub ledger_lost: IntCounter,
    pub ledger_damaged: IntCounter,
}

impl Metrics {
    /// Declares every family in a registry of its own.
    ///
    /// # Errors
    /// When two families share a name, which a test rules out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let r = Registrar(Registry::new());
        let build = r.gauges("build_info", "Always 1; the version is a label.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Metrics {
            requests: r.counters(
                "requests_total",
                "Requests that ended, by site, class, what was done (allow, deny, challenge, redirect, limit, refuse, internal) and \
                 mode (observe where the deciding rule is not enforced, or the request was allowed because another was held back).",
                &["site", "class", "action", "mode"],
            )?,
            response_bytes: r.counters(
                "response_bytes_total",
                "Bytes of response bodies sent to clients, labelled as requests_total. Exact for completed responses; \
                 for cancelled ones within the last batch of writes and the socket's buffer.",
                &["site", "class", "action", "mode"],
            )?,
            responses: r.counters("responses_total", "Responses by site and status code.", &["site", "status"])?,
            would_be: r.counters(
                "would_be_total",
                "Requests for which a held-back rule or limit would have acted, by site, class, rule and action.",
                &["site", "class", "rule", "action"],
            )?,
            withheld: r.counters(
                "withheld_total",
                "Requests that a rule with `mode: enforce` refused because its match could not be decided yet.",
                &["site", "rule"],
            )?,
            request_seconds: r.histograms(
                "request_seconds",
                "Seconds from the request's header to the end of the response.",
                &["site"],
                &REQUEST_BUCKETS,
            )?,
            first_byte_seconds: r.histograms(
                "first_byte_seconds",
                "Seconds from the request's header to the response's header.",
                &["site"],
                &FIRST_BYTE_BUCKETS,
            )?,
            in_flight: r.gauge("requests_in_flight", "Requests being answered now.")?,
            limits_hit: r.counters(
                "limits_hit_total",
                "Requests over a limit, by site, limit, mode (enforce, observe) and what happened (refuse, pace, or none where \
                 it is only observed).",
                &["site", "limit", "mode", "outcome"],
            )?,
            slowed_requests: r.counters(
                "slowed_requests_total",
                "Requests that were delayed, or whose body was held back, by site and class.",
                &["site", "class"],
            )?,
            slowed_seconds: r.register(CounterVec::new(
                Opts::new(
                    "windscreen_slowed_seconds_total",
                    "Seconds by which requests were delayed and bodies held back, by site and class.",
                ),
                &["site", "class"],
            ))?,
            challenges_issued: r.counters(
                "challenges_issued_total",
                "Challenge pages sent, by site and tier.",
                &["site", "tier"],
            )?,
            challenges_solved: r.counters("challenges_solved_total", "Challenges solved for the first time.", &["site"])?,
            challenges_failed: r.counters(
                "challenges_failed_total",
                "Submissions that bought no pass, by reason.",
                &["reason"],
            )?,
            passes_rejected: r.counters(
                "passes_rejected_total",
                "Requests whose pass was not honoured, by site and reason.",
                &["site", "reason"],
            )?,
            passes_renewed: r.counters("passes_renewed_total", "Passes renewed, by site.", &["site"])?,
            passes_live: r.gauge("passes_live", "Passes that have an account.")?,
            table_entries: r.gauges("table_entries", "Entries of keyed tables. Every table has a cap.", &["table"])?,
            origins: OriginMetrics::new(&r)?,
            redirected_bytes: r.counters(
                "redirected_bytes_total",
                "Bytes that clients were sent to fetch from an origin themselves, by site and class; an estimate, as if all came to the end.",
                &["site", "class"],
            )?,
            malformed_requests: r.counters(
                "malformed_requests_total",
                "Requests refused because they have no reading or two, by reason (target, host, framing, query, size).",
                &["reason"],
            )?,
            untrusted_forwarding: r.counter(
                "untrusted_forwarding_total",
                "Requests that bear a forwarding header from a peer that is not a listed proxy. They match no network.",
            )?,
            credentials_refreshes: r.counters(
                "credentials_refreshes_total",
                "Attempts to load credentials, by name and result (ok, error). After an error the last ones stay in use.",
                &["credentials", "result"],
            )?,
            credentials_expire: r.gauges(
                "credentials_expire_timestamp_seconds",
                "When credentials expire, in seconds since 1970; 0 if they do not.",
                &["credentials"],
            )?,
            tokens: r.counters(
                "tokens_total",
                "Requests that bore a token, by site and what was found: ok, or why it proves nothing.",
                &["site", "result"],
            )?,
            signatures: r.counters(
                "signatures_total",
                "Requests with a signature, by site and result: ok, or what was wrong (version, both, malformed, payload, \
                 date, unsigned, unknown-key, key-time, region, skew, early, expired, mismatch, scope).",
                &["site", "result"],
            )?,
            clients_expire: r.gauges(
                "clients_expire_timestamp_seconds",
                "When the entry of a client expires, in seconds since 1970; 0 if it does not.",
                &["client"],
            )?,
            resolutions: r.counters(
                "resolutions_total",
                "Look-ups of origins' host names, by site, origin and result (ok, error).",
                &["site", "origin", "result"],
            )?,
            connections: r.gauge("connections", "Client connections open now.")?,
            lookups: r.counters(
                "lookups_total",
                "What policy asked about clients' addresses in DNS, by kind (names, dnsbl) and result: hit where the answer was \
                 known, dropped where nobody could be asked, else what a look-up found (confirmed, unconfirmed, listed, \
                 unlisted, refused by the block list, error).",
                &["kind", "result"],
            )?,
            expression_errors: r.counter(
                "expression_errors_total",
                "Evaluations of `when` that failed; such a match does not hold.",
            )?,
            auto_active: r.gauges(
                "auto_active",
                "1 while the evidence has rules of mode auto enforced, else 0. There is none without an `auto` section: they are enforced.",
                &[],
            )?,
            auto_evidence_ratio: r.ratios(
                "auto_evidence_ratio",
                "How near the nearest condition of the policy's `auto` section is: at 1 rules of mode auto are switched on.",
                &[],
            )?,
            auto_switches: r.counters(
                "auto_switches_total",
                "How often rules of mode auto were switched, by what to: on, off.",
                &["to"],
            )?,
            reloads: r.counters(
                "config_reloads_total",
                "Attempts to load the configuration again, by result (ok, error). After an error nothing has changed.",
                &["result"],
            )?,
            last_reload_good: r.gauge(
                "config_last_reload_successful",
                "1 if the configuration in the files is the one in force, 0 if the last attempt to load it failed.",
            )?,
            loaded_at: r.gauge(
                "config_loaded_timestamp_seconds",
                "When the configuration in force was loaded, in seconds since 1970.",
            )?,
            feed_refreshes: r.counters(
                "feed_refreshes_total",
                "Attempts to refresh a feed, by result (ok, unchanged, error). After an error the last good one stays in use.",
                &["feed", "result"],
            )?,
            feed_last_success: r.gauges(
                "feed_last_success_timestamp_seconds",
                "When a feed was last known to be up to date, in seconds since 1970; 0 if never.",
                &["feed"],
            )?,
            feed_prefixes: r.gauges(
                "feed_prefixes",
                "CIDR blocks in use of a feed, by the filter that a network puts on it.",
                &["feed", "filter"],
            )?,
            issuer_refreshes: r.counters(
                "issuer_refreshes_total",
                "Attempts to fetch the keys of an issuer of tokens, by result (ok, error). After an error the last ones stay in use.",
                &["issuer", "result"],
            )?,
            issuer_last_success: r.gauges(
                "issuer_last_success_timestamp_seconds",
                "When the keys of an issuer were last fetched, in seconds since 1970; 0 if never.",
                &["issuer"],
            )?,
            issuer_keys: r.gauges("issuer_keys", "Keys of an issuer in use.", &["issuer"])?,
            // Without labels, but a family of one: it is not there where no state is shared, and 0 would alert.
            shared_state_up: r.gauges(
                "shared_state_up",
                "1 if the last exchange with the store went well, 0 while this replica counts alone.",
                &[],
            )?,
            shared_state_exchanges: r.counters(
                "shared_state_exchanges_total",
                "Attempts to exchange counters with the store, by result (ok, unreachable, timeout, lost, denied, full, readonly, error).",
                &["result"],
            )?,
            shared_state_exchange_seconds: r.histograms(
                "shared_state_exchange_seconds",
                "Seconds that an attempt to exchange counters took, with all its batches.",
                &[],
                &FIRST_BYTE_BUCKETS,
            )?,
            shared_state_counters: r.counter(
                "shared_state_counters_total",
                "Counters whose changes the store has taken, each time that it did.",
            )?,
            shared_state_dropped: r.counter(
                "shared_state_dropped_total",
                "Changes of counters that were dropped: too many waited for the store, or no answer tells whether it took them.",
            )?,
            shared_state_spends: r.counters(
                "shared_state_spends_total",
                "What was to be spent once over all replicas, by result (first, again, unavailable).",
                &["result"],
            )?,
            // Families of one, too: no ledger is not a ledger that fails.
            ledger_up: r.gauges(
                "ledger_up",
                "1 if the ledger was written the last time, 0 while what was counted waits in memory.",
                &[],
            )?,
            ledger_rows: r.gauges("ledger_rows", "Rows of sums in the ledger.", &[])?,
            ledger_bytes: r.gauges("ledger_bytes", "Bytes of the ledger's file that are in use.", &[])?,
            ledger_last_write: r.gauges(
                "ledger_last_write_timestamp_seconds",
                "When the ledger was last written, in seconds since 1970.",
                &[],
            )?,
            ledger_failed_writes: r.counter("ledger_failed_writes_total", "Attempts to write the ledger that failed.")?,
            ledger_lost: r.counter(
                "ledger_lost_requests_total",
                "Requests that the ledger will never hold: it could not be written for two days.",
            )?,
            ledger_damaged: r.counter(
                "ledger_damaged_total",
                "Ledgers that were found damaged and moved aside.",
            )?,
            registry: r.0,
        };
        // Families with closed reasons show zeros from the start, so that alerts see the first increase.
        for reason in RedeemError::ALL {
            metrics.challenges_failed.with_label_values(&[reason.word()]);
        }
        for result in ["ok", "error"] {
            metrics.reloads.with_label_values(&[result]);
        }
        for reason in ["target", "host", "framing", "query", "size"] {
            metrics.malformed_requests.with_label_values(&[reason]);
        }
        Ok(metrics)
    }

    /// Makes the families of `site` show zeros.
    pub fn introduce_site(&self, site: &str) {
        self.challenges_solved.with_label_values(&[site]);
        self.passes_renewed.with_label_values(&[site]);
        for result in Fault::WORDS.into_iter().chain(["ok"]) {
            self.signatures.with_label_values(&[site, result]);
        }
        for result in Rejection::ALL.map(Rejection::word).into_iter().chain(["ok"]) {
            self.tokens.with_label_values(&[site, result]);
        }
        for reason in PassError::ALL {
            self.passes_rejected.with_label_values(&[site, reason.word()]);
        }
    }

    /// All families in the Prometheus text format.
    ///
    /// # Errors
    /// When a family cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// The names of all families that have been used so far.
    pub fn names(&self) -> Vec<String> {
        self.registry.gather().iter().map(|family| family.name().to_owned()).collect()
    }
}
