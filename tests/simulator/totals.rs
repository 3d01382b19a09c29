//! What is true of a traffic, counted to the byte.

use super::event::{Event, Label};
use std::collections::BTreeSet;
use std::fmt;

/// The requests of one label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Total {
    /// GET and HEAD.
    pub reads: u64,
    /// PUT and DELETE.
    pub writes: u64,
    /// Reads that were answered with 4xx.
    pub refused: u64,
    /// Bytes of bodies that were sent, all of them.
    pub bytes: u64,
    /// Those of `bytes` that went to the bucket's own region, which is free.
    pub free_bytes: u64,
    /// Those of `bytes` that went to other regions of AWS.
    pub other_region_bytes: u64,
    /// Reads that the client broke off.
    pub cut_off: u64,
    /// Those of `bytes` that went out before the client broke off.
    pub cut_off_bytes: u64,
    /// Who asked.
    pub actors: BTreeSet<u32>,
}

impl Total {
    /// Bytes of answers that arrived whole.
    pub fn completed_bytes(&self) -> u64 {
        self.bytes - self.cut_off_bytes
    }

    /// Bytes that left AWS, or went to another region of it.
    pub fn paid_bytes(&self) -> u64 {
        self.bytes - self.free_bytes
    }

    fn add(&mut self, event: &Event) {
        self.actors.insert(event.actor);
        if !event.is_read() {
            self.writes += 1;
            return;
        }
        self.reads += 1;
        self.refused += u64::from(event.status >= 400);
        self.bytes += event.bytes;
        match event.region {
            Some("us-east-1") => self.free_bytes += event.bytes,
            Some(_) => self.other_region_bytes += event.bytes,
            None => {}
        }
        if event.is_cut_off() {
            self.cut_off += 1;
            self.cut_off_bytes += event.bytes;
        }
    }
}

/// The requests of all labels. It prints as a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals([Total; 7]);

impl Totals {
    /// Counts an event.
    pub fn add(&mut self, event: &Event) {
        self.0[event.label.index()].add(event);
    }

    /// Those of all events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut totals = Self::default();
        events.into_iter().for_each(|event| totals.add(event));
        totals
    }

    /// Those of one label.
    pub fn label(&self, label: Label) -> &Total {
        &self.0[label.index()]
    }

    /// A sum over all labels, e.g. `totals.sum(|total| total.bytes)`.
    pub fn sum(&self, number: impl Fn(&Total) -> u64) -> u64 {
        self.0.iter().map(number).sum()
    }

    /// The share of a label in such a sum, from 0 to 1.
    pub fn share(&self, label: Label, number: impl Fn(&Total) -> u64) -> f64 {
        number(self.label(label)) as f64 / self.sum(&number).max(1) as f64
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "label              actors     reads    writes  refused  cut off        bytes         paid  share"
        )?;
        for label in Label::ALL {
            let total = self.label(label);
            let name = format!("{label:?}");
            writeln!(
                f,
                "{name:17} {:7} {:9} {:9} {:8} {:8} {:9.2} GB {:9.2} GB {:5.1}%",
                total.actors.len(),
                total.reads,
                total.writes,
                total.refused,
                total.cut_off,
                total.bytes as f64 / 1e9,
                total.paid_bytes() as f64 / 1e9,
                100.0 * self.share(label, Total::paid_bytes),
            )?;
        }
        Ok(())
    }
}
