//! The series of a selection, and reading them.
//!
//! A *series batch* is a run of neighbouring series in a selection. Their labels are copied in one
//! hold of the lock, their chunks in another, when one of them is asked for. So the lock is taken
//! seldom, the processor fetches the memory of several series at once, and a large selection holds
//! only the list of its series. Decoding needs no lock.

use std::borrow::Cow;
use std::cell::RefCell;
use std::hint::black_box;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::late;
use super::lock::State;
use super::query::Pin;
use super::snapshot::{Rows, Scope};
use crate::model::{Labels, Sample, SeriesRef, TimestampMs};
use crate::storage::{Columns, Series, SeriesSet, StorageError, Times};
use crate::tsdb::chunk::{Corrupt, Gather, Pool, decode, decode_columns, decode_times};

/// LIMIT: series of a batch. Copying them takes some 20 µs, for which an append may wait.
const SERIES: usize = 32;
/// LIMIT: bytes of chunks in a batch. Beyond that they are copied series by series.
const BYTES: usize = 64 << 10;
/// LIMIT: bytes for copied chunks that a thread keeps between two reads: some thousand samples.
const COPIED_KEPT: usize = 16 << 10;

/// The bytes of a label; most take no more.
const LABEL_BYTES: usize = 32;

thread_local! {
    static GATHER: RefCell<Gather> = RefCell::default();
}

/// What the series of a selection share.
pub struct Selection {
    pub(super) pin: Arc<Pin>,
    pub(super) scope: Scope,
    pub(super) rows: Rows,
    /// In order of labels. In other selections labels are seldom asked for.
    pub is_sorted: bool,
}

impl Selection {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns the labels of a row, in the form of `Labels`.
    pub fn text(&self, row: u32) -> Result<String, StorageError> {
        let state = self.pin.head.lock()?;
        let at = self.rows.places[row as usize];
        Ok(Texts::of(&state, std::iter::once(at)).text)
    }

    /// Returns the series of a few rows, which share a batch.
    pub fn series(
        self: &Arc<Selection>,
        rows: Vec<u32>,
    ) -> Result<impl Iterator<Item = HeadSeries> + use<>, StorageError> {
        let count = rows.len();
        let series_batch = Arc::new(SeriesBatch::new(self, rows)?);
        Ok((0..count).map(move |at| HeadSeries {
            series_batch: series_batch.clone(),
            at,
        }))
    }
}

pub struct HeadSet {
    of: Arc<Selection>,
    /// The index of the next series.
    next: usize,
    series_batch: Option<Arc<SeriesBatch>>,
}

impl HeadSet {
    pub fn new(of: Arc<Selection>) -> HeadSet {
        HeadSet {
            of,
            next: 0,
            series_batch: None,
        }
    }

    /// The number of series left.
    pub fn len(&self) -> usize {
        self.of.rows.len() - self.next
    }

    pub fn next_series(&mut self) -> Result<Option<HeadSeries>, StorageError> {
        if self.len() == 0 {
            return Ok(None);
        }
        let at = self.next % SERIES;
        let series_batch = match &self.series_batch {
            Some(series_batch) if at > 0 => series_batch,
            _ => {
                let end = self.of.rows.len().min(self.next + SERIES);
                let rows = (self.next as u32..end as u32).collect();
                let new = Arc::new(SeriesBatch::new(&self.of, rows)?);
                self.series_batch.insert(new)
            }
        };
        self.next += 1;
        Ok(Some(HeadSeries {
            at,
            series_batch: series_batch.clone(),
        }))
    }
}

impl SeriesSet for HeadSet {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        let next = self.next_series().transpose()?;
        Some(next.map(|series| -> Box<dyn Series> { Box::new(series) }))
    }

    fn left(&self) -> Option<usize> {
        Some(self.len())
    }
}

struct SeriesBatch {
    of: Arc<Selection>,
    /// The rows in the selection.
    rows: Vec<u32>,
    texts: OnceLock<Texts>,
    /// `None` inside if the head was closed.
    copies: OnceLock<Option<Copies>>,
}

impl SeriesBatch {
    fn new(of: &Arc<Selection>, rows: Vec<u32>) -> Result<SeriesBatch, StorageError> {
        let series_batch = SeriesBatch {
            of: of.clone(),
            rows,
            texts: OnceLock::new(),
            copies: OnceLock::new(),
        };
        if of.is_sorted {
            let state = of.pin.head.lock()?;
            series_batch
                .texts
                .get_or_init(|| Texts::of(&state, series_batch.places()));
        }
        Ok(series_batch)
    }

