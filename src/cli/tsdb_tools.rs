//! The arguments of `ferula tsdb`: promtool's, and those of import and export.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::model::duration;

const DATA_DIRECTORY: &str = "data/";
const EVERYTHING: &str = "{__name__=~'(?s:.*)'}";

#[derive(Debug)]
pub enum TsdbTool {
    List(List),
    Analyze(Analyze),
    Dump(Dump),
    CreateBlocks(CreateBlocks),
    Import(Import),
    Export(Export),
}

#[derive(Debug)]
pub struct List {
    pub path: PathBuf,
    pub human_readable: bool,
}

#[derive(Debug)]
pub struct Analyze {
    pub path: PathBuf,
    /// "" is the last block.
    pub block: String,
    pub limit: usize,
    pub extended: bool,
    /// A selector; "" is all series.
    pub selector: String,
}

#[derive(Debug)]
pub struct Dump {
    pub path: PathBuf,
    /// In milliseconds, inclusive.
    pub min_time: i64,
    pub max_time: i64,
    pub selectors: Vec<String>,
    /// `prom`, `seriesjson` or `openmetrics`.
    pub format: String,
}

#[derive(Debug)]
pub struct CreateBlocks {
    pub input: PathBuf,
    pub path: PathBuf,
    pub human_readable: bool,
    pub quiet: bool,
    pub block_duration_max: Duration,
    pub labels: Vec<(String, String)>,
}

/// Imports a Prometheus's data directory into one of ours.
#[derive(Debug)]
pub struct Import {
    pub from: PathBuf,
    pub to: PathBuf,
}

/// Exports a data directory of ours into blocks for a Prometheus.
#[derive(Debug)]
pub struct Export {
    pub from: PathBuf,
    pub to: PathBuf,
    /// In milliseconds, inclusive.
    pub min_time: i64,
    pub max_time: i64,
}

pub(super) fn command() -> Command {
    Command::new("tsdb")
        .about("Look into data, ours and a Prometheus's; import and export it")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list")
                .about("List blocks")
                .arg(human_readable())
                .arg(data_directory()),
        )
        .subcommand(
            Command::new("analyze")
                .about("Analyze churn, cardinality of labels and fill of chunks of a block")
                .arg(data_directory())
                .arg(text("block").help("The block to analyze, the last by default"))
                .arg(number("limit", "20", "Lines of each list").value_parser(value_parser!(usize)))
                .arg(switch("extended", "Analyze chunks too"))
                .arg(
                    text("match")
                        .long("match")
                        .value_name("SELECTOR")
                        .help("Of which series"),
                ),
        )
        .subcommand(
            dump("dump").about("Write samples as text").arg(
                text("format")
                    .long("format")
                    .help("prom, or seriesjson for labels alone")
                    .value_parser(["prom", "seriesjson"])
                    .default_value("prom"),
            ),
        )
        .subcommand(dump("dump-openmetrics").about("Write samples in the OpenMetrics format"))
        .subcommand(create_blocks())
        .subcommand(import())
        .subcommand(export())
}

fn import() -> Command {
    Command::new("import")
        .about("Take over a Prometheus's data; a second run goes on where the first ended")
        .arg(
            text("from")
                .value_name("PROMETHEUS_DIRECTORY")
                .required(true)
                .help("Data directory of a Prometheus that is stopped, or a snapshot"),
        )
        .arg(data_directory())
}

fn export() -> Command {
    times(Command::new("export").about("Write data as blocks for a Prometheus"))
        .arg(
            text("from")
                .value_name("DIRECTORY")
                .required(true)
                .help("Data directory of a daemon that is stopped"),
        )
        .arg(
            text("to")
                .value_name("OUT")
                .required(true)
                .help("Directory for the blocks"),
        )
}

fn create_blocks() -> Command {
    let open_metrics = Command::new("openmetrics")
        .about("Make blocks of samples in the OpenMetrics format")
        .arg(text("input").required(true).help("File with the samples"))
        .arg(
            data_directory()
                .help("Data directory of a stopped Ferula; any other gets blocks for a Prometheus"),
        )
        .arg(
            text("label")
                .long("label")
                .value_name("NAME=VALUE")
                .help("Label to add to all series; may be repeated")
                .action(ArgAction::Append),
        );
    Command::new("create-blocks-from")
        .about("Make blocks of samples from elsewhere")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(human_readable().global(true))
        .arg(
            switch("quiet", "Do not print the blocks that are made")
                .short('q')
                .global(true),
        )
        .arg(
            text("max-block-duration")
                .long("max-block-duration")
                .hide(true),
        )
        .subcommand(open_metrics)
}

