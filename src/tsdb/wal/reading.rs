//! Reads one segment: frames and their content.

use std::io;
use std::sync::Arc;

use super::decoder::{Counts, Decoder};
use super::entry::{Entry, Order};
use super::format::Begins;
use super::segment::{Damage, SegmentReader};
use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::segment as segment_path;

/// The least bytes of a definition, which bounds the ids of a segment.
const DEFINITION_BYTES_MIN: u64 = 2;

#[derive(Debug)]
pub(super) struct Reading {
    reader: SegmentReader,
    decoder: Decoder,
    pub number: u32,
    /// Samples of records before this one only update the states.
    from: u32,
    pub begins: Begins,
    pub len: u64,
}

impl Reading {
    pub fn open(dir: &Arc<dyn Dir>, number: u32, from: u32, order: Order) -> io::Result<Reading> {
        let file = dir.open(&segment_path(number))?;
        let (reader, begins) = SegmentReader::open(file, number)?;
        let len = reader.file_len()?;
        Ok(Reading {
            reader,
            decoder: Decoder::new(order),
            number,
            from,
            begins,
            len,
        })
    }

    /// Reads the next record. Returns `false` if there is none before `end`.
    pub fn step(&mut self, end: u64, sink: &mut dyn FnMut(Entry<'_>)) -> io::Result<bool> {
        let Some(found) = self.reader.next(end)? else {
            return Ok(false);
        };
        if let Some(missing) = found.missing_from {
            self.decoder.gap(missing, found.seq, sink);
        }
        let tell = found.offset >= self.from.into();
        let payload = self.reader.payload(&found);
        let ids_max = end / DEFINITION_BYTES_MIN;
        self.decoder
            .record(found.kind, found.seq, payload, ids_max, tell, sink);
        Ok(true)
    }

    /// Gives what was held to be given together.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Entry<'_>)) {
        self.decoder.flush(sink);
    }

    /// The length now; another thread may still write.
    pub fn file_len(&self) -> io::Result<u64> {
        self.reader.file_len()
    }

    /// The offset after the last good record.
    pub fn offset(&self) -> u64 {
        self.reader.offset()
    }

    pub fn records(&self) -> u32 {
        self.reader.records()
    }

    pub fn damage(&self) -> Damage {
        self.reader.damage
    }

    pub fn counts(&self) -> Counts {
        self.decoder.counts
    }
}
