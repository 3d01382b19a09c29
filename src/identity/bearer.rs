//! Tokens that come in `Authorization: Bearer`: which client has sent one.
//!
//! A token that is none of those that are known is an error, never an anonymous request.

use super::oidc::{KeyCell, KeySource, OidcSettings, Unverified};
use super::rejection::Rejection;
use super::token::{TOKEN_PREFIX, TokenHash};
use crate::clock::Timestamp;
use http::HeaderValue;
use std::sync::Arc;

/// By what one client proves itself.
#[derive(Debug, Clone)]
pub enum BearerProof {
    /// By a token that it keeps.
    Token(TokenHash),
    /// By tokens that somebody issues to it.
    Oidc(OidcSettings),
}

/// The tokens of all clients. A client is the number that it was entered by.
#[derive(Debug, Default)]
pub struct Bearers {
    tokens: Vec<(usize, TokenHash)>,
    issuers: Vec<Issuer>,
}

#[derive(Debug)]
struct Issuer {
    source: KeySource,
    keys: Arc<KeyCell>,
    entries: Vec<(usize, OidcSettings)>,
}

impl Bearers {
    /// Clients with their proofs; the first one counts whose proof holds. Issuers have no keys until
    /// [`Bearers::with_keys`] brings them.
    pub fn new(proofs: impl IntoIterator<Item = (usize, BearerProof)>) -> Self {
        let mut bearers = Bearers::default();
        for (client, proof) in proofs {
            let settings = match proof {
                BearerProof::Token(hash) => {
                    bearers.tokens.push((client, hash));
                    continue;
                }
                BearerProof::Oidc(settings) => settings,
            };
            let source = settings.source();
            match bearers.issuers.iter_mut().find(|issuer| issuer.source == source) {
                Some(issuer) => issuer.entries.push((client, settings)),
                None => {
                    bearers.issuers.push(Issuer { source, keys: Arc::default(), entries: vec![(client, settings)] })
                }
            }
        }
        bearers
    }

    /// The same with the cells in which the keys of issuers are kept. `keys` is asked once for each of them.
    pub fn with_keys(mut self, mut keys: impl FnMut(&KeySource) -> Arc<KeyCell>) -> Self {
        for issuer in &mut self.issuers {
            issuer.keys = keys(&issuer.source);
        }
        self
    }

    /// Whether no client has a token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.issuers.is_empty()
    }

    /// Which client has sent `token`, of those that `accepts` takes now for what is asked.
    ///
    /// # Errors
    /// Why it proves nothing: where several clients could have been meant, what came nearest to a proof.
    pub fn verify(
        &self,
        token: &str,
        now: Timestamp,
        accepts: impl Fn(usize) -> Result<(), Rejection>,
    ) -> Result<usize, Rejection> {
        if token.starts_with(TOKEN_PREFIX) {
            let hash = TokenHash::of(token).ok_or(Rejection::Malformed)?;
            let known = self.tokens.iter().find(|(_, known)| *known == hash);
            let client = known.map(|(client, _)| *client).ok_or(Rejection::UnknownToken)?;
            return accepts(client).map(|()| client);
        }
        let token = Unverified::parse(token)?;
        let mut nearest = None;
        for issuer in self.issuers.iter().filter(|issuer| token.issuer() == Some(issuer.source.issuer.as_str())) {
            match issuer.verify(&token, now, &accepts) {
                Ok(client) => return Ok(client),
                // Reasons stand in the order in which they are looked for.
                Err(reason) => nearest = nearest.max(Some(reason)),
            }
        }
        Err(nearest.unwrap_or(Rejection::UnknownIssuer))
    }
}

impl Issuer {
    fn verify(
        &self,
        token: &Unverified<'_>,
        now: Timestamp,
        accepts: &impl Fn(usize) -> Result<(), Rejection>,
    ) -> Result<usize, Rejection> {
        let claims = token.verify(&self.keys)?;
        claims.check_times(now)?;
        let mut nearest = Rejection::Audience;
        for (client, settings) in &self.entries {
            match claims.check(settings).and_then(|()| accepts(*client)) {
                Ok(()) => return Ok(*client),
                Err(reason) => nearest = nearest.max(reason),
            }
        }
        Err(nearest)
    }
}

/// Whether an `Authorization` header is meant to bring a token.
pub(super) fn is_bearer(header: &HeaderValue) -> bool {
    header.as_bytes().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
}

/// The token of an `Authorization` header of the scheme `Bearer` (RFC 6750, section 2.1). `None` for other schemes.
pub fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Token;

    #[test]
    fn a_token_tells_whose_it_is() {
        let [first, second, stranger] = [1, 2, 3].map(|n| Token::new(&[n; 32]));
        let proofs = [(4, BearerProof::Token(first.hash())), (7, BearerProof::Token(second.hash()))];
        let bearers = Bearers::new(proofs);
        let cases = [
            (first.reveal(), Ok(4)),
            (second.reveal(), Ok(7)),
            (stranger.reveal(), Err(Rejection::UnknownToken)),
            ("wst_AAAA", Err(Rejection::Malformed)),
            ("", Err(Rejection::Malformed)),
            ("hunter2", Err(Rejection::Malformed)),
        ];
        for (sent, expected) in cases {
            assert_eq!(bearers.verify(sent, Timestamp(0), |_| Ok(())), expected, "{sent}");
        }
    }

    #[test]
    fn only_the_scheme_bearer_brings_a_token() {
        let cases = [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer", None),
            ("Basic abc", None),
            ("AWS4-HMAC-SHA256 abc", None),
        ];
        for (header, expected) in cases {
            assert_eq!(bearer(&HeaderValue::from_static(header)), expected, "{header}");
        }
    }
}
