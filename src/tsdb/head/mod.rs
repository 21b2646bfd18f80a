//! The head: all series that are being appended to, in memory.
//!
//! Owns its data behind one lock ([`Head`]): the slab of series, the index of label pairs, the
//! table from labels to series, and the list of live views. The lock is held for a batch, for
//! matching a selection, and for copying the chunks of a few series. It is never held while samples
//! are decoded, labels sorted or anything is waited for. A panic under it closes the head for good,
//! since half a batch must not live on unnoticed.
//!
//! A *view* is what a query sees: the state after some commit. It costs nothing until something is
//! appended that it must not see (see [`views`]).
//!
//! **Invariant:** knows no file and no thread.

mod lock;

mod append;
mod query;

mod lookup;
mod series_batch;

mod floors;
mod flush;
mod gc;
mod late;
mod stats;

mod matching;
mod seen;
mod snapshot;
mod views;

mod index;
mod series;
mod slab;
mod values;

#[cfg(test)]
pub(super) mod tests;

pub(super) use append::{AHEAD_MAX_MS, Appended};
pub(super) use flush::{Flush, Release};
pub(super) use lock::{Blocks, Head};
pub(super) use lookup::Lookup;
pub(super) use query::HeadQuerier;
pub(super) use series_batch::{HeadSeries, HeadSet, Selection};
pub use stats::{Cardinality, Counted, HeadStats};
