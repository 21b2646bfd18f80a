//! YAML as Prometheus's Go library reads and writes it, on `serde_yaml`.
//!
//! Owns nothing. A text becomes a tree whose scalars keep their literal text (`1.10`, `0x10`,
//! `yes`), with merge keys resolved by one of Go's two rules. Whoever asks for a scalar decides
//! what it means. Every node and key has a number, by which a second parse finds its line; that
//! runs only when something is wrong. **Invariant:** knows no schema.

mod emit;
mod encoding;
mod guard;
mod lines;
mod node;
mod scalar;

#[cfg(test)]
mod tests;

pub(super) use emit::{Out, emit};
pub use encoding::decode;
pub(super) use lines::lines;
pub(super) use node::{Key, Kind, Merge, Node, SyntaxError, parse};
pub(super) use scalar::{cut_to_int, cut_to_uint, is_quoted, to_bool, to_float, to_int};
