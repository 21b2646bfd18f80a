//! A provider as its manager sees it: its groups, its jobs, its thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::config::SdConfig;
use crate::model::TargetGroup;
use crate::net;
use crate::stdx::clock::Clock;
use crate::stdx::stop::StopSender;
use crate::stdx::thread::Thread;

#[derive(Debug)]
pub(super) struct Provider {
    pub config: SdConfig,
    pub jobs: BTreeSet<String>,
    groups: BTreeMap<String, Arc<TargetGroup>>,
    /// The groups of the providers that this one replaces, by job, until the first update.
    inherited: BTreeMap<String, Vec<Arc<TargetGroup>>>,
    bears: bool,
    running: Option<Running>,
}

#[derive(Debug)]
pub(super) struct Running {
    pub stop: StopSender,
    pub thread: Thread,
    /// Its requests under way end with the provider.
    pub client: Option<net::Client>,
}

/// The effect of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    First,
    Changed,
    Same,
}

impl Provider {
    pub fn new(config: SdConfig, jobs: BTreeSet<String>) -> Provider {
        Provider {
            config,
            jobs,
            groups: BTreeMap::new(),
            inherited: BTreeMap::new(),
            bears: false,
            running: None,
        }
    }

    pub fn started(&mut self, running: Running) {
        self.running = Some(running);
    }

    pub fn merge(&mut self, groups: Vec<Arc<TargetGroup>>) -> News {
        let first = !std::mem::replace(&mut self.bears, true);
        self.inherited.clear();
        let mut changed = false;
        for group in groups {
            if group.targets.is_empty() {
                changed |= self.groups.remove(&group.source).is_some();
            } else if self.groups.get(&group.source) != Some(&group) {
                self.groups.insert(group.source.clone(), group);
                changed = true;
            }
        }
        match (first, changed) {
            (true, _) => News::First,
            (false, true) => News::Changed,
            (false, false) => News::Same,
        }
    }

    /// Keeps what `old` found for `job` until this one has found something itself.
    pub fn inherit(&mut self, job: &str, old: &Provider) {
        if !self.bears {
            let groups = old.groups_of(job).cloned();
            let inherited = self.inherited.entry(job.to_owned()).or_default();
            inherited.extend(groups);
        }
    }

    pub fn groups_of(&self, job: &str) -> impl Iterator<Item = &Arc<TargetGroup>> {
        let inherited = self.inherited.get(job).into_iter().flatten();
        self.groups.values().chain(inherited)
    }

    /// Tells the thread to end, and returns it for [`join_all`].
    pub fn stop(&mut self) -> Option<Thread> {
        let Running {
            stop,
            thread,
            client,
        } = self.running.take()?;
        drop(stop);
        if let Some(client) = client {
            client.shutdown();
        }
        Some(thread)
    }
}

/// Waits for threads that were told to end, at most `deadline` for all of them together.
pub(super) fn join_all(threads: Vec<Thread>, clock: &dyn Clock, deadline: Duration) {
    let end = clock.mono() + deadline;
    for thread in threads {
        let name = thread.name().to_owned();
        if !thread.join_within(end.saturating_sub(clock.mono())) {
            log::warn!(thread = name.as_str(); "a discovery does not end, leaving it behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LabelMap;

    fn group(source: &str, targets: &[&str]) -> Arc<TargetGroup> {
        let target = |address: &&str| LabelMap::from([("__address__".into(), (*address).into())]);
        Arc::new(TargetGroup {
            targets: targets.iter().map(target).collect(),
            labels: LabelMap::new(),
            source: source.to_owned(),
        })
    }

    fn provider(jobs: &[&str]) -> Provider {
        let jobs = jobs.iter().map(|job| (*job).to_owned()).collect();
        Provider::new(SdConfig::Later("test".to_owned()), jobs)
    }

    fn sources(provider: &Provider, job: &str) -> Vec<String> {
        let groups = provider.groups_of(job);
        groups.map(|group| group.source.clone()).collect()
    }

    #[test]
    fn groups_replace_those_of_their_source() {
        let mut it = provider(&["j"]);
        assert_eq!(
            it.merge(vec![group("a", &["1"]), group("b", &["2"])]),
            News::First
        );
        let kept = it.groups_of("j").next().cloned().unwrap();
        assert_eq!(it.merge(vec![group("a", &["1"])]), News::Same);
        assert!(Arc::ptr_eq(&kept, it.groups_of("j").next().unwrap()));
        assert_eq!(it.merge(vec![group("c", &[])]), News::Same);
        assert_eq!(it.merge(vec![group("a", &["3"])]), News::Changed);
        assert_eq!(it.merge(vec![group("b", &[])]), News::Changed);
        assert_eq!(sources(&it, "j"), ["a"]);
    }

    #[test]
    fn an_heir_keeps_the_old_groups_until_its_first() {
        let mut old = provider(&["j"]);
        old.merge(vec![group("old", &["1"])]);
        let mut heir = provider(&["j", "k"]);
        heir.inherit("j", &old);
        assert_eq!(sources(&heir, "j"), ["old"]);
        assert_eq!(sources(&heir, "k"), [""; 0]);
        let mut heirs_heir = provider(&["j"]);
        heirs_heir.inherit("j", &heir);
        assert_eq!(sources(&heirs_heir, "j"), ["old"]);
        assert_eq!(heir.merge(Vec::new()), News::First);
        assert_eq!(sources(&heir, "j"), [""; 0]);
        heir.inherit("j", &old);
        assert_eq!(
            sources(&heir, "j"),
            [""; 0],
            "it has found something itself"
        );
    }
}
