//! The `auto` section of a policy file.

use crate::document::{Diagnostics, NonEmpty, Spanned};
use crate::quantity::{Bytes, Rate};
use crate::report::{Monthly, Percent};
use crate::verdict::Class;
use std::time::Duration;

/// The longest span that is known.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

crate::settings! {
    /// When rules of mode `auto` are enforced.
    pub struct AutoSettings {
        /// The classes whose traffic counts; `declared-bot`, `suspect` and `unknown` where absent.
        classes: NonEmpty<Class> = NonEmpty(vec![Class::DeclaredBot, Class::Suspect, Class::Unknown]),
        /// Conditions, of which one is enough.
        any: NonEmpty<Spanned<TriggerSettings>>,
        /// For how long no condition must hold before rules are held back again; 6 h where absent.
        hold: Duration = Duration::from_secs(6 * 3600),
    }
}

crate::settings! {
    /// A condition; all keys in it must hold.
    #[derive(Default, PartialEq)]
    pub struct TriggerSettings {
        /// The classes are sent so much within `per`, e.g. `20 GB`.
        bytes: Option<Bytes> = None,
        /// The classes ask so often, e.g. `50/s`, over `per`.
        requests: Option<Rate> = None,
        /// A month like the last day would cost so much for the classes, e.g. `25 USD/month`.
        projected_cost: Option<Monthly> = None,
        /// This part of requests to origins fails over `per`, whoever asks, e.g. `5%`. It takes twenty requests.
        origin_errors: Option<Percent> = None,
        /// Origins take so long until the first byte, on average over `per`, whoever asks. It takes twenty requests.
        origin_latency: Option<Duration> = None,
        /// The machine's load average over a minute is at least this.
        load: Option<f64> = None,
        /// The span of time that is looked at: 1 m to 24 h, in whole minutes; 10 m where absent.
        per: Duration = Duration::from_secs(600),
    }
}

impl AutoSettings {
    /// Checks what the types alone do not.
    pub fn check(&self, diagnostics: &mut Diagnostics) {
        for Spanned { position, value } in &self.any.0 {
            let nothing = TriggerSettings { per: value.per, ..TriggerSettings::default() };
            if *value == nothing {
                let message = "expected at least one of `bytes`, `requests`, `projected_cost`, `origin_errors`, \
                               `origin_latency` and `load`";
                diagnostics.error(*position, message);
            }
            if value.per < Duration::from_secs(60) || value.per > LONGEST {
                diagnostics.error(*position, "`per` is from `1m` to `24h`");
            }
        }
    }
}
