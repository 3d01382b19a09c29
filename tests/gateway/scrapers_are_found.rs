//! Who is what, from what S3 logs alone: people are not called scrapers, and disguised scrapers are found.

use crate::harness::judged::judged;
use crate::simulator::{Label, Scenario, Variant};
use windscreen::verdict::Class;

/// What the books call a scraper.
const SCRAPERS: [Class; 2] = [Class::Suspect, Class::DeclaredBot];

#[test]
fn in_a_scraped_week_people_are_left_alone_and_scrapers_are_found() {
    // Nothing was tuned with the second one.
    for (variant, seed, found) in [(Variant::Tuning, 1, 0.9), (Variant::Held, 2, 0.7)] {
        let scenario = Scenario { variant, ..Scenario::scraped(seed).scaled(0.2) }.lasting(5);
        let table = judged(&scenario);
        println!("{variant:?}\n{}", table.print());
        for label in [Label::Person, Label::LiveViewer] {
            let (requests, _) = table.share(label, &SCRAPERS);
            assert!(requests <= 0.01, "{label:?}: {requests}");
        }
        let (_, bytes) = table.share(Label::DisguisedScraper, &SCRAPERS);
        assert!(bytes >= found, "{variant:?}: {bytes}");
    }
}
