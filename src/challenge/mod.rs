//! The challenge: a proof of work that buys a pass, and the budget that the pass is worth.
//!
//! The puzzle is the toll, the budget is the defence: no proof of work prices out a funded scraper, but a client that
//! must carry a pass can be metered. See ARCHITECTURE.md for the protocol.
//!
//! Pure: time and randomness are arguments.

mod account;
pub mod cachewalk;
mod gate;
mod keys;
mod offer;
mod page;
mod pass;
mod puzzle;
mod settings;
mod spent;
mod wait;

pub use account::{PARTS, Scale};
pub use gate::{Attempt, Gate, Redeemed, Submission, Waited};
pub use keys::{KeyError, SigningKeys};
pub use offer::{ALGORITHM, Offer, Submit};
pub use page::{Logo, Page, PageSettings, Picture, VERIFY_PATH, Visit, Wait};
pub use pass::{Pass, PassError};
pub use puzzle::{Puzzle, RedeemError};
pub use settings::{ChallengeSettings, HarderSettings, PassSettings, WaitSettings};
pub use wait::{ARRIVED_PATH, WAIT_PATH};
