//! Pages that were read lately, of all blocks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which file (a number of this process), and where in it.
type Key = (u64, u64);

/// Pages as they are on disk, their CRC already checked. Has a budget of bytes; what was not asked
/// for during a round of its clock goes first.
#[derive(Debug)]
pub struct PageCache {
    budget_bytes: usize,
    state: Mutex<State>,
    /// Pages found damaged in any of the files, those included that are closed again.
    damaged: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    places: HashMap<Key, usize, foldhash::fast::RandomState>,
    slots: Vec<Slot>,
    hand: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    page: Arc<[u8]>,
    asked: bool,
}

/// What a page costs beside its bytes: slot, place in the table, counts of the Arc.
const OVERHEAD_BYTES: usize = 96;

impl PageCache {
    pub fn new(budget_bytes: usize) -> PageCache {
        PageCache {
            budget_bytes,
            state: Mutex::default(),
            damaged: AtomicU64::new(0),
        }
    }

    /// How many pages were found damaged, in all files that share it.
    pub fn damaged_pages(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(super) fn count_damaged(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes held now.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// A number for a file that begins to use the cache.
    pub(super) fn new_file() -> u64 {
        // NOTE: of the process, not of the cache: threads that read remember pages by it.
        static FILES: AtomicUsize = AtomicUsize::new(1);
        FILES.fetch_add(1, Ordering::Relaxed) as u64
    }

    pub(super) fn get(&self, key: Key) -> Option<Arc<[u8]>> {
        let mut state = self.lock();
        let place = *state.places.get(&key)?;
        let slot = state.slots.get_mut(place)?;
        slot.asked = true;
        Some(slot.page.clone())
    }

    pub(super) fn put(&self, key: Key, page: Arc<[u8]>) {
        let cost = page.len() + OVERHEAD_BYTES;
        // One page shall not drive out everything else.
        if cost > self.budget_bytes / 4 {
            return;
        }
        let mut state = self.lock();
        if state.places.contains_key(&key) {
            return;
        }
        while state.bytes + cost > self.budget_bytes && !state.slots.is_empty() {
            state.evict();
        }
        let place = state.slots.len();
        state.places.insert(key, place);
        state.slots.push(Slot {
            key,
            page,
            asked: false,
        });
        state.bytes += cost;
    }

    /// Lets go of a file's pages.
    pub(super) fn forget(&self, file: u64) {
        let mut state = self.lock();
        let mut place = 0;
        while place < state.slots.len() {
            if state.slots[place].key.0 == file {
                state.remove(place);
            } else {
                place += 1;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // NOTE: no code that can panic halfway runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn evict(&mut self) {
        loop {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let Some(slot) = self.slots.get_mut(self.hand) else {
                return;
            };
            if slot.asked {
                slot.asked = false;
                self.hand += 1;
            } else {
                // NOTE: the last slot comes to the hand's place and is looked at next.
                return self.remove(self.hand);
            }
        }
    }

    fn remove(&mut self, place: usize) {
        let slot = self.slots.swap_remove(place);
        self.bytes -= slot.page.len() + OVERHEAD_BYTES;
        self.places.remove(&slot.key);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.key, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_to_its_budget_and_to_what_is_asked_for() {
        let cache = PageCache::new(10_000);
        let file = PageCache::new_file();
        for i in 0..100 {
            cache.put((file, i), vec![0; 900].into());
            cache.get((file, 0));
            assert!(cache.bytes() <= 10_000);
        }
        assert!(cache.get((file, 0)).is_some());
        assert!(cache.get((file, 50)).is_none());
        cache.put((file, 1000), vec![0; 9_000].into());
        assert!(cache.get((file, 1000)).is_none());
        cache.forget(file);
        assert_eq!(cache.bytes(), 0);
    }
}
