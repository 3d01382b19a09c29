//! The admin listener of a running gateway, as commands ask it.

#![allow(clippy::disallowed_methods, reason = "rank 6: waits")]

use crate::config::admin_address;
use crate::document::Diagnostics;
use crate::printable::printable;
use crate::web;
use bytes::Bytes;
use clap::Args;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The gateway has so long to answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// The metrics of a gateway, or a thousand decisions, are shorter, in bytes.
const LARGEST: usize = 16 << 20;

/// Which gateway.
#[derive(Debug, Args)]
pub(super) struct AdminArguments {
    /// The gateway file, which says where the admin listener is.
    #[arg(short, long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    /// The URL of the admin listener.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
    admin: String,
}

impl AdminArguments {
    /// The URL of the admin listener, without a slash at its end.
    pub(super) fn base(&self) -> Result<String, String> {
        match &self.config {
            Some(path) => listener(path),
            None => Ok(self.admin.trim_end_matches('/').to_owned()),
        }
    }
}

/// The URL of the admin listener that a gateway file tells, as seen from this machine.
pub(super) fn listener(path: &Path) -> Result<String, String> {
    let mut diagnostics = Diagnostics::default();
    let Some(address) = admin_address(path, &mut diagnostics)? else {
        eprint!("{diagnostics}");
        return Err(format!("`{}` does not say where the admin listener is: name it by --admin URL", path.display()));
    };
    Ok(format!("http://{}", from_here(address)))
}

/// Where this machine reaches what listens at `address`.
pub(super) fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Asks the gateway whose admin listener is at `base`, and gives the status and the body of its answer.
pub(super) async fn ask(
    base: &str,
    (method, path): (Method, &str),
    headers: HeaderMap,
    body: String,
) -> Result<(StatusCode, Bytes), String> {
    let uri: Uri = format!("{base}{path}").parse().map_err(|_| format!("`{}` is no URL", printable(base)))?;
    let authority = uri.authority().filter(|_| matches!(uri.scheme_str(), Some("http" | "https")));
    let host = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let host =
        host.ok_or_else(|| format!("expected a URL such as `http://127.0.0.1:9090`, not `{}`", printable(base)))?;
    let mut request = Request::new(Full::new(Bytes::from(body)));
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(web::AGENT));
    let asking = async {
        let response = web::send(request).await?;
        Ok((response.status(), web::body(response, LARGEST).await?))
    };
    let asked = tokio::time::timeout(PATIENCE, asking).await;
    let asked = asked.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
    asked.map_err(|error| format!("the gateway at {base} cannot be asked: {error}"))
}
