//! What the caller of the configuration decides.

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
            environment: &|_| None,
        }
    }
}
