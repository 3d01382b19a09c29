//! What tells a policy from others, so that a replay knows whether it decides by the same one.

use crate::policy::{NetworkId, Policy};
use sha2::{Digest, Sha256};

/// Bytes of the hash that are shown: who reads it should be able to compare it at a glance.
const SHOWN: usize = 8;

/// All that a policy was made from.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin(Sha256);

impl Origin {
    /// Adds a text.
    pub fn note(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text);
    }

    /// The hash of the texts, of the mode, and of the networks as a deployment has them.
    pub fn hash(mut self, policy: &Policy, networks: &[(NetworkId, String)]) -> String {
        self.note(policy.mode().word());
        for (id, name) in networks {
            self.note(name);
            policy.networks.parts(*id).fixed.iter().for_each(|block| self.note(&block.to_string()));
        }
        hex::encode(&self.0.finalize()[..SHOWN])
    }
}
