use super::*;
use crate::clock::Timestamp;
use crate::facts::{Fact, HttpVersion, Identity};
use crate::replay::record::{Operation, Signature};
use crate::replay::recorded::Told;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use std::borrow::Cow;

const OWNER: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";
/// What follows the User-Agent today, of an anonymous request.
const TAIL: &str = "- s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234= - \
    TLS_AES_128_GCM_SHA256 - logs.s3.us-east-1.amazonaws.com TLSv1.3 - - -";

/// A line of S3 from its operation to its User-Agent, and what follows.
fn s3_line(middle: &str, tail: &str) -> String {
    format!("{OWNER} logs [06/Feb/2026:00:00:38 +0000] 192.0.2.3 - 3E57427F3EXAMPLE {middle} {tail}")
        .trim_end()
        .to_owned()
}

/// A read of `target` whose key is logged as `key`.
fn s3_read(key: &str, target: &str) -> String {
    s3_line(&format!("REST.GET.OBJECT {key} \"GET {target} HTTP/1.1\" 200 - 5 5 7 6 \"-\" \"curl\""), TAIL)
}

fn read(format: Format, line: &str) -> Record<'_> {
    Parser::new(format).parse(line, true).unwrap().unwrap()
}

fn present(text: &str) -> Fact<Cow<'_, str>> {
    Fact::Present(text.into())
}

#[test]
fn a_line_of_today_says_all_that_s3_knows() {
    let arn = "arn:aws:sts::123456789012:assumed-role/ci/i-0123";
    let line = format!(
        "{OWNER} images [06/Feb/2026:00:00:38 +0000] 2001:db8::3 {arn} 3E57427F3EXAMPLE REST.GET.OBJECT a%2520b.xz \
         \"GET /a%20b.xz?versionId=3 HTTP/1.1\" 206 - 1048576 9000000000 70 10 \"https://h.example/\" \"Python-urllib/3.12\" \
         3 s9lzHYrF+5cj/e= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader images.s3.us-east-1.amazonaws.com TLSv1.2 \
         arn:aws:s3:us-east-1:123456789012:accesspoint/x Yes eu-central-1"
    );
    let expected = Record {
        address: Some("2001:db8::3".parse().unwrap()),
        requester: Fact::Present(arn),
        request_id: Some("3E57427F3EXAMPLE".into()),
        operation: Operation::Read,
        bucket: Some("images"),
        host: Fact::Present("images.s3.us-east-1.amazonaws.com"),
        status: Some(206),
        bytes: 1_048_576,
        size: Some(9_000_000_000),
        millis: Some(70),
        referer: present("https://h.example/"),
        user_agent: present("Python-urllib/3.12"),
        version: Fact::Present(HttpVersion::Http11),
        secure: Fact::Present(true),
        signature: Fact::Present(Signature::Header),
        source_region: Fact::Present("eu-central-1"),
        ..Record::new("2026-02-06T00:00:38Z".parse().unwrap(), "GET".into(), "/a%20b.xz?versionId=3".into())
    };
    assert_eq!(read(Format::S3, &line), expected);
    assert_eq!((expected.path(), expected.query()), ("/a%20b.xz", Fact::Present("versionId=3")));
    // What is appended in years to come changes nothing.
    for more in ["new", "new \"quoted field\"", "\"-\" \"\" x", "\"a \\\" b\"", "\"it's \" odd\""] {
        assert_eq!(read(Format::S3, &format!("{line} {more}")), expected, "{more}");
    }
}