    fn texts(&self) -> &Texts {
        self.texts.get_or_init(|| match self.of.pin.head.lock() {
            Ok(state) => Texts::of(&state, self.places()),
            // NOTE: the head is closed. That ends the process, or the next read reports it.
            Err(_) => Texts::default(),
        })
    }

    fn places(&self) -> impl Iterator<Item = u32> + Clone {
        let places = &self.of.rows.places;
        self.rows.iter().map(|row| places[*row as usize])
    }

    /// Returns the row of the series at a place in the batch.
    fn row(&self, at: usize) -> usize {
        self.rows[at] as usize
    }

    /// Copies as many series as there is room for.
    fn copy(&self, scope: Scope) -> Result<Copies, StorageError> {
        let count = self.rows.len();
        let (mut chunks, mut parts) = (Gather::for_chunks(count), Vec::with_capacity(count));
        let state = self.of.pin.head.lock()?;
        state.touch(self.places());
        for row in &self.rows {
            parts.push(state.part(&self.of.rows, *row as usize, scope, &mut chunks));
            if chunks.planned_bytes() > BYTES {
                break;
            }
        }
        chunks.fetch(&state.pool);
        Ok(Copies {
            scope: (scope.start, scope.end),
            chunks,
            parts,
        })
    }
}

/// The labels of a batch's series.
#[derive(Default)]
struct Texts {
    /// The texts, in the form of `Labels`.
    text: String,
    /// The end of each series' labels.
    ends: Vec<u32>,
}

impl Texts {
    fn of(state: &State, places: impl Iterator<Item = u32> + Clone) -> Texts {
        let labels = places.clone().map(|at| state.slab.pairs(at).len());
        let (count, labels) = labels.fold((0, 0), |(count, sum), len| (count + 1, sum + len));
        let mut texts = Texts {
            text: String::with_capacity(labels * LABEL_BYTES),
            ends: Vec::with_capacity(count),
        };
        for at in places {
            for pair in state.slab.pairs(at) {
                let (name, value) = state.index.text(*pair);
                Labels::push_pair(&mut texts.text, name, value);
            }
            texts.ends.push(texts.text.len() as u32);
        }
        texts
    }

    fn get(&self, at: usize) -> &str {
        let end_of = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        let start = at.checked_sub(1).map_or(0, end_of);
        self.text.get(start..end_of(at)).unwrap_or_default()
    }
}

/// The chunks of a batch's first series.
struct Copies {
    /// The times that were asked for.
    scope: (TimestampMs, TimestampMs),
    chunks: Gather,
    parts: Vec<Part>,
}

/// What is stored of one series in a range.
struct Part {
    /// The indices of its chunks.
    range: Range<usize>,
    /// The first time that is seen in the chunks.
    start: TimestampMs,
    late: Vec<Sample>,
}

struct Stored<'c> {
    chunks: &'c Gather,
    part: &'c Part,
}

impl<'c> Stored<'c> {
    fn chunks(&self) -> impl Iterator<Item = &'c [u8]> {
        self.chunks.chunks(self.part.range.clone())
    }

    fn read(&self, end: TimestampMs, out: &mut Vec<Sample>) -> Result<(), StorageError> {
        let (before, start) = (out.len(), self.part.start);
        let decoded = { self.chunks() }.try_for_each(|c| decode(c, start, end, out));
        decoded.map_err(damaged)?;
        late::merge(out, before, &self.part.late);
        Ok(())
    }

    fn read_columns(&self, end: TimestampMs, out: &mut Columns) -> Result<(), StorageError> {
        if self.part.late.is_empty() {
            let (mut chunks, start) = (self.chunks(), self.part.start);
            let decoded = chunks.try_for_each(|c| decode_columns(c, start, end, out));
            return decoded.map_err(damaged);
        }
        let mut samples = Vec::new();
        self.read(end, &mut samples)?;
        out.extend(samples);
        Ok(())
    }

    fn read_times(&self, end: TimestampMs, out: &mut Times) -> Result<(), StorageError> {
        if self.part.late.is_empty() {
            let (mut chunks, start) = (self.chunks(), self.part.start);
            let decoded = chunks.try_for_each(|c| decode_times(c, start, end, out));
            return decoded.map_err(damaged);
        }
        let mut samples = Vec::new();
        self.read(end, &mut samples)?;
        out.extend(&samples);
        Ok(())
    }
}

