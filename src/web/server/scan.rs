//! Finds the end of a request's head in bytes that come in pieces of any size.
//!
//! Every byte is looked at once: a head of a megabyte that comes byte by byte costs as much as one
//! that comes at once.

use super::head::{Head, parse};
use super::reject::{Reject, bad};
use crate::model::size;

/// The limits of a head and its body, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub head: usize,
    pub body: usize,
}

/// What the bytes so far are.
#[derive(Debug)]
pub(super) enum Scan {
    Incomplete,
    /// The head, and its length in bytes.
    Complete(Box<Head>, usize),
    Reject(Reject),
}

/// How far a head has been scanned.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// The number of scanned bytes.
    at: usize,
    /// Where the head begins, behind empty lines.
    start: usize,
    line_start: usize,
    /// Whether the last scanned byte is a CR.
    after_cr: bool,
}

/// Empty lines before a request are skipped (RFC 9112 2.2). LIMIT: two; a sender of more is not a
/// client.
const EMPTY_LINES_MAX: usize = 2;

impl HeadScan {
    /// Continues where it stopped in `input`, which has only grown since. After a whole head it
    /// starts afresh.
    pub fn scan(&mut self, input: &[u8], limits: Limits) -> Scan {
        match self.find_end(input) {
            Err(reject) => Scan::Reject(reject),
            Ok(Some(end)) if end - self.start <= limits.head => {
                let text = input.get(self.start..end).unwrap_or_default();
                *self = HeadScan::default();
                match parse(text, limits.body) {
                    Ok(head) => Scan::Complete(Box::new(head), end),
                    Err(reject) => Scan::Reject(reject),
                }
            }
            Ok(None) if self.at - self.start < limits.head => Scan::Incomplete,
            Ok(_) => Scan::Reject(Reject::new(
                431,
                format!(
                    "the request's line and headers are larger than {} \
                     (--web.max-request-head-size)",
                    size::format(limits.head as u64)
                ),
            )),
        }
    }

    /// Returns where the head ends, with its last empty line. Every line must end in CRLF, and CR,
    /// LF and NUL may be nowhere else.
    fn find_end(&mut self, input: &[u8]) -> Result<Option<usize>, Reject> {
        for byte in input.iter().copied().skip(self.at) {
            self.at += 1;
            match byte {
                b'\n' if !self.after_cr => return Err(bad("line without CR")),
                b'\n' => {
                    let is_empty = self.at == self.line_start + 2;
                    let is_first = self.line_start == self.start;
                    self.line_start = self.at;
                    if is_empty && is_first && self.start < 2 * EMPTY_LINES_MAX {
                        self.start = self.at;
                    } else if is_empty {
                        return Ok(Some(self.at));
                    }
                }
                _ if self.after_cr => return Err(bad("CR without LF")),
                0 => return Err(bad("NUL byte")),
                _ => {}
            }
            self.after_cr = byte == b'\r';
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        head: 16 << 10,
        body: 100,
    };

    /// Returns the status, and how many bytes were used; 0 for an incomplete head.
    fn scanned(input: &[u8], limits: Limits, step: usize) -> (u16, usize) {
        let mut scan = HeadScan::default();
        let mut end = 0;
        while end < input.len() {
            end = (end + step).min(input.len());
            match scan.scan(&input[..end], limits) {
                Scan::Incomplete => {}
                Scan::Complete(_, used) => return (200, used),
                Scan::Reject(reject) => return (reject.status, 0),
            }
        }
        (0, 0)
    }

    fn check(input: &str, expect: (u16, usize)) {
        for step in [1, 2, 7, usize::MAX / 2] {
            let got = scanned(input.as_bytes(), LIMITS, step);
            assert_eq!(got, expect, "{input:?} by {step}");
        }
    }

    #[test]
    fn ends_are_found_whatever_the_pieces() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        check("", (0, 0));
        check("GET / HTTP/1.1\r\nHost: a\r\n", (0, 0));
        check(get, (200, get.len()));
        check(&format!("{get}GET"), (200, get.len()));
        check(&format!("\r\n\r\n{get}"), (200, get.len() + 4));
        check(&format!("\r\n\r\n\r\n{get}"), (400, 0));
        check("GET / HTTP/1.1\nHost: a\n\n", (400, 0));
        check("GET / HTTP/1.1\r\nHost: a\n\r\n", (400, 0));
        check("GET / HTTP/1.1\r\nHo\rst: a\r\n\r\n", (400, 0));
        check("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", (400, 0));
    }

    #[test]
    fn one_limit_holds_for_the_whole_head() {
        let filled = |name: &str, n: usize| {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: \r\n\r\n");
            head.replace(": \r", &format!(": {}\r", "x".repeat(n - head.len())))
        };
        check(&filled("A", LIMITS.head), (200, LIMITS.head));
        check(&filled("A", LIMITS.head + 1), (431, 0));
        check(&"x".repeat(17 << 10), (431, 0));
        let many = format!("GET / HTTP/1.0\r\n{}\r\n", "A: b\r\n".repeat(1000));
        check(&many, (200, many.len()));
    }

    #[test]
    fn a_large_head_byte_by_byte_is_looked_at_once() {
        // NOTE: scanning from the start each time would take hours.
        let limits = Limits {
            head: 1 << 20,
            ..LIMITS
        };
        let head = format!("GET /?{} HTTP/1.0\r\n\r\n", "x".repeat(1_000_000));
        assert_eq!(scanned(head.as_bytes(), limits, 1), (200, head.len()));
    }
}
