//! The sample, as rows and back.

use super::rows::{damaged, signed, unsigned};
use super::schema::LedgerError;
use crate::traffic::{Books, Sampled};
use rusqlite::{Connection, params};

/// Adds the sample of a range of hours to `books`.
pub(super) fn read(connection: &Connection, range: [i64; 2], books: &mut Books) -> Result<(), LedgerError> {
    let select = "SELECT hour, point, below, sessions FROM sampled WHERE hour >= ?1 AND hour < ?2";
    let mut statement = connection.prepare(select)?;
    let mut rows = statement.query(range)?;
    while let Some(row) = rows.next()? {
        let [hour, point, below] = [0, 1, 2].map(|column| unsigned(row, column));
        // What SQLite cannot write is the end of the draw.
        let below = below?.saturating_add(1);
        let sampled = &mut books.hours.entry(hour?).or_default().sampled;
        let sessions = row.get_ref(3)?.as_blob().unwrap_or(&[0]);
        sampled.restore(below, point?, sessions).ok_or_else(|| damaged("sample"))?;
    }
    Ok(())
}

/// Writes the sample of an hour in place of what the file knows of it.
pub(super) fn write(connection: &Connection, hour: i64, before: &Sampled, after: &Sampled) -> rusqlite::Result<()> {
    if before == after {
        return Ok(());
    }
    connection.execute("DELETE FROM sampled WHERE hour = ?1", [hour])?;
    let mut statement = connection.prepare("INSERT INTO sampled VALUES (?1, ?2, ?3, ?4)")?;
    let (below, prefixes) = after.kept();
    for (point, sessions) in prefixes {
        statement.execute(params![hour, signed(point), signed(below.saturating_sub(1)), sessions])?;
    }
    Ok(())
}