pub struct HeadSeries {
    series_batch: Arc<SeriesBatch>,
    /// The index in the batch.
    at: usize,
}

impl Series for HeadSeries {
    fn labels(&self) -> Labels {
        Labels::of_pushed(self.series_batch.texts().get(self.at))
    }

    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.series_batch.texts().get(self.at))
    }

    fn read(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Vec<Sample>,
    ) -> Result<(), StorageError> {
        self.stored(start, end, |stored, end| stored.read(end, out))
    }

    fn read_columns(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Columns,
    ) -> Result<(), StorageError> {
        self.stored(start, end, |stored, end| stored.read_columns(end, out))
    }

    fn read_times(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Times,
    ) -> Result<(), StorageError> {
        self.stored(start, end, |stored, end| stored.read_times(end, out))
    }
}

impl HeadSeries {
    /// Returns the series, and the newest time that is seen of it.
    pub fn seen(&self) -> Result<(SeriesRef, TimestampMs), StorageError> {
        let (of, row) = (&*self.series_batch.of, self.series_batch.row(self.at));
        let series = of.pin.head.lock()?.slab.reference(of.rows.places[row]);
        Ok((series, of.rows.seen[row]))
    }

    /// Calls `read` with what is stored in the range, and the last time that is seen in the chunks.
    fn stored(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        read: impl FnOnce(Stored<'_>, TimestampMs) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let (series_batch, of) = (&*self.series_batch, &*self.series_batch.of);
        let scope = Scope {
            start: start.max(of.scope.start),
            end: end.min(of.scope.end),
            ..of.scope
        };
        if scope.start > scope.end {
            return Ok(());
        }
        let row = series_batch.row(self.at);
        let end = scope.end.min(of.rows.seen[row]);
        let copies = series_batch
            .copies
            .get_or_init(|| series_batch.copy(scope).ok());
        if let Some(copies) = copies
            && copies.scope == (scope.start, scope.end)
            && let Some(part) = copies.parts.get(self.at)
        {
            let chunks = &copies.chunks;
            return read(Stored { chunks, part }, end);
        }
        GATHER.with_borrow_mut(|chunks| {
            chunks.clear(COPIED_KEPT);
            let state = of.pin.head.lock()?;
            let part = state.part(&of.rows, row, scope, chunks);
            chunks.fetch(&state.pool);
            drop(state);
            let part = &part;
            read(Stored { chunks, part }, end)
        })
    }
}

impl State {
    /// Has the memory of series and of their chunks fetched, all at once rather than one after the
    /// other.
    fn touch(&self, places: impl Iterator<Item = u32>) {
        let firsts = places.map(|at| self.slab.at(at).open.first_t(&self.pool));
        black_box(firsts.fold(0, i64::wrapping_add));
    }

    /// Returns what a row has in the scope, and adds its chunks to `chunks`.
    fn part(&self, rows: &Rows, at: usize, scope: Scope, chunks: &mut Gather) -> Part {
        let (place, seen_t) = (rows.places[at], rows.seen[at]);
        // NOTE: the view keeps every series that has samples in its range.
        let series = self.slab.at(place);
        let floor = self.floors.of(self.slab.reference(place), scope.view);
        let end = scope.end.min(seen_t);
        // NOTE: a block of the view has what is before it.
        let start = scope.start.max(floor.after());
        let first = chunks.len();
        if start <= end {
            series.gather(&self.pool, start, end, chunks);
        }
        Part {
            range: first..chunks.len(),
            start,
            late: self.late.copy(place, scope, floor.commit),
        }
    }
}

impl super::series::Series {
    /// Adds the chunks that overlap the range.
    fn gather(&self, pool: &Pool, start: TimestampMs, end: TimestampMs, chunks: &mut Gather) {
        let first = self.closed().partition_point(|c| c.last_t < start);
        let reached = self.closed().iter().skip(first);
        for closed in reached.take_while(|c| c.chunk.first_t(pool) <= end) {
            closed.chunk.add_to(chunks);
        }
        let open = &self.open;
        if !open.is_empty() && open.last_t() >= start && open.first_t(pool) <= end {
            open.add_to(chunks);
        }
    }
}

fn damaged(corrupt: Corrupt) -> StorageError {
    StorageError::Other(corrupt.to_string())
}
