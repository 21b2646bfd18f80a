//! What is there before any component: flags, clock, registry, surroundings.

use std::sync::Arc;

use super::process;
use crate::cli::Flags;
use crate::config::LoadOptions;
use crate::metrics::Registry;
use crate::net;
use crate::plan::Surroundings;
use crate::stdx::clock::{Clock, RealClock};

/// What components are made with, and what is there before any of them.
pub struct Ground<'f> {
    pub flags: &'f Flags,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    pub surroundings: Surroundings,
}

impl Ground<'_> {
    pub fn new(flags: &Flags) -> Ground<'_> {
        let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
        let registry = Registry::new();
        process::register_metrics(&registry);
        Ground {
            flags,
            surroundings: Surroundings {
                net: net::Env::new(clock.clone(), &registry),
                host_name: process::host_name(),
                retention_flag: flags.optional_duration("storage.tsdb.retention.time"),
                retention_size_flag: flags.size("storage.tsdb.retention.size"),
                exemplars: flags.has_feature("exemplar-storage"),
            },
            clock,
            registry,
        }
    }
}

/// How the flags want the configuration read.
pub fn load_options(flags: &Flags) -> LoadOptions<'static> {
    LoadOptions {
        agent: flags.is_on("agent"),
        ignore_unsupported_sd: flags.is_on("config.ignore-unsupported-sd"),
        extra_scrape_metrics: flags.has_feature("extra-scrape-metrics"),
        environment: &|name| std::env::var(name).ok(),
        ..LoadOptions::default()
    }
}
