//! Turns a page into a batch of samples, in the order of reference section 5.4.

use super::cache::{Cache, Known, Slot};
use super::error::ScrapeError;
use super::merge::series_labels;
use crate::config::ScrapeConfig;
use crate::exposition::{self, Entry, Format, Parser, Point};
use crate::model::{Labels, LabelsBuilder, SeriesRef, TimestampMs, is_stale_nan};
use crate::stdx::limits::APPEND_AHEAD_MAX_MS;
use crate::storage::{Appendable, Appender, Exemplar};

/// LIMIT: bytes of an exemplar in a page. Storages take 128 characters of labels, which with their
/// framing are fewer bytes.
const EXEMPLAR_BYTES_MAX: usize = 4096;

/// The source and destination of a page.
pub(super) struct Ingest<'a> {
    pub config: &'a ScrapeConfig,
    /// The target's public labels.
    pub target: &'a Labels,
    pub storage: &'a dyn Appendable,
    pub cache: &'a mut Cache,
    pub batch: &'a mut Appender,
    pub builder: &'a mut LabelsBuilder,
    /// The time of samples without one of their own.
    pub t: TimestampMs,
    pub wall_ms: TimestampMs,
    /// Whether the storage keeps exemplars.
    pub exemplars: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Samples in the page.
    pub scraped: u64,
    /// Samples after relabelling, whatever happened to them later.
    pub added: u64,
    pub series_added: u64,
    pub duplicates: u64,
    pub out_of_bounds: u64,
    /// Samples refused because the storage took no new series.
    pub refused: u64,
    /// Samples that count for `sample_limit`.
    limited: u64,
}

impl Ingest<'_> {
    /// Reads a page up to its end or its first fault. After a fault the batch is worthless.
    pub fn page(
        &mut self,
        body: &[u8],
        format: Format,
        counts: &mut Counts,
    ) -> Result<(), ScrapeError> {
        self.cache.begin(format, body);
        let mut parser = Parser::new(body, format);
        loop {
            let rest = body.get(parser.pos()..).unwrap_or_default();
            match self.cache.expected(rest) {
                Some((false, series)) => {
                    if let Some(point) = parser.next_if_series(series)? {
                        let slot = self.cache.met();
                        self.known(slot, &point, counts);
                        continue;
                    }
                }
                Some((true, line)) if parser.next_if_line(line) => {
                    let slot = self.cache.met();
                    self.cache.see_metadata(slot);
                    continue;
                }
                Some((true, _)) | None => {}
            }
            if !self.unexpected(&mut parser, counts)? {
                break;
            }
        }
        if self.over_limit(counts) {
            return Err(ScrapeError::SampleLimit);
        }
        Ok(())
    }

    /// Reads a line that was not expected at its place. Returns false at the end of the page.
    fn unexpected(
        &mut self,
        parser: &mut Parser<'_>,
        counts: &mut Counts,
    ) -> Result<bool, ScrapeError> {
        let at = parser.pos();
        match parser.next()? {
            None => return Ok(false),
            Some(Entry::Comment) => {}
            Some(Entry::Series { series, point }) => match self.cache.find(series) {
                Some(slot) => self.known(slot, &point, counts),
                None => self.new_series(parser, series, &point, counts)?,
            },
            Some(Entry::Help { .. } | Entry::Type { .. } | Entry::Unit { .. }) => {
                let line = parser.line_since(at);
                let slot = match self.cache.find(line) {
                    Some(slot) => slot,
                    None => self
                        .cache
                        .insert_metadata(line)
                        .map_err(|_| ScrapeError::CacheTooLarge)?,
                };
                self.cache.see_metadata(slot);
            }
        }
        Ok(true)
    }

    #[inline]
    fn known(&mut self, slot: Slot, point: &Point<'_>, counts: &mut Counts) {
        counts.scraped += 1;
        let stamp = point.t.filter(|_| self.config.honor_timestamps);
        match self.cache.see(slot) {
            Known::Dropped => {}
            Known::Again(_) if stamp.is_none() => {
                // The first of a page wins.
                counts.added += 1;
                counts.duplicates += 1;
            }
            Known::Series { series, fresh } => {
                counts.series_added += u64::from(fresh && !self.over_limit(counts));
                counts.added += 1;
                counts.limited += u64::from(!is_stale_nan(point.v));
                self.sample(slot, series, stamp, point, counts);
            }
            Known::Again(series) => {
                counts.added += 1;
                counts.limited += u64::from(!is_stale_nan(point.v));
                self.sample(slot, series, stamp, point, counts);
            }
        }
    }

    fn new_series(
        &mut self,
        parser: &mut Parser<'_>,
        text: &[u8],
        point: &Point<'_>,
        counts: &mut Counts,
    ) -> Result<(), ScrapeError> {
        counts.scraped += 1;
        let (kind, format) = (parser.kind(), self.cache.format());
        exposition::labels(text, format, kind, self.builder)?;
        let Some(labels) = series_labels(self.config, self.target, self.builder)? else {
            self.cache
                .insert_series(text, kind, None)
                .map_err(|_| ScrapeError::CacheTooLarge)?;
            return Ok(());
        };
        counts.added += 1;
        counts.limited += 1;
        // Lines beyond the limit are only counted; they make no series.
        if self.over_limit(counts) {
            return Ok(());
        }
        let Ok(series) = self.storage.resolve(&labels) else {
            counts.refused += 1;
            return Ok(());
        };
        let slot = self
            .cache
            .insert_series(text, kind, Some(series))
            .map_err(|_| ScrapeError::CacheTooLarge)?;
        counts.series_added += 1;
        let stamp = point.t.filter(|_| self.config.honor_timestamps);
        self.sample(slot, series, stamp, point, counts);
        Ok(())
    }

    #[inline]
    fn sample(
        &mut self,
        slot: Slot,
        series: SeriesRef,
        stamp: Option<TimestampMs>,
        point: &Point<'_>,
        counts: &mut Counts,
    ) {
        if stamp.is_some_and(|t| t > self.wall_ms + APPEND_AHEAD_MAX_MS) {
            counts.out_of_bounds += 1;
            return;
        }
        let t = stamp.unwrap_or(self.t);
        self.batch.append(series, t, point.v);
        if let Some(raw) = point.exemplar.filter(|_| self.exemplars) {
            self.exemplar(series, raw, t);
        }
        if stamp.is_none() || self.config.track_timestamps_staleness {
            self.cache.track(slot);
        }
    }

    /// Adds an exemplar. Without a time of its own it has its sample's. A fault in it affects only
    /// itself.
    fn exemplar(&mut self, series: SeriesRef, raw: &[u8], t: TimestampMs) {
        if raw.len() > EXEMPLAR_BYTES_MAX {
            return;
        }
        if let Ok(read) = exposition::parse_exemplar(raw) {
            let exemplar = Exemplar {
                labels: read.labels,
                v: read.v,
                t: read.t.unwrap_or(t),
                timed: read.t.is_some(),
            };
            self.batch.append_exemplar(series, exemplar);
        }
    }

    fn over_limit(&self, counts: &Counts) -> bool {
        self.config.sample_limit > 0 && counts.limited > self.config.sample_limit
    }
}
