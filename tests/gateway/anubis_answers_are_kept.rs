//! A policy that was carried over from Anubis gives the answers that Anubis gave, when it is enforced.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use windscreen::clock::Timestamp;
use windscreen::config::check_policy;
use windscreen::document::{Diagnostics, read};
use windscreen::facts::{Client, Fact, Facts, Headers, HttpVersion, Identity};
use windscreen::importer::anubis;
use windscreen::path::CanonicalPath;
use windscreen::policy::Policy;
use windscreen::state::Blank;

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

/// Headers as a request has them.
struct Sent<'a>(Vec<(String, &'a str)>);

impl Headers for Sent<'_> {
    fn header(&self, name: &str) -> Fact<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value).into()
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
        self.0.iter().for_each(|(name, value)| visit(name, value));
        true
    }

    fn as_sent(&self, visit: &mut dyn FnMut(&str)) -> bool {
        self.0.iter().for_each(|(name, _)| visit(name));
        true
    }
}

/// What the policy answers: `allow`, `deny` or `challenge`.
fn answer(policy: &Policy, request: &Request) -> &'static str {
    let headers = Sent(request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect());
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let path = CanonicalPath::parse(path).unwrap();
    let facts = Facts {
        now: Timestamp(0),
        site: "site",
        host: headers.header("host"),
        method: &request.method,
        path: path.as_str(),
        query: Fact::Present(query),
        client: Client::new(request.address, true),
        identity: Identity::None,
        client_name: Fact::Absent,
        pass: None,
        user_agent: headers.header("user-agent"),
        headers: &headers,
        version: Fact::Present(HttpVersion::Http11),
        secure: Fact::Present(true),
        ja4: Fact::Unknown,
        dialect: Fact::Unknown,
    };
    policy.decide(&facts, &Blank).action.word()
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
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.yaml");
        std::fs::write(&path, policy).unwrap();
        let loaded = check_policy(&path, &mut diagnostics).unwrap();
        let Some(loaded) = loaded else { panic!("{}: {diagnostics}", case.policy) };
        for request in &case.requests {
            assert_eq!(answer(&loaded.policy, request), request.expect, "{}: {request:?}", case.policy);
        }
    }
}
