//! The options of a caller of the configuration.

use std::time::Duration;

/// How long samples are kept if neither flags nor file say: Prometheus's 15 days.
pub const RETENTION: Duration = Duration::from_secs(15 * 86_400);

/// How a configuration is read.
pub struct LoadOptions<'e> {
    /// `--agent`: there are no rules, alerts and remote read.
    pub agent: bool,
    /// `--config.ignore-unsupported-sd`: discoveries that Ferula does not have are skipped.
    pub ignore_unsupported_sd: bool,
    /// Does not read the files in `scrape_config_files`.
    pub syntax_only: bool,
    /// `--enable-feature=extra-scrape-metrics`: the default of `global.extra_scrape_metrics`.
    pub extra_scrape_metrics: bool,
    /// The flags' `storage.tsdb.retention`, time and bytes, which is shown if the file has none.
    /// Zero is no limit.
    pub retention: (Duration, u64),
    /// `--enable-feature=exemplar-storage`: `storage.exemplars` has a default, which is shown.
    pub exemplars: bool,
    /// For `external_labels`.
    pub environment: &'e dyn Fn(&str) -> Option<String>,
}

impl Default for LoadOptions<'_> {
    /// A server's options: everything is checked, and no variable is set.
    fn default() -> Self {
        LoadOptions {
            agent: false,
            ignore_unsupported_sd: false,
            syntax_only: false,
            extra_scrape_metrics: false,
            retention: (RETENTION, 0),
            exemplars: false,
            environment: &|_| None,
        }
    }
}
