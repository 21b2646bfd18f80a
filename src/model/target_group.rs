//! What a service discovery finds: groups of targets that share labels.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels while they may still change: small, sorted, cheap to compare.
pub type LabelMap = BTreeMap<String, String>;

/// Targets that come and go together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TargetGroup {
    /// One label set per target. Each has at least `__address__`.
    pub targets: Vec<LabelMap>,
    /// Labels that all targets share. A target's own labels win.
    pub labels: LabelMap,
    /// The group's name within its provider. A later group of the same source replaces this one;
    /// one without targets removes it.
    pub source: String,
}

/// The target groups of all jobs, by job name. A job without groups is listed too.
pub type TargetSets = BTreeMap<String, Vec<Arc<TargetGroup>>>;
