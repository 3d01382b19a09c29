//! What a stranger writes, in a file or in a request, makes nothing panic, hang or contradict itself.
//!
//! One program for all targets, since linking takes longest: the variable `FUZZ_TARGET` names the one to run.
//! `make fuzz` and `make fuzz-smoke` run them all.

#![no_main]
#![allow(clippy::panic, clippy::disallowed_methods, reason = "a fuzz target reports by a panic, and writes files")]

mod requests;
mod targets;

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static TARGET: OnceLock<fn(&str)> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let Some((_, target)) = targets::TARGETS.iter().find(|(known, _)| *known == name) else {
            panic!("FUZZ_TARGET is `{name}`, expected one of: {:?}", targets::TARGETS.map(|(name, _)| name));
        };
        let _ = TARGET.set(*target);
        // The gateway survives a panic in the parser of expressions, which has a thread for itself.
        let abort = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some("when") {
                abort(info);
            }
        }));
    },
    |data: &[u8]| {
        if let (Some(target), Ok(text)) = (TARGET.get(), std::str::from_utf8(data)) {
            target(text);
        }
    }
);
