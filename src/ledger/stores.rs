//! What requests showed about second stores, as rows and back.

use super::rows::{damaged, signed, unsigned, word};
use super::schema::LedgerError;
use super::texts::Texts;
use crate::clock::Timestamp;
use crate::traffic::{Books, Distinct, Finding, Shower, Shown, Stores, Sum, Taken};
use rusqlite::{Connection, Row, params};

const READ_SUMS: &str = "SELECT hour, site, source, shown, requests, bytes, objects, last FROM findings \
    WHERE hour >= ?1 AND hour < ?2";
const READ_OBJECTS: &str = "SELECT hour, site, source, shown, path, weight, error, requests, bytes FROM objects \
    WHERE hour >= ?1 AND hour < ?2 ORDER BY hour, place";

fn finding(row: &Row<'_>, texts: &Texts) -> Result<Finding, LedgerError> {
    let name = |column: usize| texts.text(row.get(column)?).ok_or_else(|| damaged("name"));
    let shown = word(&Shown::WORDS, row.get_ref(3)?.as_str().unwrap_or_default(), "finding")?;
    Ok(Finding { site: name(1)?, origin: name(2)?, shown })
}

/// Adds the findings of a range of hours to `books`.
pub(super) fn read(
    connection: &Connection,
    texts: &Texts,
    range: [i64; 2],
    books: &mut Books,
) -> Result<(), LedgerError> {
    let mut statement = connection.prepare(READ_SUMS)?;
    let mut rows = statement.query(range)?;
    while let Some(row) = rows.next()? {
        let blob = row.get_ref(6)?.as_blob().unwrap_or(&[0]);
        let objects = Distinct::from_bytes(blob).ok_or_else(|| damaged("count"))?;
        let [hour, requests, bytes, last] = [0, 4, 5, 7].map(|column| unsigned(row, column));
        let sum = Sum { requests: requests?, bytes: bytes?, objects, last: Timestamp(last?) };
        books.hours.entry(hour?).or_default().stores.sums.insert(finding(row, texts)?, sum);
    }
    let mut statement = connection.prepare(READ_OBJECTS)?;
    let mut rows = statement.query(range)?;
    while let Some(row) = rows.next()? {
        let [hour, weight, error, requests, bytes] = [0, 5, 6, 7, 8].map(|column| unsigned(row, column));
        let taken = Taken { weight: weight?, error: error?, requests: requests?, bytes: bytes? };
        let path: String = row.get(4)?;
        let object = Shower { finding: finding(row, texts)?, path: path.into() };
        books.hours.entry(hour?).or_default().stores.objects.restore([(object, taken)]);
    }
    Ok(())
}

/// Writes the findings of an hour in place of what the file knows of them.
pub(super) fn write(connection: &Connection, texts: &mut Texts, hour: i64, stores: &Stores) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare("INSERT OR REPLACE INTO findings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for (Finding { site, origin, shown }, sum) in &stores.sums {
        let (site, origin) = (texts.id(connection, site)?, texts.id(connection, origin)?);
        let [requests, bytes, last] = [sum.requests, sum.bytes, sum.last.0].map(signed);
        statement.execute(params![hour, site, origin, shown.word(), requests, bytes, sum.objects.to_bytes(), last])?;
    }
    connection.execute("DELETE FROM objects WHERE hour = ?1", [hour])?;
    let mut statement = connection.prepare("INSERT INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?;
    for (place, (Shower { finding, path }, taken)) in stores.objects.top().into_iter().enumerate() {
        let (site, origin) = (texts.id(connection, &finding.site)?, texts.id(connection, &finding.origin)?);
        let Taken { weight, error, requests, bytes } = taken;
        let [weight, error, requests, bytes] = [weight, error, requests, bytes].map(signed);
        let place = signed(place as u64);
        let shown = finding.shown.word();
        statement.execute(params![hour, place, site, origin, shown, path, weight, error, requests, bytes])?;
    }
    Ok(())
}
