//! Atomic numbers of 64 bits for every processor.
//!
//! 32-bit MIPS and PowerPC and old ARM have none of their own; there `portable-atomic` makes them
//! of short locks. All others get the standard library's. `tests/tidy.rs` holds every file to
//! this one.

#[cfg(not(target_has_atomic = "64"))]
pub use portable_atomic::{AtomicI64, AtomicU64};
#[cfg(target_has_atomic = "64")]
pub use std::sync::atomic::{AtomicI64, AtomicU64};

pub use std::sync::atomic::Ordering;
