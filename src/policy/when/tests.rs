//! What `when:` promises.

use super::*;
use crate::clock::Timestamp;
use crate::facts::{Client, Fact, Headers, Identity, NoHeaders};
use crate::network::IpNet;
use crate::signal::Signal;
use crate::state::Blank;
use proptest::prelude::*;
use std::net::IpAddr;

/// Headers as a log records them, or as a client sends them.
struct Given {
    there: Vec<(String, String)>,
    all: bool,
}

impl Given {
    fn new(there: &[(&str, &str)], all: bool) -> Self {
        Given { there: there.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(), all }
    }
}

impl Headers for Given {
    fn header(&self, name: &str) -> Fact<&str> {
        match self.there.iter().find(|(known, _)| known == name) {
            Some((_, value)) => Fact::Present(value),
            None if self.all => Fact::Absent,
            None => Fact::Unknown,
        }
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
        self.there.iter().for_each(|(name, value)| visit(name, value));
        self.all
    }

    fn as_sent(&self, _: &mut dyn FnMut(&str)) -> bool {
        false
    }
}

/// Knows the same of everybody.
struct Known;

impl State for Known {
    fn strikes(&self, _: IpNet, _: Timestamp) -> Fact<f64> {
        Fact::Present(2.5)
    }

    fn load(&self) -> Fact<[f64; 3]> {
        Fact::Present([4.0, 3.0, 2.0])
    }

    fn country(&self, _: IpAddr) -> Fact<[u8; 2]> {
        Fact::Present(*b"BR")
    }

    fn asn(&self, _: IpAddr) -> Fact<u32> {
        Fact::Present(13335)
    }
}

fn facts(headers: &dyn Headers) -> Facts<'_> {
    Facts {
        now: Timestamp::default(),
        site: "logs",
        host: Fact::Present("logs.example.org"),
        method: "GET",
        path: "/pr/42/log.html",
        query: Fact::Present("a=1&b=x+y%21&a=2&flag&c=%C3%A9"),
        client: Client::new("192.0.2.7".parse().unwrap(), true),
        identity: Identity::None,
        client_name: Fact::Absent,
        pass: None,
        user_agent: Fact::Present("Mozilla/5.0 (X11)"),
        headers,
        version: Fact::Unknown,
        secure: Fact::Unknown,
        ja4: Fact::Present("t13d1516h2_8daaf6152771_e5627efa2ab1"),
        dialect: Fact::Unknown,
    }
}

fn running(state: &dyn State) -> Running<'_> {
    let mut signals = Signals::default();
    signals.note(Signal::Http10, Some(true));
    signals.note(Signal::HeaderCase, None);
    Running { class: Class::Tool, weight: 7, signals, state }
}

fn evaluate(text: &str, facts: &Facts<'_>, state: &dyn State) -> Result<Truth, String> {
    let when = When::compile(text).map_err(|error| (text, error)).unwrap();
    when.evaluate(facts, &running(state))
}

const BROWSER: [(&str, &str); 5] =
    [("accept", "text/html"), ("accept-language", "de"), ("content-length", "12"), ("via", "one"), ("via", "two")];

