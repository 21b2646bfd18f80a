//! The bits that the decoder reads: many at a time, with one check for the end per sample.

#![expect(
    clippy::inline_always,
    reason = "built for size, each of them would be a call for each value"
)]

/// Reads bits from the highest of each byte down. Behind the end it reads zeros, so call
/// [`Bits::is_over`] before what was read is trusted.
#[derive(Debug)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// The number of the next bit.
    at: usize,
}

/// The least number of bits in a window.
pub const WINDOW_BITS: u32 = 57;

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Bits { bytes, at: 0 }
    }

    /// Returns the next bits, the first one highest.
    #[inline(always)]
    pub fn window(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(word) => u64::from_be_bytes(*word),
            None => last_word(rest),
        };
        word << (self.at % 8)
    }

    #[inline(always)]
    pub fn skip(&mut self, n: u32) {
        self.at += n as usize;
    }

    /// Takes the next `n` bits, 1 to 64.
    #[inline]
    pub fn take(&mut self, n: u32) -> u64 {
        if n > WINDOW_BITS {
            let high = self.take(n - 32);
            return high << 32 | self.take(32);
        }
        let bits = self.window() >> (64 - n);
        self.skip(n);
        bits
    }

    /// Whether more was read than there is.
    #[inline(always)]
    pub fn is_over(&self) -> bool {
        self.at > self.bytes.len() * 8
    }

    /// The number of bits left.
    #[inline(always)]
    pub fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }
}

/// Reads a word from fewer than eight bytes.
#[cold]
fn last_word(rest: &[u8]) -> u64 {
    let bytes = rest.iter().zip((0..8u32).rev());
    bytes.fold(0, |word, (byte, place)| {
        word | u64::from(*byte) << (place * 8)
    })
}
