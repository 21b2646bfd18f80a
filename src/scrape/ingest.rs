//! Turns a page into a batch of samples, in the order of reference section 5.4.

use super::cache::{Cache, Known, Slot};
use super::error::ScrapeError;
use super::merge::series_labels;
use super::refusals::{Case, Kind, NoSeries, Refusals};
use crate::config::ScrapeConfig;
use crate::exposition::{self, Entry, Format, Parser, Point};
use crate::model::{Labels, LabelsBuilder, SeriesRef, TimestampMs, is_stale_nan};
use crate::stdx::limits::APPEND_AHEAD_MAX_MS;
use crate::storage::{Appendable, Appender, Exemplar, Pending, TOO_NEW};

/// LIMIT: bytes of an exemplar in a page. Storages take 128 characters of labels, which with their
/// framing are fewer bytes.
const EXEMPLAR_BYTES_MAX: usize = 4096;

/// The words for a line that a page has twice.
const DUPLICATE: &str = "duplicate sample within the page";

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

#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Samples in the page.
    pub scraped: u64,
    /// Samples after relabelling, whatever happened to them later.
    pub added: u64,
    pub series_added: u64,
    pub refusals: Refusals,
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
            Known::Again(series) if stamp.is_none() => {
                // The first of a page wins.
                counts.added += 1;
                let (t, v) = (self.t, point.v);
                counts.refusals.add(Kind::Duplicate, 1, || {
                    Case::Sample(DUPLICATE, Pending { series, t, v })
                });
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
        let stamp = point.t.filter(|_| self.config.honor_timestamps);
        let series = match self.storage.resolve(&labels) {
            Ok(series) => series,
            Err(why) => {
                let (t, v) = (stamp.unwrap_or(self.t), point.v);
                let case = NoSeries { why, labels, t, v };
                counts
                    .refusals
                    .add(Kind::NoSeries, 1, || Case::NoSeries(case));
                return Ok(());
            }
        };
        let slot = self
            .cache
            .insert_series(text, kind, Some(series))
            .map_err(|_| ScrapeError::CacheTooLarge)?;
        counts.series_added += 1;
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
        let t = stamp.unwrap_or(self.t);
        if stamp.is_some() && t > self.wall_ms + APPEND_AHEAD_MAX_MS {
            let v = point.v;
            counts.refusals.add(Kind::OutOfBounds, 1, || {
                Case::Sample(TOO_NEW, Pending { series, t, v })
            });
            return;
        }
        self.batch.append(series, t, point.v);
        if let Some(raw) = point.exemplar.filter(|_| self.exemplars) {
            self.exemplar(series, raw, t, counts);
        }
        if stamp.is_none() || self.config.track_timestamps_staleness {
            self.cache.track(slot);
        }
    }

    /// Adds an exemplar. Without a time of its own it has its sample's. A fault in it affects only
    /// itself.
    fn exemplar(&mut self, series: SeriesRef, raw: &[u8], t: TimestampMs, counts: &mut Counts) {
        let mut refuse = |why: &dyn Fn() -> String| {
            let case = || Case::InvalidExemplar(why(), series, t);
            counts.refusals.add(Kind::Exemplar, 1, case);
        };
        if raw.len() > EXEMPLAR_BYTES_MAX {
            let bytes = raw.len();
            return refuse(&|| {
                format!("exemplar of {bytes} bytes, {EXEMPLAR_BYTES_MAX} at most are read")
            });
        }
        match exposition::parse_exemplar(raw) {
            Ok(read) => {
                let exemplar = Exemplar {
                    labels: read.labels,
                    v: read.v,
                    t: read.t.unwrap_or(t),
                    timed: read.t.is_some(),
                };
                self.batch.append_exemplar(series, exemplar);
            }
            Err(e) => refuse(&|| format!("exemplar that is not valid: {e}")),
        }
    }

    fn over_limit(&self, counts: &Counts) -> bool {
        self.config.sample_limit > 0 && counts.limited > self.config.sample_limit
    }
}
