//! A report in HTML shuts nobody out: neither by its colours, light or dark, nor on a phone.

use crate::harness::browser::{Browser, Driven};
use crate::harness::program::Program;
use crate::simulator::{Delivery, Scenario, write_s3_directory};

/// A report with every table that can be, and what hostile clients sent.
async fn report(folder: &std::path::Path) -> String {
    let logs = folder.join("logs");
    let scenario = Scenario::clean(5).scaled(0.1).lasting(15);
    write_s3_directory(&logs, scenario.traffic(), &Delivery { damaged: 0.001, ..Delivery::default() }).unwrap();
    let run = move || Program::run(".", &["report", "--format", "html", logs.to_str().unwrap()]);
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(output.status, 0, "{}", output.stderr);
    output.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_light_and_dark_at_a_desk_and_on_a_phone() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    std::fs::write(&page, report(folder.path()).await).unwrap();
    let browser = Browser::start(&[]).await;
    for (scheme, width, height) in [("light", 1280, 900), ("dark", 1280, 900), ("light", 390, 844), ("dark", 390, 844)]
    {
        browser.prefer(scheme).await;
        browser.resize(width, height).await;
        browser.go(&format!("file://{}", page.display())).await;
        browser
            .until("document.querySelectorAll('svg').length > 1 && document.querySelectorAll('table').length > 5")
            .await;
        assert_eq!(browser.barriers().await, Vec::<String>::new(), "{scheme} {width}");
        let aside = "return document.documentElement.scrollWidth - window.innerWidth";
        assert!(browser.run(aside).await.as_i64().unwrap() <= 0, "{scheme} {width}: the page scrolls aside");
        browser.keep(&format!("report-{scheme}-{width}")).await;
    }
}
