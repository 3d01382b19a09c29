//! Why a token is no proof of who sent it.

/// Why a token is refused: a closed set, for metrics and the access log, in the order in which it is looked for.
/// Clients are not told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    /// It has not the form of any token that is understood.
    Malformed,
    /// It has the form of a bearer token, and no client has it.
    UnknownToken,
    /// No client comes with tokens of its issuer.
    UnknownIssuer,
    /// Its issuer has no such key, as far as is known: the keys are asked for again.
    UnknownKey,
    /// It is not signed by RS256 or ES256, or not by that which its key is for.
    Algorithm,
    /// The key did not make its signature.
    Signature,
    /// It was good before.
    Expired,
    /// It will be good later, or was issued in the future.
    NotYet,
    /// It is for somebody else.
    Audience,
    /// It is for this gateway, and says other things than the client's entry wants.
    Claims,
    /// It is good, for other objects.
    Scope,
}

impl Rejection {
    /// All of them.
    pub const ALL: [Rejection; 11] = [
        Rejection::Malformed,
        Rejection::UnknownToken,
        Rejection::UnknownIssuer,
        Rejection::UnknownKey,
        Rejection::Algorithm,
        Rejection::Signature,
        Rejection::Expired,
        Rejection::NotYet,
        Rejection::Audience,
        Rejection::Claims,
        Rejection::Scope,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Rejection::Malformed => "malformed",
            Rejection::UnknownToken => "unknown-token",
            Rejection::UnknownIssuer => "unknown-issuer",
            Rejection::UnknownKey => "unknown-key",
            Rejection::Algorithm => "algorithm",
            Rejection::Signature => "signature",
            Rejection::Expired => "expired",
            Rejection::NotYet => "not-yet",
            Rejection::Audience => "audience",
            Rejection::Claims => "claims",
            Rejection::Scope => "scope",
        }
    }
}
