//! `windscreen block`, `allow`, `off`, `on` and `decisions`: what an operator changes while the gateway runs, by its admin
//! listener. The token comes from the environment or a file, never from the command line, which others can see.

#![allow(clippy::disallowed_methods, reason = "rank 6: reads the environment and a file, and waits")]

use super::asking::{AdminArguments, ask, listener};
use super::{EXIT_NO, examples, runtime};
use crate::decisions::{Decision, Decisions, Kind, Proposal, USUAL, prefix};
use crate::printable::printable;
use crate::quantity::{duration, written};
use clap::{Args, Subcommand};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where the token is looked for.
const TOKEN: &str = "WINDSCREEN_ADMIN_TOKEN";
/// What no decision of a known form lacks.
const UNKNOWN: &str = "the gateway's answer is not understood: is it of another version?";

#[derive(Debug, Subcommand)]
pub(super) enum DecideCommand {
    /// Deny all requests of clients in a prefix, whatever the policy says.
    Block(PrefixArguments),
    /// Hold protection back for clients in a prefix, as if the policy observed. What is private stays so.
    Allow(PrefixArguments),
    /// Hold protection back for everybody who is not blocked. What is private stays so.
    Off {
        #[command(flatten)]
        time: TimeArguments,
        #[command(flatten)]
        gateway: GatewayArguments,
    },
    /// Take an `off` back.
    On {
        #[command(flatten)]
        gateway: GatewayArguments,
    },
    /// List what operators have decided that still holds.
    #[command(args_conflicts_with_subcommands = true)]
    Decisions {
        #[command(subcommand)]
        command: Option<ListCommand>,
        #[command(flatten)]
        gateway: GatewayArguments,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ListCommand {
    /// Take back what was decided about a prefix.
    Remove {
        /// The prefix, as it was given.
        #[arg(value_name = "PREFIX", value_parser = known_prefix)]
        prefix: String,
        #[command(flatten)]
        gateway: GatewayArguments,
    },
}

#[derive(Debug, Args)]
#[command(after_help = examples::PREFIX)]
pub(super) struct PrefixArguments {
    /// A network such as 192.0.2.0/24, or an address. At most an IPv4 /8 or an IPv6 /16.
    #[arg(value_name = "PREFIX", value_parser = known_prefix)]
    prefix: String,
    #[command(flatten)]
    time: TimeArguments,
    #[command(flatten)]
    gateway: GatewayArguments,
}

#[derive(Debug, Args)]
pub(super) struct TimeArguments {
    /// For how long, such as 90m or 2d; at most 30d.
    #[arg(long = "for", value_name = "TIME", default_value_t = written(USUAL), value_parser = lasting)]
    lasts: String,
    /// Why, in up to 200 characters, for colleagues and the log. No client is told.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Which gateway, and in whose name.
#[derive(Debug, Args)]
pub(super) struct GatewayArguments {
    #[command(flatten)]
    admin: AdminArguments,
    /// A file with the operator's token; else it is taken from the environment, WINDSCREEN_ADMIN_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

fn known_prefix(text: &str) -> Result<String, String> {
    prefix(text).map(|prefix| prefix.to_string())
}

fn lasting(text: &str) -> Result<String, String> {
    let known = duration(text).map(|_| text.to_owned());
    known.ok_or_else(|| format!("expected a time such as `1h`, not `{text}`"))
}

/// The operator's token, as the value of a header that is not shown.
fn token(file: Option<&Path>) -> Result<HeaderValue, String> {
    let text = match file {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?
        }
        None => std::env::var(TOKEN).map_err(|_| {
            format!(
                "a token is needed, in the environment as {TOKEN} or by --token-file: `windscreen token new --operator`"
            )
        })?,
    };
    let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim())).map_err(|_| "that is no token")?;
    value.set_sensitive(true);
    Ok(value)
}

/// Asks the admin listener, and gives the status and the JSON of its answer.
async fn ask_json(
    base: &str,
    token: HeaderValue,
    method: Method,
    below: &str,
    body: Value,
) -> Result<(StatusCode, Value), String> {
    let headers = [(AUTHORIZATION, token), (CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let place = format!("/decisions{below}");
    let (status, body) = ask(base, (method, &place), headers.into_iter().collect(), body).await?;
    let plain = || json!({ "error": format!("{status}: {}", String::from_utf8_lossy(&body).trim()) });
    Ok((status, serde_json::from_slice(&body).unwrap_or_else(|_| plain())))
}

/// Asks, and says what came of it: what `told` makes of the answer, or why it is no.
fn answer(
    gateway: &GatewayArguments,
    (method, below, body): (Method, &str, Value),
    told: impl FnOnce(&Value) -> Option<String>,
) -> Result<u8, String> {
    let (base, token) = (gateway.admin.base()?, token(gateway.token_file.as_deref())?);
    let (status, answer) = runtime()?.block_on(ask_json(&base, token, method, below, body))?;
    if !status.is_success() {
        let message = printable(answer["error"].as_str().unwrap_or(UNKNOWN));
        // What was asked for cannot be; else we were not heard.
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::BAD_REQUEST) {
            eprintln!("windscreen: {message}");
            return Ok(EXIT_NO);
        }
        return Err(message);
    }
    match gateway.json {
        true => println!("{answer}"),
        false => println!("{}", told(&answer).ok_or(UNKNOWN)?),
    }
    Ok(0)
}

/// A decision, in words.
fn sentence(decision: &Value) -> Option<String> {
    let text = |key: &str| decision[key].as_str().map(printable);
    let until = text("until")?;
    Some(match (Kind::of(decision["kind"].as_str()?)?, text("prefix")) {
        (Kind::Block, Some(prefix)) => format!("{prefix} is blocked until {until}"),
        (Kind::Allow, Some(prefix)) => format!("protection is held back for {prefix} until {until}"),
        (_, _) => format!("protection is off until {until}"),
    })
}

/// What was decided, and whether it lasts.
fn decided(answer: &Value) -> Option<String> {
    let said = sentence(&answer["decision"])?;
    let lost =
        "\nA restart forgets it, unless other replicas know: `decisions: {file: ...}` in the gateway file keeps it.";
    Some(said + if answer["kept"].as_bool()? { "" } else { lost })
}

fn table(answer: &Value) -> Option<String> {
    let all = answer["decisions"].as_array()?;
    let mut rows = vec![["WHAT", "PREFIX", "UNTIL", "WHO", "REASON"].map(str::to_owned)];
    for decision in all {
        let text = |key: &str| decision[key].as_str().map(printable);
        rows.push([text("kind")?, text("prefix").unwrap_or_default(), text("until")?, text("who")?, text("reason")?]);
    }
    if all.is_empty() {
        return Some("nothing is decided: the policy alone holds".into());
    }
    let widths: [usize; 5] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    Some(rows.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Runs a command about decisions.
pub(super) fn decide(command: &DecideCommand) -> Result<u8, String> {
    let post = |kind: Kind, prefix: Option<&str>, time: &TimeArguments, gateway: &GatewayArguments| {
        let lasts = duration(&time.lasts).unwrap_or(USUAL);
        // What is wrong with it is said without asking.
        Proposal::new(kind, prefix, lasts, &time.reason)?;
        let body = json!({"kind": kind.word(), "prefix": prefix, "for": time.lasts, "reason": time.reason});
        answer(gateway, (Method::POST, "", body), decided)
    };
    let remove = |below: &str, gateway: &GatewayArguments, said: &str| {
        answer(gateway, (Method::DELETE, below, Value::Null), |_| Some(said.to_owned()))
    };
    match command {
        DecideCommand::Block(PrefixArguments { prefix, time, gateway }) => {
            post(Kind::Block, Some(prefix), time, gateway)
        }
        DecideCommand::Allow(PrefixArguments { prefix, time, gateway }) => {
            post(Kind::Allow, Some(prefix), time, gateway)
        }
        DecideCommand::Off { time, gateway } => post(Kind::Off, None, time, gateway),
        DecideCommand::On { gateway } => remove("/off", gateway, "protection is as the policy says"),
        DecideCommand::Decisions { command: Some(ListCommand::Remove { prefix, gateway }), .. } => {
            remove(&format!("/{prefix}"), gateway, &format!("for {prefix} the policy alone holds"))
        }
        DecideCommand::Decisions { command: None, gateway } => answer(gateway, (Method::GET, "", Value::Null), table),
    }
}

/// What holds at the running gateway whose file this is, for `explain`.
pub(super) fn in_force(config: &Path, token_file: Option<&Path>) -> Result<Decisions, String> {
    let (base, token) = (listener(config)?, token(token_file)?);
    let (status, answer) = runtime()?.block_on(ask_json(&base, token, Method::GET, "", Value::Null))?;
    if !status.is_success() {
        return Err(printable(answer["error"].as_str().unwrap_or(UNKNOWN)));
    }
    let read = |decision: &Value| {
        let text = |key: &str| decision[key].as_str();
        Some(Decision {
            kind: Kind::of(text("kind")?)?,
            prefix: text("prefix").map(prefix).transpose().ok()?,
            since: text("since")?.parse().ok()?,
            until: text("until")?.parse().ok()?,
            who: text("who")?.into(),
            reason: text("reason")?.into(),
        })
    };
    let all = answer["decisions"].as_array().and_then(|all| all.iter().map(read).collect::<Option<Vec<_>>>());
    all.map(Decisions::of).ok_or_else(|| UNKNOWN.into())
}
