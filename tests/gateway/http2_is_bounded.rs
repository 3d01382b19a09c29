//! Whatever frames a client sends over HTTP/2, it takes no more than its share: its stream is refused or its connection
//! closed, others are served meanwhile, and origins hear of nothing that is not a whole, plain request.

use crate::harness::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, End, FLOW_CONTROL_ERROR, HEADERS, Http2,
    INITIAL_WINDOW_SIZE, PING, PROTOCOL_ERROR, REFUSED_STREAM, RESET, SETTINGS, WINDOW_UPDATE, block, frame, number,
    request,
};
use crate::harness::tls::{Authority, TlsClient, authority, certify};
use crate::harness::{OPEN, Setup, World, eventually};
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Nobody's proxy.
const ATTACKER: &str = "127.0.0.2";
/// As many bytes as no attack needs.
const FLOOD: usize = 64 << 20;
/// An object that no window holds.
const BIG: usize = 8 << 20;
/// Nothing takes so long.
const LONG: Duration = Duration::from_secs(20);

struct Scene {
    world: World,
    authority: Authority,
}

impl Scene {
    /// A gateway with these settings of `connections`.
    async fn new(connections: &str) -> Self {
        let authority = authority("servers");
        let server = certify(&authority, 1, ExtendedKeyUsagePurpose::ServerAuth, |parameters| {
            parameters.subject_alt_names.push(SanType::DnsName("logs.test".try_into().unwrap()));
        });
        let setup = Setup::new().policy(OPEN).more(&format!("connections: {{{connections}}}\n"));
        let setup = setup.listener("tls: {certificates: {certificate: server.pem, key: server.key}}");
        let setup = setup.file("server.pem", server.certificate.as_bytes()).file("server.key", server.key.as_bytes());
        let world = setup.start().await;
        world.put("logs", "a", b"object");
        world.put("logs", "big", &vec![7; BIG]);
        Scene { world, authority }
    }

    async fn attacker(&self, settings: &[(u16, u32)]) -> Http2 {
        let client = TlsClient::new(&self.authority, None, &["h2"]);
        Http2::connect(&client, self.world.server.addresses[0], ATTACKER, settings).await
    }

    /// Whether somebody else is served, and soon.
    async fn serves(&self) -> bool {
        let from = Instant::now();
        self.attacker(&[]).await.get("/logs/a").await == End::Answer(200, b"object".to_vec())
            && from.elapsed() < Duration::from_secs(5)
    }

