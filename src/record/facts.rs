//! The facts of one request, as far as a policy can read them.

use super::secrets::{is_secret_name, is_secret_value};
use super::{Extent, Names, SHOWN, Table, Text};
use crate::facts::{Fact, Facts};
use crate::path::form_decoded;
use crate::signal::{Signal, Signals};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// Longer texts are withheld, in bytes.
const LONGEST: usize = 1024;
/// So are those for which no room is left, with their names, in bytes.
const ROOM: usize = 4096;
/// What stands before a signal that nobody could tell.
const UNSURE: char = '?';

/// Signals, as the list of their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints(pub Signals);

impl Serialize for Hints {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let there = self.0.present().map(|signal| signal.word().to_owned());
        let unsure = self.0.unknown().map(|signal| format!("{UNSURE}{}", signal.word()));
        serializer.collect_seq(there.chain(unsure))
    }
}

impl<'de> Deserialize<'de> for Hints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut signals = Signals::default();
        for word in Vec::<Box<str>>::deserialize(deserializer)? {
            let (word, holds) = word.strip_prefix(UNSURE).map_or((&*word, Some(true)), |word| (word, None));
            // Those of another version are passed over.
            if let Some((_, signal)) = Signal::WORDS.iter().find(|(known, _)| *known == word) {
                signals.note(*signal, holds);
            }
        }
        Ok(Hints(signals))
    }
}

/// What is on record of a request, besides what every line of the access log says. What is not on record is unknown.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct RecordedFacts {
    /// When it came, in milliseconds since 1970.
    pub at: u64,
    /// The host that was addressed; empty where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Box<str>>,
    /// Headers, names in lower case. The User-Agent and the Referer are among them only where the line does not show
    /// them as they were.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub headers: Table<Text>,
    /// Whether these are all headers of the request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all_headers: bool,
    /// Parameters of the query, decoded; the first of each name.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub query: Table<Text>,
    /// Whether these are all parameters of the query.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all_query: bool,
    /// The difficulty of the challenge that the pass was bought with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<u32>,
    /// The signals. They stand for the headers that they were read from, their order and case, and what the client's
    /// network had fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signals: Option<Hints>,
    /// Whether it was the client's own doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_doing: Option<bool>,
    /// Which networks that come from feeds the client was in; `null` where that was unknown.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub networks: Table<Option<bool>>,
}

impl RecordedFacts {
    /// What `extent` can read of headers, query, host and pass. Texts are bounded, and no secret is among them.
    pub fn of(extent: &Extent, facts: &Facts<'_>) -> Self {
        let mut room = Room(ROOM);
        let (query, all_query) = query(&extent.query, facts, &mut room);
        let (headers, all_headers) = headers(&extent.headers, facts, &mut room);
        RecordedFacts {
            at: facts.now.0,
            host: extent.host.then(|| host(facts)).flatten(),
            headers,
            all_headers,
            query,
            all_query,
            pass: facts.pass,
            ..RecordedFacts::default()
        }
    }

    /// What is on record of a header; `None` where nothing is.
    pub fn header(&self, name: &str) -> Option<Fact<&str>> {
        known(&self.headers, self.all_headers, name)
    }

    /// What is on record of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Fact<&str> {
        known(&self.query, self.all_query, name).unwrap_or(Fact::Unknown)
    }
}

/// What is on record of a text; `None` where nothing is.
fn known<'t>(table: &'t Table<Text>, all: bool, name: &str) -> Option<Fact<&'t str>> {
    match table.get(name) {
        Some(Text::Absent) => Some(Fact::Absent),
        Some(Text::Withheld) => Some(Fact::Unknown),
        Some(text) => Some(text.texts().first().map(|text| &**text).into()),
        None => all.then_some(Fact::Absent),
    }
}

fn host(facts: &Facts<'_>) -> Option<Box<str>> {
    match facts.host {
        Fact::Present(host) if host.len() > LONGEST => None,
        Fact::Present(host) => Some(host.into()),
        Fact::Absent => Some("".into()),
        Fact::Unknown => None,
    }
}

/// How many bytes of texts may still be written.
struct Room(usize);

impl Room {
    /// The text as it is written.
    fn take(&mut self, name: &str, text: &str, secret: bool) -> Text {
        let size = name.len() + text.len();
        if secret || text.len() > LONGEST || size > self.0 {
            self.0 = self.0.saturating_sub(name.len());
            return Text::Withheld;
        }
        self.0 -= size;
        Text::One(text.into())
    }
}

/// Headers that every line has a place for.
const PLACED: [&str; 2] = ["user-agent", "referer"];

fn headers(names: &Names, facts: &Facts<'_>, room: &mut Room) -> (Table<Text>, bool) {
    let mut table: Table<Text> = Table::default();
    for name in names.some.iter().filter(|name| facts.headers.header(name) == Fact::Absent) {
        table.add(name, Text::Absent);
    }
    let mut whole = names.all;
    whole &= facts.headers.each(&mut |name, value| {
        if !(names.contains(name) || PLACED.contains(&name)) {
            return;
        }
        if name.len() > room.0 {
            whole = false;
            return;
        }
        let text = room.take(name, value, is_secret_name(name) || is_secret_value(name, value));
        whole &= text != Text::Withheld;
        match table.get_mut(name) {
            Some(first) => first.push(text),
            None => table.add(name, text),
        }
    });
    if !names.all {
        // Where the line shows it as it was, once is enough.
        table.retain(|name, text| !(PLACED.contains(&name) && matches!(text, Text::One(text) if text.len() <= SHOWN)));
    }
    (table, whole)
}

