//! The writer of the log.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::batch::{self, BatchHead, Columns};
use super::definition::DefinitionWriter;
use super::entry::Position;
use super::exemplar::ExemplarWriter;
use super::format::{self, HEADER_BYTES, Header, PAYLOAD_BYTES_MAX};
use super::metrics::WalMetrics;
use super::scribe::{Done, Job, Scribe};
use super::segments::{Segments, Shared};
use super::slots::Slots;
use super::value::Last;
use crate::metrics::Registry;
use crate::model::{Labels, MatchOp, Matcher, SeriesRef, TimestampMs};
use crate::stdx::clock::Clock;
use crate::stdx::varint::{put_text, put_varint, zigzag};
use crate::storage::Pending;
use crate::tsdb::dir::{Dir, File};
use crate::tsdb::exemplars::Named;
use crate::tsdb::filenames::segment as segment_path;

/// A segment's size with few series. LIMIT: if one sample in a segment is still needed, this much
/// is kept longer.
pub const SEGMENT_BYTES: u32 = 4 << 20;

/// LIMIT: offsets have 32 bits, and a segment ends well before.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// LIMIT: a record of definitions, so that damage to one costs few.
const DEFINITIONS_BYTES: usize = 64 << 10;

/// LIMIT: the bytes of a series' labels, so that a record holds them however long the names of all
/// are.
pub const LABELS_BYTES_MAX: usize = (PAYLOAD_BYTES_MAX - DEFINITIONS_BYTES) / 2;

/// LIMIT: a record of exemplars, without its last one, for the same reason.
const EXEMPLARS_BYTES: usize = 64 << 10;

/// After this many values a series is written in full again. LIMIT: damage costs a series half an
/// hour at the usual interval, and this costs a thirtieth of a byte per sample.
const FULL_EVERY: u8 = 120;

#[derive(Debug, Error)]
pub enum WalError {
    #[error("write of the write-ahead log: {0}")]
    Write(#[from] io::Error),
    #[error("a record of {0} bytes is longer than {PAYLOAD_BYTES_MAX}")]
    TooLong(usize),
}

#[derive(Debug, Clone)]
pub struct Options {
    /// The size of a segment, which is larger when there are many series.
    pub segment_bytes: u32,
    /// New segments have numbers above this, whatever the directory holds, since blocks name
    /// positions.
    pub after: u32,
    /// The number of records before, from [`Replayed`](super::Replayed).
    pub next_seq: u64,
    /// Damaged segments, from [`Replayed`](super::Replayed).
    pub damaged: BTreeSet<u32>,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    /// How long a write is waited for: a disk that takes longer counts as one that can't be
    /// written.
    pub patience: Duration,
}

/// Returns the size of a segment whose series take so many bytes to name. Repeating them in the
/// next costs at most a tenth.
pub fn segment_limit(segment_bytes: u32, definition_bytes: u64) -> u64 {
    let limit = definition_bytes.saturating_mul(10);
    limit.max(segment_bytes.into()).min(SEGMENT_BYTES_MAX)
}

/// The writer, behind the log's lock.
#[derive(Debug)]
pub struct Wal {
    shared: Arc<Shared>,
    scribe: Scribe,
    segment_bytes: u32,
    /// The current segment's file, which does not exist before its first record.
    file: Option<Box<dyn File>>,
    /// A write was begun, and its end is not known yet; meanwhile `file` and `out` are away.
    is_writing: bool,
    position: Position,
    /// The number of records before this segment, and in it.
    first_seq: u64,
    seq: u32,
    /// Records of this segment that were written successfully.
    written: u32,
    definition_bytes: u64,
    slots: Slots,
    /// Reused for each batch.
    ids: Vec<u32>,
    kept: Vec<Pending>,
    columns: Columns,
    out: Vec<u8>,
}

impl Wal {
    /// Begins a new segment after the existing ones, which it does not touch.
    pub fn open(dir: Arc<dyn Dir>, options: Options) -> io::Result<Wal> {
        let metrics = WalMetrics::new(&options.registry);
        let scribe = Scribe::start(dir.clone(), options.patience)?;
        let shared = Shared::open(dir, options.clock, metrics, options.damaged)?;
        let newest = shared.newest().unwrap_or(0).max(options.after);
        let position = Position {
            segment: newest.saturating_add(1),
            offset: 0,
        };
        shared.begins(position);
        shared.show();
        Ok(Wal {
            shared: Arc::new(shared),
            scribe,
            segment_bytes: options.segment_bytes,
            file: None,
            is_writing: false,
            position,
            first_seq: options.next_seq,
            seq: 0,
            written: 0,
            definition_bytes: 0,
            slots: Slots::default(),
            ids: Vec::new(),
            kept: Vec::new(),
            columns: Columns::default(),
            out: Vec::new(),
        })
    }

