//! What the caller of the configuration decides.

use std::time::Duration;

/// How long samples are kept where neither flags nor file say: Prometheus's 15 days.
pub const RETENTION: Duration = Duration::from_secs(15 * 86_400);

/// How a configuration is read.
pub struct LoadOptions<'e> {
    /// `--agent`: no rules, alerts and remote read.
    pub agent: bool,
    /// `--config.ignore-unsupported-sd`: discoveries that Ferula has not are skipped.
    pub ignore_unsupported_sd: bool,
    /// Leaves the files of `scrape_config_files` alone.
    pub syntax_only: bool,
    /// `--enable-feature=extra-scrape-metrics`: the default of `global.extra_scrape_metrics`.
    pub extra_scrape_metrics: bool,
    /// What the flags say of `storage.tsdb.retention`, time and bytes: shown where the file says
    /// nothing. Zero is no limit.
    pub retention: (Duration, u64),
    /// `--enable-feature=exemplar-storage`: `storage.exemplars` has a default, which is shown.
    pub exemplars: bool,
    /// For `external_labels`.
    pub environment: &'e dyn Fn(&str) -> Option<String>,
}

impl Default for LoadOptions<'_> {
    /// A server's, with everything checked and no variable set.
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
