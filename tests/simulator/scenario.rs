//! The knobs: how long, how many, how much.

use super::Traffic;
use super::behaviour::Variant;
use super::event::Hosts;
use super::rhythm::{self, DAY};

/// Bytes of a gigabyte.
pub const GB: f64 = 1e9;

/// What traffic to make. Rates are means over whole weeks: less comes on weekends, and a month has days over.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Two seeds, two traffics of one kind.
    pub seed: u64,
    /// Which family of behaviours.
    pub variant: Variant,
    /// When it begins: milliseconds since 1970, a midnight UTC.
    pub start_ms: i64,
    /// For how many days.
    pub days: u32,
    /// The names of the buckets.
    pub hosts: Hosts,
    /// People who read.
    pub people: u32,
    /// How many pages each opens a day, in the mean.
    pub pages_per_person: f64,
    /// People who follow tests that run, about two each on a working day.
    pub live_viewers: u32,
    /// Tests that run on a working day.
    pub runs_per_day: u32,
    /// Bytes of images that CI fetches in the region of the bucket (us-east-1), each day. It is free.
    pub ci_free_bytes: f64,
    /// Bytes of images that CI fetches elsewhere, each day: most by runners of GitHub and in a private cloud, some in
    /// eu-central-1.
    pub ci_paid_bytes: f64,
    /// HEADs and lists by which CI looks what is there, each day.
    pub ci_checks: f64,
    /// Requests of crawlers that say so, each day.
    pub crawler_requests: f64,
    /// Requests of curl, wget and the like for logs, each day.
    pub tool_requests: f64,
    /// Bytes of images that they fetch, each day.
    pub tool_image_bytes: f64,
    /// Bytes that disguised scrapers take, each day, from the first day on.
    pub scraper_bytes: f64,
    /// The part of these that single machines take as images; 0 where the whole is too little for one image a day.
    pub scraper_images: f64,
    /// Addresses that take one thing a minute for days.
    pub slow_crawlers: u32,
}

impl Scenario {
    /// Four weeks in which scrapers and crawlers cost some $7 of some $130: protection is not needed.
    pub fn clean(seed: u64) -> Self {
        Self {
            seed,
            variant: Variant::Tuning,
            start_ms: rhythm::midnight(2026, 11, 2),
            days: 28,
            hosts: Hosts {
                logs: "ci-logs.s3.us-east-1.amazonaws.com".into(),
                images: "ci-images.s3.us-east-1.amazonaws.com".into(),
            },
            people: 140,
            pages_per_person: 10.0,
            live_viewers: 25,
            runs_per_day: 80,
            ci_free_bytes: 1260.0 * GB,
            ci_paid_bytes: 44.0 * GB,
            ci_checks: 24_000.0,
            crawler_requests: 36_000.0,
            tool_requests: 2_700.0,
            tool_image_bytes: 4.5 * GB,
            scraper_bytes: 1.0 * GB,
            scraper_images: 0.3,
            slow_crawlers: 1,
        }
    }

    /// Four weeks in which they cost some $16: it is to be watched, no more.
    pub fn borderline(seed: u64) -> Self {
        Self { scraper_bytes: 4.0 * GB, scraper_images: 0.4, slow_crawlers: 2, ..Self::clean(seed) }
    }

    /// Four weeks in which they cost some $100: protection is needed.
    pub fn scraped(seed: u64) -> Self {
        Self { scraper_bytes: 40.0 * GB, slow_crawlers: 4, ..Self::clean(seed) }
    }

    /// The same for so many days.
    pub fn lasting(self, days: u32) -> Self {
        Self { days, ..self }
    }

    /// The same by another family of behaviours.
    pub fn by(self, variant: Variant) -> Self {
        Self { variant, ..self }
    }

    /// The same with all numbers and volumes times `factor`. Below about 0.05 single images make volumes uneven.
    pub fn scaled(self, factor: f64) -> Self {
        let count = |number: u32| ((f64::from(number) * factor).round() as u32).max(1);
        Self {
            people: count(self.people),
            live_viewers: count(self.live_viewers),
            runs_per_day: count(self.runs_per_day),
            ci_free_bytes: self.ci_free_bytes * factor,
            ci_paid_bytes: self.ci_paid_bytes * factor,
            ci_checks: self.ci_checks * factor,
            crawler_requests: self.crawler_requests * factor,
            tool_requests: self.tool_requests * factor,
            tool_image_bytes: self.tool_image_bytes * factor,
            scraper_bytes: self.scraper_bytes * factor,
            ..self
        }
    }

    /// The same with scrapers that take this share (below 1) of all bytes that are not free.
    pub fn with_scraper_share(self, share: f64) -> Self {
        Self { scraper_bytes: self.paid_by_others() * share / (1.0 - share), ..self }
    }

    /// About how many bytes a day all but disguised scrapers take that are not free: what pages and crawls weigh was
    /// measured.
    fn paid_by_others(&self) -> f64 {
        self.ci_paid_bytes
            + self.tool_image_bytes
            + f64::from(self.people) * self.pages_per_person * super::people::PAGE_BYTES
            + f64::from(self.live_viewers) * super::viewers::DAY_BYTES
            + self.crawler_requests * super::crawlers::REQUEST_BYTES
            + self.tool_requests * super::tools::REQUEST_BYTES
            + f64::from(self.slow_crawlers) * super::scrapers::SLOW_DAY_BYTES
    }

    /// When it ends.
    pub fn end_ms(&self) -> i64 {
        self.start_ms + i64::from(self.days) * DAY
    }

    /// The events.
    pub fn traffic(&self) -> Traffic {
        Traffic::new(self.clone())
    }
}
