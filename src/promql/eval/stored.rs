//! A selection from the storage, read series by series.

use super::evaluator::Evaluation;
use super::run::Run;
use crate::model::{Matcher, Sample, TimestampMs};
use crate::promql::error::QueryError;
use crate::storage::{Series, SeriesSet};

/// The series of a selector with their samples, one after another.
pub struct Stored {
    set: Box<dyn SeriesSet>,
    /// Inclusive, like `end`.
    start: TimestampMs,
    end: TimestampMs,
    /// The size of the buffer that was read into.
    bytes_held: usize,
}

impl Stored {
    /// Selects what matches between `start` and `end`, both inclusive.
    pub fn open(
        evaluation: &Evaluation,
        matchers: &[Matcher],
        (start, end): (TimestampMs, TimestampMs),
        run: &mut Run<'_>,
    ) -> Result<Stored, QueryError> {
        Ok(Stored {
            set: evaluation.select(matchers, (start, end), false, run)?,
            start,
            end,
            bytes_held: 0,
        })
    }

    /// Returns the next series that has samples, and replaces those in `samples`.
    pub fn next(
        &mut self,
        samples: &mut Vec<Sample>,
        run: &mut Run<'_>,
    ) -> Result<Option<Box<dyn Series>>, QueryError> {
        while let Some(series) = self.set.next() {
            run.check()?;
            let series = series?;
            samples.clear();
            series.read(self.start, self.end, samples)?;
            if !samples.is_empty() {
                run.statistics.decoded_samples += samples.len() as u64;
                self.hold(samples, run)?;
                return Ok(Some(series));
            }
        }
        run.release(0, self.bytes_held);
        self.bytes_held = 0;
        Ok(None)
    }

    fn hold(&mut self, samples: &Vec<Sample>, run: &mut Run<'_>) -> Result<(), QueryError> {
        let bytes = samples.capacity() * size_of::<Sample>();
        let more = bytes.saturating_sub(self.bytes_held);
        if more > 0 {
            run.hold(0, more)?;
            self.bytes_held = bytes;
        }
        Ok(())
    }
}
