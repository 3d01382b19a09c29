//! The abusers.

use super::{LARGE, SMALL, Situation};
use crate::rig::clients::Connection;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::time::{Instant, interval_at, sleep_until};

/// The abuser that asks too often has so many connections, on each of which it asks so often.
const ABUSING: u32 = 8;
const ABUSE_PERIOD: Duration = Duration::from_millis(8);

/// What an abuser got.
#[derive(Default)]
pub struct Got {
    pub answers: u64,
    pub refused: u64,
    pub bytes: u64,
}

/// An abuser at work until `until`.
pub async fn abuser(port: u16, situation: Situation, until: Instant) -> io::Result<Got> {
    match situation {
        Situation::Alone => Ok(Got::default()),
        Situation::Requests => requests(port, until).await,
        Situation::Download { rate } => download(port, rate, until).await,
    }
}

/// 1,000 requests per second, all from one address.
async fn requests(port: u16, until: Instant) -> io::Result<Got> {
    let begun = Instant::now();
    let connection = |number: u32| async move {
        let mut connection = Connection::new(port, SMALL.0, Ipv4Addr::new(198, 51, 100, 1));
        let mut got = Got::default();
        let mut ticks = interval_at(begun + ABUSE_PERIOD / ABUSING * number, ABUSE_PERIOD);
        while ticks.tick().await < until {
            let status = connection.get().await?;
            got.answers += 1;
            got.refused += u64::from(status != 200);
        }
        Ok::<_, io::Error>(got)
    };
    let connections: Vec<_> = (0..ABUSING).map(|number| tokio::spawn(connection(number))).collect();
    let mut all = Got::default();
    for connection in connections {
        let got = connection.await.map_err(io::Error::other)??;
        all.answers += got.answers;
        all.refused += got.refused;
    }
    Ok(all)
}

/// The large object again and again, as fast as it comes or at `rate` bytes per second.
async fn download(port: u16, rate: Option<u64>, until: Instant) -> io::Result<Got> {
    let mut got = Got::default();
    let begun = Instant::now();
    let mut buffer = vec![0; 64 * 1024];
    while Instant::now() < until {
        let mut connection = Connection::new(port, LARGE.0, Ipv4Addr::new(198, 51, 100, 2));
        let (status, mut left, _) = connection.ask().await?;
        got.answers += 1;
        if status != 200 {
            got.refused += 1;
            sleep_until(Instant::now() + Duration::from_secs(1)).await;
            continue;
        }
        while left > 0 && Instant::now() < until {
            let read = connection.read(left, &mut buffer).await? as u64;
            left -= read;
            got.bytes += read;
            if let Some(rate) = rate {
                sleep_until(begun + Duration::from_secs_f64(got.bytes as f64 / rate as f64)).await;
            }
        }
    }
    Ok(got)
}
