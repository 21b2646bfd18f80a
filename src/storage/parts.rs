//! Reads a series in several parts as one.

use std::borrow::Cow;

use super::{Columns, Series, Spans, StorageError, Times};
use crate::model::{Labels, Sample, TimestampMs};

/// The parts of one series.
pub trait Parts: Send {
    /// Returns a part that has the labels.
    fn named(&self) -> Option<&dyn Series>;

    /// Yields all parts. Of samples at the same time, the last part's counts. NOTE: mostly each
    /// part ends before the next begins.
    fn oldest_first(&self) -> impl Iterator<Item = &dyn Series> + Clone;
}

/// A series that is read from its parts.
pub struct Whole<P>(pub P);

impl<P: Parts> Series for Whole<P> {
    fn labels(&self) -> Labels {
        Labels::of_pushed(&self.text())
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.named().map_or(Cow::Borrowed(""), Series::text)
    }

    fn read(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Vec<Sample>,
    ) -> Result<(), StorageError> {
        let before = out.len();
        let mut sorted = true;
        for part in self.0.oldest_first() {
            let at = out.len();
            part.read(start, end, out)?;
            let (old, new) = out.split_at(at);
            let old = old.get(before..).unwrap_or_default();
            sorted &= old.last().zip(new.first()).is_none_or(|(a, b)| a.t < b.t);
        }
        if !sorted {
            // NOTE: stable, so that of samples at one time that of the part that counts most comes
            // last. Fast, since the input is a few sorted runs.
            let mut new = out.split_off(before);
            new.sort_by_key(|s| s.t);
            new.dedup_by(|next, kept| {
                let same = next.t == kept.t;
                if same {
                    *kept = *next;
                }
                same
            });
            out.append(&mut new);
        }
        Ok(())
    }

    fn read_columns(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Columns,
    ) -> Result<(), StorageError> {
        let before = out.len();
        for part in self.0.oldest_first() {
            let at = out.len();
            part.read_columns(start, end, out)?;
            if overlaps(&out.times, before, at) {
                out.truncate(before);
                let mut samples = Vec::new();
                self.read(start, end, &mut samples)?;
                out.extend(samples);
                break;
            }
        }
        Ok(())
    }

    fn read_times(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Times,
    ) -> Result<(), StorageError> {
        let before = out.times.len();
        for part in self.0.oldest_first() {
            let at = out.times.len();
            part.read_times(start, end, out)?;
            if overlaps(&out.times, before, at) {
                out.truncate(before);
                let mut samples = Vec::new();
                self.read(start, end, &mut samples)?;
                out.extend(&samples);
                break;
            }
        }
        Ok(())
    }

    fn read_spans(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Spans,
    ) -> Result<(), StorageError> {
        for part in self.0.oldest_first() {
            part.read_spans(start, end, out)?;
        }
        Ok(())
    }
}

/// Whether the samples in `times` from `at` on begin before the end of those from `before` on.
fn overlaps(times: &[TimestampMs], before: usize, at: usize) -> bool {
    let (old, new) = times.split_at(at);
    let old = old.get(before..).unwrap_or_default();
    old.last().zip(new.first()).is_some_and(|(a, b)| a >= b)
}
