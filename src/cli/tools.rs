//! The tools: `ferula check`, `ferula query`, `ferula promql` and `ferula tsdb`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::flags::Flags;
use super::query_tools::{self, QueryTool};
use super::tsdb_tools::{self, TsdbTool};

/// A tool with its arguments.
#[derive(Debug)]
pub enum Tool {
    CheckConfig(CheckConfig),
    CheckServer(CheckServer),
    CheckWebConfigs(Vec<PathBuf>),
    Tsdb(TsdbTool),
    Query(QueryTool),
    /// `ferula promql format`, with the query.
    FormatQuery(String),
}

/// `ferula check config`, as in promtool.
#[derive(Debug)]
pub struct CheckConfig {
    pub files: Vec<PathBuf>,
    pub syntax_only: bool,
    pub agent: bool,
    /// Names of lints, separated by commas.
    pub lint: String,
    pub lint_fatal: bool,
    /// A longer scrape interval is too long.
    pub lookback_delta: Duration,
    pub ignore_unsupported_sd: bool,
}

/// `ferula check healthy` and `ready`, as in promtool.
#[derive(Debug)]
pub struct CheckServer {
    /// The path of the page.
    pub path: &'static str,
    /// The base URL, with a scheme.
    pub server: String,
    /// `--http.config.file`.
    pub http_config: Option<PathBuf>,
}

pub(super) fn commands() -> Vec<Command> {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::SetTrue)
    };
    let config = Command::new("config")
        .about("Check configuration files as the daemon would read them")
        .arg(files())
        .arg(switch(
            "syntax-only",
            "Open no file that the configuration names",
        ))
        .arg(switch("agent", "Check for agent mode"))
        .arg(
            Arg::new("lint")
                .long("lint")
                .value_name("NAMES")
                .help("Lints to apply: all, duplicate-rules, too-long-scrape-interval, none")
                .default_value("duplicate-rules"),
        )
        .arg(switch("lint-fatal", "Exit with 3 on a lint"))
        .arg(switch(
            "ignore-unknown-fields",
            "Accept keys of rule files that are not known",
        ));
    let web_config = Command::new("web-config")
        .about("Check files for --web.config.file, and those that they name")
        .arg(files());
    vec![
        Command::new("check")
            .about("Check files, or whether a server is well")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(config)
            .subcommand(web_config)
            .subcommand(server("healthy", "Check whether a server answers"))
            .subcommand(server("ready", "Check whether a server answers queries")),
        query_tools::command(),
        query_tools::promql_command(),
        tsdb_tools::command(),
    ]
}

fn files() -> Arg {
    Arg::new("files")
        .value_name("FILE")
        .num_args(1..)
        .required(true)
}

fn server(name: &'static str, about: &'static str) -> Command {
    let url = Arg::new("url")
        .long("url")
        .value_name("URL")
        .default_value("http://localhost:9090")
        .help("The server's URL");
    let http_config = Arg::new("http.config.file")
        .long("http.config.file")
        .value_name("FILE")
        .help("How to authenticate and encrypt");
    Command::new(name).about(about).arg(url).arg(http_config)
}

fn paths(matches: &ArgMatches) -> Vec<PathBuf> {
    let files = matches.get_many::<String>("files").into_iter().flatten();
    files.map(PathBuf::from).collect()
}

impl CheckServer {
    fn new(path: &'static str, matches: &ArgMatches) -> CheckServer {
        CheckServer {
            path,
            server: matches.get_one("url").cloned().unwrap_or_default(),
            http_config: matches
                .get_one::<String>("http.config.file")
                .map(PathBuf::from),
        }
    }
}

impl Tool {
    /// Whether an end without notice leaves its work half done.
    pub fn writes(&self) -> bool {
        matches!(
            self,
            Tool::Tsdb(TsdbTool::CreateBlocks(_) | TsdbTool::Import(_) | TsdbTool::Export(_))
        )
    }

    pub(super) fn from_matches(
        name: &str,
        matches: &ArgMatches,
        flags: &Flags,
    ) -> Result<Tool, String> {
        match (name, matches.subcommand()) {
            ("check", Some(("config", matches))) => {
                let lint = matches.get_one::<String>("lint").map_or("", String::as_str);
                Ok(Tool::CheckConfig(CheckConfig {
                    files: paths(matches),
                    syntax_only: matches.get_flag("syntax-only"),
                    agent: matches.get_flag("agent"),
                    lint: lint.to_owned(),
                    lint_fatal: matches.get_flag("lint-fatal"),
                    lookback_delta: flags.duration("query.lookback-delta"),
                    ignore_unsupported_sd: flags.is_on("config.ignore-unsupported-sd"),
                }))
            }
            ("check", Some(("web-config", matches))) => Ok(Tool::CheckWebConfigs(paths(matches))),
            ("check", Some(("healthy", matches))) => {
                Ok(Tool::CheckServer(CheckServer::new("/-/healthy", matches)))
            }
            ("check", Some(("ready", matches))) => {
                Ok(Tool::CheckServer(CheckServer::new("/-/ready", matches)))
            }
            ("tsdb", Some((name, matches))) => {
                TsdbTool::from_matches(name, matches).map(Tool::Tsdb)
            }
            ("query", Some((name, matches))) => {
                QueryTool::from_matches(name, matches).map(Tool::Query)
            }
            ("promql", Some(("format", matches))) => {
                let query = matches.get_one::<String>("query");
                Ok(Tool::FormatQuery(query.cloned().unwrap_or_default()))
            }
            _ => Err(format!("unknown tool {name:?}\n")),
        }
    }
}
