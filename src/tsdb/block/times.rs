//! Columns of timestamps, which the series of a target share.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use super::column::{PcoVersion, Scratch, VALUES_MAX};
use crate::model::TimestampMs;
use crate::stdx::cursor::Cursor;
use crate::stdx::varint::put_varint;

/// LIMIT: columns of timestamps that a block shares (1 MiB while it is written). Any further one is
/// written beside its values.
pub const SHARED_MAX: usize = 16_384;

/// The size of an entry in the table of shared columns.
pub const ENTRY_BYTES: usize = 32;

/// Runs of equal steps.
const RUNS: u8 = 0;
/// Integers in the encoding of value columns.
const WHOLE: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeColumn {
    pub first: TimestampMs,
    pub last: TimestampMs,
    pub count: u32,
    pub data: TimeData,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeData {
    /// Equal steps from first to last, so nothing else is stored.
    Regular,
    /// Stored in a page of timestamps.
    Shared { page: u32, offset: u32, len: u32 },
    /// Stored in this many bytes before the values.
    Beside { len: u32 },
}

const REGULAR: u32 = u32::MAX;

impl TimeColumn {
    pub fn put(&self, out: &mut Vec<u8>) {
        let (page, offset, len) = match self.data {
            TimeData::Shared { page, offset, len } => (page, offset, len),
            _ => (REGULAR, 0, 0),
        };
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.last.to_le_bytes());
        for word in [self.count, page, offset, len] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    pub fn get(from: &mut Cursor<'_>) -> Option<TimeColumn> {
        let (first, last) = (from.u64_le()? as i64, from.u64_le()? as i64);
        let (count, page) = (from.u32_le()?, from.u32_le()?);
        let (offset, len) = (from.u32_le()?, from.u32_le()?);
        let data = match page {
            REGULAR => TimeData::Regular,
            page => TimeData::Shared { page, offset, len },
        };
        TimeColumn {
            first,
            last,
            count,
            data,
        }
        .checked()
    }

    pub fn checked(self) -> Option<TimeColumn> {
        let count = self.count as usize;
        let sane = (1..=VALUES_MAX).contains(&count) && self.first <= self.last;
        sane.then_some(self)
    }

    /// Returns the step of a regular column.
    pub fn step(&self) -> Option<i64> {
        let steps = i64::from(self.count) - 1;
        let span = self.last.checked_sub(self.first)?;
        (steps > 0 && span % steps == 0).then(|| span / steps)
    }
}

/// Appends the data of an irregular column, and nothing if the steps are equal.
pub fn encode(times: &[TimestampMs], scratch: &mut Scratch, out: &mut Vec<u8>) -> Option<()> {
    let runs = runs(times, times.len() / 4 + 1);
    match runs {
        Some(runs) if runs.len() <= 1 => {}
        Some(runs) => {
            out.push(RUNS);
            for (step, count) in runs {
                put_varint(out, step);
                put_varint(out, count);
            }
        }
        None => {
            out.push(WHOLE);
            scratch.encode_whole(times, out)?;
        }
    }
    Some(())
}

/// Returns the steps and how often each occurs, or `None` if they are more than `max`.
fn runs(times: &[TimestampMs], max: usize) -> Option<Vec<(u64, u64)>> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for pair in times.windows(2) {
        let step = pair[1].wrapping_sub(pair[0]) as u64;
        let full = runs.len() == max;
        match runs.last_mut() {
            Some((last, count)) if *last == step => *count += 1,
            _ if full => return None,
            _ => runs.push((step, 1)),
        }
    }
    Some(runs)
}

/// Reads a column's timestamps into `out`.
pub fn decode(
    column: &TimeColumn,
    data: &[u8],
    version: PcoVersion,
    scratch: &mut Scratch,
    out: &mut Vec<TimestampMs>,
) -> Option<()> {
    let count = column.count as usize;
    out.clear();
    if data.is_empty() {
        let step = if count == 1 { 0 } else { column.step()? };
        out.extend((0..i64::from(column.count)).map(|i| column.first + i * step));
        return Some(());
    }
    let mut from = Cursor::new(data);
    match from.byte()? {
        RUNS => {
            let mut t = column.first;
            out.push(t);
            while !from.is_empty() {
                let (step, times) = (from.varint()?, from.size()?);
                if times > count - out.len() {
                    return None;
                }
                for _ in 0..times {
                    t = t.checked_add_unsigned(step)?;
                    out.push(t);
                }
            }
        }
        WHOLE => scratch.decode_whole(from.rest(), count, version, out)?,
        _ => return None,
    }
    (out.len() == count).then_some(())
}

/// The shared columns of a block that is being written.
#[derive(Debug, Default)]
pub struct TimeTable {
    pub columns: Vec<TimeColumn>,
    known: HashMap<(u64, u64), u32, foldhash::fast::RandomState>,
    // NOTE: two hashes with seeds of this process make 128 bits, which nobody can forge.
    hashers: (
        foldhash::quality::RandomState,
        foldhash::quality::RandomState,
    ),
}

pub enum Place {
    /// The column is known.
    Known(u32),
    /// The column is new. Add it with [`TimeTable::add`].
    New((u64, u64)),
    Full,
}

impl TimeTable {
    pub fn find(&self, times: &[TimestampMs]) -> Place {
        let key = (
            self.hashers.0.hash_one(times),
            self.hashers.1.hash_one(times),
        );
        match self.known.get(&key) {
            Some(id) => Place::Known(*id),
            None if self.columns.len() < SHARED_MAX => Place::New(key),
            None => Place::Full,
        }
    }

    pub fn add(&mut self, key: (u64, u64), column: TimeColumn) -> u32 {
        let id = self.columns.len() as u32;
        self.columns.push(column);
        self.known.insert(key, id);
        id
    }
}
