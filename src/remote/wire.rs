//! Protobuf's wire format, read in place (protobuf.dev, "Encoding").

use thiserror::Error;

/// Why bytes are not a message. The texts are those that senders know from Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    #[error("unexpected EOF")]
    Truncated,
    #[error("proto: integer overflow")]
    Overflow,
    #[error("proto: negative length found during unmarshaling")]
    NegativeLength,
    #[error("proto: wrong wireType = {wire} for field {field}")]
    WrongType { wire: u8, field: &'static str },
    #[error("proto: illegal wireType {0}")]
    IllegalType(u8),
    #[error("proto: {message}: wiretype end group for non-group")]
    EndGroup { message: &'static str },
    #[error("proto: {message}: illegal tag {field} (wire type {wire})")]
    IllegalTag {
        message: &'static str,
        field: i32,
        wire: u8,
    },
}

pub const VARINT: u8 = 0;
pub const FIXED64: u8 = 1;
pub const BYTES: u8 = 2;
const GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const FIXED32: u8 = 5;

/// A field's number and the wire type of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    pub field: i32,
    pub wire: u8,
}

/// The rest of a message.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// The message's name, for errors.
    message: &'static str,
}

impl<'a> Reader<'a> {
    pub fn new(message: &'static str, bytes: &'a [u8]) -> Reader<'a> {
        Reader {
            rest: bytes,
            message,
        }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns the next field's tag, or `None` at the end.
    #[inline]
    pub fn tag(&mut self) -> Result<Option<Tag>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let (field, wire) = ((key >> 3) as i32, (key & 7) as u8);
        let message = self.message;
        if wire == END_GROUP {
            return Err(WireError::EndGroup { message });
        }
        if field <= 0 {
            return Err(WireError::IllegalTag {
                message,
                field,
                wire,
            });
        }
        Ok(Some(Tag { field, wire }))
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(WireError::Truncated)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Overflow)
    }

    /// Reads a value that is preceded by its length.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.varint()?;
        if (length as i64) < 0 {
            return Err(WireError::NegativeLength);
        }
        self.take(length)
    }

    #[inline]
    pub fn double(&mut self) -> Result<f64, WireError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(f64::from_le_bytes(*bytes))
    }

    #[inline]
    fn take(&mut self, length: u64) -> Result<&'a [u8], WireError> {
        // NOTE: compared as 64 bits, because a length may not fit an address.
        if length > self.rest.len() as u64 {
            return Err(WireError::Truncated);
        }
        let (taken, rest) = self.rest.split_at(length as usize);
        self.rest = rest;
        Ok(taken)
    }

    /// Skips fields with this one-byte key while their lengths take one byte, as nearly all labels
    /// do. It leaves the field where it stops to be read, or refused.
    #[inline]
    pub fn pass_short(&mut self, key: u8) {
        while let [found, length, rest @ ..] = self.rest {
            if *found != key || *length >= 0x80 {
                return;
            }
            let Some(after) = rest.get(usize::from(*length)..) else {
                return;
            };
            self.rest = after;
        }
    }

    /// Skips an unknown field.
    pub fn skip(&mut self, tag: Tag) -> Result<(), WireError> {
        let mut wire = tag.wire;
        let mut depth = 0usize;
        loop {
            match wire {
                VARINT => drop(self.varint()?),
                FIXED64 => drop(self.take(8)?),
                BYTES => drop(self.bytes()?),
                FIXED32 => drop(self.take(4)?),
                GROUP => depth += 1,
                END_GROUP => depth = depth.saturating_sub(1),
                other => return Err(WireError::IllegalType(other)),
            }
            if depth == 0 {
                return Ok(());
            }
            wire = (self.varint()? & 7) as u8;
        }
    }
}

impl Tag {
    /// Checks the wire type.
    ///
    /// # Errors
    /// The field's value has another wire type.
    #[inline]
    pub fn must_be(self, wire: u8, field: &'static str) -> Result<(), WireError> {
        if self.wire == wire {
            return Ok(());
        }
        let wire = self.wire;
        Err(WireError::WrongType { wire, field })
    }
}
