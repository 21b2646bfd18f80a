//! What requests bring that is not stored: counted by kind. The first case of each kind is named in
//! the sender's answer and in the log.

use std::time::Duration;

use super::labels::{self, InvalidLabels};
use crate::metrics::{Counter, Registry};
use crate::model::TimestampMs;
use crate::stdx::pacer::SharedPacer;
use crate::stdx::sort::sort_by_key;
use crate::storage::{Fault, FirstRefused};

/// Why something was not stored. The kinds before [`Kind::OutOfOrderInRequest`] make the answer an
/// error, as in Prometheus. An error's text names all kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    OutOfOrder,
    Duplicate,
    OutOfBounds,
    TooOld,
    TooNew,
    /// Older than a sample before it in the same request.
    OutOfOrderInRequest,
    /// At the time of a sample before it in the same request.
    DuplicateInRequest,
    LabelTwice,
    InvalidLabels,
    LabelsTooLarge,
    /// An exemplar that no storage would take.
    InvalidExemplar,
    /// An exemplar that the storage refused.
    ExemplarRefused,
    /// An exemplar for a storage that keeps none.
    ExemplarsOff,
    Histogram,
    Metadata,
}

impl Kind {
    const ALL: [Kind; 15] = [
        Kind::OutOfOrder,
        Kind::Duplicate,
        Kind::OutOfBounds,
        Kind::TooOld,
        Kind::TooNew,
        Kind::OutOfOrderInRequest,
        Kind::DuplicateInRequest,
        Kind::LabelTwice,
        Kind::InvalidLabels,
        Kind::LabelsTooLarge,
        Kind::InvalidExemplar,
        Kind::ExemplarRefused,
        Kind::ExemplarsOff,
        Kind::Histogram,
        Kind::Metadata,
    ];

    /// The value of the counter's label.
    fn name(self) -> &'static str {
        match self {
            Kind::OutOfOrder => "out_of_order",
            Kind::Duplicate => "duplicate",
            Kind::OutOfBounds => "out_of_bounds",
            Kind::TooOld => "too_old",
            Kind::TooNew => "too_new",
            Kind::OutOfOrderInRequest => "out_of_order_in_request",
            Kind::DuplicateInRequest => "duplicate_in_request",
            Kind::LabelTwice => "label_twice",
            Kind::InvalidLabels => "invalid_labels",
            Kind::LabelsTooLarge => "labels_too_large",
            Kind::InvalidExemplar => "invalid_exemplar",
            Kind::ExemplarRefused => "exemplar_refused",
            Kind::ExemplarsOff => "exemplars_off",
            Kind::Histogram => "histogram",
            Kind::Metadata => "metadata",
        }
    }

    pub fn of_fault(fault: &Fault) -> Kind {
        match fault {
            Fault::OutOfOrder => Kind::OutOfOrder,
            Fault::Duplicate { .. } => Kind::Duplicate,
            Fault::OutOfBounds => Kind::OutOfBounds,
            Fault::TooOld => Kind::TooOld,
        }
    }

    fn of_labels(invalid: &InvalidLabels) -> Kind {
        match invalid {
            InvalidLabels::Twice(_) => Kind::LabelTwice,
            InvalidLabels::TooLong(_) | InvalidLabels::TooMany(_) => Kind::LabelsTooLarge,
            _ => Kind::InvalidLabels,
        }
    }

    fn is_error(self) -> bool {
        self <= Kind::TooNew
    }

    /// Whether senders send it whatever the receiver does, so that a line now and then is enough.
    fn is_never_stored(self) -> bool {
        self >= Kind::ExemplarsOff
    }
}

/// The refusals of one request.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    cases: [u64; Kind::ALL.len()],
    /// One for each kind that occurred.
    firsts: Vec<(Kind, FirstRefused)>,
}

impl Refusals {
    /// Adds cases. `first` is called only for the first of its kind.
    pub fn add(&mut self, kind: Kind, cases: u64, first: impl FnOnce() -> FirstRefused) {
        if cases == 0 {
            return;
        }
        let before = &mut self.cases[kind as usize];
        if *before == 0 {
            self.firsts.push((kind, first()));
        }
        *before += cases;
    }

    /// Adds a series whose label fields no series may have, with its first sample's time and value,
    /// if it has one.
    pub fn add_invalid(
        &mut self,
        invalid: &InvalidLabels,
        fields: &[u8],
        sample: Option<(TimestampMs, f64)>,
    ) {
        self.add(Kind::of_labels(invalid), 1, || {
            let (why, series) = (format!("invalid labels: {invalid}"), labels::text(fields));
            match sample {
                Some((t, v)) => FirstRefused::sample(why, series, t, v),
                None => FirstRefused {
                    why,
                    series,
                    t: None,
                    value: String::new(),
                },
            }
        });
    }

    pub fn of(&self, kind: Kind) -> u64 {
        self.cases[kind as usize]
    }

    /// Returns the error text for the sender, if there is an error.
    pub fn answer(&mut self) -> Option<String> {
        sort_by_key(&mut self.firsts, |(kind, _)| *kind);
        let is_error = self.firsts.first().is_some_and(|(kind, _)| kind.is_error());
        let texts = { self.firsts.iter() }.map(|(kind, first)| text(first, self.of(*kind)));
        is_error.then(|| texts.collect::<Vec<_>>().join("; "))
    }
}

/// Writes one line, since senders log no more of an answer.
fn text(first: &FirstRefused, cases: u64) -> String {
    let mut text = format!("{} for series {}", first.why, first.series);
    if first.t.is_some() {
        text.push_str(" at ");
        text.push_str(&first.time());
    }
    if !first.value.is_empty() {
        text.push_str(", value ");
        text.push_str(&first.value);
    }
    if cases > 1 {
        text.push_str(&format!(" (the first of {cases})"));
    }
    text
}

/// LIMIT: how often a kind is logged that is no error to the sender and that it sends for ever.
const NEVER_STORED_EVERY: Duration = Duration::from_secs(3600);

/// Counters and log lines, by kind.
#[derive(Debug)]
pub(super) struct RefusalReports(Vec<(Counter, SharedPacer)>);

impl RefusalReports {
    pub fn new(registry: &Registry) -> RefusalReports {
        let refused = registry.counter_vec(
            "ferula_remote_write_received_refused_total",
            "Samples, exemplars, histograms and metadata received by remote write and not stored; \
             of labels, series; by reason.",
            &["reason"],
        );
        let report = |kind: Kind| {
            let pacer = if kind.is_never_stored() {
                SharedPacer::new(NEVER_STORED_EVERY)
            } else {
                SharedPacer::default()
            };
            (refused.with(&[kind.name()]), pacer)
        };
        RefusalReports(Kind::ALL.into_iter().map(report).collect())
    }

    /// Counts a request's refusals, and logs the first of each kind, at `now` on the monotonic
    /// clock.
    pub fn report(&self, refusals: &Refusals, now: Duration) {
        for (kind, first) in &refusals.firsts {
            let cases = refusals.of(*kind);
            let Some((counter, pace)) = self.0.get(*kind as usize) else {
                continue;
            };
            counter.add(cases as f64);
            if let Some(left_out) = pace.pass(now, cases) {
                log::warn!(reason = first.why.as_str(), series = first.series.as_str(),
                    timestamp = first.time().as_str(), value = first.value.as_str(), count = cases,
                    not_told_since_last = left_out; "remote write: not stored");
            }
        }
    }
}
