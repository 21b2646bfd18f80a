//! From flags to running components, and back.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender};

use super::events::{self, Event, ReloadRequest};
use super::main_loop::{End, MainLoop, Parts};
use super::run_group::RunGroup;
use super::site::{ExternalUrl, external_url};
use super::{logging, process, signals, tools};
use crate::cli::{self, Flags, Invocation};
use crate::config::{self, Config, LoadOptions, Severity};
use crate::metrics::Registry;
use crate::model::{duration, timestamp};
use crate::plan::{Plan, Strictness, Surroundings};
use crate::promql::{self, ActiveQueries, Engine, UnfinishedQuery};
use crate::regex::Regex;
use crate::remote::{self, AcceptedMessages};
use crate::stdx::clock::{Clock, RealClock};
use crate::stdx::mailbox::Mailbox;
use crate::stdx::thread;
use crate::storage::{Appendable, Queryable};
use crate::tsdb::{self, Db};
use crate::watch::Watcher;
use crate::web::server::{self, Server};
use crate::web::{Context, Control, Phase, Router, Runtime, Site, State, WebMetrics};
use crate::{discovery, net, scrape, web};

/// LIMIT: a supervisor commonly kills after 90 s; each of the few stages gets its share.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// How scrapes introduce themselves. Prometheus's name first: exporters and firewalls know it.
const USER_AGENT: &str = concat!("Prometheus/3.14.0 Ferula/", env!("CARGO_PKG_VERSION"));

/// A start or a run that failed, with the exit code for it.
struct Fatal {
    code: u8,
    error: anyhow::Error,
}

impl From<anyhow::Error> for Fatal {
    fn from(error: anyhow::Error) -> Fatal {
        Fatal { code: 1, error }
    }
}

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    process::tune_allocator();
    match cli::parse(std::env::args_os()) {
        Ok(Invocation::Daemon(flags)) => run_daemon(&flags),
        Ok(Invocation::Tool(tool)) => tools::run(&tool),
        Err(usage) => {
            // NOTE: a terminal that has gone away has no use for the text.
            let _ = if usage.to_stdout {
                std::io::stdout().write_all(usage.text.as_bytes())
            } else {
                std::io::stderr().write_all(usage.text.as_bytes())
            };
            ExitCode::from(usage.code)
        }
    }
}

fn run_daemon(flags: &Flags) -> ExitCode {
    logging::init(flags.text("log.level"), flags.log_format());
    match daemon(flags) {
        Ok(()) => {
            log::info!("See you next time!");
            ExitCode::SUCCESS
        }
        Err(fatal) => {
            log::error!(err = format!("{:#}", fatal.error).as_str(); "Ferula ends");
            ExitCode::from(fatal.code)
        }
    }
}

fn daemon(flags: &Flags) -> Result<(), Fatal> {
    let version = env!("CARGO_PKG_VERSION");
    log::info!(version = version; "Starting Ferula");
    for remark in flags.remarks() {
        log::warn!("{remark}");
    }
    if flags.is_on("agent") {
        let error = anyhow::anyhow!("agent mode (--agent) is not built yet");
        return Err(Fatal { code: 3, error });
    }
    process::raise_open_files();
    let (events_tx, events) = events::channel();
    report_panics(events_tx.clone());
    let signals = signals::listen(events_tx.clone())?;
    let config = load_at_start(flags)?;
    let result = serve(flags, config, events_tx, &events);
    drop(signals);
    result
}

/// A thread that panicked is told to main, which decides what it costs.
fn report_panics(events: Sender<Event>) {
    thread::on_panic(move |panicked| {
        // NOTE: never waits: the panicking thread may be the one that main waits for.
        let _ = events.try_send(Event::Panicked(panicked.thread.clone()));
    });
}

pub(super) fn load_options(flags: &Flags) -> LoadOptions<'static> {
    LoadOptions {
        agent: flags.is_on("agent"),
        ignore_unsupported_sd: flags.is_on("config.ignore-unsupported-sd"),
        syntax_only: false,
        environment: &|name| std::env::var(name).ok(),
    }
}

/// A broken configuration ends the start with every error.
fn load_at_start(flags: &Flags) -> Result<Config, Fatal> {
    let file = flags.text("config.file");
    match config::load(Path::new(file), &load_options(flags)) {
        Ok((config, warnings)) => {
            for warning in warnings {
                log::warn!("{warning}");
            }
            Ok(config)
        }
        Err(findings) => {
            for finding in &findings {
                match finding.severity {
                    Severity::Error => log::error!("{finding}"),
                    Severity::Warning => log::warn!("{finding}"),
                }
            }
            let count = findings
                .iter()
                .filter(|f| f.severity == Severity::Error)
                .count();
            let error = anyhow::anyhow!(
                "Error loading config (--config.file={file}): {count} error(s), named above"
            );
            Err(Fatal { code: 2, error })
        }
    }
}

