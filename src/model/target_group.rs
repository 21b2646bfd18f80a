//! What a service discovery finds: groups of targets that share labels.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels while they may still change: small, sorted, cheap to compare.
pub type LabelMap = BTreeMap<String, String>;

/// Targets that come and go together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TargetGroup {
    /// One label set a target; each has at least `__address__`.
    pub targets: Vec<LabelMap>,
    /// Labels that all of them have; a target's own win.
    pub labels: LabelMap,
    /// Names the group within its provider: a later group of the same source replaces this one, and
    /// one without targets removes it.
    pub source: String,
}

/// All target groups of all jobs, by name. A job without any is there, too.
pub type TargetSets = BTreeMap<String, Vec<Arc<TargetGroup>>>;
