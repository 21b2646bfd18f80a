//! Decodes records, with the state of each series.

use super::batch::{BatchReader, Samples};
use super::column_batches::{ColumnBatches, Table};
use super::definition;
use super::entry::{Entry, Logged, Order};
use super::exemplar;
use super::format;
use super::value::Last;
use crate::model::TimestampMs;

/// LIMIT: gaps of missing records that are kept apart. Beyond it they become one gap with all
/// between them.
const GAPS_MAX: usize = 256;

/// Decodes the records of one segment in order.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    order: Order,
    /// The states by id; unknown where no definition was read.
    series: Vec<Last>,
    gaps: Vec<Gap>,
    /// Batches that are held unread. Their series are known, and no gap came before them.
    batches: ColumnBatches,
    batch: Samples,
    values: Vec<f64>,
    times: Vec<TimestampMs>,
    /// The states of a table's series before it is read.
    before: Vec<Last>,
    /// The positions of values that build on something missing, in order.
    lost: Vec<usize>,
    pub counts: Counts,
}

/// The records from `start` up to, not including, `end` are missing.
#[derive(Debug, Clone, Copy)]
struct Gap {
    start: u32,
    end: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub records: u64,
    pub samples: u64,
    /// Samples that build on something missing.
    pub unread_samples: u64,
    /// Good records whose content we cannot read.
    pub unread_records: u64,
}

impl Decoder {
    pub fn new(order: Order) -> Decoder {
        Decoder {
            order,
            ..Decoder::default()
        }
    }

