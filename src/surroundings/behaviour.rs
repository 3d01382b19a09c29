//! How clients behave, noted in the background: whoever answers requests leaves a note and goes on.

use crate::clock::Timestamp;
use crate::facts::Fact;
use crate::network::IpNet;
use crate::state::Fetch;
use crate::traffic::Behaviour;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use tokio::sync::mpsc;

/// Notes that wait to be taken. What comes while so many wait is not noted.
const QUEUE: usize = 8192;
/// Longer texts are cut: they are told apart by what remains.
const LONGEST: usize = 512;

/// One note: a fetch that owns its texts.
struct Note {
    at: Timestamp,
    prefix: IpNet,
    /// User-Agent, site, path and Referer, one after the other.
    texts: Box<str>,
    ends: [usize; 3],
    has_referer: bool,
    status: u16,
    bytes: u64,
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

impl Note {
    fn new(fetch: &Fetch<'_>) -> Self {
        let parts = [cut(fetch.user_agent), cut(fetch.site), cut(fetch.path), cut(fetch.referer.unwrap_or_default())];
        let ends = [1, 2, 3].map(|many| parts[..many].iter().map(|part| part.len()).sum());
        let (texts, has_referer) = (parts.concat().into_boxed_str(), fetch.referer.is_some());
        Note { at: fetch.at, prefix: fetch.prefix, texts, ends, has_referer, status: fetch.status, bytes: fetch.bytes }
    }

    fn fetch(&self) -> Fetch<'_> {
        let [agent, site, path] = self.ends;
        Fetch {
            at: self.at,
            prefix: self.prefix,
            user_agent: &self.texts[..agent],
            site: &self.texts[agent..site],
            path: &self.texts[site..path],
            referer: self.has_referer.then(|| &self.texts[path..]),
            status: self.status,
            bytes: self.bytes,
        }
    }
}

/// What is known of how clients behave.
#[derive(Default)]
pub(super) struct Behaviours {
    known: Mutex<Behaviour>,
    queue: OnceLock<mpsc::Sender<Note>>,
}

impl Behaviours {
    /// Takes notes until the task is dropped.
    pub(super) async fn serve(self: Arc<Self>) {
        let (sender, mut notes) = mpsc::channel(QUEUE);
        if self.queue.set(sender).is_err() {
            return;
        }
        while let Some(note) = notes.recv().await {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).note(&note.fetch());
        }
    }

    /// Takes a note: in the background where there is one, else at once.
    pub(super) fn note(&self, fetch: &Fetch<'_>) {
        match self.queue.get() {
            // A full queue loses the note: nobody waits for it.
            Some(queue) => _ = queue.try_send(Note::new(fetch)),
            None => self.known.lock().unwrap_or_else(PoisonError::into_inner).note(fetch),
        }
    }

    /// How suspicious a client is, from 0 to 1. Unknown in the moment in which a note is taken: no request waits.
    pub(super) fn suspicion(&self, prefix: IpNet, user_agent: &str, now: Timestamp) -> Fact<f64> {
        let known = match self.known.try_lock() {
            Ok(known) => known,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Fact::Unknown,
        };
        Fact::Present(known.score(prefix, cut(user_agent), now))
    }

    /// How many clients are remembered.
    pub(super) fn len(&self) -> usize {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn notes_arrive_as_they_were_left() {
        let prefix = "192.0.2.0/24".parse().unwrap();
        let fetch = |referer| Fetch {
            at: Timestamp(5),
            prefix,
            user_agent: "Mozilla/5.0",
            site: "logs",
            path: "/run/log",
            referer,
            status: 200,
            bytes: 0,
        };
        for referer in [None, Some(""), Some("/run/log.html")] {
            let note = Note::new(&fetch(referer));
            let read = note.fetch();
            let texts = (read.user_agent, read.site, read.path, read.referer);
            assert_eq!(texts, ("Mozilla/5.0", "logs", "/run/log", referer));
        }
        let behaviours = Arc::new(Behaviours::default());
        behaviours.note(&fetch(None));
        assert_eq!(behaviours.len(), 1, "without a background it is taken at once");
        let task = tokio::spawn(behaviours.clone().serve());
        tokio::task::yield_now().await;
        behaviours.note(&Fetch { prefix: "198.51.100.0/24".parse().unwrap(), ..fetch(None) });
        while behaviours.len() < 2 {
            tokio::task::yield_now().await;
        }
        task.abort();
        assert!(matches!(behaviours.suspicion(prefix, "Mozilla/5.0", Timestamp(6)), Fact::Present(_)));
    }
}