fn query(names: &Names, facts: &Facts<'_>, room: &mut Room) -> (Table<Text>, bool) {
    let mut table = Table::default();
    let raw = match facts.query {
        Fact::Present(raw) => raw,
        Fact::Absent => "",
        Fact::Unknown => return (table, false),
    };
    let mut whole = names.all;
    for pair in raw.split('&').filter(|pair| !pair.is_empty() && (names.all || !names.some.is_empty())) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = form_decoded(name);
        if !names.contains(&name) || table.get(&name).is_some() {
            continue;
        }
        if name.len() > room.0 {
            whole = false;
            continue;
        }
        let text = room.take(&name, &form_decoded(value), is_secret_name(&name));
        whole &= text != Text::Withheld;
        table.add(&name, text);
    }
    for name in names.some.iter().filter(|_| !whole) {
        if table.get(name).is_none() && name.len() <= room.0 {
            table.add(name, Text::Absent);
        }
    }
    (table, whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::facts::{Client, Headers, Identity};

    struct Sent(Vec<(&'static str, String)>);

    impl Headers for Sent {
        fn header(&self, name: &str) -> Fact<&str> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()).into()
        }

        fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
            self.0.iter().for_each(|(name, value)| visit(name, value));
            true
        }

        fn as_sent(&self, _: &mut dyn FnMut(&str)) -> bool {
            false
        }
    }

    fn recorded(extent: &Extent, headers: &Sent, query: &str) -> String {
        let facts = Facts {
            now: Timestamp(5),
            site: "logs",
            host: Fact::Present("logs.example.org"),
            method: "GET",
            path: "/a",
            query: Fact::Present(query),
            client: Client::new([192, 0, 2, 1].into(), true),
            identity: Identity::None,
            client_name: Fact::Absent,
            pass: None,
            user_agent: headers.header("user-agent"),
            headers,
            version: Fact::Unknown,
            secure: Fact::Unknown,
            ja4: Fact::Unknown,
            dialect: Fact::Unknown,
        };
        let recorded = RecordedFacts::of(extent, &facts);
        let text = serde_json::to_string(&recorded).unwrap();
        assert_eq!(serde_json::from_str::<RecordedFacts>(&text).unwrap(), recorded);
        text
    }

    fn names(some: &[&str], all: bool) -> Names {
        Names { some: some.iter().map(|name| (*name).to_owned()).collect(), all }
    }

    #[test]
    fn what_nobody_reads_is_not_recorded_and_secrets_never_are() {
        let long = |length| "x".repeat(length);
        let sent = Sent(vec![
            ("user-agent", long(600)),
            ("referer", "https://h/?token=5".into()),
            ("x-a", "1\t\"".into()),
            ("x-a", "2".into()),
            ("x-long", long(1025)),
            ("cookie", "secret".into()),
            ("x-other", "1".into()),
        ]);
        let none = recorded(&Extent::default(), &sent, "a=1");
        assert_eq!(none, format!(r#"{{"at":5,"headers":{{"user-agent":"{}","referer":true}}}}"#, long(600)));
        let headers = names(&["x-a", "x-b", "x-long", "cookie", "authorization"], false);
        let extent = Extent { host: true, headers, query: names(&["b", "sig", "c"], false), ..Extent::default() };
        let some = recorded(&extent, &Sent(sent.0[2..].to_vec()), "a=1&b=%20&b=2&sig=secret");
        assert_eq!(
            some,
            r#"{"at":5,"host":"logs.example.org","headers":{"x-b":null,"authorization":null,"x-a":["1\t\"","2"],"x-long":true,"cookie":true},"query":{"b":" ","sig":true,"c":null}}"#
        );
    }

    #[test]
    fn all_is_all_only_where_nothing_is_withheld_and_there_is_room() {
        let extent = Extent { headers: names(&[], true), query: names(&["b"], true), ..Extent::default() };
        let few = Sent(vec![("user-agent", "curl".into()), ("x-a", "1".into())]);
        let all = recorded(&extent, &few, "a=1");
        assert_eq!(
            all,
            r#"{"at":5,"headers":{"user-agent":"curl","x-a":"1"},"all_headers":true,"query":{"a":"1"},"all_query":true}"#
        );
        let read: RecordedFacts = serde_json::from_str(&all).unwrap();
        assert_eq!((read.header("x-b"), read.parameter("b")), (Some(Fact::Absent), Fact::Absent));
        let many = Sent((0..200).map(|_| ("x-a", "x".repeat(1000))).collect());
        let text = recorded(&extent, &many, &format!("{}&token=1", "a=1&".repeat(2000)));
        assert!(text.len() < 2 * ROOM && !text.contains("all_"), "{} bytes", text.len());
    }
}
