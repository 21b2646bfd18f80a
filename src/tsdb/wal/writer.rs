//! The writer of the log.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use thiserror::Error;

use super::batch::{self, BatchHead, Columns};
use super::definition::DefinitionWriter;
use super::entry::Position;
use super::exemplar::ExemplarWriter;
use super::format::{self, HEADER_BYTES, Header, PAYLOAD_BYTES_MAX};
use super::metrics::WalMetrics;
use super::segments::{Segments, Shared};
use super::slots::Slots;
use super::value::Last;
use crate::metrics::Registry;
use crate::model::{Labels, SeriesRef};
use crate::stdx::clock::Clock;
use crate::storage::Pending;
use crate::tsdb::dir::{Dir, File};
use crate::tsdb::exemplars::Named;
use crate::tsdb::filenames::{WAL_DIR, segment as segment_path};

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
#[error("write of the write-ahead log: {0}")]
pub struct WalError(#[from] pub io::Error);

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
}

/// Returns the size of a segment whose series take so many bytes to name. Repeating them in the
/// next costs at most a tenth.
pub fn segment_limit(segment_bytes: u32, definition_bytes: u64) -> u64 {
    let limit = definition_bytes.saturating_mul(10);
    limit.max(segment_bytes.into()).min(SEGMENT_BYTES_MAX)
}

/// The writer. A call that asks the disk for something takes as long as the disk does.
#[derive(Debug)]
pub struct Wal {
    dir: Arc<dyn Dir>,
    shared: Arc<Shared>,
    segment_bytes: u32,
    /// The current segment's file, which does not exist before its first record.
    file: Option<Box<dyn File>>,
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
        let shared = Shared::open(dir.clone(), options.clock, metrics, options.damaged)?;
        let newest = shared.newest().unwrap_or(0).max(options.after);
        let position = Position {
            segment: newest.saturating_add(1),
            offset: 0,
        };
        shared.begins(position);
        shared.show();
        Ok(Wal {
            dir,
            shared: Arc::new(shared),
            segment_bytes: options.segment_bytes,
            file: None,
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

    /// Puts a batch into the next write. Samples of series without labels are left out.
    ///
    /// # Errors
    /// Those of [`Wal::write`].
    pub fn put(
        &mut self,
        samples: &[Pending],
        labels: &mut dyn FnMut(SeriesRef) -> Option<Labels>,
    ) -> Result<(), WalError> {
        self.put_batches(samples, format::SAMPLES, labels)
    }

    /// Puts samples that are older than the newest of their series, in the same way.
    pub fn put_out_of_order(
        &mut self,
        samples: &[Pending],
        labels: &mut dyn FnMut(SeriesRef) -> Option<Labels>,
    ) -> Result<(), WalError> {
        self.put_batches(samples, format::OUT_OF_ORDER, labels)
    }

    /// How many bytes the next write has.
    pub fn to_write(&self) -> usize {
        self.out.len()
    }

    /// Puts exemplars. It leaves out those of series whose labels fit no record.
    ///
    /// # Errors
    /// Those of [`Wal::write`].
    pub fn put_exemplars(&mut self, exemplars: &[Named]) -> Result<(), WalError> {
        if exemplars.is_empty() {
            return Ok(());
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
        Ok(())
    }

    /// Writes what was put, with one write and no sync. Returns the position after it.
    ///
    /// # Errors
    /// The disk's. Nothing of what was put since the last write is in the log, or what is there
    /// comes again to be ignored. What is put next begins a new segment.
    pub fn write(&mut self) -> Result<Position, WalError> {
        let Some(file) = { self.file.as_mut() }.filter(|_| !self.out.is_empty()) else {
            return Ok(self.position);
        };
        if let Err(error) = file.append(&self.out) {
            self.shared.metrics.writes_failed.inc();
            self.abandon();
            return Err(error.into());
        }
        let bytes = self.out.len();
        self.out.clear();
        self.shared.metrics.bytes_written.add(bytes as f64);
        self.position.offset += bytes as u32;
        self.written = self.seq;
        self.shared.wrote(self.position);
        self.release();
        Ok(self.position)
    }

    /// Makes what is put next begin a new segment. Returns that position. ORDER: after a write.
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

    fn put_batches(
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
        Ok(())
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
        if !self.out.is_empty() {
            return Ok(());
        }
        let limit = segment_limit(self.segment_bytes, self.definition_bytes);
        let full = u64::from(self.position.offset) >= limit;
        if self.file.is_some() && (full || self.shared.has_failed(self.position.segment)) {
            self.cut();
        }
        if self.file.is_none() {
            self.create().inspect_err(|_| {
                self.shared.metrics.writes_failed.inc();
            })?;
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
        let made = create(&*self.dir, &path, &header.to_bytes());
        let (file, sync) = made.inspect_err(|_| {
            // NOTE: at worst an empty segment stays, which is read as one.
            let _ = self.dir.remove(&path);
        })?;
        self.file = Some(file);
        self.position.offset = HEADER_BYTES as u32;
        self.shared.created(self.position, sync);
        Ok(())
    }

    /// Leaves the segment after a write that failed; what was written of it is taken back.
    fn abandon(&mut self) {
        let (number, good) = (self.position.segment, self.position.offset);
        let path = segment_path(number);
        // NOTE: if this fails too, what stays is a torn tail, or records of a refused batch. When
        // the batch comes again, a reader takes those for a repetition.
        self.file = None;
        self.out.clear();
        self.seq = self.written;
        if good as usize > HEADER_BYTES {
            let _ = self.dir.truncate(&path, good.into());
        } else if self.dir.remove(&path).is_ok() {
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

/// Makes a segment's file, and opens it a second time.
fn create(dir: &dyn Dir, path: &str, header: &[u8]) -> io::Result<(Box<dyn File>, Box<dyn File>)> {
    let mut file = match dir.create(path) {
        // NOTE: somebody has removed the directory while we run.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            dir.create_dir(WAL_DIR)?;
            dir.create(path)
        }
        file => file,
    }?;
    file.append(header)?;
    Ok((file, dir.open(path)?))
}

/// A record of definitions that is being written.
#[derive(Debug, Default)]
struct Definitions {
    /// Where it began.
    at: Option<usize>,
    writer: DefinitionWriter,
}
