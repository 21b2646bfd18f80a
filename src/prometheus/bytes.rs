//! Go's varints and big-endian numbers, in untrusted bytes.

use crate::model::TimestampMs;
use crate::stdx::varint::{unzigzag, zigzag};

pub use crate::stdx::varint::{put_text, put_varint as put_uvarint};

/// Takes from the front. `None` means that the end came too soon, or that a varint has more than 64
/// bits.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a> {
    pub rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub fn new(rest: &'a [u8]) -> Bytes<'a> {
        Bytes { rest }
    }

    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return None;
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub fn varint(&mut self) -> Option<i64> {
        self.uvarint().map(unzigzag)
    }

    /// Reads a text that is preceded by its length.
    pub fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.uvarint()?).ok()?;
        std::str::from_utf8(self.take(len)?).ok()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*first)
    }
}

pub fn put_varint(out: &mut Vec<u8>, v: i64) {
    put_uvarint(out, zigzag(v));
}

pub fn uvarint_len(v: u64) -> u64 {
    u64::from((64 - (v | 1).leading_zeros()).div_ceil(7))
}

/// Returns `to - from` of two times in order, however far apart.
pub fn span(from: TimestampMs, to: TimestampMs) -> u64 {
    to.wrapping_sub(from) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back() {
        for v in [0, 1, 127, 128, 300, u64::MAX / 2, u64::MAX] {
            let mut out = Vec::new();
            put_uvarint(&mut out, v);
            put_varint(&mut out, v as i64);
            let mut bytes = Bytes::new(&out);
            assert_eq!(bytes.uvarint(), Some(v));
            assert_eq!(bytes.varint(), Some(v as i64));
            assert_eq!(bytes.u8(), None);
            let mut alone = Vec::new();
            put_uvarint(&mut alone, v);
            assert_eq!(uvarint_len(v), alone.len() as u64);
        }
        assert_eq!(Bytes::new(&[0x80; 11]).uvarint(), None);
        assert_eq!(Bytes::new(&[0x80, 0x80]).uvarint(), None);
    }
}
