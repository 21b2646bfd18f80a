//! What a kind of discovery gives of an entry that is prepared: its groups, or what makes its
//! discoverer.

use std::fmt;
use std::sync::Arc;

use super::discoverer::Discoverer;
use super::metrics::SdMetrics;
use crate::model::TargetGroup;
use crate::net::Client;
use crate::stdx::clock::Clock;
use crate::watch;

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