#[test]
fn an_expression_holds_for_a_request_or_not() {
    let headers = Given::new(&BROWSER, true);
    let facts = facts(&headers);
    for (text, expected) in [
        ("true", true),
        ("site == 'logs' && host.endsWith('.example.org') && method == 'GET'", true),
        ("path.startsWith('/pr/') && !path.contains('secret')", true),
        ("path.matches('^/pr/[0-9]+/') && matches(path, 'HTML') == false", true),
        ("ja4.startsWith('t13d') && size(ja4) == 36", true),
        ("user_agent.matches('(?i)mozilla' + '/' + regexSafe('5.0'))", true),
        ("user_agent.lowerAscii().startsWith('mozilla') && 'A'.upperAscii() == 'A' && ' a '.trim() == 'a'", true),
        ("address == '192.0.2.7' && prefix == '192.0.2.0/24'", true),
        ("identity == 'none' && class in ['tool', 'ci']", true),
        ("client == '' || client in ['ci', 'ci-next']", true),
        ("country == 'BR' && asn == 13335", true),
        ("weight >= 7 && weight + 1 == 8 && weight % 2 == 1 && -weight < 0", true),
        ("strikes > 2 && load_1m >= 4 && load_5m == 3.0 && load_15m < load_1m", true),
        ("content_length == 12 && string(content_length) == '12' && int('12') == 12", true),
        // Headers: any case of the name, several values joined.
        ("headers['accept'] == 'text/html' && headers['Accept'] == headers.accept", true),
        ("headers.via == 'one, two' && headers['via'].size() == 8", true),
        ("'accept' in headers && !('referer' in headers) && has(headers.accept) && !has(headers.referer)", true),
        ("missingHeader(headers, 'Referer') && !missingHeader(headers, 'accept')", true),
        ("headers.exists(name, headers[name] == 'one, two') && size(headers) == 4", true),
        ("headers.all(name, name.startsWith('accept'))", false),
        ("headers[query.flag + 'accept'] == 'text/html'", true),
        // Queries: as forms write them, the first value counts.
        ("query['a'] == '1' && query.b == 'x y!' && query.flag == '' && query.c == 'é'", true),
        ("'d' in query || has(query.d)", false),
        ("size(query) == 4 && query.exists(name, query[name] == '1')", true),
        // Signals.
        ("'http-1.0' in signals && !('header-order' in signals)", true),
        // Lists, loops and functions.
        ("segments(path) == ['pr', '42', 'log.html'] && segments('/') == ['']", true),
        ("segments(path)[1] == '42' && int(segments(path)[1]) > 41", true),
        ("['/pr/', '/ci/'].exists(p, path.startsWith(p))", true),
        ("[1, 2, 3].map(x, x * 2).filter(x, x > 2) == [4, 6] && [1, 2].exists_one(x, x > 1)", true),
        ("segments(path).all(s, ['log', '42', 'pr'].exists(w, s.contains(w)))", true),
        ("{'logs': 10, 'images': 20}[site] == 10", true),
        ("weight > 5 ? path.size() > 3 : false", true),
        ("(path + '?' + method).size() == 19", true),
        ("'é'.size() == 1 && double('1.5') == 1.5 && uint(3) == 3u && [1u].exists(x, x == 1u)", true),
    ] {
        assert_eq!(evaluate(text, &facts, &Known), Ok(Truth::from(expected)), "{text}");
    }
}

#[test]
fn what_is_absent_is_empty_or_zero() {
    let mut facts = facts(&NoHeaders);
    (facts.user_agent, facts.host, facts.query) = (Fact::Absent, Fact::Absent, Fact::Absent);
    // An address that may not prove anything is nowhere.
    facts.client.trusted = false;
    for text in [
        "user_agent == '' && host == '' && size(query) == 0 && content_length == 0 && size(headers) == 0",
        "address == '' && prefix == '' && country == '' && asn == 0",
    ] {
        assert_eq!(evaluate(text, &facts, &Known), Ok(Truth::True), "{text}");
    }
}

