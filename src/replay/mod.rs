//! Replay: what a policy would have done to the traffic that access logs tell of.

pub mod bucket;
pub mod formats;
pub mod lines;
pub mod reader;
pub mod record;
pub mod source;
pub mod window;
