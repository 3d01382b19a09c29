//! What an answer of an origin says about the deployment. Nothing is asked here.

use super::finding::Finding;
use crate::clock::Timestamp;
use std::time::Duration;

/// Clocks that differ by more are told of.
const ODD: Duration = Duration::from_secs(60);
/// S3 refuses signatures that are 15 minutes old, and clocks drift on.
const REFUSED: Duration = Duration::from_secs(600);

/// What makes S3 say which objects it lacks.
const GRANT_LIST: &str = "grant the gateway `s3:ListBucket` on the bucket, as deploy/buckets/reader-policy.json does: then a \
                          miss is a 404, and not a 403";
const GO_AROUND: &str = "take the public grant away, with deploy/buckets/close.sh on AWS, and give the gateway credentials of \
                         its own: the policy holds only for those who cannot go around it";

/// What is wrong with how we ask, by the code of the origin's error.
/// Source: the S3 API reference, Error responses.
const REFUSALS: [(&str, &str, &str); 11] = [
    (
        "SignatureDoesNotMatch",
        "the origin refuses our signature: the secret key is not that of the access key",
        "write both keys anew where `credentials` reads them; if they are right, what is between here and the origin changes \
         requests",
    ),
    (
        "InvalidAccessKeyId",
        "the origin does not know our access key",
        "write a key that exists there where `credentials` reads it: it may have been deleted, or be one of another provider",
    ),
    (
        "NotSignedUp",
        "the origin has no account with our access key",
        "write a key that exists there where `credentials` reads it, or have the provider open the account",
    ),
    (
        "RequestTimeTooSkewed",
        "the origin refuses our signature: the clocks differ by too much",
        "set the clock of this machine, and let chrony or systemd-timesyncd keep it",
    ),
    (
        "AuthorizationHeaderMalformed",
        "the origin refuses our signature: it is for another region",
        "set `region` of the origin to that of its bucket",
    ),
    ("InvalidToken", "the origin refuses our session token", "take new credentials"),
    ("ExpiredToken", "our credentials have expired", "take new credentials, from a source that renews them"),
    ("NoSuchBucket", "there is no such bucket", "mend `url` of the origin"),
    ("PermanentRedirect", "the bucket is in another region", "use the URL of the bucket's own region as `url`"),
    ("AllAccessDisabled", "the bucket is closed to everybody", "ask the provider why"),
    ("AccountProblem", "the provider has closed the account", "ask the provider why"),
];

/// What the origin said of an object that it cannot have: a status, and the code of an error.
pub(super) fn of_signature(origin: &str, signed: bool, status: u16, code: &str) -> Finding {
    let check = "signature";
    let ours = if signed { "our signature is accepted" } else { "it answers without a signature" };
    if let Some((_, message, advice)) = REFUSALS.iter().find(|(known, ..)| *known == code) {
        return Finding::bad(check, origin, message, advice);
    }
    match status {
        404 => Finding::ok(check, origin, &format!("{ours}, and it says which objects it lacks")),
        403 if code == "AccessDenied" => {
            let message = format!("{ours}, but whether an object is missing or forbidden cannot be told");
            Finding::ok(check, origin, &message).advise(GRANT_LIST)
        }
        200..=299 => Finding::warning(
            check,
            origin,
            &format!("it answers {status} for an object that nobody has written"),
            "name the S3 endpoint of the bucket as `url`, not that of a website or of a CDN",
        ),
        300..=399 => Finding::bad(
            check,
            origin,
            &format!("it redirects ({status} {code})"),
            "name the S3 endpoint of the bucket's own region as `url`",
        ),
        500..=599 => Finding::warning(
            check,
            origin,
            &format!("it answers {status} {code}"),
            "run this again; if it stays so, ask the provider",
        ),
        _ => Finding::bad(
            check,
            origin,
            &format!("it refuses our request: {status} {code}"),
            "check `url`, `region` and `credentials` of the origin, and the policy of the bucket",
        ),
    }
}

