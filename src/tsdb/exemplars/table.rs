//! The series that have exemplars, found by reference and by labels.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::ring::NONE;
use crate::model::{Labels, SeriesRef};

/// A series' index in the table.
pub(super) type Place = u32;

#[derive(Debug)]
pub(super) struct Series {
    pub labels: Labels,
    /// Its last reference. The head gives a series that comes back another one.
    pub reference: SeriesRef,
    /// The first slot of the ring in order of time; `newest` is the last.
    pub oldest: u32,
    pub newest: u32,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    places: Vec<Option<Series>>,
    free: Vec<Place>,
    by_reference: HashTable<Place>,
    by_labels: HashTable<Place>,
    /// Seeded at random: labels come from strangers.
    hasher: RandomState,
}

impl Table {
    pub fn get(&self, place: Place) -> Option<&Series> {
        self.places.get(place as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, place: Place) -> Option<&mut Series> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Place, &Series)> {
        let places = self.places.iter().enumerate();
        places.filter_map(|(at, series)| Some((at as Place, series.as_ref()?)))
    }

    /// Updates the slots after the ring moved them.
    pub fn relink(&mut self, moved: impl Fn(u32) -> u32) {
        for series in self.places.iter_mut().flatten() {
            series.oldest = moved(series.oldest);
            series.newest = moved(series.newest);
        }
    }

    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub fn find(&self, reference: SeriesRef) -> Option<Place> {
        let same = |place: &Place| self.get(*place).is_some_and(|s| s.reference == reference);
        let hash = self.hasher.hash_one(reference);
        self.by_reference.find(hash, same).copied()
    }

    /// Returns the series with these labels. `reference` means it from now on.
    pub fn find_labels(&mut self, labels: &Labels, reference: SeriesRef) -> Option<Place> {
        let hash = self.hasher.hash_one(labels);
        let same = |place: &Place| self.get(*place).is_some_and(|s| s.labels == *labels);
        let place = self.by_labels.find(hash, same).copied()?;
        if self.get(place)?.reference != reference {
            self.forget_reference(place);
            self.get_mut(place)?.reference = reference;
            self.note_reference(place, reference);
        }
        Some(place)
    }

    /// Adds a new series, without exemplars.
    pub fn insert(&mut self, labels: Labels, reference: SeriesRef) -> Place {
        let hash = self.hasher.hash_one(&labels);
        let series = Some(Series {
            labels,
            reference,
            oldest: NONE,
            newest: NONE,
        });
        let place = if let Some(place) = self.free.pop() {
            self.places[place as usize] = series;
            place
        } else {
            self.places.push(series);
            self.places.len() as Place - 1
        };
        let (places, hasher) = (&self.places, &self.hasher);
        let rehash = |place: &Place| {
            let series = places[*place as usize].as_ref();
            series.map_or(0, |series| hasher.hash_one(&series.labels))
        };
        self.by_labels.insert_unique(hash, place, rehash);
        self.note_reference(place, reference);
        place
    }

    pub fn remove(&mut self, place: Place) {
        self.forget_reference(place);
        let series = self.places.get_mut(place as usize).and_then(Option::take);
        let Some(series) = series else {
            return;
        };
        let hash = self.hasher.hash_one(&series.labels);
        if let Ok(entry) = self.by_labels.find_entry(hash, |at| *at == place) {
            entry.remove();
        }
        self.free.push(place);
        if self.len() == 0 {
            *self = Table::default();
        }
    }

    fn note_reference(&mut self, place: Place, reference: SeriesRef) {
        let (places, hasher) = (&self.places, &self.hasher);
        let rehash = |place: &Place| {
            let series = places[*place as usize].as_ref();
            series.map_or(0, |series| hasher.hash_one(series.reference))
        };
        let hash = hasher.hash_one(reference);
        self.by_reference.insert_unique(hash, place, rehash);
    }

    fn forget_reference(&mut self, place: Place) {
        let Some(reference) = self.get(place).map(|series| series.reference) else {
            return;
        };
        let hash = self.hasher.hash_one(reference);
        if let Ok(entry) = self.by_reference.find_entry(hash, |at| *at == place) {
            entry.remove();
        }
    }
}
