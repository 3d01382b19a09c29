//! windscreen: an edge gateway that stands in front of public S3 buckets and shields them from scrapers.
//!
//! The modules are stages, in ranks; a file imports only from its own folder and from lower ranks. ARCHITECTURE.md
//! draws the picture, `tests/gateway/architecture.rs` enforces it.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

// Rank 0: vocabulary, pure.
pub mod clock;
pub mod decisions;
pub mod document;
pub mod evidence;
pub mod exchange;
pub mod facts;
pub mod hashing;
pub mod ja4;
pub mod network;
pub mod path;
pub mod printable;
pub mod quantity;
pub mod record;
pub mod referer;
pub mod signal;
pub mod state;
pub mod verdict;

// Rank 1: stages, pure and synchronous; siblings never import one another.
pub mod challenge;
pub mod identity;
pub mod limit;
pub mod origin;
pub mod policy;

// Rank 2: bookkeeping, pure; traffic is counted, priced and reported on.
pub mod cost;
pub mod metrics;
pub mod report;
pub mod traffic;

// Rank 3: the pingora adapter; how others than origins are asked; how files are replaced.
pub mod files;
pub mod proxy;
pub mod web;

// Rank 4: the outside world.
pub mod credentials;
pub mod feeds;
pub mod issuers;
pub mod keeper;
pub mod ledger;
pub mod listener;
pub mod register;
pub mod resolver;
pub mod shared_state;
pub mod surroundings;

// Rank 5: composition.
pub mod client;
pub mod config;
pub mod demo;
pub mod importer;
pub mod replay;
pub mod trial;

// Rank 6: wiring.
pub mod admin;
pub mod auto;
pub mod cli;
pub mod reload;
pub mod server;
