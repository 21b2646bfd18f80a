//! Runs the tools of the command line.

use std::io::Write as _;
use std::process::ExitCode;

use super::{check_tools, logging, query_tools, tsdb_tools};
use crate::cli::{CheckConfig, Tool};
use crate::config::check;
use crate::promql;

pub fn run(tool: &Tool) -> ExitCode {
    match tool {
        Tool::CheckConfig(arguments) => run_check_config(arguments),
        Tool::CheckServer(arguments) => print_verdict(check_tools::server(arguments)),
        Tool::CheckWebConfigs(files) => {
            let (text, good) = check_tools::web_configs(files);
            print("", &text, u8::from(!good))
        }
        Tool::Tsdb(tool) => tsdb_tools::run(tool),
        Tool::Query(tool) => print_result(query_tools::run(tool)),
        Tool::FormatQuery(query) => print_result(format_query(query)),
    }
}

fn run_check_config(arguments: &CheckConfig) -> ExitCode {
    let lints = match check::Lints::parse(&arguments.lint) {
        Ok(lints) => lints,
        Err(why) => return print("", &(why + "\n"), 2),
    };
    let options = check::CheckOptions {
        agent: arguments.agent,
        ignore_unsupported_sd: arguments.ignore_unsupported_sd,
        syntax_only: arguments.syntax_only,
        lints,
        lint_fatal: arguments.lint_fatal,
        lookback_delta: arguments.lookback_delta,
        environment: &|name| std::env::var(name).ok(),
    };
    let outcome = check::config(&arguments.files, &options);
    print(&outcome.stdout, &outcome.stderr, outcome.code)
}

/// Prometheus's layout of a query.
fn format_query(query: &str) -> anyhow::Result<String> {
    // NOTE: what may be switched on in a server may be laid out anywhere.
    let all = promql::Features::all();
    let expr = promql::parse(query, &all)?;
    Ok(format!("{}\n", promql::pretty(&expr)))
}

fn print_result(result: anyhow::Result<String>) -> ExitCode {
    match result {
        Ok(stdout) => print(&stdout, "", 0),
        Err(error) => print("", &(logging::told(&error) + "\n"), 1),
    }
}

/// A verdict stands where promtool's does, on standard error.
fn print_verdict(result: anyhow::Result<String>) -> ExitCode {
    match result {
        Ok(verdict) => print("", &verdict, 0),
        Err(error) => print_result(Err(error)),
    }
}

fn print(stdout: &str, stderr: &str, code: u8) -> ExitCode {
    // NOTE: a reader that has gone away has no use for the rest.
    let _ = std::io::stdout().write_all(stdout.as_bytes());
    let _ = std::io::stderr().write_all(stderr.as_bytes());
    ExitCode::from(code)
}
