//! The ledger: who took how much, hour by hour, in a file that outlives the process.
//!
//! Requests never wait for it: they enter [`Live`] books in memory, and every half minute what came since is added to the
//! file in one transaction. When that cannot be done, what was counted waits in memory and the gateway goes on.

#![allow(clippy::disallowed_methods, reason = "rank 4: writes a file and waits")]

mod file;
mod rows;
mod sampled;
mod schema;
mod settings;
mod stores;
#[cfg(test)]
mod tests;
mod texts;

pub use schema::LedgerError;
pub use settings::{Interval, Keep, KeptAddresses, LedgerSettings, MaxSize};

use crate::clock::{Clock, Throttle, Timestamp};
use crate::metrics::Metrics;
use crate::traffic::{Books, Disguise, HOUR, Live};
use file::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// So many hours wait in memory where the file cannot be written; then the oldest is lost.
const MOST_WAITING: usize = 48;
/// A warning that nothing can be written is given so often.
const WARNING_INTERVAL: Duration = Duration::from_secs(300);

#[derive(Default)]
struct Writer {
    file: Option<File>,
    /// Whether the file has been looked through for damage.
    is_checked: bool,
    waiting: Books,
    failed: bool,
}

/// Writes what the books say into the file.
pub struct Ledger {
    settings: LedgerSettings,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    writer: Mutex<Writer>,
    warnings: Throttle,
}

/// The key that names clients, from the file beside the ledger, which is made where it is missing. Where that cannot be,
/// names change with every start.
fn key(ledger: &Path) -> [u8; 16] {
    let path = file::beside(ledger, ".key");
    let read = || {
        let text = std::fs::read_to_string(&path).ok()?;
        u128::from_str_radix(text.trim(), 16).ok().filter(|_| text.trim().len() == 32)
    };
    if let Some(key) = read() {
        return key.to_be_bytes();
    }
    let key: u128 = rand::random();
    let write = || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "{key:032x}")?;
        file.sync_all()
    };
    if let Err(error) = write() {
        tracing::warn!(file = %path.display(), %error, "the ledger's key cannot be kept: names of clients end with this process");
    }
    key.to_be_bytes()
}

impl Ledger {
    /// Books for a gateway that has this ledger, or none. Prefixes of clients are hidden as it says.
    pub fn live(settings: Option<&LedgerSettings>) -> Live {
        let disguise = match settings.map(|settings| settings.addresses) {
            None | Some(KeptAddresses::Prefix) => Disguise::None,
            Some(KeptAddresses::Hashed) => {
                Disguise::Names(settings.map_or([0; 16], |settings| key(&settings.path.value)))
            }
            Some(KeptAddresses::None) => Disguise::Hourly(rand::random()),
        };
        Live::new(disguise, settings.is_some())
    }

    /// A ledger of `live`, which nobody else may take from.
    pub fn new(settings: &LedgerSettings, live: Arc<Live>, clock: Arc<dyn Clock>, metrics: &Metrics) -> Self {
        Ledger {
            settings: settings.clone(),
            live,
            clock,
            metrics: metrics.clone(),
            writer: Mutex::default(),
            warnings: Throttle::new(WARNING_INTERVAL),
        }
    }

    /// Adds to the file what was counted since it was done last. What goes wrong is logged, counted and done the next
    /// time.
    pub fn save(&self) {
        let now = self.clock.now();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.waiting.merge(&self.live.take(now));
        let lost = writer.waiting.keep_newest(MOST_WAITING);
        self.metrics.ledger_lost.inc_by(lost);
        let mut result = self.write(&mut writer, now);
        if let Err(LedgerError::Damaged(what)) = &result {
            result = self.begin_anew(&mut writer, what, now);
        }
        let up = self.metrics.ledger_up.with_label_values::<&str>(&[]);
        up.set(result.is_ok().into());
        let path = self.settings.path.value.display();
        match result {
            Ok(()) if writer.failed => {
                writer.failed = false;
                tracing::info!(file = %path, "the ledger is written again");
            }
            Ok(()) => {}
            Err(error) => {
                writer.failed = true;
                self.metrics.ledger_failed_writes.inc();
                if self.warnings.is_due(now) {
                    let waiting: u64 = writer.waiting.cells().map(|(_, _, cell)| cell.requests).sum();
                    tracing::warn!(file = %path, %error, waiting, lost, "the ledger cannot be written: requests wait in memory");
                }
            }
        }
    }

    fn write(&self, writer: &mut Writer, now: Timestamp) -> Result<(), LedgerError> {
        let path = &self.settings.path.value;
        // Somebody may have taken it away, or put another in its place.
        writer.file = writer.file.take().filter(|file| file.is_at(path));
        let mut file = match writer.file.take() {
            Some(file) => file,
            None => File::open(path, !writer.is_checked)?,
        };
        writer.is_checked = true;
        if let Err(error) = file.add(&writer.waiting) {
            // After other errors it is opened anew: what may not be written now may be later, by another connection.
            writer.file = Some(file).filter(|_| error.is_passing());
            return Err(error);
        }
        // It is in the file, whatever happens now.
        writer.waiting = Books::default();
        let keep = u64::try_from(self.settings.keep.0.as_millis()).unwrap_or(u64::MAX);
        file.trim(now.0.saturating_sub(keep) / HOUR, self.settings.max_size.0.0)?;
        let (rows, bytes) = file.size()?;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.ledger_rows.with_label_values::<&str>(&[]).set(number(rows));
        self.metrics.ledger_bytes.with_label_values::<&str>(&[]).set(number(bytes));
        self.metrics.ledger_last_write.with_label_values::<&str>(&[]).set(number(now.seconds()));
        writer.file = Some(file);
        Ok(())
    }

    /// Goes on with an empty file, and keeps the damaged one beside it.
    fn begin_anew(&self, writer: &mut Writer, what: &str, now: Timestamp) -> Result<(), LedgerError> {
        let path = &self.settings.path.value;
        self.metrics.ledger_damaged.inc();
        (writer.file, writer.is_checked) = (None, false);
        match file::set_aside(path, now) {
            Ok(aside) => {
                let (file, aside) = (path.display(), aside.display());
                tracing::error!(%file, %aside, what, "the ledger is damaged: it is kept aside, and a new one begins");
                self.write(writer, now)
            }
            Err(error) => Err(LedgerError::Damaged(format!("{what}, and it cannot be moved aside: {error}"))),
        }
    }

    /// Saves over and over.
    pub async fn run(self: Arc<Self>) {
        loop {
            let ledger = self.clone();
            // It waits for disks.
            let _ = tokio::task::spawn_blocking(move || ledger.save()).await;
            tokio::time::sleep(self.settings.interval.0).await;
        }
    }

    /// What a ledger says of the hours from `from` to `to`, while a gateway writes it or not.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or of a later version.
    pub fn read(path: &Path, from: Timestamp, to: Timestamp) -> Result<Books, LedgerError> {
        file::read(path, from, to)
    }
}
