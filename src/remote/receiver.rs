//! The receiver: checks, decompresses, decodes, commits.

use std::sync::{Arc, Mutex, MutexGuard};

use super::cache::{Cache, Key, Place};
use super::error::WriteError;
use super::labels;
use super::media_type::AcceptedMessages;
use super::metrics::ReceiverMetrics;
use super::refusals::{Kind, RefusalReports, Refusals};
use super::scratch::{DECODED_BYTES_MAX, Run, Scratch, Scratches};
use super::series::{RawExemplar, SeriesMessage, WriteRequest};
use super::wire::WireError;
use crate::metrics::Registry;
use crate::model::{Labels, Sample, SeriesRef, TimestampMs};
use crate::stdx::clock::Clock;
use crate::stdx::limits::APPEND_AHEAD_MAX_MS;
use crate::stdx::locked::locked;
use crate::stdx::pacer::SharedPacer;
use crate::stdx::sort::sort;
use crate::storage::{
    Appendable, Appender, Committed, Exemplar, FirstRefused, Refused, RefusedExemplar, TOO_NEW,
    series_text,
};

/// LIMIT: samples in one batch: 1.5 MiB. A request with more, thirty times the usual, is committed
/// in parts, so that 32 MiB of tiny samples do not become hundreds in memory.
const BATCH_SAMPLES_MAX: usize = 1 << 16;

/// LIMIT: exemplars in one batch, for the same reason. A single series' message with more loses the
/// rest; storages keep fewer per series anyway.
const BATCH_EXEMPLARS_MAX: usize = 1 << 14;

/// LIMIT: how often samples are appended again because their series went away. Once is rare.
const GONE_TURNS_MAX: usize = 3;

/// The parts of a receiver.
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
    /// ORDER: held while series are resolved, which takes the storage's lock. Never held during a
    /// commit, which may wait for the disk.
    cache: Mutex<Cache>,
    refusals: RefusalReports,
    /// The paces of log lines about requests that were refused whole: by the sender's fault, and by
    /// ours.
    rejections: [SharedPacer; 2],
}

/// The outcome of a request.
#[derive(Debug, Default)]
struct Tally {
    samples: u64,
    resolved: u64,
    refusals: Refusals,
}

