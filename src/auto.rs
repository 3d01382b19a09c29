//! Mode `auto` of a running gateway: looks at the evidence every few seconds, and says when it is switched.

#![allow(clippy::disallowed_methods, reason = "rank 6: waits")]

use crate::clock::Timestamp;
use crate::cost::Share;
use crate::evidence::{Condition, Measured, Switch};
use crate::facts::Fact;
use crate::proxy::Gateway;
use crate::state::State;
use crate::surroundings::Surroundings;
use crate::verdict::Class;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the evidence is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Switches the rules of mode `auto` on and off.
pub struct Auto {
    gateway: Arc<Gateway>,
    surroundings: Arc<Surroundings>,
    switch: Mutex<Switch>,
    months: ArcSwap<Months>,
}

/// What a month like the last day would come to, by site and class.
pub type Months = BTreeMap<(Arc<str>, Class), Share>;

impl Auto {
    /// Begins held back, where the policy has an `auto` section; rules are enforced where it has none.
    pub fn new(gateway: Arc<Gateway>, surroundings: Arc<Surroundings>) -> Arc<Self> {
        let auto = Arc::new(Auto { gateway, surroundings, switch: Mutex::default(), months: ArcSwap::default() });
        auto.look();
        auto
    }

    /// Takes what the last day would cost over a month.
    pub fn set_months(&self, months: Months) {
        self.months.store(Arc::new(months));
    }

    /// Since when the evidence says yes, if it does, and all conditions as they were at the last look; `None` where the
    /// policy has no `auto` section.
    pub fn evidence(&self) -> Option<(Option<Timestamp>, Vec<Condition>)> {
        self.gateway.ruling.load().auto.as_ref()?;
        let switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
        Some((switch.on_since(), switch.conditions().to_vec()))
    }

    /// Looks at the evidence once.
    pub fn look(&self) {
        let (ruling, metrics) = (self.gateway.ruling.load(), &self.gateway.metrics);
        let Some(settings) = &ruling.auto else {
            self.surroundings.set_evidence(Fact::Unknown);
            metrics.modes.auto_active.reset();
            metrics.modes.auto_evidence_ratio.reset();
            return;
        };
        let load = self.surroundings.load().present().map(|averages| averages[0]);
        let months = self.months.load();
        let of_classes = months.iter().filter(|((_, class), _)| settings.classes.0.contains(class));
        let projected_cost = Some(of_classes.map(|(_, month)| month.cost).sum());
        let measured = Measured { projected_cost, load };
        let now = self.gateway.clock.now();
        let mut switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
        let switched = switch.look(settings, &self.gateway.rates, measured, now);
        self.surroundings.set_evidence(switch.on_since().into());
        let none: [&str; 0] = [];
        metrics.modes.auto_active.with_label_values(&none).set(switch.on_since().is_some().into());
        metrics.modes.auto_evidence_ratio.with_label_values(&none).set(switch.nearest());
        if let Some(switched) = switched {
            let to = if switched.on { "on" } else { "off" };
            metrics.modes.auto_switches.with_label_values(&[to]).inc();
            tracing::warn!(to, because = switched.because, "rules of mode `auto` were switched");
        }
    }

    /// Looks for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look();
        }
    }
}
