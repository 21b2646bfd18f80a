//! A part of the log that is passed from thread to thread.

use std::ops::Range;

use super::entry::{Entry, Logged};
use crate::model::{LabelsRef, TimestampMs};
use crate::storage::Exemplar;

/// LIMIT: samples that are passed at once, 32 KiB of them. A single entry may have more, as the
/// scrapes of a large target do.
const SAMPLES_AT_ONCE: usize = 4 << 10;

/// LIMIT: entries that are passed at once.
const ENTRIES_AT_ONCE: usize = 1_024;

#[derive(Default)]
pub(super) struct Part {
    told: Vec<Told>,
    /// The labels of all series, one after the other.
    texts: String,
    /// The times and the values of all scrapes, one after the other.
    times: Vec<TimestampMs>,
    values: Vec<f64>,
    /// Samples in `told` that are not in `values`, counted as values of the same size.
    others: usize,
}

/// An [`Entry`] whose lists are in the part.
enum Told {
    /// The id, and the length of the labels' text.
    Series(u32, usize),
    /// The series, the number of rows and the number of values.
    Scrapes(Vec<Range<u32>>, usize, usize),
    Samples(Vec<Logged>),
    OutOfOrder(Vec<Logged>),
    Exemplars(Vec<(u32, Exemplar)>),
}

impl Part {
    pub fn take(&mut self, entry: Entry<'_>) {
        let told = match entry {
            Entry::Series { id, labels } => {
                self.texts.push_str(labels.text());
                Told::Series(id, labels.text().len())
            }
            Entry::Scrapes { ids, times, values } => {
                self.times.extend_from_slice(times);
                self.values.extend_from_slice(values);
                Told::Scrapes(ids.to_vec(), times.len(), values.len())
            }
            Entry::Samples(samples) => Told::Samples(self.others(samples)),
            Entry::OutOfOrder(samples) => Told::OutOfOrder(self.others(samples)),
            Entry::Exemplars(exemplars) => Told::Exemplars(exemplars.to_vec()),
        };
        self.told.push(told);
    }

    fn others(&mut self, samples: &[Logged]) -> Vec<Logged> {
        self.others += size_of_val(samples) / size_of::<f64>();
        samples.to_vec()
    }

    pub fn is_full(&self) -> bool {
        self.values.len() + self.others >= SAMPLES_AT_ONCE || self.told.len() >= ENTRIES_AT_ONCE
    }

    /// Empties the lists, and keeps their memory.
    pub fn clear(&mut self) {
        self.told.clear();
        self.texts.clear();
        self.times.clear();
        self.values.clear();
        self.others = 0;
    }

    pub fn give(&self, sink: &mut dyn FnMut(Entry<'_>)) {
        let (mut times, mut values) = (self.times.as_slice(), self.values.as_slice());
        let mut texts = self.texts.as_str();
        for told in &self.told {
            match told {
                Told::Series(id, len) => {
                    let (text, rest) = texts.split_at_checked(*len).unwrap_or_default();
                    texts = rest;
                    let labels = LabelsRef::of_pushed(text);
                    sink(Entry::Series { id: *id, labels });
                }
                Told::Scrapes(ids, rows, samples) => sink(Entry::Scrapes {
                    ids,
                    times: take(&mut times, *rows),
                    values: take(&mut values, *samples),
                }),
                Told::Samples(samples) => sink(Entry::Samples(samples)),
                Told::OutOfOrder(samples) => sink(Entry::OutOfOrder(samples)),
                Told::Exemplars(exemplars) => sink(Entry::Exemplars(exemplars)),
            }
        }
    }
}

/// Takes the first `n`, which must be there.
fn take<'a, T>(list: &mut &'a [T], n: usize) -> &'a [T] {
    list.split_off(..n).unwrap_or_default()
}
