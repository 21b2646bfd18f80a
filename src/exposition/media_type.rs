//! The media type of a `Content-Type` (RFC 2045), as strictly as Go's `mime` reads it. A target
//! that Prometheus refuses is refused here, in the same words.

/// Returns the media type in lower case. Its parameters are checked and dropped.
pub(super) fn media_type(header: &str) -> Result<String, &'static str> {
    let (base, mut rest) = header.split_at(header.find(';').unwrap_or(header.len()));
    let media_type = base.trim().to_lowercase();
    check_types(&media_type)?;
    let mut seen: Vec<(String, String)> = Vec::new();
    while !rest.trim_start().is_empty() {
        let Some((name, value, after)) = parameter(rest) else {
            if rest.trim() == ";" {
                break;
            }
            return Err("mime: invalid media parameter");
        };
        if seen.iter().any(|(n, v)| *n == name && *v != value) {
            return Err("mime: duplicate parameter name");
        }
        seen.push((name, value));
        rest = after;
    }
    Ok(media_type)
}

fn check_types(text: &str) -> Result<(), &'static str> {
    let (kind, rest) = token(text);
    if kind.is_empty() {
        return Err("mime: no media type");
    }
    if rest.is_empty() {
        return Ok(());
    }
    let Some(rest) = rest.strip_prefix('/') else {
        return Err("mime: expected slash after first token");
    };
    match token(rest) {
        ("", _) => Err("mime: expected token after slash"),
        (_, "") => Ok(()),
        _ => Err("mime: unexpected content after media subtype"),
    }
}

/// Reads `; name = value` at the start of `text`. Returns name, value and what follows.
fn parameter(text: &str) -> Option<(String, String, &str)> {
    let (name, rest) = token(text.trim_start().strip_prefix(';')?.trim_start());
    if name.is_empty() {
        return None;
    }
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let (value, after) = if let Some(inside) = rest.strip_prefix('"') {
        quoted(inside)?
    } else {
        let (value, after) = token(rest);
        (value.to_owned(), after)
    };
    // A quoted value may be empty, a bare one not.
    if value.is_empty() && after.len() == rest.len() {
        return None;
    }
    Some((name.to_lowercase(), value, after))
}

/// Returns the text before the closing quote, and what follows the quote.
fn quoted(inside: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = inside.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Some((value, inside.get(i + 1..)?)),
            '\r' | '\n' => return None,
            '\\' if chars.peek().is_some_and(|(_, c)| SPECIALS.contains(*c)) => {
                value.extend(chars.next().map(|(_, c)| c));
            }
            c => value.push(c),
        }
    }
    None
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_graphic() && !SPECIALS.contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

const SPECIALS: &str = "()<>@,;:\\\"/[]?=";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_and_faults() {
        let check = |header: &str, expect: Result<&str, &'static str>| {
            assert_eq!(media_type(header), expect.map(str::to_owned), "{header}");
        };
        check("text/plain", Ok("text/plain"));
        check(" Text/Plain ; version=0.0.4", Ok("text/plain"));
        check("text/plain; charset=utf-8;", Ok("text/plain"));
        check("text/plain;a=\"x;\\\"y\" ; b=c", Ok("text/plain"));
        check("a/b; c=d; c=d", Ok("a/b"));
        check("text", Ok("text"));
        check("a/b; c=d; C=e", Err("mime: duplicate parameter name"));
        check("a/b; c", Err("mime: invalid media parameter"));
        check("a/b; c=\"d", Err("mime: invalid media parameter"));
        check("/", Err("mime: no media type"));
        check("invalid/", Err("mime: expected token after slash"));
        check("a b", Err("mime: expected slash after first token"));
        check("a/b/c", Err("mime: unexpected content after media subtype"));
    }
}
