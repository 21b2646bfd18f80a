//! The table of flags as clap's command, with a check of every value.

use std::fmt::Write as _;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command};

use super::table::{FLAGS, Fate, Flag, Kind};
use super::tools;
use crate::model::{duration, size};
use crate::stdx::gofloat::parse_float;

/// All flags, and the tools as subcommands.
pub(super) fn command() -> Command {
    let version = concat!(
        env!("CARGO_PKG_VERSION"),
        " (compatible with Prometheus 3.14.0)"
    );
    let mut command = Command::new("ferula")
        .about("Prometheus for machines that are too small for it")
        .version(version)
        .subcommand_negates_reqs(true)
        .subcommands(tools::commands());
    for (i, flag) in FLAGS.iter().enumerate() {
        command = flag.add_to(command, i);
    }
    command
}

impl Flag {
    fn add_to(&'static self, command: Command, order: usize) -> Command {
        let mut help = self.help.to_owned();
        match self.fate {
            Fate::Later => help.push_str(" [not built yet]"),
            Fate::Nothing => help.push_str(" [accepted, without effect]"),
            Fate::Agent => help.push_str(" [agent mode]"),
            Fate::Serves => {}
        }
        if !self.default.is_empty() && self.kind != Kind::Bool {
            let _ = write!(help, " (default {})", self.default);
        }
        let arg = Arg::new(self.name)
            .long(self.name)
            .help(help)
            .hide(self.hidden)
            .display_order(order);
        if self.kind != Kind::Bool {
            // NOTE: `Flags` refuses a repetition that is not allowed, in kingpin's words.
            return command.arg(
                arg.action(ArgAction::Append)
                    .value_name(self.kind.value_name())
                    .value_parser(self.kind.parser()),
            );
        }
        let no: &'static str = Box::leak(format!("no-{}", self.name).into_boxed_str());
        let negation = Arg::new(no).long(no).hide(true).action(ArgAction::Count);
        let arg = arg.action(ArgAction::Count);
        command.arg(arg).arg(negation)
    }
}

impl Kind {
    fn value_name(self) -> &'static str {
        match self {
            Kind::Bool => "",
            Kind::Text | Kind::List => "TEXT",
            Kind::Int | Kind::Float => "NUMBER",
            Kind::Duration | Kind::OptionalDuration => "DURATION",
            Kind::Size | Kind::OptionalSize => "SIZE",
            Kind::Level => "LEVEL",
            Kind::LogFormat => "FORMAT",
        }
    }

    /// Checks a value, and returns it in the form that `/api/v1/status/flags` shows.
    fn parser(self) -> ValueParser {
        let check = move |text: &str| -> Result<String, String> {
            match self {
                Kind::Bool | Kind::Text | Kind::List => Ok(text.to_owned()),
                Kind::Int => whole_number(text).map(|n| n.to_string()),
                Kind::Float => match parse_float(text) {
                    Ok(_) => Ok(text.to_owned()),
                    Err(_) => Err(format!("expected a number, got {text:?}")),
                },
                Kind::Duration | Kind::OptionalDuration => {
                    duration::parse(text).map(duration::format)
                }
                Kind::Size | Kind::OptionalSize => size::parse(text).map(size::format),
                Kind::Level => one_of(text, &["debug", "info", "warn", "error"]),
                Kind::LogFormat => one_of(text, &["logfmt", "json"]),
            }
        };
        ValueParser::new(check)
    }
}

/// Reads a whole number; `5e7` is one too.
fn whole_number(text: &str) -> Result<i64, String> {
    if let Ok(number) = text.parse::<i64>() {
        return Ok(number);
    }
    match parse_float(text) {
        Ok(number) if number.fract() == 0.0 && number.abs() < 1e15 => Ok(number as i64),
        _ => Err(format!("expected a whole number, got {text:?}")),
    }
}

fn one_of(text: &str, names: &[&str]) -> Result<String, String> {
    let lower = text.to_lowercase();
    if names.contains(&lower.as_str()) {
        return Ok(lower);
    }
    Err(format!(
        "enum value must be one of {}, got {text:?}",
        names.join(",")
    ))
}
