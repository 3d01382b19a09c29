//! What the policy would have stopped, whom it would have hurt, and who took most.

use super::data::Effect;
use super::evidence::{Days, Of, stopped};
use super::rows::{Hurt, Top};
use super::settings::DecisionSettings;
use crate::cost::{PriceBook, Usage, saving};
use crate::traffic::{Distinct, Hour, Taken};
use crate::verdict::{Class, Done};

/// How many of those who were hurt are told.
const HURT: usize = 20;
/// How many of those who took most are told, of each kind.
const TOP: usize = 10;

/// Whether the policy gives nothing. What is malformed is refused without a policy.
fn is_refused(word: &str) -> bool {
    [Done::Deny, Done::Limit].iter().any(|done| done.word() == word)
}

fn is_challenged(word: &str) -> bool {
    word == Done::Challenge.word()
}

/// Whether it should not have happened: a person who is challenged waits and goes on, CI cannot.
fn is_hurt(class: Class, word: &str) -> bool {
    match class {
        Class::Human => is_refused(word),
        Class::Ci => is_refused(word) || is_challenged(word),
        _ => false,
    }
}

/// What the policy did or would have done. Scrapers are taken not to solve challenges.
pub(super) fn effect(
    period: &Days<'_>,
    book: &PriceBook,
    month: &[Usage<Of>],
    raw: &[Usage<Of>],
    settings: &DecisionSettings,
) -> Effect {
    let is_stopped = |usage: &Usage<Of>| {
        let stopped = usage.key.stopped.as_ref();
        settings.is_scraper(usage.key.class) && stopped.is_some_and(|(_, word)| is_refused(word) || is_challenged(word))
    };
    let (mut people, mut hurt_people, mut challenged, mut hurt_ci) =
        (Distinct::default(), Distinct::default(), Distinct::default(), Distinct::default());
    for (_, key, cell) in period.cells() {
        let word = stopped(key).map_or("", |(_, word)| word);
        match key.class {
            Class::Human => {
                people.merge(&cell.prefixes);
                if is_hurt(key.class, word) {
                    hurt_people.merge(&cell.prefixes);
                } else if is_challenged(word) {
                    challenged.merge(&cell.prefixes);
                }
            }
            Class::Ci if is_hurt(key.class, word) => hurt_ci.merge(&cell.prefixes),
            _ => {}
        }
    }
    let mut whole = Hour::default().stopped;
    period.each_hour().for_each(|hour| whole.merge(&hour.stopped));
    let hurt = whole.top().into_iter().filter(|(stopped, _)| is_hurt(stopped.class, stopped.action));
    let hurt = hurt.take(HURT).map(|(stopped, taken)| Hurt {
        prefix: stopped.prefix.to_string(),
        class: stopped.class,
        rule: stopped.rule.to_string(),
        action: stopped.action,
        requests: taken.requests,
        bytes: taken.bytes,
    });
    let gone = || raw.iter().filter(|usage| is_stopped(usage));
    Effect {
        bytes: gone().map(|usage| usage.bytes).sum(),
        requests: gone().map(Usage::requests).sum(),
        saving: saving(book, month, is_stopped),
        people: people.count(),
        hurt_people: hurt_people.count(),
        challenged_people: challenged.count(),
        hurt_ci: hurt_ci.count(),
        hurt: hurt.collect(),
    }
}

/// The prefixes, User-Agents and paths that took most.
pub(super) fn tops(period: &Days<'_>) -> [Vec<Top>; 3] {
    let mut whole = Hour::default();
    for hour in period.each_hour() {
        whole.takers.merge(&hour.takers);
        whole.agents.merge(&hour.agents);
        whole.paths.merge(&hour.paths);
    }
    let top = |of: &str, what: String, taken: Taken| Top {
        of: of.to_owned(),
        what,
        requests: taken.requests,
        bytes: taken.bytes,
    };
    let takers = whole.takers.top().into_iter().take(TOP);
    let agents = whole.agents.top().into_iter().take(TOP);
    let paths = whole.paths.top().into_iter().take(TOP);
    [
        takers.map(|(taker, taken)| top(taker.class.word(), taker.prefix.to_string(), taken)).collect(),
        agents.map(|(agent, taken)| top(agent.class.word(), agent.user_agent.into(), taken)).collect(),
        paths.map(|(path, taken)| top(&path.site, path.path.into(), taken)).collect(),
    ]
}
