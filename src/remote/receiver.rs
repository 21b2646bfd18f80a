//! The receiver: checks, decompresses, decodes, commits.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cache::{Cache, Key, Place};
use super::error::WriteError;
use super::labels;
use super::media_type::AcceptedMessages;
use super::metrics::ReceiverMetrics;
use super::scratch::{DECODED_BYTES_MAX, Run, Scratch, Scratches};
use super::series::{RawExemplar, SeriesMessage, WriteRequest};
use super::wire::WireError;
use crate::metrics::Registry;
use crate::model::{Labels, SeriesRef, TimestampMs};
use crate::stdx::clock::Clock;
use crate::storage::{Appendable, Appender, Committed, Exemplar, Fault};

/// Samples that are dated further ahead are refused, as in Prometheus.
const AHEAD_MAX_MS: i64 = 10 * 60 * 1000;

/// LIMIT: samples in one batch: 1.5 MiB. A request with more, thirty times the usual, is committed
/// in parts, so that 32 MiB of tiny samples do not become hundreds in memory.
const BATCH_SAMPLES_MAX: usize = 1 << 16;

/// LIMIT: exemplars in one batch, for the same reason. One series' message with more, which is more
/// than storages keep of a series, loses the rest.
const BATCH_EXEMPLARS_MAX: usize = 1 << 14;

/// LIMIT: how often samples are appended to series that went away meanwhile. Once is rare.
const GONE_TURNS_MAX: usize = 3;

/// Complaints about what senders send are logged at most once in this time.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// What a receiver is made with.
pub struct Options {
    pub storage: Arc<dyn Appendable>,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    pub accepted: AcceptedMessages,
}

/// Takes requests from any number of threads.
pub struct Receiver {
    storage: Arc<dyn Appendable>,
    clock: Arc<dyn Clock>,
    accepted: AcceptedMessages,
    metrics: ReceiverMetrics,
    scratches: Scratches,
    /// ORDER: held while series are resolved, which takes the storage's lock; never during a
    /// commit, which may wait for the disk.
    cache: Mutex<Cache>,
    /// When the next complaint may be logged, in seconds of the monotonic clock.
    complain_at: AtomicU64,
}

/// What became of a request's samples.
#[derive(Debug, Default)]
struct Tally {
    samples: u64,
    too_new: u64,
    unordered: u64,
    invalid_labels: u64,
    exemplars_dropped: u64,
    exemplars_out_of_order: u64,
    histograms: u64,
    metadata: u64,
    resolved: u64,
    refused: Option<Fault>,
}

/// One request's constants.
#[derive(Debug, Clone, Copy)]
struct Turn {
    number: u32,
    newest: TimestampMs,
    /// Whether the storage keeps exemplars.
    exemplars: bool,
    /// Whether it takes late samples.
    late: bool,
}

impl Receiver {
    pub fn new(options: Options) -> Receiver {
        Receiver {
            storage: options.storage,
            clock: options.clock,
            accepted: options.accepted,
            metrics: ReceiverMetrics::new(&options.registry),
            scratches: Scratches::default(),
            cache: Mutex::new(Cache::new()),
            complain_at: AtomicU64::new(0),
        }
    }

