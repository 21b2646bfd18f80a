//! What a changed configuration means for the loops of a job.

use std::time::Duration;

use crate::config::ScrapeConfig;
use crate::net::ClientSettings;

/// What a changed configuration means for the loops of targets that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    No,
    /// Other timing, limits or clients: the series are the same.
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

/// The configuration without the keys that don't decide what a page's lines become. Those that
/// decide a target's labels, URL, interval and timeout show in the target itself.
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
