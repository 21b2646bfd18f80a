//! Unpacks gzip (RFC 1952) with a few decoders for the whole process.
//!
//! A decoder has 43 KiB, which are made on the stack before they move to the heap. In each scrape
//! loop's thread they would stay resident for good. So a body is received packed and whole, and a
//! decoder is lent only for unpacking it. No server can hold a decoder up.

use std::fmt;
use std::sync::{Mutex, MutexGuard, TryLockError};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::NetError;
use crate::stdx::locked::locked;

/// LIMIT: bodies unpacked at the same time. More are no faster on the cores of small machines.
const DECODERS: usize = 2;
/// The output grows by this factor when nothing better is known; packed text expands about so much.
const GROWTH: usize = 8;
const ROOM_MIN: usize = 16 << 10;
/// LIMIT: the output's growth at once, so that a bomb ends soon after its limit.
const ROOM_MAX: usize = 1 << 20;

/// The decoders, lent in turns.
pub(super) struct Unpackers([Mutex<Decompress>; DECODERS]);

impl fmt::Debug for Unpackers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unpackers")
    }
}

impl Unpackers {
    /// Makes the decoders. It needs a stack of more than 64 KiB.
    pub fn new() -> Unpackers {
        Unpackers(std::array::from_fn(|_| Mutex::new(Decompress::new(false))))
    }

    /// Appends what `packed` holds, with all its members. It fails as soon as `body` has `limit`
    /// bytes.
    pub fn unpack(&self, packed: &[u8], body: &mut Vec<u8>, limit: u64) -> Result<(), NetError> {
        // Go's text if there is no header at all. A cut header is an unexpected EOF.
        if packed.is_empty() {
            return Err(NetError::Eof);
        }
        let mut decoder = self.lend();
        let mut rest = packed;
        loop {
            rest = member(&mut decoder, rest, body, limit)?;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn lend(&self) -> MutexGuard<'_, Decompress> {
        for decoder in &self.0 {
            match decoder.try_lock() {
                Ok(decoder) => return decoder,
                // NOTE: each use begins with a reset, so nothing that a panic left matters.
                Err(TryLockError::Poisoned(decoder)) => return decoder.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let [first, ..] = &self.0;
        locked(first)
    }
}

/// Unpacks one member, and returns what follows it.
fn member<'a>(
    decoder: &mut Decompress,
    packed: &'a [u8],
    body: &mut Vec<u8>,
    limit: u64,
) -> Result<&'a [u8], NetError> {
    decoder.reset(false);
    let mut rest = after_header(packed)?;
    let begin = body.len();
    loop {
        if body.capacity() - body.len() < ROOM_MIN / 2 {
            let room = (rest.len() * GROWTH).clamp(ROOM_MIN, ROOM_MAX);
            let allowed = limit.saturating_sub(body.len() as u64);
            let allowed = usize::try_from(allowed).unwrap_or(usize::MAX);
            body.reserve_exact(room.min(allowed.max(ROOM_MIN)));
        }
        let (read, written) = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress_vec(rest, body, FlushDecompress::None);
        let status = status.map_err(|_| NetError::Body("flate: corrupt input".to_owned()))?;
        let read = (decoder.total_in() - read) as usize;
        rest = rest.get(read..).unwrap_or_default();
        if body.len() as u64 >= limit {
            return Err(NetError::BodyTooBig);
        }
        if status == Status::StreamEnd {
            break;
        }
        if read == 0 && decoder.total_out() == written {
            return Err(NetError::UnexpectedEof);
        }
    }
    check_trailer(rest, body.get(begin..).unwrap_or_default())
}

/// Returns what follows a member's header.
fn after_header(packed: &[u8]) -> Result<&[u8], NetError> {
    const CHECKSUM: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let (fixed, mut rest) = packed.split_at_checked(10).ok_or(NetError::UnexpectedEof)?;
    let &[0x1f, 0x8b, 8, flags, ..] = fixed else {
        return Err(invalid("header"));
    };
    let cut = |rest: &'_ [u8], n: usize| rest.len().checked_sub(n).ok_or(NetError::UnexpectedEof);
    if flags & EXTRA != 0 {
        let (length, after) = rest.split_first_chunk().ok_or(NetError::UnexpectedEof)?;
        let length = usize::from(u16::from_le_bytes(*length));
        cut(after, length)?;
        rest = after.get(length..).unwrap_or_default();
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|b| *b == 0);
            let end = end.ok_or(NetError::UnexpectedEof)?;
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
    if flags & CHECKSUM != 0 {
        cut(rest, 2)?;
        rest = rest.get(2..).unwrap_or_default();
    }
    Ok(rest)
}

/// Checks a member's trailer, and returns what follows it.
fn check_trailer<'a>(rest: &'a [u8], unpacked: &[u8]) -> Result<&'a [u8], NetError> {
    let (sum, rest) = rest.split_first_chunk().ok_or(NetError::UnexpectedEof)?;
    let (size, rest) = rest.split_first_chunk().ok_or(NetError::UnexpectedEof)?;
    let mut crc = Crc::new();
    crc.update(unpacked);
    let fits =
        crc.sum() == u32::from_le_bytes(*sum) && unpacked.len() as u32 == u32::from_le_bytes(*size);
    if fits {
        Ok(rest)
    } else {
        Err(invalid("checksum"))
    }
}

fn invalid(what: &str) -> NetError {
    NetError::Body(format!("gzip: invalid {what}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, GzBuilder};

    use super::*;

    fn pack(text: &[u8]) -> Vec<u8> {
        let builder = GzBuilder::new()
            .extra("extra")
            .filename("name")
            .comment("c");
        let mut encoder = builder.write(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn check(packed: &[u8], expect: Result<&[u8], &str>) {
        let mut body = Vec::new();
        let result = Unpackers::new().unpack(packed, &mut body, 1 << 20);
        match expect {
            Ok(text) => assert_eq!((result, body.as_slice()), (Ok(()), text)),
            Err(text) => assert_eq!(result.unwrap_err().to_string(), text),
        }
    }

    #[test]
    fn members_are_unpacked_and_checked() {
        let long = vec![b'x'; 100_000];
        let (one, two) = (pack(b"one"), pack(&long));
        check(&one, Ok(b"one"));
        check(&pack(b""), Ok(b""));
        check(&two, Ok(&long));
        check(&[one.as_slice(), &one].concat(), Ok(b"oneone"));
        for cut in 1..one.len() {
            check(&one[..cut], Err("unexpected EOF"));
        }
        check(b"", Err("EOF"));
        check(b"0123456789", Err("gzip: invalid header"));
        check(
            &[one.as_slice(), b"junkjunkjunk"].concat(),
            Err("gzip: invalid header"),
        );
        let mut wrong = one.clone();
        let sum = wrong.len() - 8;
        wrong[sum] ^= 1;
        check(&wrong, Err("gzip: invalid checksum"));
        check(&pack(&vec![0; 1 << 20]), Err("body size limit exceeded"));
    }
}
