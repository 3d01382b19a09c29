//! What browser a User-Agent claims to be. It reads the text alone, and believes it.

use crate::facts::Fact;

/// What draws the pages, as far as its requests look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Chrome, Edge, Opera, Samsung Internet, Brave, Android's web view and others.
    Blink,
    /// Firefox and Tor Browser.
    Gecko,
    /// Safari, and every browser on iOS.
    WebKit,
    /// Internet Explorer, and Edge and Opera before they took Chromium: all out of service.
    Gone,
    /// Says that it is a browser, but not which one.
    Other,
}

/// The system that a User-Agent names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Windows.
    Windows,
    /// macOS, or an iPad that asks for pages as a Mac does.
    Mac,
    /// iPhone and iPad.
    Ios,
    /// Linux, ChromeOS and Android: phones that ask for desktop pages say Linux, so they are one.
    Unix,
    /// None of these.
    Other,
}

/// What a client claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Browser {
    /// Its engine.
    pub engine: Engine,
    /// Major and minor version: of Chromium, Firefox or Safari. `None` where the text does not tell, or lies for
    /// good.
    pub version: Option<(u32, u32)>,
    /// Its system.
    pub platform: Platform,
    /// Whether it says `Mobile`.
    pub mobile: bool,
}

/// Browsers whose User-Agent names a version that has nothing to do with their age: they borrow the one of another
/// browser and never change it.
///
/// QtWebEngine 5.15 stays at Chrome 87 and gets the security fixes of later versions
/// (<https://wiki.qt.io/QtWebEngine/ChromiumVersions>).
const FROZEN: [&str; 9] =
    ["CriOS/", "FxiOS/", "EdgiOS/", "Goanna/", "PaleMoon/", "SeaMonkey/", "KAIOS/", "Opera Mini/", "QtWebEngine/5"];

/// Small browsers, and a shell, that say `Mozilla/` in some versions. They name themselves and send what they like.
const SMALL: [&str; 7] = ["w3m", "Lynx", "Links", "ELinks", "Dillo", "NetSurf", "PowerShell/"];

/// Whether `agent` is the name of something that shows pages, well-known or small, or of a crawler that says it does.
pub(super) fn shows_pages(agent: &str) -> bool {
    ["Mozilla/", "Opera/"].iter().any(|start| agent.starts_with(start)) || SMALL.iter().any(|name| agent.contains(name))
}

impl Browser {
    /// The browser that a client with this User-Agent claims to be.
    pub fn of(user_agent: Fact<&str>) -> Fact<Browser> {
        match user_agent {
            Fact::Present(agent) => Browser::claimed(agent).into(),
            Fact::Absent => Fact::Absent,
            Fact::Unknown => Fact::Unknown,
        }
    }

    /// The browser that `agent` claims to be, or `None` where it claims to be none.
    ///
    /// Browsers say `Mozilla/5.0` (Internet Explorer once 4.0), old ones of Opera `Opera/`. So do crawlers, but
    /// honest ones name themselves: `compatible; NAME`, a URL or a mail address are in no browser's User-Agent.
    pub fn claimed(agent: &str) -> Option<Browser> {
        let explorer = agent.contains("MSIE ") || agent.contains("Trident/");
        let browser = agent.starts_with("Mozilla/5.0") || agent.starts_with("Opera/") || explorer;
        let declared = (agent.contains("compatible;") && !explorer && !agent.contains("Konqueror"))
            || agent.contains("://")
            || agent.contains('@');
        if !browser || declared || SMALL.iter().any(|name| agent.contains(name)) {
            return None;
        }
        let platform = platform(agent);
        let (engine, version) = if explorer || agent.contains(" Edge/") || agent.starts_with("Opera/") {
            (Engine::Gone, None)
        } else if let Some(version) = version(agent, "Chrome/") {
            (Engine::Blink, Some(version))
        } else if let Some(version) = version(agent, " Firefox/") {
            (Engine::Gecko, Some(version))
        } else if agent.contains("AppleWebKit/") {
            (Engine::WebKit, version(agent, " Version/"))
        } else {
            (Engine::Other, None)
        };
        let frozen = FROZEN.iter().any(|name| agent.contains(name));
        Some(Browser {
            // Opera Mini still goes by the name of the old Opera.
            engine: if frozen && engine == Engine::Gone { Engine::Other } else { engine },
            version: version.filter(|_| !frozen),
            platform,
            mobile: agent.contains("Mobile"),
        })
    }
}

fn platform(agent: &str) -> Platform {
    let names = |words: &[&str]| words.iter().any(|word| agent.contains(word));
    if names(&["iPhone", "iPad", "iPod"]) {
        Platform::Ios
    } else if names(&["Windows NT"]) {
        Platform::Windows
    } else if names(&["Macintosh"]) {
        Platform::Mac
    } else if names(&["Linux", "Android", "CrOS", "X11"]) {
        Platform::Unix
    } else {
        Platform::Other
    }
}

/// The major and minor number behind `name`.
fn version(agent: &str, name: &str) -> Option<(u32, u32)> {
    let (_, text) = agent.split_once(name)?;
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    let major = number(text)?;
    let minor = text.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('.').and_then(number);
    Some((major, minor.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_read_as_it_was_meant() {
        const CHROME: &str = "AppleWebKit/537.36 (KHTML, like Gecko)";
        let cases = [
            (
                format!("Mozilla/5.0 (Linux; Android 10; K) {CHROME} Chrome/156.0.0.0 Mobile Safari/537.36"),
                Some((Engine::Blink, Some((156, 0)), Platform::Unix)),
            ),
            (
                format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Chrome/64.0.3282.140 Edge/18.17763"),
                Some((Engine::Gone, None, Platform::Windows)),
            ),
            (
                format!(
                    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {CHROME} CriOS/156 Version/11.1.1 Safari/605.1.15"
                ),
                Some((Engine::WebKit, None, Platform::Mac)),
            ),
            (
                format!("Mozilla/5.0 (iPhone; CPU iPhone OS 16_4 like Mac OS X) {CHROME} Version/16.4 Safari/604.1"),
                Some((Engine::WebKit, Some((16, 4)), Platform::Ios)),
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0".into(),
                Some((Engine::Gecko, Some((152, 0)), Platform::Unix)),
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:68.0) Goanna/4.8 Firefox/68.0 PaleMoon/29.4".into(),
                Some((Engine::Gecko, None, Platform::Unix)),
            ),
            (
                "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)".into(),
                Some((Engine::Gone, None, Platform::Windows)),
            ),
            (
                "Opera/9.80 (Android; Opera Mini/36.2/119.132) Presto/2.12.423 Version/12.16".into(),
                Some((Engine::Other, None, Platform::Unix)),
            ),
            ("Mozilla/5.0".into(), Some((Engine::Other, None, Platform::Other))),
            ("Mozilla/5.0 Chrome/99999999999999999999".into(), Some((Engine::Other, None, Platform::Other))),
            ("Mozilla/4.0 (compatible; Dillo 3.0)".into(), None),
            ("Mozilla/5.0 (compatible; SomeBot/1.0)".into(), None),
            ("Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1".into(), None),
            (format!("Mozilla/5.0 {CHROME} Chrome/156.0.0.0 Safari/537.36 (me@example.org)"), None),
            ("curl/8.5.0".into(), None),
            ("w3m/0.5.3".into(), None),
            (String::new(), None),
        ];
        for (agent, expected) in cases {
            let claim = Browser::claimed(&agent).map(|claim| (claim.engine, claim.version, claim.platform));
            assert_eq!(claim, expected, "{agent}");
        }
    }
}
