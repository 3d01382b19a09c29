//! The table that comes out: a row per proxy, a column per load, medians in the cells.

use std::fmt::Write;

const LABEL_WIDTH: usize = 34;
const CELL_WIDTH: usize = 26;

/// Costs by column and row, one per round.
pub struct Table<'a> {
    columns: Vec<&'a str>,
    rows: Vec<&'a str>,
    costs: Vec<Vec<Vec<f64>>>,
}

/// The middle one; of an even number of values the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length => (sorted[(length - 1) / 2] + sorted[length / 2]) / 2.0,
    }
}

impl<'a> Table<'a> {
    pub fn new(columns: Vec<&'a str>, rows: Vec<&'a str>) -> Self {
        let costs = vec![vec![Vec::new(); rows.len()]; columns.len()];
        Table { columns, rows, costs }
    }

    /// Notes what one round cost.
    pub fn add(&mut self, column: usize, row: usize, cost: f64) {
        self.costs[column][row].push(cost);
    }

    /// Every row, and how the first row relates to each of the others.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |label: &str, cells: Vec<String>| {
            let cells: String = cells.iter().map(|cell| format!("{cell:>CELL_WIDTH$}")).collect();
            let _ = writeln!(text, "{label:LABEL_WIDTH$}{cells}");
        };
        line("", self.columns.iter().map(|column| (*column).to_owned()).collect());
        for (row, label) in self.rows.iter().enumerate() {
            let cell = |costs: &Vec<Vec<f64>>| {
                let costs = &costs[row];
                let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
                let most = costs.iter().copied().fold(0.0, f64::max);
                format!("{:.3} ({least:.3}-{most:.3})", median(costs))
            };
            line(label, self.costs.iter().map(cell).collect());
        }
        for (row, label) in self.rows.iter().enumerate().skip(1) {
            let ratio = |costs: &Vec<Vec<f64>>| {
                // Within a round, because a machine that slows down slows all that are measured beside each other.
                let ratios: Vec<f64> = costs[0].iter().zip(&costs[row]).map(|(first, other)| first / other).collect();
                format!("{:.2}", median(&ratios))
            };
            line(&format!("{} / {label}", self.rows[0]), self.costs.iter().map(ratio).collect());
        }
        text
    }
}
