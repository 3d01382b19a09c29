//! CEL expressions of Anubis in the words of ours.
//!
//! Works on tokens, so that texts and members are left alone: variables are renamed, names of headers become lower
//! case, and expressions for `matches` are translated. What comes out is checked as the policy that it is for will be.

use super::re2;
use super::token::{Token, TokenKind, quote, tokens};
use crate::policy::check_expression;

/// Variables of rules there, and their names here.
pub(super) const REQUEST: &[(&str, &str)] = &[
    ("remoteAddress", "address"),
    ("contentLength", "content_length"),
    ("host", "host"),
    ("method", "method"),
    ("userAgent", "user_agent"),
    ("path", "path"),
    ("query", "query"),
    ("headers", "headers"),
    ("load_1m", "load_1m"),
    ("load_5m", "load_5m"),
    ("load_15m", "load_15m"),
];

/// The variable of thresholds.
pub(super) const WEIGHT: &[(&str, &str)] = &[("weight", "weight")];

const MACROS: [&str; 5] = ["all", "exists", "exists_one", "filter", "map"];
const METHODS: [&str; 8] =
    ["contains", "endsWith", "lowerAscii", "matches", "size", "startsWith", "trim", "upperAscii"];
const FUNCTIONS: [&str; 9] =
    ["double", "has", "int", "matches", "missingHeader", "regexSafe", "segments", "size", "string"];

/// An expression of ours.
pub(super) struct Expression {
    /// The expression, on one line.
    pub text: String,
    /// Names of headers in it that no request has there, because they are not written as Go writes them.
    pub never: Vec<String>,
}

/// Translates an expression that may use `variables`.
///
/// # Errors
/// With what cannot be carried over.
pub(super) fn translate(text: &str, variables: &[(&str, &str)]) -> Result<Expression, String> {
    let mut tokens = tokens(text)?;
    let mut never = Vec::new();
    expressions(&mut tokens)?;
    headers(&mut tokens, &mut never)?;
    names(&mut tokens, variables)?;
    let mut text = String::new();
    for token in &tokens {
        if token.spaced && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&token.text);
    }
    check_expression(&text)?;
    Ok(Expression { text, never })
}

fn is(tokens: &[Token], at: Option<usize>, text: &str) -> bool {
    at.and_then(|at| tokens.get(at)).is_some_and(|token| token.text == text)
}

fn is_literal(tokens: &[Token], at: Option<usize>) -> bool {
    at.and_then(|at| tokens.get(at)).is_some_and(|token| matches!(token.kind, TokenKind::Text(_)))
}

fn is_name(tokens: &[Token], at: Option<usize>) -> bool {
    at.and_then(|at| tokens.get(at)).is_some_and(|token| token.kind == TokenKind::Name)
}

/// Translates what `matches` looks for. Composed expressions are left alone where every part means the same here.
fn expressions(tokens: &mut [Token]) -> Result<(), String> {
    for at in 0..tokens.len() {
        if tokens[at].text != "matches" || !is(tokens, Some(at + 1), "(") {
            continue;
        }
        let mut argument = at + 2;
        let mut depth = 1;
        let mut end = argument;
        while depth > 0 && end < tokens.len() {
            match tokens[end].text.as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                // As a function, `matches` looks for its second argument.
                "," if depth == 1 => argument = end + 1,
                _ => {}
            }
            end += 1;
        }
        let alone = end == argument + 2;
        for token in &mut tokens[argument..end] {
            let TokenKind::Text(text) = &token.kind else { continue };
            let translated = re2::translate(text).map_err(|reason| format!("`{text}` is no expression: {reason}"))?;
            if alone {
                token.text = quote(&translated);
            } else if translated != *text {
                return Err(format!("`{text}` is part of an expression that is put together"));
            }
        }
    }
    Ok(())
}

/// Rewrites the names of headers. Where they are computed, it cannot tell which they are.
fn headers(tokens: &mut [Token], never: &mut Vec<String>) -> Result<(), String> {
    for at in 0..tokens.len() {
        let before = |count: usize| at.checked_sub(count);
        let after = |count: usize| Some(at + count);
        if tokens[at].text != "headers" || is(tokens, before(1), ".") {
            continue;
        }
        let is_method = is(tokens, after(1), ".") && is(tokens, after(3), "(");
        let is_indexed = is(tokens, after(1), "[") && is(tokens, after(3), "]");
        let is_asked = is(tokens, before(2), "missingHeader") && is(tokens, after(3), ")");
        let is_member = is(tokens, after(1), ".") && is_name(tokens, after(2)) && !is_method;
        let is_found = is(tokens, before(1), "in") && is_literal(tokens, before(2)) && !is(tokens, before(3), "+");
        let name = if is_member || (is_indexed || is_asked) && is_literal(tokens, after(2)) {
            at + 2
        } else if is_found {
            at - 2
        } else if is_method && is(tokens, after(2), "size") || is(tokens, before(2), "size") {
            continue;
        } else {
            return Err("the name of a header is not written out".into());
        };
        tokens[name].text = header(&tokens[name], never);
    }
    Ok(())
}

