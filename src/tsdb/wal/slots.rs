//! The writer's state of each series in the current segment.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher as _;

use super::value::Last;
use crate::model::SeriesRef;

/// Gives series ids in the order of first use in the segment. So a batch in the order of an earlier
/// one is one run of ids.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// Ids by series.
    table: HashTable<u32>,
    hasher: FixedState,
}

/// One series. It has 32 bytes, because every series has one.
#[derive(Debug)]
struct Slot {
    series: SeriesRef,
    last: Last,
}

/// LIMIT: the list grows by this part, not to the double, so that little is empty.
const GROWTH: usize = 8;

impl Slots {
    /// Finds a series' id. `guess` is the most likely one.
    #[inline]
    pub fn find(&self, series: SeriesRef, guess: u32) -> Option<u32> {
        if self.is(guess, series) {
            return Some(guess);
        }
        let hash = self.hasher.hash_one(series);
        self.table.find(hash, |id| self.is(*id, series)).copied()
    }

    #[inline]
    fn is(&self, id: u32, series: SeriesRef) -> bool {
        let slot = self.slots.get(id as usize);
        slot.is_some_and(|slot| slot.series == series)
    }

    pub fn insert(&mut self, series: SeriesRef) -> u32 {
        let id = self.slots.len() as u32;
        if self.slots.len() == self.slots.capacity() {
            self.slots
                .reserve_exact((self.slots.len() / GROWTH).max(16));
        }
        self.slots.push(Slot {
            series,
            last: Last::default(),
        });
        let (slots, hasher) = (&self.slots, &self.hasher);
        let rehash = |id: &u32| hasher.hash_one(slots[*id as usize].series);
        let hash = hasher.hash_one(series);
        self.table.insert_unique(hash, id, rehash);
        id
    }

    /// Returns the state for an id that [`Slots::find`] or [`Slots::insert`] gave.
    #[inline]
    pub fn last(&mut self, id: u32) -> &mut Last {
        &mut self.slots[id as usize].last
    }

    pub fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.table.allocation_size()
    }
}
