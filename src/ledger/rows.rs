//! Hours as rows, and back.

use super::schema::{FINDINGS, LedgerError, SAMPLED, STEPS, version};
use super::texts::Texts;
use super::{sampled, stores};
use crate::network::IpNet;
use crate::traffic::{Agent, Billed, Books, Cell, Distinct, Hour, Key, PathPrefix, Stopped, Taken, Taker, Would};
use crate::verdict::{Class, Done};
use rusqlite::{Connection, Row, params};
use std::ops::Range;
use std::sync::Arc;

const READ_CELLS: &str = "SELECT hour, site, source, class, rule, done, would_rule, would_action, status, billed, network, \
    region, country, asn, undecided, requests, bytes, prefixes, peak_minute FROM cells WHERE hour >= ?1 AND hour < ?2";
const WRITE_CELL: &str = "INSERT OR REPLACE INTO cells VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
     ?18, ?19)";
const READ_TOPS: &str = "SELECT hour, kind, prefix, class, name, text, weight, error, requests, bytes FROM tops \
    WHERE hour >= ?1 AND hour < ?2 ORDER BY hour, kind, place";
const WRITE_TOP: &str = "INSERT INTO tops VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

pub(super) fn damaged(what: &str) -> LedgerError {
    LedgerError::Damaged(format!("a {what} that makes no sense"))
}

/// SQLite knows signed numbers alone.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column that never is negative.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

pub(super) fn word<T: Copy>(words: &[(&str, T)], word: &str, what: &str) -> Result<T, LedgerError> {
    words.iter().find(|(known, _)| *known == word).map(|(_, value)| *value).ok_or_else(|| damaged(what))
}

fn class(row: &Row<'_>, column: usize) -> Result<Class, LedgerError> {
    word(&Class::WORDS, row.get_ref(column)?.as_str().unwrap_or_default(), "class")
}

fn cell(row: &Row<'_>, texts: &Texts) -> Result<(u64, Key, Cell), LedgerError> {
    let name = |column: usize| texts.text(row.get(column)?).ok_or_else(|| damaged("name"));
    let optional = |column: usize| -> Result<Option<Arc<str>>, LedgerError> {
        if row.get::<_, i64>(column)? == 0 { Ok(None) } else { name(column).map(Some) }
    };
    let text = |column: usize| row.get::<_, String>(column);
    let would = match optional(6)? {
        Some(rule) => Some(Would { rule, action: Would::action(&text(7)?) }),
        None => None,
    };
    let key = Key {
        site: name(1)?,
        source: name(2)?,
        class: class(row, 3)?,
        rule: name(4)?,
        done: word(&Done::WORDS, &text(5)?, "deed")?,
        would,
        status: row.get(8)?,
        billed: word(&Billed::WORDS, &text(9)?, "kind of bill")?,
        network: name(10)?,
        region: name(11)?,
        country: text(12)?.into_bytes().try_into().ok(),
        asn: u32::try_from(row.get::<_, i64>(13)?).ok(),
        undecided: optional(14)?,
    };
    let prefixes = Distinct::from_bytes(row.get_ref(17)?.as_blob().unwrap_or(&[0])).ok_or_else(|| damaged("count"))?;
    let [hour, requests, bytes, peak] = [0, 15, 16, 18].map(|column| unsigned(row, column));
    Ok((hour?, key, Cell::new(requests?, bytes?, prefixes, peak?)))
}

fn top(row: &Row<'_>, texts: &Texts, hour: &mut Hour) -> Result<(), LedgerError> {
    let taken = Taken {
        weight: unsigned(row, 6)?,
        error: unsigned(row, 7)?,
        requests: unsigned(row, 8)?,
        bytes: unsigned(row, 9)?,
    };
    let prefix = || row.get::<_, String>(2)?.parse::<IpNet>().map_err(|_| damaged("prefix"));
    let name = || texts.text(row.get(4)?).ok_or_else(|| damaged("name"));
    let text = || row.get::<_, String>(5);
    match row.get::<_, String>(1)?.as_str() {
        "taker" => hour.takers.restore([(Taker { prefix: prefix()?, class: class(row, 3)?, site: name()? }, taken)]),
        "agent" => hour.agents.restore([(Agent { class: class(row, 3)?, user_agent: text()?.into() }, taken)]),
        "path" => hour.paths.restore([(PathPrefix { site: name()?, path: text()?.into() }, taken)]),
        "stopped" => {
            let action = Would::action(&text()?);
            hour.stopped
                .restore([(Stopped { prefix: prefix()?, class: class(row, 3)?, rule: name()?, action }, taken)]);
        }
        _ => return Err(damaged("kind")),
    }
    Ok(())
}

