//! The checked configuration, as the other rooms see it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::remote::{RemoteReadConfig, RemoteWriteConfig};
use super::sd::SdConfig;
use crate::exposition::Protocol;
use crate::model::names::{EscapingScheme, NameScheme};
use crate::net::ClientSettings;
use crate::relabel::Rule;

/// The whole checked configuration, with defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    pub global: Global,
    /// In the order of the file, then of the files in `scrape_config_files`.
    pub scrape_configs: Vec<Arc<ScrapeConfig>>,
    pub storage: StorageConfig,
    /// Absolute patterns of rule files.
    pub rule_files: Vec<String>,
    pub alertmanagers: Vec<AlertmanagerConfig>,
    pub remote_write: Vec<RemoteWriteConfig>,
    pub remote_read: Vec<RemoteReadConfig>,
    /// Every file that was read, so that it can be watched.
    pub files: Vec<PathBuf>,
    /// The text that `/api/v1/status/config` shows: defaults filled in, secrets hidden.
    pub yaml: Arc<str>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Global {
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    pub evaluation_interval: Duration,
    pub rule_query_offset: Duration,
    /// Sorted by name, with variables expanded.
    pub external_labels: Vec<(String, String)>,
    pub query_log_file: Option<PathBuf>,
}

/// One job. Jobs compare by value: an equal one need not be restarted.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrapeConfig {
    pub job_name: String,
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    /// In order of preference.
    pub scrape_protocols: Vec<Protocol>,
    pub fallback_scrape_protocol: Option<Protocol>,
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// In order of names.
    pub params: Vec<(String, Vec<String>)>,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    pub track_timestamps_staleness: bool,
    pub enable_compression: bool,
    pub extra_scrape_metrics: bool,
    pub scrape_failure_log_file: Option<PathBuf>,
    /// In uncompressed bytes. For all limits 0 means no limit.
    pub body_size_limit: u64,
    pub sample_limit: u64,
    pub label_limit: u64,
    pub label_name_length_limit: u64,
    pub label_value_length_limit: u64,
    pub target_limit: u64,
    pub keep_dropped_targets: u64,
    pub name_scheme: NameScheme,
    pub escaping_scheme: EscapingScheme,
    pub scrape_native_histograms: bool,
    pub convert_classic_histograms_to_nhcb: bool,
    pub always_scrape_classic_histograms: bool,
    pub relabel_configs: Vec<Rule>,
    pub metric_relabel_configs: Vec<Rule>,
    pub http: ClientSettings,
    pub service_discovery: Vec<SdConfig>,
    /// This job alone, as `/api/v1/scrape_pools/config` shows it.
    pub yaml: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StorageConfig {
    pub out_of_order_time_window: Duration,
    /// For this and the next two: `None` if the file has no `retention` section, so that flags
    /// hold. In a written section 0 means no limit.
    pub retention_time: Option<Duration>,
    pub retention_size: Option<u64>,
    /// The share of the disk, 0 to 100. It wins over the size.
    pub retention_percentage: Option<f64>,
    pub max_exemplars: i64,
}

/// One element of `alerting.alertmanagers`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertmanagerConfig {
    pub scheme: String,
    pub path_prefix: String,
    pub timeout: Duration,
    pub http: ClientSettings,
    /// Applied to the Alertmanagers.
    pub relabel_configs: Vec<Rule>,
    /// Applied to the alerts that they receive.
    pub alert_relabel_configs: Vec<Rule>,
    pub service_discovery: Vec<SdConfig>,
}
