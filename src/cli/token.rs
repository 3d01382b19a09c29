//! `windscreen token`.

#![allow(clippy::disallowed_methods, reason = "rank 6: reads the wall clock")]

use crate::clock::Timestamp;
use crate::document::{Diagnostics, Position, check_name};
use crate::identity::Token;
use crate::quantity::duration;
use clap::{Args, Subcommand};
use serde_json::json;
use std::time::{Duration, SystemTime};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token, and print it this once, with the entry of `clients` in the gateway file that takes it, or of
    /// `admin.tokens`.
    New(TokenArguments),
}

#[derive(Debug, Args)]
pub(super) struct TokenArguments {
    /// What the client is called in policies, metrics and the access log.
    #[arg(long, value_parser = name)]
    name: String,
    /// For how long it is good, such as 90d; for ever where absent.
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<Duration>,
    /// The sites that it is good for, such as `logs,images`; to be filled in where absent.
    #[arg(long, value_name = "SITES", value_delimiter = ',', value_parser = name)]
    sites: Vec<String>,
    /// For an operator who may decide while the gateway runs, as by `windscreen block`.
    #[arg(long, conflicts_with = "sites")]
    operator: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// A name as the gateway file takes it.
fn name(text: &str) -> Result<String, String> {
    let mut diagnostics = Diagnostics::default();
    check_name(text, Position::default(), &mut diagnostics);
    match diagnostics.sorted().next() {
        Some(mistake) => Err(mistake.message.clone()),
        None => Ok(text.to_owned()),
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| format!("expected how long, such as `90d`, not `{text}`"))
}

/// Runs a command about tokens.
pub(super) fn token(TokenCommand::New(arguments): &TokenCommand) -> Result<u8, String> {
    let token = Token::new(&rand::random());
    let expires = arguments.expires.map(|lifetime| (Timestamp::from(SystemTime::now()) + lifetime).to_string());
    let TokenArguments { name, sites, operator, json, .. } = arguments;
    if *json {
        let mut entry = json!({ "name": name, "token": token.hash().to_string() });
        if !operator {
            entry["sites"] = json!(sites);
        }
        if let Some(expires) = expires {
            entry["expires"] = json!(expires);
        }
        let whose = if *operator { "operator" } else { "client" };
        println!("{}", json!({ "token": token.reveal(), whose: entry }));
        return Ok(0);
    }
    // Quoted, so that no name is taken for a number or for nothing.
    let sites: Vec<String> = sites.iter().map(|site| format!("'{site}'")).collect();
    let mut entry = format!("name: '{name}', token: '{}'", token.hash());
    if !operator {
        entry += &format!(", sites: [{}]", sites.join(", "));
    }
    if let Some(expires) = expires {
        entry += &format!(", expires: '{expires}'");
    }
    let sites = if sites.is_empty() { ", with the sites that it is good for" } else { "" };
    let (use_it, place, sites) = match operator {
        true => {
            ("`windscreen block` and others take it from WINDSCREEN_ADMIN_TOKEN, or from a file.", "admin.tokens", "")
        }
        false => ("Its client sends `Authorization: Bearer TOKEN`.", "clients", sites),
    };
    println!(
        "{}\n\nThis is the token, shown this once. {use_it}\nThe gateway takes it once `{place}` in the gateway file has this entry{sites}:\n\n  - {{{entry}}}",
        token.reveal()
    );
    Ok(0)
}
