//! The web server: what its handlers use, and its address.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use crossbeam_channel::Sender;

use super::events::{Event, ReloadRequest};
use super::ground::Ground;
use super::process;
use super::site::site;
use crate::cli::Flags;
use crate::model::{duration, size};
use crate::remote::{self, AcceptedMessages};
use crate::scrape;
use crate::storage::Appendable;
use crate::tsdb::Retention;
use crate::web::server::{self, Server, ServerError};
use crate::web::{self, Context, Control, Database, Router, Runtime, Site, WebMetrics};

/// Longer than any process runs.
const NO_TIMEOUT: Duration = Duration::from_secs(365 * 86_400);

/// The time range of the largest block, unless the retention is shorter than ten of it
/// (`tsdb::compact`).
const BLOCK_DURATION_MAX: Duration = Duration::from_secs(31 * 86_400);

/// Starts to listen. Requests wait for the first configuration.
pub fn start(
    ground: &Ground<'_>,
    database: Option<Database>,
    storage: Arc<dyn Appendable>,
    scrape: scrape::View,
) -> Result<Server> {
    let flags = ground.flags;
    let site = site(flags, &process::host_name())?;
    let mut options = server::Options::new(ground.clock.clone(), ground.registry.clone());
    options.listen = flags.list("web.listen-address");
    options.max_connections = flags.count("web.max-connections");
    options.limit_heads(flags.bytes("web.max-request-head-size"));
    // NOTE: zero is no limit in Prometheus. Whoever needs a place ends the longest idle connection.
    options.read_timeout = flags.nonzero("web.read-timeout").unwrap_or(NO_TIMEOUT);
    options.web_config = Some(flags.text("web.config.file"))
        .filter(|f| !f.is_empty())
        .map(Into::into);
    options.handlers = web::handlers();
    let prefix = site.route_prefix.clone();
    options.classify = Arc::new(move |path| web::classify(&prefix, path));
    let retention = database.as_ref().map(|d| d.db.retention());
    let context = Arc::new(Context {
        database,
        admin: flags.is_on("web.enable-admin-api"),
        scrape,
        receiver: receiver(ground, storage)?,
        state: ground.state.clone(),
        clock: ground.clock.clone(),
        registry: ground.registry.clone(),
        control: control(flags, ground.events_tx.clone()),
        runtime: runtime(ground, &site, retention),
        site: Arc::new(site),
        metrics: WebMetrics::new(&ground.registry),
    });
    let server = Server::start(options, Arc::new(Router::new(context))).map_err(|error| {
        let knob = match &error {
            ServerError::Listen(_) => " (--web.listen-address)",
            ServerError::WebConfig { .. } => " (--web.config.file)",
            ServerError::System(_) => "",
        };
        anyhow::Error::new(error).context(format!("cannot start the web server{knob}"))
    })?;
    for address in server.addresses() {
        let address = address.to_string();
        log::info!(address = address.as_str(); "Listening on");
    }
    Ok(server)
}

/// Makes the receiver of remote write, if it is wanted.
fn receiver(ground: &Ground<'_>, storage: Arc<dyn Appendable>) -> Result<Option<remote::Receiver>> {
    let flag = "web.remote-write-receiver.accepted-protobuf-messages";
    let accepted = AcceptedMessages::from_names(&ground.flags.list(flag))
        .with_context(|| format!("cannot read --{flag}"))?;
    let options = remote::Options {
        storage,
        clock: ground.clock.clone(),
        registry: ground.registry.clone(),
        accepted,
    };
    let wanted = ground.flags.is_on("web.enable-remote-write-receiver");
    Ok(wanted.then(|| remote::Receiver::new(options)))
}

fn runtime(ground: &Ground<'_>, site: &Site, retention: Option<Retention>) -> Runtime {
    Runtime {
        start: ground.clock.wall_ms(),
        working_directory: std::env::current_dir()
            .map_or_else(|_| String::new(), |d| d.display().to_string()),
        hostname: process::host_name(),
        flags: shown_flags(ground.flags, &site.route_prefix, retention),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// Returns the flags, with the values in use where Prometheus fills them in. Without a retention
/// there is no database.
fn shown_flags(
    flags: &Flags,
    route_prefix: &str,
    retention: Option<Retention>,
) -> Vec<(String, String)> {
    let auto_reload = flags.is_on("config.auto-reload") || flags.has_feature("auto-reload-config");
    let prefix = if route_prefix.is_empty() {
        "/"
    } else {
        route_prefix
    };
    let mut in_use = vec![
        ("config.auto-reload", auto_reload.to_string()),
        ("web.route-prefix", prefix.to_owned()),
    ];
    if let Some(Retention { time, bytes, .. }) = retention {
        let largest_block = match flags.optional_duration("storage.tsdb.max-block-duration") {
            Some(given) if !given.is_zero() => given,
            _ if time.is_zero() => BLOCK_DURATION_MAX,
            _ => BLOCK_DURATION_MAX.min(time / 10),
        };
        in_use.extend([
            (
                "storage.tsdb.max-block-duration",
                duration::format(largest_block),
            ),
            ("storage.tsdb.retention.size", size::format(bytes)),
            ("storage.tsdb.retention.time", duration::format(time)),
        ]);
    }
    let mut all = flags.all();
    for (name, shown) in &mut all {
        if let Some((_, value)) = in_use.iter().find(|(n, _)| n == name) {
            shown.clone_from(value);
        }
    }
    all
}

/// Returns what HTTP clients may ask of the main thread.
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
