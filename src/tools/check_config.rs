//! `ferula check config`: promtool's checks of a configuration, and more.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::named_files as files;
use crate::config::{self, Config, Diagnostic, LoadOptions, Severity, rules_of_file};
use crate::model::duration;

/// The lints that `--lint` turns on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lints {
    pub duplicate_rules: bool,
    pub too_long_scrape_interval: bool,
}

impl Lints {
    /// Reads a comma-separated list of `all`, `none`, `duplicate-rules`,
    /// `too-long-scrape-interval`.
    ///
    /// # Errors
    /// An unknown name.
    pub fn parse(text: &str) -> Result<Lints, String> {
        let mut lints = Lints::default();
        let mut none = false;
        for name in text.split(',') {
            match name {
                "all" => {
                    lints = Lints {
                        duplicate_rules: true,
                        too_long_scrape_interval: true,
                    }
                }
                "none" => none = true,
                "duplicate-rules" => lints.duplicate_rules = true,
                "too-long-scrape-interval" => lints.too_long_scrape_interval = true,
                other => return Err(format!("unknown lint option \"{other}\"")),
            }
        }
        Ok(if none { Lints::default() } else { lints })
    }
}

pub struct CheckOptions<'e> {
    pub agent: bool,
    pub ignore_unsupported_sd: bool,
    /// Only the configuration's own file is read.
    pub syntax_only: bool,
    pub lints: Lints,
    /// A lint's finding fails the check.
    pub lint_fatal: bool,
    /// From this length on a scrape interval is too long.
    pub lookback_delta: Duration,
    pub environment: &'e dyn Fn(&str) -> Option<String>,
}

/// What to print, and the exit status: 0 fine, 1 wrong, 3 a fatal lint only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckOutcome {
    pub stdout: String,
    pub stderr: String,
    pub code: u8,
}

/// Checks each of these files by itself.
pub fn config(paths: &[impl AsRef<Path>], options: &CheckOptions<'_>) -> CheckOutcome {
    let mut check = Check {
        options,
        outcome: CheckOutcome::default(),
        wrong: false,
        linted: false,
    };
    for path in paths {
        check.file(path.as_ref());
    }
    check.outcome.code = match (check.wrong, check.linted && options.lint_fatal) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 0,
    };
    check.outcome
}

struct Check<'o> {
    options: &'o CheckOptions<'o>,
    outcome: CheckOutcome,
    wrong: bool,
    linted: bool,
}

impl Check<'_> {
    fn say(&mut self, line: &str) {
        let _ = writeln!(self.outcome.stdout, "{line}");
    }

    fn complain(&mut self, line: &str) {
        let _ = writeln!(self.outcome.stderr, "{line}");
    }

    fn file(&mut self, path: &Path) {
        self.say(&format!("Checking {}", path.display()));
        let load = LoadOptions {
            agent: self.options.agent,
            ignore_unsupported_sd: self.options.ignore_unsupported_sd,
            syntax_only: self.options.syntax_only,
            environment: self.options.environment,
            ..LoadOptions::default()
        };
        match config::load(path, &load) {
            Ok((config, warnings)) => {
                self.warnings(&warnings);
                self.loaded(path, &config);
            }
            Err(diagnostics) => {
                self.refused(path, &diagnostics);
                self.say("");
            }
        }
    }

    fn warnings(&mut self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Warning)
        {
            self.say(&format!("  WARNING: {diagnostic}"));
        }
    }

    /// Adds Prometheus's one line, then each error with its place.
    fn refused(&mut self, path: &Path, diagnostics: &[Diagnostic]) {
        self.wrong = true;
        self.warnings(diagnostics);
        self.complain(&format!("  FAILED: {}", config::summary(path, diagnostics)));
        for diagnostic in diagnostics.iter().filter(|d| d.severity == Severity::Error) {
            self.complain(&format!("    {diagnostic}"));
        }
    }

    fn loaded(&mut self, path: &Path, config: &Config) {
        let mut rule_files = BTreeSet::new();
        if !self.options.syntax_only {
            let found = files::check(config);
            for warning in &found.warnings {
                self.say(&format!("  WARNING: {warning}"));
            }
            for fault in &found.faults {
                self.wrong = true;
                self.complain(&format!("  FAILED: {fault}"));
            }
            rule_files = found.rule_files;
            if !found.faults.is_empty() {
                self.say("");
                return;
            }
        }
        if !rule_files.is_empty() {
            self.say(&format!("  SUCCESS: {} rule files found", rule_files.len()));
        }
        self.say(&format!(
            " SUCCESS: {} is valid prometheus config file syntax",
            path.display()
        ));
        self.say("");
        if !self.options.syntax_only {
            self.lint_intervals(config);
        }
        for file in &rule_files {
            self.rule_file(file);
        }
    }

    fn lint_intervals(&mut self, config: &Config) {
        let lookback = self.options.lookback_delta;
        if !self.options.lints.too_long_scrape_interval || lookback.is_zero() {
            return;
        }
        for job in config
            .scrape_configs
            .iter()
            .filter(|job| job.scrape_interval >= lookback)
        {
            self.linted = true;
            self.complain(&format!(
                "  FAILED: too long scrape interval found, data point will be marked as stale - \
                 job: {}, interval: {}",
                job.job_name,
                duration::format(job.scrape_interval)
            ));
        }
    }

    fn rule_file(&mut self, path: &Path) {
        self.say(&format!("Checking {}", path.display()));
        match rules_of_file(path) {
            Err(fault) => {
                self.wrong = true;
                self.complain("  FAILED:");
                self.complain(&fault);
            }
            Ok(rules) => {
                let repeated = files::repeated(&rules);
                if self.options.lints.duplicate_rules && !repeated.is_empty() {
                    self.linted = true;
                    self.complain("  FAILED:");
                    self.complain(&repeated);
                } else {
                    self.say(&format!("  SUCCESS: {} rules found", rules.len()));
                }
            }
        }
        self.say("");
    }
}