/// Compares the clock of the origin with ours.
pub(super) fn of_clock(origin: &str, theirs: Option<Timestamp>, ours: Timestamp) -> Option<Finding> {
    let theirs = theirs?;
    let skew = theirs.since(ours).max(ours.since(theirs));
    let message = format!("our clock differs from that of the origin by {} s", skew.as_secs());
    let advice =
        "set the clock of this machine, and let chrony or systemd-timesyncd keep it: signatures and passes have times";
    Some(match skew {
        skew if skew > REFUSED => Finding::bad("clock", origin, &message, advice),
        skew if skew > ODD => Finding::warning("clock", origin, &message, advice),
        _ => Finding::ok("clock", origin, &message),
    })
}

/// What anybody can do without the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// List all objects.
    Lists,
    /// Read this object at least.
    Reads,
    /// Neither, though an object was tried.
    Closed,
    /// Not list; no object was known to try.
    Unknown,
}

/// Says whether the gateway can be gone around. `signed` is whether it has credentials of its own.
pub(super) fn of_openness(origin: &str, signed: bool, open: Open) -> Finding {
    let warn = |message: &str| Finding::warning("public", origin, message, GO_AROUND);
    match (open, signed) {
        (Open::Lists, _) => warn("anybody can list the bucket without the gateway, so scrapers go around it"),
        (Open::Reads, _) => warn("anybody can read objects without the gateway, so scrapers go around it"),
        (_, false) => warn("the gateway reads it without credentials, and so may others: scrapers go around it"),
        (Open::Closed, true) => Finding::ok("public", origin, "an object cannot be read without a signature"),
        (Open::Unknown, true) => Finding::ok("public", origin, "it cannot be listed without a signature")
            .advise("whether objects can be read is not known, as no object is: try `curl -I` with the URL of one"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn each_answer_of_an_origin_says_what_to_do() {
        for (status, code, verdict, said) in [
            (404, "NoSuchKey", Verdict::Ok, "is accepted"),
            (404, "NoSuchBucket", Verdict::Bad, "no such bucket"),
            (403, "AccessDenied", Verdict::Ok, "cannot be told"),
            (403, "SignatureDoesNotMatch", Verdict::Bad, "secret key"),
            (403, "InvalidAccessKeyId", Verdict::Bad, "access key"),
            (403, "RequestTimeTooSkewed", Verdict::Bad, "clocks"),
            (400, "AuthorizationHeaderMalformed", Verdict::Bad, "another region"),
            (400, "ExpiredToken", Verdict::Bad, "expired"),
            (301, "PermanentRedirect", Verdict::Bad, "another region"),
            (302, "", Verdict::Bad, "redirects"),
            (200, "", Verdict::Warning, "nobody has written"),
            (503, "SlowDown", Verdict::Warning, "503 SlowDown"),
            (418, "Odd", Verdict::Bad, "418 Odd"),
        ] {
            let found = of_signature("logs/first", true, status, code);
            assert_eq!(found.verdict, verdict, "{status} {code}");
            assert!(found.message.contains(said), "{status} {code}: {}", found.message);
            assert_eq!(found.advice.is_some(), verdict != Verdict::Ok || code == "AccessDenied", "{status} {code}");
        }
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let at = |seconds: u64| Timestamp(seconds * 1000);
        for (theirs, ours, verdict) in [
            (1_000, 1_060, Verdict::Ok),
            (1_061, 1_000, Verdict::Warning),
            (1_000, 1_061, Verdict::Warning),
            (1_000, 1_600, Verdict::Warning),
            (1_000, 1_601, Verdict::Bad),
        ] {
            assert_eq!(of_clock("o", Some(at(theirs)), at(ours)).unwrap().verdict, verdict, "{theirs} {ours}");
        }
        assert!(of_clock("o", None, at(0)).is_none(), "no Date, no finding");
    }

    #[test]
    fn who_can_go_around_is_told_of() {
        for (open, signed, verdict) in [
            (Open::Lists, true, Verdict::Warning),
            (Open::Reads, true, Verdict::Warning),
            (Open::Closed, true, Verdict::Ok),
            (Open::Unknown, true, Verdict::Ok),
            (Open::Unknown, false, Verdict::Warning),
        ] {
            assert_eq!(of_openness("o", signed, open).verdict, verdict, "{open:?} {signed}");
        }
    }
}
