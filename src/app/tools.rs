//! Runs the tools of the command line.

use std::io::Write as _;
use std::process::ExitCode;

use super::tsdb_tools;
use crate::cli::{CheckConfig, Tool};
use crate::config::check;

pub fn run(tool: &Tool) -> ExitCode {
    match tool {
        Tool::CheckConfig(arguments) => run_check_config(arguments),
        Tool::Tsdb(tool) => tsdb_tools::run(tool),
    }
}

fn run_check_config(arguments: &CheckConfig) -> ExitCode {
    let lints = match check::Lints::parse(&arguments.lint) {
        Ok(lints) => lints,
        Err(why) => {
            return print(&check::CheckOutcome {
                stderr: why + "\n",
                code: 2,
                ..Default::default()
            });
        }
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
    print(&check::config(&arguments.files, &options))
}

fn print(outcome: &check::CheckOutcome) -> ExitCode {
    // NOTE: a reader that has gone away has no use for the rest.
    let _ = std::io::stdout().write_all(outcome.stdout.as_bytes());
    let _ = std::io::stderr().write_all(outcome.stderr.as_bytes());
    ExitCode::from(outcome.code)
}
