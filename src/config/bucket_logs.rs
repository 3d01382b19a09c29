//! The `evidence` entries of a gateway file: logs that tell what reached the buckets, through the gateway or around it.

use super::gateway::GatewayFile;
use crate::document::{Diagnostics, Required, Spanned, unknown_word};
use crate::network::Cidr;
use crate::origin::{BucketAddress, OriginUrl};

crate::settings! {
    /// Access logs of buckets, for `windscreen report`.
    pub struct BucketLogSettings {
        /// Where S3 delivers its server access logs: `s3://BUCKET/PREFIX`.
        s3_access_logs: BucketAddress,
        /// The region of that bucket. Found out where absent.
        region: Option<String> = None,
        /// The server that has it, asked in path style; AWS where absent.
        endpoint: Option<OriginUrl> = None,
        /// What signs reads of it: a name from `credentials`, `chain` (the standard AWS chain, also where absent) or
        /// `anonymous`.
        credentials: Option<Spanned<String>> = None,
        /// What these logs call the gateway: the names of its requester, such as
        /// `arn:aws:iam::111122223333:user/gateway`. The sessions of a role are behind
        /// `arn:aws:sts::111122223333:assumed-role/ROLE`. Whoever signs and sends the gateway's User-Agent where absent.
        requesters: Vec<Required> = Vec::new(),
        /// Addresses that the gateway's requests come from, for origins that it reads without credentials. What is not
        /// signed is nobody's own where absent.
        addresses: Vec<Cidr> = Vec::new(),
    }
}

impl BucketLogSettings {
    /// What signs reads of the logs.
    pub fn signer(&self) -> &str {
        self.credentials.as_ref().map_or("chain", |name| &name.value)
    }
}

/// Checks names of credentials, and what is counted twice or not at all.
pub(super) fn check_bucket_logs(file: &GatewayFile, diagnostics: &mut Diagnostics) {
    for entry in &file.evidence {
        if let Some(name) = &entry.value.credentials
            && !matches!(name.value.as_str(), "chain" | "anonymous")
            && !file.credentials.contains_key(&name.value)
            && !diagnostics.is_broken(&name.value)
        {
            let known = file.credentials.keys().map(String::as_str).chain(["chain", "anonymous"]);
            diagnostics.error(name.position, unknown_word("credentials", &name.value, known));
        }
    }
    let Some(first) = file.evidence.first() else { return };
    if file.ledger.is_none() {
        let message = "nobody knows for whom the gateway reads: its own reads are left out of these logs, and without \
                       `ledger` they are nowhere";
        diagnostics.warn(first.position, message);
    }
    if file.evidence.iter().any(|entry| !entry.value.addresses.is_empty()) {
        return;
    }
    // Only buckets of AWS have such logs, or those behind another server that is named here.
    let elsewhere = file.evidence.iter().any(|entry| entry.value.endpoint.is_some());
    for origin in file.sites.value.0.iter().flat_map(|(_, site)| &site.origins.0) {
        let is_anonymous = origin.credentials.as_ref().is_some_and(|name| name.value == "anonymous");
        if is_anonymous && (elsewhere || origin.url.region().is_some()) {
            let message = format!(
                "reads of origin `{}` are not signed, so they count twice, unless `addresses` says where they come from",
                origin.name.value
            );
            diagnostics.warn(first.position, message);
        }
    }
}
