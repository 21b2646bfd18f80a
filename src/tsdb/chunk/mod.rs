//! Chunks: some hundred samples of one series in a streaming bit encoding.
//!
//! [`Open`] takes samples, [`Chunk`] is what it becomes. Both keep their bits in a [`Pool`], and
//! are copied out and decoded as the same bytes:
//!
//! ```text
//! mode (1 byte) | number of samples (1 byte) | bits, highest first
//! bits: t of the first sample (64) | its value | for each further sample: t, value
//! ```
//!
//! A timestamp is the zigzag difference of two differences `d`: `0` for none, else `10`, `110` or
//! `111` and 7, 14 or 24 bits. Values are written in one of three modes, which holds for the chunk:
//!
//! - *integers*: the zigzag difference of two differences: `0` for none, `10` and as many bits as
//!   last time, `11`, a new width in 6 bits and that many bits. Width 0 escapes to 64 raw bits (a
//!   stale marker, an infinity); after these `0` repeats them, and differences start from zero.
//! - *XOR* (Gorilla, Pelkonen et al. 2015, section 4.1.2): the first value raw; then `0` for the
//!   same, `10` and the bits in the last window, `11`, leading zeros in 5 bits, length less one in
//!   6 bits, and the bits.
//! - *decimals*: the first value raw and a scale in 4 bits; then how many steps it is from the last
//!   value, written as an integer's value is; behind all but `0`, by how many last places the value
//!   is beside that: `0` for none, `10` and a sign for one, `11` and 3 bits. A value that is no
//!   such number gives the chunk another scale, or makes it one of XOR.
//!
//! Owns nothing. **Invariant:** every bit pattern of a value comes back as it was, and no bytes
//! make the decoder panic. Knows no series and no lock.

mod closed;
mod decimal;
mod decode;
mod gather;
mod header;
mod open;
mod pool;

mod window;

#[cfg(test)]
mod tests;

pub(super) use closed::Chunk;
pub(super) use decode::{Corrupt, decode, decode_columns, decode_times};
pub(super) use gather::Gather;
pub(super) use open::{Open, window_start};
pub(super) use pool::Pool;
