//! The shared state while one file is read: its name, its options, the findings.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Severity};
use super::options::LoadOptions;
use super::yaml;
use crate::stdx::sort::sort_by_key;

/// LIMIT: more errors in one file help nobody.
const FINDINGS_MAX: usize = 1_000;

pub(super) struct Reader<'o> {
    pub file: &'o Path,
    pub options: &'o LoadOptions<'o>,
    findings: RefCell<Vec<Finding>>,
}

struct Finding {
    severity: Severity,
    node: u32,
    path: String,
    message: String,
}

impl<'o> Reader<'o> {
    pub fn new(file: &'o Path, options: &'o LoadOptions<'o>) -> Reader<'o> {
        Reader {
            file,
            options,
            findings: RefCell::new(Vec::new()),
        }
    }

    pub fn error(&self, node: u32, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Error, node, path.into(), message.into());
    }

    pub fn warn(&self, node: u32, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Warning, node, path.into(), message.into());
    }

    /// Warns, unless the file was already warned of the same.
    pub fn warn_once(&self, node: u32, path: &str, message: &str) {
        if self.findings.borrow().iter().all(|f| f.message != message) {
            self.warn(node, path, message);
        }
    }

    fn push(&self, severity: Severity, node: u32, path: String, message: String) {
        let mut findings = self.findings.borrow_mut();
        if findings.len() < FINDINGS_MAX {
            findings.push(Finding {
                severity,
                node,
                path,
                message,
            });
        }
    }

    /// Makes a relative path relative to the file's directory. An empty one stays empty.
    pub fn join(&self, path: &str) -> String {
        if path.is_empty() || path.starts_with('/') {
            return path.to_owned();
        }
        let dir = self.file.parent().unwrap_or(Path::new(""));
        clean(&format!(
            "{}/{path}",
            dir.to_str().filter(|d| !d.is_empty()).unwrap_or(".")
        ))
    }

    /// Returns all findings with their lines, in the order of the file, errors before warnings.
    pub fn diagnostics(self, text: &str) -> Vec<Diagnostic> {
        let mut findings = self.findings.into_inner();
        sort_by_key(&mut findings, |f| (std::cmp::Reverse(f.severity), f.node));
        let lines = yaml::lines(text, findings.iter().map(|f| f.node).filter(|id| *id > 0));
        let diagnostic = |f: Finding| Diagnostic {
            severity: f.severity,
            file: PathBuf::from(self.file),
            line: lines.get(&f.node).copied(),
            path: f.path,
            message: f.message,
        };
        findings.into_iter().map(diagnostic).collect()
    }
}

/// Makes a path absolute. Returns the same text if the working directory is gone.
pub(super) fn absolute(path: &str) -> String {
    let absolute = std::path::absolute(path).ok();
    absolute
        .and_then(|p| p.to_str().map(str::to_owned))
        .unwrap_or_else(|| path.to_owned())
}

/// Cleans a path as Go's `path.Clean` does: no `.`, no `//`, `..` resolved by its text.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let body = parts.join("/");
    match (rooted, body.is_empty()) {
        (true, _) => format!("/{body}"),
        (false, true) => ".".to_owned(),
        (false, false) => body,
    }
}
