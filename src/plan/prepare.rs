//! The plan: everything that a configuration needs, made before anything is touched.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, RETENTION, SdConfig, StorageConfig};
use crate::discovery;
use crate::net::{self, Strictness};
use crate::promql::QueryLog;
use crate::scrape;
use crate::tsdb::Retention;

/// What preparing needs to know about the process.
#[derive(Clone)]
pub struct Surroundings {
    pub net: net::Env,
    /// The machine's name, which spreads replicas over the scrape interval.
    pub host_name: String,
    /// `--storage.tsdb.retention.time`.
    pub retention_flag: Option<Duration>,
    /// `--storage.tsdb.retention.size`.
    pub retention_size_flag: Option<u64>,
    /// `--enable-feature=exemplar-storage`.
    pub exemplars: bool,
}

/// A configuration with everything that it needs, ready to be applied.
pub struct Plan {
    pub config: Arc<Config>,
    pub retention: Retention,
    /// Absent if the configuration names none.
    pub query_log: Option<QueryLog>,
    /// Zero without the feature.
    pub exemplars_max: u64,
    pub scrape: scrape::Prepared,
    pub discovery: discovery::Prepared,
}

/// LIMIT: Prometheus's.
const RETENTION_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Plan {
    /// Makes clients and reads certificates. It resolves no names.
    ///
    /// # Errors
    /// All errors, one text each. Nothing was touched.
    pub fn prepare(
        config: Config,
        surroundings: &Surroundings,
        strictness: Strictness,
    ) -> Result<Plan, Vec<String>> {
        let jobs: Vec<(String, &[SdConfig])> = config
            .scrape_configs
            .iter()
            .map(|job| (job.job_name.clone(), job.service_discovery.as_slice()))
            .collect();
        let env = scrape::PrepareEnv {
            net: surroundings.net.clone(),
            host_name: surroundings.host_name.clone(),
        };
        let scrape = scrape::prepare(&config, &env, strictness);
        let discovery = discovery::prepare(&jobs, &surroundings.net, strictness);
        let exemplars_max = if surroundings.exemplars {
            u64::try_from(config.storage.max_exemplars).unwrap_or(0)
        } else {
            0
        };
        let query_log = query_log(&config);
        match (scrape, discovery, query_log) {
            (Ok(scrape), Ok(discovery), Ok(query_log)) => Ok(Plan {
                retention: retention(&config.storage, surroundings),
                config: Arc::new(config),
                exemplars_max,
                query_log,
                scrape,
                discovery,
            }),
            (scrape, discovery, query_log) => {
                let errors = scrape.err().into_iter().flatten();
                let errors = errors.chain(discovery.err().into_iter().flatten());
                let errors = errors.map(|(job, why)| format!("scrape job {job:?}: {why}"));
                Err(errors.chain(query_log.err()).collect())
            }
        }
    }

    pub fn out_of_order_window(&self) -> Duration {
        self.config.storage.out_of_order_time_window
    }
}

/// Returns the retention. A written section holds alone, and a time of zero in it is no limit.
/// Without a section flags hold, where zero counts as not given.
fn retention(config: &StorageConfig, flags: &Surroundings) -> Retention {
    let bytes = config.retention_size.or(flags.retention_size_flag);
    let bytes = bytes.unwrap_or(0);
    let by_flags = || {
        let time = flags.retention_flag.filter(|time| !time.is_zero());
        // NOTE: a limit of bytes is enough by itself (reference section 8).
        time.unwrap_or(if bytes > 0 { Duration::ZERO } else { RETENTION })
    };
    Retention {
        time: { config.retention_time.unwrap_or_else(by_flags) }.min(RETENTION_MAX),
        bytes,
        percentage: config.retention_percentage.unwrap_or(0.0),
    }
}

/// Returns the query log that the configuration names.
fn query_log(config: &Config) -> Result<Option<QueryLog>, String> {
    let Some(path) = &config.global.query_log_file else {
        return Ok(None);
    };
    let log = QueryLog::prepare(path).map_err(|why| {
        let path = path.display();
        format!("global: query_log_file {path}: {why}")
    })?;
    Ok(Some(log))
}
