//! The main loop: handles every event of the daemon's life, one after another.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{never, select};

use super::components::Components;
use super::events::{Event, Inbox, ReloadRequest};
use super::ground::{Ground, load_options};
use super::process;
use crate::config::{self, Config, Diagnostic, Severity};
use crate::metrics::Gauge;
use crate::net::Strictness;
use crate::plan::{self, Plan};
use crate::watch::{Fingerprint, Subscription, Watched, fingerprint};
use crate::web::{ConfigStatus, Phase, ReloadReport};

/// How long after an event its memory is given back. First scrapes come right after a reload.
const SETTLED: Duration = Duration::from_secs(10);

/// Queries and first scrapes of new targets leave holes. Trimming them costs milliseconds.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(15);

/// Why the loop ended.
pub enum End {
    Asked,
    /// A vital thread panicked: its name.
    Panicked(String),
}

pub struct MainLoop<'g> {
    ground: &'g Ground<'g>,
    components: Components,
    /// The running configuration. Absent only before the first plan.
    running: Option<Arc<Config>>,
    /// With `--config.auto-reload`: the files, and their content when they were last read.
    watched: Option<(Watched, Fingerprint)>,
    last_reload_successful: Gauge,
    last_reload_success: Gauge,
    ready: Gauge,
}

impl<'g> MainLoop<'g> {
    pub fn new(ground: &'g Ground<'g>, components: Components) -> MainLoop<'g> {
        let registry = &ground.registry;
        MainLoop {
            running: None,
            watched: None,
            last_reload_successful: registry.gauge(
                "prometheus_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            ),
            last_reload_success: registry.gauge(
                "prometheus_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            ),
            ready: registry.gauge(
                "prometheus_ready",
                "Whether the server is ready: 1 is ready, 0 is not.",
            ),
            ground,
            components,
        }
    }

    /// Applies the configuration of the start. From here on requests are answered.
    pub fn apply_first(&mut self, plan: Plan) {
        let (config, _) = self.apply(plan);
        let report = ReloadReport {
            cause: "start".to_owned(),
            ..ReloadReport::default()
        };
        self.succeeded(&config, report);
        let flags = self.ground.flags;
        if flags.is_on("config.auto-reload") || flags.has_feature("auto-reload-config") {
            let files = watched_files(&config);
            let watched = self.components.watch(Subscription {
                rescan: flags.duration("config.auto-reload-interval"),
                ..Subscription::new(files.clone())
            });
            self.watched = Some((watched, fingerprint(&files)));
        }
        self.ground.state.set_phase(Phase::Ready);
        self.ready.set(1.0);
    }

    /// Stops everything. Returns false if a component did not end within its deadline.
    pub fn stop(self, deadline: Duration) -> bool {
        self.ground.state.set_phase(Phase::Stopping);
        self.components.stop(deadline)
    }

    /// Runs until someone asks for the end, or a vital thread panics.
    pub fn run(&mut self, inbox: &Inbox) -> End {
        loop {
            match self.next_event(inbox) {
                Event::Terminate(cause) => {
                    log::info!(cause = cause; "Received a request to end, exiting gracefully...");
                    return End::Asked;
                }
                Event::Reload(request) => self.on_reload(request),
                Event::Panicked(thread) => return End::Panicked(thread),
            }
        }
    }

    fn next_event(&mut self, inbox: &Inbox) -> Event {
        let clock = self.ground.clock.clone();
        let mut settled = clock.after(SETTLED);
        loop {
            let unwatched = never();
            let bell = self
                .watched
                .as_ref()
                .map_or(&unwatched, |(watched, _)| watched.bell());
            select! {
                recv(settled) -> _ => {
                    process::give_memory_back();
                    settled = clock.after(GIVE_BACK_EVERY);
                }
                recv(inbox.panics) -> thread => {
                    // NOTE: the panic hook holds its sender as long as the process lives.
                    return Event::Panicked(thread.unwrap_or_default());
                }
                recv(inbox.events) -> event => {
                    // NOTE: the signal thread holds a sender for as long as this loop runs.
                    return event.unwrap_or(Event::Terminate("no one left to ask for it"));
                }
                recv(bell) -> _ => {
                    if self.files_changed() {
                        return Event::Reload(ReloadRequest { cause: "file", reply: None });
                    }
                }
            }
        }
    }

    /// Compares with what was last read, so that a touched file is no reload.
    fn files_changed(&mut self) -> bool {
        let Some(config) = &self.running else {
            return false;
        };
        let now = fingerprint(&watched_files(config));
        self.watched
            .as_mut()
            .is_some_and(|(_, seen)| std::mem::replace(seen, now) != now)
    }

    fn on_reload(&mut self, request: ReloadRequest) {
        let file = self.ground.flags.text("config.file").to_owned();
        log::info!(filename = file.as_str(), cause = request.cause; "Loading configuration file");
        let started = self.ground.clock.mono();
        let mut report = ReloadReport {
            cause: request.cause.to_owned(),
            ..ReloadReport::default()
        };
        let result = match self.prepare(&file, &mut report) {
            Ok(plan) => {
                let (config, changes) = self.apply(plan);
                report.changes = changes;
                let took = self.ground.clock.mono().saturating_sub(started);
                report.duration_ms = took.as_secs_f64() * 1000.0;
                self.succeeded(&config, report);
                tell(&file, &self.ground.state.config().last_reload, took);
                Ok(())
            }
            Err(errors) => Err(self.refuse(&file, errors, report)),
        };
        if let Some(reply) = request.reply {
            // NOTE: a client that has gone away needs no answer.
            let _ = reply.try_send(result);
        }
    }

    /// Does everything that can fail.
    fn prepare(&self, file: &str, report: &mut ReloadReport) -> Result<Plan, Vec<String>> {
        let loaded = config::load(Path::new(file), &load_options(self.ground.flags));
        let errors_of = |findings: Vec<Diagnostic>| -> Vec<String> {
            let errors = findings.iter().filter(|f| f.severity == Severity::Error);
            errors.map(ToString::to_string).collect()
        };
        let (config, warnings) = loaded.map_err(errors_of)?;
        report.warnings = warnings.iter().map(ToString::to_string).collect();
        Plan::prepare(config, &self.ground.surroundings, Strictness::Strict)
    }

    /// Applies the plan, which cannot fail. Returns the running configuration, and what changed.
    fn apply(&mut self, plan: Plan) -> (Arc<Config>, Vec<String>) {
        let config = plan.config.clone();
        let jobs = self.components.apply(plan);
        let running = self.running.replace(config.clone());
        let changes = running.map(|old| plan::changes(&old, &config, &jobs));
        if let Some((watched, seen)) = &mut self.watched {
            let files = watched_files(&config);
            watched.set_paths(files.clone());
            *seen = fingerprint(&files);
        }
        (config, changes.unwrap_or_default())
    }

    /// Shows the running configuration, and that the reload succeeded.
    fn succeeded(&self, config: &Config, report: ReloadReport) {
        let now = self.ground.clock.wall_ms();
        self.ground.state.set_config(ConfigStatus {
            yaml: config.yaml.clone(),
            applied_at: now,
            last_reload: ReloadReport {
                success: true,
                at: now,
                ..report
            },
        });
        self.last_reload_successful.set(1.0);
        self.last_reload_success.set(now as f64 / 1000.0);
    }

    /// Reports the errors. Nothing was touched.
    fn refuse(&self, file: &str, errors: Vec<String>, mut report: ReloadReport) -> String {
        for error in &errors {
            log::error!("{error}");
        }
        let text = format!(
            "couldn't load configuration (--config.file={file:?}): {}",
            errors.join("\n")
        );
        log::error!(filename = file, errors = errors.len();
            "Error reloading config; the old configuration runs on");
        self.last_reload_successful.set(0.0);
        let mut status = (*self.ground.state.config()).clone();
        report.at = self.ground.clock.wall_ms();
        report.errors = errors;
        status.last_reload = report;
        self.ground.state.set_config(status);
        text
    }
}

/// Logs the result of a reload.
fn tell(file: &str, report: &ReloadReport, took: Duration) {
    for warning in &report.warnings {
        log::warn!("{warning}");
    }
    let changes = match report.changes.as_slice() {
        [] => "none".to_owned(),
        changes => changes.join("; "),
    };
    let took = format!("{took:?}");
    log::info!(filename = file, changes = changes.as_str(), total_duration = took.as_str();
        "Completed loading of configuration file");
}

/// Returns the file itself, the files that it includes, and the patterns by which more may come.
fn watched_files(config: &Config) -> Vec<PathBuf> {
    let files = config.files.iter().cloned();
    files
        .chain(config.rule_files.iter().map(PathBuf::from))
        .collect()
}
