//! What stands beside the rules in an Anubis file.

use super::Importer;
use super::fields::{Fields, read};
use super::yaml::comment;

/// Keys that have no counterpart in a policy, and what to do instead.
const ELSEWHERE: [(&str, &str); 8] = [
    ("dns_ttl", "names are kept as long as their zones say"),
    ("geoip", "name the databases under `geoip` in gateway.yaml"),
    ("honeypot", "there is none here"),
    ("impressum", "pages have no imprint here"),
    ("logging", "logs are set up where the gateway is started"),
    ("metrics", "the admin listener in gateway.yaml has them"),
    ("openGraph", "a challenge shows nothing of the object behind it"),
    ("store", "state is set up in gateway.yaml"),
];

impl Importer {
    /// Reads all keys of the main file but `bots` and `thresholds`.
    pub(super) fn settings(&mut self, fields: &Fields<'_>) {
        let mut dnsbl = false;
        for (key, position, node) in fields.entries() {
            let elsewhere = ELSEWHERE.iter().find(|(known, _)| *known == key);
            match (key, elsewhere) {
                ("bots" | "thresholds", _) => {}
                ("dnsbl", _) => {
                    if read::<bool>(node, "`true` or `false`", &mut self.notes) == Some(true) {
                        dnsbl = true;
                        let message = "every request is looked up at dnsbl.dronebl.org by the first rule, as there";
                        self.notes.warn(position, message);
                    }
                }
                ("status_codes", _) => {
                    if let Some(codes) = Fields::of(node, &mut self.notes) {
                        self.status_codes(&codes);
                    }
                }
                (_, Some((_, instead))) => {
                    let says = |key: &str, value: &str| {
                        Fields::of(node, &mut Default::default())
                            .and_then(|fields| fields.get(key))
                            .is_some_and(|node| node.text() == Some(value))
                    };
                    if !says("enabled", "false") && !says("backend", "memory") {
                        self.notes.warn(position, format!("`{key}` is not carried over: {instead}"));
                    }
                }
                (_, None) => {
                    let message = format!("unknown key `{key}`: anubis ignores it, so it is left out");
                    self.notes.warn(position, message);
                }
            }
        }
        // Its status may stand below it.
        if dnsbl {
            self.dnsbl();
        }
    }

    /// There, a listed address is refused whatever the rules say.
    fn dnsbl(&mut self) {
        let name = self.name("dnsbl");
        let origin = comment("dnsbl: true");
        let deny = self.deny();
        self.rules
            .push_str(&format!("  {origin}\n  - name: {name}\n    match:\n      dnsbl: [dnsbl.dronebl.org]\n{deny}"));
    }

    fn status_codes(&mut self, codes: &Fields<'_>) {
        codes.note_unknown(&["CHALLENGE", "DENY"], &mut self.notes);
        for key in ["CHALLENGE", "DENY"] {
            let Some(code) = codes.read::<u16>(key, "a status", &mut self.notes) else { continue };
            let position = codes.get(key).map_or(codes.position, |node| node.position);
            match (key, code) {
                (_, 403) => {}
                ("DENY", 400..=499) => self.deny_status = Some(code),
                ("DENY", _) => self.notes.warn(position, format!("a refusal is never a {code} here: it is a 403")),
                _ => self.notes.warn(position, format!("a challenge is never a {code} here: it is a 403")),
            }
        }
    }
}
