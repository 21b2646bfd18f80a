//! The components, and the orders in which they start, change and stop.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::ground::Ground;
use super::mode::Mode;
use super::{process, serving};
use crate::model::{TargetSets, timestamp};
use crate::plan::Plan;
use crate::promql::{self, ActiveQueries, Engine, UnfinishedQuery};
use crate::stdx::clock::Clock;
use crate::stdx::mailbox::Mailbox;
use crate::storage::Appendable;
use crate::tsdb::{self, Db};
use crate::watch::{Subscription, Watched};
use crate::web::Database;
use crate::web::server::Server;
use crate::{discovery, scrape, watch};

/// Everything that runs, with one owner: the main loop. The mode says which optional components
/// exist.
pub struct Components {
    clock: Arc<dyn Clock>,
    // ORDER: as they stop, producers before consumers.
    scrape: scrape::Handle,
    discovery: discovery::Handle,
    watcher: watch::Handle,
    web: Server,
    database: Option<Database>,
}

impl Components {
    /// Starts every component without a job. Requests wait for the first configuration.
    ///
    /// # Errors
    /// The first component that cannot be started. Those before it are stopped.
    pub fn start(ground: &Ground<'_>, plan: &Plan) -> Result<Components> {
        let database = ground.mode.has_database();
        let database = database.then(|| open_database(ground, plan)).transpose()?;
        let storage = storage(ground.mode, database.as_ref())?;
        let (clock, registry) = (ground.clock.clone(), ground.registry.clone());
        let watcher =
            watch::Handle::start(clock.clone(), &registry).context("cannot start the watcher")?;
        let options = discovery::Options::new("scrape", clock.clone(), registry, watcher.clone());
        let (discovery, targets) =
            discovery::Handle::start(options).context("cannot start the discovery manager")?;
        let scrape = scrape::Handle::start(scrape_options(ground, storage.clone(), targets))
            .context("cannot start the scrape manager")?;
        // ORDER: last, since it takes requests at once.
        let web = serving::start(ground, database.clone(), storage, scrape.view().clone())?;
        Ok(Components {
            clock,
            scrape,
            discovery,
            watcher,
            web,
            database,
        })
    }

    /// Applies a plan, which cannot fail. Returns the jobs that it touched.
    pub fn apply(&self, plan: Plan) -> scrape::Applied {
        // ORDER: consumers before producers; the pools must know a job before its targets come.
        if let Some(Database { db, engine }) = &self.database {
            db.set_retention(plan.retention);
            db.set_out_of_order_window(plan.out_of_order_window());
            engine.set_default_step(plan.config.global.evaluation_interval);
            engine.set_log(plan.query_log);
            db.set_max_exemplars(plan.exemplars_max);
        }
        let jobs = self.scrape.apply(plan.scrape);
        let providers = self.discovery.apply(plan.discovery);
        log::debug!(added = providers.added, removed = providers.removed, kept = providers.kept,
            failed = providers.failed; "Discovery has taken the configuration");
        jobs
    }

    pub fn watch(&self, files: Subscription) -> Watched {
        self.watcher.subscribe(files)
    }

    /// Stops everything, producers before consumers, each with the deadline. Returns false if one
    /// missed the deadline and is left behind.
    pub fn stop(self, deadline: Duration) -> bool {
        let scrape = self.scrape.stop(deadline, &*self.clock);
        let mut in_time = stopped("scrape", deadline, scrape);
        in_time &= stopped("discovery", deadline, self.discovery.stop(deadline));
        in_time &= stopped("watch", deadline, self.watcher.stop(deadline));
        in_time &= stopped("web", deadline, self.web.stop(deadline));
        if let Some(database) = self.database {
            in_time &= stopped("storage", deadline, database.db.stop(deadline));
        }
        in_time
    }
}

/// Logs how a component stopped. Returns whether it did so in time.
fn stopped(stage: &str, deadline: Duration, in_time: bool) -> bool {
    if in_time {
        log::info!(stage = stage; "Stopped");
    } else {
        let deadline = format!("{deadline:?}");
        log::error!(stage = stage, deadline = deadline.as_str();
            "Did not stop within its deadline and is left behind");
    }
    in_time
}