#[test]
fn lines_of_all_years_are_read_as_far_as_they_go() {
    let middle = "REST.GET.OBJECT a \"GET /a HTTP/1.1\" 200 - 5 5 7 6 \"-\" \"curl\"";
    let host = Fact::Present("logs.s3.amazonaws.com");
    let cases = [
        ("", Fact::Unknown, Fact::Unknown, Fact::Unknown, Fact::Unknown),
        ("-", Fact::Unknown, Fact::Unknown, Fact::Unknown, Fact::Unknown),
        (
            "- h= SigV4 - QueryString x.example",
            Fact::Unknown,
            Fact::Present(false),
            Fact::Present(Signature::Query),
            Fact::Unknown,
        ),
        (
            "- h= SigV2 ECDHE AuthHeader logs.s3.amazonaws.com TLSV1.1",
            host,
            Fact::Present(true),
            Fact::Present(Signature::Header),
            Fact::Unknown,
        ),
        ("- h= - - - logs.s3.amazonaws.com -", host, Fact::Present(false), Fact::Absent, Fact::Unknown),
        ("- h= - ECDHE - - TLSv1.3 - -", Fact::Absent, Fact::Present(true), Fact::Absent, Fact::Unknown),
        ("- h= - ECDHE - logs.s3.amazonaws.com TLSv1.3 - - -", host, Fact::Present(true), Fact::Absent, Fact::Absent),
        (
            "- h= - ECDHE - logs.s3.amazonaws.com TLSv1.3 - - us-west-2",
            host,
            Fact::Present(true),
            Fact::Absent,
            Fact::Present("us-west-2"),
        ),
        // Cut off: perhaps us-west-2, perhaps us-west-1.
        (
            "- h= - ECDHE - logs.s3.amazonaws.com TLSv1.3 - - us-west-",
            host,
            Fact::Present(true),
            Fact::Absent,
            Fact::Unknown,
        ),
        (
            "- h= SigV5 ECDHE NewHeader logs.s3.amazonaws.com TLSv1.3",
            host,
            Fact::Present(true),
            Fact::Unknown,
            Fact::Unknown,
        ),
    ];
    for (tail, host, secure, signature, region) in cases {
        let line = s3_line(middle, tail);
        let record = read(Format::S3, &line);
        assert_eq!((record.host, record.secure), (host, secure), "{tail}");
        assert_eq!((record.signature, record.source_region), (signature, region), "{tail}");
        assert_eq!((record.status, record.bytes, record.user_agent.as_str()), (Some(200), 5, Fact::Present("curl")));
    }
    let old = format!(
        "{OWNER} mybucket [04/Aug/2006:22:34:02 +0000] 72.21.206.5 Anonymous 3E57427F33A59F07 REST.GET.OBJECT /photos/a.jpg \
         \"GET /mybucket//photos/a.jpg?x-foo=bar\" 200 - 2662992 3462992 70 10 \"http://www.amazon.com/webservices\" \"curl/7.15.1\""
    );
    let record = read(Format::S3, &old);
    assert_eq!((record.requester, record.version), (Fact::Absent, Fact::Unknown));
    assert_eq!(record.target, "//photos/a.jpg?x-foo=bar");
}

#[test]
fn the_target_is_what_a_client_of_the_bucket_asked_for() {
    let cases = [
        // Virtual-hosted.
        ("a/b.txt", "/a/b.txt?x=y", "/a/b.txt?x=y"),
        ("a%2520b", "/a%20b", "/a%20b"),
        ("a%2520b", "/a+b", "/a+b"),
        ("a%252Bb", "/a%2Bb", "/a%2Bb"),
        ("a%25252Fb", "/a%252Fb", "/a%252Fb"),
        ("%2522", "/\"", "/\""),
        ("gr%25C3%25BCn", "/gr%C3%BCn", "/gr%C3%BCn"),
        ("-", "/", "/"),
        ("-", "/?list-type=2&prefix=a", "/?list-type=2&prefix=a"),
        // Path style.
        ("a/b.txt", "/logs/a/b.txt?x=y", "/a/b.txt?x=y"),
        ("a%2520b", "/logs/a%20b", "/a%20b"),
        ("gr%25c3%25bcn", "/logs/gr%C3%BCn", "/gr%C3%BCn"),
        ("-", "/logs?versioning", "/?versioning"),
        ("-", "/logs", "/"),
        ("-", "/logs/?prefix=logs/", "/?prefix=logs/"),
        // A folder of the bucket's name.
        ("logs/a", "/logs/a", "/logs/a"),
        ("logs/a", "/logs/logs/a", "/logs/a"),
        ("logs", "/logs", "/logs"),
        ("logs/a%2520b", "/logs/a%20b", "/logs/a%20b"),
        // A website serves the index of a folder; a redirect serves another key.
        ("dir/index.html", "/dir/", "/dir/"),
        ("logsx/a", "/logsx/a", "/logsx/a"),
        // To a proxy.
        ("a", "http://logs.s3.amazonaws.com/a", "/a"),
    ];
    for (key, sent, target) in cases {
        let line = s3_read(key, sent);
        assert_eq!(read(Format::S3, &line).target, target, "{key} {sent}");
    }
    // Without a request there is only the key.
    for request in ["-", "\"-\""] {
        for (operation, key, target) in [
            ("REST.COPY.OBJECT_GET", "a%2520b", "/a%20b"),
            ("S3.EXPIRE.OBJECT", "a%20b", "/a%20b"),
            ("BATCH.DELETE.OBJECT", "a%2520b", "/a%2520b"),
        ] {
            let line = s3_line(&format!("{operation} {key} {request} - - - 66 - - \"-\" \"-\""), TAIL);
            let record = read(Format::S3, &line);
            assert_eq!((&*record.target, &*record.method, record.status), (target, "", None), "{operation}");
        }
    }
}

