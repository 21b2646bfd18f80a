//! Reads files into a checked [`Config`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::alerting::alerting;
use super::diagnostic::{Diagnostic, Severity};
use super::global::{self, GlobalSection};
use super::http::http;
use super::later;
use super::options::LoadOptions;
use super::reader::{Reader, absolute};
use super::remote;
use super::scrape::scrape_config;
use super::section::{Item, Section};
use super::storage_section::storage;
use super::types::{Config, ScrapeConfig};
use super::yaml::{self, Merge, Node, Out};
use crate::net::ClientSettings;
use crate::stdx::gofmt;
use crate::stdx::limits::CONFIG_FILE_BYTES_MAX;
use crate::stdx::sort::sort_by_key;

/// Reads a configuration file and the files in its `scrape_config_files`. Also returns warnings.
///
/// # Errors
/// The first syntax error of each file, or all errors in it, in its order.
pub fn load(
    path: &Path,
    options: &LoadOptions<'_>,
) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let text = read(path).map_err(|e| vec![whole_file(path, e)])?;
    load_text(path, &text, options)
}

/// Does the same for a text. `path` is its name, and what other paths are relative to.
pub fn load_text(
    path: &Path,
    text: &str,
    options: &LoadOptions<'_>,
) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let node = yaml::parse(text, Merge::InPlace).map_err(|e| vec![syntax(path, e)])?;
    let reader = Reader::new(path, options);
    let main = main_file(&reader, &node);
    let mut diagnostics = Vec::new();
    let config = main.map(|mut main| {
        if !options.syntax_only {
            let of_files = more_jobs(&reader, &mut main);
            diagnostics.extend(of_files);
        }
        main.config
    });
    let mut all = reader.diagnostics(text);
    all.append(&mut diagnostics);
    sort_by_key(&mut all, |d| std::cmp::Reverse(d.severity));
    let failed = all.iter().any(|d| d.severity == Severity::Error);
    match config {
        Some(config) if !failed => Ok((config, all)),
        _ => Err(all),
    }
}

/// Reads a file that holds only an `<http_config>`, as tools take it.
///
/// # Errors
/// The first syntax error, or all errors.
pub fn load_http_client(
    path: &Path,
    options: &LoadOptions<'_>,
) -> Result<ClientSettings, Vec<Diagnostic>> {
    let text = read(path).map_err(|e| vec![whole_file(path, e)])?;
    let node = yaml::parse(&text, Merge::InPlace).map_err(|e| vec![syntax(path, e)])?;
    let reader = Reader::new(path, options);
    let section = Item::root(&reader, &node).section("config.HTTPClientConfig");
    let settings = section.map(|mut section| {
        let settings = http(&mut section, true).settings;
        section.finish();
        settings
    });
    let diagnostics = reader.diagnostics(&text);
    match settings {
        Some(settings) if diagnostics.is_empty() => Ok(settings),
        _ => Err(diagnostics),
    }
}

/// Writes Prometheus's one-line form of a refused configuration: its file and the first error.
pub fn summary(file: &Path, diagnostics: &[Diagnostic]) -> String {
    let first = diagnostics.iter().find(|d| d.severity == Severity::Error);
    let message = first.map_or("", |d| d.message.as_str());
    match first {
        // Prometheus wraps neither files that it cannot open nor what agents may not have.
        Some(d) if d.line.is_none() && d.path.is_empty() && d.message.starts_with("open ") => {
            message.to_owned()
        }
        Some(d) if d.file != file => format!("\"{}\": {message}", absolute_of(&d.file)),
        _ => format!("parsing YAML file {}: {message}", file.display()),
    }
}

fn absolute_of(path: &Path) -> String {
    absolute(&path.display().to_string())
}

fn whole_file(path: &Path, message: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        file: PathBuf::from(path),
        line: None,
        path: String::new(),
        message,
    }
}

fn syntax(path: &Path, e: yaml::SyntaxError) -> Diagnostic {
    Diagnostic {
        line: e.line,
        ..whole_file(path, e.message)
    }
}

/// Reads the text of a YAML file, within the limit.
pub(super) fn read(path: &Path) -> Result<String, String> {
    read_bytes(path).and_then(yaml::decode)
}

