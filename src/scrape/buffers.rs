//! The buffers that a turn needs and an idle loop does not. They are lent for the turn.

use std::sync::Mutex;

use crate::model::LabelsBuilder;
use crate::stdx::locked::locked;
use crate::storage::Appender;

/// Working space of one turn.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub body: Vec<u8>,
    pub batch: Appender,
    pub builder: LabelsBuilder,
}

impl Work {
    fn heap_bytes(&self) -> usize {
        self.body.capacity()
            + self.batch.samples.capacity() * SAMPLE_BYTES
            + self.batch.exemplars.capacity() * EXEMPLAR_BYTES
    }
}

const SAMPLE_BYTES: usize = size_of::<crate::storage::Pending>();
const EXEMPLAR_BYTES: usize = size_of::<crate::storage::PendingExemplar>();

/// LIMIT: as many turns as few cores can read at once. A turn that finds no buffers makes its own.
const COUNT_MAX: usize = 4;
/// LIMIT: all waiting buffers together. Pages of 1,000 series need 150 KiB each.
const BYTES_MAX: usize = 8 << 20;
/// Smaller buffers are never given back to the system.
const BYTES_FREE: usize = 256 << 10;

#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Work>>);

impl Buffers {
    /// Returns the smallest buffers that hold a body of so many bytes, or else the largest.
    pub fn take(&self, body_bytes: usize) -> Work {
        let mut free = locked(&self.0);
        let sizes = free.iter().map(|w| w.body.capacity()).enumerate();
        let fits = sizes.clone().filter(|(_, size)| *size >= body_bytes);
        let found = fits
            .min_by_key(|(_, size)| *size)
            .or(sizes.max_by_key(|(_, size)| *size));
        found
            .map(|(at, _)| free.swap_remove(at))
            .unwrap_or_default()
    }

    pub fn give(&self, mut work: Work) {
        let used = work.body.len();
        work.body.clear();
        work.batch.clear();
        // A buffer that grew for one large page is not kept for small ones.
        if work.body.capacity() > BYTES_FREE && work.body.capacity() / 4 > used {
            work.body.shrink_to(used);
        }
        let mut free = locked(&self.0);
        let bytes: usize = free.iter().map(Work::heap_bytes).sum();
        if free.len() < COUNT_MAX && bytes + work.heap_bytes() <= BYTES_MAX {
            free.push(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give(buffers: &Buffers, capacity: usize, used: usize) {
        let mut work = Work::default();
        work.body.reserve_exact(capacity);
        work.body.resize(used, 0);
        buffers.give(work);
    }

    fn sizes(buffers: &Buffers) -> Vec<usize> {
        buffers
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|w| w.body.capacity())
            .collect()
    }

    #[test]
    fn the_best_fit_is_lent() {
        let buffers = Buffers::default();
        for size in [100, 3_000, 2_000] {
            give(&buffers, size, size);
        }
        let lent = |bytes| buffers.take(bytes).body.capacity();
        assert_eq!(
            [lent(1_000), lent(1_000), lent(1_000), lent(1)],
            [2_000, 3_000, 100, 0]
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let buffers = Buffers::default();
        give(&buffers, 4 << 20, 1 << 20);
        give(&buffers, 4 << 20, (1 << 20) - 1);
        give(&buffers, 4 << 20, 4 << 20);
        assert_eq!(sizes(&buffers), [4 << 20, (1 << 20) - 1]);
        for _ in 0..2 * COUNT_MAX {
            give(&buffers, 100, 0);
        }
        assert_eq!(sizes(&buffers).len(), COUNT_MAX);
    }
}