    /// Stores a request's samples: `encoding` and `content_type` are its headers.
    ///
    /// # Errors
    /// See [`WriteError`]: faults of single samples leave the others stored; otherwise nothing of
    /// the request was, unless it was so large that it was committed in parts.
    pub fn receive(
        &self,
        encoding: Option<&str>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<(), WriteError> {
        // ORDER: of these checks is Prometheus's.
        if let Some(other) = encoding.filter(|e| !matches!(*e, "" | "snappy")) {
            return Err(WriteError::Encoding(other.to_owned()));
        }
        let bytes = snap::raw::decompress_len(body).map_err(|_| WriteError::Snappy)?;
        if bytes > DECODED_BYTES_MAX {
            return Err(WriteError::TooLarge(DECODED_BYTES_MAX));
        }
        self.scratches.lend(bytes, |scratch| {
            // NOTE: taken out, so that the rest of the buffers can be changed while it is read.
            let mut decoded = std::mem::take(&mut scratch.decoded);
            let stored = self.decode(body, decoded.get_mut(..bytes), content_type, scratch);
            scratch.decoded = decoded;
            stored
        })
    }

    fn decode(
        &self,
        body: &[u8],
        decoded: Option<&mut [u8]>,
        content_type: Option<&str>,
        scratch: &mut Scratch,
    ) -> Result<(), WriteError> {
        let decoded = decoded.ok_or(WriteError::Snappy)?;
        let read = snap::raw::Decoder::new().decompress(body, decoded);
        read.map_err(|_| WriteError::Snappy)?;
        self.accepted.check(content_type)?;
        let mut tally = Tally::default();
        let stored = self.store(decoded, scratch, &mut tally);
        self.count(&tally);
        if tally.exemplars_out_of_order > 0 {
            self.complain("remote write: exemplars are out of order");
        }
        stored?;
        tally.fault().map_or(Ok(()), Err)
    }

    fn store(
        &self,
        decoded: &[u8],
        scratch: &mut Scratch,
        tally: &mut Tally,
    ) -> Result<(), WriteError> {
        let turn = Turn {
            number: self.cache().begin(self.clock.mono()),
            newest: self.clock.wall_ms().saturating_add(AHEAD_MAX_MS),
            exemplars: self.storage.takes_exemplars(),
            late: self.storage.takes_late(),
        };
        let mut request = WriteRequest::new(decoded);
        loop {
            scratch.batch.clear();
            scratch.runs.clear();
            let whole = self.fill(&mut request, turn, scratch, tally)?;
            tally.metadata = request.metadata;
            if !scratch.batch.is_empty() {
                self.commit(decoded, scratch, tally)?;
            }
            if whole {
                return Ok(());
            }
        }
    }

    /// Collects samples until the request ends, which is `true`, or the batch is full.
    fn fill(
        &self,
        request: &mut WriteRequest<'_>,
        turn: Turn,
        scratch: &mut Scratch,
        tally: &mut Tally,
    ) -> Result<bool, WriteError> {
        let mut cache = self.cache();
        while let Some((at, message)) = request.next_series()? {
            let series = SeriesMessage::look_through(message)?;
            // NOTE: those that are stored are taken off again.
            tally.exemplars_dropped += u64::from(series.exemplars);
            tally.histograms += u64::from(series.histograms);
            let fields = series.labels(&mut scratch.joined)?;
            let key = cache.key(fields);
            let place = match cache.find(key) {
                None => self.learn(&mut cache, key, fields, series.samples > 0, turn, tally)?,
                known => known,
            };
            let Some(entry) = place.and_then(|place| cache.at(place)) else {
                continue;
            };
            let Some(reference) = entry.series() else {
                tally.invalid_labels += 1;
                continue;
            };
            let first = scratch.batch.samples.len() as u32;
            let mut samples = series.samples();
            while let Some(sample) = samples.next()? {
                if sample.t > turn.newest {
                    tally.too_new += 1;
                } else if entry.advances(turn.number, sample.t)
                    || turn.late && entry.is_before(sample.t)
                {
                    scratch.batch.append(reference, sample.t, sample.v);
                } else {
                    tally.unordered += 1;
                }
            }
            let len = message.len() as u32;
            scratch.runs.push(Run { first, at, len });
            if turn.exemplars && series.exemplars > 0 {
                fill_exemplars(&series, reference, turn, &mut scratch.batch, tally)?;
            }
            if scratch.batch.samples.len() >= BATCH_SAMPLES_MAX
                || scratch.batch.exemplars.len() >= BATCH_EXEMPLARS_MAX
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts labels that are not known into the cache; a series is made only if it has samples.
    fn learn(
        &self,
        cache: &mut Cache,
        key: Key,
        fields: &[u8],
        has_samples: bool,
        turn: Turn,
        tally: &mut Tally,
    ) -> Result<Option<Place>, WriteError> {
        let Some(labels) = labels::read(fields)? else {
            self.complain("remote write: a series has no name, or labels that are not valid");
            return Ok(Some(cache.insert(key, None)));
        };
        if !has_samples {
            // NOTE: senders send exemplars apart from the samples.
            let known = if turn.exemplars {
                self.storage.find(&labels)?
            } else {
                None
            };
            return Ok(known.map(|series| cache.insert(key, Some(series))));
        }
        tally.resolved += 1;
        let series = self.storage.resolve(&labels)?;
        Ok(Some(cache.insert(key, Some(series))))
    }

    fn commit(
        &self,
        decoded: &[u8],
        scratch: &mut Scratch,
        tally: &mut Tally,
    ) -> Result<(), WriteError> {
        let mut done = self.storage.commit(&scratch.batch)?;
        tally.samples += scratch.batch.samples.len() as u64;
        tally.add(&done);
        // Positions in the batch of what is committed anew.
        let mut positions: Option<Vec<u32>> = None;
        for _ in 0..GONE_TURNS_MAX {
            if done.gone.is_empty() {
                return Ok(());
            }
            let gone: Vec<u32> = match &positions {
                None => std::mem::take(&mut done.gone),
                Some(last) => {
                    let of = |at: &u32| last.get(*at as usize).copied();
                    done.gone.iter().filter_map(of).collect()
                }
            };
            let again = self.resolve_anew(decoded, &gone, scratch, tally)?;
            done = self.storage.commit(&again)?;
            tally.add(&done);
            positions = Some(gone);
        }
        if done.gone.is_empty() {
            return Ok(());
        }
        Err(WriteError::Gone)
    }

    /// The samples at `positions` once more, with series that are there.
    fn resolve_anew(
        &self,
        decoded: &[u8],
        positions: &[u32],
        scratch: &mut Scratch,
        tally: &mut Tally,
    ) -> Result<Appender, WriteError> {
        let mut cache = self.cache();
        let mut again = Appender::default();
        let mut last: Option<(u32, SeriesRef)> = None;
        let mut renamed = Vec::new();
        for position in positions {
            let after = scratch.runs.partition_point(|r| r.first <= *position);
            let run = after.checked_sub(1).and_then(|i| scratch.runs.get(i));
            let pending = scratch.batch.samples.get(*position as usize);
            let (Some(run), Some(pending)) = (run, pending) else {
                return Err(WriteError::Gone);
            };
            let series = match last {
                Some((at, series)) if at == run.at => series,
                _ => {
                    let fields = run.labels(decoded, &mut scratch.joined)?;
                    let labels = labels::read(fields)?.unwrap_or_else(Labels::empty);
                    tally.resolved += 1;
                    let series = self.storage.resolve(&labels)?;
                    let key = cache.key(fields);
                    cache.insert(key, Some(series));
                    last = Some((run.at, series));
                    series
                }
            };
            again.append(series, pending.t, pending.v);
            renamed.push((pending.series, series));
        }
        renamed.sort_unstable();
        for pending in &scratch.batch.exemplars {
            let found = renamed.binary_search_by_key(&pending.series, |(old, _)| *old);
            if let Some((_, series)) = found.ok().and_then(|at| renamed.get(at)) {
                again.append_exemplar(*series, pending.exemplar.clone());
            }
        }
        Ok(again)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // NOTE: a cache of whole entries; what a panic leaves in it is as good as before.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn cached(&self) -> usize {
        self.cache().len()
    }

    fn count(&self, tally: &Tally) {
        let metrics = &self.metrics;
        for (counter, by) in [
            (&metrics.samples, tally.samples),
            (&metrics.invalid_labels, tally.invalid_labels),
            (&metrics.unordered, tally.unordered),
            (&metrics.exemplars_dropped, tally.exemplars_dropped),
            (&metrics.histograms_dropped, tally.histograms),
            (&metrics.metadata_dropped, tally.metadata),
            (&metrics.series_resolved, tally.resolved),
        ] {
            if by > 0 {
                counter.add(by as f64);
            }
        }
    }

    fn complain(&self, what: &str) {
        let now = self.clock.mono().as_secs();
        let due = self.complain_at.load(Relaxed);
        let next = now + COMPLAIN_EVERY.as_secs();
        let first = now >= due
            && self
                .complain_at
                .compare_exchange(due, next, Relaxed, Relaxed)
                .is_ok();
        if first {
            log::warn!("{what}");
        }
    }
}

/// Adds a series' exemplars to the batch.
fn fill_exemplars(
    series: &SeriesMessage<'_>,
    reference: SeriesRef,
    turn: Turn,
    batch: &mut Appender,
    tally: &mut Tally,
) -> Result<(), WireError> {
    let mut exemplars = series.exemplars();
    while let Some(RawExemplar { labels, v, t }) = exemplars.next()? {
        if batch.exemplars.len() >= BATCH_EXEMPLARS_MAX {
            break;
        }
        if t <= turn.newest
            && let Some(labels) = labels::read_exemplar(&labels)?
        {
            let timed = t != 0;
            let exemplar = Exemplar {
                labels,
                v,
                t,
                timed,
            };
            batch.append_exemplar(reference, exemplar);
            tally.exemplars_dropped -= 1;
        }
    }
    Ok(())
}

impl Run {
    fn labels<'a>(
        &self,
        decoded: &'a [u8],
        joined: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], WriteError> {
        let at = self.at as usize;
        let message = decoded.get(at..at + self.len as usize);
        let series = SeriesMessage::look_through(message.unwrap_or(&[]))?;
        Ok(series.labels(joined)?)
    }
}

impl Tally {
    fn add(&mut self, done: &Committed) {
        self.exemplars_out_of_order += done.exemplars_out_of_order;
        self.refused = self.refused.or(done.first_fault);
    }

    /// What the sender is told of samples that were not stored.
    fn fault(&self) -> Option<WriteError> {
        let too_new = (self.too_new > 0).then_some(WriteError::TooNew);
        self.refused.map(WriteError::Refused).or(too_new)
    }
}
