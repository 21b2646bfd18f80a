//! Reads the process's arguments: they are the daemon's flags, or a tool with its own.

use std::ffi::OsString;

use super::command::command;
use super::flags::{Flags, Usage};
use super::tools;

/// What the arguments ask for.
#[derive(Debug)]
pub enum Invocation {
    /// Run the daemon.
    Daemon(Flags),
    /// Run a tool: `check config` and the like.
    Tool(tools::Tool),
}

/// Reads the process's arguments, the program's name first.
///
/// # Errors
/// Anything that Prometheus's flags do not allow. Usage goes to standard error, with exit code 2.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Usage> {
    let arguments = expand_files(arguments.into_iter().collect())?;
    let matches = command()
        .try_get_matches_from(arguments)
        .map_err(|e| usage(&e))?;
    let flags = Flags::from_matches(&matches)?;
    match matches.subcommand() {
        Some((name, matches)) => tools::Tool::from_matches(name, matches, &flags)
            .map(Invocation::Tool)
            .map_err(|text| Usage::refusal(2, text)),
        None => Ok(Invocation::Daemon(flags)),
    }
}

/// Replaces `@FILE` by the arguments in the file, one per line (kingpin's rule).
fn expand_files(arguments: Vec<OsString>) -> Result<Vec<OsString>, Usage> {
    let mut out = Vec::with_capacity(arguments.len());
    for argument in arguments {
        match argument.to_str().and_then(|a| a.strip_prefix('@')) {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| {
                    let text = format!("cannot read the arguments in {path:?}: {e}\n");
                    Usage::refusal(2, text)
                })?;
                let lines = text
                    .lines()
                    .filter(|l| !l.is_empty() && !l.starts_with('#'));
                out.extend(lines.map(OsString::from));
            }
            None => out.push(argument),
        }
    }
    Ok(out)
}

fn usage(error: &clap::Error) -> Usage {
    let to_stdout = !error.use_stderr();
    Usage {
        text: error.render().to_string(),
        code: if to_stdout { 0 } else { 2 },
        to_stdout,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn flags(arguments: &[&str]) -> Result<Flags, Usage> {
        let all = ["ferula"].iter().chain(arguments).map(OsString::from);
        match parse(all)? {
            Invocation::Daemon(flags) => Ok(flags),
            Invocation::Tool(tool) => panic!("{tool:?}"),
        }
    }

    #[test]
    fn defaults_and_both_forms() {
        let flags = flags(&[
            "--web.listen-address=:1",
            "--web.listen-address",
            ":2",
            "--query.max-samples=5e7",
            "--web.enable-lifecycle",
            "--no-scrape.adjust-timestamps",
            "--no-agent",
        ])
        .unwrap();
        assert_eq!(flags.list("web.listen-address"), [":1", ":2"]);
        assert_eq!(flags.text("config.file"), "prometheus.yml");
        assert_eq!(flags.duration("query.timeout"), Duration::from_secs(120));
        assert_eq!(flags.number("query.max-samples"), 50_000_000);
        assert!(flags.is_on("web.enable-lifecycle") && !flags.is_on("scrape.adjust-timestamps"));
        assert!(!flags.is_on("agent"));
        assert_eq!(flags.bytes("web.max-request-head-size"), 1 << 20);
        let all = flags.all();
        assert!(all.contains(&("storage.tsdb.retention.size".to_owned(), "0B".to_owned())));
    }

    #[test]
    fn refusals_have_prometheus_s_exit_codes() {
        let code = |arguments: &[&str]| flags(arguments).map_err(|u| (u.code, u.text)).unwrap_err();
        assert_eq!(code(&["--no-such-flag"]).0, 2);
        assert_eq!(code(&["--query.timeout=1x"]).0, 2);
        assert_eq!(code(&["--log.level=loud"]).0, 2);
        for twice in [
            ["--config.file=a", "--config.file=a"],
            ["--agent", "--agent"],
            ["--agent", "--no-agent"],
            ["--no-agent", "--agent"],
            [
                "--storage.tsdb.retention.size=1GB",
                "--storage.tsdb.retention.size=2GB",
            ],
        ] {
            let (code, text) = code(&twice);
            let name = twice[1].trim_start_matches("--").trim_start_matches("no-");
            let name = name.split('=').next().unwrap();
            let expect = format!("error: flag '{name}' cannot be repeated\n");
            assert_eq!((code, text), (2, expect));
        }
        assert_eq!(code(&["--help"]).0, 0);
        assert_eq!(code(&["--version"]).0, 0);
        assert_eq!(code(&["--config.auto-reload-interval=500ms"]).0, 2);
        assert_eq!(code(&["--web.max-request-head-size=1KiB"]).0, 2);
        let (code, text) = code(&["--agent", "--query.timeout=1m"]);
        assert_eq!(code, 3);
        assert_eq!(
            text,
            "The following flag(s) can not be used in agent mode: --query.timeout\n"
        );
        let text = flags(&["--storage.agent.path=x"])
            .map_err(|u| u.text)
            .unwrap_err();
        assert!(
            text.starts_with("The following flag(s) can only be used in agent mode: "),
            "{text}"
        );
    }

    #[test]
    fn what_has_no_effect_is_named() {
        let given = ["--web.console.templates=x", "--enable-feature=nope,agent"];
        let remarks = flags(&given).unwrap().remarks();
        assert_eq!(remarks.len(), 2, "{remarks:?}");
        assert!(
            remarks[1].starts_with("Unknown option for --enable-feature"),
            "{remarks:?}"
        );
    }
}
