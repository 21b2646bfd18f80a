//! The effect of a changed configuration on the loops of a job.

use std::time::Duration;

use crate::config::ScrapeConfig;
use crate::net::ClientSettings;

/// The effect of a changed configuration on the loops of targets that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    No,
    /// Timing, limits or clients changed; the series are the same.
    KeepCache,
    /// The series may be others.
    Afresh,
}

impl Restart {
    pub fn of(old: &ScrapeConfig, new: &ScrapeConfig) -> Restart {
        let (series_old, series_new) = (series_keys(old), series_keys(new));
        if series_old != series_new {
            return Restart::Afresh;
        }
        let request = |c: &ScrapeConfig| {
            (
                c.http.clone(),
                c.sample_limit,
                c.body_size_limit,
                c.enable_compression,
            )
        };
        if request(old) == request(new) {
            Restart::No
        } else {
            Restart::KeepCache
        }
    }
}

/// Returns the configuration without the keys that do not decide the series of a page. The target
/// itself shows the keys of its labels, URL, interval and timeout.
fn series_keys(config: &ScrapeConfig) -> ScrapeConfig {
    ScrapeConfig {
        scrape_interval: Duration::ZERO,
        scrape_timeout: Duration::ZERO,
        metrics_path: String::new(),
        scheme: String::new(),
        params: Vec::new(),
        enable_compression: false,
        scrape_failure_log_file: None,
        body_size_limit: 0,
        sample_limit: 0,
        target_limit: 0,
        keep_dropped_targets: 0,
        relabel_configs: Vec::new(),
        http: ClientSettings::default(),
        service_discovery: Vec::new(),
        yaml: String::new(),
        ..config.clone()
    }
}
