//! What a new configuration changed, in words for the log and `/api/v1/status/reload`.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Config, ScrapeConfig};
use crate::scrape::Applied;

/// Returns one line for each section that differs, then one for each job that the scrape manager
/// touched.
pub fn changes(old: &Config, new: &Config, jobs: &Applied) -> Vec<String> {
    let sections = sections(old, new).into_iter();
    let mut lines: Vec<String> = sections.map(|name| format!("{name} changed")).collect();
    let job = |what| move |name: &String| format!("scrape job {name:?} {what}");
    lines.extend(jobs.removed.iter().map(job("removed")));
    lines.extend(jobs.added.iter().map(job("added")));
    let by_name = |config: &Config, name: &str| {
        let mut jobs = config.scrape_configs.iter();
        jobs.find(|job| job.job_name == name).cloned()
    };
    for name in &jobs.changed {
        if let (Some(old), Some(new)) = (by_name(old, name), by_name(new, name)) {
            lines.push(describe(name, &old, &new));
        }
    }
    lines
}

/// Returns the top-level sections that differ, except `scrape_configs`, in order of their names.
fn sections<'c>(old: &'c Config, new: &'c Config) -> BTreeSet<&'c str> {
    let (before, after) = (by_section(&old.yaml), by_section(&new.yaml));
    let differs = |name: &&str| match *name {
        "scrape_configs" => false,
        // NOTE: the text hides secrets.
        "alerting" if old.alertmanagers != new.alertmanagers => true,
        name => before.get(name) != after.get(name),
    };
    let names = before.keys().chain(after.keys()).copied();
    names.filter(differs).collect()
}

/// Cuts the text at the lines that begin a section.
fn by_section(yaml: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut name = "";
    for line in yaml.lines() {
        if let Some((key, _)) = line.split_once(':')
            && !line.starts_with([' ', '-', '#'])
        {
            name = key;
        }
        sections.entry(name).or_default().push(line);
    }
    sections
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
    // LIMIT: enough to recognise a change. The whole is in the file.
    let shown: Vec<String> = removed.chain(added).take(8).collect();
    if shown.is_empty() {
        // A secret, or the order of a list.
        return format!("scrape job {name:?} changed");
    }
    format!("scrape job {name:?} changed: {}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{LoadOptions, load_text};

    #[test]
    fn every_section_is_told() {
        let load = |text: &str| {
            let loaded = load_text(Path::new("/c.yml"), text, &LoadOptions::default());
            loaded.unwrap().0
        };
        let check = |old: &str, new: &str, expect: &[&str]| {
            let found = changes(&load(old), &load(new), &Applied::default());
            assert_eq!(found, expect, "{old} {new}");
        };
        let alerting = |to: &str| format!("alerting: {{alertmanagers: [{{{to}}}]}}");
        let to = |target: &str| alerting(&format!("static_configs: [{{targets: [{target}]}}]"));
        let with = |password: &str| {
            alerting(&format!(
                "basic_auth: {{username: u, password: {password}}}"
            ))
        };
        check("", "", &[]);
        check("", &to("a:1"), &["alerting changed"]);
        check(&to("a:1"), &to("b:1"), &["alerting changed"]);
        check(&with("a"), &with("b"), &["alerting changed"]);
        check("", "global: {scrape_interval: 5s}", &["global changed"]);
        check("", "rule_files: [a.yml]", &["rule_files changed"]);
        let storage = "storage: {tsdb: {out_of_order_time_window: 1h}}";
        check(storage, "", &["storage changed"]);
        check("", "scrape_configs: [{job_name: j}]", &[]);
    }
}
