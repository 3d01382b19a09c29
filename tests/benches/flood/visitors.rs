//! The flood: visitors that are challenged, and junk that is submitted.

use crate::rig::clients::Connection;
use crate::rig::null::{PAGE, SMALL};
use crate::rig::servers::SITE;
use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How many challenge pages are asked for in a second, and over how many connections.
pub const ISSUED: u32 = 5000;
const ISSUING: u32 = 20;
/// How much junk is submitted in a second, and from how many places.
pub const SUBMITTED: u32 = 2000;
const SUBMITTING: u32 = 20;
/// Visitors come from so many networks, in turn.
const NETWORKS: u32 = 1 << 15;
/// Challenges that are kept to be answered with junk.
const KEPT: usize = 1000;
/// As long as one, and forged.
const FORGED: &str = "c1~7f6c280b~logs~1024~1763840000000~e47119871cf9abe035174a4158b8a0b7~203.0.113.0/24~\
                      0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What became of the flood.
#[derive(Default)]
pub struct Met {
    /// Answers to those that asked for a page, and those of them that were a challenge.
    pub pages: u64,
    pub challenged: u64,
    /// Answers to submissions, and those of them that were refusals.
    pub junk: u64,
    pub refused: u64,
}

impl Met {
    pub fn add(&mut self, more: &Met) {
        self.pages += more.pages;
        self.challenged += more.challenged;
        self.junk += more.junk;
        self.refused += more.refused;
    }
}

/// Challenges with the addresses that they were issued to.
type Kept = Arc<Mutex<VecDeque<(Ipv4Addr, String)>>>;

/// All of it, until `until`.
pub async fn flood(port: u16, until: Instant) -> io::Result<Met> {
    let (begun, kept) = (Instant::now(), Kept::default());
    let pages = (0..ISSUING).map(|number| tokio::spawn(visit(port, number, begun, until, kept.clone())));
    let junk = (0..SUBMITTING).map(|number| tokio::spawn(submit(port, number, begun, until, kept.clone())));
    let mut all = Met::default();
    for task in pages.collect::<Vec<_>>().into_iter().chain(junk.collect::<Vec<_>>()) {
        all.add(&task.await.map_err(io::Error::other)??);
    }
    Ok(all)
}

/// So many ticks a second over `tasks` tasks, which take turns.
fn ticks(begun: Instant, rate: u32, tasks: u32, number: u32) -> tokio::time::Interval {
    let period = Duration::from_secs(1) * tasks / rate;
    let mut ticks = interval_at(begun + period / tasks * number, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}

async fn visit(port: u16, number: u32, begun: Instant, until: Instant, kept: Kept) -> io::Result<Met> {
    let mut connection = Connection::new(port, PAGE.0, Ipv4Addr::LOCALHOST);
    let (mut met, mut body) = (Met::default(), Vec::new());
    let mut ticks = ticks(begun, ISSUED, ISSUING, number);
    for turn in 0u32.. {
        // What could not be asked in time is not asked later: it did not come.
        ticks.tick().await;
        if Instant::now() >= until {
            break;
        }
        let network = turn.wrapping_mul(ISSUING).wrapping_add(number) % NETWORKS;
        let client = Ipv4Addr::from(0x0a00_0001 + network * 256);
        connection.request = format!(
            "GET {SITE}/{} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Forwarded-For: {client}\r\nUser-Agent: Mozilla/5.0 (X11; \
             Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0\r\nAccept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n\
             Accept-Language: en-GB,en;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\n\r\n",
            PAGE.0
        );
        let status = connection.fetch(&mut body).await?;
        met.pages += 1;
        met.challenged += u64::from(status == 403);
        // One in four is answered with junk, so that no page has to be looked through twice.
        if turn.is_multiple_of(4)
            && let Some(challenge) = challenge(&body)
        {
            let mut kept = kept.lock().map_err(|_| io::Error::other("poisoned"))?;
            kept.push_back((client, challenge));
            kept.truncate(KEPT);
        }
    }
    Ok(met)
}

/// The challenge in a page, which is near its end.
fn challenge(page: &[u8]) -> Option<String> {
    let end = String::from_utf8_lossy(&page[page.len().saturating_sub(2000)..]);
    let (_, rest) = end.split_once("{\"challenge\":\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

async fn submit(port: u16, number: u32, begun: Instant, until: Instant, kept: Kept) -> io::Result<Met> {
    let mut connection = Connection::new(port, SMALL.0, Ipv4Addr::LOCALHOST);
    let (mut met, mut answer) = (Met::default(), Vec::new());
    let mut ticks = ticks(begun, SUBMITTED, SUBMITTING, number);
    for turn in 0u32.. {
        // What could not be asked in time is not asked later: it did not come.
        ticks.tick().await;
        if Instant::now() >= until {
            break;
        }
        let genuine = match turn % 2 {
            0 => kept.lock().map_err(|_| io::Error::other("poisoned"))?.pop_front(),
            _ => None,
        };
        let (client, challenge) = genuine.unwrap_or_else(|| (Ipv4Addr::new(203, 0, 113, 9), FORGED.to_owned()));
        let body = format!("{{\"challenge\":\"{challenge}\",\"nonces\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]}}");
        connection.request = format!(
            "POST /.windscreen/verify HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Forwarded-For: {client}\r\nContent-Type: \
             application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let status = connection.fetch(&mut answer).await?;
        met.junk += 1;
        met.refused += u64::from(status == 403);
    }
    Ok(met)
}
