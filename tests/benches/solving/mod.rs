//! Solves challenges as fast as it goes, natively and in browsers, for `challenge.rs`.

pub mod browsers;
pub mod native;

/// Processor time of one thread, in microseconds, of a line of its `stat` in /proc. Linux counts it in units of 10 ms.
fn processor_time(stat: &str) -> Option<f64> {
    // The name before may contain anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) * 1e4)
}

/// The value in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
