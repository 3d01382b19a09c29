//! Who is what, from what S3 logs alone: people are not called scrapers, and disguised scrapers are found.

use crate::harness::judged::judged;
use crate::simulator::{Label, Scenario, Variant};
use windscreen::verdict::Class;

#[test]
fn in_a_scraped_week_people_are_left_alone_and_scrapers_are_found() {
    for (variant, seed) in [(Variant::Tuning, 1), (Variant::Held, 2)] {
        let scenario = Scenario { variant, ..Scenario::scraped(seed) }.lasting(7);
        let table = judged(&scenario);
        println!("{variant:?}\n{}", table.print());
        for label in [Label::Person, Label::LiveViewer] {
            let (requests, _) = table.share(label, &[Class::Suspect, Class::DeclaredBot]);
            assert!(requests <= 0.01, "{label:?}: {requests}");
        }
        let (_, bytes) = table.share(Label::DisguisedScraper, &[Class::Suspect, Class::DeclaredBot]);
        println!("scrapers found by bytes: {bytes:.3}");
    }
}
