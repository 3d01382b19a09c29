//! Reads logs of a bucket, a few at a time, as if they were files.
//!
//! Objects are fetched ahead of the reader, in order, into bounded channels: who reads slowly slows the fetching. Those of
//! which there is a copy are not fetched.

use super::cache::{Cache, Copy, Copying};
use super::list::name as last_part;
use super::{Bucket, BucketError, LogObject, PATIENCE};
use crate::replay::source::{Log, delivered, unpacked};
use bytes::{Buf, Bytes};
use http::StatusCode;
use http_body_util::BodyExt;
use std::io::{self, Read};
use std::iter::{Peekable, from_fn};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How many objects are fetched at the same time. Logs are small, and most of the time is waiting.
const AT_ONCE: usize = 8;
/// Pieces of each that wait for the reader; a piece is what was read from the socket at once, 8 to 400 KiB.
const PIECES: usize = 16;
/// How often an object is asked for, each time from where it broke off.
const TRIES: u32 = 4;
/// The wait before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// Logs on their way. An iterator for a thread that may block, not for a task.
pub struct Objects(Receiver<Object>);

impl Iterator for Objects {
    type Item = Object;

    fn next(&mut self) -> Option<Object> {
        self.0.blocking_recv()
    }
}

/// A log on its way. To be read on a thread that may block.
pub struct Object {
    /// Its address.
    pub name: String,
    input: Input,
    progress: Arc<AtomicU64>,
}

/// Where it comes from.
enum Input {
    Bucket(Box<Arriving>),
    Cache(Box<Copy>),
}

/// An object on its way from the bucket.
struct Arriving {
    pieces: Receiver<Result<Bytes, BucketError>>,
    piece: Bytes,
    /// Its size, as it was listed.
    size: u64,
    copying: Option<Copying>,
}

/// The logs of several buckets, those that were delivered first at the front.
pub fn in_order(buckets: Vec<Objects>) -> impl Iterator<Item = Log> + Send {
    let mut buckets: Vec<Peekable<Objects>> = buckets.into_iter().map(Iterator::peekable).collect();
    let when = |object: &Object| delivered(last_part(&object.name)).map(str::to_owned);
    let next = from_fn(move || {
        let first = |(index, bucket): (usize, &mut Peekable<Objects>)| Some((when(bucket.peek()?), index));
        let (_, index) = buckets.iter_mut().enumerate().filter_map(first).min()?;
        buckets.get_mut(index)?.next()
    });
    next.map(|object| Log { name: object.name.clone(), alone: false, input: unpacked(object) })
}

impl Read for Object {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = match &mut self.input {
            Input::Bucket(arriving) => arriving.read(buffer)?,
            Input::Cache(copy) => copy.read(buffer)?,
        };
        self.progress.fetch_add(size as u64, Ordering::Relaxed);
        Ok(size)
    }
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => {
                    self.copying.iter_mut().for_each(|copying| copying.add(&piece));
                    self.piece = piece;
                }
                Some(Err(error)) => {
                    self.copying = None;
                    return Err(io::Error::other(error));
                }
                None => {
                    self.copying.take().into_iter().for_each(|copying| copying.finish(self.size));
                    return Ok(0);
                }
            }
        }
        let size = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..size]);
        Ok(size)
    }
}

impl Bucket {
    /// Begins to fetch `logs`, one after the other as the reader takes them. What was read is added to `progress`.
    /// Of those that are in `cache` the copies are read, and copies of all others are made there. Fetching ends when the
    /// reader is dropped. Needs a runtime of tokio around it.
    pub fn fetch(
        self: &Arc<Self>,
        logs: Vec<LogObject>,
        progress: Arc<AtomicU64>,
        cache: Option<Arc<Cache>>,
    ) -> Objects {
        let (objects, receiver) = channel(AT_ONCE);
        let bucket = self.clone();
        if let Some(cache) = &cache {
            cache.want(logs.iter().map(|log| bucket.copy_of(log, cache)));
        }
        tokio::spawn(async move {
            for log in logs {
                let path = cache.as_ref().map(|cache| (cache, bucket.copy_of(&log, cache)));
                let copy = path.clone().and_then(|(cache, path)| cache.copy(path));
                let (input, sender) = match copy {
                    Some(copy) => (Input::Cache(Box::new(copy)), None),
                    None => {
                        let (sender, pieces) = channel(PIECES);
                        let copying = path.and_then(|(cache, path)| cache.begin(path));
                        let arriving = Arriving { pieces, piece: Bytes::new(), size: log.bytes, copying };
                        (Input::Bucket(Box::new(arriving)), Some(sender))
                    }
                };
                // Waits while as many are under way: then the reader has not come to the first of them.
                let object = Object { name: bucket.named(&log.key), input, progress: progress.clone() };
                if objects.send(object).await.is_err() {
                    return;
                }
                let bucket = bucket.clone();
                if let Some(sender) = sender {
                    tokio::spawn(async move { bucket.deliver(&log.key, sender).await });
                }
            }
        });
        Objects(receiver)
    }

    /// Where the copy of a log is, wherever buckets of this name are.
    fn copy_of(&self, log: &LogObject, cache: &Cache) -> PathBuf {
        let url = &self.origin.url;
        let address = format!("{}{}/{}", url.authority(), url.base, log.key);
        cache.path(&address, &log.version, log.bytes)
    }

    /// Sends one object piece by piece, and its error where it cannot be read to its end.
    async fn deliver(&self, key: &str, pieces: Sender<Result<Bytes, BucketError>>) {
        let mut sent = 0;
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            match self.pieces(key, &mut sent, &pieces).await {
                Ok(()) => return,
                Err(error) if attempt == TRIES || !may_pass(&error) => {
                    let _ = pieces.send(Err(error)).await;
                    return;
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
    }

    /// Sends what comes after the `sent` bytes that are there already.
    async fn pieces(
        &self,
        key: &str,
        sent: &mut u64,
        pieces: &Sender<Result<Bytes, BucketError>>,
    ) -> Result<(), BucketError> {
        let failed = |message: String| BucketError::Failed(self.named(key), message);
        let from = Some(*sent).filter(|sent| *sent > 0);
        let answer = self.send(key, "", from).await?;
        let answer = self.good(answer, key).await?;
        if from.is_some() && answer.status() != StatusCode::PARTIAL_CONTENT {
            return Err(failed("it broke off, and the server cannot go on from there".into()));
        }
        let mut body = answer.into_body();
        loop {
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
            let Some(frame) = frame.map_err(|_| failed(format!("silent for {PATIENCE:?}")))? else { return Ok(()) };
            let frame = frame.map_err(|error| failed(crate::web::chain(&error)))?;
            if let Ok(piece) = frame.into_data() {
                *sent += piece.len() as u64;
                if pieces.send(Ok(piece)).await.is_err() {
                    // Nobody reads on.
                    return Ok(());
                }
            }
        }
    }
}

/// Whether another try may help.
fn may_pass(error: &BucketError) -> bool {
    match error {
        BucketError::Failed(..) => true,
        BucketError::Refused { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
    }
}
