//! Metrics: every family that the gateway exports, declared in this one place.
//!
//! Label values are closed sets: names from the configuration and words from enums. No text that a client sends is ever
//! a label value.

mod connections;
mod costs;
mod modes;
mod origins;
mod registrar;
mod samples;
mod zeros;

pub use connections::ConnectionMetrics;
pub use costs::CostMetrics;
pub use modes::ModeMetrics;
pub use origins::OriginMetrics;
pub use registrar::Family;
pub use samples::{Labels, Samples};

use prometheus::{
    CounterVec, Encoder, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
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
    families: Vec<Family>,
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
    pub passes_waited: IntCounterVec,
    pub passes_live: IntGauge,
    pub table_entries: IntGaugeVec,
    pub origins: OriginMetrics,
    pub costs: CostMetrics,
    pub redirected_bytes: IntCounterVec,
    pub malformed_requests: IntCounterVec,
    pub untrusted_forwarding: IntCounter,
    pub credentials_refreshes: IntCounterVec,
    pub credentials_expire: IntGaugeVec,
    pub signatures: IntCounterVec,
    pub tokens: IntCounterVec,
    pub clients_expire: IntGaugeVec,
    pub resolutions: IntCounterVec,
    pub connections: ConnectionMetrics,
    pub lookups: IntCounterVec,
    pub expression_errors: IntCounter,
    pub reloads: IntCounterVec,
    pub modes: ModeMetrics,
    pub runtime_decisions: IntGaugeVec,
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
        let r = Registrar::default();
        let build = r.gauges("build_info", "Always 1; the version is a label.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Metrics {
            requests: r.counters(
                "requests_total",
                "Requests that ended, by site (`none` where the address is that of no site), class of the client \
                 (ci, human, declared-bot, tool, suspect, unknown), action that was taken (allow, deny, challenge, redirect, limit, refuse, internal) and mode (observe where the deciding rule is not enforced, or \
                 the request was allowed because another was held back; sample where a challenge was in force for the sample alone; else enforce).",
                &["site", "class", "action", "mode"],
            )?,
            response_bytes: r.counters(
                "response_bytes_total",
                "Bytes of response bodies sent to clients, labelled as windscreen_requests_total. Exact for \
                 completed responses; for cancelled ones within the last batch of writes and the socket's buffer.",
                &["site", "class", "action", "mode"],
            )?,
            responses: r.counters("responses_total", "Responses by site and HTTP status code; `none` where the client left before there was one.", &["site", "status"])?,
            would_be: r.counters(
                "would_be_total",
                "Requests that were let pass and for which a held-back rule or limit would have acted, by site, \
                 class, the first such rule, and its action (deny, challenge, redirect, limit). It \
                 tells whom `mode: enforce` would stop.",
                &["site", "class", "rule", "action"],
            )?,
            withheld: r.counters(
                "withheld_total",
                "Requests answered 503 because a `deny` rule with its own `mode: enforce` could not be decided yet, \
                 by site and rule: a feed not read so far, say. It should end within minutes of a start; the access \
                 log has `reason: undecided`.",
                &["site", "rule"],
            )?,
            request_seconds: r.histograms(
                "request_seconds",
                "Seconds from the request's header to the end of the response, by site. Downloads take as long as \
                 the client, so for the gateway's own speed look at windscreen_first_byte_seconds.",
                &["site"],
                &REQUEST_BUCKETS,
            )?,
            first_byte_seconds: r.histograms(
                "first_byte_seconds",
                "Seconds from the request's header to the response's header, by site: the origin's time, the \
                 gateway's own, and delays by limits.",
                &["site"],
                &FIRST_BYTE_BUCKETS,
            )?,
            in_flight: r.gauge("requests_in_flight", "Requests being answered now, bodies under way included.")?,
            limits_hit: r.counters(
                "limits_hit_total",
                "Requests over a limit, by site, limit, mode (enforce, observe) and outcome (refuse: answered 429 or 503; pace: slowed down; none: only observed). Who was stopped by a limit is in \
                 windscreen_requests_total{action=\"limit\"}, by class.",
                &["site", "limit", "mode", "outcome"],
            )?,
            slowed_requests: r.counters(
                "slowed_requests_total",
                "Requests that a limit delayed, or whose body was held back, by site and class.",
                &["site", "class"],
            )?,
            slowed_seconds: r.sums(
                "slowed_seconds_total",
                "Seconds by which requests were delayed and bodies held back, by site and class. By windscreen_slowed_requests_total it is what one of them lost.",
                &["site", "class"],
            )?,
            challenges_issued: r.counters(
                "challenges_issued_total",
                "Challenge pages sent, by site and tier. A page is sent again for each visit without a pass.",
                &["site", "tier"],
            )?,
            challenges_solved: r.counters("challenges_solved_total", "Challenges solved for the first time, each of which bought a pass, by site. Far fewer than were \
                 issued is right for scrapers, and wrong for people: compare with requests of class human.", &["site"])?,
            challenges_failed: r.counters(
                "challenges_failed_total",
                "Submissions of solutions that bought no pass, by reason. A few are people with old pages; many are \
                 somebody who tries.",
                &["reason"],
            )?,
            passes_rejected: r.counters(
                "passes_rejected_total",
                "Requests whose pass was not honoured, by site and reason. The request goes on as if it bore none.",
                &["site", "reason"],
            )?,
            passes_waited: r.counters("passes_waited_total", "Passes given to browsers that run no scripts, for waiting, by site.", &["site"])?,
            passes_renewed: r.counters("passes_renewed_total", "Passes that were renewed while in use, by site.", &["site"])?,
            passes_live: r.gauge("passes_live", "Passes that have an account at this replica, and so can be used up.")?,
            table_entries: r.gauges("table_entries", "Entries of tables that are keyed by clients, by table. Every table has a cap and goes on at it: \
                 limit:NAME counts by coarser networks, others forget the oldest.", &["table"])?,
            origins: OriginMetrics::new(&r)?,
            costs: CostMetrics::new(&r)?,
            redirected_bytes: r.counters(
                "redirected_bytes_total",
                "Bytes that clients were sent to fetch from an origin themselves, by site and class; an estimate, \
                 as if all came to the end. They are not in windscreen_response_bytes_total.",
                &["site", "class"],
            )?,
            malformed_requests: r.counters(
                "malformed_requests_total",
                "Requests refused because they have no reading or two, by reason (target, host, framing, query, size).",
                &["reason"],
            )?,
            untrusted_forwarding: r.counter(
                "untrusted_forwarding_total",
                "Requests that bear a forwarding header from a peer that is not in `trusted_proxies`. They match no \
                 network. If most requests do, list your proxy there; else it is a forger.",
            )?,
            credentials_refreshes: r.counters(
                "credentials_refreshes_total",
                "Attempts to load the credentials for origins, by name and result (ok, error). After an error the \
                 last ones stay in use, until they expire.",
                &["credentials", "result"],
            )?,
            credentials_expire: r.gauges(
                "credentials_expire_timestamp_seconds",
                "When the credentials in use for origins expire, in seconds since 1970; 0 if they do not, or are \
                 not there.",
                &["credentials"],
            )?,
            tokens: r.counters(
                "tokens_total",
                "Requests that bore a token, by site and result: ok, or why it proves nothing. Such a \
                 request is refused.",
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
                "When the entry of a client in `clients` expires, in seconds since 1970; 0 if it does not. From \
                 then on its signatures and tokens are refused.",
                &["client"],
            )?,
            resolutions: r.counters(
                "resolutions_total",
                "Look-ups of origins' host names in DNS, by site, origin and result (ok, error). After an error the \
                 addresses known before stay in use.",
                &["site", "origin", "result"],
            )?,
            connections: ConnectionMetrics::new(&r)?,
            lookups: r.counters(
                "lookups_total",
                "What policy asked about clients' addresses in DNS, by kind (names, dnsbl) and result: hit where the answer was \
                 known, dropped where nobody could be asked, else what a look-up found (confirmed, unconfirmed, listed, \
                 unlisted, refused by the block list, error).",
                &["kind", "result"],
            )?,
            expression_errors: r.counter(
                "expression_errors_total",
                "Evaluations of `when` that failed, in which case the match does not hold. `windscreen explain` \
                 shows which one; give it a condition that excludes such requests.",
            )?,
            runtime_decisions: r.gauges(
                "runtime_decisions",
                "What operators have decided beside the policy and still holds, by kind: block, allow (protection is held back for a prefix), off \
                 (for everybody). `windscreen decisions` lists them.",
                &["kind"],
            )?,
            modes: ModeMetrics::new(&r)?,
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
                "When a feed was last known to be up to date, in seconds since 1970; 0 if never. They are fetched \
                 every 12 hours unless `feeds.refresh` says otherwise; an old feed stays in use.",
                &["feed"],
            )?,
            feed_prefixes: r.gauges(
                "feed_prefixes",
                "CIDR blocks of a feed that are in use, by the filter that a network of the policy puts on it. 0 \
                 means that nobody is in that network.",
                &["feed", "filter"],
            )?,
            issuer_refreshes: r.counters(
                "issuer_refreshes_total",
                "Attempts to fetch the keys of an issuer of tokens, by result (ok, error). After an error the last ones stay in use.",
                &["issuer", "result"],
            )?,
            issuer_last_success: r.gauges(
                "issuer_last_success_timestamp_seconds",
                "When the keys of an issuer of tokens were last fetched, in seconds since 1970; 0 if never. They \
                 are fetched at least once a day.",
                &["issuer"],
            )?,
            issuer_keys: r.gauges("issuer_keys", "Keys of an issuer of tokens that are in use; with 0 none of its tokens is accepted.", &["issuer"])?,
            // Without labels, but a family of one: it is not there where no state is shared, and 0 would alert.
            shared_state_up: r.gauges(
                "shared_state_up",
                "1 if the last exchange with the store of `shared_state` went well, 0 while this replica counts \
                 alone; absent where no state is shared.",
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
                "Challenges and other things that are good once over all replicas, by result (first; again: \
                 somebody tried twice; unavailable: no answer from the store, so it counts at this replica alone).",
                &["result"],
            )?,
            // Families of one, too: no ledger is not a ledger that fails.
            ledger_up: r.gauges(
                "ledger_up",
                "1 if the ledger was written the last time, 0 while what was counted waits in memory; absent where \
                 there is no ledger. It waits for 48 hours.",
                &[],
            )?,
            ledger_rows: r.gauges("ledger_rows", "Rows of sums in the ledger's file.", &[])?,
            ledger_bytes: r.gauges("ledger_bytes", "Bytes of the ledger's file that are in use. Above `max_size` the oldest rows go.", &[])?,
            ledger_last_write: r.gauges(
                "ledger_last_write_timestamp_seconds",
                "When the ledger was last written, in seconds since 1970.",
                &[],
            )?,
            ledger_failed_writes: r.counter("ledger_failed_writes_total", "Attempts to write the ledger that failed; each is tried again.")?,
            ledger_lost: r.counter(
                "ledger_lost_requests_total",
                "Requests that the ledger will never hold, since it could not be written for two days. Reports lack \
                 them.",
            )?,
            ledger_damaged: r.counter(
                "ledger_damaged_total",
                "Times that the ledger's file was found damaged and moved aside; a new one was begun beside it.",
            )?,
            registry: r.registry,
            families: r.families.into_inner(),
        };
        metrics.introduce();
        Ok(metrics)
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

    /// Every family, used or not.
    pub fn families(&self) -> &[Family] {
        &self.families
    }
}