/// Reads the hours of a range.
pub(super) fn read(connection: &Connection, texts: &Texts, hours: Range<u64>) -> Result<Books, LedgerError> {
    let mut books = Books::default();
    let range = [signed(hours.start), signed(hours.end)];
    let mut statement = connection.prepare(READ_CELLS)?;
    let mut rows = statement.query(range)?;
    while let Some(row) = rows.next()? {
        let (hour, key, cell) = cell(row, texts)?;
        books.hours.entry(hour).or_default().cells.insert(key, cell);
    }
    let mut statement = connection.prepare(READ_TOPS)?;
    let mut rows = statement.query(range)?;
    while let Some(row) = rows.next()? {
        top(row, texts, books.hours.entry(unsigned(row, 0)?).or_default())?;
    }
    // An older file that nobody may write has none.
    let version = version(connection, STEPS)?;
    if version >= FINDINGS {
        stores::read(connection, texts, range, &mut books)?;
    }
    if version >= SAMPLED {
        sampled::read(connection, range, &mut books)?;
    }
    Ok(books)
}

/// Writes an hour in place of what the file knows of it, which is `before`.
pub(super) fn write(
    connection: &Connection,
    texts: &mut Texts,
    number: u64,
    before: &Hour,
    after: &Hour,
) -> rusqlite::Result<()> {
    let hour = signed(number);
    let mut statement = connection.prepare(WRITE_CELL)?;
    for (key, cell) in after.cells.iter().filter(|(key, cell)| before.cells.get(key) != Some(cell)) {
        let mut id = |text: &Arc<str>| texts.id(connection, text);
        let country = key.country.as_ref().and_then(|country| std::str::from_utf8(country).ok());
        statement.execute(params![
            hour,
            id(&key.site)?,
            id(&key.source)?,
            key.class.word(),
            id(&key.rule)?,
            key.done.word(),
            key.would.as_ref().map_or(Ok(0), |would| id(&would.rule))?,
            key.would.as_ref().map_or("", |would| would.action),
            key.status,
            key.billed.word(),
            id(&key.network)?,
            id(&key.region)?,
            country.unwrap_or_default(),
            key.asn.map_or(-1, i64::from),
            key.undecided.as_ref().map_or(Ok(0), &mut id)?,
            signed(cell.requests),
            signed(cell.bytes),
            cell.prefixes.to_bytes(),
            signed(cell.peak_minute),
        ])?;
    }
    connection.execute("DELETE FROM tops WHERE hour = ?1", [hour])?;
    let mut statement = connection.prepare(WRITE_TOP)?;
    let mut put = |kind: &str, place: usize, prefix: String, class: &str, name: i64, text: &str, taken: Taken| {
        let Taken { weight, error, requests, bytes } = taken;
        let [weight, error, requests, bytes] = [weight, error, requests, bytes].map(signed);
        statement.execute(params![
            hour,
            kind,
            signed(place as u64),
            prefix,
            class,
            name,
            text,
            weight,
            error,
            requests,
            bytes
        ])
    };
    for (place, (taker, taken)) in after.takers.top().into_iter().enumerate() {
        let site = texts.id(connection, &taker.site)?;
        put("taker", place, taker.prefix.to_string(), taker.class.word(), site, "", taken)?;
    }
    for (place, (agent, taken)) in after.agents.top().into_iter().enumerate() {
        put("agent", place, String::new(), agent.class.word(), 0, &agent.user_agent, taken)?;
    }
    for (place, (path, taken)) in after.paths.top().into_iter().enumerate() {
        put("path", place, String::new(), "", texts.id(connection, &path.site)?, &path.path, taken)?;
    }
    for (place, (stopped, taken)) in after.stopped.top().into_iter().enumerate() {
        let rule = texts.id(connection, &stopped.rule)?;
        put("stopped", place, stopped.prefix.to_string(), stopped.class.word(), rule, stopped.action, taken)?;
    }
    sampled::write(connection, hour, &before.sampled, &after.sampled)?;
    stores::write(connection, texts, hour, &after.stores)
}
