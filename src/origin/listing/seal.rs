//! Texts that only we can read, without remembering them.
//!
//! A synthetic IV, as RFC 5297 has one: the tag is a MAC of the text, and the key stream that hides the text follows
//! from the tag. So a text is always sealed alike, which tells no more than that it is the same one.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq;

/// Bytes of the tag.
const TAG: usize = 16;
/// What sealed texts begin with, so that they can be told from keys.
const MARK: &str = "windscreen~";

/// Seals and opens texts.
pub struct Seal([u8; 16]);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// Seals with a secret that nobody else has.
    pub fn new(secret: [u8; 16]) -> Self {
        Seal(secret)
    }

    /// HMAC-SHA256 for a purpose. It takes keys of any length, so there is always one.
    fn mac(&self, purpose: &[u8], texts: [&[u8]; 2]) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return [0; 32] };
        mac.update(purpose);
        for text in texts {
            mac.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(text);
        }
        mac.finalize().into_bytes().into()
    }

    fn hide(&self, tag: &[u8], text: &mut [u8]) {
        for (number, block) in (0u32..).zip(text.chunks_mut(32)) {
            let stream = self.mac(b"stream", [tag, &number.to_be_bytes()]);
            block.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
        }
    }

    /// `text` for `scope`, so that nobody can read it, change it, or use it elsewhere. Letters, digits and a `~`.
    pub fn seal(&self, scope: &str, text: &str) -> String {
        let tag = &self.mac(b"tag", [scope.as_bytes(), text.as_bytes()])[..TAG];
        let mut hidden = text.as_bytes().to_vec();
        self.hide(tag, &mut hidden);
        format!("{MARK}{}", hex::encode([tag, &hidden].concat()))
    }

    /// What was sealed for `scope`.
    pub fn open(&self, scope: &str, sealed: &str) -> Option<String> {
        let bytes = hex::decode(sealed.strip_prefix(MARK)?).ok()?;
        let (tag, hidden) = bytes.split_at_checked(TAG)?;
        let mut text = hidden.to_vec();
        self.hide(tag, &mut text);
        let expected = &self.mac(b"tag", [scope.as_bytes(), &text])[..TAG];
        if !bool::from(expected.ct_eq(tag)) {
            return None;
        }
        String::from_utf8(text).ok()
    }

    /// Whether a text looks sealed.
    pub(super) fn is_sealed(text: &str) -> bool {
        text.starts_with(MARK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_where_it_was_sealed_for(text in ".{0,100}", scope in "[a-z]{0,5}") {
            let seal = Seal::new([7; 16]);
            let sealed = seal.seal(&scope, &text);
            prop_assert_eq!(seal.open(&scope, &sealed), Some(text.clone()));
            prop_assert_eq!(seal.open(&format!("{scope}x"), &sealed), None);
            prop_assert_eq!(Seal::new([8; 16]).open(&scope, &sealed), None);
            prop_assert!(text.len() < 4 || !sealed.contains(&text));
        }

        #[test]
        fn nothing_else_is_opened(sealed in "(windscreen~)?([0-9a-f]{0,80}|.{0,40})") {
            prop_assert_eq!(Seal::new([7; 16]).open("", &sealed), None);
        }
    }
}
