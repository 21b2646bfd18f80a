//! Prepares what providers need: does all that may fail, without touching any.

use std::collections::BTreeSet;

use super::kinds::source;
use super::source::Source;
use crate::config::SdConfig;
use crate::net::{self, Strictness};

/// The prepared configuration for [`Handle::apply`](super::Handle::apply).
#[derive(Debug)]
pub struct Prepared {
    pub(super) jobs: BTreeSet<String>,
    /// Each distinct configuration once, in the order of its first job.
    pub(super) providers: Vec<PreparedProvider>,
    /// The number of discoveries that are not implemented yet. The configuration has warned of
    /// each.
    pub(super) later: usize,
}

#[derive(Debug)]
pub(super) struct PreparedProvider {
    pub config: SdConfig,
    /// The jobs in order, without repetitions.
    pub jobs: Vec<String>,
    pub source: Source,
}

/// Builds HTTP clients for the jobs' discoveries.
///
/// # Errors
/// Every job whose settings cannot work, with the reason.
pub fn prepare(
    jobs: &[(String, &[SdConfig])],
    env: &net::Env,
    strictness: Strictness,
) -> Result<Prepared, Vec<(String, String)>> {
    let mut prepared = Prepared {
        jobs: BTreeSet::new(),
        providers: Vec::new(),
        later: 0,
    };
    let mut errors = Vec::new();
    for (job, configs) in jobs {
        prepared.jobs.insert(job.clone());
        for config in *configs {
            if let Err(error) = prepared.add(job, config, env, strictness) {
                errors.push((job.clone(), error.to_string()));
            }
        }
    }
    if errors.is_empty() {
        Ok(prepared)
    } else {
        Err(errors)
    }
}

impl Prepared {
    fn add(
        &mut self,
        job: &str,
        config: &SdConfig,
        env: &net::Env,
        strictness: Strictness,
    ) -> Result<(), net::NetError> {
        if let Some(same) = self.providers.iter_mut().find(|it| it.config == *config) {
            if !same.jobs.iter().any(|it| it == job) {
                same.jobs.push(job.to_owned());
            }
            return Ok(());
        }
        let Some(source) = source(config, env, strictness)? else {
            self.later += 1;
            return Ok(());
        };
        self.providers.push(PreparedProvider {
            config: config.clone(),
            jobs: vec![job.to_owned()],
            source,
        });
        Ok(())
    }
}
