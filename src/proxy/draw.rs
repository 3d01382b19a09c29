//! A pass that a request draws on.

use crate::challenge::{Gate, Pass};
use std::fmt;
use std::sync::Arc;

/// What a request reserved on its pass comes back when this is dropped, however the request ended, unless it was charged.
pub struct Draw {
    gate: Arc<Gate>,
    pass: Pass,
    reserved: u64,
}

impl fmt::Debug for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draw").field("reserved", &self.reserved).finish_non_exhaustive()
    }
}

impl Draw {
    /// Of a request that `pass` let in. Nothing is reserved yet.
    pub fn new(gate: &Arc<Gate>, pass: Pass) -> Self {
        Draw { gate: gate.clone(), pass, reserved: 0 }
    }

    /// Reserves the `bytes` of a body that is about to be sent, once. Says whether the pass has as many left.
    pub fn reserve(&mut self, bytes: u64) -> bool {
        let reserves = self.gate.reserve(&self.pass, bytes);
        self.reserved = if reserves { bytes } else { 0 };
        reserves
    }

    /// Charges the `bytes` that were sent, in place of those that were reserved. Says how many parts of the pass are used
    /// with them which were not before.
    pub fn charge(&mut self, bytes: u64) -> u32 {
        self.gate.charge(&self.pass, bytes, std::mem::take(&mut self.reserved))
    }

    /// The pass.
    pub fn pass(&self) -> &Pass {
        &self.pass
    }
}

impl Drop for Draw {
    fn drop(&mut self) {
        if self.reserved > 0 {
            self.charge(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::challenge::{ChallengeSettings, SigningKeys};
    use crate::clock::Timestamp;

    #[test]
    fn what_was_reserved_comes_back_however_the_request_ends() {
        let now = Timestamp(1_700_000_000_000);
        let gate = Arc::new(Gate::new(SigningKeys::new([7; 32], []), ChallengeSettings::default(), now));
        let prefix = "192.0.2.0/24".parse().unwrap();
        let pass = gate.grace("logs", prefix, now);
        let most = ChallengeSettings::default().pass.bytes.0;
        let begin = || gate.draw(&pass, prefix, "/a", now).map(|_| Draw::new(&gate, pass.clone()));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut draw = begin().unwrap();
            assert!(draw.reserve(most));
            assert!(begin().is_err(), "all is reserved");
            std::panic::resume_unwind(Box::new("a mistake of ours"));
        }));
        assert!(ended.is_err());
        let mut draw = begin().unwrap();
        assert!(draw.reserve(most), "nothing was sent, and nothing is gone");
        draw.charge(most);
        drop(draw);
        assert!(begin().is_err(), "what was charged is gone, and is not given back");
    }
}
