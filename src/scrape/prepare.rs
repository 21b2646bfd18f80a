//! Prepares a checked configuration for scraping: the part that may fail, and touches nothing.

use std::sync::Arc;

use super::failure_log::FailureLog;
use super::runner::Cancel;
use super::schedule::fnv64a;
use crate::config::{Config, ScrapeConfig};
use crate::exposition::accept_header;
use crate::model::Labels;
use crate::net::{Client, Env, Fetch, Strictness};

/// What [`prepare`] needs besides the configuration.
#[derive(Debug, Clone)]
pub struct PrepareEnv {
    pub net: Env,
    /// The machine's full name. With the external labels it spreads replicas over the interval. The
    /// caller looks it up once.
    pub host_name: String,
}

/// A configuration that can be applied.
pub struct Prepared {
    pub(super) jobs: Vec<Arc<Job>>,
    pub(super) offset_seed: u64,
}

/// A job with everything that its loops need.
pub(super) struct Job {
    pub config: Arc<ScrapeConfig>,
    pub accept: String,
    pub dial: Dial,
    /// Shared by jobs with the same file.
    pub failure_log: Option<Arc<FailureLog>>,
}

/// Makes a loop's connection, and the function that ends its requests.
pub(super) type Dial = Arc<dyn Fn() -> (Box<dyn Fetch>, Cancel) + Send + Sync>;

/// Checks everything that can fail, for all jobs. At a lenient start files of secrets and
/// certificates may be missing. That affects only their targets, until the files are there.
///
/// # Errors
/// Every job that cannot work, and why.
pub fn prepare(
    config: &Config,
    env: &PrepareEnv,
    strictness: Strictness,
) -> Result<Prepared, Vec<(String, String)>> {
    let (mut jobs, mut errors) = (Vec::new(), Vec::new());
    let mut logs: Vec<Arc<FailureLog>> = Vec::new();
    for config in &config.scrape_configs {
        match Client::with(&config.http, &config.job_name, &env.net, strictness) {
            Ok(client) => jobs.push(Arc::new(job(config, client, &mut logs))),
            Err(e) => {
                let message = format!("error creating HTTP client: {e}");
                errors.push((config.job_name.clone(), message));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let labels = config.global.external_labels.iter().map(|(n, v)| (n, v));
    let labels = Labels::from_pairs(labels).to_string();
    let offset_seed = fnv64a(&[env.host_name.as_bytes(), labels.as_bytes()]);
    Ok(Prepared { jobs, offset_seed })
}

fn job(config: &Arc<ScrapeConfig>, client: Client, logs: &mut Vec<Arc<FailureLog>>) -> Job {
    let failure_log = config.scrape_failure_log_file.as_ref().map(|path| {
        let known = logs.iter().find(|log| log.path() == path);
        known.cloned().unwrap_or_else(|| {
            logs.push(Arc::new(FailureLog::new(path)));
            logs[logs.len() - 1].clone()
        })
    });
    Job {
        config: config.clone(),
        accept: accept_header(&config.scrape_protocols, config.escaping_scheme),
        dial: Arc::new(move || {
            let connection = client.connection();
            let canceller = connection.canceller();
            let cancel: Cancel = Box::new(move || canceller.cancel());
            (Box::new(connection), cancel)
        }),
        failure_log,
    }
}
