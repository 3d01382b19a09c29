//! A policy as it was loaded.

use crate::challenge::ChallengeSettings;
use crate::evidence::AutoSettings;
use crate::limit::LimitSettings;
use crate::network::Feed;
use crate::policy::{NetworkId, Policy, UserAgentListSettings};
use crate::report::DecisionSettings;
use crate::surroundings::StrikeSettings;
use crate::verdict::LimitId;

/// A policy and the settings of what it steers.
#[derive(Debug)]
pub struct LoadedPolicy {
    /// What is decided.
    pub policy: Policy,
    /// Limits, in the order of their ids.
    pub limits: Vec<(String, LimitSettings)>,
    /// The limits that every pass is charged to when it is bought.
    pub pass_limits: Vec<LimitId>,
    /// Those that passes are charged to besides which are waited for.
    pub wait_limits: Vec<LimitId>,
    /// The limit that counts passes bought.
    pub solves: LimitId,
    /// Challenges and passes.
    pub challenge: ChallengeSettings,
    /// How strikes are forgotten.
    pub strikes: StrikeSettings,
    /// When reports say that protection is needed.
    pub decision: DecisionSettings,
    /// When rules of mode `auto` are enforced.
    pub auto: Option<AutoSettings>,
    /// The lists of User-Agents, by name.
    pub lists: Vec<(String, UserAgentListSettings)>,
    /// The networks that have a name.
    pub networks: Vec<(NetworkId, String)>,
    /// The feeds of the networks: which network, which of its feeds, and where it is.
    pub feeds: Vec<(NetworkId, usize, Feed)>,
}
