//! Reads the whole log once, at the start.

use std::io;
use std::sync::Arc;

use super::entry::{Entry, Order, Position};
use super::format::{Begins, HEADER_BYTES};
use super::reading::Reading;
use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::{WAL_DIR, segment_number};

/// The result of a replay.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Replayed {
    pub segments: u32,
    pub records: u64,
    pub samples: u64,
    /// Samples in good records that build on something missing.
    pub unread_samples: u64,
    /// Records that are missing or damaged, or whose content we cannot read.
    pub skipped_records: u64,
    /// Bytes outside of good records, apart from torn tails.
    pub skipped_bytes: u64,
    /// The number of stretches of such bytes.
    pub skipped_ranges: u64,
    /// Bytes at segments' ends that a stopped process or a power cut explains.
    pub torn_bytes: u64,
    /// Segments with damage.
    pub damaged: Vec<u32>,
    /// Segments of an unknown version.
    pub unknown: Vec<u32>,
    /// Where reading ended.
    pub end: Position,
    /// The number of records that the log has had. The writer continues from it.
    pub next_seq: u64,
}

/// Reads the segments from a position on, with one record at a time in memory. Changes nothing.
///
/// # Errors
/// The directory cannot be listed. An unreadable segment counts as damaged.
pub fn replay(
    dir: &Arc<dyn Dir>,
    from: Option<Position>,
    sink: &mut dyn FnMut(Entry<'_>),
) -> io::Result<Replayed> {
    read(dir, from, Order::AsLogged, sink)
}

/// Reads as [`replay`] does. In order of series, it holds some batches of each series in memory.
pub(super) fn read(
    dir: &Arc<dyn Dir>,
    from: Option<Position>,
    order: Order,
    sink: &mut dyn FnMut(Entry<'_>),
) -> io::Result<Replayed> {
    let from = from.unwrap_or_default();
    let mut replay = Replay {
        order,
        ..Replay::default()
    };
    for number in list(dir, from.segment)? {
        let offset = if number == from.segment {
            from.offset
        } else {
            0
        };
        replay.segment(dir, number, offset, sink);
    }
    replay.end_segment(None);
    replay.done.damaged.dedup();
    Ok(replay.done)
}

fn list(dir: &Arc<dyn Dir>, from: u32) -> io::Result<Vec<u32>> {
    let entries = match dir.list(WAL_DIR) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let numbers = entries
        .iter()
        .filter_map(|entry| segment_number(&entry.name));
    let mut numbers: Vec<u32> = numbers.filter(|number| *number >= from).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[derive(Debug, Default)]
struct Replay {
    order: Order,
    done: Replayed,
    /// Bytes at the end of the segment before. The next segment tells what they are.
    tail: u64,
    /// Whether `done.next_seq` is known.
    counting: bool,
}

impl Replay {
    fn segment(
        &mut self,
        dir: &Arc<dyn Dir>,
        number: u32,
        from: u32,
        sink: &mut dyn FnMut(Entry<'_>),
    ) {
        let reading = match Reading::open(dir, number, from, self.order) {
            Ok(reading) => reading,
            Err(error) => {
                log::warn!(segment = number; "a segment of the log cannot be read: {error}");
                self.end_segment(None);
                self.done.skipped_ranges += 1;
                self.done.damaged.push(number);
                return;
            }
        };
        match reading.begins {
            Begins::Known(header) => {
                self.end_segment(Some(header.first_seq));
                self.done.next_seq = header.first_seq;
                self.counting = true;
            }
            Begins::Unknown(version) => {
                log::warn!(segment = number, version = version;
                    "a segment of the log is of a version that is not known; it is left alone");
                self.end_segment(None);
                self.done.unknown.push(number);
                self.counting = false;
                return;
            }
            Begins::Damaged => self.end_segment(None),
        }
        self.read(reading, sink);
    }

    fn read(&mut self, mut reading: Reading, sink: &mut dyn FnMut(Entry<'_>)) {
        let number = reading.number;
        let failed = loop {
            match reading.step(reading.len, sink) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(error) => break Some(error),
            }
        };
        reading.finish(sink);
        let (done, counts, damage) = (&mut self.done, reading.counts(), reading.damage());
        done.segments += 1;
        done.records += counts.records;
        done.samples += counts.samples;
        done.unread_samples += counts.unread_samples;
        done.skipped_records += damage.records + counts.unread_records;
        done.skipped_bytes += damage.bytes;
        done.skipped_ranges += damage.ranges;
        done.next_seq += u64::from(reading.records());
        done.end = Position {
            segment: number,
            offset: reading.offset() as u32,
        };
        self.tail = reading.len.saturating_sub(reading.offset());
        let headless = matches!(reading.begins, Begins::Damaged);
        if headless && counts.records == 0 {
            // NOTE: a power cut leaves an empty file, or one of zeroes.
            self.tail = reading.len;
        } else if headless {
            done.skipped_bytes += HEADER_BYTES as u64;
            done.skipped_ranges += 1;
        }
        if let Some(error) = failed {
            log::warn!(segment = number; "a segment of the log cannot be read: {error}");
            done.skipped_bytes += self.tail;
            done.skipped_ranges += 1;
            self.tail = 0;
            done.damaged.push(number);
        } else if damage.bytes > 0 || damage.records > 0 || (headless && counts.records > 0) {
            done.damaged.push(number);
        }
    }

    /// Judges the last bytes of the segment before by how the next one begins.
    fn end_segment(&mut self, next_first_seq: Option<u64>) {
        let tail = std::mem::take(&mut self.tail);
        let missing = match next_first_seq {
            Some(seq) if self.counting => seq.saturating_sub(self.done.next_seq),
            _ => 0,
        };
        self.done.skipped_records += missing;
        if missing == 0 {
            self.done.torn_bytes += tail;
        } else {
            // A segment that is gone, or was cut between two records, leaves no tail.
            self.done.skipped_bytes += tail;
            self.done.skipped_ranges += 1;
            self.done.damaged.push(self.done.end.segment);
        }
    }
}