/// One request's constants.
#[derive(Debug, Clone, Copy)]
struct Turn {
    number: u32,
    newest: TimestampMs,
    /// Whether the storage keeps exemplars.
    exemplars: bool,
    /// Whether the storage takes late samples.
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
            refusals: RefusalReports::new(&options.registry),
            rejections: Default::default(),
        }
    }

    /// Stores a request's samples. `encoding` and `content_type` are its headers.
    ///
    /// # Errors
    /// See [`WriteError`]. Faults of single samples leave the others stored. After other errors
    /// nothing of the request is stored, unless it was so large that it was committed in parts.
    pub fn receive(
        &self,
        encoding: Option<&str>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<(), WriteError> {
        let taken = self.take(encoding, content_type, body);
        if let Err(error) = &taken {
            self.tell(error);
        }
        taken
    }

    fn take(
        &self,
        encoding: Option<&str>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<(), WriteError> {
        // ORDER: the order of these checks is Prometheus's.
        if let Some(other) = encoding.filter(|e| !matches!(*e, "" | "snappy")) {
            return Err(WriteError::Encoding(other.to_owned()));
        }
        let bytes = snap::raw::decompress_len(body).map_err(|_| WriteError::Snappy)?;
        if bytes > DECODED_BYTES_MAX {
            return Err(WriteError::TooLarge(DECODED_BYTES_MAX));
        }
        self.scratches.lend(bytes, |scratch| {
            // NOTE: taken out, so that the other buffers can be changed while it is read.
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
        stored?;
        let answer = tally.refusals.answer();
        answer.map_or(Ok(()), |text| Err(WriteError::Refused(text)))
    }

    fn store(
        &self,
        decoded: &[u8],
        scratch: &mut Scratch,
        tally: &mut Tally,
    ) -> Result<(), WriteError> {
        let turn = Turn {
            number: self.cache().begin(self.clock.mono()),
            newest: self.clock.wall_ms().saturating_add(APPEND_AHEAD_MAX_MS),
            exemplars: self.storage.takes_exemplars(),
            late: self.storage.takes_late(),
        };
        let mut request = WriteRequest::new(decoded);
        loop {
            scratch.batch.clear();
            scratch.runs.clear();
            let whole = self.fill(&mut request, turn, scratch, tally)?;
            if !scratch.batch.is_empty() {
                self.commit(decoded, scratch, tally)?;
            }
            if whole {
                let first = || FirstRefused {
                    why: "metadata are not kept".to_owned(),
                    series: request.metadata_name(),
                    t: None,
                    value: String::new(),
                };
                tally.refusals.add(Kind::Metadata, request.metadata, first);
                return Ok(());
            }
        }
    }

    /// Collects samples until the request ends, when it returns `true`, or the batch is full.
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
            let fields = series.labels(&mut scratch.joined)?;
            let refusals = &mut tally.refusals;
            refusals.add(Kind::Histogram, series.histograms.into(), || FirstRefused {
                why: "native histograms are not kept".to_owned(),
                series: labels::text(fields),
                t: series.histogram_t(),
                value: "histogram".to_owned(),
            });
            let key = cache.key(fields);
            let place = match cache.find(key) {
                None => self.learn(&mut cache, key, fields, series.samples > 0, turn, tally)?,
                known => known,
            };
            let Some(entry) = place.and_then(|place| cache.at(place)) else {
                tally.leave_exemplars(&series, fields, turn, "exemplar of an unknown series");
                continue;
            };
            let Some(reference) = entry.series() else {
                if let Err(invalid) = labels::read(fields)? {
                    let sample = series.samples().next()?.map(|sample| (sample.t, sample.v));
                    tally.refusals.add_invalid(&invalid, fields, sample);
                }
                tally.leave_exemplars(&series, fields, turn, "exemplar of an invalid series");
                continue;
            };
            let first = scratch.batch.samples.len() as u32;
            let mut samples = series.samples();
            while let Some(Sample { t, v }) = samples.next()? {
                let kind = if t > turn.newest {
                    Kind::TooNew
                } else if entry.advances(turn.number, t) || turn.late && entry.is_before(t) {
                    scratch.batch.append(reference, t, v);
                    continue;
                } else if entry.is_before(t) {
                    Kind::OutOfOrderInRequest
                } else {
                    Kind::DuplicateInRequest
                };
                let why = match kind {
                    Kind::TooNew => TOO_NEW,
                    Kind::OutOfOrderInRequest => "out of order sample within the request",
                    _ => "duplicate sample within the request",
                };
                let first = || FirstRefused::sample(why, labels::text(fields), t, v);
                tally.refusals.add(kind, 1, first);
            }
            let len = message.len() as u32;
            scratch.runs.push(Run { first, at, len });
            if turn.exemplars && series.exemplars > 0 {
                fill_exemplars(&series, fields, reference, turn, &mut scratch.batch, tally)?;
            } else {
                tally.leave_exemplars(&series, fields, turn, "");
            }
            if scratch.batch.samples.len() >= BATCH_SAMPLES_MAX
                || scratch.batch.exemplars.len() >= BATCH_EXEMPLARS_MAX
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts unknown labels into the cache. A series is made only if it has samples.
    fn learn(
        &self,
        cache: &mut Cache,
        key: Key,
        fields: &[u8],
        has_samples: bool,
        turn: Turn,
        tally: &mut Tally,
    ) -> Result<Option<Place>, WriteError> {
        let Ok(labels) = labels::read(fields)? else {
            // NOTE: counted and logged where it is used.
            return Ok(Some(cache.insert(key, None)));
        };
        if !has_samples {
            // NOTE: senders send exemplars separately from samples.
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
        self.tally(&done, tally);
        // The positions in the batch of the samples that are committed again.
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
            self.tally(&done, tally);
            positions = Some(gone);
        }
        if done.gone.is_empty() {
            return Ok(());
        }
        Err(WriteError::Gone)
    }

    /// Returns the samples at `positions` again, with their series resolved anew.
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
                    let labels = labels::read(fields)?.unwrap_or_else(|_| Labels::empty());
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
        sort(&mut renamed);
        for pending in &scratch.batch.exemplars {
            let found = renamed.binary_search_by_key(&pending.series, |(old, _)| *old);
            if let Some((_, series)) = found.ok().and_then(|at| renamed.get(at)) {
                again.append_exemplar(*series, pending.exemplar.clone());
            }
        }
        Ok(again)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // NOTE: entries are changed whole, so a panic leaves a valid cache.
        locked(&self.cache)
    }

    #[cfg(test)]
    pub(super) fn cached(&self) -> usize {
        self.cache().len()
    }

    /// Adds what the storage refused.
    fn tally(&self, done: &Committed, tally: &mut Tally) {
        let text = |series| series_text(self.storage.labels_of(series).as_ref());
        for Refused { fault, sample } in &done.firsts {
            let kind = Kind::of_fault(fault);
            let first =
                || FirstRefused::sample(fault.to_string(), text(sample.series), sample.t, sample.v);
            tally.refusals.add(kind, done.count_of(fault), first);
        }
        if let Some(RefusedExemplar { fault, series, t }) = done.first_exemplars.first() {
            let first = || FirstRefused::exemplar(fault.to_string(), text(*series), Some(*t));
            let refused = done.exemplars_refused;
            tally.refusals.add(Kind::ExemplarRefused, refused, first);
        }
    }

    fn count(&self, tally: &Tally) {
        let (metrics, refusals) = (&self.metrics, &tally.refusals);
        let of = |kinds: &[Kind]| kinds.iter().map(|kind| refusals.of(*kind)).sum::<u64>();
        let late = of(&[Kind::OutOfOrderInRequest]);
        for (counter, by) in [
            (&metrics.samples, tally.samples),
            (&metrics.invalid_labels, of(&LABEL_KINDS)),
            (&metrics.unordered, late + of(&[Kind::DuplicateInRequest])),
            (
                &metrics.exemplars_dropped,
                of(&[Kind::InvalidExemplar, Kind::ExemplarsOff]),
            ),
            (&metrics.histograms_dropped, of(&[Kind::Histogram])),
            (&metrics.metadata_dropped, of(&[Kind::Metadata])),
            (&metrics.series_resolved, tally.resolved),
        ] {
            if by > 0 {
                counter.add(by as f64);
            }
        }
        if late > 0 {
            self.storage.left_out_of_order(late);
        }
        self.refusals.report(refusals, self.clock.mono());
    }

    /// Logs a request that was refused whole. Its refused samples have been logged.
    fn tell(&self, error: &WriteError) {
        let (status, text) = (error.status(), error.to_string());
        let [theirs, ours] = &self.rejections;
        let (pace, level) = match error {
            WriteError::Refused(_) => return,
            _ if status >= 500 => (ours, log::Level::Error),
            _ => (theirs, log::Level::Warn),
        };
        if let Some(left_out) = pace.pass(self.clock.mono(), 1) {
            log::log!(level, err = text.as_str(), status = status, not_told_since_last = left_out;
                "remote write: request not stored");
        }
    }
}

const LABEL_KINDS: [Kind; 3] = [Kind::LabelTwice, Kind::InvalidLabels, Kind::LabelsTooLarge];

/// Adds a series' exemplars to the batch.
fn fill_exemplars(
    series: &SeriesMessage<'_>,
    fields: &[u8],
    reference: SeriesRef,
    turn: Turn,
    batch: &mut Appender,
    tally: &mut Tally,
) -> Result<(), WireError> {
    let mut exemplars = series.exemplars();
    while let Some(RawExemplar { labels, v, t }) = exemplars.next()? {
        let why = if batch.exemplars.len() >= BATCH_EXEMPLARS_MAX {
            "one exemplar too many"
        } else if t > turn.newest {
            "exemplar too far in the future"
        } else if let Some(labels) = labels::read_exemplar(&labels)? {
            let timed = t != 0;
            let exemplar = Exemplar {
                labels,
                v,
                t,
                timed,
            };
            batch.append_exemplar(reference, exemplar);
            continue;
        } else {
            "exemplar with labels that are too long or no UTF-8"
        };
        let first = || FirstRefused::sample(why, labels::text(fields), t, v);
        tally.refusals.add(Kind::InvalidExemplar, 1, first);
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
    /// Counts all exemplars of a series as not stored.
    fn leave_exemplars(
        &mut self,
        series: &SeriesMessage<'_>,
        fields: &[u8],
        turn: Turn,
        why: &'static str,
    ) {
        let (kind, why) = if turn.exemplars {
            (Kind::InvalidExemplar, why)
        } else {
            (
                Kind::ExemplarsOff,
                "exemplars are not kept (--enable-feature=exemplar-storage)",
            )
        };
        self.refusals.add(kind, series.exemplars.into(), || {
            FirstRefused::exemplar(why, labels::text(fields), None)
        });
    }
}
