//! Live views, and the marks that let them see series as they were.
//!
//! A view is the number of the last commit that it sees. Series only grow at their end, in order of
//! time. So a view sees of a series what is not newer than some time. If nothing was appended to
//! the series since the view began, that is its newest sample. The first append after that leaves a
//! mark with the time that was the newest until then. Without live views nothing is marked.

use crate::model::TimestampMs;

#[derive(Debug, Default)]
pub struct Views {
    live: Vec<View>,
    next_id: u64,
    /// The newest live view's commit plus one; 0 without views. A series whose last commit is below
    /// this must be marked before an append.
    mark_below: u64,
    /// In order of commits. NOTE: at most one per series and live view.
    marks: Vec<Mark>,
}

#[derive(Debug, Clone, Copy)]
struct View {
    id: u64,
    commit: u64,
    start: TimestampMs,
}

/// Before this commit, `last_t` was the series' newest time ([`NEVER`] if it had none).
#[derive(Debug, Clone, Copy)]
struct Mark {
    commit: u64,
    series: u32,
    last_t: TimestampMs,
}

/// The newest time of a series without samples.
pub const NEVER: TimestampMs = TimestampMs::MIN;

/// The range and the last commit that a selection sees.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Its number, which tells the blocks that it sees.
    pub view: u64,
    pub commit: u64,
    pub start: TimestampMs,
    pub end: TimestampMs,
}

impl Views {
    /// Adds a view of everything up to `commit` that will not ask for samples before `start`.
    pub fn add(&mut self, commit: u64, start: TimestampMs) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        self.live.push(View { id, commit, start });
        self.mark_below = commit + 1;
        id
    }

    pub fn remove(&mut self, id: u64) {
        self.live.retain(|view| view.id != id);
        self.mark_below = self.live.last().map_or(0, |view| view.commit + 1);
        let Some(oldest) = self.live.first() else {
            self.marks = Vec::new();
            return;
        };
        let unneeded = self.marks.partition_point(|m| m.commit <= oldest.commit);
        if unneeded > 0 {
            self.marks.drain(..unneeded);
        }
    }

    /// The oldest time that a live view may ask for.
    pub fn start(&self) -> Option<TimestampMs> {
        self.live.iter().map(|view| view.start).min()
    }

    /// The number of the newest view there was.
    pub fn last_id(&self) -> u64 {
        self.next_id
    }

    /// The oldest time that a live view up to `id` may ask for.
    pub fn start_until(&self, id: u64) -> Option<TimestampMs> {
        let until = self.live.iter().filter(|view| view.id <= id);
        until.map(|view| view.start).min()
    }

    /// Whether a series whose last commit is `last_commit` needs a mark before the next append.
    #[inline]
    pub fn needs_mark(&self, last_commit: u64) -> bool {
        last_commit < self.mark_below
    }

    pub fn mark(&mut self, commit: u64, series: u32, last_t: TimestampMs) {
        self.marks.push(Mark {
            commit,
            series,
            last_t,
        });
    }

    /// Sets the newest time that a view of `commit` sees for each series in `changed`, which were
    /// appended to since. `changed` is in order of series.
    pub fn restore(&self, commit: u64, changed: &mut [(u32, Option<TimestampMs>)]) {
        let since = self.marks.partition_point(|m| m.commit <= commit);
        let marks = self.marks.get(since..).unwrap_or_default();
        for mark in marks {
            if let Ok(at) = changed.binary_search_by_key(&mark.series, |c| c.0) {
                changed[at].1.get_or_insert(mark.last_t);
            }
        }
    }

    #[cfg(test)]
    pub fn mark_count(&self) -> usize {
        self.marks.len()
    }
}
