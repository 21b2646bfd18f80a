//! The storage as the other rooms see it: appending by batch, selecting by matchers.
//!
//! Owns nothing: traits and plain values. `tsdb` implements them; scrape, rules, web and PromQL use
//! them. **Invariant:** knows no file, no lock, no encoding.

mod append;
mod exemplar;
mod merge;
mod parts;
mod query;
mod refused;
mod spans;

pub use append::{Appendable, Appender, Committed, Pending};
pub use exemplar::{Exemplar, ExemplarQueryable, PendingExemplar, SeriesExemplars};
pub use merge::merge_sets;
pub use parts::{Parts, Whole};
pub use query::{Columns, Querier, Queryable, SelectHints, Series, SeriesSet, StorageError, Times};
pub use refused::{
    ExemplarFault, Fault, FirstRefused, Refused, RefusedExemplar, SERIES_TEXT_BYTES_MAX, TOO_NEW,
    series_text, shortened,
};
pub use spans::Spans;
