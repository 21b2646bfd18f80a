//! A heap of the best values so far, the worst of them on top.
//!
//! NOTE: a binary heap of our own. Which of two equal values stays, and which comes first, must be
//! as in Go's.

/// A value, and the number of its series.
pub(super) type Entry = (f64, u32);

/// The order of values; NaN is the worst.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pub least_first: bool,
}

impl Order {
    /// Whether `a` is worse than `b`. NaN is worse even than NaN.
    fn is_worse(self, a: f64, b: f64) -> bool {
        a.is_nan() || if self.least_first { a > b } else { a < b }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Heap(Vec<Entry>);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offer {
    Taken,
    /// Taken, in place of an entry of the given series.
    Instead(u32),
    Refused,
}

impl Heap {
    #[inline]
    pub fn offer(&mut self, entry: Entry, limit: usize, order: Order) -> Offer {
        if self.0.len() < limit {
            self.0.push(entry);
            self.rise(order);
            return Offer::Taken;
        }
        match self.0.first_mut() {
            Some(top) if !entry.0.is_nan() && order.is_worse(top.0, entry.0) => {
                let left = std::mem::replace(top, entry);
                self.sink(order);
                Offer::Instead(left.1)
            }
            _ => Offer::Refused,
        }
    }

    /// Raises the last entry to its place.
    fn rise(&mut self, order: Order) {
        let mut at = self.0.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !order.is_worse(self.0[at].0, self.0[parent].0) {
                break;
            }
            self.0.swap(at, parent);
            at = parent;
        }
    }

    /// Lowers the first entry to its place.
    fn sink(&mut self, order: Order) {
        let mut at = 0;
        loop {
            let mut child = 2 * at + 1;
            if child >= self.0.len() {
                break;
            }
            let other = child + 1;
            if other < self.0.len() && order.is_worse(self.0[other].0, self.0[child].0) {
                child = other;
            }
            if !order.is_worse(self.0[child].0, self.0[at].0) {
                break;
            }
            self.0.swap(at, child);
            at = child;
        }
    }

    /// Returns the entries, best first. Up to a dozen equal values stand in the order that Go's
    /// insertion sort gives them.
    pub fn sorted(self, order: Order) -> Vec<Entry> {
        let mut entries = self.0;
        if entries.len() > 12 {
            entries.sort_by(|a, b| match order.least_first {
                _ if a.0.is_nan() || b.0.is_nan() => a.0.is_nan().cmp(&b.0.is_nan()),
                true => a.0.total_cmp(&b.0),
                false => b.0.total_cmp(&a.0),
            });
            return entries;
        }
        for i in 1..entries.len() {
            let mut at = i;
            while at > 0 && order.is_worse(entries[at - 1].0, entries[at].0) {
                entries.swap(at - 1, at);
                at -= 1;
            }
        }
        entries
    }
}
