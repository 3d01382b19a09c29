//! The test rig of the benchmarks: processes, the servers' configurations, load, and the table that comes out.

pub mod load;
pub mod process;
pub mod servers;
pub mod table;
