//! A part of the log on its way from thread to thread, in the order in which it is stored fastest.
//!
//! The scrapes of one target, one after another, are rows of a table with a column for each series.
//! Stored column by column, a series is looked for, and brought into the cache, once for all rows.

use std::collections::BTreeMap;
use std::ops::Range;

use super::entry::{Entry, Logged, Row};
use crate::model::{Labels, Matcher, TimestampMs};
use crate::storage::Exemplar;

/// LIMIT: samples that are told at once, 128 KiB of them, or so many for each series if that is
/// more: in two parts, a fifth of the memory that the series take. Measured at 50,000 series,
/// storing takes 6 % longer with half as many rows, 60 % with one.
const SAMPLES_AT_ONCE: usize = 16 << 10;
const ROWS_AT_ONCE: usize = 8;

/// LIMIT: entries that are told at once.
const ENTRIES_AT_ONCE: usize = 1_024;

#[derive(Default)]
pub(super) struct Part {
    told: Vec<Told>,
    /// The rows of all tables.
    values: Vec<f64>,
    /// Samples in `told` that are not in `values`, counted as the values that take as much.
    others: usize,
    /// The runs of ids of tables that rows can be added to: where each ends, and its table.
    open: BTreeMap<u32, (u32, usize)>,
    /// How many ids a segment has had, in parts before this one too.
    pub series: usize,
}

/// An [`Entry`] that owns what it says.
enum Told {
    Series(u32, Labels),
    Scrapes(Table),
    Samples(Vec<Logged>),
    OutOfOrder(Vec<Logged>),
    Delete(Vec<Matcher>, TimestampMs, TimestampMs),
    Exemplars(Vec<(u32, Exemplar)>),
}

/// Batches of the same series.
struct Table {
    ids: Vec<Range<u32>>,
    /// Times, and where in the part's list the values begin.
    rows: Vec<(TimestampMs, usize)>,
}

impl Part {
    pub fn take(&mut self, entry: Entry<'_>) {
        let told = match entry {
            Entry::Scrapes { ids, rows } => {
                for row in rows {
                    self.row(ids, *row);
                }
                return;
            }
            Entry::Series { id, labels } => {
                // NOTE: it may have meant another until here.
                self.open.clear();
                self.series = self.series.max(id as usize + 1);
                Told::Series(id, labels.clone())
            }
            Entry::Samples(samples) => Told::Samples(self.others(samples)),
            Entry::OutOfOrder(samples) => Told::OutOfOrder(self.others(samples)),
            Entry::Delete {
                matchers,
                start,
                end,
            } => Told::Delete(matchers.to_vec(), start, end),
            // NOTE: before or after samples is the same to them.
            Entry::Exemplars(exemplars) => {
                self.told.push(Told::Exemplars(exemplars.to_vec()));
                return;
            }
        };
        self.told.push(told);
    }

    /// ORDER: they stay behind what was logged of their series before.
    fn others(&mut self, samples: &[Logged]) -> Vec<Logged> {
        let mut runs = samples.chunk_by(|a, b| b.id.wrapping_sub(a.id) == 1);
        let claimed = runs.any(|run| {
            let start = run.first().map_or(0, |sample| sample.id);
            self.is_claimed(&(start..start + run.len() as u32))
        });
        if claimed {
            self.open.clear();
        }
        self.others += size_of_val(samples) / size_of::<f64>();
        samples.to_vec()
    }

    fn row(&mut self, ids: &[Range<u32>], (t, values): Row<'_>) {
        let row = (t, self.values.len());
        self.values.extend_from_slice(values);
        let first = ids.first().and_then(|run| self.open.get(&run.start));
        if let Some((_, table)) = first
            && let Some(Told::Scrapes(table)) = self.told.get_mut(*table)
            && table.ids == ids
        {
            return table.rows.push(row);
        }
        self.claim(ids);
        self.told.push(Told::Scrapes(Table {
            ids: ids.to_vec(),
            rows: vec![row],
        }));
    }

    /// Opens a table for these series. Tables that are open have no series in common, nor does one
    /// have a series twice: so the order among them means nothing.
    fn claim(&mut self, ids: &[Range<u32>]) {
        if ids.iter().any(|run| self.is_claimed(run)) {
            self.open.clear();
        }
        for run in ids {
            if self.is_claimed(run) {
                return self.open.clear();
            }
            self.open.insert(run.start, (run.end, self.told.len()));
        }
    }

    fn is_claimed(&self, run: &Range<u32>) -> bool {
        let before = self.open.range(..run.end).next_back();
        before.is_some_and(|(_, (end, _))| *end > run.start)
    }

    pub fn is_full(&self) -> bool {
        let samples = self.values.len() + self.others;
        samples >= SAMPLES_AT_ONCE.max(self.series * ROWS_AT_ONCE)
            || self.told.len() >= ENTRIES_AT_ONCE
    }

    /// Leaves only the room that its lists have.
    pub fn clear(&mut self) {
        self.told.clear();
        self.values.clear();
        self.open.clear();
        self.others = 0;
    }

    pub fn give(&self, sink: &mut dyn FnMut(Entry<'_>)) {
        for told in &self.told {
            match told {
                Told::Series(id, labels) => sink(Entry::Series { id: *id, labels }),
                Told::Scrapes(table) => self.give_table(table, sink),
                Told::Samples(samples) => sink(Entry::Samples(samples)),
                Told::OutOfOrder(samples) => sink(Entry::OutOfOrder(samples)),
                Told::Delete(matchers, start, end) => sink(Entry::Delete {
                    matchers,
                    start: *start,
                    end: *end,
                }),
                Told::Exemplars(exemplars) => sink(Entry::Exemplars(exemplars)),
            }
        }
    }

    fn give_table(&self, table: &Table, sink: &mut dyn FnMut(Entry<'_>)) {
        let columns = table.ids.iter().map(ExactSizeIterator::len).sum::<usize>();
        let rows = table.rows.iter().map(|(t, from)| {
            let values = self.values.get(*from..from + columns);
            (*t, values.unwrap_or_default())
        });
        sink(Entry::Scrapes {
            ids: &table.ids,
            rows: &rows.collect::<Vec<_>>(),
        });
    }
}
