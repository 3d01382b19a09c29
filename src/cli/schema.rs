//! `windscreen schema`.

use super::SchemaOf;
use crate::config::{gateway_schema, policy_schema};

/// Prints the JSON Schema of a kind of file.
pub(super) fn schema(of: SchemaOf) -> Result<u8, String> {
    let schema = match of {
        SchemaOf::Gateway => gateway_schema(),
        SchemaOf::Policy => policy_schema(),
    };
    println!("{schema:#}");
    Ok(0)
}
