//! Configuration: the gateway file, the policy file, and what they refer to, composed and checked as a whole.
//!
//! A file is either accepted whole or refused whole, with every mistake at its place.

mod gateway;
mod load;
mod policy;

pub use gateway::{AdminSettings, GatewayFile, PassKeysSettings, PolicyReference, SiteSettings};
pub use load::{Config, LoadedPolicy, check_policy, for_origin, load};
pub use policy::{BUILT_IN, ListFile, PolicyFile};