/// Reads a file's content, within the limit.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let file = File::open(path).map_err(|e| format!("open {shown}: {}", io_text(&e)))?;
    let mut bytes = Vec::new();
    file.take(CONFIG_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("read {shown}: {}", io_text(&e)))?;
    if bytes.len() as u64 > CONFIG_FILE_BYTES_MAX {
        return Err(format!(
            "{shown} is larger than {CONFIG_FILE_BYTES_MAX} bytes"
        ));
    }
    Ok(bytes)
}

/// Writes an operating system's error in Go's words: lower case, without its number.
pub fn io_text(e: &std::io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or(&text)
        .to_lowercase()
}

struct Main {
    config: Config,
    global: GlobalSection,
    /// Patterns, as Prometheus shows them, with their places.
    scrape_config_files: Vec<(String, u32, String)>,
}

fn main_file(reader: &Reader<'_>, node: &Node) -> Option<Main> {
    let mut section = Item::root(reader, node).section("config.plain")?;
    let s = &mut section;
    for key in ["global", "alerting", "tracing", "otlp"] {
        s.forget_earlier(key);
    }
    let written = s.has("global");
    let mut gs = s.section_or_empty("global", "config.plain")?;
    let global = global::global(&mut gs, written);
    let shown = gs.finish();
    s.put("global", shown);
    let runtime = global::runtime(s.section("runtime", "config.RuntimeConfig"));
    s.put("runtime", runtime);
    let alerting_section = s.section("alerting", "config.plain");
    let (alertmanagers, shown) = match alerting_section {
        Some(section) => alerting(section, &global),
        None => (Vec::new(), Out::Null),
    };
    if !shown.is_empty() {
        comes_later(s, "alerting", "no alert is sent");
        agent_refuses(s, "alerting");
    }
    s.put_some("alerting", shown);
    let rule_files = patterns(s, "rule_files", "rule file");
    if !rule_files.is_empty() {
        comes_later(s, "rule_files", "no rule is evaluated");
        agent_refuses(s, "rule_files");
    }
    let scrape_config_files = patterns(s, "scrape_config_files", "scrape config file");
    let scrape_configs = jobs(s, &global);
    let storage_section = s.section("storage", "config.StorageConfig");
    let (storage, shown) = storage(storage_section, s.cx.options);
    s.put("storage", shown);
    let tracing = s.section("tracing", "config.plain").map(later::tracing);
    s.put_some("tracing", tracing.unwrap_or(Out::Null));
    let (remote_write, shown) = remote::remote_write(s, global.name_scheme);
    if !remote_write.is_empty() {
        comes_later(s, "remote_write", "nothing is sent");
    }
    s.put_some("remote_write", shown);
    let (remote_read, shown) = remote::remote_read(s);
    if !remote_read.is_empty() {
        comes_later(s, "remote_read", "nothing is read from elsewhere");
        agent_refuses(s, "remote_read");
    }
    s.put_some("remote_read", shown);
    // A written null removes even the defaults.
    let otlp_null = s.is_null("otlp");
    let otlp = match s.section("otlp", "config.plain") {
        Some(section) => later::otlp(section, global.name_scheme),
        None if otlp_null => Out::Null,
        None => later::otlp_default(),
    };
    s.put_some("otlp", otlp);
    let yaml = yaml::emit(&section.finish()).into();
    let config = Config {
        global: global.global.clone(),
        scrape_configs,
        storage,
        rule_files: rule_files
            .iter()
            .map(|(pattern, ..)| absolute(pattern))
            .collect(),
        alertmanagers,
        remote_write,
        remote_read,
        files: vec![reader.file.to_owned()],
        yaml,
    };
    Some(Main {
        config,
        global,
        scrape_config_files,
    })
}

/// Warns of a section that is checked and has no effect.
fn comes_later(s: &Section<'_>, key: &str, so: &str) {
    s.warn_at(key, format!("{key} is not there yet in Ferula; {so}"));
}

fn agent_refuses(s: &Section<'_>, key: &str) {
    if s.cx.options.agent {
        s.error_at(key, format!("field {key} is not allowed in agent mode"));
    }
}

