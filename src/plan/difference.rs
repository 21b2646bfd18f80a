//! What a new configuration changes, in words for the log and `/api/v1/status/reload`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Config, ScrapeConfig};

/// One line for each thing that differs; none when the two mean the same.
pub fn difference(old: &Config, new: &Config) -> Vec<String> {
    let mut changes = Vec::new();
    if old.global != new.global {
        changes.push("global changed".to_owned());
    }
    if old.storage != new.storage {
        changes.push("storage changed".to_owned());
    }
    if old.rule_files != new.rule_files {
        changes.push("rule_files changed".to_owned());
    }
    let by_name = |config: &Config| -> BTreeMap<String, Arc<ScrapeConfig>> {
        let jobs = config.scrape_configs.iter();
        jobs.map(|job| (job.job_name.clone(), job.clone()))
            .collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        changes.push(format!("scrape job {name:?} removed"));
    }
    for (name, job) in &new {
        match old.get(name) {
            None => changes.push(format!("scrape job {name:?} added")),
            Some(before) if before != job => changes.push(describe(name, before, job)),
            Some(_) => {}
        }
    }
    changes
}

fn describe(name: &str, old: &ScrapeConfig, new: &ScrapeConfig) -> String {
    let lines = |yaml: &str| yaml.lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(&old.yaml), lines(&new.yaml));
    let added = after
        .iter()
        .filter(|l| !before.contains(l))
        .map(|l| format!("+{}", l.trim()));
    let removed = before
        .iter()
        .filter(|l| !after.contains(l))
        .map(|l| format!("-{}", l.trim()));
    // LIMIT: enough to recognise a change by; the whole is in the file.
    let shown: Vec<String> = removed.chain(added).take(8).collect();
    if shown.is_empty() {
        // A secret, or the order of a list.
        return format!("scrape job {name:?} changed");
    }
    format!("scrape job {name:?} changed: {}", shown.join(", "))
}
