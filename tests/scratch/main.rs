#[path = "../simulator/mod.rs"]
mod simulator;
use simulator::{Delivery, Scenario, Totals, write_s3_directory};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let days: u32 = args[3].parse().unwrap();
    let scenario = match args[2].as_str() {
        "clean" => Scenario::clean(7),
        "scraped" => Scenario::scraped(7),
        _ => Scenario::borderline(7),
    }
    .lasting(days);
    let mut totals = Totals::default();
    let events = scenario.traffic().inspect(|e| totals.add(e));
    let delivered = write_s3_directory(
        std::path::Path::new(&args[1]),
        events,
        &Delivery { lines_per_file: 5000, ..Delivery::default() },
    )
    .unwrap();
    println!("{totals}\n{delivered:?}");
}