/// The name of a header as it stands here. There, only names in Go's spelling are ever found, and `Host` never is
/// (`net/http` moves it to the request); a name with capitals is never found here.
fn header(token: &Token, never: &mut Vec<String>) -> String {
    let (name, write): (_, fn(&str) -> String) = match &token.kind {
        TokenKind::Text(name) => (name, quote),
        _ => (&token.text, str::to_owned),
    };
    let mut starts = true;
    let spelled = |c: char| {
        let expected = if starts { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        starts = c == '-';
        c == expected
    };
    if name.chars().all(spelled) && name != "Host" {
        return write(&name.to_ascii_lowercase());
    }
    never.push(name.clone());
    write(&format!("NEVER_{name}"))
}

/// Renames variables, and refuses names that mean nothing here.
fn names(tokens: &mut [Token], variables: &[(&str, &str)]) -> Result<(), String> {
    let mut bound: Vec<String> = Vec::new();
    for at in 0..tokens.len() {
        if tokens[at].kind != TokenKind::Name {
            continue;
        }
        let name = tokens[at].text.clone();
        let is_member = at > 0 && is(tokens, Some(at - 1), ".");
        if is(tokens, Some(at + 1), "(") {
            if is_member && MACROS.contains(&name.as_str()) {
                bound.extend(tokens.get(at + 2).map(|variable| variable.text.clone()));
            } else if !(if is_member { &METHODS[..] } else { &FUNCTIONS[..] }).contains(&name.as_str()) {
                return Err(format!("there is no function `{name}` here{}", instead(&name)));
            }
        } else if !is_member && !["true", "false", "null", "in"].contains(&name.as_str()) && !bound.contains(&name) {
            let known = variables.iter().find(|(there, _)| *there == name);
            let (_, here) = known.ok_or_else(|| format!("there is no variable `{name}` here{}", instead(&name)))?;
            tokens[at].text = (*here).to_owned();
        }
    }
    Ok(())
}

/// What to use for a name that is missing here.
fn instead(name: &str) -> &'static str {
    match name {
        "verifyFCrDNS" | "reverseDNS" | "lookupHost" | "fcrdns" => {
            " (list the crawler with its `domains` and match `verified: true`)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<String, String> {
        translate(text, REQUEST).map(|expression| expression.text)
    }

    #[test]
    fn expressions_are_renamed_word_by_word() {
        let cases = [
            ("userAgent.contains(\"userAgent\")", r#"user_agent.contains("userAgent")"#),
            ("remoteAddress == '192.0.2.1' // office\n", r#"address == "192.0.2.1""#),
            ("(\n  load_1m >= 10.0 ||\n  contentLength > 5\n)\n", "( load_1m >= 10.0 || content_length > 5 )"),
            (r#"headers["Cf-Ray"].contains("x")"#, r#"headers["cf-ray"].contains("x")"#),
            (r#"!("Accept" in headers)"#, r#"!("accept" in headers)"#),
            (r#"missingHeader(headers, "Sec-Ch-Ua")"#, r#"missingHeader(headers, "sec-ch-ua")"#),
            (
                "has(headers.Accept) && headers.size() > size(headers) - 1",
                "has(headers.accept) && headers.size() > size(headers) - 1",
            ),
            (r#"userAgent.matches("\\+https\\://\\d")"#, r#"user_agent.matches("\\+https://[0-9]")"#),
            (r#"matches(path, r'^/\w+$')"#, r#"matches(path, "^/[0-9A-Za-z_]+$")"#),
            (r#"path.matches("^/" + regexSafe("a.b"))"#, r#"path.matches("^/" + regexSafe("a.b"))"#),
            (r#"path.lowerAscii().trim() == "/""#, r#"path.lowerAscii().trim() == "/""#),
            (
                "query.exists(k, [\"a\", 'b'].exists(userAgent, k == userAgent))",
                r#"query.exists(k, ["a", "b"].exists(userAgent, k == userAgent))"#,
            ),
            ("query.path == path && size(segments(path)) < 2", "query.path == path && size(segments(path)) < 2"),
        ];
        for (text, expected) in cases {
            assert_eq!(request(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_header_that_go_spells_otherwise_is_never_there() {
        let found = translate(r#""sec-ch-ua" in headers || headers["Host"] == "a" || has(headers.accept)"#, REQUEST);
        let found = found.unwrap();
        let expected = r#""NEVER_sec-ch-ua" in headers || headers["NEVER_Host"] == "a" || has(headers.NEVER_accept)"#;
        assert_eq!(found.text, expected);
        assert_eq!(found.never, ["sec-ch-ua", "Host", "accept"]);
    }

    #[test]
    fn what_cannot_be_said_here_is_named() {
        let cases = [
            ("randInt(16) >= 4", "there is no function `randInt` here"),
            ("path.reverse() == \"/\"", "there is no function `reverse` here"),
            (
                r#"path.matches("^/" + regexSafe(query["a"]))"#,
                "`matches` takes a pattern that is written out: 'text', not a variable",
            ),
            ("path > 5", "`>` does not take a string and an int"),
            (
                "verifyFCrDNS(remoteAddress)",
                "there is no function `verifyFCrDNS` here (list the crawler with its `domains` and match `verified: true`)",
            ),
            ("weight > 3", "there is no variable `weight` here"),
            ("headers[path] == \"\"", "the name of a header is not written out"),
            ("headers.exists(k, k == \"a\")", "the name of a header is not written out"),
            ("\"A\" + \"b\" in headers", "the name of a header is not written out"),
            (r#"path.matches("\\d" + path)"#, r"`\d` is part of an expression that is put together"),
            (r#"path.matches("(")"#, "`(` is no expression: unclosed group"),
            ("path ==", "not an expression: mismatched input `<EOF>`"),
            ("path == \"a", "a text has no end"),
            ("path == `a`", "unknown character ```"),
            (r#"path == "\q""#, r"unknown escape `\q`"),
        ];
        for (text, reason) in cases {
            assert_eq!(request(text), Err(reason.to_owned()), "{text}");
        }
        assert!(translate("weight >= 10 && weight < 20", WEIGHT).is_ok());
    }
}
