//! A pass: the signed cookie that a solved challenge buys. It says who it is; what it is still worth, the server keeps.

use super::keys::{SigningKeys, id_from_hex};
use crate::clock::Timestamp;
use crate::network::IpNet;

const PURPOSE: &str = "pass";
const VERSION: &str = "p1";
const WAITED: &str = "w1";

/// What a pass says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Names the account. Derived from the challenge's id, so that submitting a solution twice, on any replica, yields
    /// the same account.
    pub id: [u8; 16],
    /// The site that it is for.
    pub site: String,
    /// The difficulty that was paid; 0 where nothing was.
    pub difficulty: u32,
    /// The prefix that bought it.
    pub prefix: IpNet,
    /// Whether it was waited for instead.
    pub waited: bool,
    /// When it ends unless it is renewed.
    pub expires: Timestamp,
    /// When the challenge was solved.
    pub first: Timestamp,
}

/// Why a pass was not honoured. The words are label values of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PassError {
    /// Not sealed by one of our keys.
    Forged,
    /// For another site.
    Site,
    /// Over, and not renewed.
    Expired,
    /// Its requests or bytes are used up.
    Budget,
    /// Too many prefixes use it.
    Prefixes,
    /// Authentic, but of a lower tier than the rule asks for.
    Tier,
    /// The table of accounts is full.
    Full,
}

impl PassError {
    /// Every reason.
    pub const ALL: [PassError; 7] = [
        PassError::Forged,
        PassError::Site,
        PassError::Expired,
        PassError::Budget,
        PassError::Prefixes,
        PassError::Tier,
        PassError::Full,
    ];

    /// The word for it in metrics and the access log.
    pub fn word(self) -> &'static str {
        match self {
            PassError::Forged => "forged",
            PassError::Site => "site",
            PassError::Expired => "expired",
            PassError::Budget => "budget",
            PassError::Prefixes => "prefixes",
            PassError::Tier => "tier",
            PassError::Full => "full",
        }
    }
}

impl Pass {
    /// The id of the pass that the challenge `id` buys.
    pub(super) fn id_for(keys: &SigningKeys, key: &str, id: &[u8; 16]) -> [u8; 16] {
        let mac = keys.mac(key, "pass id", &hex::encode(id)).unwrap_or_default();
        let mut pass = [0; 16];
        pass.copy_from_slice(&mac[..16]);
        pass
    }

    /// The cookie's value.
    pub fn seal(&self, keys: &SigningKeys) -> String {
        let text = format!(
            "{}~{}~{}~{}~{}~{}~{}~{}",
            if self.waited { WAITED } else { VERSION },
            keys.current(),
            hex::encode(self.id),
            self.site,
            self.difficulty,
            self.expires.0,
            self.first.0,
            self.prefix,
        );
        keys.seal(PURPOSE, &text)
    }

    /// Reads a cookie's value, if one of `keys` sealed it.
    pub fn open(keys: &SigningKeys, sealed: &str) -> Option<Self> {
        let fields = keys.open(PURPOSE, sealed)?;
        let [version @ (VERSION | WAITED), _, id, site, difficulty, expires, first, prefix] = fields[..] else {
            return None;
        };
        Some(Pass {
            id: id_from_hex(id)?,
            site: site.to_owned(),
            difficulty: difficulty.parse().ok()?,
            waited: version == WAITED,
            expires: Timestamp(expires.parse().ok()?),
            first: Timestamp(first.parse().ok()?),
            prefix: prefix.parse().ok()?,
        })
    }
}
