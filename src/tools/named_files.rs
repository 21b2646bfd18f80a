//! Checks the files that a configuration names and the targets that it makes, for `check` only.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::config::{
    Config, NamedRule, ScrapeConfig, SdConfig, TargetFileKind, glob, io_text, parse_target_groups,
    read_bytes,
};
use crate::model::{LabelMap, LabelsBuilder, TargetGroup, duration};
use crate::net::{ClientSettings, SecretSource};
use crate::relabel::{self, Rule};
use crate::stdx::gofmt;

#[derive(Default)]
pub(super) struct Found {
    pub faults: Vec<String>,
    pub warnings: Vec<String>,
    pub rule_files: BTreeSet<PathBuf>,
}

pub(super) fn check(config: &Config) -> Found {
    let mut found = Found::default();
    for pattern in &config.rule_files {
        found.rule_pattern(pattern);
    }
    for job in &config.scrape_configs {
        found.client(&job.http);
        for sd in &job.service_discovery {
            let whose = format!("scrape job {}", gofmt::quote(&job.job_name));
            found.discovery(sd, &whose, &|group, source| job_fault(job, group, source));
        }
    }
    for alertmanager in &config.alertmanagers {
        let rules = &alertmanager.relabel_configs;
        for sd in &alertmanager.service_discovery {
            found.discovery(sd, "alertmanager config", &|group, _| {
                address_fault(rules, group)
            });
        }
    }
    found
}

impl Found {
    fn rule_pattern(&mut self, pattern: &str) {
        match glob(pattern) {
            Err(fault) => self.faults.push(fault),
            Ok(files) if files.is_empty() && !pattern.contains('*') => {
                let quoted = gofmt::quote(pattern);
                self.faults
                    .push(format!("{quoted} does not point to an existing file"));
            }
            Ok(files) if files.is_empty() => {
                self.warnings
                    .push(format!("{} matches no file", gofmt::quote(pattern)));
            }
            Ok(files) => self.rule_files.extend(files),
        }
    }

    fn client(&mut self, http: &ClientSettings) {
        let credentials = http
            .authorization
            .as_ref()
            .and_then(|a| a.credentials.as_ref());
        let password = http.basic_auth.as_ref().and_then(|b| b.password.as_ref());
        let named = [
            (
                "authorization credentials or bearer token file",
                credentials,
            ),
            ("client cert file", http.tls.cert.as_ref()),
            ("client key file", http.tls.key.as_ref()),
        ];
        for (what, source) in named {
            if let Some(fault) = file_fault(source) {
                self.faults.push(format!("error checking {what} {fault}"));
            }
        }
        // Prometheus's tool does not check these; the daemon retries them.
        for (what, source) in [
            ("password file", password),
            ("CA file", http.tls.ca.as_ref()),
        ] {
            if let Some(fault) = file_fault(source) {
                self.warnings.push(format!("{what} {fault}"));
            }
        }
    }

    fn discovery(
        &mut self,
        sd: &SdConfig,
        whose: &str,
        fault_of: &dyn Fn(&TargetGroup, &str) -> Option<String>,
    ) {
        match sd {
            SdConfig::Static(groups) => {
                let faults = groups.iter().filter_map(|g| fault_of(g, &g.source));
                self.faults.extend(faults);
            }
            SdConfig::File(config) => {
                for pattern in &config.files {
                    self.target_files(pattern, whose, fault_of);
                }
            }
            SdConfig::Http(config) => self.client(&config.http),
            SdConfig::Later(_) => {}
        }
    }

    fn target_files(
        &mut self,
        pattern: &str,
        whose: &str,
        fault_of: &dyn Fn(&TargetGroup, &str) -> Option<String>,
    ) {
        let quoted = gofmt::quote(pattern);
        let files = glob(pattern).unwrap_or_else(|fault| {
            self.faults.push(fault);
            Vec::new()
        });
        if files.is_empty() {
            let text = format!("file {quoted} for file_sd in {whose} does not exist");
            self.warnings.push(text);
        }
        for file in files {
            let groups = TargetFileKind::of(&file)
                .and_then(|kind| parse_target_groups(&read_bytes(&file)?, kind));
            match groups {
                Err(fault) => self
                    .faults
                    .push(format!("checking SD file {quoted}: {fault}")),
                Ok(groups) => self
                    .faults
                    .extend(groups.iter().filter_map(|g| fault_of(g, ""))),
            }
        }
    }
}

