//! A cursor over untrusted bytes.

use super::varint::unzigzag;

/// Takes from the front. `None` means that the end came too soon, or that a number has more than 64
/// bits.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    #[inline]
    pub fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        let last = self.byte()?;
        (last <= 1).then_some(value | u64::from(last) << 63)
    }

    /// Undoes [`zigzag`](super::varint::zigzag).
    pub fn signed(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    pub fn size(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    pub fn small(&mut self) -> Option<u32> {
        u32::try_from(self.varint()?).ok()
    }

    /// The lowest byte comes first.
    pub fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64_le(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The highest byte comes first.
    pub fn u16_be(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32_be(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u64_be(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*first)
    }

    /// Reads a text that is preceded by its length.
    pub fn text(&mut self) -> Option<&'a str> {
        let len = self.size()?;
        std::str::from_utf8(self.take(len)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::varint::{put_signed, put_varint};
    use super::*;

    #[test]
    fn numbers_come_back() {
        for v in [0, 1, 127, 128, 300, u64::MAX / 2, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, v);
            put_signed(&mut out, v as i64);
            let mut cursor = Cursor::new(&out);
            assert_eq!(cursor.varint(), Some(v));
            assert_eq!(cursor.signed(), Some(v as i64));
            assert_eq!(cursor.byte(), None);
        }
        let too_large = [255, 255, 255, 255, 255, 255, 255, 255, 255, 2];
        for wrong in [&[0x80; 11][..], &[0x80, 0x80], &too_large] {
            assert_eq!(Cursor::new(wrong).varint(), None);
        }
        let (le, be) = ([1, 0, 0, 0], [0, 0, 0, 1]);
        assert_eq!(Cursor::new(&le).u32_le(), Some(1));
        assert_eq!(Cursor::new(&be).u32_be(), Some(1));
        assert_eq!(Cursor::new(&be).u64_be(), None);
    }
}
