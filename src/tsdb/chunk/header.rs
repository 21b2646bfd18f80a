//! The first bytes of a chunk.

/// Mode and number of samples.
pub const HEADER_BYTES: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Integer,
    Xor,
    Decimal,
}

impl Mode {
    pub fn from_byte(byte: u8) -> Option<Mode> {
        match byte {
            0 => Some(Mode::Integer),
            1 => Some(Mode::Xor),
            2 => Some(Mode::Decimal),
            _ => None,
        }
    }
}
