//! The labels that a stored series' row gets.
//!
//! Grouping needs few labels of a series or none. Building all of them would be most of the work
//! for a series with few samples.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

use super::projection::Projection;
use super::row::is_of_the_metric;
use crate::model::Labels;
use crate::model::names::METRIC_NAME;
use crate::promql::functions::is_counters_name;
use crate::storage::Series;

/// LIMIT: label sets remembered for reuse. Groups are few, or reuse gains nothing.
const KNOWN_MAX: usize = 1 << 12;

/// What a row gets; one per thread.
pub struct Wanted {
    /// `None` means all labels, unchanged.
    few: Option<Few>,
    /// Whether the metric's name is told besides; `tells_identity` likewise.
    pub tells_name: bool,
    tells_identity: bool,
}

struct Few {
    projection: Projection,
    /// Leaves out the metric's name, type and unit.
    nameless: bool,
    none: bool,
    empty: Labels,
    /// Names and values, each preceded by its length.
    text: Vec<u8>,
    known: HashMap<Vec<u8>, Labels, RandomState>,
    hasher: RandomState,
}

/// What is known about a series' labels without building all of them.
pub struct Glance {
    pub labels: Labels,
    /// The metric's name, if it was asked for and is no counter's.
    pub name: String,
    /// A hash of all labels but the metric's name; `None` unless asked for.
    pub identity: Option<u64>,
}

impl Glance {
    pub fn of(labels: Labels, tells_name: bool) -> Glance {
        let name = labels.metric_name();
        let name = if tells_name && !is_counters_name(name) {
            name.to_owned()
        } else {
            String::new()
        };
        Glance {
            labels,
            name,
            identity: None,
        }
    }
}

impl Wanted {
    pub fn all() -> Wanted {
        Wanted {
            few: None,
            tells_name: false,
            tells_identity: false,
        }
    }

    /// Keeps only the labels that `projection` keeps. `nameless` also drops the metric's name, type
    /// and unit.
    pub(super) fn few(projection: Projection, nameless: bool) -> Wanted {
        Wanted {
            few: Some(Few {
                none: projection.keeps_none(),
                projection,
                nameless,
                empty: Labels::empty(),
                text: Vec::new(),
                known: HashMap::default(),
                hasher: RandomState::default(),
            }),
            tells_name: false,
            tells_identity: false,
        }
    }

    /// Whether rows have all labels of their series.
    pub fn is_all(&self) -> bool {
        self.few.is_none()
    }

    pub fn telling_name(self, tells_name: bool) -> Wanted {
        Wanted { tells_name, ..self }
    }

    pub fn telling_identity(self, tells_identity: bool) -> Wanted {
        Wanted {
            tells_identity,
            ..self
        }
    }

    /// Makes the same for another thread.
    pub fn another(&self) -> Wanted {
        let few = self.few.as_ref().map(|few| Few {
            projection: few.projection.clone(),
            nameless: few.nameless,
            none: few.none,
            empty: Labels::empty(),
            text: Vec::new(),
            known: HashMap::default(),
            // NOTE: identities are compared across threads.
            hasher: few.hasher.clone(),
        });
        Wanted { few, ..*self }
    }

    pub fn glance(&mut self, series: &dyn Series) -> Glance {
        let Some(few) = &mut self.few else {
            return Glance::of(series.labels(), self.tells_name);
        };
        few.glance(series, self.tells_name, self.tells_identity)
    }
}

impl Few {
    fn glance(&mut self, series: &dyn Series, tells_name: bool, tells_identity: bool) -> Glance {
        let (mut name, mut hasher) = (String::new(), self.hasher.build_hasher());
        if !self.none || tells_name || tells_identity {
            let (text, projection) = (&mut self.text, &self.projection);
            let nameless = self.nameless;
            text.clear();
            series.each_label(&mut |label, value| {
                let of_the_metric = is_of_the_metric(label);
                if tells_name && label == METRIC_NAME && !is_counters_name(value) {
                    value.clone_into(&mut name);
                }
                if tells_identity && !of_the_metric {
                    hasher.write(label.as_bytes());
                    hasher.write_usize(label.len());
                    hasher.write(value.as_bytes());
                    hasher.write_usize(value.len());
                }
                if !(nameless && of_the_metric) && projection.keeps(label) {
                    push_part(text, label);
                    push_part(text, value);
                }
            });
        }
        Glance {
            labels: self.labels(),
            name,
            identity: tells_identity.then(|| hasher.finish()),
        }
    }

    fn labels(&mut self) -> Labels {
        if self.text.is_empty() {
            return self.empty.clone();
        }
        if let Some(labels) = self.known.get(&self.text) {
            return labels.clone();
        }
        let labels = Labels::from_sorted(Parts(&self.text));
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(self.text.clone(), labels.clone());
        labels
    }
}

fn push_part(text: &mut Vec<u8>, part: &str) {
    text.extend_from_slice(&(part.len() as u32).to_le_bytes());
    text.extend_from_slice(part.as_bytes());
}

/// Reads what [`push_part`] wrote, in pairs.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn part(&mut self) -> Option<&'a str> {
        let (len, rest) = self.0.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.0 = rest;
        std::str::from_utf8(part).ok()
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        Some((self.part()?, self.part()?))
    }
}
