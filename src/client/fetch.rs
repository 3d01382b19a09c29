//! One object, from the first request to the file.

#![allow(clippy::disallowed_methods, reason = "rank 5: it waits, and reads the wall clock")]

use super::answer::{Complaint, complaint, content_range, retry_after, text};
use super::part::{Part, present};
use super::patience::Patience;
use super::request::{Asked, Sent};
use super::solver::{self, solve};
use super::transport::{self, Broken, piece};
use super::{FetchError, Fetched, Job, Session, Url, Watch};
use crate::challenge::Offer;
use crate::clock::Timestamp;
use http::header::{CONTENT_LENGTH, LOCATION};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::block_in_place;

/// How many redirects are followed.
const REDIRECTS: usize = 5;
/// How many challenges are solved for one object.
const SOLVES: u32 = 3;
/// How often a challenge is met for one object, those included for which another fetch had bought a pass meanwhile.
const MEETS: u32 = 20;
/// A solution is handed in by so long before its challenge expires.
const MARGIN: Duration = Duration::from_secs(5);

/// What came of one request.
enum Step {
    /// All is there.
    Done,
    /// Ask again, from the beginning, and why.
    Anew(&'static str),
    /// The connection or the server failed.
    Broken(String),
    /// The server asks to wait, for as long as it says.
    Wait(Option<Duration>, String),
    /// A pass is needed.
    Challenge(Box<Met>),
}

/// A challenge that was met.
struct Met {
    url: Url,
    offer: Offer,
    detail: String,
    deadline: Instant,
    /// Of the passes that were sent.
    generation: u64,
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

fn refused(text: impl Into<String>) -> FetchError {
    FetchError::Refused(text.into())
}

impl Session {
    /// Fetches one object. Needs a runtime with several threads around it: files are written and challenges solved in
    /// place.
    ///
    /// # Errors
    /// When the object is not there afterwards, or is not what it should be.
    pub async fn fetch(&self, job: &Job, watch: &dyn Watch) -> Result<Fetched, FetchError> {
        if let Some((bytes, sha256)) = block_in_place(|| present(job)) {
            return Ok(Fetched { bytes, sha256, verified: true, resumed_from: bytes, solved: 0 });
        }
        let mut part = block_in_place(|| Part::open(job))?;
        let mut patience = Patience::default();
        let (mut solved, mut met, mut furthest) = (0, 0, part.length());
        loop {
            let step = self.step(job, &mut part, watch).await?;
            if part.length() > furthest {
                furthest = part.length();
                patience.renew();
            }
            let chance = rand::random();
            let (wait, why) = match step {
                Step::Done => break,
                Step::Anew(why) => (patience.after_failure(why, chance)?, why.to_owned()),
                Step::Broken(why) => (patience.after_failure(&why, chance)?, why),
                Step::Wait(asked, why) => (patience.when_asked(asked, &why, chance)?, why),
                Step::Challenge(challenge) => {
                    met += 1;
                    if met > MEETS {
                        return Err(refused(challenge.detail));
                    }
                    match self.pay(job, &challenge, &mut solved, watch).await? {
                        None => continue,
                        Some(Step::Wait(asked, why)) => (patience.when_asked(asked, &why, chance)?, why),
                        Some(Step::Broken(why)) => (patience.after_failure(&why, chance)?, why),
                        Some(_) => continue,
                    }
                }
            };
            watch.waiting(wait, &why);
            tokio::time::sleep(wait).await;
        }
        let (bytes, resumed_from) = (part.length(), part.resumed());
        let (sha256, verified) = block_in_place(|| part.finish(job))?;
        Ok(Fetched { bytes, sha256, verified, resumed_from, solved })
    }

    /// Sends one request, after redirects, and takes what comes.
    async fn step(&self, job: &Job, part: &mut Part, watch: &dyn Watch) -> Result<Step, FetchError> {
        let mut url = job.url.clone();
        for _ in 0..=REDIRECTS {
            let server = url.server();
            let (cookie, generation) = self.jar.cookies(&server, now());
            let asked = Asked { url: &url, is_home: server == job.url.server(), cookie };
            let request = self.ask(&asked, part.range(), now());
            let response = match self.send(&server, request, watch).await? {
                Ok(response) => response,
                Err(why) => return Ok(Step::Broken(why)),
            };
            match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 => {
                    let location = text(response.headers(), &LOCATION).unwrap_or_default();
                    url = url.redirected(location).map_err(refused)?;
                }
                _ => return self.take(response, url, generation, part, watch).await,
            }
        }
        Err(refused(format!("more than {REDIRECTS} redirects")))
    }

    /// Sends a request to `server` and keeps the passes that its answer brings. What went wrong, where it may be better
    /// the next time.
    async fn send(
        &self,
        server: &str,
        request: Result<Sent, Broken>,
        watch: &dyn Watch,
    ) -> Result<Result<Response<Incoming>, String>, FetchError> {
        let sent = match request {
            Ok(request) => self.transport.send(request).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(response) => {
                if let Err(note) = self.jar.keep(server, response.headers(), now()) {
                    watch.note(&note);
                }
                Ok(Ok(response))
            }
            Err(Broken::ForNow(why)) => Ok(Err(format!("{server}: {why}"))),
            Err(Broken::ForGood(why)) => Err(FetchError::Failed(format!("{server}: {why}"))),
        }
    }

