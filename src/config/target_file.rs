//! Target files, as `file_sd_configs` reads them, and HTTP discovery's answers.

use std::path::Path;

use super::options::LoadOptions;
use super::reader::Reader;
use super::sd;
use super::section::Item;
use super::target_json;
use super::yaml::{self, Merge};
use crate::model::names::NameScheme;
use crate::model::{LabelMap, TargetGroup};
use crate::stdx::gofmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetFileKind {
    Json,
    Yaml,
}

impl TargetFileKind {
    /// Returns the kind by the ending of the file's name.
    ///
    /// # Errors
    /// Gives Prometheus's text for any other ending.
    pub fn of(path: &Path) -> Result<TargetFileKind, String> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match ending.to_ascii_lowercase().as_str() {
            "json" => Ok(TargetFileKind::Json),
            "yml" | "yaml" => Ok(TargetFileKind::Yaml),
            "" => Err("invalid file extension: \"\"".to_owned()),
            _ => Err(format!(
                "invalid file extension: {}",
                gofmt::quote(&format!(".{ending}"))
            )),
        }
    }
}

/// Reads a list of target groups, strictly. Their sources are left empty.
///
/// # Errors
/// The first fault, in Prometheus's words where it has its own.
pub fn parse_target_groups(
    content: &[u8],
    kind: TargetFileKind,
) -> Result<Vec<TargetGroup>, String> {
    match kind {
        TargetFileKind::Json => from_json(content),
        TargetFileKind::Yaml => from_yaml(&yaml::decode(content.to_vec())?),
    }
}

fn nil_item(i: usize) -> String {
    format!("nil target group item found (index {i})")
}

fn from_json(content: &[u8]) -> Result<Vec<TargetGroup>, String> {
    let target = |address| LabelMap::from([("__address__".to_owned(), address)]);
    let mut out = Vec::new();
    for (i, group) in target_json::parse(content)?.into_iter().enumerate() {
        let group = group.ok_or_else(|| nil_item(i))?;
        out.push(TargetGroup {
            targets: group.targets.into_iter().map(target).collect(),
            labels: group.labels,
            source: String::new(),
        });
    }
    Ok(out)
}

fn from_yaml(text: &str) -> Result<Vec<TargetGroup>, String> {
    let with_line = |line: Option<usize>, message: &str| match line {
        Some(line) => format!("line {line}: {message}"),
        None => message.to_owned(),
    };
    let node = yaml::parse(text, Merge::InPlace).map_err(|e| with_line(e.line, &e.message))?;
    let options = LoadOptions {
        syntax_only: true,
        ..LoadOptions::default()
    };
    let reader = Reader::new(Path::new(""), &options);
    let mut out = Vec::new();
    for (i, item) in Item::root(&reader, &node)
        .list("[]*targetgroup.Group")
        .iter()
        .enumerate()
    {
        if item.is_null() {
            return Err(nil_item(i));
        }
        out.extend(sd::group(item, NameScheme::Utf8).map(|(group, _)| group));
    }
    match reader.diagnostics(text).first() {
        Some(fault) => Err(with_line(fault.line, &fault.message)),
        None => Ok(out),
    }
}
