//! What runs already: the server of the shared state, and the gateway itself, which has seen traffic.

#![allow(clippy::disallowed_methods, reason = "rank 6: waits")]

use super::super::asking::{ask, from_here};
use super::finding::Finding;
use crate::config::Config;
use crate::shared_state::reach;
use http::{HeaderMap, Method, StatusCode};
use std::net::SocketAddr;

/// Counts forwarding headers of peers that are not in `trusted_proxies`.
const UNTRUSTED: &str = "windscreen_untrusted_forwarding_total";

/// Whether a server of the shared state takes writes.
pub(super) async fn shared_state(config: &Config) -> Vec<Finding> {
    let Some(settings) = config.file.shared_state.as_ref().map(|settings| &settings.value) else { return Vec::new() };
    let authorities = settings.ca.as_ref().and_then(|path| config.authorities.get(&path.value));
    let check = "shared_state";
    let urls: Vec<String> = settings.url.0.iter().map(ToString::to_string).collect();
    vec![match reach(settings, authorities.map(Vec::as_slice)).await {
        Ok(url) => Finding::ok(check, urls.join(", "), &format!("`{url}` takes writes")),
        Err(error) => {
            let advice = "check `url` and `password_file` of `shared_state`, and that the server runs and is no replica; until \
                          then each gateway counts alone";
            Finding::bad(check, urls.join(", "), &error, advice)
        }
    }]
}

/// What a running gateway has counted that its operator should know.
pub(super) async fn metrics(config: &Config) -> Vec<Finding> {
    let Some(admin) = &config.file.admin else { return Vec::new() };
    let address = from_here(admin.address);
    vec![match read(address).await {
        Ok(text) => of_metrics(address, &text),
        Err(error) => {
            let message = format!("no gateway tells what it has counted: {error}");
            Finding::ok("traffic", address.to_string(), &message)
                .advise("run this again once the gateway has traffic: whether all proxies are listed shows only then")
        }
    }]
}

async fn read(address: SocketAddr) -> Result<String, String> {
    let (status, body) =
        ask(&format!("http://{address}"), (Method::GET, "/metrics"), HeaderMap::new(), String::new()).await?;
    match status {
        StatusCode::OK => String::from_utf8(body.to_vec()).map_err(|error| error.to_string()),
        status => Err(format!("it answers {status}")),
    }
}

fn of_metrics(address: SocketAddr, text: &str) -> Finding {
    let (check, subject) = ("traffic", address.to_string());
    let count = text.lines().find_map(|line| line.strip_prefix(UNTRUSTED)?.trim().parse::<f64>().ok());
    match count {
        Some(count) if count > 0.0 => {
            let message =
                format!("{count} requests had a forwarding header of a peer that is not in `trusted_proxies`");
            let advice = "if the `peer` that the gateway warns of is your proxy, list it: without that all its clients are one; \
                          else some client made the header up, and nothing is to be done";
            Finding::warning(check, subject, &message, advice)
        }
        Some(_) => {
            Finding::ok(check, subject, "no forwarding header came from a peer that is not in `trusted_proxies`")
        }
        None => Finding::warning(
            check,
            subject,
            &format!("what answers there has no `{UNTRUSTED}`"),
            "see whether something else listens at `admin.address`, or a gateway of another version",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_proxy_that_is_not_listed_shows() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9090));
        let named = |value: &str| format!("# TYPE {UNTRUSTED} counter\n{UNTRUSTED} {value}\nother 1\n");
        for (text, verdict) in [
            (named("0"), Verdict::Ok),
            (named("12"), Verdict::Warning),
            (String::new(), Verdict::Warning),
            ("<html>".to_owned(), Verdict::Warning),
        ] {
            assert_eq!(of_metrics(address, &text).verdict, verdict, "{text}");
        }
    }
}
