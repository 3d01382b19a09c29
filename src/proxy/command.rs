//! The command that a person at a shell may paste.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What stays as it is: nothing that a shell would read as something else, even where a quote is lost.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b'%').remove(b'+');

/// The command that fetches what was asked for by `target` at `host`. The query is left out: it selects nothing.
pub fn fetch_command(secure: bool, host: &str, target: &[u8]) -> String {
    let scheme = if secure { "https" } else { "http" };
    let legal = |c: &char| c.is_ascii_alphanumeric() || "-._[]:".contains(*c);
    let host: String = host.chars().filter(legal).collect();
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let path = percent_encode(path, PLAIN).to_string();
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && !name.contains('%');
    let file = if is_plain { name } else { "download" };
    format!("windscreen fetch '{scheme}://{host}{path}' -o {file}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_whatever_was_asked_for() {
        let cases = [
            (false, "logs.example.org", "/run/log", "'http://logs.example.org/run/log' -o log"),
            (true, "logs:8443", "/a%20b?x=1", "'https://logs:8443/a%20b' -o download"),
            (true, "[2001:db8::1]", "/", "'https://[2001:db8::1]/' -o download"),
            (false, "h", "/it's;$(rm -rf x)`y`", "'http://h/it%27s%3B%24%28rm%20-rf%20x%29%60y%60' -o download"),
            (false, "h", "/a\n!b", "'http://h/a%0A%21b' -o download"),
            (false, "h", "/-rf", "'http://h/-rf' -o download"),
            (false, "h'$(x)", "/.bashrc", "'http://hx/.bashrc' -o download"),
            (false, "h", "/\u{e4}", "'http://h/%C3%A4' -o download"),
        ];
        for (secure, host, target, expected) in cases {
            assert_eq!(fetch_command(secure, host, target.as_bytes()), format!("windscreen fetch {expected}"));
        }
    }
}
