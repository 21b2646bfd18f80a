//! Reading bits from bytes that may be anything.

#![expect(
    clippy::inline_always,
    reason = "built for size, each of them would be a call for each value"
)]

/// From the highest bit of each byte down. Every read past the end is `None`.
#[derive(Debug)]
pub struct BitReader<'a> {
    rest: &'a [u8],
    /// The next `left` bits, from the highest down; what is below them is what follows in `rest`.
    acc: u64,
    left: u32,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        BitReader {
            rest: bytes,
            acc: 0,
            left: 0,
        }
    }

    /// Takes the next `n` bits, 1 to 64.
    #[inline(always)]
    pub fn bits(&mut self, n: u32) -> Option<u64> {
        if n > self.left {
            if n > 56 {
                return self.many_bits(n);
            }
            self.refill();
            if n > self.left {
                return None;
            }
        }
        let value = self.acc >> (64 - n);
        self.acc = self.acc.checked_shl(n).unwrap_or(0);
        self.left -= n;
        Some(value)
    }

    #[inline(always)]
    pub fn bit(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.refill();
            if self.left == 0 {
                return None;
            }
        }
        let set = self.acc >> 63 == 1;
        self.acc <<= 1;
        self.left -= 1;
        Some(set)
    }

    /// More than a refill guarantees, which is 57.
    #[inline(never)]
    fn many_bits(&mut self, n: u32) -> Option<u64> {
        Some(self.bits(n - 32)? << 32 | self.bits(32)?)
    }

    #[inline(never)]
    fn refill(&mut self) {
        if let Some(word) = self.rest.first_chunk::<8>() {
            let bytes = (64 - self.left) / 8;
            self.acc |= u64::from_be_bytes(*word)
                .checked_shr(self.left)
                .unwrap_or(0);
            self.rest = self.rest.get(bytes as usize..).unwrap_or_default();
            self.left += bytes * 8;
            return;
        }
        while self.left <= 56
            && let Some((byte, rest)) = self.rest.split_first()
        {
            self.acc |= u64::from(*byte) << (56 - self.left);
            self.left += 8;
            self.rest = rest;
        }
    }
}

/// The number of bits that `v` needs.
#[inline]
pub fn width(v: u64) -> u32 {
    64 - v.leading_zeros()
}
