//! Where requests, responses and passes are charged to limits.

use super::context::{Context, OverLimit};
use super::decide::Asked;
use super::refusal::Refusal;
use super::site::Site;
use super::{Front, Ruling};
use crate::challenge::{HarderSettings, PARTS, Pass};
use crate::facts::{Client, Identity};
use crate::identity::Entry;
use crate::limit::{Admission, Currency, Exceeded, LONGEST_DELAY, Limits, Manner, Meter, Subject};
use crate::verdict::{Dialect, Done, LimitId, Verdict};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// No difficulty is doubled more often than this.
const MOST_DOUBLINGS: u32 = 7;

impl Front {
    fn subject<'a>(
        &self,
        limits: &Limits,
        client: Client,
        site: &'a str,
        pass: Option<&Pass>,
        entry: Option<&'a Entry>,
    ) -> Subject<'a> {
        let asn = limits.needs_asn().then(|| self.gateway.memory.asn(client.address).present()).flatten();
        let (identity, shared) = (entry.map(|entry| &*entry.name), entry.is_some_and(|entry| entry.public));
        Subject { client, site, pass: pass.map(|pass| pass.id), identity, shared, asn }
    }

    /// Charges the limits of the rules that matched. What only observes or delays is noted; what refuses answers.
    pub(super) fn over_limit(
        &self,
        verdict: &Verdict,
        asked: &Asked<'_>,
        pass: Option<&Pass>,
        context: &mut Context,
    ) -> Option<Refusal> {
        let Asked { site, caller, entry, method, ruling, .. } = *asked;
        if verdict.charges.is_empty() {
            return None;
        }
        let limits = &ruling.limits;
        let charges: SmallVec<[(&[LimitId], bool); 4]> =
            verdict.charges.iter().map(|charge| (&*charge.limits, charge.enforced)).collect();
        let subject = self.subject(limits, caller.client, &site.name, pass, entry);
        let manner = Manner {
            // A retry would carry a stale signature. Anybody can sign with a published key, and hurry is then no sign
            // of need.
            never_refused: caller.identity == Identity::Signature,
            patience: match (method, caller.dialect) {
                // Nobody reads why a HEAD failed.
                ("HEAD", _) => Duration::MAX,
                // A page that is open lives by its fetches. They are charged all the same.
                (_, Dialect::Fetch) => LONGEST_DELAY,
                _ => Duration::ZERO,
            },
            has_body: method != "HEAD",
        };
        let metrics = &self.gateway.metrics;
        let rule_of = |charge: usize| verdict.charges.get(charge);
        match limits.admit(&charges, &subject, manner) {
            Ok(Admission { meter, delay, over }) => {
                context.meter = meter;
                context.delay = delay;
                for exceeded in over {
                    let Some(charge) = rule_of(exceeded.charge) else { continue };
                    let mode = if charge.enforced { "enforce" } else { "observe" };
                    let way = if charge.enforced { "pace" } else { "none" };
                    metrics.limits_hit.with_label_values(&[&*site.name, &*exceeded.limit, mode, way]).inc();
                    let (limit, rule, enforced) = (exceeded.limit, charge.rule.clone(), charge.enforced);
                    context.limit.get_or_insert(OverLimit { limit, rule, enforced });
                }
                None
            }
            Err(exceeded) => {
                let rule = rule_of(exceeded.charge).map_or_else(|| verdict.rule.clone(), |charge| charge.rule.clone());
                let refusal = Refusal::over_limit(caller.dialect, exceeded.currency, exceeded.retry_after);
                self.note_refusal(exceeded, rule, &site.name, context);
                Some(refusal)
            }
        }
    }

    /// Reserves the bytes of a body that is about to be sent, of limits and of the pass: what many transfers at once
    /// take must not be known only afterwards.
    ///
    /// # Errors
    /// What to answer instead, where a limit or the pass has not so many left.
    pub(super) fn reserve(&self, bytes: u64, context: &mut Context) -> Result<(), Refusal> {
        if let Err(exceeded) = context.meter.reserve(bytes) {
            let rule = context.verdict.as_ref().map(|verdict| {
                verdict.charges.get(exceeded.charge).map_or(&verdict.rule, |charge| &charge.rule).clone()
            });
            let refusal = Refusal::over_limit(context.dialect(), exceeded.currency, exceeded.retry_after);
            if let (Some(site), Some(rule)) = (context.site.clone(), rule) {
                self.note_refusal(exceeded, rule, &site.name, context);
            }
            return Err(refusal);
        }
        if context.pass.as_mut().is_some_and(|pass| !pass.reserve(bytes)) {
            return Err(Refusal::over_limit(context.dialect(), Currency::Bytes, Duration::from_secs(1)));
        }
        Ok(())
    }

    /// Books that a limit refused the request, which `rule` had charged to it.
    fn note_refusal(&self, exceeded: Exceeded, rule: Arc<str>, site: &str, context: &mut Context) {
        let labels = [site, &*exceeded.limit, "enforce", "refuse"];
        self.gateway.metrics.limits_hit.with_label_values(&labels).inc();
        context.limit = Some(OverLimit { limit: exceeded.limit, rule, enforced: true });
        context.quota = exceeded.quota;
        context.done = Done::Limit;
    }

    /// Whether the client's network may have one more pass.
    pub(super) fn may_get_pass(
        &self,
        ruling: &Ruling,
        site: &Site,
        client: Client,
        context: &mut Context,
    ) -> Result<(), Refusal> {
        let subject = self.subject(&ruling.limits, client, &site.name, None, None);
        let Some(exceeded) = ruling.limits.would_refuse(&ruling.pass_limits, &subject) else { return Ok(()) };
        let refusal = Refusal::too_many_passes(exceeded.retry_after);
        self.note_refusal(exceeded, "challenge".into(), &site.name, context);
        Err(refusal)
    }

    /// Charges a pass that the client's network is about to buy; `None` where it has bought as many as it may. The
    /// meter takes it back when nothing comes of it. One that is `waited` for is charged to more limits.
    pub(super) fn charge_pass(&self, ruling: &Ruling, site: &str, client: Client, waited: bool) -> Option<Meter> {
        let subject = self.subject(&ruling.limits, client, site, None, None);
        let manner = Manner { never_refused: false, patience: Duration::ZERO, has_body: false };
        let charges = [(&*ruling.pass_limits, true), (&*ruling.wait_limits, true)];
        let charges = if waited { &charges[..] } else { &charges[..1] };
        ruling.limits.admit(charges, &subject, manner).ok().map(|admission| admission.meter)
    }

    /// Whether the client's network may wait for one more pass.
    pub(super) fn may_wait(&self, ruling: &Ruling, site: &str, client: Client) -> bool {
        let subject = self.subject(&ruling.limits, client, site, None, None);
        ruling.limits.would_refuse(&ruling.wait_limits, &subject).is_none()
    }

    /// Counts so many parts of a pass that was bought: the next ones that its buyer's network buys get harder.
    pub(super) fn count_bought(&self, pass: &Pass, parts: u32) {
        if parts == 0 || pass.difficulty == 0 {
            return;
        }
        let ruling = self.gateway.ruling.load();
        let buyer = Client::new(pass.prefix.addr(), true);
        let subject = self.subject(&ruling.limits, buyer, &pass.site, None, None);
        let manner = Manner { never_refused: true, patience: Duration::ZERO, has_body: false };
        for _ in 0..parts {
            // Never refused, so that this cannot fail.
            let _ = ruling.limits.admit(&[(&[ruling.solves], true)], &subject, manner);
        }
    }

    /// The difficulty for a client: it doubles with every so many passes that its network has bought lately, and while the
    /// machine is busy.
    pub(super) fn hardened(&self, ruling: &Ruling, difficulty: u32, site: &str, client: Client) -> u32 {
        let subject = self.subject(&ruling.limits, client, site, None, None);
        let HarderSettings { after, per, up_to, load: busy } = &ruling.harder;
        // Parts that are not quite forgotten yet count whole.
        let doubles = after.get().saturating_mul(PARTS);
        let parts = ruling.limits.owed(ruling.solves, &subject).as_nanos().div_ceil((*per / doubles).as_nanos().max(1));
        let by_passes = (parts / u128::from(doubles)).min(MOST_DOUBLINGS.into()) as u32;
        let load = self.gateway.memory.load().present().map_or(0.0, |averages| averages[0]);
        let by_load = busy.map_or(0, |busy| busy_doublings(load / busy));
        let harder = difficulty.saturating_mul(1 << (by_passes + by_load).min(MOST_DOUBLINGS));
        harder.min(up_to.0.max(difficulty))
    }
}

/// How often the work doubles while the machine has so many times the load from which it is busy.
fn busy_doublings(times: f64) -> u32 {
    if times >= 1.0 { 1 + times.log2().min(f64::from(MOST_DOUBLINGS)) as u32 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_doubles_with_the_load() {
        for (times, doublings) in [
            (0.0, 0),
            (0.99, 0),
            (1.0, 1),
            (1.9, 1),
            (2.0, 2),
            (8.1, 4),
            (f64::INFINITY, 1 + MOST_DOUBLINGS),
            (f64::NAN, 0),
        ] {
            assert_eq!(busy_doublings(times), doublings, "{times}");
        }
    }
}
