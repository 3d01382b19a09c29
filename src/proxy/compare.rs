//! Comparing origins: of an object that the first one has just served, the others are asked for the header, now and
//! then.
//!
//! It runs beside requests, one object at a time for each site, and nobody waits for it.

use super::ask::Asker;
use super::site::Site;
use super::upstream::peer;
use super::{Front, Gateway};
use crate::clock::Timestamp;
use crate::origin::{Outcome, Shape, judge};
use crate::path::CanonicalPath;
use crate::traffic::{Finding, Shown};
use http::Method;
use pingora::{Error, ErrorType, Result};
use std::sync::Arc;
use std::time::Duration;

/// How long all of one comparison may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Gateway {
    /// Books that it is looked at whether second origins are needed. To be called every minute or so.
    pub fn watch_origins(&self) {
        for site in self.sites.iter() {
            for origin in site.origins.iter().skip(1) {
                let finding = Finding { site: site.name.clone(), origin: origin.name.clone(), shown: Shown::Watched };
                self.books.enter_finding(finding, "", self.clock.now());
            }
        }
    }
}

impl Front {
    /// Compares an object that the first origin of `site` has in this `shape` with what the others have, where that is
    /// due.
    pub(super) fn compare(&self, site: &Arc<Site>, path: &CanonicalPath, shape: Shape, now: Timestamp) {
        let Some(compare) = site.compare.as_ref().filter(|compare| compare.every.is_due(now)) else { return };
        let Ok(turn) = compare.turn.clone().try_acquire_owned() else { return };
        let (gateway, site, path) = (self.gateway.clone(), site.clone(), path.clone());
        let comparing = async move {
            let _turn = turn;
            for number in 1..site.origins.len() {
                let Some(origin) = site.origins.get(number) else { return };
                let shown = match shape_at(&gateway.asker, &site, number, &path, now).await {
                    Ok(Some(theirs)) if theirs.may_equal(&shape) => Shown::Same,
                    Ok(Some(_)) => Shown::Differs,
                    Ok(None) => Shown::Lacks,
                    Err(error) => {
                        tracing::debug!(origin = &*origin.name, %error, "an object could not be compared");
                        Shown::Failed
                    }
                };
                gateway
                    .metrics
                    .origins
                    .comparisons
                    .with_label_values(&[&*site.name, &*origin.name, shown.word()])
                    .inc();
                let finding = Finding { site: site.name.clone(), origin: origin.name.clone(), shown };
                gateway.books.enter_finding(finding, path.as_str(), now);
            }
        };
        tokio::spawn(in_time(comparing));
    }
}

#[allow(clippy::disallowed_methods, reason = "nothing is decided by this time: it bounds how long a task lives")]
async fn in_time(work: impl Future<Output = ()>) {
    let _ = tokio::time::timeout(PATIENCE, work).await;
}

/// The shape of an object at an origin; `None` where it lacks it.
async fn shape_at(
    asker: &Asker,
    site: &Site,
    number: usize,
    path: &CanonicalPath,
    now: Timestamp,
) -> Result<Option<Shape>> {
    let nowhere = || Error::new(ErrorType::ConnectNoRoute);
    let origin = site.origins.get(number).ok_or_else(nowhere)?;
    let peer = peer(site, origin, number, origin.addresses.next().ok_or_else(nowhere)?);
    let session = asker.ask((origin, &peer), Method::HEAD, path, "", now).await?;
    let response = session.resp_header().ok_or_else(nowhere)?;
    let (outcome, shape) = (judge(response.status), Shape::told(response.status, &response.headers));
    let status = response.status.as_u16();
    asker.keep(session, &peer).await?;
    match outcome {
        Outcome::Object => Ok(shape),
        Outcome::Miss => Ok(None),
        Outcome::Failure => Err(Error::new(ErrorType::HTTPStatus(status))),
    }
}
