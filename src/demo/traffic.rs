//! A little labelled traffic, so that no number of the demo is empty: each persona asks now and then.

use super::{CI, Demo, INTERNAL, PERSON, SCRAPER, STRANGER};
use crate::challenge::VERIFY_PATH;
use crate::challenge::cachewalk;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, HOST, RANGE, SET_COOKIE, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) demo traffic";
const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends one request as the client at `address` and reads the whole answer.
///
/// # Errors
/// When the gateway cannot be reached or breaks off.
pub async fn ask(
    gateway: SocketAddr,
    address: &str,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, Failure> {
    let headers = request.headers_mut();
    headers.insert(HOST, gateway.to_string().try_into()?);
    headers.insert("x-forwarded-for", address.try_into()?);
    let stream = TcpStream::connect(gateway).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}

fn get(path: &str, agent: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    if let Ok(agent) = agent.parse() {
        request.headers_mut().insert(USER_AGENT, agent);
    }
    request
}

/// The challenge string in a challenge page, with what is needed to solve it.
fn challenge(page: &[u8]) -> Option<(String, u32)> {
    let page = std::str::from_utf8(page).ok()?;
    let (_, data) = page.split_once("id=\"windscreen-challenge\">")?;
    let data: serde_json::Value = serde_json::from_str(data.split("</script>").next()?).ok()?;
    let difficulty = u32::try_from(data["difficulty"].as_u64()?).ok()?;
    Some((data["challenge"].as_str()?.to_owned(), difficulty))
}

/// Solves the challenge at `path` as a browser would; the pass cookie.
async fn buy_pass(gateway: SocketAddr, address: &str, path: &str) -> Result<Option<String>, Failure> {
    let mut request = get(path, BROWSER);
    request.headers_mut().insert(ACCEPT, HTML.parse()?);
    let page = ask(gateway, address, request).await?.into_body();
    let Some((challenge, difficulty)) = challenge(&page) else { return Ok(None) };
    let nonces = {
        let challenge = challenge.clone();
        tokio::task::spawn_blocking(move || cachewalk::solve(&challenge, 16, 4096, difficulty)).await?
    };
    let body = serde_json::json!({"challenge": challenge, "nonces": nonces}).to_string();
    let mut request = get(VERIFY_PATH, BROWSER).map(|_| Full::from(body));
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(CONTENT_TYPE, "application/json".parse()?);
    let answer = ask(gateway, address, request).await?;
    let cookie = answer.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
    Ok(cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned))
}

/// One round of all personas.
async fn round(gateway: SocketAddr, demo: &Demo, pass: &mut Option<String>) -> Result<(), Failure> {
    let samples = &demo.samples;
    let page = format!("/logs/{}log.html", samples.finished_run);
    let log = format!("/logs/{}log", samples.finished_run);
    if pass.is_none() {
        *pass = buy_pass(gateway, PERSON, &page).await?;
    }
    if let Some(cookie) = pass {
        for path in [&page, &log] {
            let mut request = get(path, BROWSER);
            request.headers_mut().insert(ACCEPT, HTML.parse()?);
            request.headers_mut().insert(COOKIE, cookie.parse()?);
            ask(gateway, PERSON, request).await?;
        }
    }
    let mut resume = get(&format!("/images/{}", samples.image), "Python-urllib/3.13");
    resume.headers_mut().insert(RANGE, "bytes=66060288-67108863".parse()?);
    ask(gateway, CI, resume).await?;
    ask(gateway, CI, get(&format!("/images/{}", samples.second_only_image), "Python-urllib/3.13")).await?;
    ask(gateway, INTERNAL, get(&format!("/images/{}", samples.private_image), "curl/8.0")).await?;
    ask(gateway, STRANGER, get(&format!("/images/{}", samples.private_image), "curl/8.0")).await?;
    ask(gateway, STRANGER, get(&log, "curl/8.0")).await?;
    ask(gateway, STRANGER, get(&log, "GPTBot/1.2")).await?;
    for _ in 0..60 {
        ask(gateway, SCRAPER, get(&log, "python-requests/2.32")).await?;
    }
    let mut disguised = get(&log, BROWSER);
    disguised.headers_mut().insert(ACCEPT, HTML.parse()?);
    ask(gateway, SCRAPER, disguised).await?;
    Ok(())
}

/// Plays all personas until it is dropped.
pub async fn run(gateway: SocketAddr, demo: &Demo) {
    let mut pass = None;
    loop {
        if let Err(error) = round(gateway, demo, &mut pass).await {
            tracing::debug!(%error, "demo traffic");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
