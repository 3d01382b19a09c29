//! The register of what operators decide: says in the log who decided what and when it is over, keeps it over a restart,
//! and tells other replicas.
//!
//! A decision is in force before it is written down, and stays so where that fails: an operator under fire is not told to
//! see to a disk first.

#![allow(clippy::disallowed_methods, reason = "rank 4: reads a file, and waits")]

use crate::clock::Clock;
use crate::decisions::{Change, Decision, Decisions, Full, Kind, Proposal};
use crate::document::Spanned;
use crate::exchange::Agreed;
use crate::files::{PRIVATE, replace};
use crate::metrics::Metrics;
use crate::network::IpNet;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is looked whether something is over, or was heard of and is to be written.
const INTERVAL: Duration = Duration::from_secs(1);

crate::settings! {
    /// Where what operators decide while the gateway runs is kept.
    pub struct RegisterSettings {
        /// The file; its directory must exist. Relative to the gateway file.
        file: Spanned<PathBuf>,
    }
}

/// Keeps what operators decide.
pub struct Register {
    decisions: Arc<Decisions>,
    file: Option<PathBuf>,
    /// The last change that is in the file.
    written: Mutex<u64>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

/// Logs what has become of a decision.
macro_rules! tell {
    ($decision:expr, $by:expr, $what:literal) => {
        tracing::info!(
            kind = $decision.kind.word(),
            about = $decision.about(),
            until = %$decision.until,
            who = &*$decision.who,
            reason = &*$decision.reason,
            by = $by,
            $what
        )
    };
}

impl Register {
    /// The register of `decisions`. Where there are no settings, they end with the process, or live on in other replicas.
    pub fn new(
        decisions: Arc<Decisions>,
        settings: Option<&RegisterSettings>,
        clock: Arc<dyn Clock>,
        metrics: &Metrics,
    ) -> Self {
        let file = settings.map(|settings| settings.file.value.clone());
        let register = Register { decisions, file, written: Mutex::default(), clock, metrics: metrics.clone() };
        register.count();
        register
    }

    /// Decides, at once. Says with the decision whether it is kept over a restart.
    ///
    /// # Errors
    /// When there are too many.
    pub fn decide(&self, proposal: Proposal, who: &str) -> Result<(Arc<Decision>, bool), Full> {
        let decision = self.decisions.decide(proposal, who, self.clock.now())?;
        tell!(decision, None::<&str>, "an operator decided");
        self.count();
        Ok((decision, self.save()))
    }

    /// Takes back what holds for `prefix`, or for everybody; `None` where nothing does. Says whether that is kept, too.
    pub fn lift(&self, prefix: Option<IpNet>, who: &str) -> Option<(Arc<Decision>, bool)> {
        let decision = self.decisions.lift(prefix, who, self.clock.now())?;
        tell!(decision, Some(who), "an operator took a decision back");
        self.count();
        Some((decision, self.save()))
    }

    /// All that hold.
    pub fn list(&self) -> Vec<Arc<Decision>> {
        self.decisions.list(self.clock.now())
    }

    fn count(&self) {
        let all = self.list();
        for (word, kind) in Kind::WORDS {
            let count = all.iter().filter(|decision| decision.kind == kind).count();
            self.metrics.runtime_decisions.with_label_values(&[word]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Tells what is over, and writes down what was heard of. To be called every second or so.
    pub fn look(&self) {
        for decision in self.decisions.expire(self.clock.now()) {
            tell!(decision, None::<&str>, "a decision of an operator is over");
        }
        self.count();
        self.save();
    }

    /// As [`look`](Self::look), again and again.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let register = self.clone();
            let _ = tokio::task::spawn_blocking(move || register.look()).await;
        }
    }

    /// Writes the file, all of it or nothing, where something has changed. Says whether all is in it.
    fn save(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.decisions.changes();
        if *written == changes {
            return true;
        }
        let (text, _) = self.decisions.text(self.clock.now());
        match replace(file, text.as_bytes(), PRIVATE) {
            Ok(()) => {
                *written = changes;
                true
            }
            Err(error) => {
                let file = file.display();
                tracing::warn!(%file, %error, "what operators decided could not be written down: a restart would forget it");
                false
            }
        }
    }

    /// Reads what was decided before a restart. What cannot be read is kept aside, and the gateway starts without it.
    pub fn restore(&self) {
        let Some(file) = &self.file else { return };
        let now = self.clock.now();
        let fault = match std::fs::read_to_string(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => Some(error.to_string()),
            Ok(text) => {
                let merged = self.decisions.merge(&text, now);
                for Change { decision, .. } in &merged.changes {
                    tell!(decision, None::<&str>, "a decision of an operator still holds");
                }
                merged.fault.or_else(|| text.is_empty().then(|| "it is empty".into()))
            }
        };
        let Some(fault) = fault else { return self.count() };
        let mut aside = file.clone().into_os_string();
        aside.push(format!(".damaged-{}", now.seconds()));
        let aside = PathBuf::from(aside);
        let kept = std::fs::rename(file, &aside);
        let (file, aside) = (file.display(), aside.display());
        match kept {
            Ok(()) => {
                tracing::error!(%file, %aside, fault, "what operators decided cannot all be read: the file is kept aside")
            }
            Err(error) => {
                tracing::error!(%file, fault, %error, "what operators decided cannot all be read, nor the file moved aside")
            }
        }
        self.look();
    }
}

impl Agreed for Register {
    fn own_changes(&self) -> u64 {
        self.decisions.own_changes()
    }

