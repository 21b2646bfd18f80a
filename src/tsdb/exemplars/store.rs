//! The ring behind its lock.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use super::metrics::{ExemplarMetrics, show};
use super::ring::{Ring, Verdict};
use crate::metrics::Registry;
use crate::model::{Labels, Matcher, SeriesRef, TimestampMs};
use crate::stdx::locked::locked;
use crate::stdx::sort::sort_by;
use crate::storage::{
    Committed, Exemplar, ExemplarFault, PendingExemplar, RefusedExemplar, SeriesExemplars,
};

/// LIMIT: characters of all names and values of an exemplar's labels together (OpenMetrics 1.0.0,
/// "Exemplars").
const LABEL_CHARS_MAX: usize = 128;

/// LIMIT: series copied while the lock is held once, a fraction of a millisecond.
const SERIES_AT_ONCE: usize = 256;

#[derive(Debug)]
pub struct Exemplars {
    ring: Mutex<Ring>,
    /// Whether the ring has room.
    on: AtomicBool,
    metrics: ExemplarMetrics,
}

/// An exemplar with the labels of its series.
#[derive(Debug, Clone)]
pub struct Named {
    pub series: SeriesRef,
    pub labels: Labels,
    pub exemplar: Exemplar,
}

/// The new exemplars of a batch, as far as that is known before they are logged.
#[derive(Debug, Default)]
pub struct Sifted {
    /// Those of series that have exemplars already.
    pub named: Vec<Named>,
    /// Those of other series.
    pub unnamed: Vec<PendingExemplar>,
}

/// The ring's occupancy.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub exemplars: usize,
    pub series: usize,
    pub oldest: TimestampMs,
    pub room: u32,
}

impl Exemplars {
    pub fn new(registry: &Registry) -> Arc<Exemplars> {
        let exemplars = Arc::new(Exemplars {
            ring: Mutex::default(),
            on: AtomicBool::new(false),
            metrics: ExemplarMetrics::new(registry),
        });
        show(registry, &exemplars);
        exemplars
    }

    pub fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// Sets how many exemplars are kept from now on. The newest stay. Returns the number before.
    pub fn set_room(&self, room: u64) -> u64 {
        let mut ring = self.ring();
        let before = u64::from(ring.room());
        if before != room {
            ring.set_room(room);
            self.on.store(room > 0, Relaxed);
        }
        before
    }

    /// Sets how much older than the newest of its series an exemplar may be. Zero refuses all older
    /// ones.
    pub fn set_window(&self, window_ms: i64) {
        self.ring().set_window(window_ms);
    }

    /// Sets the time after which exemplars are from before a clock was set back, and block no
    /// others.
    pub fn set_ahead(&self, ahead: TimestampMs) {
        self.ring().ahead = Some(ahead);
    }

    /// Returns the new exemplars of a batch. Refused ones are counted.
    pub fn sift(&self, batch: &[PendingExemplar], done: &mut Committed) -> Sifted {
        let mut sifted = Sifted::default();
        let ring = self.ring();
        for pending in batch {
            if is_too_long(&pending.exemplar.labels) {
                self.refuse(
                    ExemplarFault::TooLong,
                    pending.series,
                    &pending.exemplar,
                    done,
                );
                continue;
            }
            let Some(place) = ring.series.find(pending.series) else {
                sifted.unnamed.push(pending.clone());
                continue;
            };
            match ring.judge(place, &pending.exemplar) {
                Verdict::Same => {}
                Verdict::OutOfOrder => {
                    let fault = ExemplarFault::OutOfOrder;
                    self.refuse(fault, pending.series, &pending.exemplar, done);
                }
                Verdict::Taken => sifted.named.extend(ring.series.get(place).map(|s| Named {
                    series: pending.series,
                    labels: s.labels.clone(),
                    exemplar: pending.exemplar.clone(),
                })),
            }
        }
        sifted
    }

    /// Stores what was logged. Some may be out of order after all.
    pub fn add(&self, logged: &[Named], done: &mut Committed) {
        self.store(logged, |named| {
            let fault = ExemplarFault::OutOfOrder;
            self.refuse(fault, named.series, &named.exemplar, done);
        });
    }

