//! The view of scraping for other rooms: a picture that is taken after each sync, and read without
//! waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::target::{Discovered, Target};
use crate::config::ScrapeConfig;
use crate::model::{Labels, Metadata};
use crate::relabel::Rule;
use crate::stdx::locked::locked;

/// Cheap to clone. It always shows the newest picture.
#[derive(Debug, Clone, Default)]
pub struct View(Arc<Mutex<Picture>>);

type Picture = Arc<BTreeMap<String, Arc<PoolPicture>>>;

#[derive(Debug)]
pub(super) struct PoolPicture {
    pub config: Arc<ScrapeConfig>,
    pub targets: Vec<Arc<Target>>,
    pub dropped: Arc<Vec<Discovered>>,
    pub dropped_count: usize,
}

/// The targets of one pool, sorted by URL.
#[derive(Debug, Clone)]
pub struct PoolTargets {
    pub pool: String,
    pub targets: Vec<Arc<Target>>,
}

/// The targets of one pool that relabelling dropped.
#[derive(Debug, Clone)]
pub struct Dropped {
    pub pool: String,
    /// The number of all that were dropped. `keep_dropped_targets` bounds only the list.
    pub count: usize,
    /// Labels before relabelling.
    pub discovered_labels: Vec<Labels>,
}

/// The metadata of one family from one target.
#[derive(Debug, Clone)]
pub struct FamilyMetadata {
    pub target: Arc<Target>,
    pub family: String,
    pub metadata: Metadata,
}

impl View {
    pub fn pools(&self) -> Vec<String> {
        self.picture().keys().cloned().collect()
    }

    /// Returns the targets of one pool, or of all. Health and errors are in the targets.
    pub fn active(&self, pool: Option<&str>) -> Vec<PoolTargets> {
        let of = |(name, p): (&String, &Arc<PoolPicture>)| PoolTargets {
            pool: name.clone(),
            targets: p.targets.clone(),
        };
        self.picture()
            .iter()
            .filter(|(n, _)| pool.is_none_or(|p| p == *n))
            .map(of)
            .collect()
    }

    pub fn dropped(&self, pool: Option<&str>) -> Vec<Dropped> {
        let of = |(name, p): (&String, &Arc<PoolPicture>)| Dropped {
            pool: name.clone(),
            count: p.dropped_count,
            discovered_labels: p.dropped.iter().map(|d| d.labels().labels()).collect(),
        };
        self.picture()
            .iter()
            .filter(|(n, _)| pool.is_none_or(|p| p == *n))
            .map(of)
            .collect()
    }

    /// Yields the metadata of all targets, or of one family. The iterator asks each target in turn,
    /// and may wait while that target reads a page.
    pub fn metadata(&self, family: Option<&str>) -> impl Iterator<Item = FamilyMetadata> {
        let targets = self.active(None).into_iter().flat_map(|p| p.targets);
        let of = |target: Arc<Target>| {
            let families = target.metadata().into_iter();
            families.map(move |(family, metadata)| FamilyMetadata {
                target: target.clone(),
                family,
                metadata,
            })
        };
        targets
            .flat_map(of)
            .filter(move |m| family.is_none_or(|f| f == m.family))
    }

    /// Returns the job's part of the configuration, with secrets hidden.
    pub fn config_yaml(&self, pool: &str) -> Option<String> {
        self.picture().get(pool).map(|p| p.config.yaml.clone())
    }

    /// Returns the rules that make targets of what the pool's discovery finds.
    pub fn relabel_rules(&self, pool: &str) -> Option<Vec<Rule>> {
        let picture = self.picture();
        let pool = picture.get(pool)?;
        Some(pool.config.relabel_configs.clone())
    }

    pub(super) fn show(&self, pools: BTreeMap<String, Arc<PoolPicture>>) {
        *self.lock() = Arc::new(pools);
    }

    fn picture(&self) -> Picture {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Picture> {
        // NOTE: a picture is replaced whole.
        locked(&self.0)
    }
}
