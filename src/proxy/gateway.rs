//! What requests share: the sites, what is decided about them, and what is counted.

use super::{Asker, Sites};
use crate::challenge::{Gate, HarderSettings, Page};
use crate::clock::Clock;
use crate::evidence::{AutoSettings, Rates};
use crate::exchange::SpendOnce;
use crate::identity::{Operators, Roster};
use crate::limit::Limits;
use crate::metrics::Metrics;
use crate::origin::{Seal, Whereabouts};
use crate::policy::{Policy, ToldApart, UserAgentListSettings};
use crate::report::DecisionSettings;
use crate::state::Memory;
use crate::traffic::Live;
use crate::verdict::LimitId;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// Everything that requests share, whatever listener they came through.
pub struct Gateway {
    /// What may be addressed.
    pub sites: Sites,
    /// What is decided, and how much clients may take. A reload replaces both at once.
    pub ruling: ArcSwap<Ruling>,
    /// Who may prove to be whom. A reload replaces it with the policy.
    pub clients: ArcSwap<Roster>,
    /// Who may decide at the admin listener. A reload replaces it, too.
    pub operators: ArcSwap<Operators>,
    /// Hides from clients where their listings go on.
    pub seal: Seal,
    /// What is remembered about clients and measured about the machine.
    pub memory: Arc<dyn Memory>,
    /// Challenges and passes.
    pub gate: Arc<Gate>,
    /// Where challenges are spent over all replicas, if there are several.
    pub spending: OnceLock<Arc<dyn SpendOnce>>,
    /// The challenge page. A reload replaces it.
    pub page: ArcSwap<Page>,
    /// What `/robots.txt` says; `None` where that is a site's business.
    pub robots: ArcSwapOption<String>,
    /// The numbers.
    pub metrics: Metrics,
    /// Who took how much.
    pub books: Arc<Live>,
    /// What asks origins beside the requests of clients.
    pub asker: Asker,
    /// Which origins have what.
    pub whereabouts: Whereabouts,
    /// What has just happened, for rules of mode `auto`.
    pub rates: Rates,
    /// Whether the access log says what verdicts rest on. A reload replaces it.
    pub logs_facts: AtomicBool,
    /// Networks with prices of their own.
    pub priced: Vec<String>,
    /// Whether the process is about to end, so that it should get no new clients.
    pub leaving: AtomicBool,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A policy with the limits that it names.
pub struct Ruling {
    /// What is decided.
    pub policy: Arc<Policy>,
    /// How much clients may take.
    pub limits: Arc<Limits>,
    /// The limits that every pass is charged to when it is bought.
    pub pass_limits: Vec<LimitId>,
    /// Those that a pass is charged to besides when it was waited for.
    pub wait_limits: Vec<LimitId>,
    /// The count of passes that a prefix has bought lately.
    pub solves: LimitId,
    /// How that makes challenges harder.
    pub harder: HarderSettings,
    /// The networks that the books tell apart.
    pub networks: ToldApart,
    /// When rules of mode `auto` are enforced.
    pub auto: Option<AutoSettings>,
    /// When protection is said to be needed.
    pub decision: DecisionSettings,
    /// The lists of User-Agents, by name.
    pub lists: Vec<(String, UserAgentListSettings)>,
}
