//! Escapes within quoted strings and help texts.

use std::borrow::Cow;

/// Replaces `\"`, `\\` and `\n` by what they stand for. Any other backslash stays.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    replace(text, true)
}

/// Does the same for a help text of the Prometheus format, where a quote needs no escape.
pub(super) fn unescape_help(text: &str) -> Cow<'_, str> {
    replace(text, false)
}

fn replace(text: &str, quotes: bool) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let c = match after.as_bytes().first() {
            Some(b'n') => '\n',
            Some(b'\\') => '\\',
            Some(b'"') if quotes => '"',
            _ => {
                out.push('\\');
                rest = after;
                continue;
            }
        };
        out.push(c);
        rest = after.get(1..).unwrap_or("");
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let check = |text, label, help| {
            assert_eq!(unescape(text), label, "label {text}");
            assert_eq!(unescape_help(text), help, "help {text}");
        };
        check("plain", "plain", "plain");
        check(r"a\nb", "a\nb", "a\nb");
        check(r"\\n", r"\n", r"\n");
        check(r#"\"x\""#, "\"x\"", r#"\"x\""#);
        check(r"\x\", r"\x\", r"\x\");
        check(r"\é", r"\é", r"\é");
    }
}