/// Returns the destination of scraped and received samples.
fn storage(mode: Mode, database: Option<&Database>) -> Result<Arc<dyn Appendable>> {
    match database {
        Some(database) => Ok(Arc::new(database.db.clone())),
        None => anyhow::bail!("{mode:?} mode has no storage yet"),
    }
}

fn open_database(ground: &Ground<'_>, plan: &Plan) -> Result<Database> {
    let path = ground.flags.text("storage.tsdb.path");
    let db = Db::open(storage_options(ground, plan))
        .with_context(|| format!("cannot open the storage (--storage.tsdb.path={path})"))?;
    let engine = Arc::new(query_engine(ground));
    Ok(Database { db, engine })
}

fn storage_options(ground: &Ground<'_>, plan: &Plan) -> tsdb::Options {
    let flags = ground.flags;
    let place = tsdb::Place::Path {
        path: flags.text("storage.tsdb.path").into(),
        lock: !flags.is_on("storage.tsdb.no-lockfile"),
    };
    let mut options = tsdb::Options::new(place, ground.clock.clone(), ground.registry.clone());
    options.retention = plan.retention;
    options.out_of_order_window = plan.out_of_order_window();
    options.exemplars_max = plan.exemplars_max;
    if let Some(bytes) = flags.size("storage.head-budget") {
        options.head_budget = bytes;
    }
    options.wal_sync_interval = flags.duration("storage.wal-sync-interval");
    if let Some(bytes) = flags.size("storage.wal-size-limit") {
        options.wal_held_bytes = bytes;
    }
    options.give_back = process::give_memory_back;
    options
}

fn scrape_options(
    ground: &Ground<'_>,
    storage: Arc<dyn Appendable>,
    targets: Mailbox<TargetSets>,
) -> scrape::Options {
    let flags = ground.flags;
    scrape::Options {
        storage,
        targets,
        clock: ground.clock.clone(),
        registry: ground.registry.clone(),
        reload_interval: flags.duration("scrape.discovery-reload-interval"),
        user_agent: crate::net::USER_AGENT.to_owned(),
        alignment: scrape::Alignment {
            adjust: flags.is_on("scrape.adjust-timestamps"),
            tolerance: flags.duration("scrape.timestamp-tolerance"),
        },
    }
}

/// Makes the query engine, and logs the queries that had not ended with the last process.
fn query_engine(ground: &Ground<'_>) -> Engine {
    let flags = ground.flags;
    let defaults = promql::Settings::default();
    let settings = promql::Settings {
        // NOTE: zero is the default, as in Prometheus.
        lookback: flags
            .nonzero("query.lookback-delta")
            .unwrap_or(defaults.lookback),
        timeout: flags.duration("query.timeout"),
        samples_max: flags.count("query.max-samples"),
        bytes_max: flags
            .size("query.memory-budget")
            .map_or_else(promql::default_memory_budget, |bytes| {
                usize::try_from(bytes).unwrap_or(usize::MAX)
            }),
        concurrency_max: flags.count("query.max-concurrency"),
        features: promql::Features {
            experimental_functions: flags.has_feature("promql-experimental-functions"),
            extended_ranges: flags.has_feature("promql-extended-range-selectors"),
            fill_modifiers: flags.has_feature("promql-binop-fill-modifiers"),
            start_timestamps: flags.has_feature("use-start-timestamps"),
        },
        delays_names: flags.has_feature("promql-delayed-name-removal"),
    };
    let places = settings.concurrency_max;
    let engine = Engine::new(settings, ground.clock.clone(), &ground.registry);
    let path = Path::new(flags.text("storage.tsdb.path")).join("queries.active");
    match ActiveQueries::open(&path, places) {
        Ok((active, unfinished)) => {
            for UnfinishedQuery {
                query,
                timestamp_sec,
            } in unfinished
            {
                let since = timestamp::rfc3339(timestamp_sec.saturating_mul(1000));
                log::warn!(query = query.as_str(), since = since.as_str();
                    "This query was running when the process before ended without warning");
            }
            engine.with_active_queries(active)
        }
        Err(why) => {
            log::error!(
                "{}: {why}; queries that run are not kept there",
                path.display()
            );
            engine
        }
    }
}
