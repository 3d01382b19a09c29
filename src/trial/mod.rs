//! Trials: what the policy decides for a request that somebody describes, and what its client would see.
//!
//! `explain` and `test` share this one way from a description to an answer. It takes the same steps as a live request
//! (`proxy::intake`, sites, dialect, refusals before the policy, the policy, the refusal in the client's dialect) and
//! uses their code. It asks no origin, counts no limit and remembers nothing.

mod cases;
mod coverage;
mod describe;
mod dress;
mod expected;
mod json;
mod request;
mod run;
mod text;

pub use cases::{Case, CasesFile, country, fingerprint};
pub use coverage::{Coverage, Gap};
pub use describe::Dressed;
pub use dress::Dress;
pub use expected::{ExpectedSettings, Mismatch};
pub use json::outcome as to_json;
pub use request::{Addressed, Described, Given};
pub use run::{Answer, Bench, Charged, Outcome};
pub use text::{Paint, outcome as to_text, path as path_to_text};
