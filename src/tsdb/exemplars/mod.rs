//! Exemplars: a ring in memory, of which the log has a copy.
//!
//! Owns the ring, behind one lock that is taken after the log's and held while no other is asked
//! for. The ring has room for as many exemplars as the configuration says, of all series together;
//! a new one takes the place of the oldest. It takes memory only as exemplars come, and none when
//! it is empty. A series is here as long as it has an exemplar, whatever the head knows of it.
//! **Invariant:** knows no file, no head and no thread.

mod store;

mod metrics;
mod ring;
mod table;

#[cfg(test)]
mod tests;

pub(super) use store::{Exemplars, Named};
