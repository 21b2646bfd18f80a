//! Targets from files, updated as soon as the files change.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::select;
use xxhash_rust::xxh64::xxh64;

use super::discoverer::{Discoverer, Updates};
use super::error::Error;
use super::metrics::SdMetrics;
use super::source::Source;
use crate::config::{FileSdConfig, TargetFileKind, parse_target_groups};
use crate::model::TargetGroup;
use crate::stdx::clock::Clock;
use crate::stdx::limits::CONFIG_FILE_BYTES_MAX;
use crate::stdx::sort::sort;
use crate::stdx::stop::Stop;
use crate::watch;

/// LIMIT: long enough for an editor or a template to finish, short beside a scrape interval.
const SETTLE: Duration = Duration::from_millis(200);

/// One `file_sd_configs` entry.
#[derive(Debug)]
struct FileDiscoverer {
    config: FileSdConfig,
    watcher: watch::Handle,
    clock: Arc<dyn Clock>,
    metrics: SdMetrics,
    files: BTreeMap<PathBuf, FileState>,
    /// The last failure to list the files, so that it is logged once.
    list_error: Option<Error>,
}

/// The state of a file.
#[derive(Debug, Default)]
struct FileState {
    /// The hash of the last content that was valid.
    content_hash: Option<u64>,
    /// The number of groups in it.
    groups: usize,
    /// The last failure, so that it is logged once.
    error: Option<Error>,
}

pub(super) fn prepare(config: &FileSdConfig) -> Source {
    let config = config.clone();
    Source::discoverer(None, |surroundings| FileDiscoverer {
        config,
        watcher: surroundings.watcher,
        clock: surroundings.clock,
        metrics: surroundings.metrics,
        files: BTreeMap::new(),
        list_error: None,
    })
}

impl FileDiscoverer {
    /// Returns the groups that changed since the last time; removed ones are without targets.
    /// Returns `None` if it is unknown which files exist.
    fn refresh(&mut self) -> Option<Vec<TargetGroup>> {
        let start = self.clock.mono();
        let paths = self.list();
        let changed = paths.map(|paths| self.look_at_all(paths));
        let took = self.clock.mono().saturating_sub(start);
        self.metrics.file_scan_duration.observe(took.as_secs_f64());
        changed
    }

    fn look_at_all(&mut self, paths: Vec<PathBuf>) -> Vec<TargetGroup> {
        let mut changed = Vec::new();
        let mut before = std::mem::take(&mut self.files);
        for path in paths {
            let mut state = before.remove(&path).unwrap_or_default();
            self.look(&path, &mut state, &mut changed);
            self.files.insert(path, state);
        }
        for (path, state) in before {
            self.metrics.file_mtime.remove(&[&path.to_string_lossy()]);
            changed.extend((0..state.groups).map(|i| empty_group(&path, i)));
        }
        changed
    }

    /// Returns the existing files; `None` if that is unknown, which differs from no file.
    fn list(&mut self) -> Option<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for pattern in &self.config.files {
            match watch::expand(&[pattern]) {
                Ok(matches) => paths.extend(matches),
                Err(err) => {
                    self.metrics.file_read_errors.inc();
                    let error = Error::List {
                        pattern: pattern.clone(),
                        reason: err.to_string(),
                    };
                    if self.list_error.as_ref() != Some(&error) {
                        log::error!(err:% = error; "can't list target files, keeping the last");
                        self.list_error = Some(error);
                    }
                    return None;
                }
            }
        }
        self.list_error = None;
        sort(&mut paths);
        paths.dedup();
        Some(paths)
    }

    fn look(&self, path: &Path, state: &mut FileState, changed: &mut Vec<TargetGroup>) {
        let groups = match read(path, state.content_hash) {
            Ok(seen) => {
                let mtime = self.metrics.file_mtime.with(&[&path.to_string_lossy()]);
                mtime.set(seen.mtime_seconds as f64);
                if state.error.take().is_some() {
                    log::info!(path:% = path.display(); "target file is well again");
                }
                state.content_hash = Some(seen.content_hash);
                seen.groups
            }
            Err(error) => {
                self.metrics.file_read_errors.inc();
                if state.error.as_ref() != Some(&error) {
                    log::error!(path:% = path.display(), err:% = error;
                        "can't use target file, keeping its last targets");
                    state.error = Some(error);
                }
                return;
            }
        };
        let Some(groups) = groups else { return };
        let (before, now) = (state.groups, groups.len());
        state.groups = now;
        changed.extend(groups);
        changed.extend((now..before).map(|i| empty_group(path, i)));
    }
}

