//! The `challenge` section of a policy file.

use super::pass::Pass;
use crate::document::{Decode, Diagnostics, Node, Schemas, Spanned, decode_names, integer, names};
use crate::quantity::Bytes;
use serde_json::{Map, Value};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const REQUESTS: NonZeroU32 = NonZeroU32::new(300).unwrap();
/// A page and what it is made of, a few times.
const WAITED_REQUESTS: NonZeroU32 = NonZeroU32::new(20).unwrap();
const AFTER: NonZeroU32 = NonZeroU32::new(10).unwrap();
const PREFIXES: NonZeroU32 = NonZeroU32::new(3).unwrap();

crate::settings! {
    /// How hard challenges are and what a pass is worth.
    pub struct ChallengeSettings {
        /// Difficulty by tier: 64 to 8192, the expected number of trials per solution. 1024 takes a desktop about half
        /// a second.
        tiers: Tiers = Tiers::default(),
        /// What a pass is worth.
        pass: PassSettings = PassSettings::default(),
        /// Limits that every pass is charged to, as one request of whoever buys it.
        limits: Vec<Spanned<String>> = Vec::new(),
        /// How browsers without JavaScript get a pass by waiting; not at all where absent.
        wait: Option<WaitSettings> = None,
        /// How challenges get harder for a prefix that buys many passes.
        harder: HarderSettings = HarderSettings::default(),
        /// How long an expired but authentic pass is still renewed on a same-origin fetch (a laptop that slept).
        grace: Duration = 24 * HOUR,
    }
}

crate::settings! {
    /// What a pass is worth.
    #[derive(Copy)]
    pub struct PassSettings {
        /// Requests per pass; only requests that needed it count.
        requests: NonZeroU32 = REQUESTS,
        /// Response bytes per pass.
        bytes: Bytes = Bytes(300_000_000),
        /// How long a pass lives before it is renewed.
        per: Duration = HOUR,
        /// How many address prefixes may use it at a time: roaming, dual stack.
        prefixes: NonZeroU32 = PREFIXES,
        /// How long a pass that is used modestly is renewed.
        renew_until: Duration = 24 * HOUR,
    }
}

crate::settings! {
    /// A pass for those who wait, because their browser runs no scripts. It costs a scraper nothing but time: the
    /// limits are what bounds it.
    pub struct WaitSettings {
        /// How long to wait: 1 s to 60 s.
        after: Patience = Patience(Duration::from_secs(8)),
        /// The tiers that it is a way around.
        tiers: Vec<Spanned<String>>,
        /// Requests per pass.
        requests: NonZeroU32 = WAITED_REQUESTS,
        /// Response bytes per pass.
        bytes: Bytes = Bytes(20_000_000),
        /// How long a pass lives. It is not renewed.
        per: Duration = Duration::from_secs(600),
        /// Limits that every such pass is charged to, besides those of all passes.
        limits: Vec<Spanned<String>>,
    }
}

impl ChallengeSettings {
    /// What this pass is worth. One that was waited for is worth nothing more where nobody can wait any more.
    pub(super) fn worth(&self, pass: &Pass) -> PassSettings {
        match &self.wait {
            Some(wait) if pass.waited => wait.pass(),
            None if pass.waited => PassSettings { requests: NonZeroU32::MIN, bytes: Bytes(0), ..self.pass },
            _ => self.pass,
        }
    }
}

impl WaitSettings {
    /// What a pass is worth.
    pub fn pass(&self) -> PassSettings {
        let prefixes = NonZeroU32::MIN;
        PassSettings {
            requests: self.requests,
            bytes: self.bytes,
            per: self.per,
            prefixes,
            renew_until: Duration::ZERO,
        }
    }
}

/// How long people may be made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience(pub Duration);

impl Decode for Patience {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let time = Duration::decode(node, diagnostics)?;
        if !(Duration::from_secs(1)..=Duration::from_secs(60)).contains(&time) {
            diagnostics.error(node.position, "the wait is from 1s to 60s".to_owned());
        }
        Some(Patience(time))
    }

    fn schema(schemas: &mut Schemas) -> Value {
        Duration::schema(schemas)
    }

    fn written(&self) -> Option<Value> {
        self.0.written()
    }
}

impl Default for PassSettings {
    fn default() -> Self {
        PassSettings {
            requests: REQUESTS,
            bytes: Bytes(300_000_000),
            per: HOUR,
            prefixes: PREFIXES,
            renew_until: 24 * HOUR,
        }
    }
}

impl Default for ChallengeSettings {
    fn default() -> Self {
        ChallengeSettings {
            tiers: Tiers::default(),
            pass: PassSettings::default(),
            limits: Vec::new(),
            wait: None,
            harder: HarderSettings::default(),
            grace: 24 * HOUR,
        }
    }
}

crate::settings! {
    /// How challenges get harder for a prefix that buys many passes.
    pub struct HarderSettings {
        /// The difficulty doubles with every so many passes within the time. One that is hardly used counts a sixteenth.
        after: NonZeroU32 = AFTER,
        /// The time after which as many are forgotten.
        per: Duration = HOUR,
        /// No challenge gets harder than this: 64 to 8192. A phone takes some 12 s for 4096.
        up_to: Difficulty = Difficulty(4096),
        /// From this load average over a minute on, every challenge is twice as hard, from twice as much four times.
        load: Option<f64> = None,
    }
}

impl Default for HarderSettings {
    fn default() -> Self {
        HarderSettings { after: AFTER, per: HOUR, up_to: Difficulty(4096), load: None }
    }
}

/// Difficulties by tier name.
#[derive(Debug, Clone)]
pub struct Tiers(pub Vec<(String, u32)>);

impl Default for Tiers {
    fn default() -> Self {
        Tiers(vec![("default".into(), 1024), ("hard".into(), 4096)])
    }
}

/// The difficulties that a tier may have.
const DIFFICULTIES: RangeInclusive<u32> = 64..=8192;

impl Decode for Tiers {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let difficulty = |_: &_, node: &Node, diagnostics: &mut Diagnostics| Difficulty::decode(node, diagnostics);
        let tiers = decode_names(node, diagnostics, difficulty)?;
        Some(Tiers(tiers.into_iter().map(|(name, difficulty)| (name, difficulty.0)).collect()))
    }

    fn schema(schemas: &mut Schemas) -> Value {
        names(Difficulty::schema(schemas))
    }

    fn written(&self) -> Option<Value> {
        Some(self.0.iter().map(|(name, difficulty)| (name.clone(), (*difficulty).into())).collect::<Map<_, _>>().into())
    }
}

/// Expected trials per solution: 64 to 8192.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difficulty(pub u32);

impl Decode for Difficulty {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let difficulty = u32::decode(node, diagnostics)?;
        if !DIFFICULTIES.contains(&difficulty) {
            diagnostics.error(node.position, format!("a difficulty is from 64 to 8192, not `{difficulty}`"));
        }
        Some(Difficulty(difficulty))
    }

    fn schema(_: &mut Schemas) -> Value {
        integer(i64::from(*DIFFICULTIES.start())..=i64::from(*DIFFICULTIES.end()))
    }

    fn written(&self) -> Option<Value> {
        Some(self.0.into())
    }
}
