//! Bringing all replicas to say the same: a text in the store, which each replica compares with its own once per interval.
//!
//! A text is replaced only by whoever has heard it (compare and set, by a hash that it begins with), so that nothing that
//! one replica told is lost by another's telling. What has not changed costs one small command.

use super::script::{key, millis};
use super::store::{Connection, Trouble};
use crate::exchange::Agreed;
use redis::{Cmd, cmd};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

const SCRIPT: &str = include_str!("agree.lua");
/// Characters of the hash that stands before a text.
const HASH: usize = 32;
/// So often texts are compared at once, at most: others may be as quick. The rest is for the next interval.
const ROUNDS: usize = 4;

/// How far this replica has come to agree with the others.
pub struct Agreement {
    text: Arc<dyn Agreed>,
    /// What the text in the store begins with, as far as it was heard.
    heard: Vec<u8>,
    /// The change up to which the store knows of ours.
    told: Option<u64>,
}

/// A text as it stands in the store.
fn sealed(text: &str) -> String {
    let mut hash = hex::encode(Sha256::digest(text));
    hash.truncate(HASH);
    hash + text
}

/// The command that compares what was `heard`, and replaces it.
fn command(prefix: &str, heard: &[u8], new: Option<&(String, Duration)>) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(SCRIPT).arg(1).arg(key(prefix, "decisions", 0, 0)).arg(heard);
    match new {
        Some((text, life)) => command.arg(text).arg(millis(*life)),
        None => command.arg("").arg(1),
    };
    command
}

impl Agreement {
    /// Nothing has been heard of `text` yet.
    pub fn new(text: Arc<dyn Agreed>) -> Self {
        Agreement { text, heard: Vec::new(), told: None }
    }

    /// Hears what others say, and tells what they do not know.
    ///
    /// # Errors
    /// When the server cannot be asked. Nothing is lost: the next round says it all again.
    pub async fn round(&mut self, connection: &Connection) -> Result<(), Trouble> {
        for _ in 0..ROUNDS {
            let changes = self.text.own_changes();
            let ours = if self.told == Some(changes) { None } else { self.text.join("") };
            let new = ours.map(|(text, life)| (sealed(&text), life));
            let command = command(connection.prefix(), &self.heard, new.as_ref());
            match connection.ask::<Option<Vec<u8>>>(&command).await? {
                None => {
                    if let Some((text, _)) = new {
                        self.heard = text.into_bytes();
                        self.heard.truncate(HASH);
                    }
                    self.told = Some(changes);
                    return Ok(());
                }
                Some(text) => {
                    let (heard, rest) = text.split_at(text.len().min(HASH));
                    self.heard = heard.to_vec();
                    let lacks = self.text.join(&String::from_utf8_lossy(rest)).is_some();
                    self.told = (!lacks).then_some(changes);
                }
            }
        }
        Ok(())
    }
}
