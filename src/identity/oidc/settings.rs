//! Whose tokens are taken, and what they must say.

use crate::document::{
    Decode, Diagnostics, Node, NonEmpty, Position, Required, Schemas, decode_names, list, names, pattern, text_like,
};
use http::Uri;
use serde_json::Value;
use std::fmt;

/// Who issues the tokens of GitHub Actions. Organisations may have an issuer of their own below it.
const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// Claims that say for which repository GitHub issued a token.
const OWNERS: [&str; 6] =
    ["repository_id", "repository_owner_id", "repository", "repository_owner", "sub", "enterprise_id"];
/// Claims that are looked at in any case.
const STANDARD: [(&str, &str); 5] = [
    ("iss", "`issuer` says what it must be"),
    ("aud", "`audience` says what it must be"),
    ("exp", "times are always checked"),
    ("nbf", "times are always checked"),
    ("iat", "times are always checked"),
];

crate::settings! {
    /// Tokens that an OpenID Connect issuer signs for its jobs, such as those of GitHub Actions.
    #[derive(PartialEq)]
    pub struct OidcSettings {
        /// Who issues them, exactly as they name it (`iss`): `https://token.actions.githubusercontent.com`.
        issuer: IssuerUrl,
        /// Whom they must be for (`aud`), such as the gateway's URL. Choose one that nobody else takes tokens for.
        audience: Required,
        /// Where the issuer's keys are; as `ISSUER/.well-known/openid-configuration` says where absent.
        jwks: Option<IssuerUrl> = None,
        /// What they must say besides, all of it: of each claim one value, or a beginning such as `refs/heads/*`.
        claims: RequiredClaims,
    }
}

impl OidcSettings {
    /// Checks what no part of it knows alone.
    pub fn check(&self, position: Position, diagnostics: &mut Diagnostics) {
        let github = self.issuer.0.strip_prefix(GITHUB).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let owned = |(name, patterns): &(String, Vec<ClaimPattern>)| {
            OWNERS.contains(&&**name) && patterns.iter().all(ClaimPattern::names_an_owner)
        };
        if github && !self.claims.0.iter().any(owned) {
            let message = "every repository of GitHub could come with such a token: say in `claims` which \
                           `repository_id` or `repository_owner_id` it must be of";
            diagnostics.error(position, message);
        }
    }

    /// Where the keys are.
    pub fn source(&self) -> KeySource {
        KeySource { issuer: self.issuer.clone(), jwks: self.jwks.clone() }
    }
}

/// An issuer, and where its keys are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeySource {
    /// Who signs.
    pub issuer: IssuerUrl,
    /// Where the keys are, if it is not the issuer who says so.
    pub jwks: Option<IssuerUrl>,
}

impl KeySource {
    /// What messages and metrics call it: the URL without scheme.
    pub fn name(&self) -> &str {
        let url = &self.jwks.as_ref().unwrap_or(&self.issuer).0;
        url.split_once("://").map_or(url, |(_, rest)| rest)
    }

    /// Where the issuer says where its keys are (OpenID Connect Discovery 1.0, section 4).
    pub fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.issuer.0.trim_end_matches('/'))
    }
}

/// The URL of an issuer or of its keys: https, or http of this machine itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IssuerUrl(String);

impl IssuerUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is none, holds credentials, a query or a fragment, or whoever is on the way could change what it brings.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what| Err(format!("`{text}` {what}"));
        let Ok(url) = text.parse::<Uri>() else { return wrong("is no URL") };
        let Some(host) = url.authority().filter(|authority| !authority.as_str().contains('@')).map(|a| a.host()) else {
            return wrong("cannot be asked for keys: write `https://HOST/...`, without a user");
        };
        if text.contains(['?', '#']) || text.len() > 1024 {
            return wrong("cannot be asked for keys: write it without `?` and `#`, in at most 1024 bytes");
        }
        let address = host.trim_start_matches('[').trim_end_matches(']').parse();
        let own = host == "localhost" || address.is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        match url.scheme_str() {
            Some("https") => Ok(IssuerUrl(text.into())),
            Some("http") if own => Ok(IssuerUrl(text.into())),
            _ => wrong("is not safe on its way: write `https://`"),
        }
    }

    /// The URL as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Decode for IssuerUrl {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let read = Required::decode(node, diagnostics).map(|Required(text)| IssuerUrl::parse(&text))?;
        read.map_err(|message| diagnostics.error(node.position, message)).ok()
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern("^[hH][tT][tT][pP][sS]?://", &[GITHUB])
    }
}

/// What tokens must say: names of claims, each with the values of which it must have one. At least one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredClaims(pub Vec<(String, Vec<ClaimPattern>)>);

impl Decode for RequiredClaims {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let claims = decode_names(node, diagnostics, |name, node, diagnostics| {
            if let Some((_, why)) = STANDARD.iter().find(|(standard, _)| *standard == name) {
                diagnostics.error(node.position, format!("`{name}` cannot be among `claims`: {why}"));
            }
            NonEmpty::decode(node, diagnostics).map(|NonEmpty(patterns)| patterns)
        })?;
        if claims.is_empty() {
            let message = "expected a claim with its value: else all that the issuer signs for this audience is taken";
            diagnostics.error(node.position, message);
        }
        Some(RequiredClaims(claims))
    }

    fn schema(_: &mut Schemas) -> Value {
        let mut schema = names(list(text_like(r"^[^*]+\*?$"), 1));
        schema["minProperties"] = 1.into();
        schema
    }
}

/// A value that a claim must have, or with a `*` at its end what it must begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPattern {
    text: String,
    is_beginning: bool,
}

impl ClaimPattern {
    /// Whether `value` is meant. Upper and lower case differ.
    pub fn matches(&self, value: &str) -> bool {
        if self.is_beginning { value.starts_with(&self.text) } else { value == self.text }
    }

    /// Whether it cannot mean owners that are called alike: `octo/*`, not `octo*`.
    fn names_an_owner(&self) -> bool {
        !self.is_beginning || self.text.ends_with('/')
    }
}

impl Decode for ClaimPattern {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Required(written) = Required::decode(node, diagnostics)?;
        let beginning = written.strip_suffix('*');
        let text = beginning.unwrap_or(&written);
        if text.is_empty() || text.contains('*') {
            let message = format!("`{written}` is no value of a claim: one `*` may stand at the end of some text");
            diagnostics.error(node.position, message);
            return None;
        }
        Some(ClaimPattern { text: text.to_owned(), is_beginning: beginning.is_some() })
    }

    fn schema(_: &mut Schemas) -> Value {
        text_like(r"^[^*]+\*?$")
    }
}
