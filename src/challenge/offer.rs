//! A challenge as a program gets it, with all that it takes to solve and submit it.

use super::page::VERIFY_PATH;
use super::puzzle::{LIFETIME, ROUNDS, SOLUTIONS};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The name of the function that is solved: [`super::cachewalk`].
pub const ALGORITHM: &str = "cachewalk-1";

/// One challenge. Programs rely on the names of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// [`ALGORITHM`].
    pub algorithm: Cow<'static, str>,
    /// The challenge string, which is solved and sent back.
    pub challenge: String,
    /// One in so many nonces is a solution.
    pub difficulty: u32,
    /// How many solutions are asked for.
    pub count: usize,
    /// The length of the walk.
    pub rounds: u32,
    /// For how many seconds from now a solution is taken.
    pub expires_in: u64,
    /// The site that the pass will be for.
    pub site: String,
    /// How a solution is submitted. The answer is 204 with the pass as a cookie.
    pub submit: Submit,
}

/// How a solution is submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit {
    /// The method.
    pub method: Cow<'static, str>,
    /// The path, at the host that offers the challenge.
    pub path: Cow<'static, str>,
    /// The type of the body.
    pub content_type: Cow<'static, str>,
    /// The fields of the body: the challenge string, and the nonces in rising order.
    pub fields: [Cow<'static, str>; 2],
}

impl Offer {
    /// The offer of a challenge that was issued now.
    pub fn new(challenge: String, difficulty: u32, site: &str) -> Self {
        Offer {
            algorithm: ALGORITHM.into(),
            challenge,
            difficulty,
            count: SOLUTIONS,
            rounds: ROUNDS,
            expires_in: LIFETIME.as_secs(),
            site: site.to_owned(),
            submit: Submit {
                method: "POST".into(),
                path: VERIFY_PATH.into(),
                content_type: "application/json".into(),
                fields: ["challenge".into(), "nonces".into()],
            },
        }
    }
}
