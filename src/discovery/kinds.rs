//! The kinds of discovery: one line for each in [`source`], and what a line gives.

use std::fmt;
use std::sync::Arc;

use super::discoverer::Discoverer;
use super::metrics::SdMetrics;
use super::{file_sd, http_sd};
use crate::config::SdConfig;
use crate::model::TargetGroup;
use crate::net::{self, Client, NetError, Strictness};
use crate::stdx::clock::Clock;
use crate::watch;

/// Prepares a discovery; everything that may fail happens here. Returns `None` if its component
/// comes later.
pub(super) fn source(
    config: &SdConfig,
    env: &net::Env,
    strictness: Strictness,
) -> Result<Option<Source>, NetError> {
    Ok(Some(match config {
        SdConfig::Static(groups) => Source::Static(groups.clone()),
        SdConfig::File(config) => file_sd::prepare(config),
        SdConfig::Http(config) => http_sd::prepare(config, env, strictness)?,
        SdConfig::Later(_) => return Ok(None),
    }))
}

/// The source of a provider's groups.
#[derive(Debug)]
pub(super) enum Source {
    Static(Vec<Arc<TargetGroup>>),
    /// A discoverer, which gets a thread.
    Discoverer(Factory),
}

/// Makes a discoverer just before its thread begins.
pub(super) struct Factory {
    make: Make,
    /// Its requests under way end with the provider.
    pub client: Option<Client>,
}

type Make = Box<dyn FnOnce(Surroundings) -> Box<dyn Discoverer> + Send>;

/// What a manager gives its discoverers.
pub(super) struct Surroundings {
    pub watcher: watch::Handle,
    pub clock: Arc<dyn Clock>,
    pub metrics: SdMetrics,
    pub user_agent: String,
    /// The first job that has the provider. Its name is in the metrics and in the log.
    pub job: String,
}

impl Source {
    pub fn discoverer<D: Discoverer + 'static>(
        client: Option<Client>,
        make: impl FnOnce(Surroundings) -> D + Send + 'static,
    ) -> Source {
        Source::Discoverer(Factory {
            make: Box::new(|surroundings| Box::new(make(surroundings))),
            client,
        })
    }
}

impl Factory {
    pub fn make(self, surroundings: Surroundings) -> Box<dyn Discoverer> {
        (self.make)(surroundings)
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Factory")
    }
}