    fn join(&self, text: &str) -> Option<(String, Duration)> {
        let now = self.clock.now();
        let merged = self.decisions.merge(text, now);
        for Change { decision, lifted } in &merged.changes {
            match lifted {
                false => tell!(decision, None::<&str>, "an operator decided at another replica"),
                true => tell!(decision, Some(&*decision.who), "an operator took a decision back at another replica"),
            }
        }
        if let Some(fault) = merged.fault {
            tracing::warn!(fault, "what operators decided at other replicas cannot all be read");
        }
        if !merged.changes.is_empty() {
            self.count();
        }
        let (text, life) = self.decisions.text(now);
        life.filter(|_| merged.lacks).map(|life| (text, life))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::document::Position;
    use std::path::Path;

    const HOUR: Duration = Duration::from_secs(3600);

    fn register(file: &Path, clock: &Arc<ManualClock>) -> Register {
        let settings = RegisterSettings { file: Spanned { position: Position::default(), value: file.to_owned() } };
        let register = Register::new(Arc::default(), Some(&settings), clock.clone(), &Metrics::new().unwrap());
        register.restore();
        register
    }

    fn block(prefix: &str) -> Proposal {
        Proposal::new(Kind::Block, Some(prefix), HOUR, "a test").unwrap()
    }

    #[test]
    fn what_was_decided_outlives_the_process_and_ends_by_itself() {
        let directory = tempfile::tempdir().unwrap();
        let (file, clock) =
            (directory.path().join("decisions"), Arc::new(ManualClock::new(Timestamp(1_800_000_000_000))));
        let before = register(&file, &clock);
        assert!(!file.exists(), "nothing was decided yet");
        let (decision, kept) = before.decide(block("192.0.2.0/24"), "alice").unwrap();
        assert!(kept);
        before.decide(block("198.51.100.0/24"), "alice").unwrap();
        assert!(before.lift(Some("198.51.100.0/24".parse().unwrap()), "bob").unwrap().1);
        assert!(before.lift(None, "bob").is_none());

        let after = register(&file, &clock);
        assert_eq!(after.list(), [decision]);
        assert_eq!(after.metrics.runtime_decisions.with_label_values(&["block"]).get(), 1);
        clock.advance(HOUR);
        after.look();
        assert_eq!(after.list(), []);
        assert_eq!(after.metrics.runtime_decisions.with_label_values(&["block"]).get(), 0);
        assert!(!std::fs::read_to_string(&file).unwrap().contains("192.0.2.0"), "nothing of it stays");
    }

    #[test]
    fn a_damaged_file_is_kept_aside_and_what_can_be_read_of_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        let (file, clock) =
            (directory.path().join("decisions"), Arc::new(ManualClock::new(Timestamp(1_800_000_000_000))));
        register(&file, &clock).decide(block("192.0.2.0/24"), "alice").unwrap();
        let good = std::fs::read_to_string(&file).unwrap();
        let half = good.replace("[{", "[7,{");
        let cases = [("", 0), ("{", 0), ("\u{fffd}", 0), (&half, 1), (&good.replace("version\":1", "version\":9"), 0)];
        for (number, (text, expected)) in cases.into_iter().enumerate() {
            std::fs::write(&file, text).unwrap();
            clock.advance(Duration::from_secs(1));
            assert_eq!(register(&file, &clock).list().len(), expected, "{text}");
            let aside = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
            let aside = aside.filter(|name| name.to_string_lossy().contains(".damaged-")).count();
            assert_eq!(aside, number + 1, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_written_holds_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let (folder, clock) = (directory.path().join("gone"), Arc::new(ManualClock::new(Timestamp(1_800_000_000_000))));
        let register = register(&folder.join("decisions"), &clock);
        let (_, kept) = register.decide(block("192.0.2.0/24"), "alice").unwrap();
        assert!(!kept && register.list().len() == 1);
        std::fs::create_dir(&folder).unwrap();
        register.look();
        assert!(folder.join("decisions").exists(), "it is tried again");
    }
}
