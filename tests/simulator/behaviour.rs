//! How everybody behaves, in two families: one to tune with, one that is kept from tuning.

use super::client::{Client, Kind};
use super::networks::{self, Prefix};
use super::tree::Artifact;

/// Which family of behaviours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// What thresholds and weights may be tuned with.
    Tuning,
    /// Reserved for evaluation: other scrapers (sellers of proxies, programs, paths, timing), other habits of people.
    /// Never look at it while tuning: what it says is only worth something as long as nothing was fitted to it.
    Held,
}

/// The time between two requests of a scraper's session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gap {
    /// Always so many milliseconds.
    Steady(f64),
    /// Log-normal, with this median in milliseconds and this sigma.
    Jittered(f64, f64),
    /// So many at once, then a pause of so many milliseconds.
    Bursts(u64, f64),
}

/// In which order a campaign goes through the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// Run by run, all files of each.
    Deep,
    /// One kind of file over all runs.
    Wide,
    /// Anything.
    Random,
}

/// What a scraper's program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disguise {
    /// A browser's name, and nothing else of it.
    Bare,
    /// Headers copied from a browser, incompletely.
    Copied,
    /// A real Chromium without a window, which loads what pages need.
    Headless,
}

/// The numbers of a family. Means and shares unless they say otherwise.
#[derive(Debug)]
pub struct Behaviour {
    /// Pages that a person opens in one visit.
    pub pages_per_visit: f64,
    /// How long a page is read: median in seconds, sigma.
    pub reading: (f64, f64),
    /// Visits that come from a link at GitHub.
    pub from_github: f64,
    /// Visits that open the list of files first.
    pub index_first: f64,
    /// Pictures of failures that the page shows, of those that there are.
    pub pictures: f64,
    /// Pages after which somebody opens a log or a journal of a failure.
    pub details: f64,
    /// Pages that were open before and are looked at again.
    pub again: f64,
    /// People's browsers, by weight.
    pub browsers: fn() -> Vec<(f64, Client)>,

    /// Where scrapers come from.
    pub exits: &'static [Prefix],
    /// Requests of one such address: fewest and most.
    pub requests_per_exit: (u64, u64),
    /// The time between them.
    pub gaps: &'static [(f64, Gap)],
    /// The order of paths.
    pub walks: &'static [(f64, Walk)],
    /// What they take of each run.
    pub takes: &'static [(f64, Artifact)],
    /// Their programs.
    pub disguises: &'static [(f64, Disguise)],
    /// Requests with a Referer that was made up.
    pub made_up_referers: f64,
    /// Requests for what does not exist.
    pub guesses: f64,
    /// Names of browsers that they borrow.
    pub borrowed: &'static [&'static str],
    /// What headless browsers say they are.
    pub headless: fn() -> Client,

    /// Between two requests of a slow crawler: median in seconds, sigma.
    pub slow: (f64, f64),
    /// What a slow crawler takes.
    pub slow_takes: &'static [(f64, Artifact)],
}

const WINDOWS: &str = "Windows NT 10.0; Win64; x64";
const LINUX: &str = "X11; Linux x86_64";
const MAC: &str = "Macintosh; Intel Mac OS X 10_15_7";
const ANDROID: &str = "Linux; Android 10; K";

const OLD: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/91.0.4472.124 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/68.0.3440.106 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:78.0) Gecko/20100101 Firefox/78.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 13_2_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0.3 \
     Mobile/15E148 Safari/604.1",
];
const NEWER: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36 \
     Edg/143.0.0.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Linux; Android 13; SM-S901B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
    "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
];

impl Behaviour {
    /// The numbers of a family.
    pub fn of(variant: Variant) -> Self {
        match variant {
            Variant::Tuning => Self::tuning(),
            Variant::Held => Self::held(),
        }
    }

