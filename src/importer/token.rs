//! Tokens of CEL (cel-spec, "Syntax"), as far as renaming needs them.

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name or a reserved word.
    Name,
    /// A literal text, with what it says.
    Text(String),
    /// Numbers and operators.
    Other,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// How it is written.
    pub text: String,
    /// Whether white space stands before it.
    pub spaced: bool,
}

/// Splits an expression. Comments are dropped.
///
/// # Errors
/// With the reason when it is no CEL.
pub(super) fn tokens(mut rest: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut spaced = false;
    while let Some(next) = rest.chars().next() {
        if next.is_whitespace() {
            spaced = true;
            rest = rest.trim_start();
            continue;
        }
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            spaced = true;
            continue;
        }
        let length = length(rest, next)?;
        let (text, after) = rest.split_at(length);
        let is_name = next.is_ascii_alphabetic() || next == '_';
        let token = if text.ends_with(['"', '\'']) {
            let value = unquote(text)?;
            Token { text: quote(&value), kind: TokenKind::Text(value), spaced }
        } else {
            let kind = if is_name { TokenKind::Name } else { TokenKind::Other };
            Token { kind, text: text.to_owned(), spaced }
        };
        tokens.push(token);
        (rest, spaced) = (after, false);
    }
    Ok(tokens)
}

/// How many bytes the first token of `rest` has.
fn length(rest: &str, next: char) -> Result<usize, String> {
    let run = |accepts: fn(char) -> bool| rest.find(|c| !accepts(c)).unwrap_or(rest.len());
    let name = run(|c| c.is_ascii_alphanumeric() || c == '_');
    let prefix = &rest[..name];
    if rest[name..].starts_with(['"', '\'']) && matches!(prefix, "" | "r" | "R") {
        return Ok(name + text_length(&rest[name..], !prefix.is_empty())?);
    }
    if rest[name..].starts_with(['"', '\'']) && matches!(&*prefix.to_ascii_lowercase(), "b" | "rb" | "br") {
        return Err("bytes are not known here".into());
    }
    if next.is_ascii_digit() {
        let number = run(|c| c.is_ascii_alphanumeric() || c == '.');
        let exponent = rest[..number].ends_with(['e', 'E']) && !rest.starts_with("0x");
        let sign = exponent && rest[number..].starts_with(['+', '-']);
        let digits = rest[number..].chars().skip(1).take_while(char::is_ascii_digit).count();
        return Ok(if sign { number + 1 + digits } else { number });
    }
    match name {
        0 if "()[]{}.,:?!=<>&|+-*/%".contains(next) => Ok(1),
        0 => Err(format!("unknown character `{next}`")),
        name => Ok(name),
    }
}

/// How many bytes a text has, with its quotes.
fn text_length(text: &str, raw: bool) -> Result<usize, String> {
    let quotes = quotes(text);
    let mut chars = text[quotes.len()..].char_indices();
    while let Some((at, character)) = chars.next() {
        if text[quotes.len() + at..].starts_with(quotes) {
            return Ok(at + 2 * quotes.len());
        }
        if character == '\\' && !raw {
            chars.next();
        }
    }
    Err("a text has no end".into())
}

fn quotes(text: &str) -> &str {
    let length = if text.starts_with("\"\"\"") || text.starts_with("'''") { 3 } else { 1 };
    &text[..length]
}

/// What a text says.
fn unquote(text: &str) -> Result<String, String> {
    let unprefixed = text.trim_start_matches(['r', 'R']);
    let length = quotes(unprefixed).len();
    let inside = &unprefixed[length..unprefixed.len() - length];
    if unprefixed.len() < text.len() {
        return Ok(inside.to_owned());
    }
    let mut value = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((before, after)) = rest.split_once('\\') {
        value.push_str(before);
        let kind = after.chars().next().unwrap_or('\\');
        let unknown = || format!("unknown escape `\\{kind}`");
        let (digits, radix) = match kind {
            'x' | 'X' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='3' => (3, 8),
            _ => (0, 0),
        };
        let (code, length) = if digits > 0 {
            let start = usize::from(radix == 16);
            let number = after.get(start..start + digits).ok_or_else(unknown)?;
            (u32::from_str_radix(number, radix).map_err(|_| unknown())?, start + digits)
        } else {
            let plain = match kind {
                'a' => '\x07',
                'b' => '\x08',
                'f' => '\x0C',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\x0B',
                '\\' | '?' | '"' | '\'' | '`' => kind,
                _ => return Err(unknown()),
            };
            (u32::from(plain), 1)
        };
        value.push(char::from_u32(code).ok_or_else(unknown)?);
        rest = &after[length..];
    }
    value.push_str(rest);
    Ok(value)
}

/// Writes a text on one line.
pub(super) fn quote(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_in_every_spelling() {
        let cases = [
            (r#""a\"b""#, "a\"b"),
            (r"'a\'b'", "a'b"),
            (r#"r"a\d""#, r"a\d"),
            (r"R'''a'b\'''", r"a'b\"),
            ("\"\"\"a\"\nb\"\"\"", "a\"\nb"),
            (r#""\x41\u00e9\U0001F600\101\n\?\`""#, "Aé\u{1F600}A\n?`"),
            ("''", ""),
        ];
        for (text, value) in cases {
            let found = tokens(text).unwrap();
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].kind, TokenKind::Text(value.into()), "{text}");
            assert_eq!(tokens(&quote(value)).unwrap()[0].kind, found[0].kind, "{text}");
        }
    }

    #[test]
    fn everything_else_is_kept() {
        for text in ["a.b(1.5e-3, 0x1F, 2u) ? -1 : x[0] % 2", "a&&b||!c", "{a: 1}", "a.b.c <= 5e3"] {
            let found = tokens(text).unwrap();
            let written: String =
                found.iter().map(|token| format!("{}{}", if token.spaced { " " } else { "" }, token.text)).collect();
            assert_eq!(written, text);
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in
            ["\"", "'''", "\"\\", "\"\\u12\"", "'\\xé1'", "r", "\"\\U7fffffff\"", "1e", "1e+", "é", "b'a'", "//"]
        {
            let _ = tokens(text);
        }
    }
}