    /// Writes a batch with one write and no sync. Samples of series without labels are left out.
    ///
    /// # Errors
    /// Nothing of the batch is in the log, or what is there comes again to be ignored. The next
    /// call begins a new segment.
    pub fn log(
        &mut self,
        samples: &[Pending],
        labels: &mut dyn FnMut(SeriesRef) -> Option<Labels>,
    ) -> Result<Position, WalError> {
        self.begin(samples, labels)?;
        self.settle()
    }

    /// As [`Wal::log`], and does not wait for the write: [`Wal::settle`] does.
    pub fn begin(
        &mut self,
        samples: &[Pending],
        labels: &mut dyn FnMut(SeriesRef) -> Option<Labels>,
    ) -> Result<(), WalError> {
        self.log_batch(samples, format::SAMPLES, labels)
    }

    /// Writes samples that are older than the newest of their series, in the same way.
    pub fn log_out_of_order(
        &mut self,
        samples: &[Pending],
        labels: &mut dyn FnMut(SeriesRef) -> Option<Labels>,
    ) -> Result<Position, WalError> {
        self.log_batch(samples, format::OUT_OF_ORDER, labels)?;
        self.settle()
    }

    /// Whether the disk has held a write back for longer than anybody waits.
    pub fn stands_still(&mut self) -> bool {
        self.scribe.stands_still()
    }

