//! A budget of bytes that several threads share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[derive(Debug, Clone)]
pub(super) struct Budget {
    used: Arc<AtomicUsize>,
    max: usize,
}

/// A share of a budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    pub fn new(max: usize) -> Budget {
        Budget {
            used: Arc::default(),
            max,
        }
    }

    pub fn reserve_nothing(&self) -> Reserved {
        Reserved {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

impl Reserved {
    /// Changes the share to `bytes`. Returns false if the budget has no room for that.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let max = self.budget.max;
        let room = |used: usize| used.checked_add(more).filter(|used| *used <= max);
        let grown = self
            .budget
            .used
            .fetch_update(Relaxed, Relaxed, room)
            .is_ok();
        if grown {
            self.bytes += more;
        }
        grown
    }
}

impl Reserved {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back the part beyond `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.budget.used.fetch_sub(less, Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}
