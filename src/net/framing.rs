//! Where a body ends: by length, by chunks, or with the connection.
//!
//! Bytes are unframed in place: the body's bytes move to the front of the buffer. So a body needs
//! no second buffer and large reads need no second copy.

use super::NetError;

/// LIMIT: one chunk's size line with its extensions, and one trailer line.
const LINE_BYTES_MAX: usize = 4 << 10;
/// LIMIT: all trailer lines together.
const TRAILER_BYTES_MAX: usize = 16 << 10;

#[derive(Debug)]
pub(super) enum Framing {
    /// This many bytes are still to come.
    Length(u64),
    Chunked(Chunks),
    ToEnd,
}

/// The state between any two bytes of a chunked body.
#[derive(Debug)]
pub(super) struct Chunks {
    state: State,
    /// Bytes left of the chunk whose size or data is being read.
    left: u64,
    /// Bytes of the current line, or of the trailers.
    line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No digit of the size was read yet.
    SizeBegin,
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a trailer line, or of the empty line that ends the message.
    TrailerBegin,
    Trailer,
    EndLf,
    End,
}

/// The result of unframing some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unframed {
    /// Bytes of the body, now at the front.
    pub kept: usize,
    /// Bytes that belonged to the message. The rest does not.
    pub used: usize,
}

impl Framing {
    pub fn length(length: u64) -> Framing {
        Framing::Length(length)
    }

    pub fn chunked() -> Framing {
        Framing::Chunked(Chunks {
            state: State::SizeBegin,
            left: 0,
            line: 0,
        })
    }

    pub fn is_done(&self) -> bool {
        match self {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunks) => chunks.state == State::End,
            Framing::ToEnd => false,
        }
    }

    /// Whether the other side may close now.
    pub fn may_end(&self) -> bool {
        matches!(self, Framing::ToEnd) || self.is_done()
    }

    /// The number of bytes that are sure to come.
    pub fn remaining(&self) -> u64 {
        match self {
            Framing::Length(left) => *left,
            Framing::Chunked(chunks) => chunks.left,
            Framing::ToEnd => 0,
        }
    }

    /// Removes the framing from `bytes`.
    pub fn unframe(&mut self, bytes: &mut [u8]) -> Result<Unframed, NetError> {
        let all = bytes.len();
        match self {
            Framing::ToEnd => Ok(Unframed {
                kept: all,
                used: all,
            }),
            Framing::Length(left) => {
                let taken = usize::try_from(*left).map_or(all, |left| left.min(all));
                *left -= taken as u64;
                Ok(Unframed {
                    kept: taken,
                    used: taken,
                })
            }
            Framing::Chunked(chunks) => chunks.unframe(bytes),
        }
    }
}

impl Chunks {
    fn unframe(&mut self, bytes: &mut [u8]) -> Result<Unframed, NetError> {
        let (mut kept, mut used) = (0, 0);
        while self.state != State::End {
            if self.state == State::Data {
                let there = bytes.len() - used;
                let taken = usize::try_from(self.left).map_or(there, |left| left.min(there));
                if kept != used {
                    bytes.copy_within(used..used + taken, kept);
                }
                (kept, used) = (kept + taken, used + taken);
                self.left -= taken as u64;
                if self.left > 0 {
                    break;
                }
                self.state = State::DataCr;
            }
            let Some(byte) = bytes.get(used) else {
                break;
            };
            used += 1;
            self.step(*byte)?;
        }
        Ok(Unframed { kept, used })
    }

