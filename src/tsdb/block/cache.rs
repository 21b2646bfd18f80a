//! A cache of recently read pages, shared by all blocks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::stdx::atomic::AtomicU64;
use crate::stdx::locked::locked;

/// The file (a number within this process), and the offset in it.
type Key = (u64, u64);

/// Pages as they are on disk, with their CRC checked. The cache has a budget of bytes. A page that
/// was not asked for during a round of the clock goes first.
#[derive(Debug)]
pub struct PageCache {
    budget_bytes: usize,
    state: Mutex<State>,
    /// Pages found damaged in any file, including files that are closed again.
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

/// The bytes of a page beside its content: slot, table entry, counts of the Arc.
const OVERHEAD_BYTES: usize = 96;

impl PageCache {
    pub fn new(budget_bytes: usize) -> PageCache {
        PageCache {
            budget_bytes,
            state: Mutex::default(),
            damaged: AtomicU64::new(0),
        }
    }

    /// The number of pages found damaged, in all files that share the cache.
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

    /// Returns a number for a file that starts to use the cache.
    pub(super) fn new_file() -> u64 {
        // NOTE: one sequence for the process, not per cache, since reading threads remember pages
        // by it.
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
        // One page must not drive out everything else.
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

    /// Drops a file's pages.
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
        locked(&self.state)
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
                // NOTE: the last slot moves to the hand's place and is looked at next.
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
