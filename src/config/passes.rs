//! The limits that the challenge needs: those that passes are charged to, and the one that counts passes bought.

use crate::challenge::{HarderSettings, PARTS};
use crate::document::{Diagnostics, Spanned};
use crate::limit::{KeyBy, LimitSettings, Over};
use crate::policy::Names;
use crate::quantity::Rate;
use crate::verdict::LimitId;
use std::num::NonZeroU32;

/// No limit of a policy is called so: names have no spaces.
const SOLVES: &str = "passes bought";

/// The limits that passes are charged to. They must count requests.
pub(super) fn pass_limits_of(
    names: &[Spanned<String>],
    limits: &[(String, LimitSettings)],
    known: &Names,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<LimitId>> {
    let ids = known.limits(names, diagnostics)?;
    for (id, name) in ids.iter().zip(names) {
        if limits.get(*id).is_some_and(|(_, settings)| settings.requests.is_none()) {
            let message = format!("passes are charged as requests, and the limit `{}` counts none", name.value);
            diagnostics.error(name.position, message);
        }
    }
    Some(ids)
}

/// Counts parts of passes, and never refuses; what is owed on it says how much harder the next challenge is.
pub(super) fn solves(harder: &HarderSettings) -> (String, LimitSettings) {
    let settings = LimitSettings {
        key: KeyBy::PREFIX,
        requests: Some(Rate { count: harder.after.get().saturating_mul(PARTS), per: harder.per }),
        burst: NonZeroU32::new(harder.after.get().saturating_mul(8 * PARTS)),
        bytes: None,
        transfers: None,
        over: Over::Pace,
    };
    (SOLVES.to_owned(), settings)
}
