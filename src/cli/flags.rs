//! The daemon's flags, checked.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ArgMatches;

use super::table::{FEATURES, FLAGS, Fate, FeatureState, Kind};
use crate::bug;
use crate::model::{duration, size};
use crate::stdx::sort::sort;

/// LIMIT: the headers of any client.
const HEAD_BYTES_MIN: usize = 4 << 10;

/// Why nothing can run: a text for the terminal, and the exit code.
#[derive(Debug)]
pub struct Usage {
    pub text: String,
    pub code: u8,
    /// Help and version go to standard output.
    pub to_stdout: bool,
}

impl Usage {
    pub(super) fn refusal(code: u8, text: String) -> Usage {
        Usage {
            text,
            code,
            to_stdout: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Logfmt,
    Json,
}

/// The daemon's flags, checked. Absent ones have their defaults.
#[derive(Debug, Clone)]
pub struct Flags {
    values: BTreeMap<&'static str, Vec<String>>,
    /// The names of the flags that were given.
    given: Vec<&'static str>,
}

impl Flags {
    pub(super) fn from_matches(matches: &ArgMatches) -> Result<Flags, Usage> {
        let mut flags = Flags {
            values: BTreeMap::new(),
            given: Vec::new(),
        };
        for flag in FLAGS {
            let values: Option<Vec<String>> = if flag.kind == Kind::Bool {
                let times = |name: &str| matches.get_count(name) as usize;
                let (on, off) = (times(flag.name), times(&format!("no-{}", flag.name)));
                let values = [vec!["true".to_owned(); on], vec!["false".to_owned(); off]];
                Some(values.concat()).filter(|values| !values.is_empty())
            } else {
                matches
                    .get_many::<String>(flag.name)
                    .map(|v| v.cloned().collect())
            };
            if flag.kind != Kind::List && values.as_ref().is_some_and(|v| v.len() > 1) {
                let text = format!("error: flag '{}' cannot be repeated\n", flag.name);
                return Err(Usage::refusal(2, text));
            }
            if values.is_some() {
                flags.given.push(flag.name);
            }
            let default = || match flag.default {
                "" => Vec::new(),
                default => vec![default.to_owned()],
            };
            flags
                .values
                .insert(flag.name, values.unwrap_or_else(default));
        }
        flags.check_mode()?;
        flags.check_values()?;
        Ok(flags)
    }

    /// Refuses flags of the other mode, with exit code 3.
    fn check_mode(&self) -> Result<(), Usage> {
        let agent = self.is_on("agent");
        let wrong: Vec<&str> = self
            .given
            .iter()
            .copied()
            .filter(|n| server_or_agent(n) == Some(!agent))
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let names = wrong
            .iter()
            .map(|n| format!("--{n}"))
            .collect::<Vec<_>>()
            .join(", ");
        let text = if agent {
            format!("The following flag(s) can not be used in agent mode: {names}\n")
        } else {
            format!("The following flag(s) can only be used in agent mode: {names}\n")
        };
        Err(Usage::refusal(3, text))
    }

    fn check_values(&self) -> Result<(), Usage> {
        let wrong = |text: String| Err(Usage::refusal(2, format!("error: {text}\n")));
        let interval = self.duration("config.auto-reload-interval");
        if interval < Duration::from_secs(1) {
            return wrong(format!(
                "--config.auto-reload-interval must be at least 1s, got {}",
                duration::format(interval)
            ));
        }
        for name in [
            "storage.tsdb.wal-segment-size",
            "storage.agent.wal-segment-size",
        ] {
            let given = self.size(name);
            if given.is_some_and(|s| !((10 << 20)..=(256 << 20)).contains(&s)) {
                return wrong(format!("flag '{name}' must be set between 10MB and 256MB"));
            }
        }
        let head = self.bytes("web.max-request-head-size");
        if head < HEAD_BYTES_MIN {
            return wrong(format!(
                "--web.max-request-head-size must be at least {}, got {}",
                size::format(HEAD_BYTES_MIN as u64),
                size::format(head as u64)
            ));
        }
        for name in [
            "web.max-connections",
            "query.max-concurrency",
            "query.max-samples",
        ] {
            if self.number(name) < 1 {
                return wrong(format!(
                    "--{name} must be at least 1, got {}",
                    self.number(name)
                ));
            }
        }
        Ok(())
    }

    /// Returns the values of a flag, which must be in the table. A misspelt one would be empty for
    /// ever.
    fn values(&self, name: &str) -> &[String] {
        let Some(values) = self.values.get(name) else {
            bug!("there is no flag --{name}");
            return &[];
        };
        values
    }

    pub fn text(&self, name: &str) -> &str {
        self.values(name).last().map_or("", String::as_str)
    }

    pub fn is_on(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// Returns all values of a repeatable flag, and splits those within one argument.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.values(name)
            .iter()
            .flat_map(|v| v.split(','))
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
            .collect()
    }

    pub fn duration(&self, name: &str) -> Duration {
        duration::parse(self.text(name)).unwrap_or_default()
    }

    /// Returns `None` if it is zero.
    pub fn nonzero(&self, name: &str) -> Option<Duration> {
        Some(self.duration(name)).filter(|d| !d.is_zero())
    }

    pub fn optional_duration(&self, name: &str) -> Option<Duration> {
        duration::parse(self.text(name)).ok()
    }

    pub fn size(&self, name: &str) -> Option<u64> {
        size::parse(self.text(name)).ok()
    }

    pub fn number(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or_default()
    }

    /// Returns bytes in memory, from a flag that has a default.
    pub fn bytes(&self, name: &str) -> usize {
        let bytes = self.size(name).unwrap_or_default();
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Returns a number of things in memory. More than 32 bits can count is as good as no limit.
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }

    pub fn log_format(&self) -> LogFormat {
        if self.text("log.format") == "json" {
            LogFormat::Json
        } else {
            LogFormat::Logfmt
        }
    }

    /// Returns name and value of every flag, as `/api/v1/status/flags` shows them.
    pub fn all(&self) -> Vec<(String, String)> {
        let shown = FLAGS.iter().map(|flag| {
            let value = match (flag.kind, self.text(flag.name)) {
                (Kind::OptionalDuration, "") => "0s".to_owned(),
                (Kind::OptionalSize, "") => "0B".to_owned(),
                (Kind::List, _) => self.list(flag.name).join(","),
                (_, value) => value.to_owned(),
            };
            (flag.name.to_owned(), value)
        });
        let mut all: Vec<_> = shown.collect();
        sort(&mut all);
        all
    }

    /// Whether `--enable-feature` names it.
    pub fn has_feature(&self, name: &str) -> bool {
        if FEATURES.iter().all(|f| f.name != name) {
            bug!("there is no feature {name}");
        }
        self.list("enable-feature").iter().any(|f| f == name)
    }

    /// Returns a line for each given flag and feature that does not do here what it does in
    /// Prometheus.
    pub fn remarks(&self) -> Vec<String> {
        let flags = FLAGS.iter().filter(|f| self.given.contains(&f.name));
        let mut remarks: Vec<String> = flags
            .filter_map(|flag| match flag.fate {
                Fate::Nothing => Some(format!("--{} has no effect: {}", flag.name, flag.help)),
                Fate::Later => Some(format!("--{} has no effect yet", flag.name)),
                Fate::Serves | Fate::Agent => None,
            })
            .collect();
        for name in self.list("enable-feature") {
            remarks.extend(
                match FEATURES.iter().find(|f| f.name == name).map(|f| f.state) {
                    Some(FeatureState::NoOp | FeatureState::Works) => None,
                    Some(FeatureState::Without) => Some(format!(
                        "--enable-feature={name} has no effect in this version"
                    )),
                    None => Some(format!("Unknown option for --enable-feature: {name}")),
                },
            );
        }
        remarks
    }
}

/// Returns `Some(true)` for a flag of agent mode only, `Some(false)` for one of server mode only.
fn server_or_agent(name: &str) -> Option<bool> {
    const SERVER: &[&str] = &[
        "storage.tsdb.",
        "rules.",
        "alertmanager.",
        "query.",
        "web.enable-admin-api",
        "web.console.",
        "storage.remote.read-",
        "web.search.",
    ];
    if name.starts_with("storage.agent.") {
        return Some(true);
    }
    SERVER
        .iter()
        .any(|prefix| name.starts_with(prefix))
        .then_some(false)
}
