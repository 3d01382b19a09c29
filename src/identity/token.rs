//! Bearer tokens: random texts that a client keeps, of which the gateway knows a hash only.
//!
//! A token is `wst_` and 48 characters of base64url: 32 random bytes and a checksum over them. A prefix, much
//! randomness and a checksum of 32 bits are what secret scanners want, so that a token that leaked is found
//! (<https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partner-program>), and what is no token
//! is told by itself. The checksum keeps no secret: the hash does.
//!
//! Pure: whoever makes a token brings the random bytes.

use crate::document::{Decode, Diagnostics, Node, Schemas, pattern};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// What every token begins with.
pub const TOKEN_PREFIX: &str = "wst_";
/// Random bytes of a token.
const SECRET: usize = 32;
/// Bytes of the checksum, so that both together are base64 without padding.
const CHECKSUM: usize = 4;
const HASH_PREFIX: &str = "sha256:";

/// A token as its owner keeps it. Shown by [`Token::reveal`] alone.
pub struct Token(String);

impl Token {
    /// The token of these random bytes.
    pub fn new(secret: &[u8; SECRET]) -> Self {
        let bytes = [&secret[..], &checksum(secret)].concat();
        Token(format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text that a client sends.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the gateway knows of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(&self.0).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Tells a token that was mistyped or cut off from one that nobody knows.
fn checksum(secret: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::new().chain_update("windscreen token").chain_update(secret).finalize();
    std::array::from_fn(|at| digest[at])
}

/// SHA-256 of a token's whole text, which is as good as the token for recognising it and for nothing else. Comparing
/// two takes the same time wherever they differ.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of what a client sent. `None` where that is no token, which costs less to find out than to look it up.
    pub fn of(sent: &str) -> Option<Self> {
        let mut bytes = [0; SECRET + CHECKSUM];
        let body = sent.strip_prefix(TOKEN_PREFIX)?;
        let length = URL_SAFE_NO_PAD.decode_slice(body, &mut bytes).ok()?;
        let (secret, sum) = bytes.split_at(SECRET);
        let whole = length == bytes.len() && sum == checksum(secret);
        whole.then(|| TokenHash(Sha256::digest(sent).into()))
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HASH_PREFIX)?;
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for TokenHash {
    type Err = String;

    /// Reads `sha256:` and 64 hexadecimal digits. The error never shows what may be a token.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains(TOKEN_PREFIX) {
            let message = "this is a token, where its hash belongs; now that the token has been written down, make \
                           another by `windscreen token new`, which prints its hash";
            return Err(message.into());
        }
        // What stands there instead may be some other secret.
        let wanted = "expected `sha256:` and 64 hexadecimal digits, as `windscreen token new` prints them";
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix(HASH_PREFIX).unwrap_or_default(), &mut bytes).map_err(|_| wanted)?;
        Ok(TokenHash(bytes))
    }
}

impl Decode for TokenHash {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let read = node.text().unwrap_or_default().parse();
        read.map_err(|message: String| diagnostics.error(node.position, message)).ok()
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern(
            "^sha256:[0-9A-Fa-f]{64}$",
            &["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::read;

    #[test]
    fn a_token_is_known_by_its_hash() {
        let (token, other) = (Token::new(&[7; 32]), Token::new(&[8; 32]));
        assert_eq!(token.reveal(), "wst_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwfebGyd");
        assert_eq!(TokenHash::of(token.reveal()), Some(token.hash()));
        assert_ne!(token.hash(), other.hash());
        assert_eq!(token.hash().to_string().parse(), Ok(token.hash()));
        // As `printf %s TOKEN | sha256sum` says it.
        let hash = "sha256:3bf2cd696c0184cf0a536d929291bca1bf2e7c4dbdb72d8ebdccfbee9cd66c28";
        assert_eq!(token.hash().to_string(), hash);
    }

    #[test]
    fn what_is_no_token_is_told_by_itself() {
        let token = Token::new(&[7; 32]);
        let good = token.reveal();
        for at in 0..good.len() {
            for other in ['A', 'b', '0', '-', '_', '=', ' ', 'é'] {
                let changed: String = good.chars().enumerate().map(|(i, c)| if i == at { other } else { c }).collect();
                assert!(changed == good || TokenHash::of(&changed).is_none(), "{changed}");
            }
            assert!(TokenHash::of(&good[..at]).is_none());
        }
        for text in [&format!("{good}A"), &format!("{good}="), &format!(" {good}"), "", "wst_", &"wst_".repeat(100)] {
            assert!(TokenHash::of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn nothing_shows_a_token() {
        let token = Token::new(&[7; 32]);
        assert_eq!(format!("{token:?}"), "Token(..)");
        let long = "sha256:".to_owned() + &"0g".repeat(32);
        for written in [token.reveal(), &format!("sha256:{}", token.reveal()), "hunter2", "sha256:00", &long, "[]"] {
            let mut diagnostics = Diagnostics::new("gateway.yaml");
            assert!(read::<TokenHash>(written, &mut diagnostics).is_none());
            let message = diagnostics.to_string();
            assert!(message.contains("`windscreen token new`"), "{message}");
            assert!(!message.contains("BwcHB") && !message.contains("hunter2"), "{message}");
        }
    }
}