    /// Takes one byte that is not data.
    fn step(&mut self, byte: u8) -> Result<(), NetError> {
        self.line += 1;
        self.state = match (self.state, byte) {
            (State::SizeBegin | State::Size, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                let longer = self.left.checked_mul(16);
                self.left = longer
                    .and_then(|left| left.checked_add(digit.into()))
                    .ok_or_else(|| wrong("http chunk length too large"))?;
                State::Size
            }
            (State::SizeBegin, _) => return Err(wrong("invalid byte in chunk length")),
            (State::Size | State::Extension | State::SizeLf, b'\n') => self.after_size(),
            (State::Size | State::Extension, b'\r') => State::SizeLf,
            (State::Size, b';' | b' ' | b'\t') | (State::Extension, _) => State::Extension,
            (State::Size | State::SizeLf, _) => {
                return Err(wrong("invalid byte in chunk length"));
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataCr | State::DataLf, b'\n') => {
                self.line = 0;
                State::SizeBegin
            }
            (State::DataCr | State::DataLf, _) => {
                return Err(wrong("malformed chunked encoding"));
            }
            (State::TrailerBegin, b'\r') => State::EndLf,
            (State::TrailerBegin | State::EndLf, b'\n') => State::End,
            (State::EndLf, _) => return Err(wrong("malformed chunked encoding")),
            (State::Trailer, b'\n') => State::TrailerBegin,
            (State::TrailerBegin | State::Trailer, _) => State::Trailer,
            // NOTE: neither state takes bytes here.
            (state @ (State::Data | State::End), _) => state,
        };
        let in_trailer = matches!(self.state, State::TrailerBegin | State::Trailer);
        let limit = if in_trailer {
            TRAILER_BYTES_MAX
        } else {
            LINE_BYTES_MAX
        };
        if self.line > limit {
            return Err(wrong("header line too long"));
        }
        Ok(())
    }

    fn after_size(&mut self) -> State {
        self.line = 0;
        if self.left == 0 {
            State::TrailerBegin
        } else {
            State::Data
        }
    }
}

fn wrong(what: &str) -> NetError {
    NetError::Body(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that every way of cutting `wire` in two gives the same result.
    fn check(wire: &str, expect: Result<&str, &str>, used: usize) {
        for cut in 0..=wire.len() {
            let mut framing = Framing::chunked();
            let mut body = Vec::new();
            let mut total = 0;
            let mut failed = None;
            let (first, second) = wire.as_bytes().split_at(cut);
            for part in [first, second] {
                let mut bytes = part.to_vec();
                match framing.unframe(&mut bytes) {
                    Ok(unframed) => {
                        body.extend_from_slice(&bytes[..unframed.kept]);
                        total += unframed.used;
                    }
                    Err(error) => {
                        failed = Some(error.to_string());
                        break;
                    }
                }
            }
            match expect {
                Ok(text) => {
                    assert_eq!(failed, None, "{wire:?} cut at {cut}");
                    assert_eq!(
                        String::from_utf8_lossy(&body),
                        text,
                        "{wire:?} cut at {cut}"
                    );
                    assert!(framing.is_done(), "{wire:?} cut at {cut}");
                    assert_eq!(total, used, "{wire:?} cut at {cut}");
                }
                Err(text) => assert_eq!(failed.as_deref(), Some(text), "{wire:?} cut at {cut}"),
            }
        }
    }

    #[test]
    fn chunks_come_together() {
        check("0\r\n\r\n", Ok(""), 5);
        check("3\r\nabc\r\n0\r\n\r\n", Ok("abc"), 13);
        check(
            "3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n",
            Ok("abc0123456789"),
            30,
        );
        check("3;x=y\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n", Ok("abc"), 29);
        check("3\nabc\n0\n\n", Ok("abc"), 9);
        check("1\r\na\r\n0\r\n\r\nHTTP/1.1", Ok("a"), 11);
    }

    #[test]
    fn wrong_chunks_are_refused() {
        check("x\r\n", Err("invalid byte in chunk length"), 0);
        check("\r\n", Err("invalid byte in chunk length"), 0);
        check("-1\r\n", Err("invalid byte in chunk length"), 0);
        check("2\r\nabc\r\n", Err("malformed chunked encoding"), 0);
        check("3x\r\n", Err("invalid byte in chunk length"), 0);
        check(
            "fffffffffffffffff\r\n",
            Err("http chunk length too large"),
            0,
        );
    }
}