    /// Stores one that may be stored already, since the log has some twice. `labels` names its
    /// series if that has no exemplar yet.
    pub fn add_again(
        &self,
        series: SeriesRef,
        exemplar: Exemplar,
        labels: impl FnOnce() -> Option<Labels>,
    ) {
        let known = {
            let ring = self.ring();
            let place = ring.series.find(series);
            place.and_then(|at| Some(ring.series.get(at)?.labels.clone()))
        };
        if let Some(labels) = known.or_else(labels) {
            let named = Named {
                series,
                labels,
                exemplar,
            };
            self.store(&[named], |_| {});
        }
    }

    /// Counts an exemplar that is not stored.
    pub fn refuse(
        &self,
        fault: ExemplarFault,
        series: SeriesRef,
        exemplar: &Exemplar,
        done: &mut Committed,
    ) {
        let counter = match fault {
            ExemplarFault::OutOfOrder => &self.metrics.out_of_order,
            ExemplarFault::TooLong => &self.metrics.too_long,
            ExemplarFault::NoSeries => &self.metrics.without_series,
            ExemplarFault::NotLogged => &self.metrics.unlogged,
        };
        counter.inc();
        let t = exemplar.t;
        done.refuse_exemplar(RefusedExemplar { fault, series, t });
    }

    /// Returns some of those not older than `since`, from the `i`th in order of arrival on, and
    /// where to continue. Returns `None` at the end.
    pub fn since(
        &self,
        since: TimestampMs,
        from: usize,
        max: usize,
    ) -> Option<(Vec<Named>, usize)> {
        let ring = self.ring();
        if from >= ring.len() {
            return None;
        }
        let to = ring.len().min(from.saturating_add(max));
        let mut found = Vec::new();
        for i in from..to {
            let Some((place, exemplar)) = ring.in_order(i) else {
                continue;
            };
            if exemplar.t >= since
                && let Some(series) = ring.series.get(place)
            {
                found.push(Named {
                    series: series.reference,
                    labels: series.labels.clone(),
                    exemplar: exemplar.clone(),
                });
            }
        }
        Some((found, to))
    }

    /// Implements [`ExemplarQueryable`](crate::storage::ExemplarQueryable).
    pub fn select(
        &self,
        sets: &[Vec<Matcher>],
        start: TimestampMs,
        end: TimestampMs,
    ) -> SeriesExemplars {
        let mut series: Vec<_> = {
            let ring = self.ring();
            let all = ring.series.iter();
            let all = all.filter(|(place, _)| ring.overlaps(*place, start, end));
            all.map(|(place, s)| (place, s.labels.clone())).collect()
        };
        // NOTE: without the lock, since patterns may be slow and scrapes must not wait for them.
        let matches = |labels: &Labels, set: &Vec<Matcher>| {
            let mut all = set.iter();
            all.all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
        };
        series.retain(|(_, labels)| sets.iter().any(|set| matches(labels, set)));
        sort_by(&mut series, |a, b| a.1.cmp(&b.1));
        let mut found = Vec::with_capacity(series.len());
        for some in series.chunks(SERIES_AT_ONCE) {
            let ring = self.ring();
            for (place, labels) in some {
                // NOTE: the place may belong to another series by now.
                let same = ring.series.get(*place).is_some_and(|s| s.labels == *labels);
                let exemplars = if same {
                    ring.of_series(*place, start, end)
                } else {
                    Vec::new()
                };
                if !exemplars.is_empty() {
                    found.push((labels.clone(), exemplars));
                }
            }
        }
        found
    }

    pub(super) fn filled(&self) -> Filled {
        let ring = self.ring();
        Filled {
            exemplars: ring.len(),
            series: ring.series.len(),
            oldest: ring.oldest().map_or(0, |exemplar| exemplar.t),
            room: ring.room(),
        }
    }

    fn store(&self, all: &[Named], mut out_of_order: impl FnMut(&Named)) {
        let mut taken = 0_u64;
        let mut ring = self.ring();
        for named in all {
            let known = ring.series.find_labels(&named.labels, named.series);
            let verdict = known.map_or(Verdict::Taken, |at| ring.judge(at, &named.exemplar));
            match verdict {
                Verdict::Taken => {
                    ring.insert(&named.labels, named.series, named.exemplar.clone());
                    taken += 1;
                }
                Verdict::Same => {}
                Verdict::OutOfOrder => out_of_order(named),
            }
        }
        drop(ring);
        self.metrics.appended.add(taken as f64);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // NOTE: a panic may leave dangling links, which every walk takes for an end.
        locked(&self.ring)
    }
}

fn is_too_long(labels: &Labels) -> bool {
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    texts.map(|text| text.chars().count()).sum::<usize>() > LABEL_CHARS_MAX
}