fn file_fault(source: Option<&SecretSource>) -> Option<String> {
    let Some(SecretSource::File(path)) = source else {
        return None;
    };
    let error = std::fs::metadata(path).err()?;
    let shown = path.display().to_string();
    Some(format!(
        "{}: stat {shown}: {}",
        gofmt::quote(&shown),
        io_text(&error)
    ))
}

/// Returns why the first bad target of a group cannot be scraped.
fn job_fault(job: &ScrapeConfig, group: &TargetGroup, source: &str) -> Option<String> {
    let faulty = |(i, target): (usize, &LabelMap)| {
        let why = target_fault(job, target, &group.labels)?;
        Some(format!("instance {i} in group {source}: {why}"))
    };
    group.targets.iter().enumerate().find_map(faulty)
}

fn target_fault(job: &ScrapeConfig, target: &LabelMap, shared: &LabelMap) -> Option<String> {
    let mut labels = LabelsBuilder::default();
    for (name, value) in shared.iter().chain(target) {
        labels.set(name, value);
    }
    let own = [
        ("job", job.job_name.clone()),
        ("__scrape_interval__", duration::format(job.scrape_interval)),
        ("__scrape_timeout__", duration::format(job.scrape_timeout)),
        ("__metrics_path__", job.metrics_path.clone()),
        ("__scheme__", job.scheme.clone()),
    ];
    let params = job.params.iter().filter_map(|(name, values)| {
        values
            .first()
            .map(|value| (format!("__param_{name}"), value.clone()))
    });
    let own = own
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    for (name, value) in own.chain(params) {
        if labels.get(&name).is_none() {
            labels.set(&name, &value);
        }
    }
    if !relabel::process(&job.relabel_configs, &mut labels) {
        return None;
    }
    labels_fault(&labels).or_else(|| times_fault(&labels))
}

fn labels_fault(labels: &LabelsBuilder) -> Option<String> {
    match labels.get("__address__") {
        None | Some("") => Some("no address".to_owned()),
        Some(address) if address.contains('/') => {
            Some(format!("{} is not a valid hostname", gofmt::quote(address)))
        }
        Some(_) => None,
    }
}

fn times_fault(labels: &LabelsBuilder) -> Option<String> {
    let time = |label: &str, what: &str| {
        let time = duration::parse(labels.get(label).unwrap_or(""))
            .map_err(|e| format!("error parsing scrape {what}: {e}"))?;
        if time.is_zero() {
            return Err(format!("scrape {what} cannot be 0"));
        }
        Ok(time)
    };
    let both = time("__scrape_interval__", "interval")
        .and_then(|interval| Ok((interval, time("__scrape_timeout__", "timeout")?)));
    match both {
        Err(fault) => Some(fault),
        Ok((interval, timeout)) if timeout > interval => Some(format!(
            "scrape timeout cannot be greater than scrape interval ({} > {})",
            gofmt::quote(labels.get("__scrape_timeout__").unwrap_or("")),
            gofmt::quote(labels.get("__scrape_interval__").unwrap_or(""))
        )),
        Ok(_) => None,
    }
}

/// Alertmanagers need only an address.
fn address_fault(rules: &[Rule], group: &TargetGroup) -> Option<String> {
    group.targets.iter().find_map(|target| {
        let mut labels = LabelsBuilder::default();
        for (name, value) in group.labels.iter().chain(target) {
            labels.set(name, value);
        }
        let kept = relabel::process(rules, &mut labels);
        labels_fault(&labels).filter(|_| kept)
    })
}

/// Writes promtool's report of rules with the same name and labels; "" if there are none.
pub(super) fn repeated(rules: &[NamedRule]) -> String {
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<&NamedRule> = rules.iter().filter(|rule| !seen.insert(*rule)).collect();
    if repeated.is_empty() {
        return String::new();
    }
    let mut out = format!("lint error {} duplicate rule(s) found.\n", repeated.len());
    for (name, labels) in repeated {
        let _ = writeln!(out, "Metric: {name}\nLabel(s):");
        for (label, value) in labels {
            let _ = writeln!(out, "\t{label}: {value}");
        }
    }
    out.push_str("Might cause inconsistency while recording expressions");
    out
}