impl Discoverer for FileDiscoverer {
    fn run(mut self: Box<Self>, stop: Stop, updates: Updates) {
        if self.watcher.is_polling() {
            self.metrics.file_watcher_errors.inc();
        }
        let watched = self.watcher.subscribe(watch::Subscription {
            paths: self.config.files.iter().map(PathBuf::from).collect(),
            rescan: self.config.refresh_interval,
            settle: SETTLE,
        });
        for pattern in &self.config.files {
            if watch::expand(&[pattern]).is_ok_and(|files| files.is_empty()) {
                log::info!(pattern = pattern.as_str(); "no target file matches so far");
            }
        }
        let mut first = true;
        loop {
            // NOTE: the first update is sent even if it is empty.
            if let Some(changed) = self.refresh().filter(|it| first || !it.is_empty()) {
                if !updates.send(changed) {
                    return;
                }
                first = false;
            }
            select! {
                recv(stop.channel()) -> _ => return,
                recv(watched.bell()) -> _ => {}
            }
        }
    }
}

impl Drop for FileDiscoverer {
    fn drop(&mut self) {
        for path in self.files.keys() {
            self.metrics.file_mtime.remove(&[&path.to_string_lossy()]);
        }
    }
}

struct Seen {
    mtime_seconds: i64,
    content_hash: u64,
    /// `None` if the content is unchanged.
    groups: Option<Vec<TargetGroup>>,
}

fn read(path: &Path, known_hash: Option<u64>) -> Result<Seen, Error> {
    let (content, mtime_seconds) = content(path)?;
    let content_hash = xxh64(&content, 0);
    let groups = if known_hash == Some(content_hash) {
        None
    } else {
        Some(parse(path, &content)?)
    };
    Ok(Seen {
        mtime_seconds,
        content_hash,
        groups,
    })
}

fn content(path: &Path) -> Result<(Vec<u8>, i64), Error> {
    let failed = |err: io::Error| Error::Read {
        path: path.to_owned(),
        reason: err.to_string(),
    };
    // NOTE: checked before it is opened, since opening a pipe would wait for its writer.
    let meta = path.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut file = file.take(CONFIG_FILE_BYTES_MAX + 1);
    file.read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > CONFIG_FILE_BYTES_MAX {
        return Err(Error::TooLarge {
            path: path.to_owned(),
            limit: CONFIG_FILE_BYTES_MAX,
        });
    }
    Ok((content, meta.mtime()))
}

fn parse(path: &Path, content: &[u8]) -> Result<Vec<TargetGroup>, Error> {
    let kind = TargetFileKind::of(path).map_err(Error::Parse)?;
    let mut groups = parse_target_groups(content, kind).map_err(Error::Parse)?;
    for (i, group) in groups.iter_mut().enumerate() {
        group.source = source(path, i);
        let path = path.to_string_lossy().into_owned();
        group.labels.insert("__meta_filepath".to_owned(), path);
    }
    Ok(groups)
}

fn empty_group(path: &Path, i: usize) -> TargetGroup {
    TargetGroup {
        source: source(path, i),
        ..TargetGroup::default()
    }
}

fn source(path: &Path, i: usize) -> String {
    format!("{}:{i}", path.display())
}
