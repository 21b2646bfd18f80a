//! What exists before any component, and serves to make all of them.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::events::Event;
use super::mode::Mode;
use super::process;
use crate::cli::Flags;
use crate::config::{LoadOptions, RETENTION};
use crate::metrics::Registry;
use crate::net;
use crate::plan::Surroundings;
use crate::stdx::clock::{Clock, RealClock};
use crate::web::State;

/// Outlives every component, and never changes.
pub struct Ground<'f> {
    pub flags: &'f Flags,
    pub mode: Mode,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    /// What a configuration is prepared with.
    pub surroundings: Surroundings,
    /// The daemon's state as the web server shows it.
    pub state: Arc<State>,
    /// The channel to the main thread.
    pub events_tx: Sender<Event>,
}

impl Ground<'_> {
    pub fn new(flags: &Flags, events_tx: Sender<Event>) -> Ground<'_> {
        let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
        let registry = Registry::new();
        process::register_metrics(&registry);
        Ground {
            flags,
            mode: Mode::of(flags),
            surroundings: Surroundings {
                net: net::Env::new(clock.clone(), &registry),
                host_name: process::host_name(),
                retention_flag: flags.optional_duration("storage.tsdb.retention.time"),
                retention_size_flag: flags.size("storage.tsdb.retention.size"),
                exemplars: flags.has_feature("exemplar-storage"),
            },
            clock,
            registry,
            state: Arc::default(),
            events_tx,
        }
    }
}

/// Returns the retention by time and bytes from the flags alone; zero is no limit.
fn retention(flags: &Flags) -> (Duration, u64) {
    let time = flags.nonzero("storage.tsdb.retention.time");
    let bytes = flags.size("storage.tsdb.retention.size").unwrap_or(0);
    // NOTE: a limit of bytes is enough by itself (reference section 8).
    let default = if bytes > 0 { Duration::ZERO } else { RETENTION };
    (time.unwrap_or(default), bytes)
}

/// Returns how the flags want the configuration read.
pub fn load_options(flags: &Flags) -> LoadOptions<'static> {
    LoadOptions {
        agent: flags.is_on("agent"),
        ignore_unsupported_sd: flags.is_on("config.ignore-unsupported-sd"),
        extra_scrape_metrics: flags.has_feature("extra-scrape-metrics"),
        retention: retention(flags),
        exemplars: flags.has_feature("exemplar-storage"),
        environment: &|name| std::env::var(name).ok(),
        ..LoadOptions::default()
    }
}