    pub fn log_delete(
        &mut self,
        matchers: &[Matcher],
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<Position, WalError> {
        self.prepare()?;
        let at = format::begin(&mut self.out);
        put_varint(&mut self.out, zigzag(start));
        put_varint(&mut self.out, zigzag(end));
        for matcher in matchers {
            self.out.push(match matcher.op {
                MatchOp::Equal => 0,
                MatchOp::NotEqual => 1,
                MatchOp::Regex => 2,
                MatchOp::NotRegex => 3,
            });
            put_text(&mut self.out, &matcher.name);
            put_text(&mut self.out, &matcher.value);
        }
        let len = self.out.len() - at - format::HEAD_BYTES;
        if len > PAYLOAD_BYTES_MAX {
            self.out.truncate(at);
            return Err(WalError::TooLong(len));
        }
        self.finish(at, format::DELETE);
        self.write()
    }

    /// Writes exemplars with one write and no sync. It leaves out those of series whose labels fit
    /// no record.
    pub fn log_exemplars(&mut self, exemplars: &[Named]) -> Result<Position, WalError> {
        if exemplars.is_empty() {
            return Ok(self.position);
        }
        self.prepare()?;
        let mut definitions = Definitions::default();
        let mut ids = Vec::with_capacity(exemplars.len());
        for Named { series, labels, .. } in exemplars {
            let found = self.slots.find(*series, 0);
            ids.push(found.or_else(|| self.define(*series, labels, &mut definitions)));
        }
        if let Some(at) = definitions.at {
            self.finish_definitions(at);
        }
        let mut record: Option<(usize, ExemplarWriter)> = None;
        for (id, Named { exemplar, .. }) in ids.into_iter().zip(exemplars) {
            let Some(id) = id else { continue };
            if let Some((at, _)) = &record
                && self.out.len() - at > EXEMPLARS_BYTES
            {
                self.finish(*at, format::EXEMPLARS);
                record = None;
            }
            let (_, writer) = record.get_or_insert_with(|| {
                let at = format::begin(&mut self.out);
                (at, ExemplarWriter::default())
            });
            writer.put(&mut self.out, id, exemplar);
        }
        if let Some((at, _)) = record {
            self.finish(at, format::EXEMPLARS);
        }
        self.write()
    }

    /// Makes the next record begin a new segment. Returns that position.
    pub fn cut(&mut self) -> Position {
        if self.file.take().is_some() {
            self.next_segment();
        }
        self.position
    }

    /// The position after the last record.
    pub fn position(&self) -> Position {
        self.position
    }

    pub fn segments(&self) -> Segments {
        Segments(self.shared.clone())
    }

    pub fn heap_bytes(&self) -> usize {
        self.slots.heap_bytes()
            + self.columns.heap_bytes()
            + self.ids.capacity() * size_of::<u32>()
            + self.kept.capacity() * size_of::<Pending>()
            + self.out.capacity()
    }

    fn log_batch(
        &mut self,
        samples: &[Pending],
        kind: u8,
        labels: &mut dyn FnMut(SeriesRef) -> Option<Labels>,
    ) -> Result<(), WalError> {
        if samples.is_empty() {
            return Ok(());
        }
        self.prepare()?;
        for samples in samples.chunks(batch::SAMPLES_MAX) {
            if self.identify(samples, labels) {
                self.put_batch(samples, kind);
            } else {
                let kept = std::mem::take(&mut self.kept);
                self.put_batch(&kept, kind);
                self.kept = kept;
            }
        }
        self.begin_write()
    }

    /// Finds the ids of the samples' series, and defines new ones. If a series has no labels it
    /// returns `false`, and `kept` has the remaining samples.
    fn identify(
        &mut self,
        samples: &[Pending],
        labels: &mut dyn FnMut(SeriesRef) -> Option<Labels>,
    ) -> bool {
        self.ids.clear();
        self.kept.clear();
        let (mut complete, mut guess) = (true, 0);
        let mut definitions = Definitions::default();
        for (i, sample) in samples.iter().enumerate() {
            let found = self.slots.find(sample.series, guess).or_else(|| {
                let labels = labels(sample.series)?;
                self.define(sample.series, &labels, &mut definitions)
            });
            if let Some(id) = found {
                guess = id.wrapping_add(1);
                self.ids.push(id);
                if !complete {
                    self.kept.push(*sample);
                }
            } else if complete {
                complete = false;
                self.kept.extend_from_slice(&samples[..i]);
            }
        }
        if let Some(at) = definitions.at {
            self.finish_definitions(at);
        }
        complete
    }

    fn define(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        definitions: &mut Definitions,
    ) -> Option<u32> {
        // NOTE: no record can hold it. The database refuses such a series.
        if labels.heap_bytes() > LABELS_BYTES_MAX {
            return None;
        }
        if let Some(at) = definitions.at
            && self.out.len() - at > DEFINITIONS_BYTES
        {
            self.finish_definitions(at);
            *definitions = Definitions::default();
        }
        if definitions.at.is_none() {
            definitions.at = Some(format::begin(&mut self.out));
        }
        let id = self.slots.insert(series);
        definitions.writer.put(&mut self.out, id, labels);
        Some(id)
    }

    fn finish_definitions(&mut self, at: usize) {
        self.definition_bytes += (self.out.len() - at) as u64;
        self.finish(at, format::SERIES);
    }

    fn put_batch(&mut self, samples: &[Pending], kind: u8) {
        if samples.is_empty() {
            return;
        }
        let at = format::begin(&mut self.out);
        let head = if kind == format::SAMPLES {
            self.code_in_order(samples)
        } else {
            self.code_alone(samples)
        };
        let times = samples.iter().map(|sample| sample.t);
        batch::write(&mut self.out, head, &self.ids, times, &self.columns);
        self.finish(at, kind);
    }

    fn code_in_order(&mut self, samples: &[Pending]) -> BatchHead {
        self.columns.clear();
        let first = self.ids.first().copied().unwrap_or(0);
        let full = self.slots.last(first).age >= FULL_EVERY;
        let (seq, mut newest) = (self.seq, None);
        for (i, (sample, id)) in samples.iter().zip(&self.ids).enumerate() {
            let last = self.slots.last(*id);
            if full && (last.seq != seq || last.age == 0) {
                *last = Last::default();
            }
            if last.age > 0 && last.seq != seq {
                newest = newest.max(Some(last.seq));
            }
            self.columns.push(i, last, sample.v);
            last.seq = seq;
        }
        let back = newest.map_or(0, |newest| seq - newest);
        BatchHead { back, full }
    }

    /// Codes a batch that builds on nothing, and on which nothing builds.
    fn code_alone(&mut self, samples: &[Pending]) -> BatchHead {
        self.columns.clear();
        for (i, sample) in samples.iter().enumerate() {
            self.columns.push(i, &mut Last::default(), sample.v);
        }
        BatchHead {
            back: 0,
            full: true,
        }
    }

    fn finish(&mut self, at: usize, kind: u8) {
        format::finish(&mut self.out, at, kind, self.seq, self.position.segment);
        self.seq += 1;
    }

    /// Makes sure that there is a segment to write to.
    fn prepare(&mut self) -> io::Result<()> {
        // NOTE: only after a panic between the two halves of a write.
        let _ = self.settle();
        let limit = segment_limit(self.segment_bytes, self.definition_bytes);
        let full = u64::from(self.position.offset) >= limit;
        if self.file.is_some() && (full || self.shared.has_failed(self.position.segment)) {
            self.cut();
        }
        self.out.clear();
        if self.file.is_none() {
            let created = self.create();
            if created.is_err() {
                self.shared.metrics.writes_failed.inc();
            }
            return created;
        }
        Ok(())
    }

    fn create(&mut self) -> io::Result<()> {
        let number = self.position.segment;
        let path = segment_path(number);
        let header = Header {
            segment: number,
            first_seq: self.first_seq,
            created_ms: self.shared.clock.wall_ms(),
        };
        let header = header.to_bytes();
        let Done::Created(made) = self.scribe.ask(Job::Create { path, header })? else {
            return Err(unexpected());
        };
        let (file, sync) = made?;
        self.file = Some(file);
        self.position.offset = HEADER_BYTES as u32;
        self.shared.created(self.position, sync);
        Ok(())
    }

    fn write(&mut self) -> Result<Position, WalError> {
        self.begin_write()?;
        self.settle()
    }

    fn begin_write(&mut self) -> Result<(), WalError> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let bytes = std::mem::take(&mut self.out);
        if let Err(error) = self.scribe.begin(Job::Append { file, bytes }) {
            return Err(self.has_failed(error));
        }
        self.is_writing = true;
        Ok(())
    }

