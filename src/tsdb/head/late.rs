//! Samples that came out of order: taken within a window behind the newest sample, kept beside the
//! chunks, merged when they are read and when they become a block.

use std::collections::HashMap;

use super::lock::State;
use super::snapshot::Scope;
use crate::model::{Sample, TimestampMs};

/// By place, each in order of time.
#[derive(Debug, Default)]
pub struct LateSamples {
    series: HashMap<u32, Vec<Late>, foldhash::fast::RandomState>,
    count: usize,
    /// How far behind the newest sample of the head they may be; 0 refuses them.
    pub window_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Late {
    t: TimestampMs,
    v: f64,
    /// Of its commit, so that a view sees it from there on.
    commit: u64,
}

/// What became of one.
pub enum Taken {
    New,
    Same,
    /// With this value.
    Duplicate(f64),
}

impl LateSamples {
    pub fn insert(&mut self, at: u32, t: TimestampMs, v: f64, commit: u64) -> Taken {
        let list = self.series.entry(at).or_default();
        match list.binary_search_by_key(&t, |late| late.t) {
            Ok(found) if list[found].v.to_bits() == v.to_bits() => Taken::Same,
            Ok(found) => Taken::Duplicate(list[found].v),
            Err(place) => {
                list.insert(place, Late { t, v, commit });
                self.count += 1;
                Taken::New
            }
        }
    }

    pub fn has_series(&self, at: u32) -> bool {
        self.count > 0 && self.series.contains_key(&at)
    }

    pub fn used_bytes(&self) -> usize {
        self.count * size_of::<Late>()
    }

    /// Of commits after `after`.
    fn seen(&self, at: u32, scope: Scope, after: u64) -> impl Iterator<Item = Sample> {
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

    /// Drops what was taken up to a commit.
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

impl State {
    pub fn has_late(&self, at: u32, scope: Scope) -> bool {
        if !self.late.has_series(at) {
            return false;
        }
        let floor = self.floors.of(self.slab.reference(at), scope.view);
        self.late.seen(at, scope, floor.commit).next().is_some()
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
