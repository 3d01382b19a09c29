//! Why a signature is not accepted.

/// Why a signed request is refused. The words are label values of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Signature Version 2, or an older one.
    Version,
    /// A signature in the query besides an `Authorization` header.
    Both,
    /// The `Authorization` header, or a header that goes with it, is not as it should be. Says what is wrong.
    Header(&'static str),
    /// The parameters of a presigned URL are not as they should be. Says what is wrong.
    Query(&'static str),
    /// The hash of a body: there is none.
    Payload,
    /// No time of signing.
    Date,
    /// `host`, or an `x-amz-*` header that was sent, is not signed.
    Unsigned,
    /// No accepted key has this id, or the session token is another.
    UnknownKey,
    /// The key exists, and its time is over or has not come.
    KeyTime,
    /// The key is for another region.
    Region,
    /// The client's clock is off.
    Skew,
    /// A presigned URL whose time has not come.
    Early,
    /// A presigned URL whose time is over.
    Expired,
    /// The signature is wrong.
    Mismatch,
    /// The key is good, but not for this site or path.
    Scope,
}

impl Fault {
    /// Every word.
    pub const WORDS: [&'static str; 14] = [
        "version",
        "both",
        "malformed",
        "payload",
        "date",
        "unsigned",
        "unknown-key",
        "key-time",
        "region",
        "skew",
        "early",
        "expired",
        "mismatch",
        "scope",
    ];

    /// The word for it in metrics and the access log.
    pub fn word(self) -> &'static str {
        match self {
            Fault::Version => "version",
            Fault::Both => "both",
            Fault::Header(_) | Fault::Query(_) => "malformed",
            Fault::Payload => "payload",
            Fault::Date => "date",
            Fault::Unsigned => "unsigned",
            Fault::UnknownKey => "unknown-key",
            Fault::KeyTime => "key-time",
            Fault::Region => "region",
            Fault::Skew => "skew",
            Fault::Early => "early",
            Fault::Expired => "expired",
            Fault::Mismatch => "mismatch",
            Fault::Scope => "scope",
        }
    }
}