fn dump(name: &'static str) -> Command {
    times(Command::new(name).arg(data_directory()))
        .arg(
            text("match")
                .long("match")
                .value_name("SELECTOR")
                .help("Of which series; may be repeated")
                .action(ArgAction::Append)
                .default_value(EVERYTHING),
        )
        // The flag has no effect, since the log is read without writing anything.
        .arg(text("sandbox-dir-root").long("sandbox-dir-root").hide(true))
}

fn times(command: Command) -> Command {
    let (min, max) = ("-9223372036854775808", "9223372036854775807");
    command
        .arg(number(
            "min-time",
            min,
            "The first time, in milliseconds since 1970",
        ))
        .arg(number(
            "max-time",
            max,
            "The last time, in milliseconds since 1970",
        ))
}

fn text(name: &'static str) -> Arg {
    Arg::new(name)
}

fn number(name: &'static str, default: &'static str, help: &'static str) -> Arg {
    text(name)
        .long(name)
        .help(help)
        .default_value(default)
        .allow_hyphen_values(true)
        .hide_default_value(default.len() > 9)
        .value_parser(value_parser!(i64))
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    text(name).long(name).help(help).action(ArgAction::SetTrue)
}

fn human_readable() -> Arg {
    switch(
        "human-readable",
        "Print times and sizes to be read by people",
    )
    .short('r')
}

fn data_directory() -> Arg {
    text("path")
        .value_name("DIRECTORY")
        .default_value(DATA_DIRECTORY)
        .help("Data directory")
}

impl TsdbTool {
    pub(super) fn from_matches(name: &str, matches: &ArgMatches) -> Result<TsdbTool, String> {
        match (name, matches.subcommand()) {
            ("list", _) => Ok(TsdbTool::List(List {
                path: path(matches, "path"),
                human_readable: matches.get_flag("human-readable"),
            })),
            ("analyze", _) => Ok(TsdbTool::Analyze(Analyze {
                path: path(matches, "path"),
                block: string(matches, "block"),
                limit: matches.get_one::<usize>("limit").copied().unwrap_or(0),
                extended: matches.get_flag("extended"),
                selector: string(matches, "match"),
            })),
            ("dump", _) => Ok(TsdbTool::Dump(Dump::new(
                matches,
                string(matches, "format"),
            ))),
            ("dump-openmetrics", _) => {
                Ok(TsdbTool::Dump(Dump::new(matches, "openmetrics".to_owned())))
            }
            ("import", _) => Ok(TsdbTool::Import(Import {
                from: path(matches, "from"),
                to: path(matches, "path"),
            })),
            ("export", _) => Ok(TsdbTool::Export(Export {
                from: path(matches, "from"),
                to: path(matches, "to"),
                min_time: time(matches, "min-time"),
                max_time: time(matches, "max-time"),
            })),
            ("create-blocks-from", Some(("openmetrics", arguments))) => {
                CreateBlocks::new(matches, arguments).map(TsdbTool::CreateBlocks)
            }
            _ => Err(format!("unknown tool {name:?}\n")),
        }
    }
}

impl Dump {
    fn new(matches: &ArgMatches, format: String) -> Dump {
        let selectors = matches.get_many::<String>("match").into_iter().flatten();
        Dump {
            path: path(matches, "path"),
            min_time: time(matches, "min-time"),
            max_time: time(matches, "max-time"),
            selectors: selectors.cloned().collect(),
            format,
        }
    }
}

impl CreateBlocks {
    fn new(matches: &ArgMatches, arguments: &ArgMatches) -> Result<CreateBlocks, String> {
        let longest = string(matches, "max-block-duration");
        let block_duration_max = match longest.as_str() {
            "" => Duration::ZERO,
            text => duration::parse(text).map_err(|e| format!("max-block-duration: {e}\n"))?,
        };
        let labels = arguments.get_many::<String>("label").into_iter().flatten();
        let labels = labels.map(|label| match label.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("expected KEY=VALUE got '{label}'\n")),
        });
        Ok(CreateBlocks {
            input: path(arguments, "input"),
            path: path(arguments, "path"),
            human_readable: arguments.get_flag("human-readable"),
            quiet: arguments.get_flag("quiet"),
            block_duration_max,
            labels: labels.collect::<Result<_, _>>()?,
        })
    }
}

fn time(matches: &ArgMatches, name: &str) -> i64 {
    matches.get_one::<i64>(name).copied().unwrap_or(0)
}

fn string(matches: &ArgMatches, name: &str) -> String {
    matches.get_one::<String>(name).cloned().unwrap_or_default()
}

fn path(matches: &ArgMatches, name: &str) -> PathBuf {
    PathBuf::from(string(matches, name))
}
