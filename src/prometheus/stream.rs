//! Streams of series with their samples, from any source.

use std::cmp::Ordering;

use super::block::sort_by_time;
use super::error::PromError;
use crate::model::{Labels, Matcher, Sample, TimestampMs};
use crate::storage::{Querier, SelectHints, SeriesSet};

pub type LabelledSamples = (Labels, Vec<Sample>);

/// Series in order of labels, none twice.
pub trait SeriesStream {
    fn next(&mut self) -> Result<Option<LabelledSamples>, PromError>;
}

/// The series of a querier that match any of several sets of matchers.
pub struct QuerierStream {
    merged: Merged<'static>,
}

impl QuerierStream {
    pub fn new(
        querier: &dyn Querier,
        start: TimestampMs,
        end: TimestampMs,
        selectors: &[Vec<Matcher>],
    ) -> Result<QuerierStream, PromError> {
        let hints = SelectHints {
            start,
            end,
            ..SelectHints::default()
        };
        let mut streams: Vec<Box<dyn SeriesStream>> = Vec::new();
        for matchers in selectors {
            let set = querier.select(&hints, matchers).map_err(PromError::sink)?;
            streams.push(Box::new(Selected { set, start, end }));
        }
        Ok(QuerierStream {
            merged: Merged::new(streams),
        })
    }
}

impl SeriesStream for QuerierStream {
    fn next(&mut self) -> Result<Option<LabelledSamples>, PromError> {
        self.merged.next()
    }
}

struct Selected {
    set: Box<dyn SeriesSet>,
    start: TimestampMs,
    end: TimestampMs,
}

impl SeriesStream for Selected {
    fn next(&mut self) -> Result<Option<LabelledSamples>, PromError> {
        let Some(series) = self.set.next() else {
            return Ok(None);
        };
        let series = series.map_err(PromError::sink)?;
        let mut samples = Vec::new();
        let read = series.read(self.start, self.end, &mut samples);
        read.map_err(PromError::sink)?;
        Ok(Some((series.labels(), samples)))
    }
}

/// Merges several streams. Of samples at the same time the first stream's wins.
pub struct Merged<'a> {
    streams: Vec<Box<dyn SeriesStream + 'a>>,
    /// The next series of each stream; empty before the first.
    heads: Vec<Option<LabelledSamples>>,
}

impl<'a> Merged<'a> {
    pub fn new(streams: Vec<Box<dyn SeriesStream + 'a>>) -> Merged<'a> {
        Merged {
            streams,
            heads: Vec::new(),
        }
    }
}

impl SeriesStream for Merged<'_> {
    fn next(&mut self) -> Result<Option<LabelledSamples>, PromError> {
        if self.heads.is_empty() {
            for stream in &mut self.streams {
                self.heads.push(stream.next()?);
            }
        }
        let heads = self.heads.iter().flatten();
        let Some(least) = heads.map(|(labels, _)| labels).min().cloned() else {
            return Ok(None);
        };
        let mut all = Vec::new();
        for (head, stream) in self.heads.iter_mut().zip(&mut self.streams) {
            if let Some((_, samples)) = head.take_if(|(labels, _)| *labels == least) {
                all.extend(samples);
                *head = stream.next()?;
            }
        }
        sort_by_time(&mut all);
        Ok(Some((least, all)))
    }
}

/// The part of a stream that matches any of the selectors, within an inclusive range.
pub struct Filtered<'a, S> {
    pub stream: S,
    pub selectors: &'a [Vec<Matcher>],
    pub start: TimestampMs,
    pub end: TimestampMs,
}

impl<S: SeriesStream> SeriesStream for Filtered<'_, S> {
    fn next(&mut self) -> Result<Option<LabelledSamples>, PromError> {
        while let Some((labels, mut samples)) = self.stream.next()? {
            samples.retain(|s| self.start <= s.t && s.t <= self.end);
            if !samples.is_empty() && matches_any(self.selectors, &labels) {
                return Ok(Some((labels, samples)));
            }
        }
        Ok(None)
    }
}

pub fn matches_any(selectors: &[Vec<Matcher>], labels: &Labels) -> bool {
    let matches = |m: &Matcher| m.matches(labels.get(&m.name).unwrap_or(""));
    selectors.iter().any(|all| all.iter().all(matches))
}

/// Compares by number, descending, then by name.
pub fn by_number(a: &(u64, String), b: &(u64, String)) -> Ordering {
    b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1))
}
