//! Configuration: the gateway file, the policy file, and what they refer to, composed and checked as a whole.
//!
//! A file is either accepted whole or refused whole, with every mistake at its place.

mod bucket_logs;
mod certificates;
mod clients;
mod gateway;
mod kind;
mod load;
mod loaded;
mod operators;
mod page;
mod passes;
mod policies;
mod policy;
mod robots;
mod source;

pub use bucket_logs::BucketLogSettings;
pub use gateway::{
    AdminSettings, ClientSettings, DrainSettings, GatewayFile, List, OperatorSettings, PassKeysSettings,
    PolicyReference, SiteSettings, gateway_schema,
};
use load::read_file;
pub use load::{Config, Files, admin_address, for_origin, load, load_noting};
pub use loaded::LoadedPolicy;
pub use policies::{Known, check_policy, load_in_place, load_pasted, load_with_networks};
pub use policy::{BUILT_IN, ImportedFile, PolicyFile, built_in, policy_schema};