    fn tuning() -> Self {
        Self {
            pages_per_visit: 3.0,
            reading: (40.0, 1.0),
            from_github: 0.75,
            index_first: 0.1,
            pictures: 0.7,
            details: 0.2,
            again: 0.15,
            browsers: || {
                vec![
                    (25.0, Client::firefox(152, LINUX)),
                    (8.0, Client::firefox(140, LINUX).speaking("de,en-US;q=0.7,en;q=0.3")),
                    (5.0, Client::firefox(151, "Windows NT 10.0; Win64; x64").speaking("cs,en-US;q=0.7,en;q=0.3")),
                    (20.0, Client::chrome(156, LINUX, "Linux", "", "Google Chrome")),
                    (12.0, Client::chrome(156, MAC, "macOS", "", "Google Chrome").speaking("en-GB,en;q=0.9")),
                    (8.0, Client::chrome(155, WINDOWS, "Windows", "", "Google Chrome")),
                    (5.0, Client::chrome(156, WINDOWS, "Windows", " Edg/156.0.0.0", "Microsoft Edge")),
                    (4.0, Client::chrome(155, ANDROID, "Android", "", "Google Chrome")),
                    (7.0, Client::safari("26.1", false)),
                    (3.0, Client::safari("18.6", true)),
                    (2.0, Client::program(Kind::Text, "w3m/0.5.3+git20230121")),
                ]
            },
            exits: networks::PROXIES,
            requests_per_exit: (1, 30),
            gaps: &[
                (0.4, Gap::Jittered(3_000.0, 0.5)),
                (0.4, Gap::Steady(1_000.0)),
                (0.2, Gap::Jittered(20_000.0, 1.0)),
            ],
            walks: &[(0.6, Walk::Deep), (0.4, Walk::Wide)],
            takes: &[
                (0.25, Artifact::Page),
                (0.35, Artifact::Log),
                (0.25, Artifact::Picture),
                (0.10, Artifact::Index),
                (0.05, Artifact::Detail),
            ],
            disguises: &[(0.45, Disguise::Bare), (0.35, Disguise::Copied), (0.20, Disguise::Headless)],
            made_up_referers: 0.25,
            guesses: 0.05,
            borrowed: OLD,
            headless: || {
                let mut client = Client::chrome(150, LINUX, "Linux", "", "HeadlessChrome");
                client.user_agent = client.user_agent.map(|agent| agent.replace("Chrome/", "HeadlessChrome/"));
                client
            },
            slow: (60.0, 0.1),
            slow_takes: &[(0.3, Artifact::Log), (0.5, Artifact::Page), (0.2, Artifact::Picture)],
        }
    }

    fn held() -> Self {
        Self {
            pages_per_visit: 2.2,
            reading: (65.0, 1.3),
            from_github: 0.55,
            index_first: 0.25,
            pictures: 0.4,
            details: 0.35,
            again: 0.25,
            browsers: || {
                vec![
                    (18.0, Client::firefox(153, LINUX)),
                    (10.0, Client::firefox(152, MAC).speaking("fr,en-US;q=0.7,en;q=0.3")),
                    (14.0, Client::chrome(157, LINUX, "Linux", "", "Chromium")),
                    (16.0, Client::chrome(157, WINDOWS, "Windows", "", "Google Chrome").speaking("pl,en;q=0.8")),
                    (10.0, Client::chrome(156, MAC, "macOS", " OPR/126.0.0.0", "Opera")),
                    (10.0, Client::chrome(157, ANDROID, "Android", "", "Google Chrome")),
                    (9.0, Client::safari("26.2", false).speaking("ja")),
                    (7.0, Client::safari("26.2", true)),
                    (3.0, Client::firefox(115, "Windows NT 6.1; Win64; x64")),
                    (3.0, Client::program(Kind::Text, "Lynx/2.9.2 libwww-FM/2.14 SSL-MM/1.4.1 OpenSSL/3.5.0")),
                ]
            },
            exits: networks::OTHER_PROXIES,
            requests_per_exit: (1, 12),
            gaps: &[
                (0.4, Gap::Bursts(4, 8_000.0)),
                (0.4, Gap::Jittered(9_000.0, 1.4)),
                (0.2, Gap::Jittered(90_000.0, 0.8)),
            ],
            walks: &[(0.5, Walk::Random), (0.3, Walk::Wide), (0.2, Walk::Deep)],
            takes: &[
                (0.45, Artifact::Log),
                (0.15, Artifact::Page),
                (0.10, Artifact::Picture),
                (0.15, Artifact::Detail),
                (0.10, Artifact::Journal),
                (0.05, Artifact::Index),
            ],
            disguises: &[(0.25, Disguise::Bare), (0.40, Disguise::Copied), (0.35, Disguise::Headless)],
            made_up_referers: 0.5,
            guesses: 0.12,
            borrowed: NEWER,
            // It hides that it has no window.
            headless: || Client::chrome(155, WINDOWS, "Windows", "", "Google Chrome"),
            slow: (75.0, 0.6),
            slow_takes: &[(0.3, Artifact::Log), (0.2, Artifact::Journal), (0.5, Artifact::Index)],
        }
    }
}
