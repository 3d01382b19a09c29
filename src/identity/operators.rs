//! Operators: who may decide at the admin listener, by bearer tokens of their own.

use super::bearer::{BearerProof, Bearers, bearer};
use super::rejection::Rejection;
use super::token::TokenHash;
use crate::clock::Timestamp;
use http::header::{AUTHORIZATION, HeaderMap};
use std::sync::Arc;

/// One operator.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The name in logs and lists.
    pub name: Arc<str>,
    /// The token, by its hash.
    pub token: TokenHash,
    /// From when on it is not accepted any more.
    pub expires: Option<Timestamp>,
}

/// All operators. Tokens of clients are none of theirs.
#[derive(Debug, Default)]
pub struct Operators {
    entries: Vec<Operator>,
    tokens: Bearers,
}

impl Operators {
    /// Of several with one token the first counts: the configuration has none such.
    pub fn new(entries: Vec<Operator>) -> Self {
        let proofs = entries.iter().enumerate().map(|(number, entry)| (number, BearerProof::Token(entry.token)));
        Operators { tokens: Bearers::new(proofs), entries }
    }

    /// Whether nobody may decide.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Who sent a request with these headers.
    ///
    /// # Errors
    /// Says why it is nobody's. Whether there is a token is not told apart from whether it is good.
    pub fn verify(&self, headers: &HeaderMap, now: Timestamp) -> Result<Arc<str>, Rejection> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let token = all.next().filter(|_| all.next().is_none()).and_then(bearer).ok_or(Rejection::Malformed)?;
        let entry = |number: usize| self.entries.get(number).ok_or(Rejection::UnknownToken);
        let accepts = |number| match entry(number)?.expires {
            Some(until) if until <= now => Err(Rejection::Expired),
            _ => Ok(()),
        };
        Ok(entry(self.tokens.verify(token, now, accepts)?)?.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Token;

    #[test]
    fn an_operator_is_known_by_one_good_token() {
        let [alice, bob, stranger] = [1, 2, 3].map(|n| Token::new(&[n; 32]));
        let entry = |name: &str, token: &Token, expires| Operator { name: name.into(), token: token.hash(), expires };
        let operators = Operators::new(vec![entry("alice", &alice, None), entry("bob", &bob, Some(Timestamp(1000)))]);
        let bearing = |tokens: &[&Token]| {
            let mut headers = HeaderMap::new();
            for token in tokens {
                headers.append(AUTHORIZATION, format!("Bearer {}", token.reveal()).parse().unwrap());
            }
            headers
        };
        let cases = [
            (bearing(&[&alice]), 2000, Ok("alice")),
            (bearing(&[&bob]), 999, Ok("bob")),
            (bearing(&[&bob]), 1000, Err(Rejection::Expired)),
            (bearing(&[&stranger]), 0, Err(Rejection::UnknownToken)),
            (bearing(&[]), 0, Err(Rejection::Malformed)),
            (bearing(&[&alice, &alice]), 0, Err(Rejection::Malformed)),
        ];
        for (headers, now, expected) in cases {
            let found = operators.verify(&headers, Timestamp(now));
            assert_eq!(found.as_deref().map_err(|rejection| *rejection), expected);
        }
        assert!(Operators::default().is_empty() && !operators.is_empty());
    }
}
