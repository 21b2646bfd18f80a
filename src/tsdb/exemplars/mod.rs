//! Exemplars: a ring in memory, with a copy in the log.
//!
//! Owns the ring, behind one lock. It is taken after the log's, and no other is asked for while it
//! is held. The configuration says how many exemplars the ring has room for, over all series. A new
//! one replaces the oldest. The ring takes memory only as exemplars come, and none when empty. A
//! series is here as long as it has an exemplar, whether the head knows it or not.
//! **Invariant:** knows no file, no head and no thread.

mod store;

mod metrics;
mod ring;
mod table;

#[cfg(test)]
mod tests;

pub(super) use store::{Exemplars, Named};
