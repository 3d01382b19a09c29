//! The books: who took how much, hour by hour, in bounded memory.
//!
//! A request is entered once it is over: live from the proxy, or from a line of a log. Books of several gateways or hours
//! merge. Nothing here knows what bytes cost, and nothing decides.

mod behaviour;
mod books;
mod distinct;
mod heavy;
mod live;
mod sampled;
mod stores;

pub use behaviour::{Behaviour, Cause, Suspicion};
pub use books::{Agent, Billed, Books, Cell, Entry, HOUR, Hour, Key, PathPrefix, Stopped, Taker, Would};
pub use distinct::{Distinct, prefix_hash};
pub use heavy::{Heavy, Taken, weight};
pub use live::{Disguise, Live, RECENT_HOURS};
pub use sampled::{Drawn, Outcome, Sampled, Sighting, sample_point, session};
pub use stores::{Finding, Shower, Shown, Stores, Sum};

#[cfg(test)]
pub(crate) use books::tests::{entry, key};

use siphasher::sip::SipHasher13;
use std::hash::{Hash, Hasher};

/// What stands for a value where many are told apart. Its key is fixed: what is kept in files must be found again.
fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish()
}
