//! Chooses the tool, and the stream for its output.

use std::io::Write as _;

use anyhow::Result;

use super::{check_config, check_server, query, tsdb};
use crate::cli::{CheckConfig, Tool};
use crate::promql;
use crate::stdx::stop::Stop;

/// Runs a tool until it is done or stopped, and prints its result. Returns the exit status.
///
/// # Errors
/// What keeps it from its work, for standard error. Then the exit status is 1.
pub fn run(tool: &Tool, stop: &Stop) -> Result<u8> {
    match tool {
        Tool::CheckConfig(arguments) => Ok(run_check_config(arguments)),
        // Verdicts go to standard error, as in promtool.
        Tool::CheckServer(arguments) => Ok(print("", &check_server::server(arguments)?, 0)),
        Tool::CheckWebConfigs(files) => {
            let (text, good) = check_server::web_configs(files);
            Ok(print("", &text, u8::from(!good)))
        }
        Tool::Tsdb(tool) => tsdb::run(tool, stop).map(|()| 0),
        Tool::Query(tool) => Ok(print(&query::run(tool)?, "", 0)),
        Tool::FormatQuery(query) => Ok(print(&format_query(query)?, "", 0)),
    }
}

fn run_check_config(arguments: &CheckConfig) -> u8 {
    let lints = match check_config::Lints::parse(&arguments.lint) {
        Ok(lints) => lints,
        Err(why) => return print("", &(why + "\n"), 2),
    };
    let options = check_config::CheckOptions {
        agent: arguments.agent,
        ignore_unsupported_sd: arguments.ignore_unsupported_sd,
        syntax_only: arguments.syntax_only,
        lints,
        lint_fatal: arguments.lint_fatal,
        lookback_delta: arguments.lookback_delta,
        environment: &|name| std::env::var(name).ok(),
    };
    let outcome = check_config::config(&arguments.files, &options);
    print(&outcome.stdout, &outcome.stderr, outcome.code)
}

/// Lays out a query as Prometheus does.
fn format_query(query: &str) -> Result<String> {
    // NOTE: every feature that a server may have is allowed.
    let all = promql::Features::all();
    let expr = promql::parse(query, &all)?;
    Ok(format!("{}\n", promql::pretty(&expr)))
}

fn print(stdout: &str, stderr: &str, code: u8) -> u8 {
    // NOTE: a reader that has gone away does not need the rest.
    let _ = std::io::stdout().write_all(stdout.as_bytes());
    let _ = std::io::stderr().write_all(stderr.as_bytes());
    code
}
