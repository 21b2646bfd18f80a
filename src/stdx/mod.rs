//! What the standard library lacks for this house: threads with an owner, stopping, mailboxes, time
//! as an argument, a pace for the log, small sorts, bits and numbers, atomics, Go's number formats,
//! limits.
//!
//! Owns only the process-wide hook that a panicking thread reports to.
//! **Invariant:** knows no room of Ferula.

pub mod append;
pub mod atomic;
pub mod bits;
pub mod bugs;
pub mod clock;
pub mod cursor;
pub mod gofloat;
pub mod gofmt;
pub mod gourl;
pub mod limits;
pub mod locked;
pub mod mailbox;
pub mod memory;
pub mod pacer;
pub mod sort;
pub mod stop;
#[cfg(test)]
pub mod testing;
pub mod thread;
pub mod varint;
