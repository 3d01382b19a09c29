//! The bytes of a file as the body of an answer, read while they are sent.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::task::{JoinHandle, spawn_blocking};

/// How much of a file is read, and held, at once. Twice this is the memory of a download.
const CHUNK: u64 = 256 * 1024;

/// A part of a file: one chunk is read ahead while the one before is sent.
pub(super) struct Reading {
    next: Option<JoinHandle<io::Result<(File, Bytes)>>>,
    left: u64,
}

impl Reading {
    /// Of `file`, the bytes in `range`.
    pub(super) fn new(mut file: File, range: Range<u64>) -> Self {
        let left = range.end - range.start;
        let read = move || {
            file.seek(SeekFrom::Start(range.start))?;
            chunk(file, left)
        };
        Self { next: (left > 0).then(|| spawn_blocking(read)), left }
    }
}

fn chunk(file: File, left: u64) -> io::Result<(File, Bytes)> {
    let length = left.min(CHUNK);
    let mut bytes = Vec::with_capacity(length as usize);
    (&file).take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok((file, bytes.into())) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

impl Body for Reading {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(next) = &mut self.next else {
            return Poll::Ready(None);
        };
        let read = ready!(Pin::new(next).poll(context));
        self.next = None;
        let (file, bytes) = read.map_err(io::Error::other).flatten()?;
        self.left -= bytes.len() as u64;
        let left = self.left;
        self.next = (left > 0).then(|| spawn_blocking(move || chunk(file, left)));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_part_that_spans_chunks_is_read_whole_and_a_file_that_shrinks_breaks_off() {
        let path = std::env::temp_dir().join(format!("demo-body-{}", std::process::id()));
        let bytes: Vec<u8> = (0..3 * CHUNK).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        for range in [0..3 * CHUNK, 5..2 * CHUNK + 7, 9..10, 4..4] {
            let body = Reading::new(File::open(&path).unwrap(), range.clone());
            let read = body.collect().await.unwrap().to_bytes();
            assert_eq!(read, bytes[range.start as usize..range.end as usize]);
        }
        let beyond = Reading::new(File::open(&path).unwrap(), 0..3 * CHUNK + 1);
        assert!(beyond.collect().await.is_err());
        std::fs::remove_file(path).unwrap();
    }
}
