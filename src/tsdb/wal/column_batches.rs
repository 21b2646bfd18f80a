//! Batches of the same series that are held, to be read together.
//!
//! The scrapes of one target, one after another, are rows of a table with a column per series.
//! Reading column by column loads a series' state into the cache once for all rows. It also makes
//! the processor's predictions good, since a value is mostly coded like the one before it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::batch::{BatchHead, BatchReader};
use super::value::Last;
use crate::model::TimestampMs;

/// LIMIT: rows that are read at once. Measured at 50,000 series, half as many take 4 % longer.
const ROWS_MAX: usize = 16;

/// LIMIT: samples that are read at once, half a megabyte of values. A single row may have more.
const SAMPLES_MAX: usize = 64 << 10;

/// LIMIT: tables. Where batches never have the same series, more are of no use.
const TABLES_MAX: usize = 1_024;

/// LIMIT: bytes of all rows, where a value takes one or two; or the size of all series' states, if
/// that is larger.
const BYTES_MAX: usize = 256 << 10;

/// Tables without a series in common. No table has a series twice. So their order does not matter.
#[derive(Debug, Default)]
pub(super) struct ColumnBatches {
    tables: Vec<Table>,
    /// The runs of the tables' ids, by start: where each ends, and its table.
    claims: BTreeMap<u32, (u32, usize)>,
    bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    pub ids: Vec<Range<u32>>,
    columns: usize,
    pub rows: Vec<Row>,
    /// The payloads of all rows, from their tags on.
    bytes: Vec<u8>,
}

/// A batch without its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub t: TimestampMs,
    pub seq: u32,
    pub head: BatchHead,
    /// Where its bytes begin in its table's.
    from: usize,
    to: usize,
}

impl ColumnBatches {
    /// Returns the table of batches with exactly these series.
    pub fn find(&self, ids: &[Range<u32>]) -> Option<usize> {
        let (_, at) = self.claims.get(&ids.first()?.start)?;
        (self.tables.get(*at)?.ids == ids).then_some(*at)
    }

    pub fn has(&self, ids: &Range<u32>) -> bool {
        let before = self.claims.range(..ids.end).next_back();
        before.is_some_and(|(_, (end, _))| *end > ids.start)
    }

    pub fn is_full(&self) -> bool {
        self.tables.len() >= TABLES_MAX
    }

    /// Makes a table for series that no other table has. Returns `None` if it would have one of
    /// them twice.
    pub fn open(&mut self, ids: &[Range<u32>], columns: usize) -> Option<usize> {
        let at = self.tables.len();
        for (i, run) in ids.iter().enumerate() {
            if self.has(run) {
                for run in ids.iter().take(i) {
                    self.claims.remove(&run.start);
                }
                return None;
            }
            self.claims.insert(run.start, (run.end, at));
        }
        self.tables.push(Table {
            ids: ids.to_vec(),
            columns,
            ..Table::default()
        });
        Some(at)
    }

    /// Adds a row. Returns whether the table now has as many as are read at once.
    pub fn add(&mut self, at: usize, t: TimestampMs, seq: u32, batch: &BatchReader<'_>) -> bool {
        let Some(table) = self.tables.get_mut(at) else {
            return false;
        };
        let from = table.bytes.len();
        batch.copy_to(&mut table.bytes);
        self.bytes += table.bytes.len() - from;
        table.rows.push(Row {
            t,
            seq,
            head: batch.head,
            from,
            to: table.bytes.len(),
        });
        table.rows.len() >= ROWS_MAX || table.rows.len() * table.columns >= SAMPLES_MAX
    }

    /// Whether all rows must be read before another is added.
    pub fn is_much(&self, series: usize) -> bool {
        self.bytes >= BYTES_MAX.max(series * size_of::<Last>())
    }

    pub fn tables(&self) -> usize {
        self.tables.len()
    }

    /// Takes a table out with its rows. [`ColumnBatches::put_back`] puts it back.
    pub fn take(&mut self, at: usize) -> Option<Table> {
        let table = self.tables.get_mut(at)?;
        if table.rows.is_empty() {
            return None;
        }
        self.bytes -= table.bytes.len();
        Some(std::mem::take(table))
    }

    /// Puts a table back, emptied, for reuse of its memory.
    pub fn put_back(&mut self, at: usize, mut table: Table) {
        table.rows.clear();
        table.bytes.clear();
        if let Some(place) = self.tables.get_mut(at) {
            *place = table;
        }
    }

    /// Removes all tables, which must have no rows.
    pub fn clear(&mut self) {
        self.tables.clear();
        self.claims.clear();
    }
}

impl Table {
    pub fn newest_seq(&self) -> u32 {
        self.rows.last().map_or(0, |row| row.seq)
    }

    /// Returns a reader of a row, as from its record.
    pub fn batch(&self, row: &Row) -> Option<BatchReader<'_>> {
        BatchReader::of_rest(row.head, self.columns, self.bytes.get(row.from..row.to)?)
    }

    /// Reads all rows into `out`, column by column. `series` must be the states from before the
    /// first row. Returns `None` at an invalid value; then some states have already changed.
    pub fn read(&self, series: &mut [Last], out: &mut Vec<f64>) -> Option<()> {
        let rows = self.rows.iter().map(|row| self.batch(row));
        let mut rows = rows.collect::<Option<Vec<_>>>()?;
        let builds = !rows.iter().any(|row| row.head.full);
        let newest_seq = self.newest_seq();
        out.resize(self.columns * rows.len(), 0.0);
        let mut columns = out.chunks_exact_mut(rows.len().max(1));
        let (mut i, mut changed) = (0, 0);
        for run in &self.ids {
            let known = series.get_mut(run.start as usize..run.end as usize)?;
            for (last, column) in known.iter_mut().zip(&mut columns) {
                if i % 4 == 0 {
                    let four = rows.iter().map(|row| row.four_tags(i));
                    changed = four.fold(0, |all, four| all | four);
                }
                let same = builds && changed & 3 << (i % 4 * 2) == 0;
                if same && let Some(v) = last.repeat(column.len()) {
                    column.fill(v);
                } else {
                    for (row, v) in rows.iter_mut().zip(column) {
                        if row.head.full {
                            *last = Last::default();
                        }
                        *v = row.value(i, last)?;
                    }
                }
                last.seq = newest_seq;
                i += 1;
            }
        }
        Some(())
    }
}
