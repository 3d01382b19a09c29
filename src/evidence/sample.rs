//! The `sample` section of a policy file.

use crate::document::{Diagnostics, NonEmpty, Position, Spanned};
use crate::policy::{Policy, Sample};
use crate::report::Percent;
use crate::verdict::{Class, Mode};

crate::settings! {
    /// Whom a challenge meets that is held back for all others, to see who solves.
    pub struct SampleSettings {
        /// The part of all prefixes that is challenged, drawn anew each hour; `5%` where absent.
        share: Percent = Percent(0.05),
        /// The classes that are; `human` and `unknown` where absent.
        of: NonEmpty<Spanned<Class>> = NonEmpty([Class::Human, Class::Unknown].map(here).into()),
    }
}

fn here(class: Class) -> Spanned<Class> {
    Spanned { position: Position::default(), value: class }
}

impl SampleSettings {
    /// Checks what the types alone do not.
    pub fn check(&self, diagnostics: &mut Diagnostics) {
        for class in self.of.0.iter().filter(|class| class.value == Class::Ci) {
            diagnostics.error(class.position, "`ci` is never challenged: no machine of it could solve");
        }
    }

    /// Puts it into a policy whose file says `mode`, and warns where nothing comes of it.
    pub fn put_into(&self, policy: &mut Policy, mode: Mode, position: Position, diagnostics: &mut Diagnostics) {
        policy.set_sample(Sample::new(self.share.0, self.of.0.iter().map(|class| class.value).collect(), true));
        // Where the gateway file says `observe`, it is meant for later.
        let is_idle = policy.sample().is_none() && policy.mode() == mode;
        if is_idle && diagnostics.error_count() == 0 {
            let message = "nobody is sampled: no challenge has mode `sample`, or `auto` in a policy that enforces";
            diagnostics.warn(position, message);
        }
    }
}
