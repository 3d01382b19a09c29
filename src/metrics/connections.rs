//! What happens to connections of clients.

use super::registrar::Registrar;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// Handles on these families.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the HELP text beside each name in `new` is the documentation")]
pub struct ConnectionMetrics {
    pub open: IntGauge,
    pub refused: IntCounterVec,
    pub cut: IntCounterVec,
    pub certificates_expire: IntGaugeVec,
    pub panics: IntCounter,
}

impl ConnectionMetrics {
    /// Why a connection is closed before its first request.
    pub const REFUSED: [&'static str; 6] = ["full", "address", "proxy_protocol", "tls", "slow", "error"];
    /// Why a connection is closed later.
    pub const CUT: [&'static str; 5] = ["idle", "slow", "stalled", "resets", "blocked"];

    pub(super) fn new(r: &Registrar) -> Result<Self, prometheus::Error> {
        let metrics = ConnectionMetrics {
            open: r.gauge("connections", "Client connections open now, idle ones included.")?,
            refused: r.counters(
                "connections_refused_total",
                "Connections that were closed before their first request, by reason: full (`connections.most`), address \
                 (`connections.most_per_address`), proxy_protocol (a proxy did not say who the client is), tls (the \
                 handshake failed), slow (it took too long), error (the system could not accept one).",
                &["reason"],
            )?,
            cut: r.counters(
                "connections_cut_total",
                "Connections that were closed before their end, by reason: idle (no request came), slow (the \
                 headers of a request took too long), stalled (the client did not take what it asked for), \
                 resets (over HTTP/2 it left most of what it asked for), blocked (an operator blocked the client during a \
                 transfer; over HTTP/2 that alone ends).",
                &["reason"],
            )?,
            certificates_expire: r.gauges(
                "certificate_expires_timestamp_seconds",
                "When a certificate of a listener expires, in seconds since 1970, by the file's path in the gateway file.",
                &["certificate"],
            )?,
            panics: r.counter(
                "panics_total",
                "Requests that ended in a mistake of ours. Please report them, with the line on standard error.",
            )?,
        };
        for reason in Self::REFUSED {
            metrics.refused.with_label_values(&[reason]);
        }
        for reason in Self::CUT {
            metrics.cut.with_label_values(&[reason]);
        }
        Ok(metrics)
    }
}
