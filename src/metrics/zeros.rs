//! Series that show zeros before anything happens: what first shows as 1 has not increased, so no alert would see it.

use super::Metrics;
use crate::challenge::{PassError, RedeemError};
use crate::identity::Rejection;
use crate::identity::signature::Fault;
use crate::verdict::{Class, Done};

impl Metrics {
    /// Makes families show zeros that are not about a site.
    pub(super) fn introduce(&self) {
        for reason in RedeemError::ALL {
            self.challenges_failed.with_label_values(&[reason.word()]);
        }
        for result in ["ok", "error"] {
            self.reloads.with_label_values(&[result]);
        }
        for reason in ["target", "host", "framing", "query", "size"] {
            self.malformed_requests.with_label_values(&[reason]);
        }
    }

    /// Makes the families of `site` and its origins show zeros.
    pub fn introduce_site<'o>(&self, site: &str, origins: impl IntoIterator<Item = &'o str>) {
        origins.into_iter().for_each(|origin| self.origins.introduce(site, origin));
        for class in [Class::Human, Class::Ci] {
            for done in [Done::Allow, Done::Deny, Done::Challenge, Done::Limit] {
                self.requests.with_label_values(&[site, class.word(), done.word(), "enforce"]);
            }
        }
        self.challenges_solved.with_label_values(&[site]);
        self.passes_waited.with_label_values(&[site]);
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
}
