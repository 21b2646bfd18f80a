//! Yields a segment's records one after another, past any damage between them.

use std::io;

use super::format::{Begins, HEAD_BYTES, HEADER_BYTES, Head, Header};
use crate::tsdb::dir::File;

/// LIMIT: the bytes read at once. A longer record takes more.
const WINDOW_BYTES: usize = 128 << 10;

#[derive(Debug)]
pub(super) struct SegmentReader {
    file: Box<dyn File>,
    number: u32,
    /// The bytes of the file in memory, from `start` on.
    window: Vec<u8>,
    start: u64,
    /// The next record is here, or later.
    offset: u64,
    next_seq: u32,
    pub damage: Damage,
}

/// Bytes that were not a good record.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    pub bytes: u64,
    pub ranges: u64,
    pub records: u64,
}

/// The place of a record. Its payload is in the window until the next is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub kind: u8,
    pub seq: u32,
    /// The first missing sequence number before it, if one is missing.
    pub missing_from: Option<u32>,
    /// The offset of its head in the file.
    pub offset: u64,
    len: usize,
}

impl SegmentReader {
    pub fn open(file: Box<dyn File>, number: u32) -> io::Result<(SegmentReader, Begins)> {
        let mut reader = SegmentReader {
            file,
            number,
            window: Vec::new(),
            start: 0,
            offset: 0,
            next_seq: 0,
            damage: Damage::default(),
        };
        let begins = Header::read(reader.bytes(0, HEADER_BYTES, u64::MAX)?);
        let begins = match begins {
            // NOTE: the file was renamed. Under this name none of its checks is right.
            Begins::Known(header) if header.segment != number => Begins::Damaged,
            begins => begins,
        };
        reader.offset = HEADER_BYTES as u64;
        Ok((reader, begins))
    }

    /// Returns the next good record that ends at or before `end`. The bytes before it are damage;
    /// without a next record all the rest is.
    pub fn next(&mut self, end: u64) -> io::Result<Option<Found>> {
        let mut at = self.offset;
        while at + HEAD_BYTES as u64 <= end {
            if let Some(found) = self.record_at(at, end)? {
                if at > self.offset {
                    self.damage.ranges += 1;
                    self.damage.bytes += at - self.offset;
                }
                self.damage.records += u64::from(found.seq - self.next_seq);
                self.offset = at + (HEAD_BYTES + found.len) as u64;
                self.next_seq = found.seq.saturating_add(1);
                return Ok(Some(found));
            }
            at += 1;
        }
        Ok(None)
    }

    fn record_at(&mut self, at: u64, end: u64) -> io::Result<Option<Found>> {
        let (number, next_seq) = (self.number, self.next_seq);
        let bytes = self.bytes(at, HEAD_BYTES, end)?;
        let Some(head) = Head::read(bytes) else {
            return Ok(None);
        };
        let whole = HEAD_BYTES + head.len;
        let possible = u64::from(next_seq) + at / HEAD_BYTES as u64;
        let wrong = head.seq < next_seq || u64::from(head.seq) > possible;
        if wrong || at + whole as u64 > end {
            return Ok(None);
        }
        let record = self.bytes(at, whole, end)?;
        if record.len() < whole || !head.checks(record, number) {
            return Ok(None);
        }
        Ok(Some(Found {
            kind: head.kind,
            seq: head.seq,
            missing_from: (head.seq > next_seq).then_some(next_seq),
            offset: at,
            len: head.len,
        }))
    }

    /// Returns the payload of the record that was found last.
    pub fn payload(&self, found: &Found) -> &[u8] {
        let from = (found.offset - self.start) as usize + HEAD_BYTES;
        self.window.get(from..from + found.len).unwrap_or_default()
    }

    /// The offset after the last good record.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The least number of records, including missing ones.
    pub fn records(&self) -> u32 {
        self.next_seq
    }

    pub fn file_len(&self) -> io::Result<u64> {
        self.file.len()
    }

    /// Returns up to `len` bytes of the file at an offset, none after `end`.
    fn bytes(&mut self, at: u64, len: usize, end: u64) -> io::Result<&[u8]> {
        let held = self.start + self.window.len() as u64;
        if at < self.start || at + len as u64 > held {
            self.fill(at, len.max(WINDOW_BYTES), end)?;
        }
        let from = (at - self.start) as usize;
        let to = self.window.len().min(from + len);
        Ok(self.window.get(from..to).unwrap_or_default())
    }

    fn fill(&mut self, at: u64, len: usize, end: u64) -> io::Result<()> {
        let held = self.start + self.window.len() as u64;
        // NOTE: bytes in memory are kept, since a scan goes byte by byte.
        if at >= self.start && at < held {
            self.window.drain(..(at - self.start) as usize);
        } else {
            self.window.clear();
        }
        self.start = at;
        let want = len.min(usize::try_from(end.saturating_sub(at)).unwrap_or(len));
        if self.window.capacity() > 4 * WINDOW_BYTES && want <= WINDOW_BYTES {
            self.window.shrink_to(WINDOW_BYTES);
        }
        let mut filled = self.window.len();
        if filled >= want {
            return Ok(());
        }
        self.window.resize(want, 0);
        while filled < want {
            match self
                .file
                .read_at(at + filled as u64, &mut self.window[filled..])
            {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) => {
                    self.window.truncate(filled);
                    return Err(error);
                }
            }
        }
        self.window.truncate(filled);
        Ok(())
    }
}