#[test]
fn an_unknown_fact_decides_nothing_but_stands_in_the_way_of_nothing_else() {
    use Truth::{False, True, Undecided};
    let headers = Given::new(&[("referer", "x")], false);
    let mut facts = facts(&headers);
    (facts.user_agent, facts.query, facts.host) = (Fact::Unknown, Fact::Unknown, Fact::Unknown);
    facts.ja4 = Fact::Unknown;
    for (text, expected) in [
        ("user_agent == ''", Undecided),
        ("ja4 == ''", Undecided),
        ("!(user_agent == '')", Undecided),
        ("user_agent == '' && method == 'HEAD'", False),
        ("method == 'HEAD' && user_agent == ''", False),
        ("user_agent == '' && method == 'GET'", Undecided),
        ("user_agent == '' || method == 'GET'", True),
        ("method == 'GET' || user_agent == ''", True),
        ("user_agent == '' || method == 'HEAD'", Undecided),
        ("user_agent == '' ? true : true", Undecided),
        ("host == user_agent", Undecided),
        ("['/pr/', user_agent].exists(p, path.startsWith(p))", Undecided),
        ("[user_agent, '/pr/'].size() == 2", Undecided),
        ("['GET', 'HEAD'].exists(m, m == method || user_agent == '')", True),
        ("query.a == '1' || 'a' in query || has(query.a)", Undecided),
        // A log records some headers.
        ("headers.referer == 'x' && headers['Referer'] == 'x' && 'referer' in headers", True),
        ("has(headers.referer) && !missingHeader(headers, 'referer')", True),
        ("headers.accept == 'x'", Undecided),
        ("'accept' in headers", Undecided),
        ("has(headers.accept)", Undecided),
        ("missingHeader(headers, 'accept')", Undecided),
        ("headers.accept == 'x' && headers.referer == 'y'", False),
        ("headers[method.lowerAscii()] == ''", Undecided),
        ("headers.exists(name, name == 'referer')", Undecided),
        ("headers.all(name, false)", Undecided),
        ("size(headers) == 1 || method == 'GET'", True),
        ("content_length > 5", Undecided),
        ("'header-case' in signals", Undecided),
        ("'http-1.0' in signals || 'header-case' in signals", True),
        ("'header-order' in signals && 'header-case' in signals", False),
        ("signals.size() > 0", Undecided),
        ("signals.exists(s, s.startsWith('http'))", Undecided),
        ("strikes > 1 || load_1m > 1 || asn == 1", Undecided),
        ("country == 'BR' && weight == 0", False),
        // Were the fact known, there would still be an error; nobody needs to know.
        ("user_agent == '' && weight / 0 == 1", Undecided),
    ] {
        assert_eq!(evaluate(text, &facts, &Blank), Ok(expected), "{text}");
    }
}

#[test]
fn an_error_has_a_reason_unless_the_other_side_absorbs_it() {
    let headers = Given::new(&BROWSER, true);
    let facts = facts(&headers);
    let bad = "headers['referer'] == 'x'";
    for (text, expected) in [
        (bad.to_owned(), Err("no such key: referer")),
        (format!("{bad} || method == 'GET'"), Ok(Truth::True)),
        (format!("method == 'GET' || {bad}"), Ok(Truth::True)),
        (format!("{bad} && method == 'HEAD'"), Ok(Truth::False)),
        (format!("method == 'HEAD' && {bad}"), Ok(Truth::False)),
        (format!("{bad} || method == 'HEAD'"), Err("no such key: referer")),
        (format!("!({bad})"), Err("no such key: referer")),
        ("segments(path)[3] == ''".to_owned(), Err("index out of bounds: Int(3)")),
        ("segments('a') == []".to_owned(), Err("segments: the path does not begin with a slash")),
        ("weight / 0 == 1".to_owned(), Err("division by zero of Int(7)")),
        ("weight % 0 == 1".to_owned(), Err("remainder by zero of Int(7)")),
        (
            "9223372036854775807 + weight == 1".to_owned(),
            Err("overflow from binary operator 'add': Int(9223372036854775807), Int(7)"),
        ),
        (
            "-(-9223372036854775807 - 1) == 1".to_owned(),
            Err("overflow from binary operator 'negate': Int(-9223372036854775808), Null"),
        ),
        (
            "(-9223372036854775807 - 1) / -1 == 1".to_owned(),
            Err("overflow from binary operator 'div': Int(-9223372036854775808), Int(-1)"),
        ),
        ("int(1e300) == 1".to_owned(), Err("int: integer overflow")),
        ("int(path) == 1".to_owned(), Err("int: string parse error: invalid digit found in string")),
        ("['a', 1][0]".to_owned(), Err("the expression gave a string, not a bool")),
        (
            "['a', 1][1].contains('a')".to_owned(),
            Err("found no matching overload for 'contains' applied to 'int.(string)'"),
        ),
        ("['a', 1][1].matches('a')".to_owned(), Err("matches: not a string")),
    ] {
        assert_eq!(evaluate(&text, &facts, &Known), expected.map_err(str::to_owned), "{text}");
    }
}

