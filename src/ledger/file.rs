//! The file: opened, added to, kept within its bounds.

#![allow(clippy::disallowed_methods, reason = "rank 4: looks at files")]

use super::rows::{self, signed, unsigned};
use super::schema::{LedgerError, STEPS, migrate, version};
use super::texts::Texts;
use crate::clock::Timestamp;
use crate::traffic::{Books, HOUR};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So long a writer waits for another one.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who took most is kept for so many hours where there is no room.
const WEEK: u64 = 168;
const DAY: u64 = 24;

/// A ledger that can be written.
pub(super) struct File {
    pub(super) connection: Connection,
    inode: Option<u64>,
    rows: u64,
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.ino())
}

/// The name with something behind it.
pub(super) fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

impl File {
    /// Opens the file, or begins it. `thoroughly` looks for damage, which reads all of it.
    pub fn open(path: &Path, thoroughly: bool) -> Result<Self, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        // Nothing is changed in what is not ours.
        version(&connection, STEPS)?;
        // It says something before there is a table only.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 8000000")?;
        migrate(&mut connection, STEPS)?;
        if thoroughly {
            let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if found != "ok" {
                return Err(LedgerError::Damaged(found));
            }
        }
        let rows = connection.query_row("SELECT count(*) FROM cells", [], |row| unsigned(row, 0))?;
        Ok(File { connection, inode: inode(path), rows })
    }

    /// Whether the file is still the one that was opened.
    pub fn is_at(&self, path: &Path) -> bool {
        self.inode == inode(path)
    }

    /// Adds what was counted: all of it or nothing.
    pub fn add(&mut self, books: &Books) -> Result<(), LedgerError> {
        if books.hours.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut texts = Texts::load(&transaction)?;
        let mut more = 0;
        for (number, counted) in &books.hours {
            let known = rows::read(&transaction, &texts, *number..*number + 1)?;
            let before = known.hours.into_values().next().unwrap_or_default();
            let mut after = before.clone();
            after.merge(counted);
            rows::write(&transaction, &mut texts, *number, &before, &after)?;
            more += (after.cells.len() - before.cells.len()) as u64;
        }
        transaction.commit()?;
        self.rows += more;
        Ok(())
    }

    /// Drops hours before `oldest`, and what does not fit into `most` bytes.
    pub fn trim(&mut self, oldest: u64, most: u64) -> Result<(), LedgerError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let number = |sql: &str| -> rusqlite::Result<Option<u64>> {
            let number: Option<i64> = transaction.query_row(sql, [], |row| row.get(0))?;
            Ok(number.and_then(|number| u64::try_from(number).ok()))
        };
        let drop_before = |table: &str, hour: u64| {
            transaction.execute(&format!("DELETE FROM {table} WHERE hour < ?1"), [signed(hour)])
        };
        let mut fewer = drop_before("cells", oldest)?;
        for table in ["tops", "objects", "findings", "sampled"] {
            drop_before(table, oldest)?;
        }
        while used(&transaction)? > most {
            let Some(newest) = number("SELECT max(hour) FROM cells")? else { break };
            let first_top = number("SELECT min(hour) FROM tops")?;
            if let Some(hour) = first_top.filter(|hour| hour + WEEK < newest) {
                for table in ["tops", "objects", "sampled"] {
                    drop_before(table, (hour + DAY).min(newest))?;
                }
                continue;
            }
            let Some(first) = number("SELECT min(hour) FROM cells")?.filter(|first| *first < newest) else { break };
            let end = (first + DAY).min(newest);
            fewer += drop_before("cells", end)?;
            for table in ["tops", "objects", "findings", "sampled"] {
                drop_before(table, end)?;
            }
        }
        transaction.commit()?;
        self.rows = self.rows.saturating_sub(fewer as u64);
        let mut statement = self.connection.prepare("PRAGMA incremental_vacuum")?;
        let mut pages = statement.query([])?;
        while pages.next()?.is_some() {}
        Ok(())
    }

    /// Rows, and bytes in use.
    pub fn size(&self) -> Result<(u64, u64), LedgerError> {
        Ok((self.rows, used(&self.connection)?))
    }
}

fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |sql: &str| connection.query_row(sql, [], |row| unsigned(row, 0));
    let pages = number("PRAGMA page_count")?.saturating_sub(number("PRAGMA freelist_count")?);
    Ok(pages * number("PRAGMA page_size")?)
}

/// Moves a damaged file out of the way, and says where it is now.
pub(super) fn set_aside(path: &Path, now: Timestamp) -> std::io::Result<PathBuf> {
    let aside = beside(path, &format!(".damaged-{}", now.seconds()));
    std::fs::rename(path, &aside)?;
    // What a new file would take for its own.
    for part in ["-wal", "-shm"] {
        match std::fs::rename(beside(path, part), beside(&aside, part)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// What the file says of the hours from `from` to `to`. It may be written meanwhile, or be a copy that nobody may write.
pub(super) fn read(path: &Path, from: Timestamp, to: Timestamp) -> Result<Books, LedgerError> {
    let hours = from.0 / HOUR..to.0.div_ceil(HOUR);
    let look = |name: &Path, more: OpenFlags| -> Result<Books, LedgerError> {
        let connection = Connection::open_with_flags(name, OpenFlags::SQLITE_OPEN_READ_ONLY | more)?;
        connection.busy_timeout(PATIENCE)?;
        // One transaction, so that all is of one moment.
        let transaction = connection.unchecked_transaction()?;
        match version(&transaction, STEPS)? {
            0 => Err(LedgerError::Damaged("there is nothing in it".into())),
            _ => rows::read(&transaction, &Texts::load(&transaction)?, hours.clone()),
        }
    };
    match look(path, OpenFlags::empty()) {
        // Where SQLite may write nothing beside the file, it must be told that nobody else does.
        Err(LedgerError::Unusable(error)) if path.is_file() && !beside(path, "-wal").exists() => {
            let name =
                percent_encoding::utf8_percent_encode(&path.to_string_lossy(), percent_encoding::NON_ALPHANUMERIC)
                    .to_string();
            let uri = format!("file:{}?immutable=1", name.replace("%2F", "/"));
            look(Path::new(&uri), OpenFlags::SQLITE_OPEN_URI).map_err(|_| LedgerError::Unusable(error))
        }
        read => read,
    }
}