    /// Waits for the write that was begun last, if its end is not known yet.
    pub fn settle(&mut self) -> Result<Position, WalError> {
        if !std::mem::take(&mut self.is_writing) {
            return Ok(self.position);
        }
        let written = self.scribe.wait().and_then(|done| match done {
            Done::Appended {
                file,
                bytes,
                result,
            } => result.map(|()| (file, bytes)),
            _ => Err(unexpected()),
        });
        let (file, bytes) = written.map_err(|error| self.has_failed(error))?;
        self.shared.metrics.bytes_written.add(bytes.len() as f64);
        self.position.offset += bytes.len() as u32;
        (self.file, self.out) = (Some(file), bytes);
        self.written = self.seq;
        self.shared.wrote(self.position);
        self.release();
        Ok(self.position)
    }

    fn has_failed(&mut self, error: io::Error) -> WalError {
        self.shared.metrics.writes_failed.inc();
        self.abandon();
        error.into()
    }

    /// Leaves the segment after a write that failed; what was written of it is taken back.
    fn abandon(&mut self) {
        let (number, good) = (self.position.segment, self.position.offset);
        let path = segment_path(number);
        // NOTE: if this fails too, or the write comes to the disk later, what stays is a torn tail,
        // or records of a refused batch. When the batch comes again, a reader takes those for a
        // repetition.
        self.file = None;
        self.seq = self.written;
        let taken_back = self.scribe.ask(Job::TakeBack { path, len: good });
        if let Ok(Done::TakenBack(true)) = taken_back {
            self.shared.forget(number);
        }
        self.next_segment();
    }

    fn next_segment(&mut self) {
        self.first_seq += u64::from(self.seq);
        self.seq = 0;
        self.written = 0;
        self.definition_bytes = 0;
        // NOTE: frees what the next segment does not need.
        self.slots = Slots::default();
        self.position = Position {
            segment: self.position.segment.saturating_add(1),
            offset: 0,
        };
        self.shared.begins(self.position);
        self.shared.show();
    }

    /// LIMIT: the memory of an unusually large batch is freed.
    fn release(&mut self) {
        const KEEP: usize = 256 << 10;
        if self.out.capacity() > KEEP {
            self.out = Vec::new();
        }
        if self.ids.capacity() > KEEP / size_of::<u32>() {
            self.ids = Vec::new();
        }
        if self.columns.heap_bytes() > KEEP {
            self.columns = Columns::default();
        }
        if self.kept.capacity() > 0 {
            self.kept = Vec::new();
        }
    }
}

/// The thread does what it is asked for.
fn unexpected() -> io::Error {
    crate::bug!("the thread wal-write did something else");
    io::ErrorKind::Other.into()
}

/// A record of definitions that is being written.
#[derive(Debug, Default)]
struct Definitions {
    /// Where it began.
    at: Option<usize>,
    writer: DefinitionWriter,
}