#[test]
fn a_reason_is_one_bounded_line() {
    let mut facts = facts(&NoHeaders);
    let query = format!("a={}", "x%0Ay".repeat(5000));
    facts.query = Fact::Present(query.as_str());
    let reason = evaluate("headers[query.a] == ''", &facts, &Known).unwrap_err();
    assert!(reason.starts_with("no such key: x yx y"), "{reason}");
    assert!(reason.chars().count() <= MAX_REASON && !reason.contains('\n'), "{reason}");
}

#[test]
fn a_flood_of_entries_is_an_error_where_all_are_needed() {
    let many: Vec<(String, String)> = (0..1000).map(|n| (format!("x-{n}"), "v".to_owned())).collect();
    let headers = Given { there: many, all: true };
    let mut facts = facts(&headers);
    let query: String = (0..1000).map(|n| format!("p{n}={n}&")).collect();
    let path = "/".repeat(1000);
    (facts.query, facts.path) = (Fact::Present(query.as_str()), path.as_str());
    let crowded = Err("the request has more than 256 headers or parameters");
    for (text, expected) in [
        ("headers['x-999'] == 'v' && query.p999 == '999'", Ok(Truth::True)),
        ("headers.exists(name, name == 'y')", crowded),
        ("query.exists(name, name == 'y')", crowded),
        ("headers[site] == ''", crowded),
        ("segments(path).size() > 3", Err("segments: the path has more than 256 segments")),
    ] {
        assert_eq!(evaluate(text, &facts, &Known), expected.map_err(str::to_owned), "{text}");
    }
}

