//! Past logs through the very engine that judges live traffic.

mod judge;
mod passes;

pub use judge::{Judge, Past};
