//! Tests of the room: the decoder against `prost`, the receiver against a storage double.

mod decoding;
mod messages;
mod receiving;