#[test]
fn a_bad_expression_is_refused_with_its_place() {
    for (text, message, offset) in [
        ("usr_agent == ''", "unknown variable `usr_agent`, did you mean `user_agent`?", (1, 1)),
        ("method == 'GET' &&\n  é == ''", "not an expression: token recognition error at: `é`", (2, 3)),
        ("'é' == site &&\n 'é' == pth", "unknown variable `pth`, did you mean `path`?", (2, 9)),
        ("path > 5", "`>` does not take a string and an int", (1, 6)),
        ("user_agent + 1 == ''", "`+` does not take a string and an int", (1, 12)),
        ("path", "expected a condition, the expression gives a string: compare it", (1, 1)),
        ("weight + 1", "expected a condition, the expression gives an int: compare it", (1, 8)),
        ("path && true", "`&&` takes conditions, found a string", (1, 6)),
        ("!path", "`!` takes conditions, found a string", (1, 1)),
        ("-path == ''", "`-` does not take a string", (1, 1)),
        ("path ? true : false", "`?` takes a condition, found a string", (1, 6)),
        ("weight == '7'", "`==` does not take an int and a string", (1, 8)),
        ("weight + 1.5 > 2.0", "`+` does not take an int and a double", (1, 8)),
        ("strikes % 2.0 == 1.0", "`%` does not take a double and a double", (1, 9)),
        ("path in 'abc'", "cannot look for a string in a string", (1, 6)),
        ("1 in headers", "cannot look for an int in a map", (1, 3)),
        ("1 in ['a']", "cannot look for an int in a list", (1, 3)),
        ("headers == {}", "`headers` is not a value: read one entry, ask with `in`, or loop over it", (1, 1)),
        ("[signals].size() == 1", "`signals` is not a value: ask with `in`, or loop over it", (1, 2)),
        ("signals[0] == 'a'", "`signals` has no order: ask with `in`", (1, 8)),
        ("headers[1] == 'a'", "a map is not indexed by an int", (1, 8)),
        ("path[0] == '/'", "a string is not indexed by an int", (1, 5)),
        ("path.length == 3", "a string has no field `length`", (1, 5)),
        ("path.exists(c, c == '/')", "cannot loop over a string", (1, 12)),
        ("path.exists('a')", "`exists` is written `list.exists(x, x > 1)`", (1, 12)),
        ("path.startWith('/')", "unknown function `startWith`, did you mean `startsWith`?", (1, 15)),
        ("startsWith(path, '/')", "`startsWith` is called on a value: write `text.startsWith(...)`", (1, 11)),
        ("path.segments() == []", "`segments` is not called on a value: write `segments(...)`", (1, 14)),
        ("path.startsWith() ", "`startsWith` takes 1 argument here, found 0", (1, 16)),
        ("missingHeader(headers)", "`missingHeader` takes 2 arguments here, found 1", (1, 14)),
        ("path.contains(1)", "`contains` does not take an int", (1, 14)),
        ("weight.contains('a')", "`contains` does not take an int", (1, 16)),
        ("path.matches(user_agent)", "`matches` takes a pattern that is written out: 'text', not a variable", (1, 14)),
        ("path.matches('(')", "`(` is not a regular expression: unclosed group", (1, 14)),
        ("path == b'a'", "bytes are not supported: write a string", (1, 9)),
        ("path == null", "`null` is nowhere: absent texts are \"\", absent entries are asked for with `in`", (1, 9)),
        ("logs.Thing{a: 1} == path", "messages are not supported", (1, 11)),
        ("class == 'humn'", "unknown class `humn`, did you mean `human`?", (1, 10)),
        ("'pas' == identity", "unknown identity `pas`, did you mean `pass`?", (1, 1)),
        ("'http-1' in signals", "unknown signal `http-1`, did you mean `http-1.0`?", (1, 1)),
        (
            "class in ['ci', 'bot']",
            "unknown class `bot`, expected one of: ci, human, declared-bot, tool, suspect, unknown",
            (1, 17),
        ),
        (".path == ''", "unknown variable `.path`, did you mean `path`?", (1, 2)),
        ("", "not an expression: mismatched input `<EOF>`", (1, 1)),
        ("path ==", "not an expression: mismatched input `<EOF>`", (1, 8)),
        ("query.?a == ''", "not an expression: unsupported syntax `.?`", (1, 6)),
        ("for == 1", "not an expression: reserved identifier: for", (1, 1)),
        (
            "[1].exists(a, [1].exists(b, [1].exists(c, a == c)))",
            "loops nest deeper than 2: split the expression",
            (1, 39),
        ),
        (
            "headers.exists(a, headers.exists(b, headers[a] == headers[b]))",
            "could take too long on a large request: loop less, or over less",
            (1, 33),
        ),
    ] {
        let error = When::compile(text).map(|_| text).unwrap_err();
        assert_eq!((error.message.as_str(), error.offset), (message, Some(offset)), "{text}");
    }
}

#[test]
fn an_expression_is_bounded() {
    for (text, message) in [
        ("1".repeat(4097), "expression of 4097 characters, at most 4096 are allowed: split it".to_owned()),
        (vec!["1"; 2000].join("+"), "parts nest deeper than 48: split the expression".to_owned()),
        (format!("{}1", "-".repeat(4000)), "expected a condition, the expression gives an int: compare it".to_owned()),
        (
            format!("{}true{}", "(".repeat(2000), ")".repeat(2000)),
            "brackets nest deeper than 24: split the expression".to_owned(),
        ),
        (format!("[{}] == []", vec!["1"; 1001].join(",")), "expression of more than 1000 parts: split it".to_owned()),
        // Texts that are built in loops are bounded by their cost.
        (
            format!("[{0}].map(a, [{0}].map(b, {1})).size() > 0", vec!["1"; 200].join(","), vec!["path"; 20].join("+")),
            "could take too long on a large request: loop less, or over less".to_owned(),
        ),
    ] {
        assert_eq!(When::compile(&text).map(|_| ()).unwrap_err().message, message, "{}", &text[..40]);
    }
}

