//! Every component, made in order from the flags and the first plan.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use crossbeam_channel::Sender;

use super::events::Event;
use super::ground::Ground;
use super::main_loop::{MainLoop, Parts};
use super::process;
use super::run_group::RunGroup;
use super::serving::{self, Served};
use crate::cli::Flags;
use crate::model::{TargetSets, timestamp};
use crate::plan::Plan;
use crate::promql::{self, ActiveQueries, Engine, UnfinishedQuery};
use crate::stdx::mailbox::Mailbox;
use crate::storage::Appendable;
use crate::tsdb::{self, Db};
use crate::web::State;
use crate::{discovery, scrape, watch};

/// How scrapes introduce themselves. Prometheus's name first: exporters and firewalls know it.
const USER_AGENT: &str = concat!("Prometheus/3.14.0 Ferula/", env!("CARGO_PKG_VERSION"));

/// Starts every component, tells the run group how each is stopped, and applies the plan.
pub fn start(
    ground: &Ground<'_>,
    plan: Plan,
    events_tx: Sender<Event>,
    group: &mut RunGroup,
) -> Result<MainLoop> {
    let Ground {
        flags,
        clock,
        registry,
        surroundings,
    } = ground;
    let path = flags.text("storage.tsdb.path");
    let db = Db::open(storage_options(ground, &plan))
        .with_context(|| format!("cannot open the storage (--storage.tsdb.path={path})"))?;
    group.started("storage", {
        let db = db.clone();
        // The last clone to go ends its thread; all others went with their components.
        move |_| {
            drop(db);
            true
        }
    });

    let watcher =
        watch::Handle::start(clock.clone(), registry).context("cannot start the watcher")?;
    let options =
        discovery::Options::new("scrape", clock.clone(), registry.clone(), watcher.clone());
    let (discovery, targets) =
        discovery::Handle::start(options).context("cannot start the discovery manager")?;
    let scrape = scrape::Handle::start(scrape_options(ground, &db, targets))
        .context("cannot start the scrape manager")?;
    let state = Arc::new(State::default());
    let engine = Arc::new(query_engine(ground));
    let served = Served {
        db: db.clone(),
        engine: engine.clone(),
        scrape: scrape.view().clone(),
        state: state.clone(),
    };
    let web = serving::start(ground, served, events_tx)?;

    let (scrape, discovery) = (Arc::new(scrape), Arc::new(discovery));
    group.started("web", move |deadline| {
        web.stop(deadline);
        true
    });
    group.started("watch", {
        let watcher = watcher.clone();
        move |_| {
            drop(watcher);
            true
        }
    });
    group.started("discovery", {
        let discovery = discovery.clone();
        move |deadline| Arc::into_inner(discovery).is_none_or(|d| d.stop(deadline))
    });
    group.started("scrape", {
        let (scrape, clock) = (scrape.clone(), clock.clone());
        move |deadline| Arc::into_inner(scrape).is_none_or(|s| s.stop(deadline, &*clock))
    });
    let mut main_loop = MainLoop::new(Parts {
        flags: Flags::clone(flags),
        clock: clock.clone(),
        state,
        db,
        engine,
        scrape,
        discovery,
        watcher,
        surroundings: surroundings.clone(),
        registry: registry.clone(),
    });
    main_loop.apply_first(plan);
    Ok(main_loop)
}

fn storage_options(ground: &Ground<'_>, plan: &Plan) -> tsdb::Options {
    let flags = ground.flags;
    let place = tsdb::Place::Path {
        path: flags.text("storage.tsdb.path").into(),
        lock: !flags.is_on("storage.tsdb.no-lockfile"),
    };
    let mut options = tsdb::Options::new(place, ground.clock.clone(), ground.registry.clone());
    options.retention = plan.retention();
    options.out_of_order_window = plan.out_of_order_window();
    options.exemplars_max = plan.exemplars_max();
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

fn scrape_options(ground: &Ground<'_>, db: &Db, targets: Mailbox<TargetSets>) -> scrape::Options {
    let flags = ground.flags;
    scrape::Options {
        storage: Arc::new(db.clone()) as Arc<dyn Appendable>,
        targets,
        clock: ground.clock.clone(),
        registry: ground.registry.clone(),
        reload_interval: flags.duration("scrape.discovery-reload-interval"),
        user_agent: USER_AGENT.to_owned(),
        alignment: scrape::Alignment {
            adjust: flags.is_on("scrape.adjust-timestamps"),
            tolerance: flags.duration("scrape.timestamp-tolerance"),
        },
    }
}

/// With the queries named that did not end with the process before.
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
