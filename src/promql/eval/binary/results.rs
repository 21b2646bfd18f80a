//! The results of a join so far: one series per label set.

use super::steps::Steps;
use crate::promql::QueryError;
use crate::promql::eval::buffered::Buffered;
use crate::promql::eval::projection::{Groups, Projection};
use crate::promql::eval::{Row, Run, is_absent};

const SAME_MATCH: &str = "multiple matches for labels: grouping labels must ensure unique matches";
const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

pub(super) struct Results {
    index: Groups,
    rows: Vec<Made>,
    bytes: usize,
}

struct Made {
    row: Row,
    /// The first signature that made it.
    signature: usize,
    /// The steps at which series met, kept or filtered away; `None` where all are kept.
    met: Option<Steps>,
}

impl Results {
    pub fn new() -> Results {
        Results {
            index: Groups::new(Projection::all()),
            rows: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds a result.
    ///
    /// # Errors
    /// A limit; another result of the same labels has a value at the same step.
    pub fn add(
        &mut self,
        row: Row,
        signature: usize,
        met: Option<Steps>,
        run: &mut Run<'_>,
    ) -> Result<(), QueryError> {
        let number = self.index.number(&row.labels);
        let Some(made) = self.rows.get_mut(number) else {
            let labels = 2 * row.labels.heap_bytes();
            let bytes = size_of::<Made>() + labels + row.values.capacity() * size_of::<f64>();
            self.bytes += bytes;
            run.hold(0, bytes)?;
            self.rows.push(Made {
                row,
                signature,
                met,
            });
            return Ok(());
        };
        let mut twice = false;
        for (v, new) in made.row.values.iter_mut().zip(&row.values) {
            twice |= !is_absent(*v) & !is_absent(*new);
            *v = if is_absent(*new) { *v } else { *new };
        }
        if let (Some(known), Some(met)) = (&mut made.met, &met) {
            twice |= known.unite(met) && made.signature == signature;
        }
        made.row.drops_name |= row.drops_name;
        if !twice {
            return Ok(());
        }
        let text = if made.signature == signature {
            SAME_MATCH
        } else {
            SAME_LABELS
        };
        Err(QueryError::Execution(text.to_owned()))
    }

    /// Returns the results.
    ///
    /// # Errors
    /// A limit.
    pub fn finish(self, run: &mut Run<'_>) -> Result<Buffered, QueryError> {
        run.release(0, self.bytes);
        let has_values = |row: &Row| row.values.iter().any(|v| !is_absent(*v));
        let rows = self.rows.into_iter().map(|made| made.row);
        Buffered::new(rows.filter(has_values).collect(), run)
    }
}