#[test]
fn the_deepest_expression_fits_on_a_small_stack() {
    let sum = format!("{} == 1", vec!["weight"; 45].join("+"));
    let brackets = format!("{}true{}", "[".repeat(23), "][0]".repeat(23));
    for text in [sum, brackets] {
        let when = When::compile(&text).unwrap();
        let evaluated = std::thread::Builder::new()
            .stack_size(1 << 20)
            .spawn(move || when.evaluate(&facts(&NoHeaders), &running(&Known)))
            .unwrap();
        evaluated.join().unwrap().unwrap();
    }
}

#[test]
fn an_expression_says_what_it_reads() {
    let when = When::compile("country == 'BR' && ['weight'].exists(asn, asn == 'x')").unwrap();
    assert!(when.reads("country"));
    assert!(!when.reads("weight") && !when.reads("asn"));
}

/// Small expressions, most of which compile.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "path",
        "user_agent",
        "weight",
        "strikes",
        "1",
        "2u",
        "1.5",
        "''",
        "'a/b'",
        "true",
        "false",
        "[]",
        "x",
        "country",
        "headers.accept",
        "headers[path]",
        "query.a",
        "query[user_agent]",
        "size(headers)",
        "[1, 2]",
        "['a', 1]",
        "'http-1.0' in signals",
        "has(headers.via)",
        "segments(path)",
        "9223372036854775807",
        "{'a': 1}",
        "asn",
        "0",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        let operators = vec!["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "in"];
        let functions = vec!["contains", "startsWith", "size", "matches", "lowerAscii", "exists_one"];
        let loops = vec!["all", "exists", "exists_one", "map", "filter"];
        let methods = vec!["int", "uint", "double", "string", "size", "!", "-", "segments", "regexSafe"];
        prop_oneof![
            (inner.clone(), prop::sample::select(operators), inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (inner.clone(), prop::sample::select(functions), inner.clone())
                .prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
            (inner.clone(), prop::sample::select(loops), inner.clone())
                .prop_map(|(a, f, b)| format!("{a}.{f}(x, {b})")),
            (prop::sample::select(methods), inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            inner.prop_map(|a| format!("{a}.matches('a+|/')")),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_panics_the_compiler(text in "\\PC{0,60}") {
        let _ = When::compile(&text);
    }

    #[test]
    fn no_likely_text_panics_the_compiler(
        parts in prop::collection::vec(prop::sample::select(vec![
            "path", " ", "(", ")", "[", "]", "{", "}", "?", ":", ",", ".", "+", "-", "!", "&&", "||", "==", " in ", "'",
            "\"", "'''", "\\", "\\x", "\\u12", "r'", "b'", "0x", "1", "1e9", "9999999999999999999", "u", "//", "\n",
            "`", "é", "😀", "has(", ".exists(x,", ".map(", "matches(", "true", "null", "headers", "@", "#", "$",
        ]), 0..24)
    ) {
        let _ = When::compile(&parts.concat());
    }

    #[test]
    fn no_expression_panics_the_evaluation(
        expression in expressions(),
        user_agent in "\\PC{0,12}",
        query in "[ab=&+%0-9]{0,12}",
    ) {
        for text in [expression.clone(), format!("{expression} == 1"), format!("{expression} || true")] {
            let Ok(when) = When::compile(&text) else { continue };
            for all in [true, false] {
                let headers = Given::new(&BROWSER, all);
                let mut facts = facts(&headers);
                (facts.user_agent, facts.query) = (Fact::Present(user_agent.as_str()), Fact::Present(query.as_str()));
                let _ = when.evaluate(&facts, &running(&Known));
                facts.user_agent = Fact::Unknown;
                let _ = when.evaluate(&facts, &running(&Blank));
            }
        }
    }
}
