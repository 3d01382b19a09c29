use super::*;
use crate::document::{Diagnostics, read};
use flate2::read::GzDecoder;
use std::io::Read;

fn visit() -> Visit<'static> {
    Visit {
        challenge: "c1~AAECAwQFBgc~logs~1024~1795300000000~AAECAwQFBgcICQoLDA0ODw~192.0.2.0/24~0123456789abcdef0123456789abcdef0123456789a",
        difficulty: 1024,
        site: "logs",
        request_id: "0123456789abcdef",
        cookie: "__Host-windscreen-logs",
        brought: false,
        now: Timestamp(1_795_300_000_000),
        wait: Some(Wait { href: "/.windscreen/wait?token=0123456789abcdef0123456789abcdef", seconds: 8 }),
    }
}

fn settings(yaml: &str) -> PageSettings {
    let mut diagnostics = Diagnostics::new("x");
    let settings: PageSettings = read(yaml, &mut diagnostics).unwrap();
    settings.check(&mut diagnostics);
    assert_eq!(diagnostics.to_string(), "");
    settings
}

#[test]
fn the_page_is_small_in_every_language() {
    let theme = settings(
        "{name: The logs of an example project, contact: 'https://example.org/help', \
         text: 'We pay for every byte. Mirrors are at example.net.', colours: {accent: {light: '#004488', dark: '#88ccff'}}}",
    );
    for page in [Page::default(), Page::new(&theme, None)] {
        for language in LANGUAGES {
            let (body, tag) = page.render(&visit(), language.tag);
            let (gzipped, same) = page.render_gzip(&visit(), language.tag);
            assert_eq!((tag, same), (language.tag, language.tag));
            let size = gzipped.len();
            println!("{tag}: {size} bytes gzipped, {} bytes", body.len());
            assert!(size < 12_000, "{tag}: {size} bytes");
            let mut unpacked = String::new();
            GzDecoder::new(&gzipped[..]).read_to_string(&mut unpacked).unwrap();
            assert_eq!(unpacked, body);
        }
    }
}

#[test]
fn words_are_in_the_markup_and_every_place_is_filled() {
    for wait in [visit().wait, None] {
        for language in LANGUAGES {
            let (body, tag) = Page::default().render(&Visit { wait, ..visit() }, language.tag);
            let direction = language.direction();
            assert!(body.starts_with(&format!("<!doctype html>\n<html lang=\"{tag}\" dir=\"{direction}\">")), "{tag}");
            // The script's own text is that of a template.
            let shown = body.split("<script>").next().unwrap().split("</style>").last().unwrap();
            assert!(!shown.contains("{{"), "{tag}");
            for (key, word) in language.words() {
                let in_markup = shown.contains(&escaped(&word)) || shown.contains(&json(&word)[1..]);
                let (places, other) =
                    (word.contains('{'), key == "contact" || (key == "nojs_needed") == wait.is_some());
                assert!(in_markup || places || other, "{tag}: {key} is said nowhere");
            }
            assert!(!shown.contains("http-equiv=\"refresh\""), "in the head");
            assert_eq!(body.contains("http-equiv=\"refresh\" content=\"8;url=/.windscreen/wait?"), wait.is_some());
        }
    }
}

#[test]
fn nothing_is_loaded_and_scripts_and_styles_are_those_of_the_policy() {
    let page = Page::default();
    let policies: Vec<String> = LANGUAGES
        .iter()
        .map(|language| {
            let (body, _) = page.render(&visit(), language.tag);
            let inner = |tag: &str| {
                let (_, rest) = body.split_once(&format!("<{tag}>")).unwrap();
                hash(rest.split_once(&format!("</{tag}>")).unwrap().0)
            };
            assert_eq!(body.matches("<script").count(), 3);
            assert_eq!(body.matches("<style").count(), 1);
            for outside in ["src=\"", "@import", "url(", "on=\"", "style=\""] {
                assert!(!body.contains(outside), "{outside}");
            }
            format!("script-src 'sha256-{}' 'wasm-unsafe-eval'; style-src 'sha256-{}'", inner("script"), inner("style"))
        })
        .collect();
    for policy in policies {
        assert!(page.content_security_policy().contains(&policy));
    }
}

#[test]
fn what_a_request_brings_is_escaped() {
    let evil = "</script><img src=x onerror=\"alert(1)\">'&{{challenge}}";
    let wait = Wait { href: "/x?a=1&b=\"><script>", seconds: 8 };
    let evil = Visit { challenge: evil, site: evil, request_id: evil, cookie: evil, wait: Some(wait), ..visit() };
    let (body, _) = Page::default().render(&evil, "en");
    assert!(!body.contains("<img") && !body.contains("\"><script>"));
    assert_eq!(body.matches("<script").count(), 3);
    assert_eq!(body.matches("</script>").count(), 3);
    let data = body.split("id=\"windscreen-challenge\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["site"], evil.site);
}

#[test]
fn what_an_operator_says_is_shown_as_text() {
    let theme = settings(
        "{name: 'A <b> & {{title}}', contact: ops@example.org, text: {en: 'one <i>', ar: x}, \
         colours: {accent: {light: '#004488'}, background: {dark: '#000000'}}}",
    );
    let logo = Picture::new(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec()).unwrap();
    let page = Page::new(&theme, Some(&logo));
    let (body, _) = page.render(&visit(), "ja");
    for part in [
        " – A &lt;b&gt; &amp; {{title}}</title>",
        "<span>A &lt;b&gt; &amp; {{title}}</span>",
        "<a href=\"mailto:ops@example.org\" dir=\"ltr\">ops@example.org</a>",
        "<p class=\"text\" lang=\"en\" dir=\"ltr\">one &lt;i&gt;</p>",
        "--accent: #004488; --on-accent: #ffffff;",
        "--back: #000000; --card: #000000;",
        "<img src=\"data:image/svg+xml;base64,",
    ] {
        assert!(body.contains(part), "{part}");
    }
    assert!(page.render(&visit(), "ar").0.contains("<p class=\"text\">x</p>"));
    assert_ne!(page.content_security_policy(), Page::default().content_security_policy());
}
