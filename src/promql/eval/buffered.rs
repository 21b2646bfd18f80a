//! Rows that are buffered until they are taken.

use std::vec::IntoIter;

use super::row::Row;
use super::rows::Rows;
use super::run::Run;
use crate::promql::QueryError;

/// Rows that are counted as held until they are taken.
pub(super) struct Buffered(IntoIter<Row>);

impl Buffered {
    /// Buffers rows, and counts them.
    ///
    /// # Errors
    /// The query's limits.
    pub fn new(rows: Vec<Row>, run: &mut Run<'_>) -> Result<Buffered, QueryError> {
        for row in &rows {
            run.keep(row)?;
        }
        Ok(Buffered(rows.into_iter()))
    }
}

impl Rows for Buffered {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        let row = Iterator::next(&mut self.0);
        if let Some(row) = &row {
            run.let_go(row);
        }
        Ok(row)
    }
}
