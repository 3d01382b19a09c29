//! The test rig of the benchmarks: processes, the servers' configurations, load, and the table that comes out.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub mod clients;
pub mod load;
pub mod null;
pub mod process;
pub mod servers;
pub mod table;
