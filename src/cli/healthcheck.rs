//! `windscreen healthcheck`: whether the gateway on this machine is ready, for what looks after it, such as containers.

use super::asking::{AdminArguments, ask};
use super::{EXIT_NO, examples, runtime};
use crate::printable::printable;
use clap::Args;
use http::{HeaderMap, Method, StatusCode};

#[derive(Debug, Args)]
#[command(after_help = examples::HEALTHCHECK)]
pub(super) struct HealthcheckArguments {
    #[command(flatten)]
    admin: AdminArguments,
    /// Ask only whether it answers: origins that are away and a stop that is under way do not matter
    #[arg(long)]
    alive: bool,
}

/// Asks `/readyz`, or `/healthz`, and says what it says where that is no.
pub(super) fn healthcheck(arguments: &HealthcheckArguments) -> Result<u8, String> {
    let base = arguments.admin.base()?;
    let path = if arguments.alive { "/healthz" } else { "/readyz" };
    match runtime()?.block_on(ask(&base, (Method::GET, path), HeaderMap::new(), String::new())) {
        Ok((StatusCode::OK, _)) => Ok(0),
        Ok((_, body)) => {
            print!("{}", String::from_utf8_lossy(&body).lines().map(|line| printable(line) + "\n").collect::<String>());
            Ok(EXIT_NO)
        }
        Err(message) => {
            println!("{message}");
            Ok(EXIT_NO)
        }
    }
}
