#[path = "../gateway/harness/judged.rs"]
mod judged;
#[path = "../simulator/mod.rs"]
mod simulator;
use simulator::{Scenario, Variant};
fn main() {
    let days: u32 = std::env::args().nth(1).and_then(|d| d.parse().ok()).unwrap_or(7);
    let start = std::time::Instant::now();
    let table =
        judged::judged(&Scenario { variant: Variant::Tuning, ..Scenario::scraped(1).scaled(0.3) }.lasting(days));
    let mut v: Vec<_> = table.1.iter().collect();
    v.sort_by_key(|x| std::cmp::Reverse(x.1.1));
    for x in v.iter().take(40) {
        println!("{x:?}");
    }
    println!("{}\n{:?}", table.print(), start.elapsed());
}
