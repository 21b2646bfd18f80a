//! The places of series, found by reference, and the list of their pairs.

use super::index::PairId;
use super::series::Series;
use crate::model::SeriesRef;

/// The series. A place is reused, a reference never: it carries the place's generation.
#[derive(Debug, Default)]
pub struct Slab {
    places: Vec<Series>,
    free: Vec<u32>,
    /// The pairs of all series, one series' after the other's, with gaps where series were removed.
    pairs: Vec<PairId>,
    gaps: usize,
}

/// LIMIT: the head's lists grow by this part, not to the double, so that little is empty. Short
/// ones grow by half a cache line at least, since each buffer that a list leaves stays in the
/// allocator's pool of its thread.
const GROWTH: usize = 8;
const GROWTH_BYTES: usize = 32;

/// Adds to a list of which there are many.
pub fn push_tight<T>(list: &mut Vec<T>, value: T) {
    reserve_tight(list, 1);
    list.push(value);
}

fn reserve_tight<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        let least = list.len().clamp(2, (GROWTH_BYTES / size_of::<T>()).max(2));
        list.reserve_exact(more.max(list.len() / GROWTH).max(least));
    }
}

impl Slab {
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// The number of places, including free ones.
    pub fn places(&self) -> u32 {
        self.places.len() as u32
    }

    #[inline]
    pub fn get_mut(&mut self, series: SeriesRef) -> Option<(u32, &mut Series)> {
        let (generation, at) = ((series.0 >> 32) as u32, series.0 as u32);
        let found = self.places.get_mut(at as usize)?;
        (found.live && found.generation == generation).then_some((at, found))
    }

    pub fn get(&self, series: SeriesRef) -> Option<&Series> {
        let found = self.places.get(series.0 as u32 as usize)?;
        (found.live && found.generation == (series.0 >> 32) as u32).then_some(found)
    }

    /// Returns the series at a place that comes from the head's own lists.
    pub fn at(&self, at: u32) -> &Series {
        &self.places[at as usize]
    }

    pub fn at_mut(&mut self, at: u32) -> &mut Series {
        &mut self.places[at as usize]
    }

    pub fn reference(&self, at: u32) -> SeriesRef {
        SeriesRef(u64::from(self.at(at).generation) << 32 | u64::from(at))
    }

    pub fn pairs(&self, at: u32) -> &[PairId] {
        let series = self.at(at);
        let start = series.pairs_at as usize;
        &self.pairs[start..start + usize::from(series.pairs_len)]
    }

    pub fn live(&self) -> impl Iterator<Item = (u32, &Series)> {
        let all = self.places.iter().enumerate();
        all.filter(|(_, s)| s.live).map(|(at, s)| (at as u32, s))
    }

    /// Finds a place for a new series. Returns `None` when the numbers of places or of labels run
    /// out.
    pub fn insert(&mut self, hash: u32, pairs: &[PairId]) -> Option<u32> {
        let pairs_len = u16::try_from(pairs.len()).ok()?;
        let pairs_at = u32::try_from(self.pairs.len()).ok()?;
        let at = match self.free.last() {
            Some(at) => *at,
            None => u32::try_from(self.places.len())
                .ok()
                .filter(|at| *at < u32::MAX)?,
        };
        reserve_tight(&mut self.pairs, pairs.len());
        self.pairs.extend_from_slice(pairs);
        if self.free.pop().is_some() {
            let place = &mut self.places[at as usize];
            *place = Series::new(place.generation + 1, hash, pairs_at, pairs_len);
        } else {
            let first = Series::new(1, hash, pairs_at, pairs_len);
            push_tight(&mut self.places, first);
        }
        Some(at)
    }

    pub fn remove(&mut self, at: u32) {
        let place = &mut self.places[at as usize];
        let generation = place.generation;
        self.gaps += usize::from(place.pairs_len);
        *place = Series::left(generation);
        // NOTE: a place whose generations are used up stays empty for good.
        if generation < u32::MAX {
            self.free.push(at);
        }
    }

    /// Closes the gaps in the list of pairs if they are the larger part.
    pub fn compact_pairs(&mut self) {
        if self.gaps * 2 <= self.pairs.len() {
            return;
        }
        let mut pairs = Vec::with_capacity(self.pairs.len() - self.gaps);
        for series in self.places.iter_mut().filter(|s| s.live) {
            let start = series.pairs_at as usize;
            series.pairs_at = pairs.len() as u32;
            let end = start + usize::from(series.pairs_len);
            pairs.extend_from_slice(&self.pairs[start..end]);
        }
        self.pairs = pairs;
        self.gaps = 0;
    }

    pub fn heap_bytes(&self) -> usize {
        self.places.capacity() * size_of::<Series>()
            + (self.free.capacity() + self.pairs.capacity()) * size_of::<u32>()
            + self.places.iter().map(Series::heap_bytes).sum::<usize>()
    }
}
