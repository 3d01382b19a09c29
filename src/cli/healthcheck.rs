//! `windscreen healthcheck`: whether the gateway on this machine is ready, for what looks after it, such as containers.

#![allow(clippy::disallowed_methods, reason = "rank 6: waits")]

use super::decisions::listener;
use super::{EXIT_NO, runtime};
use crate::printable::printable;
use crate::web::{AGENT, send};
use bytes::Bytes;
use clap::Args;
use http::header::{HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use std::path::PathBuf;
use std::time::Duration;

/// The gateway has so long to answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// A line for each origin is shorter, in bytes.
const LARGEST: usize = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct HealthcheckArguments {
    /// The gateway file, which says where the admin listener is.
    #[arg(short, long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    /// The URL of the admin listener.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
    admin: String,
}

/// Asks `/readyz`, and says what it says where that is no.
pub(super) fn healthcheck(arguments: &HealthcheckArguments) -> Result<u8, String> {
    let base = match &arguments.config {
        Some(path) => listener(path)?,
        None => arguments.admin.trim_end_matches('/').to_owned(),
    };
    let uri: Uri = format!("{base}/readyz").parse().map_err(|_| format!("`{}` is no URL", printable(&base)))?;
    let host = uri.authority().map(|authority| authority.to_string()).unwrap_or_default();
    let request = Request::builder().uri(uri).header(HOST, host).header(USER_AGENT, AGENT);
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let asking = async {
        let response = send(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    };
    let asked = runtime()?.block_on(async { tokio::time::timeout(PATIENCE, asking).await });
    match asked.unwrap_or_else(|_| Err("it does not answer".to_owned())) {
        Ok((StatusCode::OK, _)) => Ok(0),
        Ok((_, body)) => {
            print!("{}", String::from_utf8_lossy(&body).lines().map(|line| printable(line) + "\n").collect::<String>());
            Ok(EXIT_NO)
        }
        Err(message) => {
            println!("the gateway at {base} cannot be asked: {message}");
            Ok(EXIT_NO)
        }
    }
}
