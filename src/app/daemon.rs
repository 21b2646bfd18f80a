//! Runs the daemon: from flags to running components, and back.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::components::Components;
use super::events::{self, Event, Inbox};
use super::ground::{Ground, load_options};
use super::main_loop::{End, MainLoop};
use super::mode::Mode;
use super::site::site;
use super::{logging, process, signals};
use crate::cli::{self, Flags, Invocation, LogFormat, Tool};
use crate::config::{self, Config, Severity};
use crate::net::Strictness;
use crate::plan::Plan;
use crate::stdx::stop::stop;
use crate::stdx::thread;
use crate::tools;

/// LIMIT: a supervisor commonly kills after 90 s, and each of the few stages gets its share.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// A start or a run that failed, with its exit code.
struct Fatal {
    code: u8,
    error: anyhow::Error,
}

impl From<anyhow::Error> for Fatal {
    fn from(error: anyhow::Error) -> Fatal {
        Fatal { code: 1, error }
    }
}

/// Runs the program with the process's arguments. Only the binary knows whether it is static:
/// `make release` links the binary statically, not the library.
pub fn run(is_static: bool) -> ExitCode {
    process::tune_allocator();
    if is_static {
        process::resolve_without_plugins();
    }
    match cli::parse(std::env::args_os()) {
        Ok(Invocation::Daemon(flags)) => run_daemon(&flags),
        Ok(Invocation::Tool(tool)) => run_tool(&tool),
        Err(usage) => {
            // NOTE: a terminal that has gone away does not need the text.
            let _ = if usage.to_stdout {
                std::io::stdout().write_all(usage.text.as_bytes())
            } else {
                std::io::stderr().write_all(usage.text.as_bytes())
            };
            ExitCode::from(usage.code)
        }
    }
}

fn run_tool(tool: &Tool) -> ExitCode {
    if let Tool::Tsdb(_) = tool {
        // Damage is reported on standard error.
        logging::init("warn", LogFormat::Logfmt);
    }
    let (running, stop) = stop();
    let run = || {
        // NOTE: a signal may simply end a tool that only reads, so that needs no listener.
        let (_running, _signals) = if tool.writes() {
            (None, Some(signals::stop_work(running)?))
        } else {
            (Some(running), None)
        };
        tools::run(tool, &stop)
    };
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // NOTE: a terminal that has gone away does not need the text.
            let _ = writeln!(std::io::stderr(), "{}", logging::told(&error));
            ExitCode::FAILURE
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
            let error = logging::told(&fatal.error);
            log::error!(err = error.as_str(); "Ferula ends");
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
    if Mode::of(flags) == Mode::Agent {
        let error = anyhow::anyhow!("agent mode (--agent) is not built yet");
        return Err(Fatal { code: 3, error });
    }
    // ORDER: before anything is opened, so that a wrong flag is reported at once, with code 2.
    site(flags, &process::host_name()).map_err(|error| Fatal { code: 2, error })?;
    process::raise_open_files();
    let (events_tx, events) = events::channel();
    let (panics_tx, panics) = events::panics();
    report_panics(panics_tx);
    let signals = signals::listen(events_tx.clone())?;
    let config = load_at_start(flags)?;
    let inbox = Inbox { events, panics };
    let result = serve(flags, config, events_tx, &inbox);
    drop(signals);
    result
}

/// Reports the panic of a vital thread to main. The owner of any other thread counts and reports
/// it.
fn report_panics(panics: Sender<String>) {
    thread::on_panic(move |panicked| {
        if panicked.is_vital {
            // NOTE: never waits, since main may wait for the panicking thread.
            let _ = panics.try_send(panicked.thread.clone());
        }
    });
}

/// Loads the configuration. A broken one ends the start, with every error.
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

/// Starts everything, runs it until the end is asked for, and stops it.
fn serve(
    flags: &Flags,
    config: Config,
    events_tx: Sender<Event>,
    inbox: &Inbox,
) -> Result<(), Fatal> {
    let ground = Ground::new(flags, events_tx);
    let plan = Plan::prepare(config, &ground.surroundings, Strictness::Lenient);
    let plan = plan.map_err(|errors| Fatal {
        code: 2,
        error: anyhow::anyhow!(
            "Error loading config (--config.file={}): {}",
            flags.text("config.file"),
            errors.join("; ")
        ),
    })?;
    let components = Components::start(&ground, &plan)?;
    let mut main_loop = MainLoop::new(&ground, components);
    main_loop.apply_first(plan);
    log::info!("Server is ready to receive web requests.");
    let end = main_loop.run(inbox);
    let in_time = main_loop.stop(STOP_DEADLINE);
    match end {
        End::Asked if in_time => Ok(()),
        End::Asked => Err(anyhow::anyhow!("a component did not stop in time").into()),
        End::Panicked(name) => Err(anyhow::anyhow!("the thread {name} panicked").into()),
    }
}