/// Reads paths with at most one star, in the last segment, joined to the file's directory.
fn patterns(s: &mut Section<'_>, key: &'static str, what: &str) -> Vec<(String, u32, String)> {
    let mut patterns = Vec::new();
    for item in s.list(key, "[]string") {
        let pattern = item.string();
        if pattern
            .split_once('*')
            .is_some_and(|(_, after)| after.contains('/'))
        {
            item.error(format!("invalid {what} path {}", gofmt::quote(&pattern)));
        }
        patterns.push((item.cx.join(&pattern), item.id, item.path.clone()));
    }
    let shown: Vec<String> = patterns
        .iter()
        .map(|(pattern, ..)| pattern.clone())
        .collect();
    s.put_some(key, shown.as_slice());
    patterns
}

fn jobs(s: &mut Section<'_>, global: &GlobalSection) -> Vec<Arc<ScrapeConfig>> {
    let mut jobs: Vec<Arc<ScrapeConfig>> = Vec::new();
    let mut names = BTreeSet::new();
    let mut shown = Vec::new();
    for item in s.list("scrape_configs", "[]*config.ScrapeConfig") {
        let Some((job, out)) = scrape_config(&item, global) else {
            continue;
        };
        if !names.insert(job.job_name.clone()) && !job.job_name.is_empty() {
            let name = gofmt::quote(&job.job_name);
            item.error(format!(
                "found multiple scrape configs with job name {name}"
            ));
        }
        jobs.push(Arc::new(job));
        shown.push(out);
    }
    s.put_some("scrape_configs", Out::Seq(shown));
    jobs
}

/// Reads the files in `scrape_config_files`, each once, into the main configuration.
fn more_jobs(reader: &Reader<'_>, main: &mut Main) -> Vec<Diagnostic> {
    let named = |job: &Arc<ScrapeConfig>| (job.job_name.clone(), "main config file".to_owned());
    let mut origins: BTreeMap<String, String> =
        main.config.scrape_configs.iter().map(named).collect();
    let mut diagnostics = Vec::new();
    for (pattern, node, path) in &main.scrape_config_files {
        let files = match glob(pattern) {
            Ok(files) => files,
            Err(message) => {
                reader.error(*node, path.as_str(), message);
                continue;
            }
        };
        if files.is_empty() {
            let text = format!("{} matches no file", gofmt::quote(pattern));
            reader.warn(*node, path.as_str(), text);
        }
        for file in files {
            let found = jobs_of_file(&file, reader, &main.global, &mut origins, &mut diagnostics);
            main.config.scrape_configs.extend(found);
            main.config.files.push(file);
        }
    }
    diagnostics
}

/// Returns the existing files that a pattern names, sorted.
///
/// # Errors
/// It is no pattern.
pub fn glob(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let paths = glob::glob(pattern)
        .map_err(|e| format!("error retrieving files for {}: {e}", gofmt::quote(pattern)))?;
    Ok(paths.filter_map(Result::ok).collect())
}

fn jobs_of_file(
    file: &Path,
    main: &Reader<'_>,
    global: &GlobalSection,
    origins: &mut BTreeMap<String, String>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Arc<ScrapeConfig>> {
    let parsed = read(file)
        .map_err(|e| whole_file(file, e))
        .and_then(|text| match yaml::parse(&text, Merge::InPlace) {
            Ok(node) => Ok((text, node)),
            Err(e) => Err(syntax(file, e)),
        });
    let (text, node) = match parsed {
        Ok(parsed) => parsed,
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            return Vec::new();
        }
    };
    let reader = Reader::new(file, main.options);
    let mut jobs = Vec::new();
    if let Some(mut s) = Item::root(&reader, &node).section("config.ScrapeConfigs") {
        let quoted = gofmt::quote(&absolute_of(file));
        for item in s.list("scrape_configs", "[]*config.ScrapeConfig") {
            let Some((job, _)) = scrape_config(&item, global) else {
                continue;
            };
            if let Some(first) = origins.get(&job.job_name) {
                let name = gofmt::quote(&job.job_name);
                item.error(format!(
                    "{quoted}: found multiple scrape configs with job name {name}, first found in \
                     {first}"
                ));
                continue;
            }
            origins.insert(job.job_name.clone(), quoted.clone());
            jobs.push(Arc::new(job));
        }
        s.finish();
    }
    diagnostics.extend(reader.diagnostics(&text));
    jobs
}
