//! Reads a request's body from its connection's bytes: by length, or chunked.

use super::head::Framing;
use super::reject::{Reject, bad};

/// LIMIT: a chunk's size with its extensions, which nobody sends.
const SIZE_LINE_BYTES_MAX: usize = 256;
/// LIMIT: trailers are read and dropped.
const TRAILER_BYTES_MAX: usize = 4 << 10;

/// Reads one body. Feed it until it is done.
#[derive(Debug)]
pub(super) struct BodyReader {
    state: State,
    body: Vec<u8>,
    bytes_max: usize,
    trailer_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes of the body are left.
    Length(u64),
    Size,
    /// So many bytes of the chunk are left.
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Done,
}

fn bad_chunk() -> Reject {
    bad("malformed chunked encoding")
}

impl BodyReader {
    pub fn new(framing: Framing, bytes_max: usize) -> BodyReader {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(n) => State::Length(n),
            Framing::Chunked => State::Size,
        };
        BodyReader {
            state,
            body: Vec::new(),
            bytes_max,
            trailer_bytes: 0,
        }
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The bytes of memory that the body takes so far.
    pub fn held(&self) -> usize {
        self.body.capacity()
    }

    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Takes what it can use from the start of `input`, and returns how much that was. Bytes after
    /// the body's end are the next request's.
    pub fn feed(&mut self, input: &[u8]) -> Result<usize, Reject> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let (step, next) = match self.state {
                State::Done => return Ok(used),
                State::Length(left) => self.data(rest, left, State::Length, State::Done)?,
                State::Chunk(left) => self.data(rest, left, State::Chunk, State::ChunkEnd)?,
                State::Size => self.size(rest)?,
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => (2, State::Size),
                    [] | [b'\r'] => (0, State::ChunkEnd),
                    _ => return Err(bad_chunk()),
                },
                State::Trailer => self.trailer(rest)?,
            };
            used += step;
            if step == 0 {
                return Ok(used);
            }
            self.state = next;
        }
    }

    fn data(
        &mut self,
        rest: &[u8],
        left: u64,
        more: fn(u64) -> State,
        end: State,
    ) -> Result<(usize, State), Reject> {
        let n = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if self.body.len() + n > self.bytes_max {
            return Err(Reject::too_large(self.bytes_max));
        }
        let known = usize::try_from(left).unwrap_or(usize::MAX);
        let most = match self.state {
            State::Length(_) => self.body.len().saturating_add(known),
            _ => self.bytes_max,
        };
        make_room(&mut self.body, n, most);
        self.body
            .extend_from_slice(rest.get(..n).unwrap_or_default());
        let left = left - n as u64;
        Ok((n, if left == 0 { end } else { more(left) }))
    }

    fn size(&self, rest: &[u8]) -> Result<(usize, State), Reject> {
        let Some((line, used)) = line(rest, SIZE_LINE_BYTES_MAX)? else {
            return Ok((0, State::Size));
        };
        let digits = line.split(|b| *b == b';').next().unwrap_or_default();
        let digits = digits.trim_ascii_end();
        if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(bad_chunk());
        }
        let text = std::str::from_utf8(digits).map_err(|_| bad_chunk())?;
        let size = u64::from_str_radix(text, 16).map_err(|_| bad_chunk())?;
        if size > (self.bytes_max - self.body.len()) as u64 {
            return Err(Reject::too_large(self.bytes_max));
        }
        let next = match size {
            0 => State::Trailer,
            size => State::Chunk(size),
        };
        Ok((used, next))
    }

    fn trailer(&mut self, rest: &[u8]) -> Result<(usize, State), Reject> {
        let Some((line, used)) = line(rest, TRAILER_BYTES_MAX - self.trailer_bytes)? else {
            return Ok((0, State::Trailer));
        };
        self.trailer_bytes += line.len();
        let next = if line.is_empty() {
            State::Done
        } else {
            State::Trailer
        };
        Ok((used, next))
    }
}

/// Makes room for `n` more bytes. It doubles as a `Vec` does, but not beyond what may come.
pub(super) fn make_room(bytes: &mut Vec<u8>, n: usize, bytes_max: usize) {
    let (len, capacity) = (bytes.len(), bytes.capacity());
    if len + n > capacity {
        bytes.reserve_exact((capacity * 2).min(bytes_max).max(len + n) - len);
    }
}

/// Returns a line that ends in CRLF, and its length with that; `None` if it is incomplete.
fn line(rest: &[u8], bytes_max: usize) -> Result<Option<(&[u8], usize)>, Reject> {
    let Some(at) = rest.iter().take(bytes_max + 2).position(|b| *b == b'\n') else {
        return if rest.len() > bytes_max + 1 {
            Err(bad_chunk())
        } else {
            Ok(None)
        };
    };
    match rest.get(..at) {
        Some([line @ .., b'\r']) if !line.contains(&b'\r') && !line.contains(&0) => {
            Ok(Some((line, at + 1)))
        }
        _ => Err(bad_chunk()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the rest of the input and the body, `Err(0)` if unfinished, or the error's status.
    /// The bytes come in pieces of `step`.
    fn read(framing: Framing, input: &str, step: usize) -> Result<(String, usize), u16> {
        let mut reader = BodyReader::new(framing, 10);
        let mut pending = Vec::new();
        let mut consumed = 0;
        for piece in input.as_bytes().chunks(step) {
            pending.extend_from_slice(piece);
            let used = reader.feed(&pending).map_err(|r| r.status)?;
            pending.drain(..used);
            consumed += used;
        }
        if !reader.is_done() {
            return Err(0);
        }
        let body = String::from_utf8(reader.into_body()).unwrap();
        Ok((body, input.len() - consumed))
    }

    fn check(framing: Framing, input: &str, expect: Result<(&str, usize), u16>) {
        let expect = expect.map(|(body, left)| (body.to_owned(), left));
        for step in [1, 3, 1000] {
            assert_eq!(read(framing, input, step), expect, "{input:?} by {step}");
        }
    }

    #[test]
    fn bodies() {
        check(Framing::Length(0), "GET", Ok(("", 3)));
        check(Framing::Length(5), "helloGET", Ok(("hello", 3)));
        check(Framing::Length(5), "hell", Err(0));
        check(
            Framing::Chunked,
            "5\r\nhello\r\n0\r\n\r\nGET",
            Ok(("hello", 3)),
        );
        check(
            Framing::Chunked,
            "1;a=b\r\nx\r\n1 \r\ny\r\n0\r\n\r\n",
            Ok(("xy", 0)),
        );
        check(Framing::Chunked, "0\r\nA: b\r\n\r\n", Ok(("", 0)));
        check(Framing::Chunked, "5\r\nhello\r\n0\r\n", Err(0));
        check(Framing::Chunked, "b\r\nhello world", Err(413));
        check(Framing::Chunked, "fffffffffffffff\r\n", Err(413));
        check(Framing::Chunked, "6\r\nhello1\r\n6\r\nhello2", Err(413));
        check(Framing::Chunked, "1\nx\n0\n\n", Err(400));
        check(Framing::Chunked, "1\r\nxy\r\n", Err(400));
        check(Framing::Chunked, "-1\r\n", Err(400));
        check(Framing::Chunked, "0x1\r\nx\r\n", Err(400));
        check(Framing::Chunked, "\r\n", Err(400));
        check(Framing::Chunked, "1111111111111111\r\n", Err(400));
        check(
            Framing::Chunked,
            &format!("1;{}", "x".repeat(300)),
            Err(400),
        );
        check(
            Framing::Chunked,
            &format!("0\r\n{}", "x".repeat(5000)),
            Err(400),
        );
    }
}
