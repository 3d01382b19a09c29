//! Names that stand in many rows are kept once. They come from the configuration, so there are not many.

use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::Arc;

/// The names of a file.
#[derive(Default)]
pub(super) struct Texts {
    ids: HashMap<Arc<str>, i64>,
    texts: HashMap<i64, Arc<str>>,
}

impl Texts {
    /// Reads them all.
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut texts = Texts::default();
        let mut statement = connection.prepare("SELECT id, text FROM texts")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            texts.put(row.get(0)?, row.get::<_, String>(1)?.into());
        }
        Ok(texts)
    }

    fn put(&mut self, id: i64, text: Arc<str>) {
        self.ids.insert(text.clone(), id);
        self.texts.insert(id, text);
    }

    /// The id of a text, which is put in where it is new.
    pub fn id(&mut self, connection: &Connection, text: &Arc<str>) -> rusqlite::Result<i64> {
        if let Some(id) = self.ids.get(text) {
            return Ok(*id);
        }
        connection.execute("INSERT INTO texts (text) VALUES (?1)", [text])?;
        let id = connection.last_insert_rowid();
        self.put(id, text.clone());
        Ok(id)
    }

    /// The text with this id.
    pub fn text(&self, id: i64) -> Option<Arc<str>> {
        self.texts.get(&id).cloned()
    }
}