#[test]
fn operations_are_told_apart() {
    let cases = [
        ("REST.GET.OBJECT", Operation::Read),
        ("REST.HEAD.OBJECT", Operation::Read),
        ("WEBSITE.GET.OBJECT", Operation::Read),
        ("REST.GET.BUCKET", Operation::List),
        ("REST.GET.BUCKETVERSIONS", Operation::List),
        ("REST.GET.UPLOADS", Operation::List),
        ("REST.GET.OBJECT_TAGGING", Operation::Other),
        ("REST.GET.VERSIONING", Operation::Other),
        ("REST.HEAD.BUCKET", Operation::Other),
        ("REST.OPTIONS.PREFLIGHT", Operation::Other),
        ("REST.COPY.OBJECT_GET", Operation::Other),
        ("REST.COPY.OBJECT", Operation::Write),
        ("REST.PUT.OBJECT", Operation::Write),
        ("REST.PUT.PART", Operation::Write),
        ("REST.POST.MULTI_OBJECT_DELETE", Operation::Write),
        ("BATCH.DELETE.OBJECT", Operation::Write),
        ("S3.EXPIRE.OBJECT", Operation::Lifecycle),
        ("S3.TRANSITION_SIA.OBJECT", Operation::Lifecycle),
        ("SOAP.CreateBucket", Operation::Other),
        ("NEW", Operation::Other),
    ];
    for (word, operation) in cases {
        let line = s3_line(&format!("{word} a \"GET /a HTTP/1.1\" 200 - - - 7 6 \"-\" \"curl\""), TAIL);
        assert_eq!(read(Format::S3, &line).operation, operation, "{word}");
    }
    let line = format!(
        "{OWNER} logs [06/Feb/2026:00:00:38 +0000] - AmazonS3 ID S3.EXPIRE.OBJECT a \"-\" - - - 66 - - \"-\" \"-\" - h= - - - - - - -"
    );
    let record = read(Format::S3, &line);
    assert_eq!((record.address, record.requester, record.size), (None, Fact::Present("AmazonS3"), Some(66)));
}

#[test]
fn quotes_in_s3_logs_are_raw_and_shift_nothing() {
    let cases = [
        ("\"-\" \"-\"", None, None),
        ("- -", None, None),
        ("- \"curl\"", None, Some("curl")),
        ("\"r\" -", Some("r"), None),
        ("\"\" \"\"", Some(""), Some("")),
        ("\"r\" \"Mozilla/5.0 \"quoted\" Safari/604.1\"\"", Some("r"), Some("Mozilla/5.0 \"quoted\" Safari/604.1\"")),
        ("\"foo \"bar\"\" \"curl\"", Some("foo \"bar\""), Some("curl")),
        ("\"r\" \"\"\"", Some("r"), Some("\"")),
        ("\"r\" \"gr\u{fc}n \u{20ac}\"", Some("r"), Some("gr\u{fc}n \u{20ac}")),
        // Whoever makes up fields in a User-Agent makes up his User-Agent.
        (
            "\"-\" \"x\" - h= SigV4 ECDHE AuthHeader other.example TLSv1.2 - - us-east-1\"",
            None,
            Some("x\" - h= SigV4 ECDHE AuthHeader other.example TLSv1.2 - - us-east-1"),
        ),
    ];
    for (headers, referer, user_agent) in cases {
        let line = s3_line(&format!("REST.GET.OBJECT a \"GET /a HTTP/1.1\" 404 NoSuchKey 300 - 7 6 {headers}"), TAIL);
        let record = read(Format::S3, &line);
        let fact = |text: Option<&'static str>| Fact::from(text.map(Cow::Borrowed));
        assert_eq!((&record.referer, &record.user_agent), (&fact(referer), &fact(user_agent)), "{headers}");
        assert_eq!((record.signature, record.host), (Fact::Absent, Fact::Present("logs.s3.us-east-1.amazonaws.com")));
        assert_eq!((record.status, record.error.as_deref(), record.bytes), (Some(404), Some("NoSuchKey"), 300));
    }
    let line = s3_read("%2522%2520200", "/\"%20200");
    assert_eq!(read(Format::S3, &line).target, "/\"%20200");
}