/// Everything that runs, made in order; the run group stops it in reverse.
fn serve(
    flags: &Flags,
    config: Config,
    events_tx: Sender<Event>,
    events: &Receiver<Event>,
) -> Result<(), Fatal> {
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let registry = Registry::new();
    process::register_metrics(&registry);
    register_build_info(&registry);
    let surroundings = Surroundings {
        net: net::Env::new(clock.clone(), &registry),
        host_name: host_name(),
        retention_flag: flags.optional_duration("storage.tsdb.retention.time"),
        retention_size_flag: flags.size("storage.tsdb.retention.size"),
        exemplars: flags
            .list("enable-feature")
            .contains(&"exemplar-storage".to_owned()),
    };
    let plan =
        Plan::prepare(config, &surroundings, Strictness::Lenient).map_err(|errors| Fatal {
            code: 2,
            error: anyhow::anyhow!("Error loading config: {}", errors.join("; ")),
        })?;

    let mut group = RunGroup::default();
    let mut main_loop = start(
        flags,
        &clock,
        &registry,
        &surroundings,
        events_tx,
        &mut group,
        plan,
    )?;
    log::info!("Server is ready to receive web requests.");
    let end = main_loop.run(events);
    main_loop.state().set_phase(Phase::Stopping);
    drop(main_loop);
    let in_time = group.stop(STOP_DEADLINE);
    match end {
        End::Asked if in_time => Ok(()),
        End::Asked => Err(anyhow::anyhow!("a component did not stop in time").into()),
        End::Panicked(name) => Err(anyhow::anyhow!("the thread {name} panicked").into()),
    }
}

