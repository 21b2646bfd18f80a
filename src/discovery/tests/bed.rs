//! A manager with everything that it needs, and ways to wait for what it finds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{FileSdConfig, SdConfig};
use crate::discovery::metrics::{ManagerMetrics, SdMetrics};
use crate::discovery::{Applied, Handle, Options, prepare};
use crate::metrics::Registry;
use crate::model::{LabelMap, TargetGroup, TargetSets};
use crate::net;
use crate::stdx::clock::{Clock, RealClock};
use crate::stdx::mailbox::Mailbox;
pub use crate::stdx::testing::{DEADLINE, eventually, logged, logged_by_any};
use crate::watch;

/// Addresses by job, sorted.
pub type Found = BTreeMap<String, Vec<String>>;

pub struct Bed {
    pub handle: Handle,
    pub sets: Mailbox<TargetSets>,
    pub metrics: SdMetrics,
    pub manager_metrics: ManagerMetrics,
    pub last: TargetSets,
    pub root: PathBuf,
    registry: Registry,
    env: net::Env,
    _temp: tempfile::TempDir,
}

/// Makes a manager that lives by `clock` and sends at this interval. Its parts use the real clock.
pub fn bed(clock: Arc<dyn Clock>, send_interval: Duration) -> Bed {
    let temp = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let real: Arc<dyn Clock> = Arc::new(RealClock::new());
    let watcher = watch::Handle::start(real.clone(), &registry).unwrap();
    let mut options = Options::new("scrape", clock, registry.clone(), watcher);
    options.send_interval = send_interval;
    let (handle, sets) = Handle::start(options).unwrap();
    Bed {
        handle,
        sets,
        metrics: SdMetrics::new(&registry),
        manager_metrics: ManagerMetrics::new(&registry, "scrape"),
        last: TargetSets::new(),
        root: temp.path().to_owned(),
        env: net::Env::new(real, &registry),
        registry,
        _temp: temp,
    }
}

/// Makes one that does everything at once, by the real clock.
pub fn quick() -> Bed {
    bed(Arc::new(RealClock::new()), Duration::ZERO)
}

impl Bed {
    pub fn apply(&self, jobs: &[(&str, &[SdConfig])]) -> Applied {
        let jobs: Vec<(String, &[SdConfig])> = jobs
            .iter()
            .map(|(job, configs)| ((*job).to_owned(), *configs))
            .collect();
        let prepared = prepare(&jobs, &self.env, net::Strictness::Strict).unwrap();
        self.handle.apply(prepared)
    }

    /// Returns a counter's or gauge's value, found by the line's beginning.
    pub fn metric(&self, name: &str) -> String {
        self.registry.shown(name)
    }

    pub fn files(&self, pattern: &str) -> SdConfig {
        SdConfig::File(FileSdConfig {
            files: vec![self.root.join(pattern).to_str().unwrap().to_owned()],
            refresh_interval: Duration::from_secs(300),
        })
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.root.join(name), text).unwrap();
    }

    /// Writes a file beside, and renames it.
    pub fn replace(&self, name: &str, text: &str) {
        self.write("beside", text);
        fs::rename(self.root.join("beside"), self.root.join(name)).unwrap();
    }

    /// Waits until exactly these targets are posted.
    pub fn expect(&mut self, what: &str, expect: &[(&str, &[&str])]) {
        let expect: Found = expect
            .iter()
            .map(|(job, found)| {
                let found = found.iter().map(|address| (*address).to_owned());
                ((*job).to_owned(), found.collect())
            })
            .collect();
        while found(&self.last) != expect {
            let rang = self.sets.bell().recv_timeout(DEADLINE);
            assert!(
                rang.is_ok(),
                "{what}: {:?}, not {expect:?}",
                found(&self.last)
            );
            self.last = self.sets.take().unwrap_or_else(|| self.last.clone());
        }
    }

    /// Checks that nothing was posted that differs from what was expected last.
    pub fn expect_no_other(&mut self) {
        let before = found(&self.last);
        self.last = self.sets.take().unwrap_or_else(|| self.last.clone());
        assert_eq!(found(&self.last), before);
    }
}

pub fn found(sets: &TargetSets) -> Found {
    let addresses = |groups: &Vec<Arc<TargetGroup>>| {
        let targets = groups.iter().flat_map(|group| &group.targets);
        let mut found: Vec<String> = targets.map(|it| it["__address__"].clone()).collect();
        found.sort();
        found
    };
    sets.iter()
        .map(|(job, groups)| (job.clone(), addresses(groups)))
        .collect()
}

pub fn static_config(groups: &[&[&str]]) -> SdConfig {
    let target = |address: &&str| LabelMap::from([("__address__".into(), (*address).into())]);
    let group = |(i, targets): (usize, &&[&str])| TargetGroup {
        targets: targets.iter().map(target).collect(),
        labels: LabelMap::new(),
        source: i.to_string(),
    };
    SdConfig::Static(groups.iter().enumerate().map(group).map(Arc::new).collect())
}

pub fn json(addresses: &[&str]) -> String {
    serde_json::json!([{ "targets": addresses }]).to_string()
}

pub fn link(root: &Path, target: &str, name: &str) {
    std::os::unix::fs::symlink(target, root.join("link")).unwrap();
    fs::rename(root.join("link"), root.join(name)).unwrap();
}
