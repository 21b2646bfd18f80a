//! One series: its open chunk, its closed ones, and the place of its labels.

use crate::model::TimestampMs;
use crate::tsdb::chunk::{Chunk, Open, Pool};

/// One series. It has 80 bytes, because there is one for every series.
#[derive(Debug, Default)]
pub struct Series {
    pub open: Open,
    /// The closed chunks; `None` if there are none. Boxed twice, because most series of a small
    /// head have none.
    #[expect(
        clippy::box_collection,
        reason = "a third of the bytes while it is empty"
    )]
    closed: Option<Box<Vec<Closed>>>,
    /// The number of the last commit that appended to it; 0 while it is empty.
    pub commit: u64,
    /// How often its place was reused.
    pub generation: u32,
    /// The index of its pairs in the slab's list.
    pub pairs_at: u32,
    /// The hash of its labels, kept so that the table grows without reading them.
    pub hash: u32,
    pub pairs_len: u16,
    /// False for a free place in the slab.
    pub live: bool,
    /// Whether it was empty at the last garbage collection.
    pub idle: bool,
}

#[derive(Debug)]
pub struct Closed {
    pub last_t: TimestampMs,
    pub chunk: Chunk,
}

impl Series {
    pub fn new(generation: u32, hash: u32, pairs_at: u32, pairs_len: u16) -> Series {
        Series {
            hash,
            pairs_at,
            pairs_len,
            live: true,
            ..Series::left(generation)
        }
    }

    /// Makes a place that a series has left.
    pub fn left(generation: u32) -> Series {
        Series {
            generation,
            ..Series::default()
        }
    }

    /// Whether it was never appended to.
    pub fn is_new(&self) -> bool {
        !self.open.has_newest()
    }

    /// Whether it was never appended to, or all its samples are in blocks.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Appends a sample newer than all others, in the window that begins at `since`. Returns how
    /// many chunks this added.
    #[inline]
    pub fn append(&mut self, pool: &mut Pool, since: TimestampMs, t: TimestampMs, v: f64) -> u64 {
        let first = self.open.is_empty();
        if self.open.append_in(pool, since, t, v) {
            return first.into();
        }
        self.cut(pool);
        if !self.open.append_in(pool, since, t, v) {
            crate::bug!("an empty chunk refuses a sample");
        }
        1
    }

    #[cold]
    fn cut(&mut self, pool: &mut Pool) {
        let last_t = self.open.last_t();
        let closed = self.closed.get_or_insert_default();
        if closed.len() == closed.capacity() {
            closed.reserve_exact((closed.len() / 4).max(1));
        }
        closed.push(Closed {
            last_t,
            chunk: self.open.close(pool),
        });
    }

    pub fn closed(&self) -> &[Closed] {
        self.closed.as_ref().map_or(&[], |closed| closed.as_slice())
    }

    /// Returns the time of the oldest sample, if there is one.
    pub fn first_t(&self, pool: &Pool) -> Option<TimestampMs> {
        let open = (!self.open.is_empty()).then(|| self.open.first_t(pool));
        self.closed()
            .first()
            .map(|c| c.chunk.first_t(pool))
            .or(open)
    }

    pub fn chunks(&self) -> u64 {
        self.closed().len() as u64 + u64::from(!self.open.is_empty())
    }

    /// Whether a chunk overlaps `start..=end`.
    pub fn overlaps(&self, pool: &Pool, start: TimestampMs, end: TimestampMs) -> bool {
        let reaches = |first, last| first <= end && last >= start;
        if self.is_empty() {
            return false;
        }
        // NOTE: nearly always so. Then nothing else of the series is touched.
        if (start..=end).contains(&self.open.last_t())
            || reaches(self.open.first_t(pool), self.open.last_t())
        {
            return true;
        }
        // NOTE: chunks are in order of time, so the first that ends late enough decides.
        let closed = self.closed();
        let at = closed.partition_point(|c| c.last_t < start);
        closed
            .get(at)
            .is_some_and(|c| reaches(c.chunk.first_t(pool), c.last_t))
    }

    /// Drops the closed chunks that end before `before`. Returns their number.
    pub fn drop_closed(&mut self, pool: &mut Pool, before: TimestampMs) -> u64 {
        let Some(closed) = &mut self.closed else {
            return 0;
        };
        let gone = closed.partition_point(|c| c.last_t < before);
        for old in closed.drain(..gone) {
            old.chunk.release(pool);
        }
        if closed.is_empty() {
            self.closed = None;
        }
        gone as u64
    }

    /// Drops the samples up to `through`, and remembers the newest. Returns the number of dropped
    /// chunks.
    pub fn drop_through(&mut self, pool: &mut Pool, through: TimestampMs) -> u64 {
        let before = self.chunks();
        // NOTE: what is not after `through` ends before the next number.
        self.drop_closed(pool, through.saturating_add(1));
        if let Some(closed) = self.closed.as_mut().and_then(|closed| closed.first_mut()) {
            if closed.chunk.first_t(pool) <= through {
                closed.chunk.keep_after(pool, through);
            }
        } else if !self.open.is_empty() && self.open.first_t(pool) <= through {
            if self.open.last_t() <= through {
                self.open.forget(pool);
            } else {
                self.open.keep_after(pool, through);
            }
        }
        before - self.chunks()
    }

    /// Gives back what it holds of the pool.
    pub fn clear(&mut self, pool: &mut Pool) {
        self.open.clear(pool);
        for old in self.closed.take().into_iter().flat_map(|closed| *closed) {
            old.chunk.release(pool);
        }
    }

    /// The bytes on the heap, without the pool.
    pub fn heap_bytes(&self) -> usize {
        self.closed.as_ref().map_or(0, |closed| {
            size_of::<Vec<Closed>>() + closed.capacity() * size_of::<Closed>()
        })
    }
}
