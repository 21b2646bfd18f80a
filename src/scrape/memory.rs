//! What a loop remembers of its target between two turns. It outlives the loop: a reload hands it
//! to the loop's successor.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use super::cache::Cache;
use super::report::ReportRefs;
use crate::exposition::Entry;
use crate::model::{Metadata, SeriesRef};
use crate::stdx::locked::locked;

/// Shared by the loop, which holds it while it reads a page and commits, and by requests for
/// metadata. It is never locked under the pools' lock.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Remembered>);

#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub cache: Cache,
    pub report: ReportRefs,
}

impl Memory {
    pub fn lock(&self) -> MutexGuard<'_, Remembered> {
        // NOTE: a loop that panicked discards the cache before anybody reads it.
        locked(&self.0)
    }
}

impl Remembered {
    /// Returns the metadata by family name.
    pub fn metadata(&mut self) -> BTreeMap<String, Metadata> {
        let mut families: BTreeMap<String, Metadata> = BTreeMap::new();
        self.cache.each_metadata(|entry| match entry {
            Entry::Help { name, text } => {
                families.entry(name.into_owned()).or_default().help = text.into_owned();
            }
            Entry::Type { name, kind } => {
                families.entry(name.into_owned()).or_default().kind = kind;
            }
            Entry::Unit { name, unit } => {
                families.entry(name.into_owned()).or_default().unit = unit.into_owned();
            }
            Entry::Series { .. } | Entry::Comment => {}
        });
        families
    }

    /// Returns all series to mark stale when the target goes away.
    pub fn tracked(&self) -> Vec<SeriesRef> {
        let mut tracked = self.cache.tracked_series();
        tracked.extend(self.report.known());
        tracked
    }
}
