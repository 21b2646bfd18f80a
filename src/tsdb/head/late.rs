//! Out-of-order samples: accepted within a window behind the newest sample, kept beside the chunks,
//! merged in reads and in blocks.

use std::collections::HashMap;

use super::views::Scope;
use crate::model::{Sample, TimestampMs};

/// The samples by place. Each list is in order of time, then of commits.
#[derive(Debug, Default)]
pub struct LateSamples {
    series: HashMap<u32, Vec<Late>, foldhash::fast::RandomState>,
    count: usize,
    /// How far behind the head's newest sample they may be; 0 refuses them.
    pub window_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Late {
    t: TimestampMs,
    v: f64,
    /// The number of its commit, from which on views see it.
    commit: u64,
}

/// The result of an insertion.
pub enum Inserted {
    New,
    Same,
    /// Another sample, with this value, has its time.
    Duplicate(f64),
}

impl LateSamples {
    /// Inserts a sample. Samples up to the commit `in_block` are in a block, and only views that do
    /// not see the block still see them. The new sample is put beside such a one.
    pub fn insert(
        &mut self,
        at: u32,
        (t, v): (TimestampMs, f64),
        commit: u64,
        in_block: u64,
    ) -> Inserted {
        let list = self.series.entry(at).or_default();
        let place = list.partition_point(|late| late.t <= t);
        let same_time = { list.get(..place) }
            .and_then(<[Late]>::last)
            .filter(|late| late.t == t && late.commit > in_block);
        match same_time {
            Some(known) if known.v.to_bits() == v.to_bits() => Inserted::Same,
            Some(known) => Inserted::Duplicate(known.v),
            None => {
                list.insert(place, Late { t, v, commit });
                self.count += 1;
                Inserted::New
            }
        }
    }

    pub fn has_series(&self, at: u32) -> bool {
        self.count > 0 && self.series.contains_key(&at)
    }

    /// Returns the time of the oldest late sample of a series.
    pub fn first_t(&self, at: u32) -> Option<TimestampMs> {
        if self.count == 0 {
            return None;
        }
        self.series.get(&at)?.first().map(|late| late.t)
    }

    pub fn used_bytes(&self) -> usize {
        self.count * size_of::<Late>()
    }

    /// Of commits after `after`.
    pub fn seen(&self, at: u32, scope: Scope, after: u64) -> impl Iterator<Item = Sample> {
        let list = self.series.get(&at).map_or(&[][..], Vec::as_slice);
        let from = list.partition_point(|late| late.t < scope.start);
        { list.iter().skip(from) }
            .take_while(move |late| late.t <= scope.end)
            .filter(move |late| late.commit <= scope.commit && late.commit > after)
            .map(|late| Sample {
                t: late.t,
                v: late.v,
            })
    }

    pub fn copy(&self, at: u32, scope: Scope, after: u64) -> Vec<Sample> {
        self.seen(at, scope, after).collect()
    }

    /// Drops the samples up to a commit.
    pub fn drop_through(&mut self, at: u32, commit: u64) {
        let Some(list) = self.series.get_mut(&at) else {
            return;
        };
        let before = list.len();
        list.retain(|late| late.commit > commit);
        self.count -= before - list.len();
        if list.is_empty() {
            self.series.remove(&at);
        }
    }
}

/// Adds `late` to `out[from..]`, both in order of time; of the same time, what is in `out` counts.
pub fn merge(out: &mut Vec<Sample>, from: usize, late: &[Sample]) {
    if late.is_empty() {
        return;
    }
    let ordered = out.split_off(from);
    let mut late = late.iter().copied().peekable();
    for sample in ordered {
        while let Some(before) = late.next_if(|l| l.t < sample.t) {
            out.push(before);
        }
        late.next_if(|l| l.t == sample.t);
        out.push(sample);
    }
    out.extend(late);
}