#[test]
fn combined_lines_of_apache_and_nginx() {
    let start = "[10/Oct/2026:13:55:36 -0700]";
    let at = "2026-10-10T20:55:36Z".parse().unwrap();
    let request = |method: &'static str, target: &'static str| Record {
        address: Some("192.0.2.1".parse().unwrap()),
        requester: Fact::Absent,
        status: Some(200),
        bytes: 5,
        version: Fact::Present(HttpVersion::Http11),
        ..Record::new(at, method.into(), target.into())
    };
    let headers = |record: Record<'static>| Record { referer: Fact::Absent, user_agent: present("curl"), ..record };
    let cases = [
        (format!("192.0.2.1 - - {start} \"GET /a?b=c HTTP/1.1\" 200 5"), request("GET", "/a?b=c")),
        (format!("192.0.2.1 - - {start} \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\""), headers(request("GET", "/"))),
        (format!("192.0.2.1 - - {start} \"GET / HTTP/1.1\" 200 5 - \"curl\""), headers(request("GET", "/"))),
        // What a server was told to append.
        (
            format!("192.0.2.1 - - {start} \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\" \"-\" 0.005 x"),
            headers(request("GET", "/")),
        ),
        (format!("192.0.2.1 - - {start} \"GET / HTTP/1.1\" 200 5 0.005"), request("GET", "/")),
        (
            format!("2001:db8::1 - - {start} \"HEAD / HTTP/2.0\" 404 - \"-\" \"curl\""),
            Record {
                address: Some("2001:db8::1".parse().unwrap()),
                status: Some(404),
                bytes: 0,
                version: Fact::Present(HttpVersion::Http2),
                ..headers(request("HEAD", "/"))
            },
        ),
        (
            format!("::ffff:192.0.2.1 - J. R. \"Bob\" [x] {start} \"GET / HTTP/1.1\" 200 5"),
            Record { requester: Fact::Present("J. R. \"Bob\" [x]"), ..request("GET", "/") },
        ),
        (
            format!("www.example.org:443 192.0.2.1 - - {start} \"GET / HTTP/1.1\" 200 5"),
            Record { host: Fact::Present("www.example.org:443"), ..request("GET", "/") },
        ),
        (
            format!("192.0.2.1 - - {start} \"GET http://h.example/a HTTP/1.1\" 200 5"),
            Record { host: Fact::Present("h.example"), ..request("GET", "/a") },
        ),
        // Apache, nginx, and a server that escapes nothing.
        (
            format!(r#"192.0.2.1 - - {start} "GET /\"\\x HTTP/1.1" 200 5 "-" "a \"b\" \xc3\xbc""#),
            Record { referer: Fact::Absent, user_agent: present("a \"b\" \u{fc}"), ..request("GET", "/\"\\x") },
        ),
        (
            format!(r#"192.0.2.1 - - {start} "GET /\x22\x5Cx HTTP/1.1" 200 5 "-" "a \x22b\x22 \xC3\xBC""#),
            Record { referer: Fact::Absent, user_agent: present("a \"b\" \u{fc}"), ..request("GET", "/\"\\x") },
        ),
        (
            format!(r#"192.0.2.1 - - {start} "GET / HTTP/1.1" 200 5 "-" "a "b"c \""#),
            Record { referer: Fact::Absent, user_agent: Fact::Unknown, ..request("GET", "/") },
        ),
        (
            format!("192.0.2.1 - - {start} \"GET / HTTP/1.1\" 499 0"),
            Record { status: Some(499), bytes: 0, ..request("GET", "/") },
        ),
    ];
    for (line, expected) in cases {
        match Parser::new(Format::Combined).parse(&line, true) {
            // A backslash before the last quote: nobody can tell what it stands for.
            Err(reason) if line.ends_with("\\\"") => assert_eq!(reason, "a quoted field has no end"),
            other => assert_eq!(other, Ok(Some(expected)), "{line}"),
        }
    }
}

#[test]
fn damaged_lines_are_unparsable() {
    let time = "[10/Oct/2026:13:55:36 +0000]";
    let cases = [
        (
            Format::Combined,
            format!("192.0.2.1 - - {time} \"-\" 408 - \"-\" \"-\""),
            "the request line is no HTTP request",
        ),
        (
            Format::Combined,
            format!("192.0.2.1 - - {time} \"\" 400 0 \"-\" \"-\""),
            "the request line is no HTTP request",
        ),
        (
            Format::Combined,
            format!(r#"192.0.2.1 - - {time} "\x16\x03\x01\x02\x00\x01\xFC" 400 226 "-" "-""#),
            "the request line is no HTTP request",
        ),
        (Format::Combined, format!("host.example - - {time} \"GET / HTTP/1.1\" 200 5"), "the client's address is none"),
        (
            Format::Combined,
            "192.0.2.1 - - [10/Oct/2026] \"GET / HTTP/1.1\" 200 5".into(),
            "there is no time in brackets",
        ),
        (Format::Combined, format!("192.0.2.1 - - {time} \"GET / HTTP/1.1\" 200 5 \"-\""), "a field is missing"),
        (Format::Combined, format!("192.0.2.1 - - {time} \"GET / HTTP/1.1\" 20 5"), "the status is no HTTP status"),
        (Format::S3, format!("{OWNER} logs"), "the third field is no time in brackets"),
        (Format::S3, s3_read("a", "/a").replace("06/Feb", "46/Feb"), "the time is none"),
        (Format::S3, s3_read("a", "/a").replace("192.0.2.3", "192.0.2"), "the client's address is none"),
        (Format::S3, s3_read("a", "/a").replace(" 200 ", " OK "), "a number is expected where there is none"),
        (Format::S3, s3_read("a", "/a").replace("GET ", ""), "the request line is no HTTP request"),
        (
            Format::S3,
            s3_line("REST.GET.OBJECT a \"GET /a HTTP/1.1\" 200 - 5 5 7 6 \"-\" \"curl\"", "- h= SigV4"),
            "the line is cut off",
        ),
        (Format::Json, "{\"timestamp\":\"2026-11-01T00:00:00Z\",\"requ".into(), "the line is cut off"),
        (Format::Json, "{\"status\":\"200\"}".into(), "it is no JSON of the gateway's"),
        (Format::CloudFront, "2019-12-04\t21:02:31\tLAX1\t392".into(), "a field is missing"),
        (Format::Auto, "anything".into(), "the file's format is not known: name it with --format"),
    ];
    for (format, line, reason) in cases {
        assert_eq!(Parser::new(format).parse(&line, true), Err(reason), "{line}");
    }
}

const FIELDS: &str = "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) \
    cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes \
    time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status \
    fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len \
    sc-range-start sc-range-end";

fn cloudfront_line(stem: &str, query: &str, agent: &str) -> String {
    format!(
        "2019-12-04 21:02:31 LAX1 392 192.0.2.100 GET d111111abcdef8.cloudfront.net {stem} 200 - {agent} {query} - Hit \
         SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ== logs.example.org https 23 1.001 - TLSv1.2 \
         ECDHE-RSA-AES128-GCM-SHA256 Hit HTTP/2.0 - - 11040 0.001 Hit text/html 78 - -"
    )
    .replace(' ', "\t")
}

#[test]
fn cloudfront_lines_are_read_by_their_header() {
    let line = cloudfront_line("/index.html", "a=b%25", "Mozilla/5.0%20(X11)");
    let expected = Record {
        address: Some("192.0.2.100".parse().unwrap()),
        request_id: Some("SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==".into()),
        host: Fact::Present("logs.example.org"),
        status: Some(200),
        bytes: 392,
        millis: Some(1001),
        referer: Fact::Absent,
        user_agent: present("Mozilla/5.0 (X11)"),
        version: Fact::Present(HttpVersion::Http2),
        secure: Fact::Present(true),
        ..Record::new(
            Timestamp("2019-12-04T21:02:31Z".parse::<Timestamp>().unwrap().0 - 1001),
            "GET".into(),
            "/index.html?a=b%".into(),
        )
    };
    // With the header, and in a part of a file that has none.
    for header in [Some(FIELDS), None] {
        let mut parser = Parser::new(Format::CloudFront);
        assert_eq!(parser.parse("#Version: 1.0", true), Ok(None));
        header.map(|header| parser.parse(header, true));
        assert_eq!(parser.parse(&line, true), Ok(Some(expected.clone())), "{header:?}");
        assert_eq!(parser.parse(&line, false), Err("the line is cut off"));
    }
    let mut parser = Parser::new(Format::CloudFront);
    parser.parse("#Fields: cs-method c-ip time date sc-bytes cs-uri-stem sc-status", true).unwrap();
    let record = parser.parse("GET\t192.0.2.1\t00:00:00\t2026-11-01\t-\t/a\t000", true).unwrap().unwrap();
    assert_eq!((record.status, record.bytes, &*record.target), (None, 0, "/a"));
    assert_eq!(
        (record.query(), record.user_agent.as_str(), record.secure),
        (Fact::Unknown, Fact::Unknown, Fact::Unknown)
    );
    assert_eq!(parser.parse("GET\t192.0.2.1\t00:00:00\t2026-11-01\t-\t/a", true), Err("the line is cut off"));

    let cases = [
        ("/a%2520b", "-", "/a%20b"),
        ("/a%20b", "-", "/a%20b"),
        ("/a%252520b", "x=%2522", "/a%2520b?x=%22"),
        ("/%22", "-", "/%22"),
    ];
    for (stem, query, target) in cases {
        let line = cloudfront_line(stem, query, "-");
        assert_eq!(read(Format::CloudFront, &line).target, target, "{stem}");
    }
    let agents = [("-", None), ("curl", Some("curl")), ("a%2520b", Some("a b")), ("a%20b%25", Some("a b%"))];
    for (logged, sent) in agents {
        let line = cloudfront_line("/", "-", logged);
        assert_eq!(read(Format::CloudFront, &line).user_agent.as_str().present(), sent, "{logged}");
    }
}

#[test]
fn the_gateways_own_log_is_read_and_messages_are_passed_over() {
    let line = r#"{"timestamp":"2026-11-01T00:00:02.500000Z","request_id":"0f3a","site":"logs","client":"192.0.2.1","prefix":"192.0.2.0/24","trusted":true,"method":"GET","path":"/pull-1/log 1.html","status":200,"bytes":1234,"class":"human","identity":"pass","dialect":"navigation","rule":"browsers","action":"allow","mode":"enforce","signals":"no-accept","weight":2,"strikes":0.5,"slow":false,"origin":"aws","origin_bytes":1234,"seconds":1.5,"first_byte_seconds":0.1,"user_agent":"a \"b\"\u0009c","referer":"https://h.example/"}"#;
    let expected = Record {
        address: Some("192.0.2.1".parse().unwrap()),
        request_id: Some("0f3a".into()),
        site: Some("logs".into()),
        tells_query: false,
        status: Some(200),
        bytes: 1234,
        millis: Some(1500),
        referer: present("https://h.example/"),
        user_agent: present("a \"b\"\tc"),
        identity: Fact::Present(Identity::Pass),
        client_name: Fact::Absent,
        ..Record::new("2026-11-01T00:00:01Z".parse().unwrap(), "GET".into(), "/pull-1/log%201.html".into())
    };
    assert_eq!(read(Format::Json, line), expected);
    assert_eq!(expected.query(), Fact::Unknown);
    let by_a_client = line.replace(r#""identity":"pass""#, r#""identity":"signature","client_name":"ci""#);
    let signed = read(Format::Json, &by_a_client);
    assert_eq!((signed.identity, signed.client_name), (Fact::Present(Identity::Signature), present("ci")));
    let over_tls = line.replace('{', r#"{"ja4":"t13d1516h2_8daaf6152771_e5627efa2ab1","#);
    assert_eq!(read(Format::Json, &over_tls).ja4, present("t13d1516h2_8daaf6152771_e5627efa2ab1"));
    let decided = line.replace(
        r#""action":"allow""#,
        r#""action":"limit","verdict":"allow","would_rule":"x","would_action":"deny","trusted":false,"policy":"5f","facts":{"at":7,"headers":{"x-a":null},"later":[1]},"state":{"strikes":"2.5"}"#,
    );
    let text = decided.replace(r#""trusted":true,"#, "");
    let decided = read(Format::Json, &text);
    let recorded = decided.recorded.as_deref().unwrap();
    assert_eq!((decided.time.0, decided.trusted, recorded.is_limited), (7, false, true));
    assert_eq!(
        (recorded.facts.header("x-a"), recorded.state.get("strikes").map(|s| &**s)),
        (Some(Fact::Absent), Some("2.5"))
    );
    let held_back = Some(("x".into(), "deny".into()));
    let (class, action, rule) = ("human".into(), "allow".into(), "browsers".into());
    assert_eq!(recorded.verdict, Told { class, action, rule, held_back, undecided: None });
    // A rule may refuse with 400 what could be read.
    assert_eq!(read(Format::Json, &line.replace("\"status\":200", "\"status\":400")).target, "/pull-1/log%201.html");
    // What is known of a request that broke off before it was read.
    let least = r#"{"timestamp":"2026-11-01T00:00:02Z","request_id":"0f3a","site":"none","method":"GET","path":"/%zz","status":400,"bytes":0,"class":"unknown","action":"refuse","mode":"enforce","origin_bytes":0,"seconds":0.0}"#;
    let record = read(Format::Json, least);
    assert_eq!((record.address, record.site.as_deref(), &*record.target), (None, None, "/%zz"));
    assert_eq!((record.user_agent, record.identity), (Fact::Absent, Fact::Unknown));

    for other in [
        "2026-11-01T00:00:02.000000Z  INFO listening on [::]:8080",
        r#"{"timestamp":"2026-11-01T00:00:02Z","level":"WARN","target":"feeds","message":"x"}"#,
        r#"{"timestamp":"2026-11-01T00:00:02Z","level":"WARN","message":"x","fields":{"a":[1,null]}}"#,
        &line.replace('{', r#"{"target":"other","#),
        "",
        "   ",
    ] {
        assert_eq!(Parser::new(Format::Json).parse(other, true), Ok(None), "{other}");
    }
    let named = line.replace('{', r#"{"level":"INFO","target":"access","#);
    assert_eq!(read(Format::Json, &named), expected);
    let paths = [("/a", "/a"), ("/gr\u{fc}n", "/gr%C3%BCn"), ("/a%2Fb?c#d", "/a%252Fb%3Fc%23d"), ("/a+b", "/a+b")];
    for (path, target) in paths {
        let line = line.replace("/pull-1/log 1.html", path);
        assert_eq!(read(Format::Json, &line).target, target, "{path}");
    }
}

#[test]
fn formats_are_told_from_the_first_lines() {
    let combined = "192.0.2.1 - - [10/Oct/2026:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5";
    let (s3, cloudfront) = (s3_read("a", "/a"), cloudfront_line("/", "-", "-"));
    let cases: [(&[&str], Format); 9] = [
        (&[&s3], Format::S3),
        (&["", "damaged", &s3], Format::S3),
        (&[combined], Format::Combined),
        (&["192.0.2.1 - - [10/Oct/2026:13:55:36 +0000] \"\\x16\\x03\" 400 5", combined], Format::Combined),
        (&["#Version: 1.0", "#Fields: date"], Format::CloudFront),
        (&[&cloudfront], Format::CloudFront),
        (&["2026-11-01T00:00:02.000000Z  INFO listening", "{\"level\":\"WARN\"}"], Format::Json),
        (&["# a file of notes", "that is no log"], Format::Auto),
        (&[], Format::Auto),
    ];
    for (lines, format) in cases {
        assert_eq!(sniff(lines.iter().copied()), format, "{lines:?}");
    }
    for (index, (word, format)) in Format::WORDS.into_iter().enumerate() {
        assert_eq!((format as usize, format.word()), (index, word));
    }
}

/// A line that was cut off is unparsable, or says nothing that the whole line does not say.
fn is_not_wrong(whole: &Record<'_>, part: &Record<'_>) -> bool {
    fn agrees<T: PartialEq>(whole: &Fact<T>, part: &Fact<T>) -> bool {
        matches!(part, Fact::Unknown) || whole == part
    }
    agrees(&whole.host, &part.host)
        && agrees(&whole.secure, &part.secure)
        && agrees(&whole.signature, &part.signature)
        && agrees(&whole.source_region, &part.source_region)
        && agrees(&whole.referer, &part.referer)
        && agrees(&whole.user_agent, &part.user_agent)
        && (whole.status, whole.bytes, whole.size, &whole.target) == (part.status, part.bytes, part.size, &part.target)
}

#[test]
fn a_line_cut_off_anywhere_is_not_wrong() {
    let tail = TAIL.replace(" - - -", " arn:aws:s3:us-east-1:1:accesspoint/x Yes us-east-1");
    let headers =
        "REST.GET.OBJECT a \"GET /a HTTP/1.1\" 200 - 55 55 7 6 \"https://h/ x\" \"Mozilla/5.0 (X11) \"q\" x\"";
    let combined =
        "192.0.2.1 - - [10/Oct/2026:13:55:36 +0000] \"GET / HTTP/1.1\" 200 55 \"https://h/ x\" \"Mozilla/5.0 (X11)\"";
    let common = "192.0.2.1 - - [10/Oct/2026:13:55:36 +0000] \"GET / HTTP/1.1\" 200 55";
    let cases = [
        (Format::S3, s3_line(headers, &tail), 20),
        (Format::S3, s3_line(headers, TAIL), 20),
        (Format::Combined, combined.to_owned(), 1),
        (Format::Combined, common.to_owned(), 0),
        (Format::CloudFront, cloudfront_line("/", "-", "-"), 0),
    ];
    for (format, line, at_least) in cases {
        let whole = read(format, &line);
        let mut good = 0;
        for end in 0..=line.len() {
            if let Ok(Some(part)) = Parser::new(format).parse(&line[..end], false) {
                good += 1;
                assert!(is_not_wrong(&whole, &part), "{format:?} {}", &line[..end]);
            }
        }
        assert!(good >= at_least, "{format:?}: {good}");
    }
}

/// Encodes as S3 does for its log.
fn percent(text: &str) -> String {
    const SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-');
    utf8_percent_encode(text, SET).to_string()
}

proptest! {
    #[test]
    fn no_line_makes_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let line = String::from_utf8_lossy(&bytes);
        for (_, format) in Format::WORDS {
            let _ = Parser::new(format).parse(&line, true);
            let _ = Parser::new(format).parse(&line, false);
        }
        sniff(line.lines());
    }

    #[test]
    fn no_damage_makes_a_parser_panic(which in 0_usize..4, at in 0_usize..600, length in 0_usize..40, with in "[ \"\\\\\\[\\]{}%x\u{fc}0-]{0,6}") {
        let combined = r#"192.0.2.1 - - [10/Oct/2026:13:55:36 +0000] "GET /\x22 HTTP/1.1" 200 5 "-" "c\"url""#;
        let json = r#"{"timestamp":"2026-11-01T00:00:02.5Z","request_id":"0","method":"GET","path":"/","status":200,"seconds":1.5}"#;
        let line = [&s3_read("a%2520", "/logs/a%20"), combined, json, &cloudfront_line("/", "-", "a")][which].to_owned();
        let start = line.floor_char_boundary(at.min(line.len()));
        let end = line.floor_char_boundary((start + length).min(line.len()));
        let damaged = format!("{}{with}{}", &line[..start], &line[end..]);
        for (_, format) in Format::WORDS {
            let _ = Parser::new(format).parse(&damaged, at % 2 == 0);
        }
    }

    #[test]
    fn what_s3_writes_comes_back(
        key in "[a-z0-9/ +%\u{fc}._-]{0,12}[a-z]", path_style: bool, referer in "[ -~\u{fc}]{0,20}", agent in "[ -~]{0,30}",
        status in 200_u16..600, bytes: u32, size in proptest::option::of(any::<u32>()), bucket in "[a-z]{3,8}",
    ) {
        prop_assume!(!referer.contains("\" \"") && referer.trim() == referer && referer != "-" && agent.trim() == agent && agent != "-");
        prop_assume!(!format!("{referer}\"").contains("\" \"") && !agent.starts_with("\" \""));
        let sent = format!("/{}", percent(&key));
        let style = if path_style { format!("/{bucket}") } else { String::new() };
        let size_text = size.map_or("-".into(), |size| size.to_string());
        let line = format!(
            "{OWNER} {bucket} [06/Feb/2026:00:00:38 +0000] 192.0.2.3 - ID REST.GET.OBJECT {} \"GET {style}{sent}?x=1 HTTP/1.1\" \
             {status} - {bytes} {size_text} 7 6 \"{referer}\" \"{agent}\" {TAIL}",
            percent(&percent(&key)),
        );
        let record = read(Format::S3, &line);
        prop_assert_eq!(&record.target, &format!("{sent}?x=1"));
        prop_assert_eq!((record.referer.as_str(), record.user_agent.as_str()), (Fact::Present(&*referer), Fact::Present(&*agent)));
        prop_assert_eq!((record.status, record.bytes, record.size), (Some(status), bytes.into(), size.map(u64::from)));
        prop_assert_eq!(record.signature, Fact::Absent);
    }

    #[test]
    fn what_nginx_writes_comes_back(path in "[!-~]{0,12}", referer in any::<String>(), agent in any::<String>(), bytes: u32, v6: u128) {
        prop_assume!(referer != "-" && agent != "-");
        let escaped = |text: &str| -> String {
            text.bytes().map(|b| match b {
                b'"' | b'\\' | 0..=31 | 127..=255 => format!("\\x{b:02X}"),
                _ => char::from(b).to_string(),
            }).collect()
        };
        let address = std::net::IpAddr::from(v6.to_be_bytes()).to_canonical();
        let line = format!(
            "{address} - - [06/Feb/2026:00:00:38 +0000] \"GET /{} HTTP/1.1\" 200 {bytes} \"{}\" \"{}\"",
            escaped(&path), escaped(&referer), escaped(&agent),
        );
        let record = read(Format::Combined, &line);
        prop_assert_eq!(&record.target, &format!("/{path}"));
        prop_assert_eq!((record.referer.as_str(), record.user_agent.as_str()), (Fact::Present(&*referer), Fact::Present(&*agent)));
        prop_assert_eq!((record.bytes, record.address), (bytes.into(), Some(address)));
    }
}

/// What this thread has cost so far, whatever else the machine does.
#[allow(clippy::disallowed_methods, reason = "measures")]
fn cpu_nanoseconds() -> u64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    schedule.split_once(' ').unwrap().0.parse().unwrap()
}

/// How long a line takes, to be run in a release build: `cargo test --release replay -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn nanoseconds_per_line() {
    let s3 = s3_line(
        "REST.GET.OBJECT pull-21000-20260206-000038-abcdef12-fedora-43/TestPages-testBasic.log.gz \"GET \
         /pull-21000-20260206-000038-abcdef12-fedora-43/TestPages-testBasic.log.gz HTTP/1.1\" 200 - 51234 51234 27 26 \
         \"https://logs.s3.us-east-1.amazonaws.com/pull-21000-20260206-000038-abcdef12-fedora-43/log.html\" \
         \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\"",
        TAIL,
    );
    let combined = "192.0.2.1 - - [10/Oct/2026:13:55:36 +0000] \"GET /pull-21000/TestPages-testBasic.log.gz HTTP/1.1\" 200 51234 \
        \"https://logs.example.org/pull-21000/log.html\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0\"";
    let json = r#"{"timestamp":"2026-11-01T00:00:02.500000Z","request_id":"0f3a","site":"logs","client":"192.0.2.1","prefix":"192.0.2.0/24","trusted":true,"method":"GET","path":"/pull-1/log.html","status":200,"bytes":1234,"class":"human","identity":"pass","dialect":"navigation","rule":"browsers","action":"allow","mode":"enforce","origin":"aws","origin_bytes":1234,"seconds":1.5,"first_byte_seconds":0.1,"user_agent":"Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0","referer":"https://h.example/"}"#;
    let cases = [
        (Format::S3, s3),
        (Format::Combined, combined.to_owned()),
        (Format::Json, json.to_owned()),
        (Format::CloudFront, cloudfront_line("/index.html", "-", "Mozilla/5.0%20(X11)")),
    ];
    for (format, line) in cases {
        let many = format!("{line}\n").repeat(1000);
        let nothing = |lines: &str| {
            lines.lines().map(|line| std::str::from_utf8(line.as_bytes()).map_or(0, str::len)).sum::<usize>()
        };
        let start = cpu_nanoseconds();
        let length: usize = (0..500).map(|_| nothing(std::hint::black_box(&many))).sum();
        let least = (cpu_nanoseconds() - start) / 500_000;
        let start = cpu_nanoseconds();
        let mut reader = crate::replay::reader::Reader::new(format);
        let mut sum = 0;
        for _ in 0..500 {
            reader.read("many", many.as_bytes(), |record| sum += record.bytes ^ record.time.0);
        }
        let each = (cpu_nanoseconds() - start) / 500_000;
        println!(
            "{}: {each} ns for a line of {} bytes, {least} ns to go through it ({sum} {length})",
            format.word(),
            line.len()
        );
        assert_eq!(reader.tally.records, 500_000);
    }
}
