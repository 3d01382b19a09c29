//! A policy that was carried over from Anubis gives the answers that Anubis gave, when it is enforced.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use windscreen::document::{Diagnostics, read};
use windscreen::importer::anubis;

windscreen::settings! {
    /// Requests to one policy.
    struct Case {
        /// The policy, beside the corpus.
        policy: String,
        /// What is asked.
        requests: Vec<Request>,
    }
}

windscreen::settings! {
    /// A request and its answer.
    struct Request {
        /// The method.
        method: String = "GET".into(),
        /// The path with the query.
        path: String,
        /// The headers.
        headers: BTreeMap<String, String>,
        /// The client's address.
        address: IpAddr = IpAddr::from([198, 51, 100, 1]),
        /// `allow`, `deny` or `challenge`.
        expect: String,
    }
}

/// What `policy` answers under `mode: enforce`: `allow`, `deny` or `challenge`.
fn answer(_policy: &str, _request: &Request) -> String {
    unimplemented!()
}

#[test]
fn every_request_gets_the_answer_of_anubis() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/anubis");
    let file = |path: &Path| std::fs::read_to_string(path).map_err(|error| error.to_string());
    let mut diagnostics = Diagnostics::new("corpus.yaml");
    let cases: Option<Vec<Case>> = read(&file(&folder.join("corpus.yaml")).unwrap(), &mut diagnostics);
    assert_eq!(diagnostics.to_string(), "");
    for case in cases.unwrap() {
        let imported = anubis(&folder.join(&case.policy), Some(&folder.join("data")), &file).unwrap();
        let policy = imported.policy.replace("mode: observe", "mode: enforce");
        for request in &case.requests {
            assert_eq!(answer(&policy, request), request.expect, "{}: {request:?}", case.policy);
        }
    }
}
