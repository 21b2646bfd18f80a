//! Streams of an intermediate result's series.

use super::row::Row;
use super::run::Run;
use crate::promql::QueryError;

/// Gives series one after another, in any order. No two have the same labels (apart from
/// `drops_name`) unless the implementation says so.
pub trait Rows {
    /// Returns the next series. It must not be called again after an error.
    ///
    /// # Errors
    /// A limit, the query's cancellation, or the storage.
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError>;

    /// Called before the first row by a consumer that takes each step's values apart. A series may
    /// then come as several rows that share no step.
    fn take_parts(&mut self) {}
}

impl Rows for std::vec::IntoIter<Row> {
    fn next(&mut self, _: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        Ok(Iterator::next(self))
    }
}
