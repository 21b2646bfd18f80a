//! Numbers and texts in a record's bytes: seven bits per byte, the lowest first.

#![expect(
    clippy::inline_always,
    reason = "built for size, each of them would be a call for each value"
)]

use crate::stdx::varint::unzigzag;

/// Takes numbers and bytes from the front of a record. Returns `None` at the end.
#[derive(Debug, Clone)]
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    #[inline(always)]
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline(always)]
    pub fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(u64::from(first));
        }
        self.long_number(u64::from(first & 0x7f))
    }

    #[inline(never)]
    fn long_number(&mut self, mut v: u64) -> Option<u64> {
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            v |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(v);
            }
        }
        None
    }

    #[inline(always)]
    pub fn signed(&mut self) -> Option<i64> {
        self.number().map(unzigzag)
    }

    /// Reads a count of items, each of which takes part of the rest.
    pub fn count(&mut self, max: usize) -> Option<usize> {
        let n = usize::try_from(self.number()?).ok()?;
        (n <= max).then_some(n)
    }

    #[inline]
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.take(len)?).ok()
    }
}
