//! `file_sd_configs`.

use std::time::Duration;

use crate::config::section::Item;
use crate::config::yaml::Out;
use crate::stdx::gofmt;

/// One `file_sd_configs` entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileSdConfig {
    /// Patterns. Relative ones are joined with the directory of their file.
    pub files: Vec<String>,
    pub refresh_interval: Duration,
}

pub(super) fn read(item: &Item<'_>) -> Option<(FileSdConfig, Out)> {
    let mut s = item.section("file.plain")?;
    let names = s.strings("files");
    if names.is_empty() {
        let text = "file service discovery config must contain at least one path name";
        s.error_at("files", text);
    }
    for name in &names {
        if !check_file_name(name) {
            let text = format!(
                "path name {} is not valid for file discovery",
                gofmt::quote(name)
            );
            s.error_at("files", text);
        }
    }
    let files: Vec<String> = names.iter().map(|name| item.cx.join(name)).collect();
    s.put("files", files.as_slice());
    let refresh_interval = s.duration_some("refresh_interval", Duration::from_secs(300));
    // NOTE: not made absolute, since rules match on `__meta_filepath`.
    let config = FileSdConfig {
        files,
        refresh_interval,
    };
    Some((config, s.finish()))
}

/// Checks for at most one star, in the last segment, and an ending that gives the format.
fn check_file_name(name: &str) -> bool {
    const ENDINGS: [&str; 6] = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"];
    let Some(stem) = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)) else {
        return false;
    };
    stem.split_once('*')
        .is_none_or(|(_, after)| !after.contains('/'))
}