    async fn is_idle(&self) {
        eventually("nothing is being answered", async || {
            self.world.metric("windscreen_requests_in_flight").await == 0.0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_as_soon_as_they_are_opened_end_the_connection() {
    // CVE-2023-44487.
    let scene = Scene::new("").await;
    let attacks = 2000;
    let mut burst = scene.attacker(&[]).await;
    let opened = block(&request("/logs/big"));
    let pair = |stream: u32| {
        [frame(HEADERS, END_STREAM | END_HEADERS, stream, &opened), frame(RESET, 0, stream, &8u32.to_be_bytes())]
            .concat()
    };
    let pairs: Vec<u8> = (0..attacks).flat_map(|number| pair(2 * number + 1)).collect();
    let _ = burst.write(&pairs).await;
    assert!(matches!(burst.until_closed(LONG).await, End::Closed(None | Some(ENHANCE_YOUR_CALM))));

    // Whoever waits until each has been accepted is counted, too.
    let before = scene.world.first.requests();
    let mut patient = scene.attacker(&[]).await;
    let mut count = 0;
    while count < attacks && patient.open(&request("/logs/big"), END_STREAM | END_HEADERS).await.is_ok() {
        count += 1;
        let _ = patient.send(PING, 0, 0, &[0; 8]).await;
        while let Ok(frame) = patient.next().await {
            if frame.kind == PING {
                break;
            }
        }
        let stream = patient.last;
        if patient.send(RESET, 0, stream, &8u32.to_be_bytes()).await.is_err() {
            break;
        }
    }
    assert!(count < attacks, "it goes on for ever");
    eventually("it is counted", async || {
        scene.world.metric("windscreen_connections_cut_total{reason=\"resets\"}").await == 1.0
    })
    .await;
    assert!(scene.world.first.requests() - before < 300, "{}", scene.world.first.requests() - before);
    scene.is_idle().await;
    assert!(scene.serves().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_along_may_leave_some_of_it() {
    // As a browser does whose user goes on to the next page.
    let scene = Scene::new("").await;
    let mut browser = scene.attacker(&[]).await;
    for _ in 0..20 {
        for _ in 0..10 {
            let stream = browser.open(&request("/logs/big"), END_STREAM | END_HEADERS).await.unwrap();
            browser.send(RESET, 0, stream, &8u32.to_be_bytes()).await.unwrap();
            assert!(browser.get("/logs/a").await.is(200));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_others_are_served() {
    let scene = Scene::new("").await;
    let url = format!("https://{}/logs/a", scene.world.server.addresses[0]);
    let mut command = std::process::Command::new("h2load");
    command.args(["-n", "400", "-c", "4", "-m", "50", &url]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("400 done, 400 succeeded, 0 failed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_end_end_the_connection() {
    // CVE-2024-27316.
    let scene = Scene::new("idle_timeout: 1s").await;
    let before = scene.world.first.requests();
    let filler = block(&[("x", &"y".repeat(16_000))]);
    for part in [filler.as_slice(), &[], &block(&[("x", "y")])] {
        let mut http = scene.attacker(&[]).await;
        http.open(&request("/logs/a"), END_STREAM).await.unwrap();
        let mut sent = 0;
        while sent < FLOOD && http.send(CONTINUATION, 0, 1, part).await.is_ok() {
            sent += 9 + part.len();
        }
        assert!(sent < FLOOD, "it is read for ever");
        assert!(matches!(http.until_closed(LONG).await, End::Closed(_)));
    }
    // Whoever sends no more of them is waited for as for a request.
    let mut http = scene.attacker(&[]).await;
    http.open(&request("/logs/a"), END_STREAM).await.unwrap();
    assert!(matches!(http.until_closed(LONG).await, End::Closed(_)));
    // Neither is one heard that says nothing, or less than a beginning.
    let mut silent = scene.attacker(&[]).await;
    assert!(matches!(silent.until_closed(LONG).await, End::Closed(_)));
    assert_eq!(scene.world.first.requests(), before);
    assert!(scene.serves().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_too_long_are_refused_however_short_they_were_made() {
    let scene = Scene::new("").await;
    let before = scene.world.first.requests();
    let refused = |end: &End| match end {
        End::Answer(status, _) => *status == 431,
        End::Reset(_) | End::Closed(_) => true,
        End::Silence => false,
    };
    // Plainly, in as many frames as they take.
    let mut http = scene.attacker(&[]).await;
    let cookie = "y".repeat(12_000);
    let fields: Vec<_> = request("/logs/a").into_iter().chain([("x", cookie.as_str()); 5]).collect();
    let whole = block(&fields);
    let mut parts = whole.chunks(16_000).peekable();
    http.last = 1;
    http.send(HEADERS, END_STREAM, 1, parts.next().unwrap()).await.unwrap();
    while let Some(part) = parts.next() {
        let _ = http.send(CONTINUATION, if parts.peek().is_none() { END_HEADERS } else { 0 }, 1, part).await;
    }
    let end = http.end_of(1).await;
    assert!(refused(&end), "{end:?}");
    // By a table: 4 KB that are named ten thousand times, one byte for each.
    let mut http = scene.attacker(&[]).await;
    let mut bomb = block(&request("/logs/a"));
    bomb.push(0x40);
    number(&mut bomb, 7, 0, 1);
    bomb.push(b'x');
    number(&mut bomb, 7, 0, 4000);
    bomb.extend(vec![b'y'; 4000]);
    bomb.extend(vec![0xbe; 10_000]);
    http.last = 1;
    http.send(HEADERS, END_STREAM | END_HEADERS, 1, &bomb).await.unwrap();
    let end = http.end_of(1).await;
    assert!(refused(&end), "{end:?}");
    // A table larger than was agreed to.
    let mut http = scene.attacker(&[]).await;
    let mut large = Vec::new();
    number(&mut large, 5, 0x20, 1 << 20);
    large.extend(block(&request("/logs/a")));
    http.send(HEADERS, END_STREAM | END_HEADERS, 1, &large).await.unwrap();
    let end = http.end_of(1).await;
    assert!(refused(&end), "{end:?}");
    assert_eq!(scene.world.first.requests(), before);
    assert!(scene.serves().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_carries_so_many_streams_at_a_time() {
    let scene = Scene::new("streams: 4").await;
    let mut http = scene.attacker(&[(INITIAL_WINDOW_SIZE, 0)]).await;
    for _ in 0..10 {
        http.open(&request("/logs/big"), END_STREAM | END_HEADERS).await.unwrap();
    }
    let mut refused = Vec::new();
    while refused.len() < 6 {
        let frame = timeout(LONG, http.next()).await.expect("streams are refused").unwrap();
        if frame.kind == RESET {
            refused.push((frame.stream, frame.reason()));
        }
    }
    let expected: Vec<_> = (4..10).map(|number| (2 * number + 1, REFUSED_STREAM)).collect();
    assert_eq!(refused, expected);
    assert!(scene.world.metric("windscreen_requests_in_flight").await <= 4.0);
    assert!(scene.serves().await);
    drop(http);
    scene.is_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_floods_and_does_not_read_is_not_read_either() {
    let scene = Scene::new("").await;
    let settings = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &1000u32.to_be_bytes()].concat();
    let window = [&0u32.to_be_bytes()[..], &[16]].concat();
    let attacks: [(&str, Vec<u8>); 4] = [
        ("pings", frame(PING, 0, 0, &[0; 8])),
        ("settings", frame(SETTINGS, 0, 0, &settings)),
        ("acknowledgements of nothing", frame(SETTINGS, 1, 0, &[])),
        ("priorities", frame(2, 0, 1, &window)),
    ];
    for (what, one) in attacks {
        let mut http = scene.attacker(&[]).await;
        let many = one.repeat((1 << 20) / one.len());
        let flood = async {
            for _ in 0..FLOOD >> 20 {
                if http.write(&many).await.is_err() {
                    break;
                }
            }
        };
        // It may be read to its end where it asks for nothing, it may be held up, or cut off.
        let _ = timeout(Duration::from_secs(3), flood).await;
        assert!(scene.serves().await, "{what}");
    }
    // Streams beyond those that may be open, whose refusals nobody reads.
    let mut http = scene.attacker(&[(INITIAL_WINDOW_SIZE, 0)]).await;
    let mut opened = 0;
    let flood = async {
        while opened < 1_000_000 && http.open(&request("/logs/big"), END_STREAM | END_HEADERS).await.is_ok() {
            opened += 1;
        }
    };
    let _ = timeout(Duration::from_secs(5), flood).await;
    assert!(opened < 1_000_000, "it is refused for ever");
    assert!(scene.serves().await);
    drop(http);
    scene.is_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_do_not_add_up_are_a_mistake() {
    let scene = Scene::new("").await;
    let most = 0x7fff_ffffu32.to_be_bytes();
    // what, frame, stream or connection, reason
    let cases = [
        ("nothing more for a stream", frame(WINDOW_UPDATE, 0, 1, &[0; 4]), false, PROTOCOL_ERROR),
        ("nothing more for all", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), true, PROTOCOL_ERROR),
        ("too much for a stream", frame(WINDOW_UPDATE, 0, 1, &most), false, FLOW_CONTROL_ERROR),
        ("too much for all", frame(WINDOW_UPDATE, 0, 0, &most), true, FLOW_CONTROL_ERROR),
        ("too much by a setting", frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]), true, PROTOCOL_ERROR),
        ("frames that are too small", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]), true, PROTOCOL_ERROR),
        ("a stream that was not opened", frame(WINDOW_UPDATE, 0, 99, &[0, 0, 0, 1]), true, PROTOCOL_ERROR),
    ];
    for (what, wrong, all, reason) in cases {
        let mut http = scene.attacker(&[(INITIAL_WINDOW_SIZE, 10)]).await;
        http.open(&request("/logs/big"), END_STREAM | END_HEADERS).await.unwrap();
        http.write(&wrong).await.unwrap();
        let end = http.end_of(1).await;
        match all {
            true => assert_eq!(end, End::Closed(Some(reason)), "{what}"),
            // Some take a mistake about a stream for one about all, which is allowed.
            false => assert!(end == End::Reset(reason) || end == End::Closed(Some(reason)), "{what}: {end:?}"),
        }
    }
    scene.is_idle().await;
    assert!(scene.serves().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_take_what_it_asked_for_loses_the_stream() {
    let scene = Scene::new("stream_timeout: 1s").await;
    let mut http = scene.attacker(&[(INITIAL_WINDOW_SIZE, 0)]).await;
    let from = Instant::now();
    let never = http.open(&request("/logs/big"), END_STREAM | END_HEADERS).await.unwrap();
    assert!(matches!(http.end_of(never).await, End::Reset(_)));
    assert!(from.elapsed() >= Duration::from_millis(900) && from.elapsed() < LONG, "{:?}", from.elapsed());
    // A byte now and then is as good as nothing.
    let drips = http.open(&request("/logs/big"), END_STREAM | END_HEADERS).await.unwrap();
    let from = Instant::now();
    let mut end = End::Silence;
    while end == End::Silence && from.elapsed() < LONG {
        let _ = http.send(WINDOW_UPDATE, 0, drips, &1u32.to_be_bytes()).await;
        end = http.end_within(drips, Duration::from_millis(100)).await;
    }
    assert!(matches!(end, End::Reset(_)), "{end:?}");
    scene.is_idle().await;
    // The connection goes on, and so does who takes what comes.
    let stream = http.open(&request("/logs/a"), END_STREAM | END_HEADERS).await.unwrap();
    http.send(WINDOW_UPDATE, 0, stream, &1000u32.to_be_bytes()).await.unwrap();
    assert_eq!(http.end_of(stream).await, End::Answer(200, b"object".to_vec()));
    let End::Answer(200, body) = scene.attacker(&[]).await.get("/logs/big").await else { panic!("no big object") };
    assert_eq!(body.len(), BIG);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_two_readings_are_refused_and_reach_no_origin() {
    let scene = Scene::new("").await;
    scene.world.put("images", "smuggled", b"hidden");
    let before = scene.world.first.requests();
    let plain = request("/logs/a");
    let with = |more: &[(&'static str, &'static str)]| [&plain[..], more].concat();
    let changed = |at: usize, value: &'static str| {
        let mut fields = plain.to_vec();
        fields[at].1 = value;
        fields
    };
    let hidden = "GET /images/smuggled HTTP/1.1\r\nHost: images\r\n\r\n";
    // what, fields, body
    type Case = (&'static str, Vec<(&'static str, &'static str)>, &'static str);
    let cases: Vec<Case> = vec![
        ("a length of no body", with(&[("content-length", "5")]), ""),
        ("a body with GET", with(&[("content-length", "47")]), hidden),
        ("a body without a length", with(&[]), hidden),
        ("a body longer than it says", with(&[("content-length", "1")]), hidden),
        ("a body shorter than it says", with(&[("content-length", "4711")]), hidden),
        ("two lengths", with(&[("content-length", "0"), ("content-length", "47")]), hidden),
        ("a length with a sign", with(&[("content-length", "+47")]), hidden),
        ("chunks", with(&[("transfer-encoding", "chunked")]), "0\r\n\r\nGET /images/smuggled HTTP/1.1\r\n\r\n"),
        ("a connection of its own", with(&[("connection", "close")]), ""),
        ("an upgrade", with(&[("upgrade", "h2c")]), ""),
        ("trailers of all kinds", with(&[("te", "gzip")]), ""),
        ("a path with a space", changed(3, "/logs/a HTTP/1.1"), ""),
        ("a path with lines", changed(3, "/logs/a HTTP/1.1\r\nHost: images\r\n\r\nGET /images/smuggled"), ""),
        ("a path with a bare LF", changed(3, "/logs/a\nX: y"), ""),
        ("no path", changed(3, ""), ""),
        ("a path that is a URL", changed(3, "https://images/images/smuggled"), ""),
        ("a path that is a host", changed(3, "//images/smuggled"), ""),
        ("a path without a slash", changed(3, "logs/a"), ""),
        ("the server as a whole", changed(3, "*"), ""),
        ("a path that goes up", changed(3, "/logs/../images/smuggled"), ""),
        ("a method with a space", changed(0, "GET /images/smuggled HTTP/1.1\r\nX:"), ""),
        ("a tunnel", vec![(":method", "CONNECT"), (":authority", "images:443")], ""),
        ("a tunnel with a path", changed(0, "CONNECT"), ""),
        ("another host", with(&[("host", "images.test")]), ""),
        ("two hosts", with(&[("host", "logs.test"), ("host", "images.test")]), ""),
        ("a user", changed(2, "images.test@logs.test"), ""),
        ("a host with a path", changed(2, "logs.test/images"), ""),
        ("a host with a space", changed(2, "logs.test images.test"), ""),
        ("no host", vec![plain[0], plain[1], plain[3]], ""),
        ("no method", plain[1..].to_vec(), ""),
        ("two paths", with(&[(":path", "/images/smuggled")]), ""),
        ("two methods", with(&[(":method", "DELETE")]), ""),
        ("two hosts before all", with(&[(":authority", "images.test")]), ""),
        ("an unknown field before all", with(&[(":proto", "x")]), ""),
        ("a status", with(&[(":status", "200")]), ""),
        ("a path behind a header", vec![plain[0], plain[1], plain[2], ("x", "y"), plain[3]], ""),
        ("a name in capitals", with(&[("Transfer-Encoding", "chunked")]), ""),
        ("a name with a colon", with(&[("x:y", "z")]), ""),
        ("a name with lines", with(&[("x\r\nhost", "images")]), ""),
        ("no name", with(&[("", "x")]), ""),
        ("a value with lines", with(&[("x", "y\r\nTransfer-Encoding: chunked")]), ""),
        ("a value with a bare LF", with(&[("x", "y\nhost: images")]), ""),
        ("a value with a zero", with(&[("x", "y\0z")]), ""),
    ];
    let mut wrong = Vec::new();
    for (what, fields, body) in cases {
        let mut http = scene.attacker(&[]).await;
        let stream = http.open(&fields, if body.is_empty() { END_STREAM } else { 0 } | END_HEADERS).await.unwrap();
        if !body.is_empty() {
            let _ = http.send(DATA, END_STREAM, stream, body.as_bytes()).await;
        }
        let end = http.end_of(stream).await;
        let refused = match &end {
            End::Answer(status, _) => matches!(status, 400 | 405 | 421 | 501),
            End::Reset(_) | End::Closed(_) => true,
            End::Silence => false,
        };
        if !refused || scene.world.first.requests() != before {
            wrong.push(format!("{what}: {end:?}, the origin got {:?}", scene.world.first.recent()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(scene.serves().await);
    // What is heard once is asked for once.
    assert_eq!(scene.world.first.requests(), before + 1);
    // A request that says that it has no body is whole. What comes behind it all the same reaches nobody.
    let mut http = scene.attacker(&[]).await;
    let stream = http.open(&with(&[("content-length", "0")]), END_HEADERS).await.unwrap();
    let _ = http.send(DATA, END_STREAM, stream, hidden.as_bytes()).await;
    assert!(matches!(http.end_of(stream).await, End::Reset(PROTOCOL_ERROR) | End::Answer(200, _)));
    let asked: Vec<String> = scene.world.first.recent().iter().map(|asked| asked.target.clone()).collect();
    assert!(
        asked.iter().all(|target| target == "/logs/a") && u64::try_from(asked.len()).unwrap() <= before + 2,
        "{asked:?}"
    );
}
