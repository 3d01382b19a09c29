//! Signals: passive hints that are read from one request. Their names are the words of the policy language.

/// A hint that a client is not what it claims to be. None of them proves anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// No User-Agent at all.
    NoUserAgent,
    /// A browser's User-Agent without Accept-Language.
    NoAcceptLanguage,
    /// A browser's User-Agent without Accept-Encoding.
    NoAcceptEncoding,
    /// A browser's User-Agent on a secure origin without fetch metadata (`Sec-Fetch-*`).
    NoFetchMetadata,
    /// Client hints (`Sec-CH-UA*`) that contradict the User-Agent.
    ClientHintMismatch,
    /// HTTP/1.0 from a client that claims to be a browser.
    Http10,
    /// Headers in an order that no browser sends.
    HeaderOrder,
    /// Header names in a letter case that no browser sends.
    HeaderCase,
    /// A browser version that is years old.
    AncientBrowser,
    /// A Referer that names an object of this site which nobody in the client's prefix fetched.
    UnfetchedReferer,
    /// A header that names the client for a proxy (`X-Forwarded-For` and the like), from no trusted proxy.
    ForgedForwarding,
}

impl Signal {
    /// The words of the policy language.
    pub const WORDS: [(&'static str, Signal); 11] = [
        ("no-user-agent", Signal::NoUserAgent),
        ("no-accept-language", Signal::NoAcceptLanguage),
        ("no-accept-encoding", Signal::NoAcceptEncoding),
        ("no-fetch-metadata", Signal::NoFetchMetadata),
        ("client-hint-mismatch", Signal::ClientHintMismatch),
        ("http-1.0", Signal::Http10),
        ("header-order", Signal::HeaderOrder),
        ("header-case", Signal::HeaderCase),
        ("ancient-browser", Signal::AncientBrowser),
        ("unfetched-referer", Signal::UnfetchedReferer),
        ("forged-forwarding", Signal::ForgedForwarding),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// The signals of one request: those that are there, and those that nobody can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signals {
    present: u16,
    unknown: u16,
}

impl Signals {
    /// Notes what is known of `signal`; `None` means that nobody can tell.
    pub fn note(&mut self, signal: Signal, holds: Option<bool>) {
        let bit = 1 << signal as u16;
        match holds {
            Some(true) => self.present |= bit,
            Some(false) => {}
            None => self.unknown |= bit,
        }
    }

    /// Whether `signal` is there.
    pub fn has(self, signal: Signal) -> bool {
        self.present & (1 << signal as u16) != 0
    }

    /// How many of `wanted` (a mask of `1 << signal as u16`) are there, and how many more may be.
    pub fn count(self, wanted: u16) -> (u32, u32) {
        ((self.present & wanted).count_ones(), (self.unknown & wanted).count_ones())
    }

    /// The same, but for what is known of `signal`.
    pub fn with(self, signal: Signal, holds: bool) -> Signals {
        let rest = !(1 << signal as u16);
        let mut signals = Signals { present: self.present & rest, unknown: self.unknown & rest };
        signals.note(signal, Some(holds));
        signals
    }

    /// The signals that nobody can tell.
    pub fn unknown(self) -> impl Iterator<Item = Signal> {
        Signal::WORDS.into_iter().map(|(_, signal)| signal).filter(move |signal| self.count(1 << *signal as u16).1 > 0)
    }

    /// The signals that are there.
    pub fn present(self) -> impl Iterator<Item = Signal> {
        Signal::WORDS.into_iter().map(|(_, signal)| signal).filter(move |signal| self.has(*signal))
    }
}