/// Starts every component and applies the first plan.
fn start(
    flags: &Flags,
    clock: &Arc<dyn Clock>,
    registry: &Registry,
    surroundings: &Surroundings,
    events_tx: Sender<Event>,
    group: &mut RunGroup,
    plan: Plan,
) -> Result<MainLoop, Fatal> {
    let db = Db::open(storage_options(flags, clock, registry, &plan))
        .context("cannot open the storage")?;
    group.started("storage", {
        let db = db.clone();
        // The last clone to go ends its thread; all others went with their components.
        move |_| {
            drop(db);
            true
        }
    });

    let watcher = Watcher::start(clock.clone(), registry).context("cannot start the watcher")?;
    let options =
        discovery::Options::new("scrape", clock.clone(), registry.clone(), watcher.clone());
    let (discovery, targets) =
        discovery::Manager::start(options).context("cannot start the discovery manager")?;
    let scrape = scrape::Handle::start(scrape_options(flags, clock, registry, &db, targets))
        .context("cannot start the scrape manager")?;
    let state = Arc::new(State::new());
    let engine = Arc::new(query_engine(flags, clock, registry));
    let web = start_web(
        flags, clock, registry, &db, &engine, &scrape, &state, events_tx,
    )?;

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
        flags: flags.clone(),
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

fn storage_options(
    flags: &Flags,
    clock: &Arc<dyn Clock>,
    registry: &Registry,
    plan: &Plan,
) -> tsdb::Options {
    let place = tsdb::Place::Path {
        path: flags.text("storage.tsdb.path").into(),
        lock: !flags.is_on("storage.tsdb.no-lockfile"),
    };
    let mut options = tsdb::Options::new(place, clock.clone(), registry.clone());
    options.retention = plan.retention();
    options.retention_bytes = plan.retention_bytes();
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

fn scrape_options(
    flags: &Flags,
    clock: &Arc<dyn Clock>,
    registry: &Registry,
    db: &Db,
    targets: Mailbox<discovery::TargetSets>,
) -> scrape::Options {
    scrape::Options {
        storage: Arc::new(db.clone()) as Arc<dyn Appendable>,
        targets,
        clock: clock.clone(),
        registry: registry.clone(),
        reload_interval: flags.duration("scrape.discovery-reload-interval"),
        user_agent: USER_AGENT.to_owned(),
        alignment: scrape::Alignment {
            adjust: flags.is_on("scrape.adjust-timestamps"),
            tolerance: flags.duration("scrape.timestamp-tolerance"),
        },
    }
}

/// With the queries named that did not end with the process before.
fn query_engine(flags: &Flags, clock: &Arc<dyn Clock>, registry: &Registry) -> Engine {
    let settings = promql::Settings {
        lookback: flags.duration("query.lookback-delta"),
        timeout: flags.duration("query.timeout"),
        samples_max: flags.number("query.max-samples") as usize,
        bytes_max: flags
            .size("query.memory-budget")
            .map_or_else(promql::default_memory_budget, |bytes| bytes as usize),
        concurrency_max: flags.number("query.max-concurrency") as usize,
        features: promql::Features {
            experimental_functions: flags.has_feature("promql-experimental-functions"),
            extended_ranges: flags.has_feature("promql-extended-range-selectors"),
            fill_modifiers: flags.has_feature("promql-binop-fill-modifiers"),
            start_timestamps: flags.has_feature("use-start-timestamps"),
        },
        delays_names: flags.has_feature("promql-delayed-name-removal"),
    };
    let places = settings.concurrency_max;
    let engine = Engine::new(settings, clock.clone(), registry);
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

#[expect(
    clippy::too_many_arguments,
    reason = "each is a part of the daemon, used once"
)]
fn start_web(
    flags: &Flags,
    clock: &Arc<dyn Clock>,
    registry: &Registry,
    db: &Db,
    engine: &Arc<Engine>,
    scrape: &scrape::Handle,
    state: &Arc<State>,
    events_tx: Sender<Event>,
) -> Result<Server, Fatal> {
    let listen = flags.list("web.listen-address");
    let hostname = host_name();
    let first = listen.first().map_or("", String::as_str);
    let site = external_url(
        flags.text("web.external-url"),
        flags.text("web.route-prefix"),
        &hostname,
        first,
    )?;
    let retention = db.clone();
    let context = Arc::new(Context {
        storage: Arc::new(db.clone()) as Arc<dyn Queryable>,
        db: db.clone(),
        admin: flags.is_on("web.enable-admin-api"),
        engine: engine.clone(),
        scrape: scrape.view().clone(),
        receiver: receiver(flags, clock, registry, db)?,
        state: state.clone(),
        clock: clock.clone(),
        registry: registry.clone(),
        control: control(flags, events_tx),
        site: site_of(flags, &site, first)?,
        runtime: Runtime {
            start: clock.wall_ms(),
            working_directory: std::env::current_dir()
                .map_or_else(|_| String::new(), |d| d.display().to_string()),
            hostname,
            flags: flags.all(),
            retention: Box::new(move || duration::format(retention.retention())),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
        },
        metrics: WebMetrics::new(registry),
    });
    let mut options = server::Options::new(clock.clone(), registry.clone());
    options.listen = listen;
    options.max_connections = flags.number("web.max-connections") as usize;
    options.read_timeout = flags.duration("web.read-timeout");
    options.web_config = Some(flags.text("web.config.file"))
        .filter(|f| !f.is_empty())
        .map(Into::into);
    options.handlers = web::handlers();
    let prefix = site.route_prefix;
    options.classify = Arc::new(move |path| web::classify(&prefix, path));
    let server = Server::start(options, Arc::new(Router::new(context)))
        .map_err(|error| anyhow::Error::new(error).context("cannot start the web server"))?;
    for address in server.addresses() {
        let address = address.to_string();
        log::info!(address = address.as_str(); "Listening on");
    }
    Ok(server)
}

/// What takes remote write, if that is wanted.
fn receiver(
    flags: &Flags,
    clock: &Arc<dyn Clock>,
    registry: &Registry,
    db: &Db,
) -> Result<Option<remote::Receiver>, Fatal> {
    let flag = "web.remote-write-receiver.accepted-protobuf-messages";
    let accepted = AcceptedMessages::from_names(&flags.list(flag))
        .with_context(|| format!("cannot read --{flag}"))?;
    let options = remote::Options {
        storage: Arc::new(db.clone()) as Arc<dyn Appendable>,
        clock: clock.clone(),
        registry: registry.clone(),
        accepted,
    };
    let wanted = flags.is_on("web.enable-remote-write-receiver");
    Ok(wanted.then(|| remote::Receiver::new(options)))
}

fn site_of(flags: &Flags, external: &ExternalUrl, listen: &str) -> Result<Site, Fatal> {
    let pattern = flags.text("web.cors.origin");
    let cors_origin = match pattern {
        ".*" => None,
        pattern => Some(Regex::anchored(pattern).context("cannot read --web.cors.origin")?),
    };
    let listen_port = listen
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    Ok(Site {
        route_prefix: external.route_prefix.clone(),
        external_host: external.host.clone(),
        external_port: external.port,
        external_scheme: external.scheme.clone(),
        listen_port: listen_port.unwrap_or(9090),
        cors_origin,
    })
}

/// What HTTP clients may ask of the main thread.
fn control(flags: &Flags, events: Sender<Event>) -> Control {
    let quit = events.clone();
    Control {
        enabled: flags.is_on("web.enable-lifecycle"),
        reload: Box::new(move || {
            let (reply, answer) = crossbeam_channel::bounded(1);
            let request = ReloadRequest {
                cause: "http",
                reply: Some(reply),
            };
            let stopping = || "the server is stopping".to_owned();
            events
                .send(Event::Reload(request))
                .map_err(|_| stopping())?;
            answer.recv().map_err(|_| stopping())?
        }),
        quit: Box::new(move || {
            let _ = quit.send(Event::Terminate("/-/quit"));
        }),
    }
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn register_build_info(registry: &Registry) {
    let names: &[&str] = &[
        "branch",
        "goarch",
        "goos",
        "goversion",
        "revision",
        "tags",
        "version",
    ];
    let help = "A metric with a constant '1' value labeled by version and target.";
    let info = registry.gauge_vec("prometheus_build_info", help, names);
    info.with(&[
        "",
        std::env::consts::ARCH,
        std::env::consts::OS,
        "",
        "",
        "",
        "3.14.0",
    ])
    .set(1.0);
    let help = "The version of Ferula, always 1.";
    let info = registry.gauge_vec("ferula_build_info", help, &["version"]);
    info.with(&[env!("CARGO_PKG_VERSION")]).set(1.0);
}
