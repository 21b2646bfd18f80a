//! The registry: families by name, each with its help, type, label names and instruments.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use super::instrument::{Counter, Gauge, Histogram, Summary};
use crate::stdx::locked::locked;

/// All of a process's metrics. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<BTreeMap<&'static str, Arc<Family>>>>);

#[derive(Debug)]
pub(super) struct Family {
    pub help: &'static str,
    pub kind: Kind,
    pub label_names: &'static [&'static str],
    /// The instruments, keyed by their label values in the order of the label names.
    pub children: Mutex<BTreeMap<Vec<String>, Child>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

/// NOTE: public for [`Instrument`] alone; no other room can name it.
#[derive(Clone)]
pub enum Child {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
    Summary(Summary),
    /// A value that is computed when it is read.
    Function(Arc<dyn Fn() -> f64 + Send + Sync>),
}

impl Debug for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Child")
    }
}

/// Instruments of one family, one for each combination of label values.
#[derive(Debug, Clone)]
pub struct Instruments<I> {
    family: Arc<Family>,
    make: fn(&[f64]) -> I,
    parameters: Arc<[f64]>,
}

pub type CounterVec = Instruments<Counter>;
pub type GaugeVec = Instruments<Gauge>;
pub type HistogramVec = Instruments<Histogram>;
pub type SummaryVec = Instruments<Summary>;

/// A kind of instrument that a family can hold.
pub trait Instrument: Clone {
    fn into_child(self) -> Child;
    fn from_child(child: &Child) -> Option<Self>;
}

macro_rules! instrument {
    ($($kind:ident),*) => {$(
        impl Instrument for $kind {
            fn into_child(self) -> Child {
                Child::$kind(self)
            }
            fn from_child(child: &Child) -> Option<Self> {
                match child {
                    Child::$kind(it) => Some(it.clone()),
                    _ => None,
                }
            }
        }
    )*};
}
instrument!(Counter, Gauge, Histogram, Summary);

impl<I: Instrument> Instruments<I> {
    /// Returns the instrument with these label values and makes it on first use. `values` must be
    /// as many as the label names.
    pub fn with(&self, values: &[&str]) -> I {
        debug_assert_eq!(values.len(), self.family.label_names.len());
        let key: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        let mut children = locked(&self.family.children);
        if let Some(found) = children.get(&key).and_then(I::from_child) {
            return found;
        }
        let made = (self.make)(&self.parameters);
        children.insert(key, made.clone().into_child());
        made
    }

    /// Forgets the instrument with these label values.
    pub fn remove(&self, values: &[&str]) {
        locked(&self.family.children).retain(|key, _| key != values);
    }
}

impl Registry {
    pub fn new() -> Registry {
        Registry::default()
    }

    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.counter_vec(name, help, &[]).with(&[])
    }

    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        self.gauge_vec(name, help, &[]).with(&[])
    }

    pub fn histogram(&self, name: &'static str, help: &'static str, bounds: &[f64]) -> Histogram {
        self.histogram_vec(name, help, &[], bounds).with(&[])
    }

    /// Makes a summary. With no `quantiles` it shows only sum and count.
    pub fn summary(&self, name: &'static str, help: &'static str, quantiles: &[f64]) -> Summary {
        self.summary_vec(name, help, &[], quantiles).with(&[])
    }

    /// Makes a gauge whose value is computed when it is read.
    pub fn gauge_fn(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.function(name, help, Kind::Gauge, Arc::new(read));
    }

    /// Makes a counter whose value is computed when it is read.
    pub fn counter_fn(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.function(name, help, Kind::Counter, Arc::new(read));
    }

    pub fn counter_vec(
        &self,
        name: &'static str,
        help: &'static str,
        label_names: &'static [&'static str],
    ) -> CounterVec {
        let make = |_: &[f64]| Counter::default();
        self.instruments(name, help, Kind::Counter, label_names, make, &[])
    }

    pub fn gauge_vec(
        &self,
        name: &'static str,
        help: &'static str,
        label_names: &'static [&'static str],
    ) -> GaugeVec {
        let make = |_: &[f64]| Gauge::default();
        self.instruments(name, help, Kind::Gauge, label_names, make, &[])
    }

    pub fn histogram_vec(
        &self,
        name: &'static str,
        help: &'static str,
        label_names: &'static [&'static str],
        bounds: &[f64],
    ) -> HistogramVec {
        let make = Histogram::new;
        self.instruments(name, help, Kind::Histogram, label_names, make, bounds)
    }

    pub fn summary_vec(
        &self,
        name: &'static str,
        help: &'static str,
        label_names: &'static [&'static str],
        quantiles: &[f64],
    ) -> SummaryVec {
        let make = Summary::new;
        self.instruments(name, help, Kind::Summary, label_names, make, quantiles)
    }

    fn instruments<I>(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        label_names: &'static [&'static str],
        make: fn(&[f64]) -> I,
        parameters: &[f64],
    ) -> Instruments<I> {
        Instruments {
            family: self.family(name, help, kind, label_names),
            make,
            parameters: Arc::from(parameters),
        }
    }

    fn function(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        read: Arc<dyn Fn() -> f64 + Send + Sync>,
    ) {
        let family = self.family(name, help, kind, &[]);
        locked(&family.children).insert(Vec::new(), Child::Function(read));
    }

    fn family(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        label_names: &'static [&'static str],
    ) -> Arc<Family> {
        let mut families = locked(&self.0);
        let family = families.entry(name).or_insert_with(|| {
            Arc::new(Family {
                help,
                kind,
                label_names,
                children: Mutex::default(),
            })
        });
        debug_assert!(
            family.kind == kind && family.label_names == label_names,
            "{name}"
        );
        family.clone()
    }

    pub(super) fn families(&self) -> Vec<(&'static str, Arc<Family>)> {
        locked(&self.0)
            .iter()
            .map(|(name, family)| (*name, family.clone()))
            .collect()
    }
}
