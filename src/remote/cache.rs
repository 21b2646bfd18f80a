//! Maps a series' label bytes to its reference, since senders repeat them byte for byte.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use crate::model::{SeriesRef, TimestampMs};

/// LIMIT: series in each of two generations: 5 MiB. With more series at once some are resolved
/// anew, which costs time only.
const SERIES_MAX: usize = 1 << 16;

/// The longest time of a generation. What was not seen during the next one is dropped.
const GENERATION: Duration = Duration::from_secs(3600);

/// 128 bits of hash in place of the bytes themselves, which would take four times the memory.
///
/// NOTE: both halves are seeded at random. Two series of the largest cache collide with a
/// probability of 10^-28, and nobody can make them collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(u64, u64);

#[derive(Debug)]
pub(super) struct Entry {
    key: Key,
    /// [`INVALID`] if no series may have the labels.
    series: SeriesRef,
    /// The newest sample that request number `request` brought.
    last_t: TimestampMs,
    request: u32,
}

/// An entry's index in the recent generation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(usize);

const INVALID: SeriesRef = SeriesRef(u64::MAX);

/// A cache of bounded size. An entry that is used moves into the new generation.
#[derive(Debug)]
pub(super) struct Cache {
    recent: HashTable<Entry>,
    older: HashTable<Entry>,
    hashers: (RandomState, RandomState),
    began: Duration,
    requests: u32,
}

impl Cache {
    pub fn new() -> Cache {
        Cache {
            recent: HashTable::new(),
            older: HashTable::new(),
            hashers: (RandomState::default(), RandomState::default()),
            began: Duration::ZERO,
            requests: 0,
        }
    }

    /// Returns a number for a request. `now` is monotonic.
    pub fn begin(&mut self, now: Duration) -> u32 {
        if now.saturating_sub(self.began) > GENERATION {
            self.rotate();
            self.began = now;
        }
        self.requests = self.requests.wrapping_add(1);
        self.requests
    }

    pub fn key(&self, labels: &[u8]) -> Key {
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(labels);
            hasher.finish()
        };
        Key(hash(&self.hashers.0), hash(&self.hashers.1))
    }

    /// Returns the entry's place, which holds until the next one is added.
    #[inline]
    pub fn find(&mut self, key: Key) -> Option<Place> {
        let found = self.recent.find_bucket_index(key.0, |e| e.key == key);
        if let Some(at) = found {
            return Some(Place(at));
        }
        let old = self.older.find_entry(key.0, |e| e.key == key).ok()?;
        let entry = old.remove().0;
        Some(self.add(entry))
    }

    #[inline]
    pub fn at(&mut self, place: Place) -> Option<&mut Entry> {
        self.recent.get_bucket_mut(place.0)
    }

    /// Replaces what was known. `None` stands for labels that no series may have.
    pub fn insert(&mut self, key: Key, series: Option<SeriesRef>) -> Place {
        for table in [&mut self.recent, &mut self.older] {
            if let Ok(entry) = table.find_entry(key.0, |e| e.key == key) {
                entry.remove();
            }
        }
        self.add(Entry {
            key,
            series: series.unwrap_or(INVALID),
            last_t: TimestampMs::MIN,
            request: 0,
        })
    }

    fn add(&mut self, entry: Entry) -> Place {
        if self.recent.len() >= SERIES_MAX {
            self.rotate();
        }
        let place = self.recent.insert_unique(entry.key.0, entry, |e| e.key.0);
        Place(place.bucket_index())
    }

    fn rotate(&mut self) {
        self.older = std::mem::take(&mut self.recent);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.recent.len() + self.older.len()
    }
}

impl Entry {
    pub fn series(&self) -> Option<SeriesRef> {
        (self.series != INVALID).then_some(self.series)
    }

    /// Whether the sample is newer than all that this request brought for the series.
    #[inline]
    pub fn advances(&mut self, request: u32, t: TimestampMs) -> bool {
        if self.request == request && t <= self.last_t {
            return false;
        }
        (self.request, self.last_t) = (request, t);
        true
    }

    /// Whether the sample is older than the newest that this request brought.
    pub fn is_before(&self, t: TimestampMs) -> bool {
        t < self.last_t
    }
}
