//! The form of the file, and what may be wrong with one.
//!
//! `user_version` says of which version the form is. What an earlier version has written is migrated where it stands; a
//! file of a later version, or of another program, is left alone.

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

/// The number of the latest version, and how to get to each from the one before.
pub(super) const STEPS: &[&str] = &["
    CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
    -- What was counted in an hour under one key. Names are ids of texts, 0 for none; asn is -1 where it is not known.
    CREATE TABLE cells (
        hour INTEGER NOT NULL, site INTEGER NOT NULL, source INTEGER NOT NULL, class TEXT NOT NULL, rule INTEGER NOT NULL,
        done TEXT NOT NULL, would_rule INTEGER NOT NULL, would_action TEXT NOT NULL, status INTEGER NOT NULL,
        billed TEXT NOT NULL, network INTEGER NOT NULL, region INTEGER NOT NULL, country TEXT NOT NULL,
        asn INTEGER NOT NULL, undecided INTEGER NOT NULL,
        requests INTEGER NOT NULL, bytes INTEGER NOT NULL, prefixes BLOB NOT NULL, peak_minute INTEGER NOT NULL,
        PRIMARY KEY (hour, site, source, class, rule, done, would_rule, would_action, status, billed, network, region,
                     country, asn, undecided)
    ) STRICT, WITHOUT ROWID;
    -- Those who took most in an hour. The kind says which columns are used: taker, agent, path, stopped.
    CREATE TABLE tops (
        hour INTEGER NOT NULL, kind TEXT NOT NULL, place INTEGER NOT NULL,
        prefix TEXT NOT NULL, class TEXT NOT NULL, name INTEGER NOT NULL, text TEXT NOT NULL,
        weight INTEGER NOT NULL, error INTEGER NOT NULL, requests INTEGER NOT NULL, bytes INTEGER NOT NULL,
        PRIMARY KEY (hour, kind, place)
    ) STRICT, WITHOUT ROWID;
", "
    -- What requests of an hour showed about origins that are not the first of their site: sums, and objects by their path.
    CREATE TABLE findings (
        hour INTEGER NOT NULL, site INTEGER NOT NULL, source INTEGER NOT NULL, shown TEXT NOT NULL,
        requests INTEGER NOT NULL, bytes INTEGER NOT NULL, objects BLOB NOT NULL, last INTEGER NOT NULL,
        PRIMARY KEY (hour, site, source, shown)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE objects (
        hour INTEGER NOT NULL, place INTEGER NOT NULL, site INTEGER NOT NULL, source INTEGER NOT NULL,
        shown TEXT NOT NULL, path TEXT NOT NULL,
        weight INTEGER NOT NULL, error INTEGER NOT NULL, requests INTEGER NOT NULL, bytes INTEGER NOT NULL,
        PRIMARY KEY (hour, place)
    ) STRICT, WITHOUT ROWID;
", "
    -- The sample of an hour: where a prefix stands in the draw, from where on none is in it, and its sessions.
    CREATE TABLE sampled (
        hour INTEGER NOT NULL, point INTEGER NOT NULL, below INTEGER NOT NULL, sessions BLOB NOT NULL,
        PRIMARY KEY (hour, point)
    ) STRICT, WITHOUT ROWID;
"];

/// The first version that has findings.
pub(super) const FINDINGS: i64 = 2;
/// The first version that has the sample.
pub(super) const SAMPLED: i64 = 3;

/// `WSLG`: files of this program bear it.
const APPLICATION: i64 = 0x5753_4c47;

/// Why a ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Written by a later version.
    #[error("it is of version {found}, and this program knows up to {known}: use a newer windscreen")]
    Newer {
        /// The version of the file.
        found: i64,
        /// The latest version that is known.
        known: i64,
    },
    /// Something else.
    #[error("it belongs to another program: name another file")]
    Foreign,
    /// No ledger, or one that was damaged.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The file cannot be opened, read or written now.
    #[error("{0}")]
    Unusable(rusqlite::Error),
}

impl LedgerError {
    /// Whether there is no room, or somebody else writes.
    pub(super) fn is_passing(&self) -> bool {
        let LedgerError::Unusable(error) = self else { return false };
        let code = error.sqlite_error_code();
        matches!(code, Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
        // Whatever this is, it was not written here.
        if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
            return LedgerError::Foreign;
        }
        let damaged = error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
            || matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..));
        if damaged { LedgerError::Damaged(error.to_string()) } else { LedgerError::Unusable(error) }
    }
}

fn number(connection: &Connection, sql: &str) -> Result<i64, LedgerError> {
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// The version of a file; 0 of an empty one.
pub(super) fn version(connection: &Connection, steps: &[&str]) -> Result<i64, LedgerError> {
    let (found, known) = (number(connection, "PRAGMA user_version")?, steps.len() as i64);
    let application = number(connection, "PRAGMA application_id")?;
    let tables = number(connection, "SELECT count(*) FROM sqlite_schema")?;
    if application != APPLICATION && (tables > 0 || found > 0) {
        return Err(LedgerError::Foreign);
    }
    if found > known {
        return Err(LedgerError::Newer { found, known });
    }
    let own = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('texts', 'cells', 'tops')";
    if found > 0 && number(connection, own)? != 3 {
        return Err(LedgerError::Damaged("tables are missing".into()));
    }
    Ok(found)
}

/// Brings a file to the latest version: all of it or nothing.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), LedgerError> {
    if version(connection, steps)? == steps.len() as i64 {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
    let from = usize::try_from(version(&transaction, steps)?).unwrap_or(0);
    for step in steps.iter().skip(from) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", steps.len() as i64)?;
    Ok(transaction.commit()?)
}
