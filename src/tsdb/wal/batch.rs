//! A batch of samples as columns: the series, the times, how each value differs, the values.

#![expect(
    clippy::inline_always,
    reason = "built for size, each of them would be a call for each value"
)]

use std::ops::Range;

use super::value::Last;
use super::varint::Bytes;
use crate::model::TimestampMs;
use crate::stdx::varint::{put_varint, zigzag};

/// LIMIT: samples of a record. A larger batch becomes several. At worst that is some 2.5 MiB, and
/// as much again while it is read.
pub(super) const SAMPLES_MAX: usize = 100_000;

/// A flag: each sample has its own time.
const OWN_TIMES: u8 = 1;
/// A flag: the values build on nothing before.
const FULL: u8 = 2;

/// What precedes the columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchHead {
    /// How many records back the newest one is that a value here builds on; 0 if none builds on
    /// any.
    pub back: u32,
    pub full: bool,
}

/// The columns; their lists are reused for each batch.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub tags: Vec<u8>,
    pub values: Vec<u8>,
}

impl Columns {
    pub fn clear(&mut self) {
        self.tags.clear();
        self.values.clear();
    }

    /// Adds the `i`th value.
    #[inline]
    pub fn push(&mut self, i: usize, last: &mut Last, v: f64) {
        let tag = last.encode(v, &mut self.values);
        if i.is_multiple_of(4) {
            self.tags.push(tag);
        } else if let Some(four) = self.tags.last_mut() {
            *four |= tag << (i % 4 * 2);
        }
    }

    pub fn heap_bytes(&self) -> usize {
        self.tags.capacity() + self.values.capacity()
    }
}

/// Appends a batch's payload. `samples` gives the id and the time of each.
pub(super) fn write(
    out: &mut Vec<u8>,
    head: BatchHead,
    ids: &[u32],
    times: impl Iterator<Item = TimestampMs> + Clone,
    columns: &Columns,
) {
    let first = times.clone().next().unwrap_or(0);
    let own_times = times.clone().any(|t| t != first);
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(flag(own_times, OWN_TIMES) | flag(head.full, FULL));
    put_varint(out, u64::from(head.back));
    put_varint(out, zigzag(first));
    put_varint(out, ids.len() as u64);
    put_runs(out, ids);
    if own_times {
        let mut last = first;
        for t in times.skip(1) {
            put_varint(out, zigzag(t.wrapping_sub(last)));
            last = t;
        }
    }
    out.extend_from_slice(&columns.tags);
    out.extend_from_slice(&columns.values);
}

/// Writes series as runs of consecutive ids: each run's distance from the end of the last, and its
/// length.
fn put_runs(out: &mut Vec<u8>, ids: &[u32]) {
    let mut next = 0;
    for run in ids.chunk_by(|a, b| b.wrapping_sub(*a) == 1) {
        let start = i64::from(run.first().copied().unwrap_or(0));
        put_varint(out, zigzag(start - next));
        put_varint(out, run.len() as u64);
        next = start + run.len() as i64;
    }
}

/// The series and times of a batch. The lists are reused for each batch.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub ids: Vec<Range<u32>>,
    pub count: usize,
    /// One time for all samples, or one for each.
    pub times: Vec<TimestampMs>,
}

impl Samples {
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.ids.iter().cloned().flatten()
    }

    pub fn own_times(&self) -> bool {
        self.times.len() > 1
    }

    /// Returns the time of the `i`th sample.
    pub fn time(&self, i: usize) -> TimestampMs {
        let first = self.times.first();
        self.times.get(i).or(first).copied().unwrap_or_default()
    }
}

/// Reads a payload up to its values, which come on demand.
#[derive(Debug)]
pub(super) struct BatchReader<'a> {
    pub head: BatchHead,
    tags: &'a [u8],
    values: Bytes<'a>,
}

impl<'a> BatchReader<'a> {
    /// Reads series and times into `out`. The values come later.
    pub fn new(payload: &'a [u8], out: &mut Samples) -> Option<BatchReader<'a>> {
        let mut bytes = Bytes(payload);
        let flags = bytes.byte()?;
        let back = u32::try_from(bytes.number()?).ok()?;
        let first = bytes.signed()?;
        out.count = bytes.count(SAMPLES_MAX)?;
        read_runs(&mut bytes, out.count, &mut out.ids)?;
        out.times.clear();
        out.times.push(first);
        if flags & OWN_TIMES != 0 {
            let mut last = first;
            for _ in 1..out.count {
                last = last.wrapping_add(bytes.signed()?);
                out.times.push(last);
            }
        }
        let tags = bytes.take(out.count.div_ceil(4))?;
        let head = BatchHead {
            back,
            full: flags & FULL != 0,
        };
        Some(BatchReader {
            head,
            tags,
            values: bytes,
        })
    }

    /// Makes a reader whose payload continues with `rest`, after the times.
    pub fn of_rest(head: BatchHead, count: usize, rest: &'a [u8]) -> Option<BatchReader<'a>> {
        let mut values = Bytes(rest);
        let tags = values.take(count.div_ceil(4))?;
        Some(BatchReader { head, tags, values })
    }

    /// Appends what [`BatchReader::of_rest`] needs, before any value was asked for.
    pub fn copy_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tags);
        out.extend_from_slice(self.values.0);
    }

    /// Returns the tags of four values: the `i`th's in the lowest bits, above it those of the next
    /// three. `i` must be a multiple of four.
    #[inline(always)]
    pub fn four_tags(&self, i: usize) -> u8 {
        self.tags.get(i / 4).copied().unwrap_or_default()
    }

    /// Returns the `i`th value. Call it in order. A value that is [`EQUAL`](super::value::EQUAL)
    /// may be skipped.
    #[inline(always)]
    pub fn value(&mut self, i: usize, last: &mut Last) -> Option<f64> {
        let tag = self.tags.get(i / 4)? >> (i % 4 * 2) & 3;
        last.decode(tag, &mut self.values)
    }
}

fn read_runs(bytes: &mut Bytes<'_>, count: usize, out: &mut Vec<Range<u32>>) -> Option<()> {
    out.clear();
    let (mut next, mut left) = (0i64, count);
    while left > 0 {
        let start = u32::try_from(next.checked_add(bytes.signed()?)?).ok()?;
        let len = bytes.count(left).filter(|len| *len > 0)?;
        let end = start.checked_add(u32::try_from(len).ok()?)?;
        out.push(start..end);
        left -= len;
        next = i64::from(end);
    }
    Some(())
}