    /// Takes an answer.
    async fn take(
        &self,
        response: Response<Incoming>,
        url: Url,
        generation: u64,
        part: &mut Part,
        watch: &dyn Watch,
    ) -> Result<Step, FetchError> {
        let range = content_range(response.headers());
        let goes_on = part.range().is_some();
        match response.status() {
            StatusCode::OK => {
                block_in_place(|| part.begin(response.headers()))?;
                let total = text(response.headers(), &CONTENT_LENGTH).and_then(|length| length.parse().ok());
                self.stream(response, total, part, watch).await
            }
            StatusCode::PARTIAL_CONTENT if goes_on => {
                let fits = range.is_some_and(|range| range.first == Some(part.length()));
                if !fits || !part.is_of(response.headers()) {
                    part.clear()?;
                    return Ok(Step::Anew("the server sent another part than was asked for"));
                }
                self.stream(response, range.and_then(|range| range.total), part, watch).await
            }
            // Nothing comes after what is there: all of it is there, or it is of something else.
            StatusCode::RANGE_NOT_SATISFIABLE if goes_on => {
                let ends = range.is_some_and(|range| range.total == Some(part.length()));
                if ends && part.is_of(response.headers()) {
                    return Ok(Step::Done);
                }
                part.clear()?;
                Ok(Step::Anew("what is there is no part of the object"))
            }
            status => {
                let headers = response.headers().clone();
                let body = transport::text(response.into_body()).await;
                let Complaint { detail, challenge } = complaint(&headers, &body);
                let separator = if detail.is_empty() { "" } else { ": " };
                let why = format!("the server answered {}{separator}{detail}", status.as_u16());
                match (status.as_u16(), challenge) {
                    (403, Some(offer)) => {
                        let lifetime = Duration::from_secs(offer.expires_in.min(3600));
                        let deadline = Instant::now() + lifetime.saturating_sub(MARGIN);
                        Ok(Step::Challenge(Box::new(Met { url, offer, detail: why, deadline, generation })))
                    }
                    (429 | 503, _) => Ok(Step::Wait(retry_after(&headers, now()), why)),
                    (408 | 500 | 502 | 504, _) => Ok(Step::Broken(why)),
                    _ => Err(refused(why)),
                }
            }
        }
    }

    /// Takes a body to its end.
    async fn stream(
        &self,
        response: Response<Incoming>,
        total: Option<u64>,
        part: &mut Part,
        watch: &dyn Watch,
    ) -> Result<Step, FetchError> {
        watch.begin(part.length(), total);
        let mut body = response.into_body();
        loop {
            match piece(&mut body).await {
                Ok(Some(piece)) => {
                    block_in_place(|| part.write(&piece))?;
                    watch.more(piece.len() as u64);
                    if let Some(rate) = &self.rate {
                        rate.take(piece.len()).await;
                    }
                }
                Ok(None) => break,
                Err(why) => return Ok(Step::Broken(why)),
            }
        }
        match total {
            Some(total) if total != part.length() => {
                Ok(Step::Broken(format!("{} bytes of {total} came", part.length())))
            }
            _ => Ok(Step::Done),
        }
    }

    /// Gets a pass for a challenge, unless another fetch has got one meanwhile. What went wrong, where it may be better
    /// the next time.
    async fn pay(&self, job: &Job, met: &Met, solved: &mut u32, watch: &dyn Watch) -> Result<Option<Step>, FetchError> {
        let server = met.url.server();
        let _turn = self.turn.lock().await;
        if self.jar.cookies(&server, now()).1 != met.generation {
            return Ok(None);
        }
        self.jar.forget(&server, &met.offer.site, now());
        if *solved == SOLVES {
            return Err(refused(format!("{}; {SOLVES} challenges were solved, and it asks again", met.detail)));
        }
        solver::check(&met.offer).map_err(refused)?;
        if met.offer.submit.method != "POST" {
            return Err(refused("the challenge is submitted in a way that is not known; is there a newer windscreen?"));
        }
        let url = met.url.sibling(&met.offer.submit.path).map_err(refused)?;
        *solved += 1;
        let nonces = block_in_place(|| solve(&met.offer, met.deadline, |progress| watch.solving(progress)));
        let Some(nonces) = nonces else {
            // The next one may be luckier.
            watch.note(&format!("the challenge was not solved within {} s", met.offer.expires_in));
            return Ok(None);
        };
        let asked = Asked { url: &url, is_home: server == job.url.server(), cookie: None };
        let mut sent = self.send(&server, self.submit(&asked, &met.offer, &nonces), watch).await?;
        if sent.is_err() {
            // The answer may have been lost: the same solution buys the same pass.
            sent = self.send(&server, self.submit(&asked, &met.offer, &nonces), watch).await?;
        }
        let response = match sent {
            Ok(response) => response,
            Err(why) => return Ok(Some(Step::Broken(why))),
        };
        match response.status() {
            StatusCode::NO_CONTENT => Ok(None),
            status => {
                let headers = response.headers().clone();
                let body = transport::text(response.into_body()).await;
                let Complaint { detail, .. } = complaint(&headers, &body);
                let why = format!("the solution was not taken ({}): {detail}", status.as_u16());
                match status.as_u16() {
                    429 | 503 => Ok(Some(Step::Wait(retry_after(&headers, now()), why))),
                    _ => {
                        watch.note(&why);
                        Ok(None)
                    }
                }
            }
        }
    }
}
