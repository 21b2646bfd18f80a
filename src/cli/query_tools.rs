//! The arguments of `ferula query` and `ferula promql`, which are promtool's.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::model::duration;

/// What to ask a server, and how to show the answer.
#[derive(Debug)]
pub struct QueryTool {
    pub ask: Ask,
    /// The base URL, with a scheme.
    pub server: String,
    pub json: bool,
    /// `--http.config.file`.
    pub http_config: Option<PathBuf>,
    /// Names and values, sent besides the client's own.
    pub headers: Vec<(String, String)>,
}

/// Times are as they were given; "" is the tool's default.
#[derive(Debug)]
pub enum Ask {
    Instant {
        query: String,
        time: String,
    },
    Range {
        query: String,
        start: String,
        end: String,
        /// Zero makes 250 steps.
        step: Duration,
    },
    Series {
        selectors: Vec<String>,
        start: String,
        end: String,
    },
    Labels {
        name: String,
        selectors: Vec<String>,
        start: String,
        end: String,
    },
}

pub(super) fn command() -> Command {
    let instant = Command::new("instant")
        .about("Evaluate a query at one time")
        .arg(option("time", "When; now by default"));
    let range = Command::new("range")
        .about("Evaluate a query over a range of time")
        .args(bounds("Five minutes before the end by default"))
        .arg(option(
            "step",
            "Duration between two points; 250 points by default",
        ));
    let series = Command::new("series")
        .about("List series")
        .arg(selectors().required(true))
        .args(bounds("The oldest by default"));
    let labels = Command::new("labels")
        .about("List the values of a label")
        .args(bounds("The oldest by default"))
        .arg(selectors());
    let header = || {
        Arg::new("header")
            .long("header")
            .value_name("NAME=VALUE")
            .action(ArgAction::Append)
            .help("Extra headers to send")
    };
    let expr = || Arg::new("expr").required(true).help("The query");
    let label = Arg::new("name").required(true).help("The label's name");
    Command::new("query")
        .about("Ask a server that speaks Prometheus's HTTP API")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(common(instant.arg(header())).arg(expr()))
        .subcommand(common(range.arg(header())).arg(expr()))
        .subcommand(common(series))
        .subcommand(common(labels).arg(label))
}

/// `ferula promql`.
pub(super) fn promql_command() -> Command {
    Command::new("promql")
        .about("Work on queries")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("format")
                .about("Lay a query out for reading")
                .arg(Arg::new("query").required(true)),
        )
}

fn common(command: Command) -> Command {
    command
        .arg(
            Arg::new("format")
                .short('o')
                .long("format")
                .value_parser(["promql", "json"])
                .default_value("promql")
                .help("How the answer is printed"),
        )
        .arg(option(
            "http.config.file",
            "How to authenticate and encrypt",
        ))
        .arg(Arg::new("server").required(true).help("The server's URL"))
}

fn option(name: &'static str, help: &'static str) -> Arg {
    let metavar = match name {
        "step" => "DURATION",
        "http.config.file" => "FILE",
        _ => "TIME",
    };
    Arg::new(name).long(name).value_name(metavar).help(help)
}

fn bounds(start: &'static str) -> [Arg; 2] {
    let end = option(
        "end",
        "RFC 3339 or seconds since 1970; the newest by default",
    );
    [option("start", start), end]
}

fn selectors() -> Arg {
    Arg::new("match")
        .long("match")
        .value_name("SELECTOR")
        .action(ArgAction::Append)
        .help("Of which series; may be repeated")
}

impl QueryTool {
    pub(super) fn from_matches(name: &str, matches: &ArgMatches) -> Result<QueryTool, String> {
        let text = |name: &str| {
            let value = matches.try_get_one::<String>(name).ok().flatten();
            value.cloned().unwrap_or_default()
        };
        let all = |name: &str| -> Vec<String> {
            let values = matches.try_get_many::<String>(name).ok().flatten();
            values.into_iter().flatten().cloned().collect()
        };
        let (start, end) = (text("start"), text("end"));
        let selectors = all("match");
        let ask = match name {
            "instant" => Ask::Instant {
                query: text("expr"),
                time: text("time"),
            },
            "range" => Ask::Range {
                query: text("expr"),
                start,
                end,
                step: step(&text("step"))?,
            },
            "series" => Ask::Series {
                selectors,
                start,
                end,
            },
            _ => Ask::Labels {
                name: text("name"),
                selectors,
                start,
                end,
            },
        };
        let headers = all("header").into_iter().map(|text| header(&text));
        Ok(QueryTool {
            ask,
            server: text("server"),
            json: text("format") == "json",
            http_config: Some(text("http.config.file"))
                .filter(|file| !file.is_empty())
                .map(PathBuf::from),
            headers: headers.collect::<Result<_, _>>()?,
        })
    }
}

fn step(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Ok(Duration::ZERO);
    }
    duration::parse(text).map_err(|why| format!("--step: {why}\n"))
}

/// Splits a header by kingpin's rule for maps: the name ends at the first `=` or `:`.
fn header(text: &str) -> Result<(String, String), String> {
    let split = text.split_once(['=', ':']);
    let (name, value) =
        split.ok_or_else(|| format!("--header: expected NAME=VALUE, got {text:?}\n"))?;
    Ok((name.to_owned(), value.to_owned()))
}