    /// Notes that the records from `start` to `end` are missing.
    pub fn gap(&mut self, start: u32, end: u32, sink: &mut dyn FnMut(Entry<'_>)) {
        self.flush(sink);
        self.add_gap(start, end);
    }

    fn add_gap(&mut self, start: u32, end: u32) {
        if self.gaps.len() == GAPS_MAX
            && let Some(last) = self.gaps.last_mut()
        {
            last.end = end;
            return;
        }
        self.gaps.push(Gap { start, end });
    }

    /// Decodes a record. `ids_max` bounds the ids by the segment's size. Without `tell` samples
    /// only update the states.
    pub fn record(
        &mut self,
        kind: u8,
        seq: u32,
        payload: &[u8],
        ids_max: u64,
        tell: bool,
        sink: &mut dyn FnMut(Entry<'_>),
    ) {
        let read = match kind {
            format::SERIES => self.define(seq, payload, ids_max, sink),
            format::SAMPLES => self.in_order(seq, payload, tell, sink),
            format::OUT_OF_ORDER => self.out_of_order(payload, tell, sink),
            format::EXEMPLARS if tell => self.exemplars(payload, sink),
            format::EXEMPLARS => Some(()),
            _ => None,
        };
        self.counts.records += 1;
        if read.is_none() {
            self.counts.unread_records += 1;
            // NOTE: values build on no other kind of record.
            if kind == format::SAMPLES {
                self.gap(seq, seq.saturating_add(1), sink);
            }
        }
    }

    fn define(
        &mut self,
        seq: u32,
        payload: &[u8],
        ids_max: u64,
        sink: &mut dyn FnMut(Entry<'_>),
    ) -> Option<()> {
        definition::read(payload, |id, labels| {
            let at = id as usize;
            if u64::from(id) > ids_max {
                return;
            }
            if at >= self.series.len() {
                self.series.resize(at + 1, Last::UNKNOWN);
            } else if self.batches.has(&(id..id.saturating_add(1))) {
                // NOTE: until here the id may have meant another series.
                self.flush(sink);
            }
            let mut last = Last::default();
            last.seq = seq;
            self.series[at] = last;
            sink(Entry::Series { id, labels });
        })
    }

    fn in_order(
        &mut self,
        seq: u32,
        payload: &[u8],
        tell: bool,
        sink: &mut dyn FnMut(Entry<'_>),
    ) -> Option<()> {
        let batch = BatchReader::new(payload, &mut self.batch)?;
        let counted = batch.head.back <= seq;
        if tell && self.holds() && counted && !self.batch.own_times() {
            let held = self.batches.find(&self.batch.ids);
            if let Some(at) = held.or_else(|| self.open_table(sink)) {
                self.hold(at, seq, &batch, sink);
                return Some(());
            }
        }
        self.flush_before(sink);
        self.read(seq, batch, tell, sink)
    }

    /// NOTE: after a gap each value must check what it builds on, so batches are no longer held.
    fn holds(&self) -> bool {
        self.order == Order::BySeries && self.gaps.is_empty()
    }

    /// Opens a table for batches like this one, if all its series are known.
    fn open_table(&mut self, sink: &mut dyn FnMut(Entry<'_>)) -> Option<usize> {
        if !self.batch.ids().all(|id| self.knows(id)) {
            return None;
        }
        if self.batches.is_full() || self.batch.ids.iter().any(|run| self.batches.has(run)) {
            self.flush(sink);
            self.batches.clear();
            // NOTE: what was held may have been invalid, which makes a gap.
            if !self.holds() {
                return None;
            }
        }
        self.batches.open(&self.batch.ids, self.batch.count)
    }

    fn hold(
        &mut self,
        at: usize,
        seq: u32,
        batch: &BatchReader<'_>,
        sink: &mut dyn FnMut(Entry<'_>),
    ) {
        if self.batches.add(at, self.batch.time(0), seq, batch) {
            self.read_table(at, sink);
        } else if self.batches.is_much(self.series.len()) {
            self.flush(sink);
        }
    }

    /// Reads what is held if it has any series of the batch that comes next.
    fn flush_before(&mut self, sink: &mut dyn FnMut(Entry<'_>)) {
        if self.batch.ids.iter().any(|run| self.batches.has(run)) {
            self.flush(sink);
        }
    }

    /// Reads all that is held, and gives it to `sink`.
    pub fn flush(&mut self, sink: &mut dyn FnMut(Entry<'_>)) {
        for at in 0..self.batches.tables() {
            self.read_table(at, sink);
        }
    }

    fn read_table(&mut self, at: usize, sink: &mut dyn FnMut(Entry<'_>)) {
        let Some(table) = self.batches.take(at) else {
            return;
        };
        self.before.clear();
        for run in &table.ids {
            let known = self.series.get(run.start as usize..run.end as usize);
            self.before.extend_from_slice(known.unwrap_or_default());
        }
        if table.read(&mut self.series, &mut self.values).is_some() {
            self.counts.samples += self.values.len() as u64;
            self.times.clear();
            self.times.extend(table.rows.iter().map(|row| row.t));
            sink(Entry::Scrapes {
                ids: &table.ids,
                times: &self.times,
                values: &self.values,
            });
        } else {
            self.read_rows(&table, sink);
        }
        self.batches.put_back(at, table);
    }

    /// Reads a table row by row, as if it had not been held, from the states before it.
    #[cold]
    fn read_rows(&mut self, table: &Table, sink: &mut dyn FnMut(Entry<'_>)) {
        let mut before = self.before.drain(..);
        for id in table.ids.iter().cloned().flatten() {
            if let (Some(last), Some(before)) = (self.series.get_mut(id as usize), before.next()) {
                *last = before;
            }
        }
        drop(before);
        // NOTE: these rows are read while another batch is already parsed.
        let next = std::mem::take(&mut self.batch);
        for row in &table.rows {
            self.batch.ids.clone_from(&table.ids);
            self.batch.times.clear();
            self.batch.times.push(row.t);
            let read = { table.batch(row) }.and_then(|batch| self.read(row.seq, batch, true, sink));
            if read.is_none() {
                self.counts.unread_records += 1;
                self.add_gap(row.seq, row.seq.saturating_add(1));
            }
        }
        self.batch = next;
    }

    /// Reads the values of a batch whose series and times are parsed.
    fn read(
        &mut self,
        seq: u32,
        mut batch: BatchReader<'_>,
        tell: bool,
        sink: &mut dyn FnMut(Entry<'_>),
    ) -> Option<()> {
        let known_since = match batch.head.back {
            0 => 0,
            back => known_since(&self.gaps, seq.checked_sub(back)?),
        };
        let full = batch.head.full;
        self.values.clear();
        self.lost.clear();
        for id in self.batch.ids.iter().cloned().flatten() {
            let i = self.values.len();
            let last = self.series.get_mut(id as usize);
            let v = match last {
                Some(last)
                    if last.is_known() && (last.seq >= known_since || full && last.seq != seq) =>
                {
                    if full && last.seq != seq {
                        *last = Last::default();
                    }
                    let v = batch.value(i, last)?;
                    last.seq = seq;
                    v
                }
                // NOTE: the state stays unchanged, so that no later record builds on this one.
                last => {
                    self.lost.push(i);
                    let mut last = last.map_or_else(Last::default, |last| *last);
                    batch.value(i, &mut last)?
                }
            };
            self.values.push(v);
        }
        self.emit(tell, sink);
        Some(())
    }

    fn out_of_order(
        &mut self,
        payload: &[u8],
        tell: bool,
        sink: &mut dyn FnMut(Entry<'_>),
    ) -> Option<()> {
        let mut batch = BatchReader::new(payload, &mut self.batch)?;
        self.flush_before(sink);
        self.values.clear();
        self.lost.clear();
        for (i, id) in self.batch.ids().enumerate() {
            self.values.push(batch.value(i, &mut Last::default())?);
            if !self.knows(id) {
                self.lost.push(i);
            }
        }
        let samples = self.logged();
        if self.count(samples.len(), tell) {
            sink(Entry::OutOfOrder(&samples));
        }
        Some(())
    }

    fn knows(&self, id: u32) -> bool {
        self.series.get(id as usize).is_some_and(Last::is_known)
    }

    fn emit(&mut self, tell: bool, sink: &mut dyn FnMut(Entry<'_>)) {
        if self.lost.is_empty() && !self.batch.own_times() {
            if self.count(self.values.len(), tell) {
                sink(Entry::Scrapes {
                    ids: &self.batch.ids,
                    times: &[self.batch.time(0)],
                    values: &self.values,
                });
            }
            return;
        }
        let samples = self.logged();
        if self.count(samples.len(), tell) {
            sink(Entry::Samples(&samples));
        }
    }

    /// Returns the samples of the batch without the lost ones.
    fn logged(&self) -> Vec<Logged> {
        let mut lost = self.lost.iter().peekable();
        let all = self.batch.ids().zip(&self.values).enumerate();
        let kept = all.filter(|(i, _)| lost.next_if_eq(&i).is_none());
        let logged = kept.map(|(i, (id, v))| Logged {
            id,
            t: self.batch.time(i),
            v: *v,
        });
        logged.collect()
    }

    /// Counts samples. Returns whether there is something to give to the sink.
    fn count(&mut self, kept: usize, tell: bool) -> bool {
        self.counts.unread_samples += self.lost.len() as u64;
        let tell = tell && kept > 0;
        if tell {
            self.counts.samples += kept as u64;
        }
        tell
    }

    fn exemplars(&self, payload: &[u8], sink: &mut dyn FnMut(Entry<'_>)) -> Option<()> {
        let mut exemplars = exemplar::read(payload)?;
        exemplars.retain(|(id, _)| self.knows(*id));
        if !exemplars.is_empty() {
            sink(Entry::Exemplars(&exemplars));
        }
        Some(())
    }
}

/// Returns the first record from which on a series' state is certain. A series whose last record is
/// older may have had one that is missing. `newest` is the newest record that a batch builds on.
fn known_since(gaps: &[Gap], newest: u32) -> u32 {
    let before = gaps.iter().rev().find(|gap| gap.start <= newest);
    before.map_or(0, |gap| gap.end)
}
