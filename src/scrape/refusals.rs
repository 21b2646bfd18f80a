//! What scrapes bring that is not stored, while the scrape itself goes on: counted by kind. The
//! first of each kind is named in the log, once a minute for each kind and target.

use std::time::Duration;

use super::metrics::ScrapeMetrics;
use crate::metrics::Counter;
use crate::model::{Labels, SeriesRef, TimestampMs};
use crate::stdx::pacer::Pacer;
use crate::storage::{
    Appendable, Committed, ExemplarFault, Fault, FirstRefused, Pending, Refused, RefusedExemplar,
    StorageError, series_text,
};

/// Each kind has a counter, and a message of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    OutOfOrder,
    Duplicate,
    OutOfBounds,
    /// The storage made no new series.
    NoSeries,
    ExemplarOutOfOrder,
    /// All other exemplars that are not stored.
    Exemplar,
}

impl Kind {
    const COUNT: usize = 6;

    fn of_fault(fault: &Fault) -> Kind {
        match fault {
            Fault::OutOfOrder => Kind::OutOfOrder,
            Fault::Duplicate { .. } => Kind::Duplicate,
            Fault::OutOfBounds | Fault::TooOld => Kind::OutOfBounds,
        }
    }

    fn counter(self, metrics: &ScrapeMetrics) -> &Counter {
        match self {
            Kind::OutOfOrder => &metrics.out_of_order,
            Kind::Duplicate => &metrics.duplicate,
            Kind::OutOfBounds => &metrics.out_of_bounds,
            Kind::NoSeries => &metrics.refused,
            Kind::ExemplarOutOfOrder => &metrics.exemplar_out_of_order,
            Kind::Exemplar => &metrics.exemplars_refused,
        }
    }

    /// Returns Prometheus's message where it has the kind.
    fn message(self) -> &'static str {
        match self {
            Kind::OutOfOrder => "Error on ingesting out-of-order samples",
            Kind::Duplicate => "Error on ingesting samples with different value but same timestamp",
            Kind::OutOfBounds => {
                "Error on ingesting samples that are too old or are too far into the future"
            }
            Kind::NoSeries => "Error on making new series: the storage takes no more",
            Kind::ExemplarOutOfOrder => "Error on ingesting out-of-order exemplars",
            Kind::Exemplar => {
                "Error on ingesting exemplars that are not valid, or that the storage refused"
            }
        }
    }
}

/// A refused case. Its words are found when it is logged.
#[derive(Debug)]
pub(super) enum Case {
    /// Left out before the commit.
    Sample(&'static str, Pending),
    Refused(Refused),
    Exemplar(RefusedExemplar),
    /// With the time of its sample.
    InvalidExemplar(String, SeriesRef, TimestampMs),
    NoSeries(NoSeries),
}

/// A sample of a series that the storage did not make.
#[derive(Debug)]
pub(super) struct NoSeries {
    pub why: StorageError,
    pub labels: Labels,
    pub t: TimestampMs,
    pub v: f64,
}

impl Case {
    fn named(&self, storage: &dyn Appendable) -> FirstRefused {
        let text = |series| series_text(storage.labels_of(series).as_ref());
        match self {
            Case::Sample(why, Pending { series, t, v }) => {
                FirstRefused::sample(*why, text(*series), *t, *v)
            }
            Case::Refused(Refused { fault, sample }) => {
                FirstRefused::sample(fault.to_string(), text(sample.series), sample.t, sample.v)
            }
            Case::Exemplar(RefusedExemplar { fault, series, t }) => {
                FirstRefused::exemplar(fault.to_string(), text(*series), Some(*t))
            }
            Case::InvalidExemplar(why, series, t) => {
                FirstRefused::exemplar(why.as_str(), text(*series), Some(*t))
            }
            Case::NoSeries(NoSeries { why, labels, t, v }) => {
                FirstRefused::sample(why.to_string(), series_text(Some(labels)), *t, *v)
            }
        }
    }
}

/// The refusals of one scrape.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    cases: [u64; Kind::COUNT],
    /// One for each kind that occurred.
    firsts: Vec<(Kind, Case)>,
}

impl Refusals {
    /// Adds cases. `first` is called only for the first of its kind.
    #[cold]
    pub fn add(&mut self, kind: Kind, cases: u64, first: impl FnOnce() -> Case) {
        let Some(before) = self.cases.get_mut(kind as usize) else {
            return;
        };
        if *before == 0 && cases > 0 {
            self.firsts.push((kind, first()));
        }
        *before += cases;
    }

    /// Adds what the storage refused of a commit.
    pub fn add_committed(&mut self, done: &Committed) {
        for refused in &done.firsts {
            let (kind, case) = (Kind::of_fault(&refused.fault), Case::Refused(*refused));
            // NOTE: two faults are out of bounds, with one count; no commit has both.
            self.add(kind, done.count_of(&refused.fault), || case);
        }
        let late = done.exemplars_out_of_order;
        let others = done.exemplars_refused - late;
        for (kind, cases) in [(Kind::ExemplarOutOfOrder, late), (Kind::Exemplar, others)] {
            let is_late = kind == Kind::ExemplarOutOfOrder;
            let is_of_kind =
                |e: &&RefusedExemplar| (e.fault == ExemplarFault::OutOfOrder) == is_late;
            if let Some(first) = done.first_exemplars.iter().find(is_of_kind) {
                self.add(kind, cases, || Case::Exemplar(*first));
            }
        }
    }
}

/// When each kind was last logged of a target. It has no entries while nothing is refused.
#[derive(Debug, Clone, Default)]
pub(super) struct Paces(Vec<(Kind, Pacer)>);

impl Paces {
    fn pass(&mut self, kind: Kind, now: Duration, cases: u64) -> Option<u64> {
        if let Some((_, pacer)) = self.0.iter_mut().find(|(of, _)| *of == kind) {
            return pacer.pass(now, cases);
        }
        let mut pacer = Pacer::default();
        let left_out = pacer.pass(now, cases);
        self.0.push((kind, pacer));
        left_out
    }

    /// Counts a scrape's refusals, and logs the first of each kind, at `now` on the monotonic
    /// clock.
    pub fn report(
        &mut self,
        refusals: &Refusals,
        metrics: &ScrapeMetrics,
        storage: &dyn Appendable,
        (job, target): (&str, &str),
        now: Duration,
    ) {
        for (kind, case) in &refusals.firsts {
            let cases = refusals.cases.get(*kind as usize).copied().unwrap_or(0);
            kind.counter(metrics).add(cases as f64);
            if let Some(left_out) = self.pass(*kind, now, cases) {
                let first = case.named(storage);
                log::warn!(scrape_pool = job, target = target, num_dropped = cases,
                    reason = first.why.as_str(), series = first.series.as_str(),
                    timestamp = first.time().as_str(), value = first.value.as_str(),
                    not_told_since_last = left_out; "{}", kind.message());
            }
        }
    }
}
