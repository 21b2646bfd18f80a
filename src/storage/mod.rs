//! The storage as the other rooms see it: appending by batch, selecting by matchers.
//!
//! Owns nothing: traits and plain values. `tsdb` implements them; scrape, rules, web and PromQL use
//! them. **Invariant:** knows no file, no lock, no encoding.

mod append;
mod exemplar;
mod merge;
mod query;

pub use append::{
    Appendable, Appender, Committed, ExemplarFault, Fault, Pending, Refused, RefusedExemplar,
};
pub use exemplar::{Exemplar, ExemplarQueryable, PendingExemplar, SeriesExemplars};
pub use merge::{merge_sets, read_parts, read_parts_columns, read_parts_times};
pub use query::{Columns, Querier, Queryable, SelectHints, Series, SeriesSet, StorageError, Times};
