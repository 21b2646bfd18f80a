//! A request's headers, kept as the text in which they came. As a list of names and values a head
//! of a megabyte in short lines would take twenty.

use super::reject::{Reject, bad};

/// Names and values in the order of arrival.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    /// Checked lines `name: value` with their CRLF.
    text: String,
}

impl Headers {
    /// Parses lines that end in CRLF, without the empty one that ends a head.
    pub(super) fn parse(lines: &[u8]) -> Result<Headers, Reject> {
        for line in lines.split_inclusive(|b| *b == b'\n') {
            check(line.strip_suffix(b"\r\n").unwrap_or(line))?;
        }
        Ok(Headers {
            text: String::from_utf8_lossy(lines).into_owned(),
        })
    }

    /// Returns the first value of a header, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Yields every value of a header.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.text.split("\r\n").filter_map(move |line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
        })
    }

    /// Whether one of a header's comma-separated values is `token`.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let mut tokens = self.all(name).flat_map(|v| v.split(','));
        tokens.any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// The bytes of memory.
    pub(super) fn held(&self) -> usize {
        self.text.capacity()
    }
}

fn check(line: &[u8]) -> Result<(), Reject> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(bad("folded header"));
    }
    let colon = line.iter().position(|b| *b == b':');
    let Some((name, value)) = colon.and_then(|at| line.split_at_checked(at)) else {
        return Err(bad("malformed header"));
    };
    if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
        return Err(bad("invalid header name"));
    }
    let value = value.trim_ascii();
    if value.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        return Err(bad("invalid header value"));
    }
    Ok(())
}

/// RFC 9110 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_any_case() {
        let headers = Headers::parse(b"A: 1\r\nB:\t 2 \r\na: \xff,x\r\nC:\r\n").unwrap();
        let all = |name: &str| headers.all(name).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(all("a"), ["1", "\u{fffd},x"]);
        assert_eq!(all("b"), ["2"]);
        assert_eq!(all("c"), [""]);
        assert_eq!(all(""), [""; 0]);
        assert!(headers.has_token("A", "X") && !headers.has_token("B", "x"));
        assert!(Headers::parse(b"").unwrap().get("a").is_none());
    }
}
